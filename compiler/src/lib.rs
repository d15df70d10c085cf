//! STARK's compiler: from sources to a bytecode module. Pure: sources and model signatures reach it through `Host`.

pub mod codegen;
pub mod hir;
pub mod index;

mod check;
mod collect;
mod entry;
mod exhaustive;
mod flow;
mod foreign;
mod resolve;
mod session;
mod shapes;
mod types;

pub use entry::{Entry, Left, Variable};

use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::source::{SourceId, SourceMap};
use stark_syntax::token::TokenKind;

/// What the compiler asks of its caller.
pub trait Host {
    /// The path to show and the text of a module, by the name that `resolve` gave, when the program has it.
    fn load(&self, module: &str) -> Option<(String, String)>;

    /// The one name of the module that `import path` means inside the module `from`; `""` is the program's own file.
    /// Modules of another package are called `package::a.b`.
    fn resolve(&self, _from: &str, path: &str) -> String {
        path.to_string()
    }

    /// Why `load` gave nothing, when it is more than that there is no such file.
    fn why_missing(&self, _module: &str) -> Option<String> {
        None
    }

    /// What the model file at a path that stands in the program says of itself, or of its `method`, when it is there and can be read.
    fn model(&self, _path: &str, _method: &str) -> Option<stark_shapes::ModelSpec> {
        None
    }
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Checks every function of the standard library, not only what the program uses.
    pub check_all_of_std: bool,
    /// Compiles the program for its tests: `main` is not called, and each test can be run by itself.
    pub tests: bool,
}

/// The typed program, when there is no error, and everything there is to say about the text.
#[derive(Debug)]
pub struct Checked {
    pub program: Option<hir::Program>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Names, types and the rules of ownership and concurrency.
pub fn check(sources: &mut SourceMap, root: SourceId, host: &dyn Host, options: &Options) -> Checked {
    check_as(sources, root, host, options, None).0
}

fn check_as(
    sources: &mut SourceMap,
    root: SourceId,
    host: &dyn Host,
    options: &Options,
    entry: Option<&Entry>,
) -> (Checked, Option<Left>) {
    let mut diagnostics = Vec::new();
    let whole = options.check_all_of_std;
    let (parsed, root_idx) = resolve::graph::load(sources, root, host, whole, entry, &mut diagnostics);
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return (Checked { program: None, diagnostics }, None);
    }
    let mut checker = session::Checker::new(sources, &parsed, host, diagnostics);
    checker.session = entry.map(|entry| {
        let text = sources.text(root);
        let words = stark_syntax::lex(text, root).tokens.into_iter().filter(|token| token.kind == TokenKind::Ident);
        let names = words.map(|token| text[token.start as usize..token.end as usize].into()).collect();
        entry::State::new(entry.clone(), names)
    });
    checker.run(root_idx, options);
    let left = checker.entry_left();
    (checker.finish(), left)
}

/// An entry of a session as bytecode, when there is no error.
#[derive(Debug)]
pub struct CompiledEntry {
    pub module: Option<stark_bytecode::Module>,
    /// Types whose declaration is in this entry.
    pub fresh: Vec<stark_bytecode::TypeId>,
    pub left: Left,
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles an entry of a session; `entry` is what the entries before it left.
pub fn compile_entry(sources: &mut SourceMap, root: SourceId, host: &dyn Host, entry: &Entry) -> CompiledEntry {
    let mut entry = entry.clone();
    loop {
        let (checked, left) = check_as(sources, root, host, &Options::default(), Some(&entry));
        let Checked { program, mut diagnostics } = checked;
        let moved: Vec<u32> =
            entry::moved_slots(&diagnostics).into_iter().filter(|slot| !entry.moved.contains(slot)).collect();
        if !moved.is_empty() {
            entry.moved.extend(moved);
            continue;
        }
        let left = left.unwrap_or_default();
        let Some(program) = program else {
            return CompiledEntry { module: None, fresh: Vec::new(), left, diagnostics };
        };
        return match codegen::generate_entry(&program, sources, root) {
            Ok((module, fresh)) => CompiledEntry { module: Some(module), fresh, left, diagnostics },
            Err(errors) => {
                diagnostics.extend(errors);
                CompiledEntry { module: None, fresh: Vec::new(), left, diagnostics }
            }
        };
    }
}

/// What an editor asks about a program: what there is to say, and what is known of it all the same.
pub struct Analysis {
    pub diagnostics: Vec<Diagnostic>,
    pub index: index::Index,
}

/// `check` for a text that is being written: what can be understood of it is indexed, also with errors in the syntax.
pub fn analyse(sources: &mut SourceMap, root: SourceId, host: &dyn Host, options: &Options) -> Analysis {
    let mut syntax = Vec::new();
    // The whole library: an editor offers also what the text does not name yet.
    let (parsed, root_idx) = resolve::graph::load(sources, root, host, true, None, &mut syntax);
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
    /// With `Options::tests`, in the order of the text.
    pub tests: Vec<TestEntry>,
    pub diagnostics: Vec<Diagnostic>,
}

/// A `@test` function of the program's own file.
#[derive(Clone, Debug)]
pub struct TestEntry {
    pub name: String,
    /// Runs it: a function without parameters.
    pub entry: stark_bytecode::FuncId,
    pub span: stark_syntax::source::Span,
}

/// `check`, then code generation.
pub fn compile(sources: &mut SourceMap, root: SourceId, host: &dyn Host, options: &Options) -> Compilation {
    let Checked { program, mut diagnostics } = check(sources, root, host, options);
    let Some(program) = program else { return Compilation { module: None, tests: Vec::new(), diagnostics } };
    match codegen::generate(&program, sources) {
        Ok((module, tests)) => Compilation { module: Some(module), tests, diagnostics },
        Err(errors) => {
            diagnostics.extend(errors);
            Compilation { module: None, tests: Vec::new(), diagnostics }
        }
    }
}
