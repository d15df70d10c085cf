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

/// Whether the mark of the end stands behind the last mark of a scan. The decoder takes a file that was cut in its last rows for whole;
/// neither mark can be in the data of a scan, and a preview in the head has its marks before those of the image.
fn has_end(bytes: &[u8]) -> bool {
    let last = |mark: [u8; 2]| bytes.windows(2).rposition(|pair| pair == mark);
    last([0xff, 0xd9]) > last([0xff, 0xda])
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
