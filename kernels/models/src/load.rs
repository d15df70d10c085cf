//! From a file to a model.

use std::path::Path;
use std::sync::Arc;

use stark_kernels::accelerator::Accelerator;
use stark_kernels::cpu::buffer;

use crate::error::ModelError;
use crate::format::{self, Beside};
use crate::mapped::FileBytes;
use crate::model::Model;
use crate::opt::{self, Pass, optimise};
use crate::place::{keep_constants, place_constants};
use crate::prepack;
use crate::zip::test_seals;

/// How a model is loaded: [`Load::new`], and what is to be otherwise.
#[derive(Clone)]
pub struct Load<'a> {
    passes: &'a [Pass],
    accelerator: Option<Arc<dyn Accelerator>>,
    method: Option<&'a str>,
}

impl Default for Load<'_> {
    fn default() -> Self {
        Load { passes: &Pass::ALL, accelerator: None, method: None }
    }
}

impl<'a> Load<'a> {
    /// With all passes of the optimiser, for the processor.
    pub fn new() -> Load<'a> {
        Load::default()
    }

    /// With these passes of the optimiser alone.
    pub fn passes(self, passes: &'a [Pass]) -> Load<'a> {
        Load { passes, ..self }
    }

    /// To run on `accelerator`, if there is one. What it has no kernel for the processor computes; the accelerator's statistics tell
    /// which operations those were.
    pub fn on(self, accelerator: Option<Arc<dyn Accelerator>>) -> Load<'a> {
        Load { accelerator, ..self }
    }

    /// Another method of a TorchScript module than `forward`: one that `torch.jit.export` marks. When none is named, a module without
    /// `forward` gives its first.
    pub fn method(self, method: Option<&'a str>) -> Load<'a> {
        Load { method, ..self }
    }

    /// Loads the file at `path`, and from its folder what it keeps beside it.
    ///
    /// A file of 16 MiB or more ([`crate::MAP_FROM`]) is memory-mapped until its weights are packed, which goes on for about half a
    /// millisecond a megabyte after this has returned. It must not be truncated meanwhile: a new version takes its place by a rename.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Model, ModelError> {
        let path = path.as_ref();
        let file: Arc<str> = path.display().to_string().into();
        let bytes = FileBytes::open(path).map_err(|e| ModelError::Io { file: file.clone(), reason: e.to_string() })?;
        self.model(bytes, file, Beside::file(path))
    }

    /// From the bytes of a file; `name` is for errors.
    pub fn bytes(self, bytes: impl Into<FileBytes>, name: &str) -> Result<Model, ModelError> {
        self.model(bytes.into(), name.into(), Beside::Nothing)
    }

    /// As [`Load::bytes`]; `find` gives the files that the model keeps beside it, by their paths from its folder.
    pub fn bytes_and(
        self,
        bytes: impl Into<FileBytes>,
        name: &str,
        find: &(dyn Fn(&str) -> Result<FileBytes, String> + Sync),
    ) -> Result<Model, ModelError> {
        self.model(bytes.into(), name.into(), Beside::Lookup(find))
    }

    fn model(self, bytes: FileBytes, file: Arc<str>, beside: Beside<'_>) -> Result<Model, ModelError> {
        let Load { passes, accelerator, method } = self;
        // The layout of packed filters is the processor's.
        let is_its = |pass: &Pass| accelerator.is_none() || *pass != Pass::Filter;
        // Weights as the file has them go when they are packed, once.
        let imported = buffer::without_keeping(|| {
            let mut imported = format::import(&file, bytes.clone(), beside, method)?;
            opt::own(&mut imported.graph);
            optimise(&mut imported.graph, &passes.iter().copied().filter(is_its).collect::<Vec<_>>());
            if let Some(accelerator) = &accelerator {
                let placed = place_constants(&mut imported.graph, accelerator);
                placed.map_err(|e| ModelError::Device { file: file.clone(), reason: e.to_string() })?;
            }
            let kept = keep_constants(&mut imported.graph);
            kept.map_err(|e| ModelError::Archive { file: file.clone(), entry: None, reason: e.to_string() })?;
            // By now most of the weights were read.
            test_seals(&file, &bytes)?;
            Ok(imported)
        })?;
        prepack::begin(&imported.graph);
        Ok(Model::new(file, imported, accelerator))
    }
}

impl Model {
    /// Loads a TorchScript, `torch.export` or ONNX file, told apart by content; other formats get an error that
    /// says what they are. As [`Load::file`].
    pub fn load(path: impl AsRef<Path>) -> Result<Model, ModelError> {
        Load::new().file(path)
    }

    /// As [`Model::load`], from the bytes of the file; `name` is for errors.
    pub fn load_bytes(bytes: impl Into<FileBytes>, name: &str) -> Result<Model, ModelError> {
        Load::new().bytes(bytes, name)
    }
}
