//! Tensors by name from a safetensors file, with errors that name the file.

use std::path::{Path, PathBuf};

use stark_kernels::Tensor;
use stark_kernels::safetensors::SafeTensors;

pub struct Tensors {
    path: PathBuf,
    tensors: Vec<(String, Tensor)>,
    metadata: Vec<(String, String)>,
}

impl Tensors {
    pub fn read(path: &Path) -> Result<Tensors, String> {
        let say = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let bytes = stark_models::FileBytes::open(path).map_err(|e| say(&e))?;
        let parsed = SafeTensors::parse(&bytes).map_err(|e| say(&e))?;
        let tensors = parsed.load().map_err(|e| say(&e))?;
        Ok(Tensors { path: path.to_path_buf(), tensors, metadata: parsed.metadata().to_vec() })
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

    /// A comma list among the writer's notes.
    pub fn list(&self, key: &str) -> Option<Vec<String>> {
        let text = self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v)?;
        Some(text.split(',').map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect())
    }

    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}
