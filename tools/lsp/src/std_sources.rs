//! The library's sources as files, so that an editor can open a definition in them.
//!
//! They are written to a folder of the user's cache, one for each text of the library, and only when a definition leads there.

use std::path::{Path, PathBuf};

/// The folder for this library: `…/stark/std-<version>-<hash>`.
pub fn folder() -> PathBuf {
    let base = ["XDG_CACHE_HOME", "LOCALAPPDATA"]
        .iter()
        .find_map(|name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from))
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("stark").join(format!("std-{}-{:016x}", env!("CARGO_PKG_VERSION"), hash()))
}

/// The file of a source that the compiler calls `std/prelude/vec.stark`.
pub fn path_of(folder: &Path, shown: &str) -> Option<PathBuf> {
    let name = shown.strip_prefix("std/")?;
    let known = stark_std::SOURCES.iter().any(|(path, _)| name.strip_suffix(".stark") == Some(path));
    known.then(|| folder.join(name))
}

/// The compiler's name of a file in the folder.
pub fn shown_of(folder: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(folder).ok()?.to_str()?.replace('\\', "/");
    Some(format!("std/{name}"))
}

/// Writes what is missing.
pub fn write(folder: &Path) -> std::io::Result<()> {
    for (name, text) in stark_std::SOURCES {
        let path = folder.join(format!("{name}.stark"));
        if std::fs::metadata(&path).is_ok_and(|m| m.len() == text.len() as u64) {
            continue;
        }
        write_whole(&path, text)?;
    }
    Ok(())
}

/// The file that explains a code, written when it is asked for.
pub fn page(folder: &Path, code: &str) -> Option<PathBuf> {
    let page = stark_syntax::codes::page(code)?;
    let path = folder.join("codes").join(format!("{code}.txt"));
    if !path.exists() {
        write_whole(&path, &stark_syntax::codes::explain(page)).ok()?;
    }
    Some(path)
}

fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    // Another server may be writing the same: a rename shows whole files only.
    let partial = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)
}

/// FNV-1a over names and texts: tells one library's text from another's, not more.
fn hash() -> u64 {
    let bytes = stark_std::SOURCES.iter().flat_map(|(name, text)| name.bytes().chain(text.bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
