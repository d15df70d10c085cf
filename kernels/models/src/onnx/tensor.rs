//! `TensorProto` to a tensor: its bytes may be raw, typed, or in a file beside the model.
//!
//! Types that tensors here do not have are held in the next wider one (`UINT16` as `Int32`, `FLOAT8` as
//! `Float32`, four-bit ones as eight-bit ones), which holds every value of theirs exactly; `UINT64` as the `Int64` of the
//! same bits.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use stark_kernels::{DType, MAX_RANK, Tensor};

use super::proto::TensorProto;
use crate::format::Beside;
use crate::mapped::FileBytes;

/// How the elements of a type lie in raw data, and what holds them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Layout {
    Plain(DType),
    U16,
    U32,
    U64,
    /// Exponent bits, mantissa bits, and whether it is the variant without infinity and negative zero.
    F8 {
        exponent: u32,
        mantissa: u32,
        fnuz: bool,
    },
    /// Two in a byte, the low half first.
    U4,
    I4,
}

/// ONNX's `TensorProto.DataType`, where a tensor of it can be held.
fn layout(data_type: i32) -> Result<Layout, String> {
    use Layout::*;
    Ok(match data_type {
        1 => Plain(DType::F32),
        2 => Plain(DType::U8),
        3 => Plain(DType::I8),
        4 => U16,
        5 => Plain(DType::I16),
        6 => Plain(DType::I32),
        7 => Plain(DType::I64),
        9 => Plain(DType::Bool),
        10 => Plain(DType::F16),
        11 => Plain(DType::F64),
        12 => U32,
        13 => U64,
        16 => Plain(DType::BF16),
        17 => F8 { exponent: 4, mantissa: 3, fnuz: false },
        18 => F8 { exponent: 4, mantissa: 3, fnuz: true },
        19 => F8 { exponent: 5, mantissa: 2, fnuz: false },
        20 => F8 { exponent: 5, mantissa: 2, fnuz: true },
        21 => U4,
        22 => I4,
        other => return Err(format!("element type {} is not supported", type_name(other))),
    })
}

/// The dtype of a type that tensors have; wider types stand in for initialisers only.
pub fn dtype_of(data_type: i32) -> Option<DType> {
    match layout(data_type) {
        Ok(Layout::Plain(dtype)) => Some(dtype),
        _ => None,
    }
}

pub fn type_name(data_type: i32) -> String {
    const NAMES: [&str; 27] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
        "FLOAT8E8M0",
        "UINT2",
        "INT2",
    ];
    match usize::try_from(data_type).ok().and_then(|at| NAMES.get(at)) {
        Some(name) => name.to_string(),
        None => format!("number {data_type}"),
    }
}

impl Layout {
    /// Bytes of raw data for `n` elements.
    fn n_bytes(self, n: usize) -> Option<usize> {
        match self {
            Layout::Plain(dtype) => n.checked_mul(dtype.size()),
            Layout::U16 => n.checked_mul(2),
            Layout::U32 => n.checked_mul(4),
            Layout::U64 => n.checked_mul(8),
            Layout::F8 { .. } => Some(n),
            Layout::U4 | Layout::I4 => Some(n.div_ceil(2)),
        }
    }
}

/// Bytes of a tensor's data, as far as its type and dimensions make sense.
pub fn n_bytes(proto: &TensorProto) -> u64 {
    let n = proto.dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(usize::try_from(dim).ok()?));
    let bytes = n.and_then(|n| layout(proto.data_type).ok()?.n_bytes(n));
    // What a file claims beyond itself is refused where it is read.
    bytes.filter(|&bytes| bytes <= isize::MAX as usize).map_or(0, |bytes| bytes as u64)
}

/// Where data may lie: in the model, or beside it, each file opened once.
pub struct External<'a> {
    model: FileBytes,
    beside: Beside<'a>,
    files: RefCell<HashMap<String, FileBytes>>,
}

