//! The tensors of a `torch.export` archive: parameters, buffers and constants, each a view of an entry's bytes.

use std::collections::{HashMap, HashSet};

use stark_kernels::{DType, Tensor};

use super::schema::{Payload, PayloadConfig, Size, TensorMeta};
use crate::error::ModelError;
use crate::ops::args::code_of_dtype;
use crate::ops::complex::complex;
use crate::value::Value;
use crate::zip::Archive;

/// PyTorch's numbers for element types in these archives, which are not those of TorchScript.
pub fn dtype_of(number: i64) -> Result<DType, String> {
    Ok(match number {
        1 => DType::U8,
        2 => DType::I8,
        3 => DType::I16,
        4 => DType::I32,
        5 => DType::I64,
        6 => DType::F16,
        7 => DType::F32,
        8 => DType::F64,
        12 => DType::Bool,
        13 => DType::BF16,
        9..=11 => return Err("complex numbers do not fit here".into()),
        28 | 34 | 35 => return Err("unsigned ints of more than 8 bits are not supported".into()),
        29..=33 => return Err("float8 tensors are not supported".into()),
        other => return Err(format!("dtype number {other} is not supported")),
    })
}

/// The number of a dtype by which TorchScript, and so the rows of operators, know it.
pub fn code_of(number: i64) -> Result<i64, String> {
    match number {
        9..=11 => Ok(number - 1),
        _ => dtype_of(number).map(code_of_dtype),
    }
}

/// The dtype of the parts of complex numbers.
fn part_of(number: i64) -> Option<DType> {
    match number {
        10 => Some(DType::F32),
        11 => Some(DType::F64),
        _ => None,
    }
}

/// A tensor of the model's own.
pub struct Weight {
    pub value: Value,
    pub shape: Vec<usize>,
    pub dtype: String,
    /// Whether it is a parameter, as opposed to a buffer or constant.
    pub is_trained: bool,
    /// Not a second name for a tensor that was given before.
    pub is_first: bool,
}

/// One folder of payloads and what it says about them.
pub struct Payloads<'a> {
    archive: &'a Archive,
    /// With the archive's prefix, ending in `/`.
    folder: String,
    config: HashMap<String, Payload>,
    /// Entries that were read: tied weights share one.
    storages: HashMap<(String, DType), Tensor>,
    /// Places and shapes of the tensors that were given.
    seen: HashSet<(String, usize, Vec<usize>)>,
}

impl<'a> Payloads<'a> {
    /// `config` is the file's name inside the folder; a folder that is not there has no payloads.
    pub fn read(archive: &'a Archive, folder: String, config: &str) -> Result<Payloads<'a>, ModelError> {
        let entry = format!("{folder}{config}");
        let config = match archive.get(&entry) {
            None => HashMap::new(),
            Some(_) => {
                let bytes = archive.read(&entry)?;
                let parsed: PayloadConfig = serde_json::from_slice(&bytes).map_err(|e| ModelError::Archive {
                    file: archive.file().clone(),
                    entry: Some(entry),
                    reason: format!("is no payload configuration: {e}"),
                })?;
                parsed.config.0
            }
        };
        Ok(Payloads { archive, folder, config, storages: HashMap::new(), seen: HashSet::new() })
    }

    pub fn has(&self, name: &str) -> bool {
        self.config.contains_key(name)
    }

    /// The tensor of this name.
    pub fn tensor(&mut self, name: &str) -> Result<Weight, ModelError> {
        let Some(payload) = self.config.get(name) else {
            let reason = format!("has no tensor for `{name}`");
            return Err(self.refuse(self.folder.trim_end_matches('/'), reason));
        };
        let entry = format!("{}{}", self.folder, payload.path_name);
        let fail = |reason: String| self.refuse(&entry, format!("tensor `{name}`: {reason}"));
        if payload.use_pickle {
            return Err(fail("is a pickle, which only Python can run".into()));
        }
        let Some(meta) = &payload.tensor_meta else { return Err(fail("has no shape".into())) };
        let parts = part_of(meta.dtype);
        let dtype = parts.map_or_else(|| dtype_of(meta.dtype), Ok).map_err(fail)?;
        let key = (payload.path_name.clone(), dtype);
        let whole = match self.storages.get(&key) {
            Some(whole) => whole.clone(),
            None => {
                let (file, range) = self.archive.stored(&entry)?;
                let n = range.len() / dtype.size();
                let bytes = &file[range.start..range.start + n * dtype.size()];
                file.tensor(bytes, dtype, &[n]).map_err(|e| fail(e.to_string()))?
            }
        };
        let n_parts = if parts.is_some() { 2 } else { 1 };
        let part = |at: usize| view(&whole, meta, n_parts, at).map_err(fail);
        let (first, second) = (part(0)?, parts.map(|_| part(1)).transpose()?);
        let (shape, is_trained) = (first.shape().to_vec(), payload.is_param);
        let is_first = self.seen.insert((payload.path_name.clone(), first.offset(), shape.clone()));
        let (value, dtype) = match second {
            None => (Value::Tensor(first), format!("{dtype:?}")),
            Some(second) => (complex(first, second), format!("complex {dtype:?}")),
        };
        self.storages.insert(key, whole);
        Ok(Weight { value, shape, dtype, is_trained, is_first })
    }

    fn refuse(&self, entry: &str, reason: String) -> ModelError {
        ModelError::Archive { file: self.archive.file().clone(), entry: Some(entry.to_string()), reason }
    }
}

/// Number `part` of each element, whose `n_parts` numbers lie side by side.
fn view(whole: &Tensor, meta: &TensorMeta, n_parts: usize, part: usize) -> Result<Tensor, String> {
    let number = |size: &Size| match size {
        Size::AsInt(n) => usize::try_from(*n).map_err(|_| format!("a size of {n}")),
        Size::AsExpr(e) => Err(format!("a size of {}", e.expr_str)),
    };
    let wide = |size: &Size| Ok::<_, String>(number(size)?.saturating_mul(n_parts));
    let sizes = meta.sizes.iter().map(number).collect::<Result<Vec<_>, _>>()?;
    let strides = meta.strides.iter().map(wide).collect::<Result<Vec<_>, _>>()?;
    if sizes.contains(&0) {
        // Without elements strides mean nothing, and PyTorch's may be anything.
        return Tensor::zeros(&sizes, whole.dtype()).map_err(|e| e.to_string());
    }
    let offset = wide(&meta.storage_offset)?.saturating_add(part);
    whole.as_strided(&sizes, &strides, offset).map_err(|e| e.to_string())
}
