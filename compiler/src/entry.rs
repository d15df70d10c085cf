//! Entries of a session, compiled one after the other.
//!
//! An entry is a script that sees the declarations of the entries before it and their variables. The declarations are read again
//! from the text, with later ones in the place of earlier ones of the same name; the statements are not, for they have run.
//! Variables come from numbered slots at the start of the script, and those that are there at its end go back.
//!
//! A unique variable goes back unless it was moved. Whether it was is what the ownership check finds: it is asked with the variable put back,
//! and where that would be a use after a move, the entry is compiled again without.

use crate::check::{Binding, let_local};
use crate::hir::*;
use crate::session::*;
use stark_syntax::ast::{self, ItemKind};
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceId, Span};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The source of what no text says; positions in it are numbers of slots.
pub(crate) const SLOTS: SourceId = SourceId(u32::MAX);

/// What the entries before left.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Their texts, in order.
    pub earlier: Vec<SourceId>,
    pub variables: Vec<Variable>,
    /// The first slot that was never used.
    pub n_slots: u32,
    /// Slots whose variable does not go back.
    pub(crate) moved: Vec<u32>,
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: Rc<str>,
    pub slot: u32,
    mutable: bool,
    ty: Ty,
    /// What the ids in `ty` stand for: module and name.
    names: HashMap<(bool, u32), (Rc<str>, Rc<str>)>,
}

/// What an entry leaves.
#[derive(Debug, Default)]
pub struct Left {
    pub variables: Vec<Variable>,
    pub n_slots: u32,
    /// Variables that are gone because a type in them was declared anew.
    pub forgotten: Vec<Rc<str>>,
    /// The type of the value that is printed.
    pub value_type: Option<String>,
}

/// While an entry is checked.
pub(crate) struct State {
    pub entry: Entry,
    /// Names that the entry's own text mentions.
    pub mentioned: HashSet<Rc<str>>,
    kept: Vec<(Rc<str>, u32, bool, Ty)>,
    left: Left,
    value: Option<(Ty, Span)>,
}

impl State {
    pub fn new(entry: Entry, names: Vec<Rc<str>>) -> State {
        let left = Left { n_slots: entry.n_slots, ..Left::default() };
        State { entry, mentioned: names.into_iter().collect(), kept: Vec::new(), left, value: None }
    }
}

pub(crate) fn item_name(item: &ast::Item) -> Option<&Rc<str>> {
    Some(match &item.kind {
        ItemKind::Fn(f) => &f.name.name,
        ItemKind::Struct(s) => &s.name.name,
        ItemKind::Enum(e) => &e.name.name,
        ItemKind::Actor(a) => &a.name.name,
        ItemKind::Trait(t) => &t.name.name,
        ItemKind::TypeAlias { name, .. } | ItemKind::Const { name, .. } | ItemKind::SharedLet { name, .. } => {
            &name.name
        }
        ItemKind::Import(_) | ItemKind::Impl(_) | ItemKind::Stmt(_) => return None,
    })
}

/// The declarations of earlier texts in front of `own`'s items.
pub(crate) fn with_earlier(own: &mut ast::Module, earlier: Vec<ast::Module>, root: SourceId) {
    let pass = ast::Stmt { kind: ast::StmtKind::Pass, span: Span::new(root, 0, 0) };
    // Variables count as declared by the first item: functions come after it.
    let mut items = vec![ast::Item { span: pass.span, kind: ItemKind::Stmt(pass), attributes: Vec::new(), doc: None }];
    for module in earlier {
        let new: HashSet<Rc<str>> = module.items.iter().filter_map(item_name).cloned().collect();
        items.retain(|item| item_name(item).is_none_or(|name| !new.contains(name)));
        items.extend(module.items.into_iter().filter(|item| !matches!(item.kind, ItemKind::Stmt(_))));
    }
    let new: HashSet<&Rc<str>> = own.items.iter().filter_map(item_name).collect();
    items.retain(|item| item_name(item).is_none_or(|name| !new.contains(name)));
    items.append(&mut own.items);
    own.items = items;
}

