//! Any bytes as an image.

use stark_images::{Filter, Header};

/// Larger ones are refused, as a program would: what they cost is not what is looked for here.
const MAX_PIXELS: usize = 1 << 20;

/// As it is, and as a PNG file whose checksums are right: what is wrong behind them is found too.
pub fn image(data: &[u8]) {
    open(data);
    let mut repaired = data.to_vec();
    repair(&mut repaired);
    if repaired != data {
        open(&repaired);
    }
}

fn open(bytes: &[u8]) {
    let header = match Header::read(bytes) {
        Ok(header) => header,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for channels in [1, 3, 4] {
        if header.check(channels, MAX_PIXELS).is_err() {
            return;
        }
        match header.decode(bytes, channels) {
            Ok(image) => {
                assert_eq!(image.shape(), [header.height, header.width, channels]);
                let resized = stark_images::resize(&image, 7, 5, Filter::Bilinear);
                assert!(resized.is_ok_and(|image| image.shape() == [7, 5, channels]));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Sets the checksum of each chunk.
fn repair(bytes: &mut [u8]) {
    const SIGNATURE: usize = 8;
    let mut at = SIGNATURE;
    while let Some(len) = bytes.get(at..at + 4).map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]) as usize) {
        let end = at + 8 + len;
        if end + 4 > bytes.len() {
            return;
        }
        let crc = crc32fast::hash(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        at = end + 4;
    }
}