impl<'a> External<'a> {
    pub fn new(model: FileBytes, beside: Beside<'a>) -> External<'a> {
        External { model, beside, files: RefCell::default() }
    }

    fn open(&self, location: &str) -> Result<FileBytes, String> {
        if let Some(file) = self.files.borrow().get(location) {
            return Ok(file.clone());
        }
        let file = match self.beside {
            Beside::Nothing => {
                return Err(format!("its data is in the file `{location}`, but the model has no folder"));
            }
            Beside::Folder(folder) => External::in_folder(folder, location)?,
            Beside::Lookup(find) => find(location).map_err(|e| format!("its data is in the file `{location}`: {e}"))?,
        };
        self.files.borrow_mut().insert(location.to_string(), file.clone());
        Ok(file)
    }

    fn in_folder(folder: &Path, location: &str) -> Result<FileBytes, String> {
        let fail = |e: std::io::Error| format!("its data is in the file `{location}`: {e}");
        // Links are followed before the comparison, so none leads out of the folder.
        let folder = folder.canonicalize().map_err(fail)?;
        let path = folder.join(location).canonicalize().map_err(fail)?;
        if !path.starts_with(&folder) {
            return Err(format!("its data is in the file `{location}`, which is outside the model's folder"));
        }
        if !path.is_file() {
            return Err(format!("its data is in `{location}`, which is no file"));
        }
        FileBytes::open(&path).map_err(fail)
    }

    fn read(&self, proto: &TensorProto, n_bytes: usize) -> Result<(FileBytes, usize), String> {
        let (mut location, mut offset, mut length) = (None, 0u64, None);
        for entry in &proto.external_data {
            let number = || entry.value.parse::<u64>().map_err(|_| format!("`{}` is no {}", entry.value, entry.key));
            match entry.key.as_str() {
                "location" => location = Some(entry.value.as_str()),
                "offset" => offset = number()?,
                "length" => length = Some(number()?),
                _ => {}
            }
        }
        let file = self.open(location.ok_or("its external data has no location")?)?;
        if length.is_some_and(|length| length != n_bytes as u64) {
            return Err(format!("its external data has {} bytes, its shape makes {n_bytes}", length.unwrap_or(0)));
        }
        let start = usize::try_from(offset)
            .ok()
            .filter(|start| start.checked_add(n_bytes).is_some_and(|end| end <= file.len()));
        match start {
            Some(start) => Ok((file, start)),
            None => Err(format!("{n_bytes} bytes at {offset} reach past the end of its file of {} bytes", file.len())),
        }
    }
}

/// The tensor, with every size checked before its memory is asked for.
pub fn tensor(proto: &TensorProto, external: &External<'_>) -> Result<Tensor, String> {
    if proto.segment.is_some() {
        return Err("tensors in segments are not supported".into());
    }
    let layout = layout(proto.data_type)?;
    if proto.dims.len() > MAX_RANK {
        return Err(format!("{} dimensions, the limit is {MAX_RANK}", proto.dims.len()));
    }
    let shape: Vec<usize> = proto
        .dims
        .iter()
        .map(|&n| usize::try_from(n).map_err(|_| format!("a dimension of {n}")))
        .collect::<Result<_, _>>()?;
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let n_bytes = n.and_then(|n| layout.n_bytes(n)).filter(|&bytes| bytes <= isize::MAX as usize);
    let (Some(n), Some(n_bytes)) = (n, n_bytes) else { return Err(format!("shape {shape:?} overflows")) };
    if proto.data_location == 1 {
        let (file, start) = external.read(proto, n_bytes)?;
        return decode(layout, &file, &file[start..start + n_bytes], &shape);
    }
    let held = |n_held: usize| match n_held == n {
        true => Ok(()),
        false => Err(format!("shape {shape:?} makes {n} elements, its data has {n_held}")),
    };
    if let Some(raw) = proto.raw_data.as_ref().filter(|raw| !raw.is_empty()) {
        if raw.len() != n_bytes {
            return Err(format!("shape {shape:?} makes {n_bytes} bytes, its data has {}", raw.len()));
        }
        return decode(layout, &external.model, raw, &shape);
    }
    let say = |e: stark_kernels::TensorError| e.to_string();
    match proto.data_type {
        1 => {
            held(proto.float_data.len())?;
            Tensor::from_slice(&proto.float_data, &shape).map_err(say)
        }
        7 => {
            held(proto.int64_data.len())?;
            Tensor::from_slice(&proto.int64_data, &shape).map_err(say)
        }
        11 => {
            held(proto.double_data.len())?;
            Tensor::from_slice(&proto.double_data, &shape).map_err(say)
        }
        12 | 13 => {
            held(proto.uint64_data.len())?;
            let bytes: Vec<u8> = proto.uint64_data.iter().flat_map(|x| x.to_le_bytes()).collect();
            decode(Layout::U64, &external.model, &bytes, &shape)
        }
        // Everything of up to 32 bits comes in int32_data, one element (or one byte of two) in each.
        _ => {
            let size = match layout {
                Layout::U4 | Layout::I4 => 1,
                layout => layout.n_bytes(1).unwrap_or(1),
            };
            if proto.int32_data.len() * size != n_bytes {
                let held = proto.int32_data.len();
                return Err(format!("shape {shape:?} makes {} elements, its data has {held}", n_bytes / size));
            }
            let bytes: Vec<u8> = proto.int32_data.iter().flat_map(|x| x.to_le_bytes().into_iter().take(size)).collect();
            decode(layout, &external.model, &bytes, &shape)
        }
    }
}

/// `raw` has as many bytes as layout and shape make; they may be a part of `file`.
fn decode(layout: Layout, file: &FileBytes, raw: &[u8], shape: &[usize]) -> Result<Tensor, String> {
    let n: usize = shape.iter().product();
    match layout {
        Layout::Plain(dtype) => file.tensor(raw, dtype, shape),
        Layout::U16 => {
            Tensor::from_vec(raw.chunks_exact(2).map(|b| i32::from(u16::from_le_bytes([b[0], b[1]]))).collect(), shape)
        }
        Layout::U32 => Tensor::from_vec(
            raw.chunks_exact(4).map(|b| i64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect(),
            shape,
        ),
        // The bits: `held` says who reads them as what.
        Layout::U64 => Tensor::from_vec(
            raw.chunks_exact(8).map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect(),
            shape,
        ),
        Layout::F8 { exponent, mantissa, fnuz } => {
            Tensor::from_vec(raw.iter().map(|&b| float8(b, exponent, mantissa, fnuz)).collect(), shape)
        }
        Layout::U4 => Tensor::from_vec((0..n).map(|i| raw[i / 2] >> (i % 2 * 4) & 15).collect(), shape),
        Layout::I4 => {
            // Shifted to the top and back, so that the sign spreads.
            Tensor::from_vec((0..n).map(|i| ((raw[i / 2] >> (i % 2 * 4)) << 4) as i8 >> 4).collect(), shape)
        }
    }
    .map_err(|e| e.to_string())
}

/// A float of 8 bits.
pub fn float8(byte: u8, exponent: u32, mantissa: u32, fnuz: bool) -> f32 {
    let (sign, rest) = (if byte & 0x80 != 0 { -1.0 } else { 1.0 }, u32::from(byte & 0x7f));
    let (e, m) = (rest >> mantissa, rest & ((1 << mantissa) - 1));
    let bias = (1 << (exponent - 1)) - i32::from(!fnuz);
    let last = (1 << exponent) - 1;
    if fnuz {
        if byte == 0x80 {
            return f32::NAN;
        }
    } else if exponent == 4 && rest == 0x7f {
        return f32::NAN;
    } else if exponent == 5 && e == last {
        return if m == 0 { sign * f32::INFINITY } else { f32::NAN };
    }
    let fraction = m as f32 / (1 << mantissa) as f32;
    match e {
        0 => sign * fraction * 2f32.powi(1 - bias),
        e => sign * (1.0 + fraction) * 2f32.powi(e as i32 - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float8_numbers_are_those_of_the_standard() {
        for (byte, want) in [(0x00, 0.0), (0x01, 2f32.powi(-9)), (0x38, 1.0), (0x7e, 448.0), (0xb8, -1.0)] {
            assert_eq!(float8(byte, 4, 3, false), want, "{byte:#x}");
        }
        for (byte, want) in [(0x3c, 1.0), (0x7b, 57344.0), (0x7c, f32::INFINITY), (0x01, 2f32.powi(-16))] {
            assert_eq!(float8(byte, 5, 2, false), want, "{byte:#x}");
        }
        assert_eq!((float8(0x40, 4, 3, true), float8(0x7f, 4, 3, true)), (1.0, 240.0));
        assert_eq!(float8(0x40, 5, 2, true), 1.0);
        assert!(float8(0x7f, 4, 3, false).is_nan() && float8(0x80, 5, 2, true).is_nan());
    }

    #[test]
    fn data_may_be_raw_typed_or_packed_in_halves() {
        let none = External::new(Vec::new().into(), Beside::Nothing);
        let proto = |data_type, dims: &[i64]| TensorProto { data_type, dims: dims.to_vec(), ..Default::default() };
        let raw = TensorProto { raw_data: Some(vec![0x21, 0xf3].into()), ..proto(22, &[3]) };
        assert_eq!(tensor(&raw, &none).and_then(|t| t.to_vec::<i8>().map_err(|e| e.to_string())), Ok(vec![1, 2, 3]));
        let half = TensorProto { int32_data: vec![0x3c00, 0xc000], ..proto(10, &[2]) };
        let numbers: Vec<f64> = tensor(&half, &none).expect("half").to_scalars().iter().map(|x| x.to_f64()).collect();
        assert_eq!(numbers, [1.0, -2.0]);
        assert_eq!(tensor(&proto(7, &[0]), &none).expect("empty").shape(), [0]);
    }

    #[test]
    fn sizes_that_lie_are_refused_before_memory_is_taken() {
        let none = External::new(Vec::new().into(), Beside::Nothing);
        let proto = |data_type, dims: &[i64]| TensorProto { data_type, dims: dims.to_vec(), ..Default::default() };
        for (bad, words) in [
            (proto(1, &[1 << 40, 1 << 40]), "overflows"),
            (proto(1, &[1 << 40]), "elements"),
            (proto(1, &[-1]), "dimension"),
            (proto(8, &[1]), "STRING"),
            (TensorProto { raw_data: Some(vec![0; 7].into()), ..proto(1, &[2]) }, "8 bytes"),
            (TensorProto { data_location: 1, ..proto(1, &[2]) }, "location"),
        ] {
            let error = tensor(&bad, &none).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