impl<'a> Checker<'a> {
    /// Rows for the variables of earlier entries, so that functions see them.
    pub(crate) fn declare_variables(&mut self, root: usize) {
        let Some(state) = &mut self.session else { return };
        let source = self.parsed[root].source;
        let items = self.parsed[root].ast.items.iter().filter(|item| item.span.source == source);
        let new: HashSet<&Rc<str>> = items.filter_map(item_name).collect();
        // A declaration takes the name.
        state.entry.variables.retain(|v| !new.contains(&v.name));
        for v in &state.entry.variables {
            let span = Span::new(SLOTS, v.slot as usize, v.slot as usize);
            let (name, mutable) = (v.name.clone(), v.mutable);
            self.script_lets.push(ScriptLet {
                name,
                item: 0,
                global: GlobalId(0),
                ty: None,
                mutable,
                used: false,
                span,
            });
        }
    }

    /// The variables of earlier entries, each taken from its slot.
    pub(crate) fn take_variables(&mut self, root: ModuleId, stmts: &mut Vec<Stmt>) {
        let Some(state) = &self.session else { return };
        let (variables, mentioned) = (state.entry.variables.clone(), state.mentioned.clone());
        let source = self.parsed[root.index()].source;
        let ids = self.ids_by_name();
        let unique = crate::flow::Unique::of(&self.program);
        for v in variables {
            let ty = restore(&v, &v.ty, &ids).filter(|ty| !self.is_redeclared(ty, source));
            let Some(ty) = ty else {
                if let Some(state) = &mut self.session {
                    state.left.forgotten.push(v.name.clone());
                }
                continue;
            };
            let is_unique = unique.is(&ty);
            if is_unique && !mentioned.contains(&v.name) {
                self.keep(v.name, v.slot, v.mutable, ty);
                continue;
            }
            let span = Span::new(SLOTS, v.slot as usize, v.slot as usize);
            let Some(func) = self.prelude_fn("_session_take") else { continue };
            let slot = Expr { kind: ExprKind::Lit(Lit::Int(v.slot.into())), ty: Ty::INT, span };
            let flag = Expr { kind: ExprKind::Lit(Lit::Bool(is_unique)), ty: Ty::Bool, span };
            let args = [slot, flag].map(|value| Arg { mode: ParamMode::Value, value });
            let value = self.call_fn(func, vec![ty.clone()], args.into(), span);
            let local = self.new_local(&v.name, ty.clone(), v.mutable, span);
            self.body().meta[local.index()].used = true;
            self.bind_name(v.name.clone(), Binding::Local(local));
            stmts.push(let_local(local, value));
            if !v.mutable && !is_unique {
                self.keep(v.name, v.slot, v.mutable, ty);
            }
        }
    }

    fn keep(&mut self, name: Rc<str>, slot: u32, mutable: bool, ty: Ty) {
        if let Some(state) = &mut self.session {
            state.kept.retain(|(known, ..)| *known != name);
            state.kept.push((name, slot, mutable, ty));
        }
    }

