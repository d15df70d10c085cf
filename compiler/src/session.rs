//! What one compilation knows: the program so far, what each declaration was written as, and what is wrong.

use crate::hir::{self, *};

use crate::types::infer::Infer;
use stark_syntax::ast;
use stark_syntax::diagnostic::{Code, Diagnostic, Severity};
use stark_syntax::source::{SourceMap, Span};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::check::FnState;

/// A file that was read and parsed.
pub struct Parsed {
    /// The name that `Host::resolve` gives it; empty for the program's own file.
    pub path: Rc<str>,
    /// Which module each of its imports means, by the path as it is written; what is missing may be in the library.
    pub imports: HashMap<String, ModuleId>,
    pub source: stark_syntax::source::SourceId,
    pub is_std: bool,
    /// Part of std's prelude: its names are visible everywhere.
    pub is_prelude: bool,
    pub ast: ast::Module,
}

/// What a name of a module stands for.
#[derive(Clone, Debug)]
pub enum Def {
    /// More than one with `@overload`.
    Fns(Vec<FnId>),
    Adt(AdtId),
    Trait(TraitId),
    Alias(usize),
    Const(ConstId),
    Zone(GlobalId),
    Module(ModuleId),
}

#[derive(Default)]
pub struct Scope {
    pub names: HashMap<Rc<str>, Def>,
    /// Declared here rather than imported, with the place.
    pub own: HashMap<Rc<str>, Span>,
    pub imports: Vec<ImportedName>,
}

pub struct ImportedName {
    pub name: Rc<str>,
    pub span: Span,
    pub used: bool,
}

pub struct Alias<'a> {
    pub module: ModuleId,
    pub generics: &'a ast::Generics,
    pub ty: &'a ast::Type,
    /// `Iterable<T>`: an argument is turned into a `Vec`.
    pub iterable: bool,
    pub busy: bool,
}

/// The names a written type may use.
#[derive(Clone, Default)]
pub struct TypeEnv {
    pub module: ModuleId,
    pub params: Rc<Vec<(Rc<str>, Ty)>>,
    pub self_ty: Option<Ty>,
}

#[derive(Clone, Copy)]
pub enum FnSource<'a> {
    Decl(&'a ast::Fn),
    /// A default, a constant's or a zone's value: an expression on its own.
    Value(&'a ast::Expr),
    /// An empty collection for a zone without a value.
    EmptyZone,
    Entry,
    /// The script's statements, then this test.
    Test(FnId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetState {
    Known,
    Unknown,
    Busy,
}

pub struct FnInfo<'a> {
    pub source: FnSource<'a>,
    /// The functions of the blocks around one that is declared in a block, itself included.
    pub around: Vec<(Rc<str>, FnId)>,
    pub env: TypeEnv,
    pub ret: RetState,
    pub has_self: bool,
    pub actor: Option<AdtId>,
    pub overload: bool,
    pub variadic: bool,
    pub special: bool,
    pub type_argument: bool,
    pub default_type: Option<Ty>,
    /// What a closure is given by this one of several overloads, in words: `@closure_gets("elements")`.
    pub closure_gets: Option<Rc<str>>,
    pub checked: bool,
    /// How many of its generics belong to the impl or trait around it.
    pub n_outer: usize,
    /// Which trait it is declared in, and at which position.
    pub of_trait: Option<(TraitId, u32)>,
    /// The position of its item in a script: which `let`s stand above it.
    pub item: usize,
    pub iterable: Vec<bool>,
}

#[derive(Default, Clone)]
pub struct AdtInfo {
    /// The environment of its fields' types.
    pub env: TypeEnv,
    pub variants: HashMap<Rc<str>, u32>,
}

#[derive(Clone)]
pub struct TraitInfo {
    /// Generics after `Self`.
    pub n_args: usize,
    pub derived: bool,
    pub builtin: Option<Bound>,
    /// The method that keeps the trait from being a value's type, and why.
    pub undynamic: Option<(Span, String)>,
}

/// A script's `let` that functions may read.
pub struct ScriptLet {
    pub name: Rc<str>,
    pub item: usize,
    pub global: GlobalId,
    /// Known once the statement has been checked.
    pub ty: Option<Ty>,
    pub mutable: bool,
    pub used: bool,
    pub span: Span,
}

pub struct Checker<'a> {
    pub sources: &'a SourceMap,
    pub parsed: &'a [Parsed],
    pub host: &'a dyn crate::Host,
    pub program: hir::Program,
    pub diagnostics: Vec<Diagnostic>,
    pub scopes: Vec<Scope>,
    pub prelude: HashMap<Rc<str>, Def>,
    /// Std's modules, visible by name.
    pub std_modules: HashMap<Rc<str>, ModuleId>,
    pub adts: Vec<AdtInfo>,
    pub traits: Vec<TraitInfo>,
    pub fns: Vec<FnInfo<'a>>,
    pub aliases: Vec<Alias<'a>>,
    /// Methods and associated functions of types, by name.
    pub inherent: HashMap<Rc<str>, Vec<(ImplId, FnId)>>,
    pub trait_methods: HashMap<Rc<str>, Vec<(TraitId, u32)>>,
    pub impls_of: HashMap<TraitId, Vec<ImplId>>,
    pub actor_methods: HashMap<AdtId, HashMap<Rc<str>, FnId>>,
    pub script_lets: Vec<ScriptLet>,
    pub n_zones: usize,
    /// Types with another language's constructor, which is told: what it makes is not asked for.
    pub inits: HashSet<AdtId>,
    /// The report of an actor's `self`, by its number among the diagnostics.
    pub actor_selves: HashMap<AdtId, usize>,
    pub infer: Infer,
    pub f: FnState<'a>,
    pub reported: HashSet<(Span, &'static str)>,
    /// How many functions are being checked inside each other.
    pub depth: u32,
    /// The script's variables and how they were used, until every function has been checked.
    pub entry_cx: Option<(Vec<Local>, Vec<crate::check::LocalMeta>)>,
    /// The entry runs the script only; each test has an entry of its own.
    pub for_tests: bool,
    /// Takes notes for an editor.
    pub recorder: Option<Box<crate::index::record::Recorder>>,
    /// The program is an entry of a session.
    pub session: Option<crate::entry::State>,
}

impl Checker<'_> {
    pub fn error(&mut self, code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) {
        self.report(Diagnostic::error(code, message, span, label));
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Warning && self.is_std(diagnostic.primary.span) {
            return;
        }
        if self.reported.insert((diagnostic.primary.span, diagnostic.code.0)) {
            self.diagnostics.push(diagnostic);
        }
    }

    pub fn is_std(&self, span: Span) -> bool {
        self.parsed.iter().any(|p| p.source == span.source && p.is_std)
    }

    pub fn text(&self, span: Span) -> &str {
        self.sources.slice(span)
    }
}

/// How many single edits apart two words are.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut before = row.clone();
    for i in 1..=a.len() {
        let last = std::mem::take(&mut row);
        row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
    }
    row[b.len()]
}

/// The candidate that was most likely meant.
pub fn nearest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<String> {
    // Nobody mistypes a longer one, and comparing takes time in the square of the length.
    const MAX_LEN: usize = 64;
    if name.len() > MAX_LEN * 4 {
        return None;
    }
    let n_chars = name.chars().count();
    let limit = (n_chars / 3).max(1);
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|c| *c != name && !c.starts_with('_') && c.len() <= MAX_LEN * 4)
        .filter(|c| c.chars().count().abs_diff(n_chars) <= limit)
        .map(|c| (edit_distance(&lower, &c.to_lowercase()), c))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, c)| c.to_string())
}
