//! What a session knows: the texts of its entries, their variables, and the machine that keeps the values.

use crate::host::FileHost;
use crate::load::{self, read};
use stark_compiler::{CompiledEntry, Entry};
use stark_project::Project;
use stark_syntax::ast::ItemKind;
use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::source::{SourceId, SourceMap};
use stark_vm::session::{Interrupt, Session};
use stark_vm::{Ended, Options};
use std::path::Path;

pub struct State {
    host: FileHost,
    session: Session,
    interrupt: Interrupt,
    /// Name and text of each entry that was taken.
    taken: Vec<(String, String)>,
    entry: Entry,
    n_entries: usize,
    /// Of the session, when it is a script: 1 after an entry that failed, 2 after one that did not compile.
    status: i32,
}

/// How an entry went.
pub enum Done {
    Next,
    Exit(i32),
    Broken(String),
}

impl State {
    pub fn new(project: Project) -> Result<(State, Interrupt), String> {
        let assets = crate::load::assets(&project).map_err(|_| "the assets in stark.toml are not right".to_string())?;
        let options = Options { dir: Some(project.root().shown.clone()), assets, ..Options::default() };
        let (session, interrupt) = Session::new(options).map_err(|e| e.to_string())?;
        let state = State {
            host: FileHost::new(project, Path::new("")),
            session,
            interrupt: interrupt.clone(),
            taken: Vec::new(),
            entry: Entry::default(),
            n_entries: 0,
            status: 0,
        };
        Ok((state, interrupt))
    }

    pub fn status(&self) -> i32 {
        self.status
    }

    pub fn fail(&mut self, message: &str) {
        self.status = crate::commands::refuse(message);
    }

    /// A file as one entry.
    pub fn load(&mut self, file: &str) -> Done {
        let text = read(Path::new(file))
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| format!("{file}: the file is not UTF-8 text")));
        match text {
            Ok(text) => self.run_as(file.to_string(), &text),
            Err(message) => {
                self.fail(&message);
                Done::Next
            }
        }
    }

    pub fn run(&mut self, text: &str) -> Done {
        self.n_entries += 1;
        self.run_as(format!("entry {}", self.n_entries), text)
    }

    /// The type of an expression, which does not run.
    pub fn tell_type(&mut self, text: &str) {
        let (sources, compiled) = self.compile("type", &format!("{text}\n"));
        match compiled.left.value_type {
            _ if self.refused(&sources, &compiled.diagnostics) => {}
            Some(ty) => println!("{ty}"),
            None => println!("()"),
        }
    }

    fn compile(&self, name: &str, text: &str) -> (SourceMap, CompiledEntry) {
        let mut sources = SourceMap::new();
        let mut entry = self.entry.clone();
        entry.earlier = self.taken.iter().map(|(name, text)| sources.add(name.clone(), text.clone())).collect();
        let root = sources.add(name, text);
        let mut compiled = stark_compiler::compile_entry(&mut sources, root, &self.host, &entry);
        compiled.diagnostics.extend(zones(text, root));
        (sources, compiled)
    }

    /// Tells errors. Warnings are about whole programs: what an entry leaves unused the next may use.
    fn refused(&mut self, sources: &SourceMap, diagnostics: &[Diagnostic]) -> bool {
        let errors: Vec<Diagnostic> = diagnostics.iter().filter(|d| d.severity == Severity::Error).cloned().collect();
        if !errors.is_empty() {
            load::report(sources, &errors, false);
            self.status = crate::commands::REFUSED;
        }
        !errors.is_empty()
    }

    fn run_as(&mut self, name: String, text: &str) -> Done {
        let (sources, compiled) = self.compile(&name, text);
        if self.refused(&sources, &compiled.diagnostics) {
            return Done::Next;
        }
        let Some(module) = compiled.module else { return Done::Next };
        let ended = match self.session.run(module, &compiled.fresh, &self.interrupt) {
            Ok(ended) => ended,
            Err(error) => return Done::Broken(error.to_string()),
        };
        match ended {
            Ended::Returned => {
                for name in &compiled.left.forgotten {
                    println!("`{name}` is gone: a type in it was declared anew");
                }
                self.entry.variables = compiled.left.variables;
                self.entry.n_slots = compiled.left.n_slots;
                self.taken.push((name, text.to_string()));
            }
            Ended::Failed => self.status = 1,
            Ended::Deadlock => self.status = stark_vm::runtime::DEADLOCK_STATUS,
            Ended::Stopped => {
                eprintln!("interrupted");
                self.status = 1;
            }
            Ended::Exit(status) => return Done::Exit(status),
        }
        Done::Next
    }
}

/// Zones belong to a program, and each entry is one.
fn zones(text: &str, source: SourceId) -> Vec<Diagnostic> {
    let parsed = stark_syntax::parser::parse(text, source);
    let zones = parsed.module.items.iter().filter(|item| matches!(item.kind, ItemKind::SharedLet { .. }));
    zones
        .map(|item| {
            let what = "a session keeps no `shared let`";
            Diagnostic::error(stark_syntax::codes::ZONE_WITHOUT_GUARD, what, item.span, "not here")
                .help("use a channel or an actor, or write a program in a file")
        })
        .collect()
}
