//! Image files as tensors: PNG and JPEG decoded, and resized as Pillow does.
//!
//! An image is a `UInt8` tensor `[height, width, channels]` with 1 (grey), 3 (RGB) or 4 (RGBA) channels, so everything that works on
//! tensors works on images: a crop is an index, a mirror is `flip`.
//!
//! A file is read in two steps. [`Header::read`] looks at the head and says how large the image is and what decoding it
//! takes, so that whoever owns the memory can refuse; [`Header::decode`] does it. A file of a few bytes can state an image of gigabytes.

mod color;
mod jpeg;
mod png;
mod resize;

pub use resize::{Filter, resize, resize_bytes};

use stark_kernels::{DType, Tensor, TensorError};
use std::fmt;

/// Which kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Png,
    Jpeg,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Png => "PNG",
            Format::Jpeg => "JPEG",
        })
    }
}

/// Why bytes gave no image.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageError {
    /// Neither format; the text says what it may be.
    Unknown(String),
    /// The file breaks its format, or ends too early. `at` bytes of it had been read.
    Broken { format: Format, at: u64, why: String },
    /// More pixels than the caller allows.
    TooLarge { width: usize, height: usize, max_pixels: usize },
    /// An argument with no meaning here.
    Argument(String),
    /// The tensor of the result.
    Tensor(TensorError),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Broken { format, at, why } => write!(f, "broken {format} file, near byte {at}: {why}"),
            ImageError::TooLarge { width, height, max_pixels } => {
                write!(f, "an image of {height} x {width} pixels passes the limit of {max_pixels} pixels")
            }
            ImageError::Unknown(why) | ImageError::Argument(why) => f.write_str(why),
            ImageError::Tensor(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for ImageError {}

impl From<TensorError> for ImageError {
    fn from(why: TensorError) -> Self {
        ImageError::Tensor(why)
    }
}

/// What the first bytes of a file say about its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub format: Format,
    pub width: usize,
    pub height: usize,
}

impl Header {
    pub fn read(bytes: &[u8]) -> Result<Header, ImageError> {
        let format = format_of(bytes)?;
        let (width, height) = match format {
            Format::Png => png::size(bytes)?,
            Format::Jpeg => jpeg::size(bytes)?,
        };
        Ok(Header { format, width, height })
    }

    pub fn n_pixels(&self) -> usize {
        self.width.saturating_mul(self.height)
    }

    /// The most memory that decoding holds at once, without the file itself.
    pub fn n_bytes(&self, channels: usize) -> usize {
        let working = match self.format {
            // At most 4 channels of 8 bits, and as much again for other channels made of them.
            Format::Png => 8,
            // A progressive file holds the coefficients of 4 channels, 2 bytes each, until its end.
            Format::Jpeg => 12,
        };
        self.n_pixels().saturating_mul(working + channels)
    }

    /// Refuses what [`Header::decode`] would not do.
    pub fn check(&self, channels: usize, max_pixels: usize) -> Result<(), ImageError> {
        let Header { width, height, .. } = *self;
        if ![1, 3, 4].contains(&channels) {
            let why = format!("an image has 1 (grey), 3 (RGB) or 4 (RGBA) channels, not {channels}");
            return Err(ImageError::Argument(why));
        }
        if self.n_pixels() > max_pixels {
            return Err(ImageError::TooLarge { width, height, max_pixels });
        }
        Ok(())
    }

    /// The image as `[height, width, channels]`. Grey becomes RGB by repetition, RGB grey by the weights of ITU-R BT.601; alpha is
    /// dropped, or 255 where the file has none. Of 16 bits the upper 8 are taken. The orientation in EXIF data is not applied.
    pub fn decode(&self, bytes: &[u8], channels: usize) -> Result<Tensor, ImageError> {
        let (pixels, found) = match self.format {
            Format::Png => png::decode(bytes, self)?,
            Format::Jpeg => jpeg::decode(bytes, self)?,
        };
        let pixels = color::convert(pixels, found, channels);
        Ok(Tensor::from_bytes(&pixels, DType::U8, &[self.height, self.width, channels])?)
    }
}

/// Told by content, never by the file's name.
fn format_of(bytes: &[u8]) -> Result<Format, ImageError> {
    const OTHERS: [(&[u8], &str); 6] =
        [(b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"RIFF", "WebP"), (b"%PDF", "PDF")];
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if bytes.starts_with(b"\xff\xd8") {
        return Ok(Format::Jpeg);
    }
    let why = match OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, name)) => format!("a {name} file, but only PNG and JPEG files are read"),
        None if bytes.is_empty() => "no bytes at all".to_string(),
        None => {
            let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("neither a PNG nor a JPEG file: it begins with the bytes {}", first.join(" "))
        }
    };
    Err(ImageError::Unknown(why))
}
