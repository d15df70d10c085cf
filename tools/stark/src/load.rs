//! From a path on the command line to a verified module.

use crate::commands::REFUSED;
use crate::host::FileHost;
use stark_bytecode::{Module, VerifiedModule};
use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::render;
use stark_syntax::source::SourceMap;
use std::io::{IsTerminal, Write};
use std::path::Path;

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
    std::fs::read(path).map_err(|e| format!("cannot read {shown}: {}", reason(&e)))
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
}

impl Compiled {
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

pub fn compile(path: &Path, generate: bool) -> Result<Compiled, String> {
    let text = text(path)?;
    let mut sources = SourceMap::new();
    let root = sources.add(path.display().to_string(), text);
    let host = FileHost::beside(path);
    let options = stark_compiler::Options::default();
    if generate {
        let done = stark_compiler::compile(&mut sources, root, &host, &options);
        Ok(Compiled { sources, diagnostics: done.diagnostics, module: done.module })
    } else {
        let done = stark_compiler::check(&mut sources, root, &host, &options);
        Ok(Compiled { sources, diagnostics: done.diagnostics, module: None })
    }
}

/// A module from a `.stark` source or a `.starkbc` file, told apart by content.
pub fn module(path: &Path) -> Result<Module, i32> {
    let refuse = |message: String| crate::commands::refuse(message);
    let is_bytecode = is_bytecode(path).map_err(refuse)?;
    if is_bytecode {
        let bytes = read(path).map_err(refuse)?;
        return stark_bytecode::decode(&bytes).map_err(|e| refuse(format!("{}: {e}", path.display())));
    }
    let compiled = compile(path, true).map_err(refuse)?;
    report(&compiled.sources, &compiled.diagnostics, false);
    compiled.module.ok_or(REFUSED)
}

pub fn verified(path: &Path) -> Result<VerifiedModule, i32> {
    let module = module(path)?;
    stark_bytecode::verify(module).map_err(|e| crate::commands::refuse(format!("{}: {e}", path.display())))
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
