//! The programs below a folder that have tests.

use std::path::{Path, PathBuf};

/// Folders nested deeper are left alone: a link may lead round in a circle.
const MAX_DEPTH: usize = 64;

/// A file that was named is taken as it is; of a folder, the `.stark` files with `@test` in them, sorted by name.
/// Folders whose name begins with a point are passed over.
pub fn programs(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    walk(path, 0, &mut found)?;
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let path = path.strip_prefix("./").unwrap_or(&path).to_path_buf();
        if path.is_dir() {
            if !name.starts_with('.') && depth < MAX_DEPTH {
                walk(&path, depth + 1, found)?;
            }
        } else if name.ends_with(".stark") {
            let bytes = crate::load::read(&path)?;
            if bytes.windows(5).any(|w| w == b"@test") {
                found.push(path);
            }
        }
    }
    Ok(())
}
