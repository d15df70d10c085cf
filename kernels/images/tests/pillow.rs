//! Decoding and resizing against what Pillow gave: PNG and resizing to the bit, JPEG within the steps that its standard leaves open.
//!
//! `make_images.py` made the files and `pillow.safetensors`.

use stark_images::{Filter, Format, Header, ImageError, resize};
use stark_kernels::Tensor;
use stark_kernels::safetensors::SafeTensors;
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(data().join(name)).expect("the file is there")
}

fn images(ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<String> = std::fs::read_dir(data())
        .expect("the folder is there")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

fn decode(bytes: &[u8], channels: usize) -> Result<Tensor, ImageError> {
    let header = Header::read(bytes)?;
    header.check(channels, 1 << 20)?;
    header.decode(bytes, channels)
}

const MODES: [(&str, usize); 3] = [("L", 1), ("RGB", 3), ("RGBA", 4)];

/// The largest difference, and the mean one.
fn differences(a: &Tensor, b: &Tensor) -> (u8, f64) {
    assert_eq!(a.shape(), b.shape());
    let (a, b) = (a.to_bytes().expect("bytes"), b.to_bytes().expect("bytes"));
    let each = || a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b));
    (each().max().unwrap_or(0), each().map(f64::from).sum::<f64>() / a.len() as f64)
}

#[test]
fn png_files_give_pillows_pixels() {
    let bytes = read("pillow.safetensors");
    let expected = SafeTensors::parse(&bytes).expect("the fixture");
    for (name, bytes) in images(".png") {
        assert_eq!(Header::read(&bytes).map(|h| (h.format, h.width, h.height)), Ok((Format::Png, 37, 29)));
        for (mode, channels) in MODES {
            let got = decode(&bytes, channels).unwrap_or_else(|e| panic!("{name}: {e}"));
            let want = expected.get(&format!("{name} {mode}")).expect("the fixture");
            assert_eq!(differences(&got, &want), (0, 0.0), "{name} as {mode}");
        }
    }
}

#[test]
fn jpeg_files_are_within_a_few_steps_of_pillows_pixels() {
    let bytes = read("pillow.safetensors");
    let expected = SafeTensors::parse(&bytes).expect("the fixture");
    for (name, bytes) in images(".jpg") {
        for (mode, channels) in MODES {
            let got = decode(&bytes, channels).unwrap_or_else(|e| panic!("{name}: {e}"));
            let want = expected.get(&format!("{name} {mode}")).expect("the fixture");
            let (most, mean) = differences(&got, &want);
            println!("{name} as {mode}: at most {most}, on average {mean:.3}");
            assert!(most <= MOST && mean <= MEAN, "{name} as {mode}: at most {most}, on average {mean}");
        }
    }
}

/// Steps of 256: two for the transform and the colours, more where colour of half the size meets an edge.
const MOST: u8 = 6;
const MEAN: f64 = 0.6;

#[test]
fn resizing_gives_pillows_pixels() {
    let bytes = read("pillow.safetensors");
    let expected = SafeTensors::parse(&bytes).expect("the fixture");
    let mut n = 0;
    for (mode, channels) in MODES {
        let image = decode(&read(if channels == 4 { "rgba.png" } else { "rgb.png" }), channels).expect("an image");
        for (name, filter) in Filter::ALL {
            for (h, w) in [(12, 17), (58, 74), (29, 5), (3, 37), (64, 8), (1, 1)] {
                let want = expected.get(&format!("{mode} {name} {h} {w}")).expect("the fixture");
                let got = resize(&image, h, w, filter).expect("resized");
                assert_eq!(differences(&got, &want), (0, 0.0), "{mode} {name} {h} x {w}");
                n += 1;
            }
        }
    }
    assert_eq!(n, 54);
}

#[test]
fn views_and_any_number_of_channels_are_resized() {
    let image = decode(&read("rgb.png"), 3).expect("an image");
    // Channels last is only how it lies in memory: the mirror image resized is the resized one mirrored, within rounding to the bit.
    let five = Tensor::from_bytes(&(0..2 * 2 * 5).collect::<Vec<u8>>(), stark_kernels::DType::U8, &[2, 2, 5]);
    let one = resize(&five.expect("a tensor"), 1, 1, Filter::Bilinear).expect("resized");
    assert_eq!(one.to_bytes().expect("bytes"), [8, 9, 10, 11, 12]);
    let same = resize(&image, 29, 37, Filter::Bicubic).expect("resized");
    assert!(same.shares_storage_with(&image));
}

