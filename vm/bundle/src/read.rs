//! Reading a bundle: all but the assets, in memory and checked before anything of it is used.

use crate::standalone::{Trailer, find};
use crate::{Assets, BundleError, PublicKey, sign};
use stark_bytecode::format::{self, Decoded, MAX_TOC};
use stark_bytecode::{Manifest, Module};
use stark_models::FileBytes;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that a file may have besides its assets.
pub const MAX_HEAD: u64 = 1 << 31;

/// A `.starkbc` file, with assets or without.
#[derive(Debug)]
pub struct Bundle {
    /// Still to be verified.
    pub module: Module,
    /// `None` when it is a program alone.
    pub manifest: Option<Manifest>,
    pub assets: Assets,
    /// Who signed it.
    pub signer: Option<PublicKey>,
    /// Bytes of the whole file.
    pub len: u64,
}

impl Bundle {
    /// Opens a `.starkbc` file. Its code is in memory then; its assets are read when they are used.
    pub fn open(path: &Path) -> Result<Bundle, BundleError> {
        let what = format!("cannot read {}", path.display());
        let file = File::open(path).map_err(BundleError::io(&what))?;
        let len = file.metadata().map_err(BundleError::io(&what))?.len();
        Bundle::read(file, 0, len, &what)
    }

    /// Opens the bundle that a standalone program carries; `None` when it carries none.
    pub fn of_program(path: &Path) -> Result<Option<Bundle>, BundleError> {
        let what = format!("cannot read {}", path.display());
        let mut file = File::open(path).map_err(BundleError::io(&what))?;
        match find(&mut file).map_err(BundleError::io(&what))? {
            Some(Trailer { at, len }) => Bundle::read(file, at, len, &what).map(Some),
            None => Ok(None),
        }
    }

    fn read(mut file: File, at: u64, len: u64, what: &str) -> Result<Bundle, BundleError> {
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(at)).map_err(BundleError::io(what))?;
        let mut read = |head: &mut Vec<u8>, to: u64| {
            let n = to.saturating_sub(head.len() as u64);
            (&mut file).take(n).read_to_end(head).map(drop).map_err(BundleError::io(what))
        };
        read(&mut head, len.min(MAX_TOC as u64))?;
        let head_len = format::head_len(&head, len);
        if head_len > MAX_HEAD {
            let what = "the file without its assets".to_string();
            return Err(BundleError::TooLarge { what, bytes: head_len, limit: MAX_HEAD, option: None });
        }
        read(&mut head, head_len)?;
        let decoded = format::decode_file(&head, len)?;
        let signer = sign::signer(&head, &decoded)?;
        let Decoded { module, manifest, data_at, .. } = decoded;
        let assets = Assets::of_file(manifest.as_ref().unwrap_or(&Manifest::default()), file, at + data_at);
        Ok(Bundle { module, manifest, assets, signer, len })
    }

    /// The bundle in these bytes.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Bundle, BundleError> {
        let len = bytes.len() as u64;
        let decoded = format::decode_file(&bytes, len)?;
        let signer = sign::signer(&bytes, &decoded)?;
        let Decoded { module, manifest, data_at, .. } = decoded;
        let bytes = FileBytes::from(bytes);
        let assets = Assets::of_bytes(manifest.as_ref().unwrap_or(&Manifest::default()), bytes, data_at);
        Ok(Bundle { module, manifest, assets, signer, len })
    }

    /// Refuses it unless it was signed with the secret half of `key`.
    pub fn require(&self, key: &PublicKey) -> Result<(), BundleError> {
        match &self.signer {
            Some(signer) if signer == key => Ok(()),
            Some(signer) => {
                Err(BundleError::Signature(format!("it was signed with another key, {signer}; asked for is {key}")))
            }
            None => Err(BundleError::Signature(format!("it is not signed; asked for is a signature of {key}"))),
        }
    }
}