    /// Prints the value of the entry's last statement, when it has one.
    pub(crate) fn print_value(&mut self, first: usize, stmts: &mut Vec<Stmt>) {
        let Some(Stmt::Expr(value)) = stmts.last().filter(|_| stmts.len() == first + 1) else { return };
        let (ty, span) = (self.infer.resolve(&value.ty), value.span);
        let is_future = matches!(&ty, Ty::Adt(id, _) if *id == self.program.lang.future);
        // A future that nobody awaits is told by the checks that follow.
        if matches!(ty, Ty::Unit | Ty::Never | Ty::Error) || is_future {
            return;
        }
        let Some(Stmt::Expr(mut value)) = stmts.pop() else { return };
        if let Some(state) = &mut self.session {
            state.value = Some((ty.clone(), span));
        }
        if ty == Ty::Str
            && let Some(repr) = self.prelude_fn("repr")
        {
            value = self.call_fn(repr, vec![Ty::Str], vec![Arg { mode: ParamMode::Ref, value }], span);
        }
        let parts = vec![FormatPart::Value { value, spec: None }, FormatPart::Text(Rc::from("\n"))];
        let text = Expr { kind: ExprKind::Format(parts), ty: Ty::Str, span };
        let Some(print) = self.prelude_fn("_io_print") else { return };
        let call = self.call_fn(print, Vec::new(), vec![Arg { mode: ParamMode::Value, value: text }], span);
        stmts.push(Stmt::Expr(call));
    }

    /// At the end of the entry: the variables that are in scope go to their slots.
    pub(crate) fn put_variables(&mut self, stmts: &mut Vec<Stmt>) {
        let Some(state) = &self.session else { return };
        let (moved, known) = (state.entry.moved.clone(), state.entry.variables.clone());
        let mut names: Vec<(Rc<str>, bool, usize)> = Vec::new();
        for row in &self.script_lets {
            names.retain(|(name, ..)| *name != row.name);
            names.push((row.name.clone(), row.mutable, row.item));
        }
        for (name, mutable, item) in names {
            let Some((_, Binding::Local(local))) = self.find_binding(&name) else { continue };
            let is_kept = self.session.as_ref().is_some_and(|s| s.kept.iter().any(|(kept, ..)| *kept == name));
            if is_kept && item == 0 {
                continue;
            }
            let Some(state) = &mut self.session else { return };
            state.kept.retain(|(kept, ..)| *kept != name);
            let slot = known.iter().find(|v| v.name == name).map(|v| v.slot).unwrap_or_else(|| {
                state.left.n_slots += 1;
                state.left.n_slots - 1
            });
            if moved.contains(&slot) {
                continue;
            }
            let ty = self.body().locals[local.index()].ty.clone();
            self.body().meta[local.index()].used = true;
            let span = Span::new(SLOTS, slot as usize, slot as usize);
            let Some(func) = self.prelude_fn("_session_put") else { return };
            let number = Expr { kind: ExprKind::Lit(Lit::Int(slot.into())), ty: Ty::INT, span };
            let value = Expr { kind: ExprKind::Local(local), ty: ty.clone(), span };
            let args = [number, value].map(|value| Arg { mode: ParamMode::Value, value });
            let call = self.call_fn(func, vec![ty.clone()], args.into(), span);
            stmts.push(Stmt::Expr(call));
            self.keep(name, slot, mutable, ty);
        }
    }

    /// What the entry leaves, when all types are known.
    pub(crate) fn entry_left(&mut self) -> Option<Left> {
        let state = self.session.take()?;
        let mut left = state.left;
        for (name, slot, mutable, ty) in state.kept {
            let ty = self.zonk_ty(&ty, Span::new(SLOTS, slot as usize, slot as usize));
            let mut names = HashMap::new();
            self.note_names(&ty, &mut names);
            left.variables.push(Variable { name, slot, mutable, ty, names });
        }
        left.value_type = state.value.map(|(ty, span)| {
            let ty = self.zonk_ty(&ty, span);
            self.show(&ty)
        });
        Some(left)
    }

    fn module_path(&self, module: ModuleId) -> Rc<str> {
        self.parsed[module.index()].path.clone()
    }

    fn ids_by_name(&self) -> HashMap<(bool, Rc<str>, Rc<str>), u32> {
        let mut ids = HashMap::new();
        for (i, adt) in self.program.adts.iter().enumerate() {
            ids.insert((false, self.module_path(adt.module), adt.name.clone()), i as u32);
        }
        for (i, t) in self.program.traits.iter().enumerate() {
            ids.insert((true, self.module_path(t.module), t.name.clone()), i as u32);
        }
        ids
    }

