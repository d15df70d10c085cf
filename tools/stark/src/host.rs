//! The compiler's view of the file system: the modules of a project, and the models that a program names.

use stark_project::Project;
use std::cell::RefCell;
use std::collections::HashMap;

/// Finds modules where the project has them.
pub struct FileHost {
    project: Project,
    /// Why a module that is there could not be read.
    problems: RefCell<HashMap<String, String>>,
    /// The program's own file as a module of the project: importing it means the program itself.
    program: Option<String>,
}

impl FileHost {
    pub fn new(project: Project, program: &std::path::Path) -> FileHost {
        let program = project.module_of(program);
        FileHost { project, problems: RefCell::default(), program }
    }
}

impl stark_compiler::Host for FileHost {
    fn load(&self, module: &str) -> Option<(String, String)> {
        self.project.load(module).unwrap_or_else(|why| {
            self.problems.borrow_mut().insert(module.to_string(), why);
            None
        })
    }

    fn resolve(&self, from: &str, path: &str) -> String {
        let name = self.project.resolve(from, path);
        if self.program.as_ref() == Some(&name) { String::new() } else { name }
    }

    fn why_missing(&self, module: &str) -> Option<String> {
        self.problems.borrow().get(module).cloned()
    }

    fn model(&self, path: &str, method: &str) -> Option<stark_shapes::ModelSpec> {
        // As the program will find it: an asset of the package, else from the current directory.
        let asset = self.project.asset(path);
        let load = stark_models::Load::new().method(Some(method));
        load.file(asset.as_deref().unwrap_or(path.as_ref())).ok().map(|model| model.spec())
    }
}
