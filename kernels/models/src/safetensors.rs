//! safetensors files: named tensors, and nothing else.
//!
//! `u64` header length, a JSON header, then the data, row-major and little-endian without holes.

use std::collections::HashSet;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use stark_kernels::{DType, Tensor, npy};

use crate::error::ModelError;
use crate::onnx::float8;

/// The longest header, in bytes.
pub const MAX_HEADER: u64 = 100_000_000;

/// One tensor of a file.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// As the header spells it: `F32`, `F8_E4M3` …
    pub dtype: String,
    pub shape: Vec<usize>,
    /// Bytes in the data part of the file.
    pub begin: usize,
    pub end: usize,
}

/// A file whose header passed every check.
#[derive(Debug)]
pub struct SafeTensors<'a> {
    file: Arc<str>,
    data: &'a [u8],
    /// In the order of the header.
    pub entries: Vec<Entry>,
    pub metadata: Vec<(String, String)>,
}

impl<'a> SafeTensors<'a> {
    /// Checks the header of `bytes`; `file` is the name for errors.
    pub fn parse(bytes: &'a [u8], file: &str) -> Result<SafeTensors<'a>, ModelError> {
        let file: Arc<str> = file.into();
        SafeTensors::parse_inner(bytes, file.clone()).map_err(|reason| ModelError::Archive {
            file,
            entry: None,
            reason,
        })
    }

    fn parse_inner(bytes: &'a [u8], file: Arc<str>) -> Result<SafeTensors<'a>, String> {
        if bytes.starts_with(b"\x93NUMPY") {
            return Err("this is a NumPy file, which `load_npy` reads".into());
        }
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or("shorter than the 8 bytes of a header length")?;
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER {
            return Err(format!("a header of {length} bytes, the limit is {MAX_HEADER}"));
        }
        if length > rest.len() as u64 {
            return Err(format!("a header of {length} bytes, {} are left", rest.len()));
        }
        let (header, data) = rest.split_at(length as usize);
        let header = std::str::from_utf8(header).map_err(|_| "the header is not UTF-8")?;
        let (mut entries, mut metadata) = (Vec::new(), Vec::new());
        for (name, raw) in unique_items(header)? {
            if name == "__metadata__" {
                for (key, value) in unique_items(raw.get())? {
                    let value = serde_json::from_str(value.get()).map_err(|e| format!("metadata `{key}`: {e}"))?;
                    metadata.push((key, value));
                }
            } else {
                let entry = entry(&name, raw.get()).map_err(|reason| format!("tensor `{name}`: {reason}"))?;
                if entry.end > data.len() {
                    return Err(format!("tensor `{name}` ends at byte {} of {}", entry.end, data.len()));
                }
                entries.push(entry);
            }
        }
        let mut order: Vec<&Entry> = entries.iter().collect();
        order.sort_by_key(|e| (e.begin, e.end));
        let mut at = 0;
        for entry in order {
            if entry.begin != at {
                let what = if entry.begin < at { "overlaps the tensor before it" } else { "leaves a hole before it" };
                return Err(format!("tensor `{}` {what}", entry.name));
            }
            at = entry.end;
        }
        if at != data.len() {
            return Err(format!("{} bytes follow the last tensor", data.len() - at));
        }
        Ok(SafeTensors { file, data, entries, metadata })
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        let fail =
            |reason: String| ModelError::Archive { file: self.file.clone(), entry: Some(name.to_string()), reason };
        let entry = self.get(name).ok_or_else(|| fail("there is no such tensor".into()))?;
        decode(&entry.dtype, &self.data[entry.begin..entry.end], &entry.shape).map_err(fail)
    }
}

/// `raw` has as many bytes as dtype and shape make. Dtypes that tensors do not have are held in the next wider one, which has
/// every value of theirs; a complex number is a pair along one axis more.
fn decode(dtype: &str, raw: &[u8], shape: &[usize]) -> Result<Tensor, String> {
    let made = match (dtype_of(dtype), dtype) {
        (Some(dtype), _) => Tensor::from_bytes(raw, dtype, shape),
        (_, "C64") => Tensor::from_bytes(raw, DType::F32, &[shape, &[2]].concat()),
        (_, "U16") => npy::from_unsigned(raw, 2, shape),
        (_, "U32") => npy::from_unsigned(raw, 4, shape),
        (_, "U64") => npy::from_unsigned(raw, 8, shape),
        (_, "F8_E4M3") => Tensor::from_vec(raw.iter().map(|&b| float8(b, 4, 3, false)).collect(), shape),
        (_, "F8_E5M2") => Tensor::from_vec(raw.iter().map(|&b| float8(b, 5, 2, false)).collect(), shape),
        _ => return Err(format!("dtype {dtype} is not supported")),
    };
    made.map_err(|e| e.to_string())
}

fn dtype_of(name: &str) -> Option<DType> {
    Some(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "I32" => DType::I32,
        "I16" => DType::I16,
        "I8" => DType::I8,
        "U8" => DType::U8,
        "BOOL" => DType::Bool,
        _ => return None,
    })
}

fn item_size(name: &str) -> Option<usize> {
    Some(match name {
        "F8_E4M3" | "F8_E5M2" => 1,
        "U16" => 2,
        "U32" => 4,
        "C64" | "U64" => 8,
        name => dtype_of(name)?.size(),
    })
}

fn entry(name: &str, json: &str) -> Result<Entry, String> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    for (key, raw) in unique_items(json)? {
        let text = raw.get();
        match key.as_str() {
            "dtype" => dtype = Some(serde_json::from_str::<String>(text).map_err(|e| e.to_string())?),
            "shape" => shape = Some(serde_json::from_str::<Vec<usize>>(text).map_err(|e| e.to_string())?),
            "data_offsets" => offsets = Some(serde_json::from_str::<[usize; 2]>(text).map_err(|e| e.to_string())?),
            key => return Err(format!("unknown key `{key}`")),
        }
    }
    let dtype = dtype.ok_or("no dtype")?;
    let shape = shape.ok_or("no shape")?;
    let [begin, end] = offsets.ok_or("no data_offsets")?;
    let size = item_size(&dtype).ok_or_else(|| format!("dtype {dtype} is not known"))?;
    let n_bytes = shape.iter().try_fold(size, |n, &d| n.checked_mul(d)).ok_or("its element count overflows")?;
    let held = end.checked_sub(begin).ok_or("its data ends before it begins")?;
    if held != n_bytes {
        return Err(format!("shape and dtype make {n_bytes} bytes, its data has {held}"));
    }
    Ok(Entry { name: name.to_string(), dtype, shape, begin, end })
}