/// Photos carry films and makers' notes there.
#[test]
fn what_stands_behind_the_end_of_a_jpeg_file_is_nobodys_business() {
    for (name, bytes) in images(".jpg") {
        let alone = decode(&bytes, 3).unwrap_or_else(|e| panic!("{name}: {e}"));
        for behind in [&[0xff, 0xda, 1][..], &[0xff, 0xd9, 0xff, 0xd8, 0xff], &[7; 1000]] {
            let more = decode(&[&bytes[..], behind].concat(), 3).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(differences(&more, &alone), (0, 0.0), "{name}");
        }
    }
}

#[test]
fn a_cut_file_is_refused_with_its_place() {
    for (name, bytes) in [images(".png"), images(".jpg")].concat() {
        for n in 0..bytes.len() {
            match decode(&bytes[..n], 3) {
                Ok(_) => panic!("{name} of {n} of {} bytes was taken", bytes.len()),
                Err(ImageError::Broken { at, .. }) => assert!(at <= n as u64),
                Err(ImageError::Unknown(_)) => assert!(n < 8, "{name} of {n} bytes"),
                Err(e) => panic!("{name} of {n} bytes: {e}"),
            }
        }
    }
}

/// Bits flipped, bytes put in, taken out and repeated, also behind right checksums; `STARK_FUZZ` gives another number of mutants for each file.
#[test]
fn a_changed_file_gives_an_image_or_a_reason() {
    let n_mutants: u64 = std::env::var("STARK_FUZZ").map_or(100, |n| n.parse().expect("STARK_FUZZ is a number"));
    for (name, bytes) in [images(".png"), images(".jpg")].concat() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut below = |n: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize % n.max(1)
        };
        for i in 0..n_mutants {
            let mut mutant = bytes.clone();
            for _ in 0..=below(4) {
                let at = below(mutant.len());
                match below(4) {
                    0 => mutant[at] ^= 1 << below(8),
                    1 => mutant.insert(at, below(256) as u8),
                    2 => drop(mutant.drain(at..(at + below(8)).min(mutant.len()))),
                    _ => {
                        let piece = mutant[at..(at + 16).min(mutant.len())].to_vec();
                        mutant.splice(at..at, piece);
                    }
                }
            }
            if i % 2 == 0 && name.ends_with(".png") {
                right_checksums(&mut mutant);
            }
            match std::panic::catch_unwind(|| decode(&mutant, 3)) {
                Ok(Ok(image)) => assert_eq!(image.shape()[2], 3),
                Ok(Err(why)) => assert!(!why.to_string().is_empty()),
                Err(_) => panic!("mutant {i} of {name} panicked: {mutant:02x?}"),
            }
        }
    }
}

fn right_checksums(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(len) = bytes.get(at..at + 4).map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]) as usize) {
        let end = at + 8 + len;
        if end + 4 > bytes.len() {
            return;
        }
        let crc = crc(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        at = end + 4;
    }
}

#[test]
fn what_is_no_image_says_what_it_is() {
    let why = |bytes: &[u8]| decode(bytes, 3).expect_err("no image").to_string();
    assert_eq!(why(b"GIF89a..."), "a GIF file, but only PNG and JPEG files are read");
    assert_eq!(why(b""), "no bytes at all");
    assert_eq!(why(b"hello, world"), "neither a PNG nor a JPEG file: it begins with the bytes 68 65 6c 6c 6f 2c 20 77");
    let mut flipped = read("rgb.png");
    flipped[60] ^= 1;
    assert!(why(&flipped).starts_with("broken PNG file, near byte "), "{}", why(&flipped));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    // 60,000 x 60,000 pixels stated in the head of a file of 29 x 37.
    let mut bytes = read("rgb.png");
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    let header = Header::read(&bytes).expect("a head");
    assert_eq!(header.n_pixels(), 3_600_000_000);
    assert!(header.n_bytes(3) >= 3 * header.n_pixels());
    assert_eq!(
        header.check(3, 89_478_485).map_err(|e| e.to_string()),
        Err("an image of 60000 x 60000 pixels passes the limit of 89478485 pixels".to_string())
    );
}

/// CRC-32, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |c: u32, byte: &u8| {
        (0..8).fold(c ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (0u32.wrapping_sub(c & 1))))
    };
    !bytes.iter().fold(!0, step)
}
