//! From a path on the command line to a verified module.

use crate::commands::REFUSED;
use crate::host::FileHost;
use stark_bundle::{Assets, Bundle, BundleError};
use stark_bytecode::{Module, VerifiedModule};
use stark_project::{Project, Refusal};
use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::render;
use stark_syntax::source::SourceMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest source or bytecode file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 31;

/// Reads a whole file with a sentence for each way it can fail.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|e| format!("cannot read {shown}: {}", reason(&e)))?;
    if meta.is_dir() {
        return Err(format!("{shown} is a folder; name a .stark or .starkbc file in it"));
    }
    if meta.len() > MAX_FILE {
        return Err(format!("{shown} has {} bytes, more than the limit of {MAX_FILE}", meta.len()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| format!("cannot read {shown}: {}", reason(&e)))?;
    // Pipes and devices do not say how long they are.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot read {shown}: {}", reason(&e)))?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(format!("{shown} has more bytes than the limit of {MAX_FILE}")),
        false => Ok(bytes),
    }
}

/// Reads a whole source.
pub fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        format!("{}:{line}: the file is not UTF-8 text (byte {at})", path.display())
    })
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        _ => error.to_string(),
    }
}

/// Prints diagnostics in the order of the text.
pub fn report(sources: &SourceMap, diagnostics: &[Diagnostic], json: bool) {
    let mut out = std::io::stderr().lock();
    let text = if json {
        render::json(sources, diagnostics)
    } else {
        let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        render::terminal(sources, diagnostics, color)
    };
    // Nothing can be said when standard error is closed.
    let _ = out.write_all(text.as_bytes());
}

/// What a compilation gave: the module unless there were errors.
pub struct Compiled {
    pub sources: SourceMap,
    pub diagnostics: Vec<Diagnostic>,
    pub module: Option<Module>,
    /// When it was compiled for its tests.
    pub tests: Vec<stark_compiler::TestEntry>,
}

impl Compiled {
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

/// Writes a file whole or not at all: beside it, then in its place. A link stays a link, and the permissions stay.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("cannot write {}: {}", path.display(), reason(&e));
    let target = std::fs::canonicalize(path).map_err(fail)?;
    let permissions = std::fs::metadata(&target).map_err(fail)?.permissions();
    if permissions.readonly() {
        return Err(format!("cannot write {}: it is read-only", path.display()));
    }
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let beside = target.with_file_name(name);
    let written = std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::set_permissions(&beside, permissions))
        .and_then(|()| std::fs::rename(&beside, &target));
    written.map_err(|e| {
        // What could not be finished is not left lying about.
        let _ = std::fs::remove_file(&beside);
        fail(e)
    })
}

/// A program as the command line names it: a file, or a folder with a `stark.toml`.
pub struct Target {
    /// The `.stark` or `.starkbc` file.
    pub file: PathBuf,
    /// The package around it; `None` for bytecode, which needs nothing else.
    pub project: Option<Project>,
}

impl Target {
    /// Finds what `path` names. The project's dependencies are compared with its `stark.lock`.
    pub fn find(path: &Path, locked: bool) -> Result<Target, i32> {
        let target = if path.is_dir() {
            let project = Project::of_folder(path).map_err(refused)?;
            let file = project.root().entry().unwrap_or_default();
            if !file.is_file() {
                let name = project.root().name();
                return Err(refuse(format!(
                    "package `{name}` has no {}: it is the `entry` of its stark.toml",
                    file.display()
                )));
            }
            Target { file, project: Some(project) }
        } else if is_bytecode(path).map_err(refuse)? {
            Target { file: path.to_path_buf(), project: None }
        } else {
            Target { file: path.to_path_buf(), project: Some(Project::of_file(path).map_err(refused)?) }
        };
        if let Some(project) = &target.project {
            for note in project.lock(locked).map_err(refuse)? {
                eprintln!("note: {note}");
            }
        }
        Ok(target)
    }

