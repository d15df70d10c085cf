//! The assets of a program: found by name, mapped on first use, held against their hashes before anybody sees a byte.

use crate::{BundleError, Source};
use stark_bytecode::{Asset, Codec, Manifest};
use stark_models::FileBytes;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Bytes that one compressed asset may take in memory, unless the host says otherwise.
pub const DEFAULT_ASSET_LIMIT: u64 = 4 << 30;

/// What a program carries. Looking something up costs nothing; opening it maps the file once.
pub struct Assets {
    rows: Vec<Asset>,
    /// Where each row begins in the file.
    starts: Vec<u64>,
    by_name: HashMap<String, usize>,
    /// Rows whose bytes are as the manifest says.
    checked: Box<[OnceLock<()>]>,
    file: Backing,
    limit: u64,
}

enum Backing {
    File {
        file: File,
        mapped: OnceLock<FileBytes>,
    },
    Memory(FileBytes),
    /// Files where they lie: a package that is run without being bundled.
    Files(Vec<PathBuf>),
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    Asset(&'a Asset),
    /// Assets lie below it.
    Folder,
}

impl Assets {
    /// The assets of `manifest`, whose data begins at `data_at`.
    pub(crate) fn of_file(manifest: &Manifest, file: File, data_at: u64) -> Assets {
        Assets::new(manifest, Backing::File { file, mapped: OnceLock::new() }, data_at)
    }

    pub(crate) fn of_bytes(manifest: &Manifest, bytes: FileBytes, data_at: u64) -> Assets {
        Assets::new(manifest, Backing::Memory(bytes), data_at)
    }

    /// Files by path and second name, found as a bundle of them would be. They are read when they are used, unchecked.
    pub fn of_files(mut files: Vec<Source>) -> Assets {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let row = |Source { path, name, kind, file, .. }: &Source| {
            let len = file.metadata().map_or(0, |meta| meta.len());
            let (path, name, kind) = (path.clone(), name.clone(), *kind);
            Asset { path, name, kind, codec: Codec::Plain, len, stored: len, hash: [0; 32] }
        };
        let rows = files.iter().map(row).collect();
        let paths = files.into_iter().map(|source| source.file).collect();
        Assets::with_rows(rows, Vec::new(), Backing::Files(paths))
    }

    fn new(manifest: &Manifest, file: Backing, data_at: u64) -> Assets {
        // The decoder has held the layout against the length of the file.
        let (starts, _) = manifest.layout().unwrap_or_default();
        let starts = starts.into_iter().map(|start| data_at.saturating_add(start)).collect();
        Assets::with_rows(manifest.assets.clone(), starts, file)
    }

    fn with_rows(rows: Vec<Asset>, starts: Vec<u64>, file: Backing) -> Assets {
        let mut by_name = HashMap::new();
        for (i, row) in rows.iter().enumerate() {
            by_name.insert(row.path.clone(), i);
            if let Some(name) = &row.name {
                by_name.insert(name.clone(), i);
            }
        }
        let checked = rows.iter().map(|_| OnceLock::new()).collect();
        Assets { rows, starts, by_name, checked, file, limit: DEFAULT_ASSET_LIMIT }
    }

    /// Sets how many bytes one compressed asset may take in memory.
    pub fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    pub fn rows(&self) -> &[Asset] {
        &self.rows
    }

    /// What a program's path means here: the path or name of an asset, or a folder that holds some. A leading `./` means
    /// nothing; a path that is absolute or goes up, and `.` itself, never mean an asset.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let path = plain(path).filter(|path| !path.is_empty())?;
        if let Some(&i) = self.by_name.get(path.as_str()) {
            return Some(Found::Asset(&self.rows[i]));
        }
        self.below(&path).next().map(|_| Found::Folder)
    }

    /// Names in a folder, as `fs.list` gives them: each once, in order.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let Some(folder) = plain(folder) else { return Vec::new() };
        let mut names: Vec<String> =
            self.below(&folder).map(|rest| rest.split('/').next().unwrap_or(rest).to_string()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Everything below a folder, folders too, with `folder` in front as it is written; what is in a folder stands right
    /// behind it.
    pub fn walk(&self, folder: &str) -> Vec<String> {
        let Some(path) = plain(folder) else { return Vec::new() };
        let mut found = std::collections::BTreeSet::new();
        for rest in self.below(&path) {
            let ends = rest.match_indices('/').map(|(end, _)| end).chain([rest.len()]);
            found.extend(ends.map(|end| rest[..end].split('/').collect::<Vec<_>>()));
        }
        found.into_iter().map(|parts| format!("{}/{}", folder.trim_end_matches('/'), parts.join("/"))).collect()
    }

    /// Everything below a folder with its path from there.
    fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let start = self.rows.partition_point(|row| row.path.as_str() < prefix.as_str());
        self.rows[start..].iter().map_while(move |row| row.path.strip_prefix(&prefix))
    }

