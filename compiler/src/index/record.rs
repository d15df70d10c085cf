//! What the checker notes down for editors while it works: which name means what, and which expression has which type.
//!
//! A place that is judged more than once (an overload that did not fit) keeps what was noted last.

use super::{Entity, LocalDecl};
use crate::check::Binding;
use crate::hir::*;
use crate::session::{Checker, Def, FnSource};
use stark_syntax::ast;
use stark_syntax::source::Span;
use std::collections::HashMap;

#[derive(Default)]
pub struct Recorder {
    pub uses: HashMap<Span, Entity>,
    pub types: HashMap<Span, Ty>,
    pub locals: HashMap<Span, LocalDecl>,
}

impl<'a> Checker<'a> {
    pub fn note(&mut self, at: Span, entity: Entity) {
        if let Some(recorder) = &mut self.recorder {
            recorder.uses.insert(at, entity);
        }
    }

    pub fn note_def(&mut self, at: Span, def: &Def) {
        if let Some(entity) = Entity::of(def) {
            self.note(at, entity);
        }
    }

    /// A function as a value: the overload that was chosen.
    pub fn note_fn_value(&mut self, at: Span, value: &Expr, ids: &[FnId]) {
        match (&value.kind, ids.first()) {
            (ExprKind::FnRef { func, .. }, _) => self.note(at, Entity::Fn(*func)),
            (_, Some(first)) => self.note(at, Entity::Fn(*first)),
            _ => {}
        }
    }

    pub fn note_type(&mut self, at: Span, ty: &Ty) {
        if let Some(recorder) = &mut self.recorder {
            recorder.types.insert(at, ty.clone());
        }
    }

    /// What the flow of shapes found out beyond a type.
    pub fn note_shape(&mut self, at: Span, ty: Option<Ty>, is_variable: bool) {
        let (Some(recorder), Some(ty)) = (&mut self.recorder, ty) else { return };
        if !is_variable {
            recorder.types.insert(at, ty);
        } else if let Some(local) = recorder.locals.get_mut(&at) {
            local.ty = ty;
        }
    }

    /// A variable that the program can name, at its declaration.
    pub fn note_binding(&mut self, binding: &Binding) {
        let (Some(recorder), Binding::Local(id)) = (&mut self.recorder, binding) else { return };
        let Some(local) = self.f.bodies.last().and_then(|b| b.locals.get(id.index())) else { return };
        recorder
            .locals
            .insert(local.span, LocalDecl { name: local.name.clone(), ty: local.ty.clone(), mutable: local.mutable });
    }

    pub fn note_local(&mut self, at: Span, body: usize, local: LocalId) {
        if self.recorder.is_some()
            && let Some(row) = self.f.bodies.get(body).and_then(|b| b.locals.get(local.index()))
        {
            let declared = row.span;
            self.note(at, Entity::Local(declared));
        }
    }

    /// The names before the `=` in arguments, as the parameters of a function.
    pub fn note_named_params(&mut self, func: FnId, args: &[ast::Arg]) {
        if self.recorder.is_none() {
            return;
        }
        let FnSource::Decl(decl) = self.fns[func.index()].source else { return };
        for name in args.iter().filter_map(|a| a.name.as_ref()) {
            if let Some(p) = decl.params.iter().find(|p| p.name.name == name.name) {
                self.note(name.span, Entity::Local(p.name.span));
            }
        }
    }

    /// The same for what is made from fields.
    pub fn note_named_fields(&mut self, adt: AdtId, variant: Option<u32>, args: &[ast::Arg]) {
        if self.recorder.is_none() {
            return;
        }
        for name in args.iter().filter_map(|a| a.name.as_ref()) {
            self.note_field_named(adt, variant, name);
        }
    }

    pub fn note_field_named(&mut self, adt: AdtId, variant: Option<u32>, name: &ast::Ident) {
        let fields = self.program.fields_of(adt, variant);
        if let Some(index) = fields.iter().position(|f| f.name == name.name) {
            self.note(name.span, Entity::Field { adt, variant, index: index as u32 });
        }
    }

    /// A method that the checker handles itself, by its declaration in the library.
    pub fn note_known_method(&mut self, ty: &Ty, name: &ast::Ident) {
        if self.recorder.is_none() {
            return;
        }
        let known = self.infer.resolve(ty);
        let declared = self.inherent.get(&name.name).into_iter().flatten().find(|(imp, _)| {
            let target = &self.program.impls[imp.index()].target;
            target.match_pattern(&known, &mut Vec::new())
        });
        if let Some((_, func)) = declared {
            let func = *func;
            self.note(name.span, Entity::Fn(func));
        }
    }

    /// The modules that `a.b` names: each dotted name as a whole, which is what an import binds.
    pub fn note_module(&mut self, at: Span, module: ModuleId) {
        self.note(at, Entity::Module(module));
    }
}
