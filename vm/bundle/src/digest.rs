//! The digest that a signature covers: every section but the signature and the asset data, whose hashes are in the manifest.

use stark_bytecode::format::{SectionKind, VERSION};

/// Separates these digests from whatever else the same key signs.
const CONTEXT: &str = "stark bundle, sections but the signature and asset data, 1";

/// Sections by number, flags and bytes, in the order of the file.
pub fn digest<'a>(sections: impl Iterator<Item = (u32, u32, &'a [u8])>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&VERSION.to_le_bytes());
    for (number, flags, bytes) in sections {
        let kind = SectionKind::from_number(number);
        if matches!(kind, Some(SectionKind::Signature | SectionKind::AssetData)) {
            continue;
        }
        hasher.update(&number.to_le_bytes());
        hasher.update(&flags.to_le_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    *hasher.finalize().as_bytes()
}
