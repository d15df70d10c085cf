//! The model's own data: the pickled object tree, and the tensors of its storages.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use stark_kernels::{DType, Tensor};

use crate::error::ModelError;
use crate::mapped::FileBytes;
use crate::pickle::{Id, Node, Pickle, Quantisation, Storage, StorageType, TensorRef};
use crate::value::Value;
use crate::zip::Archive;

/// Whether a class is one of PyTorch's own for packed weights, of which the state is all there is.
pub fn is_packed(class: &str) -> bool {
    class.starts_with("__torch__.torch.classes.")
}

/// One pickle of the archive and the folder of its storages.
#[derive(Debug)]
pub struct State<'a> {
    archive: &'a Archive,
    prefix: &'a str,
    /// `data` or `constants`.
    folder: &'static str,
    pub pickle: Pickle,
    storages: HashMap<Arc<str>, Value>,
    tensors: HashMap<Id, Value>,
}

impl<'a> State<'a> {
    /// Reads `{folder}.pkl`.
    pub fn read(archive: &'a Archive, prefix: &'a str, folder: &'static str) -> Result<State<'a>, ModelError> {
        let entry = format!("{prefix}{folder}.pkl");
        let bytes = archive.read(&entry)?;
        let pickle = Pickle::parse(&bytes).map_err(|e| ModelError::Pickle {
            file: archive.file().clone(),
            entry: format!("{folder}.pkl").into(),
            offset: e.offset,
            reason: match e.unknown_global {
                Some(name) if name.starts_with("torch.nn.") => format!(
                    "this is a pickled nn.Module (it names `{name}`), which only Python can run; \
                     export the module with torch.jit.trace(module, example).save(path)"
                ),
                _ => e.reason,
            },
        })?;
        Ok(State { archive, prefix, folder, pickle, storages: HashMap::new(), tensors: HashMap::new() })
    }

    /// The value of a node that is no object; `None` for objects and names.
    pub fn value(&mut self, id: Id) -> Result<Option<Value>, ModelError> {
        self.value_at(id, 0)
    }

    fn value_at(&mut self, id: Id, depth: u8) -> Result<Option<Value>, ModelError> {
        if depth > crate::value::MAX_DEPTH {
            return Err(self.refuse("values nest too deep".into()));
        }
        if let Some(value) = self.tensors.get(&id) {
            return Ok(Some(value.clone()));
        }
        let node = self.pickle.node(id).clone();
        let value = match node {
            Node::None => Value::None,
            Node::Bool(b) => Value::Bool(b),
            Node::Int(i) => Value::Int(i),
            Node::Float(f) => Value::Float(f),
            Node::Str(text) => Value::Str(text),
            Node::Tensor(tensor) => self.tensor(&tensor)?,
            Node::Tuple(items) => match self.values(&items, depth)? {
                Some(items) => Value::tuple(items).map_err(|e| self.refuse(e))?,
                None => return Ok(None),
            },
            Node::List(items) => match self.values(&items, depth)? {
                Some(items) => Value::frozen_list(items).map_err(|e| self.refuse(e))?,
                None => return Ok(None),
            },
            Node::Dict(items) => {
                let flat: Vec<Id> = items.iter().flat_map(|(k, v)| [*k, *v]).collect();
                let Some(flat) = self.values(&flat, depth)? else { return Ok(None) };
                let pairs = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
                Value::frozen_dict(pairs).map_err(|e| self.refuse(e))?
            }
            Node::Object { class, state: Some(state) } if is_packed(&class) => match self.value_at(state, depth + 1)? {
                Some(state) => state,
                None => return Ok(None),
            },
            Node::Object { .. } | Node::Global(_) | Node::Storage(_) => return Ok(None),
        };
        // Remembered by id: what is shared in the pickle is shared here, and read once.
        self.tensors.insert(id, value.clone());
        Ok(Some(value))
    }

    fn values(&mut self, ids: &[Id], depth: u8) -> Result<Option<Vec<Value>>, ModelError> {
        let mut out = Vec::with_capacity(ids.len());
        for &id in ids {
            match self.value_at(id, depth + 1)? {
                Some(value) => out.push(value),
                None => return Ok(None),
            }
        }
        Ok(Some(out))
    }

    /// A quantised tensor is a tuple of its whole numbers, their scale and their zero point, and the axis that these
    /// go along when they are tensors.
    fn tensor(&mut self, tensor: &TensorRef) -> Result<Value, ModelError> {
        if let Some(quantisation) = tensor.quantised {
            let plain = self.tensor(&TensorRef { quantised: None, ..tensor.clone() })?;
            let parts = match quantisation {
                Quantisation::PerTensor { scale, zero } => vec![plain, Value::Float(scale), Value::Int(zero)],
                Quantisation::PerChannel { scales, zeros, axis } => {
                    let mut parts = vec![plain];
                    for id in [scales, zeros] {
                        parts.extend(self.value_at(id, 0)?);
                    }
                    parts.push(Value::Int(axis));
                    parts
                }
            };
            return Value::tuple(parts).map_err(|e| self.refuse(e));
        }
        let whole = match self.storages.get(&tensor.storage.key) {
            Some(whole) => whole.clone(),
            None => {
                let whole = self.storage(&tensor.storage)?;
                self.storages.insert(tensor.storage.key.clone(), whole.clone());
                whole
            }
        };
        let view = |whole: &Tensor| {
            let strides: Vec<usize> = match tensor.sizes.contains(&0) {
                // Without elements strides mean nothing, and PyTorch's may be anything.
                true => vec![1; tensor.sizes.len()],
                false => tensor.strides.to_vec(),
            };
            let offset = if tensor.sizes.contains(&0) { 0 } else { tensor.offset };
            whole
                .as_strided(&tensor.sizes, &strides, offset)
                .map_err(|e| self.storage_error(&tensor.storage, e.to_string()))
        };
        Ok(match &whole {
            Value::Complex(parts) => Value::Complex(Arc::new((view(&parts.0)?, view(&parts.1)?))),
            Value::Tensor(whole) => Value::Tensor(view(whole)?),
            _ => return Err(self.refuse("a storage is no tensor".into())),
        })
    }

    /// All elements of a storage, as one flat tensor.
    fn storage(&self, storage: &Storage) -> Result<Value, ModelError> {
        let entry = format!("{}{}/{}", self.prefix, self.folder, storage.key);
        let (file, range): (FileBytes, Range<usize>) = self.archive.stored(&entry)?;
        let n_bytes = storage.numel.checked_mul(storage.kind.size()).unwrap_or(u64::MAX);
        let bytes = &file[range];
        let Some(bytes) = usize::try_from(n_bytes).ok().and_then(|n| bytes.get(..n)) else {
            let reason = format!(
                "{} elements of {} bytes are announced, the entry holds {} bytes",
                storage.numel,
                storage.kind.size(),
                bytes.len()
            );
            return Err(self.storage_error(storage, reason));
        };
        let n = storage.numel as usize;
        let flat = |bytes: &[u8], dtype| {
            file.tensor(bytes, dtype, &[n]).map_err(|e| self.storage_error(storage, e.to_string()))
        };
        let dtype = match storage.kind {
            StorageType::F64 => DType::F64,
            StorageType::F32 => DType::F32,
            StorageType::F16 => DType::F16,
            StorageType::BF16 => DType::BF16,
            StorageType::I64 => DType::I64,
            StorageType::I32 => DType::I32,
            StorageType::I16 => DType::I16,
            StorageType::I8 | StorageType::QI8 => DType::I8,
            StorageType::U8 | StorageType::QU8 => DType::U8,
            StorageType::Bool => DType::Bool,
            StorageType::C64 => {
                let part = |at: usize| -> Vec<u8> {
                    bytes.chunks_exact(8).flat_map(|pair| &pair[at..at + 4]).copied().collect()
                };
                return Ok(Value::Complex(Arc::new((flat(&part(0), DType::F32)?, flat(&part(4), DType::F32)?))));
            }
        };
        Ok(Value::Tensor(flat(bytes, dtype)?))
    }

    fn storage_error(&self, storage: &Storage, reason: String) -> ModelError {
        let entry = Some(format!("{}/{}", self.folder, storage.key));
        ModelError::Archive { file: self.archive.file().clone(), entry, reason }
    }

    fn refuse(&self, reason: String) -> ModelError {
        let entry = Some(format!("{}.pkl", self.folder));
        ModelError::Archive { file: self.archive.file().clone(), entry, reason }
    }
}