/// The items of a JSON object in order; keys may occur once.
fn unique_items(json: &str) -> Result<Vec<(String, Box<RawValue>)>, String> {
    struct Items;
    impl<'de> Visitor<'de> for Items {
        type Value = Vec<(String, Box<RawValue>)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut items, mut seen) = (Vec::new(), HashSet::new());
            while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                if !seen.insert(key.clone()) {
                    return Err(serde::de::Error::custom(format!("key `{key}` occurs twice")));
                }
                items.push((key, value));
            }
            Ok(items)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let items = reader.deserialize_map(Items).map_err(|e| format!("the header is not valid JSON: {e}"))?;
    reader.end().map_err(|e| format!("the header is not valid JSON: {e}"))?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtypes_that_tensors_lack_come_in_the_next_wider_one() {
        let numbers = |dtype: &str, raw: &[u8], shape: &[usize]| {
            let t = decode(dtype, raw, shape)?;
            let numbers: Vec<f64> = t.to_scalars().iter().map(|x| x.to_f64()).collect();
            Ok::<_, String>((t.dtype(), t.shape().to_vec(), numbers))
        };
        assert_eq!(numbers("U16", &[0xff, 0xff, 1, 0], &[2]), Ok((DType::I32, vec![2], vec![65535.0, 1.0])));
        assert_eq!(numbers("U32", &[0xff; 4], &[]), Ok((DType::I64, vec![], vec![f64::from(u32::MAX)])));
        assert_eq!(numbers("F8_E4M3", &[0x38, 0xb8], &[2]), Ok((DType::F32, vec![2], vec![1.0, -1.0])));
        assert_eq!(numbers("F8_E5M2", &[0x3c], &[1]), Ok((DType::F32, vec![1], vec![1.0])));
        let pair: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(numbers("C64", &pair, &[1]), Ok((DType::F32, vec![1, 2], vec![1.5, -2.0])));
        assert!(numbers("U64", &[0xff; 8], &[1]).is_err_and(|e| e.contains("does not fit in an Int64")));
        let error = SafeTensors::parse(b"\x93NUMPY\x01\0 and more", "x.npy").expect_err("no safetensors").to_string();
        assert_eq!(error, "x.npy: this is a NumPy file, which `load_npy` reads");
    }
}