    /// The bytes of an asset. Plain ones lie in the mapped file; compressed ones are unpacked into memory.
    pub fn open(&self, asset: &Asset) -> Result<FileBytes, BundleError> {
        let Some(&i) = self.by_name.get(&asset.path) else {
            return Err(BundleError::Source(format!("there is no asset `{}`", asset.path)));
        };
        let row = &self.rows[i];
        if let Backing::Files(files) = &self.file {
            let file = &files[i];
            return FileBytes::open(file).map_err(BundleError::io(format!("cannot read {}", file.display())));
        }
        let stored = self.stored(i)?;
        if self.checked[i].get().is_none() {
            check(row, &stored)?;
            let _ = self.checked[i].set(());
        }
        match row.codec {
            Codec::Plain => Ok(stored),
            Codec::Zstd => unpack(row, &stored, self.limit).map(FileBytes::from),
        }
    }

    /// Holds every asset against the manifest, whatever was checked before, and unpacks what is compressed.
    pub fn verify(&self) -> Result<(), BundleError> {
        if matches!(self.file, Backing::Files(_)) {
            return Err(BundleError::Source("files that are no bundle have no hashes".into()));
        }
        for (i, row) in self.rows.iter().enumerate() {
            let stored = self.stored(i)?;
            check(row, &stored)?;
            if row.codec == Codec::Zstd {
                unpack(row, &stored, self.limit)?;
            }
        }
        self.verify_padding()
    }

    /// What lies between assets is zero, so that nothing hides there.
    fn verify_padding(&self) -> Result<(), BundleError> {
        let all = self.bytes()?;
        for (i, pair) in self.starts.windows(2).enumerate() {
            let (end, next) = (self.starts[i].saturating_add(self.rows[i].stored) as usize, pair[1] as usize);
            if all.get(end..next).is_none_or(|gap| gap.iter().any(|byte| *byte != 0)) {
                let reason = "bytes behind it that must be zero are not".to_string();
                return Err(BundleError::Damaged { asset: self.rows[i].path.clone(), reason });
            }
        }
        Ok(())
    }

    fn stored(&self, i: usize) -> Result<FileBytes, BundleError> {
        let (row, start) = (&self.rows[i], self.starts[i]);
        let range = usize::try_from(start).ok().zip(usize::try_from(start.saturating_add(row.stored)).ok());
        let found = range.and_then(|(start, end)| Some(self.bytes().map(|all| all.slice(start..end)))).transpose()?;
        found.flatten().ok_or_else(|| BundleError::Damaged {
            asset: row.path.clone(),
            reason: "the file is shorter than it was when the program began".into(),
        })
    }

    fn bytes(&self) -> Result<FileBytes, BundleError> {
        match &self.file {
            Backing::Memory(bytes) => Ok(bytes.clone()),
            Backing::Files(_) => Ok(FileBytes::from(Vec::new())),
            Backing::File { file, mapped } => {
                if let Some(bytes) = mapped.get() {
                    return Ok(bytes.clone());
                }
                let bytes = FileBytes::map(file).map_err(BundleError::io("the bundle cannot be mapped"))?;
                Ok(mapped.get_or_init(|| bytes).clone())
            }
        }
    }
}

impl std::fmt::Debug for Assets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assets").field("n_rows", &self.rows.len()).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// `./a/./b` as `a/b`, and `.` as the top; `None` when a path cannot mean an asset.
fn plain(path: &str) -> Option<String> {
    if path.starts_with('/') || path.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn check(row: &Asset, stored: &[u8]) -> Result<(), BundleError> {
    if blake3::hash(stored) != row.hash {
        let reason = "its bytes differ from those that the bundle was made with".to_string();
        return Err(BundleError::Damaged { asset: row.path.clone(), reason });
    }
    Ok(())
}

/// Never more than the manifest says, and no more than the limit.
fn unpack(row: &Asset, stored: &[u8], limit: u64) -> Result<Vec<u8>, BundleError> {
    if row.len > limit {
        let what = format!("asset `{}`, when it is unpacked,", row.path);
        return Err(BundleError::TooLarge { what, bytes: row.len, limit, option: Some("--asset-limit BYTES") });
    }
    let damaged = |reason: String| BundleError::Damaged { asset: row.path.clone(), reason };
    let fail = |e: std::io::Error| damaged(format!("it cannot be unpacked: {e}"));
    let frame = zstd::stream::read::Decoder::with_buffer(stored).map_err(fail)?.single_frame();
    let mut bytes = Vec::new();
    let mut rest = frame.take(row.len.saturating_add(1));
    rest.read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 != row.len {
        let more = if bytes.len() as u64 > row.len { "more" } else { "fewer" };
        return Err(damaged(format!("it unpacks to {more} bytes than the {} that the manifest states", row.len)));
    }
    Ok(bytes)
}
