//! STARK's compiler: from sources to a bytecode module. Pure: sources and model signatures reach it through `Host`.

pub mod codegen;
pub mod hir;
pub mod index;

mod check;
mod collect;
mod exhaustive;
mod flow;
mod resolve;
mod session;
mod shapes;
mod types;

use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::source::{SourceId, SourceMap};

/// What the compiler asks of its caller.
pub trait Host {
    /// The path to show and the text of module `a.b`, when the program has it.
    fn load(&self, module_path: &str) -> Option<(String, String)>;

    /// What the model file at a path that stands in the program says of itself, when it is there and can be read.
    fn model(&self, _path: &str) -> Option<stark_shapes::ModelSpec> {
        None
    }
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Checks every function of the standard library, not only what the program uses.
    pub check_all_of_std: bool,
}

/// The typed program, when there is no error, and everything there is to say about the text.
#[derive(Debug)]
pub struct Checked {
    pub program: Option<hir::Program>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Names, types and the rules of ownership and concurrency.
pub fn check(sources: &mut SourceMap, root: SourceId, host: &dyn Host, options: &Options) -> Checked {
    let mut diagnostics = Vec::new();
    let (parsed, root_idx) = resolve::graph::load(sources, root, host, options.check_all_of_std, &mut diagnostics);
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return Checked { program: None, diagnostics };
    }
    let mut checker = session::Checker::new(sources, &parsed, host, diagnostics);
    checker.run(root_idx, options);
    checker.finish()
}

/// What an editor asks about a program: what there is to say, and what is known of it all the same.
pub struct Analysis {
    pub diagnostics: Vec<Diagnostic>,
    pub index: index::Index,
}

/// `check` for a text that is being written: what can be understood of it is indexed, also with errors in the syntax.
pub fn analyse(sources: &mut SourceMap, root: SourceId, host: &dyn Host, options: &Options) -> Analysis {
    let mut syntax = Vec::new();
    let (parsed, root_idx) = resolve::graph::load(sources, root, host, true, &mut syntax);
    let broken = syntax.iter().any(|d| d.severity == Severity::Error);
    let mut checker = session::Checker::new(sources, &parsed, host, syntax.clone());
    checker.recorder = Some(Box::default());
    checker.run(root_idx, options);
    let (checked, notes) = checker.finish_with_notes();
    // What cannot be read makes names and types go missing: one error tells enough.
    let diagnostics = if broken { syntax } else { checked };
    Analysis { diagnostics, index: index::Index::new(notes, parsed) }
}

/// A checked program as bytecode, when there is no error.
#[derive(Debug)]
pub struct Compilation {
    pub module: Option<stark_bytecode::Module>,
    pub diagnostics: Vec<Diagnostic>,
}

/// `check`, then code generation.
pub fn compile(sources: &mut SourceMap, root: SourceId, host: &dyn Host, options: &Options) -> Compilation {
    let Checked { program, mut diagnostics } = check(sources, root, host, options);
    let Some(program) = program else { return Compilation { module: None, diagnostics } };
    match codegen::generate(&program, sources) {
        Ok(module) => Compilation { module: Some(module), diagnostics },
        Err(errors) => {
            diagnostics.extend(errors);
            Compilation { module: None, diagnostics }
        }
    }
}