    fn note_names(&self, ty: &Ty, names: &mut HashMap<(bool, u32), (Rc<str>, Rc<str>)>) {
        match ty {
            Ty::Tuple(parts) => parts.iter().for_each(|t| self.note_names(t, names)),
            Ty::Fn(params, ret) => {
                params.iter().for_each(|t| self.note_names(t, names));
                self.note_names(ret, names);
            }
            Ty::Adt(id, args) => {
                let adt = self.program.adt(*id);
                names.insert((false, id.0), (self.module_path(adt.module), adt.name.clone()));
                args.iter().for_each(|t| self.note_names(t, names));
            }
            Ty::Dyn(id, args) => {
                let t = &self.program.traits[id.index()];
                names.insert((true, id.0), (self.module_path(t.module), t.name.clone()));
                args.iter().for_each(|t| self.note_names(t, names));
            }
            _ => {}
        }
    }

    /// Whether a type that the newest text declares is part of it.
    fn is_redeclared(&self, ty: &Ty, newest: SourceId) -> bool {
        let mut seen: HashSet<AdtId> = HashSet::new();
        let mut work = vec![ty.clone()];
        while let Some(ty) = work.pop() {
            match ty {
                Ty::Tuple(parts) => work.extend(parts.iter().cloned()),
                Ty::Fn(params, ret) => work.extend(params.iter().cloned().chain([(*ret).clone()])),
                Ty::Dyn(id, args) => {
                    if self.program.traits[id.index()].span.source == newest {
                        return true;
                    }
                    work.extend(args.iter().cloned());
                }
                Ty::Adt(id, args) => {
                    work.extend(args.iter().cloned());
                    let adt = self.program.adt(id);
                    if adt.span.source == newest {
                        return true;
                    }
                    if !seen.insert(id) {
                        continue;
                    }
                    match &adt.kind {
                        AdtKind::Struct(fields) => work.extend(fields.iter().map(|f| f.ty.clone())),
                        AdtKind::Actor(def) => work.extend(def.fields.iter().map(|f| f.ty.clone())),
                        AdtKind::Enum(variants) => {
                            work.extend(variants.iter().flat_map(|v| &v.fields).map(|f| f.ty.clone()));
                        }
                        AdtKind::Opaque => {}
                    }
                }
                _ => {}
            }
        }
        false
    }
}

/// A type of an earlier compilation in this one; `None` when something in it is not there any more.
fn restore(v: &Variable, ty: &Ty, ids: &HashMap<(bool, Rc<str>, Rc<str>), u32>) -> Option<Ty> {
    let list = |parts: &Rc<[Ty]>| parts.iter().map(|t| restore(v, t, ids)).collect::<Option<Rc<[Ty]>>>();
    let id = |is_trait: bool, old: u32| {
        let (module, name) = v.names.get(&(is_trait, old))?;
        ids.get(&(is_trait, module.clone(), name.clone())).copied()
    };
    Some(match ty {
        Ty::Tuple(parts) => Ty::Tuple(list(parts)?),
        Ty::Fn(params, ret) => Ty::Fn(list(params)?, Rc::new(restore(v, ret, ids)?)),
        Ty::Adt(old, args) => Ty::Adt(AdtId(id(false, old.0)?), list(args)?),
        Ty::Dyn(old, args) => Ty::Dyn(TraitId(id(true, old.0)?), list(args)?),
        other => other.clone(),
    })
}

/// Slots whose variable cannot go back because it was moved.
pub(crate) fn moved_slots(diagnostics: &[Diagnostic]) -> Vec<u32> {
    let code = stark_syntax::codes::USE_AFTER_MOVE;
    let at_end = diagnostics.iter().filter(|d| d.code == code && d.primary.span.source == SLOTS);
    at_end.map(|d| d.primary.span.start).collect()
}
