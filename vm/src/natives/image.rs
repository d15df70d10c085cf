//! Image files as tensors; `stark-images` does the work.

use super::support::{Outcome, answers, size};
use super::{NativeCx, NativeRow, tensor};
use crate::fault::Fault;
use crate::value::Value;
use stark_images::{Filter, Header, ImageError};

pub(super) const TABLE: &[NativeRow] = answers! {
    image_size "(Bytes, String) -> Vec<Int>";
    image_decode "(Bytes, String, Int, Int) -> Tensor<UInt8>";
    image_resize "(Tensor<UInt8>, Int, Int, String) -> Tensor<UInt8>";
};

/// `name` is the path, or empty for bytes that have none.
fn fault(name: &str, why: ImageError) -> Fault {
    match why {
        ImageError::Tensor(why) => tensor::fault(why),
        why if name.is_empty() => Fault::value(why.to_string()),
        why => Fault::value(format!("{name}: {why}")),
    }
}

/// Height and width.
fn image_size(cx: &NativeCx<'_>) -> Outcome {
    let header = Header::read(cx.bytes(0)).map_err(|why| fault(cx.str(1), why))?;
    let sizes = [header.height, header.width].map(|n| Value::int(n as i64));
    Ok(Value::vec(cx.ret_type(), sizes))
}

fn image_decode(cx: &NativeCx<'_>) -> Outcome {
    let (bytes, name) = (cx.bytes(0), cx.str(1));
    let (channels, max_pixels) = (size(cx.int(2), "the number of channels")?, size(cx.int(3), "max_pixels")?);
    let decode = || {
        let header = Header::read(bytes)?;
        // Refused before the memory is asked for, so that the limit is named where both are passed.
        header.check(channels, max_pixels)?;
        Ok(header)
    };
    let header = decode().map_err(|why| fault(name, why))?;
    cx.reserve(header.n_bytes(channels))?;
    let image = header.decode(bytes, channels).map_err(|why| fault(name, why))?;
    tensor::value_of(cx.ret_type(), image)
}

fn image_resize(cx: &NativeCx<'_>) -> Outcome {
    let (image, filter) = (tensor::tensor(cx, 0), cx.str(3));
    let (height, width) = (size(cx.int(1), "the height")?, size(cx.int(2), "the width")?);
    let resized = || {
        let filter = Filter::from_name(filter)?;
        Ok::<_, ImageError>((filter, stark_images::resize_bytes(image, height, width)?))
    };
    let (filter, n_bytes) = resized().map_err(|why| fault("", why))?;
    cx.reserve(n_bytes)?;
    let image = stark_images::resize(image, height, width, filter).map_err(|why| fault("", why))?;
    tensor::value_of(cx.ret_type(), image)
}
