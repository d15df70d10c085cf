//! Making a bundle: the same module, manifest and files give the same bytes on every machine.
//!
//! Files are hashed where they are mapped, then copied behind the head, and the copy is held against the hash: a file that
//! changes meanwhile is an error. What is compressed waits in memory between the two.

use crate::{BundleError, SecretKey};
use stark_bytecode::format::{ALIGNMENT, Draft};
use stark_bytecode::manifest::MAX_ASSETS;
use stark_bytecode::{Asset, AssetKind, Codec, Manifest, Module};
use stark_models::FileBytes;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// How hard Zstandard tries: unpacking is equally fast for all levels, and a bundle is made once. Past this level the
/// memory it takes grows faster than the file shrinks.
const LEVEL: i32 = 15;

/// Bytes hashed and written at once: what a cache holds.
const PIECE: usize = 256 << 10;

/// An asset to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path in the bundle.
    pub path: String,
    pub name: Option<String>,
    pub kind: AssetKind,
    pub compress: bool,
    /// Where it lies now.
    pub file: PathBuf,
}

/// Writes a bundle of `module` to `out`; `manifest` gets its assets from `sources`.
pub fn write(
    module: &Module,
    mut manifest: Manifest,
    mut sources: Vec<Source>,
    key: Option<&SecretKey>,
    out: &mut dyn Write,
) -> Result<Manifest, BundleError> {
    if sources.len() > MAX_ASSETS {
        let (bytes, limit) = (sources.len(), MAX_ASSETS);
        return Err(BundleError::Source(format!("{bytes} assets, a bundle may have {limit}")));
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let mut packed: Vec<Option<Vec<u8>>> = Vec::with_capacity(sources.len());
    manifest.assets.clear();
    for source in &sources {
        let bytes = map(source)?;
        // What does not get smaller stays plain: it needs no unpacking then.
        let compressed = if source.compress { Some(compress(source, &bytes)?) } else { None };
        let compressed = compressed.filter(|packed| packed.len() < bytes.len());
        let stored = compressed.as_deref().unwrap_or(&bytes);
        manifest.assets.push(Asset {
            path: source.path.clone(),
            name: source.name.clone(),
            kind: source.kind,
            codec: if compressed.is_some() { Codec::Zstd } else { Codec::Plain },
            len: bytes.len() as u64,
            stored: stored.len() as u64,
            hash: *blake3::hash(stored).as_bytes(),
        });
        packed.push(compressed);
    }
    let too_large = || BundleError::Source("the assets take more bytes than a file can have".into());
    let mut draft = Draft::of_bundle(module, &manifest).ok_or_else(too_large)?;
    if let Some(key) = key {
        let signature = key.sign(&draft);
        draft.sign(signature);
    }
    let cannot_write = || BundleError::io("the bundle cannot be written");
    out.write_all(&draft.finish()).map_err(cannot_write())?;
    let mut end = 0u64;
    for ((source, asset), packed) in sources.iter().zip(&manifest.assets).zip(packed) {
        let start = end.next_multiple_of(ALIGNMENT as u64);
        out.write_all(&[0; ALIGNMENT][..(start - end) as usize]).map_err(cannot_write())?;
        // Hashed as they are written, piece by piece: the file may be larger than the memory.
        let mut hasher = blake3::Hasher::new();
        let bytes = packed.map_or_else(|| map(source), |packed| Ok(FileBytes::from(packed)))?;
        for piece in bytes.chunks(PIECE) {
            hasher.update(piece);
            out.write_all(piece).map_err(cannot_write())?;
        }
        if bytes.len() as u64 != asset.stored || hasher.finalize() != asset.hash {
            return Err(BundleError::Source(format!("{} changed while it was bundled", source.file.display())));
        }
        end = start + asset.stored;
    }
    out.flush().map_err(cannot_write())?;
    Ok(manifest)
}

fn map(source: &Source) -> Result<FileBytes, BundleError> {
    let what = || BundleError::io(format!("cannot read {}", source.file.display()));
    let file = File::open(&source.file).map_err(what())?;
    // A mapping of nothing is refused by some systems.
    if file.metadata().map_err(what())?.len() == 0 {
        return Ok(FileBytes::from(Vec::new()));
    }
    FileBytes::map(&file).map_err(what())
}

fn compress(source: &Source, bytes: &[u8]) -> Result<Vec<u8>, BundleError> {
    zstd::bulk::compress(bytes, LEVEL)
        .map_err(BundleError::io(format!("{} cannot be compressed", source.file.display())))
}