    /// What a message calls it.
    pub fn shown(&self) -> std::path::Display<'_> {
        self.file.display()
    }

    pub fn compile(&self, generate: bool, options: &stark_compiler::Options) -> Result<Compiled, String> {
        self.compile_text(text(&self.file)?, generate, options)
    }

    /// Compiles a text as if it stood in the file.
    pub fn compile_text(
        &self,
        text: String,
        generate: bool,
        options: &stark_compiler::Options,
    ) -> Result<Compiled, String> {
        let Some(project) = &self.project else {
            return Err(format!("{} is bytecode; a .stark source is needed here", self.shown()));
        };
        let mut sources = SourceMap::new();
        let root = sources.add(self.file.display().to_string(), text);
        let host = FileHost::new(project.clone(), &self.file);
        if generate {
            let done = stark_compiler::compile(&mut sources, root, &host, options);
            Ok(Compiled { sources, diagnostics: done.diagnostics, module: done.module, tests: done.tests })
        } else {
            let done = stark_compiler::check(&mut sources, root, &host, options);
            Ok(Compiled { sources, diagnostics: done.diagnostics, module: None, tests: Vec::new() })
        }
    }

    /// Its module, from the source or the `.starkbc` file.
    pub fn module(&self) -> Result<Module, i32> {
        if self.project.is_none() {
            return open(&self.file).map(|bundle| bundle.module);
        }
        let compiled = self.compile(true, &stark_compiler::Options::default()).map_err(refuse)?;
        report(&compiled.sources, &compiled.diagnostics, false);
        compiled.module.ok_or(REFUSED)
    }

    /// The file as it was built, with its assets; `None` when it is a source.
    pub fn bundle(&self) -> Result<Option<Bundle>, i32> {
        if self.project.is_some() { Ok(None) } else { open(&self.file).map(Some) }
    }

    /// What the package names as its assets, found as a bundle of it finds them; `None` when it names none.
    pub fn assets(&self) -> Result<Option<Arc<Assets>>, i32> {
        self.project.as_ref().map_or(Ok(None), assets)
    }

    pub fn verified(&self) -> Result<VerifiedModule, i32> {
        verify(self.module()?, &self.file)
    }
}

/// What a project names as its assets, in the files where they lie.
pub fn assets(project: &Project) -> Result<Option<Arc<Assets>>, i32> {
    let files = project.assets(None).map_err(refused)?;
    let sources: Vec<_> = files.iter().map(|file| crate::bundle::source(file, false)).collect();
    Ok((!sources.is_empty()).then(|| Arc::new(Assets::of_files(sources))))
}

/// Opens a `.starkbc` file.
pub fn open(path: &Path) -> Result<Bundle, i32> {
    Bundle::open(path).map_err(|error| {
        refuse(match error {
            // These say the path themselves.
            BundleError::Io { .. } => error.to_string(),
            error => format!("{}: {error}", path.display()),
        })
    })
}

/// Says why there is no project.
pub fn refused(refusal: Refusal) -> i32 {
    match refusal {
        Refusal::Message(message) => refuse(message),
        Refusal::Diagnostics(sources, diagnostics) => {
            report(&sources, &diagnostics, false);
            REFUSED
        }
    }
}

fn refuse(message: String) -> i32 {
    crate::commands::refuse(message)
}

pub fn verify(module: Module, path: &Path) -> Result<VerifiedModule, i32> {
    stark_bytecode::verify(module).map_err(|e| refuse(format!("{}: {e}", path.display())))
}

pub fn verified(path: &Path) -> Result<VerifiedModule, i32> {
    Target::find(path, false)?.verified()
}

/// Whether the file begins like a `.starkbc`; also when it is named so, that a cut file is called what it was meant to be.
pub fn is_bytecode(path: &Path) -> Result<bool, String> {
    if path.extension().is_some_and(|e| e == "starkbc") {
        return Ok(true);
    }
    use std::io::Read;
    let mut head = [0; 8];
    let mut file = std::fs::File::open(path).map_err(|e| format!("cannot read {}: {}", path.display(), reason(&e)))?;
    let n = file.read(&mut head).unwrap_or(0);
    Ok(head[..n].starts_with(&stark_bytecode::format::MAGIC))
}
