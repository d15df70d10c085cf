//! Compiled programs on disk: one file each, found by the hash of all that went into it.
//!
//! `$XDG_CACHE_HOME/stark/opencl` or `~/.cache/stark/opencl`; without either nothing is kept. A file that is cut,
//! changed or of another device is ignored and written again. The folder stays below [`MAX_BYTES`]: the oldest go.

use std::path::{Path, PathBuf};

/// The most that the folder holds; a program is some 10 to 100 KB.
pub const MAX_BYTES: u64 = 256 << 20;

/// Opens a file of ours.
const MAGIC: &[u8; 8] = b"starkcl1";

pub struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    pub fn new() -> Cache {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute()).or_else(home);
        Cache { folder: base.map(|base| base.join("stark/opencl")) }
    }

    #[cfg(test)]
    pub fn at(folder: &Path) -> Cache {
        Cache { folder: Some(folder.to_path_buf()) }
    }

    fn path(&self, key: &blake3::Hash) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}.bin", key.to_hex())))
    }

    pub fn get(&self, key: &blake3::Hash) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.path(key)?).ok()?;
        let (sum, binary) = bytes.strip_prefix(MAGIC)?.split_at_checked(blake3::OUT_LEN)?;
        (blake3::hash(binary).as_bytes() == sum).then(|| binary.to_vec())
    }

    /// Keeps `binary` for the next run. A folder that cannot be written to only costs the time to compile again.
    pub fn put(&self, key: &blake3::Hash, binary: &[u8]) {
        let (Some(path), Some(folder)) = (self.path(key), &self.folder) else { return };
        if binary.len() as u64 > MAX_BYTES / 4 || std::fs::create_dir_all(folder).is_err() {
            return;
        }
        make_room(folder, binary.len() as u64);
        // Whole or not at all: another process may read it meanwhile.
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let bytes = [&MAGIC[..], blake3::hash(binary).as_bytes(), binary].concat();
        if std::fs::write(&part, bytes).is_err() || std::fs::rename(&part, &path).is_err() {
            let _ = std::fs::remove_file(&part);
        }
    }
}

fn make_room(folder: &Path, bytes: u64) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|e| e.metadata().ok().filter(|m| m.is_file()).map(|m| (m.modified().ok(), m.len(), e.path())))
        .collect();
    let mut total: u64 = files.iter().map(|(_, n, _)| n).sum();
    if total + bytes <= MAX_BYTES {
        return;
    }
    files.sort();
    for (_, n, path) in files {
        if total + bytes <= MAX_BYTES {
            break;
        }
        if std::fs::remove_file(path).is_ok() {
            total -= n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_is_broken_does_not() {
        let folder = std::env::temp_dir().join(format!("stark-opencl-cache-{}", std::process::id()));
        let cache = Cache::at(&folder);
        let key = blake3::hash(b"program");
        assert_eq!(cache.get(&key), None);
        cache.put(&key, b"binary");
        assert_eq!(cache.get(&key).as_deref(), Some(&b"binary"[..]));
        let path = cache.path(&key).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for broken in [&whole[..whole.len() - 1], &whole[..3], &[&whole[..whole.len() - 1], b"!"].concat()] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(cache.get(&key), None);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
