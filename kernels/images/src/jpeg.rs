//! JPEG, through the crate `zune-jpeg`: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK.
//!
//! JPEG says what an image is only within a tolerance, and decoders use it: values are within a few steps of libjpeg's.

use crate::{Format, Header, ImageError};
use std::io::Cursor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Scans of a progressive file. libjpeg's progressions have about 10; each goes over the whole image, so that a small file with
/// thousands of them would take minutes.
const MAX_SCANS: usize = 64;
/// A side of a JPEG file has 16 bits.
const MAX_SIDE: usize = u16::MAX as usize;

fn options() -> DecoderOptions {
    // Strict: a file that was cut is refused, not filled up with grey.
    DecoderOptions::default()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_max_scans(MAX_SCANS)
        .set_strict_mode(true)
}

fn broken(file: &Cursor<&[u8]>, why: &DecodeErrors) -> ImageError {
    let why = match why {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => "it ends too early".to_string(),
        other => other.to_string().trim_matches('"').trim().to_string(),
    };
    ImageError::Broken { format: Format::Jpeg, at: file.position().min(file.get_ref().len() as u64), why }
}

pub(crate) fn size(bytes: &[u8]) -> Result<(usize, usize), ImageError> {
    let mut file = Cursor::new(bytes);
    let mut decoder = JpegDecoder::new_with_options(&mut file, options());
    let read = decoder.decode_headers().map(|()| decoder.dimensions().unwrap_or_default());
    drop(decoder);
    read.map_err(|why| broken(&file, &why))
}

/// The pixels, and how many channels they have.
pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<(Vec<u8>, usize), ImageError> {
    let mut file = Cursor::new(bytes);
    let read = read(&mut file, header).map_err(|why| broken(&file, &why))?;
    if !has_end(bytes) {
        let at = bytes.len() as u64;
        return Err(ImageError::Broken { format: Format::Jpeg, at, why: "it ends too early".to_string() });
    }
    Ok(read)
}

/// Whether the image has its mark of the end: the decoder takes a file that was cut in its last rows for whole. Goes from
/// mark to mark, over segments by their length (a preview lies in one) and over the data of scans, in which a mark cannot be;
/// what stands behind the end is nobody's business.
fn has_end(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        // Fill bytes, and after a scan its data; 0xff 0 is a number, and restarts belong to the data.
        let Some(at) =
            rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd8 | 0xff))
        else {
            return false;
        };
        if rest[at + 1] == END {
            return true;
        }
        let Some(&[high, low]) = rest.get(at + 2..).and_then(|rest| rest.first_chunk()) else { return false };
        let Some(behind) = rest.get(at + 2 + usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        rest = behind;
    }
}

fn read(file: &mut Cursor<&[u8]>, header: &Header) -> Result<(Vec<u8>, usize), DecodeErrors> {
    let mut decoder = JpegDecoder::new_with_options(file, options());
    decoder.decode_headers()?;
    let (space, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(options().jpeg_set_out_colorspace(space));
    let mut pixels = vec![0; header.n_pixels() * channels];
    decoder.decode_into(&mut pixels)?;
    Ok((pixels, channels))
}
