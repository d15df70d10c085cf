//! The compiler's view of the file system: modules beside the program.

use std::path::{Path, PathBuf};

/// Finds module `a.b` as `a/b.stark` in the program's folder.
pub struct FileHost {
    root: PathBuf,
}

impl FileHost {
    pub fn beside(program: &Path) -> FileHost {
        FileHost { root: program.parent().map(Path::to_path_buf).unwrap_or_default() }
    }
}

impl stark_compiler::Host for FileHost {
    fn load(&self, module_path: &str) -> Option<(String, String)> {
        let mut path = self.root.clone();
        path.extend(module_path.split('.'));
        path.set_extension("stark");
        let text = std::fs::read_to_string(&path).ok()?;
        Some((path.display().to_string(), text))
    }

    fn model(&self, path: &str) -> Option<stark_shapes::ModelSpec> {
        // As the program will find it: from the current directory.
        stark_models::Model::load(path).ok().map(|model| model.spec())
    }
}
