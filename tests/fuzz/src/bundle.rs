//! Any bytes as a bundle.

use stark_bundle::{Bundle, Found};

/// More than this is not unpacked here: what the limit does is the other tests' matter.
const ASSET_LIMIT: u64 = 1 << 20;

/// As it is, and with right lengths and checksums: what is wrong behind them is found too.
pub fn bundle(data: &[u8]) {
    open(data.to_vec());
    let mut repaired = data.to_vec();
    repair(&mut repaired);
    if repaired != data {
        open(repaired);
    }
}

fn open(bytes: Vec<u8>) {
    let mut bundle = match Bundle::of_bytes(bytes) {
        Ok(bundle) => bundle,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    bundle.assets.limit(ASSET_LIMIT);
    let all_right = bundle.assets.verify().is_ok();
    for asset in bundle.assets.rows() {
        assert_eq!(bundle.assets.find(&asset.path), Some(Found::Asset(asset)));
        assert!(!asset.path.starts_with('/') && !asset.path.split('/').any(|part| part == ".."), "{}", asset.path);
        let opened = bundle.assets.open(asset);
        assert!(opened.is_ok() || !all_right);
        if let Ok(bytes) = opened {
            assert_eq!(bytes.len() as u64, asset.len);
        }
        if let Some((folder, _)) = asset.path.rsplit_once('/') {
            assert!(!bundle.assets.list(folder).is_empty() && !bundle.assets.walk(folder).is_empty());
        }
    }
    // What it says is the other tests' matter.
    let _ = stark_bytecode::verify(bundle.module);
}

/// Sets the length of the file, and the checksums of its sections and of the table of contents.
fn repair(bytes: &mut [u8]) {
    const HEADER: usize = 64;
    const ROW: usize = 32;
    let len = bytes.len() as u64;
    let Some(n) = bytes.get(12..16).map(|n| u32::from_le_bytes([n[0], n[1], n[2], n[3]]) as usize) else { return };
    let toc_end = HEADER + n.min(64) * ROW;
    if bytes.len() < toc_end {
        return;
    }
    bytes[16..24].copy_from_slice(&len.to_le_bytes());
    for row in (HEADER..toc_end).step_by(ROW) {
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        // The asset data has none: bit 1 of the flags.
        if bytes[row + 4] & 2 != 0 {
            continue;
        }
        let end = number(row + 8).checked_add(number(row + 16)).and_then(|end| usize::try_from(end).ok());
        if let Some(section) = end.and_then(|end| bytes.get(number(row + 8) as usize..end)) {
            let crc = crc32fast::hash(section);
            bytes[row + 24..row + 28].copy_from_slice(&crc.to_le_bytes());
        }
    }
    bytes[24..28].fill(0);
    let crc = crc32fast::hash(&bytes[..toc_end]);
    bytes[24..28].copy_from_slice(&crc.to_le_bytes());
}
