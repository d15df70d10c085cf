//! PNG, through the crate `png`: every colour type and depth, interlaced or not; of an animation the first picture.

use crate::{Format, Header, ImageError};
use png::{ColorType, Decoder, DecodingError, Limits, Transformations};
use std::io::Cursor;

fn broken(at: &Cursor<&[u8]>, why: &DecodingError) -> ImageError {
    let why = match why {
        DecodingError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "it ends too early".to_string(),
        DecodingError::LimitsExceeded => "it asks for more memory than its image can need".to_string(),
        other => other.to_string(),
    };
    ImageError::Broken { format: Format::Png, at: at.position(), why }
}

pub(crate) fn size(bytes: &[u8]) -> Result<(usize, usize), ImageError> {
    let mut file = Cursor::new(bytes);
    let read = Decoder::new(&mut file).read_header_info().map(|info| (info.width as usize, info.height as usize));
    read.map_err(|why| broken(&file, &why))
}

/// The pixels, and how many channels they have.
pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<(Vec<u8>, usize), ImageError> {
    let mut file = Cursor::new(bytes);
    let n_bytes = header.n_bytes(4);
    read(&mut file, n_bytes).map_err(|why| broken(&file, &why))
}

fn read(file: &mut Cursor<&[u8]>, n_bytes: usize) -> Result<(Vec<u8>, usize), DecodingError> {
    // Rows, and chunks that may be as long as the file; the pixels themselves are allocated here.
    let limits = Limits { bytes: n_bytes.saturating_add(file.get_ref().len()).saturating_add(64 << 10) };
    let mut decoder = Decoder::new_with_limits(file, limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info()?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    let mut pixels = vec![0; reader.output_buffer_size().ok_or(DecodingError::LimitsExceeded)?];
    reader.next_frame(&mut pixels)?;
    // The checksums of what follows the pixels, and that there is an end.
    reader.finish()?;
    Ok((pixels, channels))
}
