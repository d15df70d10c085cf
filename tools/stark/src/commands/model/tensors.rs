//! Tensors by name from a safetensors file, with errors that name the file.
//!
//! What is no tensor is told by the names: `in.0.0`, `in.0.1` are the items of a list, `in.0.KEY` those of a dict. A number is a
//! tensor of one element; the model says which of its inputs are numbers.

use std::path::{Path, PathBuf};

use stark_kernels::Tensor;
use stark_models::Value;
use stark_models::safetensors::SafeTensors;

pub struct Tensors {
    path: PathBuf,
    tensors: Vec<(String, Tensor)>,
    metadata: Vec<(String, String)>,
}

impl Tensors {
    /// Element types that tensors do not have come in the next wider one, as `load_tensors` gives them.
    pub fn read(path: &Path) -> Result<Tensors, String> {
        let bytes = stark_models::FileBytes::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = SafeTensors::parse(&bytes, &path.display().to_string()).map_err(|e| e.to_string())?;
        let read = |name: &str| file.tensor(name).map(|t| (name.to_string(), t)).map_err(|e| e.to_string());
        let tensors = file.entries.iter().map(|entry| read(&entry.name)).collect::<Result<_, _>>()?;
        Ok(Tensors { path: path.to_path_buf(), tensors, metadata: file.metadata })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor)
    }

    pub fn get(&self, name: &str) -> Result<&Tensor, String> {
        self.find(name).ok_or_else(|| {
            const SHOWN: usize = 12;
            let names: Vec<&str> = self.names().take(SHOWN).collect();
            let more = if self.tensors.len() > SHOWN { ", …" } else { "" };
            format!("{}: there is no tensor `{name}`; the file has {}{more}", self.path.display(), names.join(", "))
        })
    }

    /// The tensor of this name, or the list or dict whose items begin with it.
    pub fn value(&self, name: &str) -> Result<Option<Value>, String> {
        if let Some(tensor) = self.find(name) {
            return Ok(Some(Value::Tensor(tensor.clone())));
        }
        let items = self.tensors.iter().filter_map(|(full, tensor)| {
            let item = full.strip_prefix(name)?.strip_prefix('.')?;
            Some((item, Value::Tensor(tensor.clone())))
        });
        let items: Vec<(&str, Value)> = items.collect();
        if items.is_empty() {
            return Ok(None);
        }
        let say = |e: String| format!("{}: `{name}`: {e}", self.path());
        let places: Option<Vec<usize>> = items.iter().map(|(item, _)| item.parse().ok()).collect();
        let Some(places) = places else {
            let pairs = items.into_iter().map(|(key, value)| (Value::str(key), value)).collect();
            return Value::dict(pairs).map(Some).map_err(say);
        };
        let mut all: Vec<Option<Value>> = vec![None; items.len()];
        for (place, (item, value)) in places.into_iter().zip(items) {
            match all.get_mut(place).filter(|slot| slot.is_none()) {
                Some(slot) => *slot = Some(value),
                None => return Err(say(format!("item `{item}` does not follow the others, which count from 0"))),
            }
        }
        Value::list(all.into_iter().flatten().collect()).map(Some).map_err(say)
    }

    /// One of the writer's notes.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// A comma list among the writer's notes.
    pub fn list(&self, key: &str) -> Option<Vec<String>> {
        let text = self.note(key)?;
        Some(text.split(',').map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect())
    }

    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}
