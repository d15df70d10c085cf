//! Bytes of a section changed, its checksum and the header's put right again.

use super::Rng;

const HEADER: usize = 64;
const ROW: usize = 32;

pub fn change(mut file: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    let n_sections = number(&file, 12, 4);
    let row = HEADER + rng.below(n_sections) * ROW;
    let (start, len) = (number(&file, row + 8, 8), number(&file, row + 16, 8));
    if len == 0 {
        return file;
    }
    for _ in 0..=rng.below(3) {
        let at = start + rng.below(len);
        match rng.below(4) {
            0 => file[at] = rng.next() as u8,
            1 => file[at] = file[at].wrapping_add(1),
            2 => file[at] ^= 1 << rng.below(8),
            _ => file[at] = file[start + rng.below(len)],
        }
    }
    let crc = crc32(&file[start..start + len]);
    file[row + 24..row + 28].copy_from_slice(&crc.to_le_bytes());
    let mut header = file[..HEADER + n_sections * ROW].to_vec();
    header[24..28].fill(0);
    let crc = crc32(&header);
    file[24..28].copy_from_slice(&crc.to_le_bytes());
    file
}

fn number(file: &[u8], at: usize, len: usize) -> usize {
    file[at..at + len].iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
}

/// CRC-32 as the format uses it (reflected, 0xEDB88320), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
