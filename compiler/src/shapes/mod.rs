//! The flow of shapes: what is known of every tensor, from the types that state it and the operations that make it.
//!
//! Runs over the typed tree after types are settled, one function at a time. Each expression gives a [`Val`]; what is not known is
//! `_`, which never is an error. Certain contradictions are reported (E0701), with the sentence that the run time would say:
//! both ask `stark_shapes::rules`. Where a type states a shape, the tree has a `Coercion::TensorCheck`: it is taken out where the
//! flow proves it, so that only open questions are left for the run time.
//!
//! What a type states is believed where something has made sure of it: parameters are checked at a function's beginning, variables,
//! fields and results where they are set. Type arguments carry shapes along (`xs.map(f)`), because a generic function can give
//! no other values of a type parameter than those that it was given.
//!
//! Read next: `value`, `walk` (expressions), `calls`, `ops` (the natives).

mod calls;
mod ops;
mod value;
mod walk;

use crate::hir::*;
use crate::session::Checker;
use stark_shapes::Symbolic;
use stark_syntax::source::Span;
use std::collections::HashMap;
use std::rc::Rc;
use value::Val;

/// One function's or closure's variables.
#[derive(Default)]
struct Frame {
    vals: HashMap<LocalId, Val>,
    /// What `return` gave so far.
    returned: Option<Val>,
    locals: Rc<[Local]>,
    /// Names of sizes that only the running program compares: those of a closure's signature.
    asked: Vec<Rc<str>>,
    /// Lists that a loop fills: what has been pushed so far.
    filled: Vec<(LocalId, Option<Val>)>,
}

pub struct Flow<'c, 'a> {
    c: &'c mut Checker<'a>,
    frames: Vec<Frame>,
    /// The names of the signature of the function that is walked.
    names: Vec<Rc<str>>,
    /// Where the function that is walked says what it returns.
    ret_span: Option<Span>,
    /// Nothing is reported: a copy is walked to learn what it gives.
    quiet: u32,
    /// Inside the library: the program's call that led there, and what it gave.
    site: Option<(Span, Vec<(Span, Val)>)>,
    /// How many calls are followed into each other.
    depth: u32,
}

/// Finds what shapes contradict each other, and takes out the checks that are proven.
pub fn flow(c: &mut Checker<'_>) {
    for i in 0..c.program.fns.len() {
        let def = &c.program.fns[i];
        if c.program.modules.get(def.module.index()).is_some_and(|m| m.is_std) {
            continue;
        }
        let Some(mut body) = c.program.fns[i].body.take() else { continue };
        let mut flow =
            Flow { c, frames: Vec::new(), names: Vec::new(), ret_span: None, quiet: 0, site: None, depth: 0 };
        flow.function(FnId(i as u32), &mut body);
        c.program.fns[i].body = Some(body);
    }
}

impl Flow<'_, '_> {
    fn function(&mut self, func: FnId, body: &mut Body) {
        let def = self.c.program.func(func);
        let mut names = Vec::new();
        def.params.iter().for_each(|p| crate::check::names_in(&p.ty, &mut names));
        let tys: Vec<Ty> = def.params.iter().map(|p| p.ty.clone()).collect();
        self.ret_span = Some(def.span);
        self.names = names;
        let vals = tys.iter().map(|ty| self.stated(ty, false)).collect();
        self.run_body(body, vals, &[]);
    }

    /// Walks a body with its parameters set; what it gives.
    fn run_body(&mut self, body: &mut Body, params: Vec<Val>, captured: &[(LocalId, Val)]) -> Val {
        let mut frame = Frame { locals: body.locals.clone().into(), ..Frame::default() };
        frame.vals.extend(body.params.iter().copied().zip(params));
        frame.vals.extend(captured.iter().cloned());
        // The names of a closure, or of a function of the library, may be those of the function that is walked.
        for (name, local) in body.dims.iter().filter(|(name, _)| self.site.is_none() && self.names.contains(name)) {
            frame.vals.insert(*local, Val::Size(Symbolic::name(name.clone())));
        }
        frame.asked =
            body.dims.iter().map(|(name, _)| name.clone()).filter(|name| !self.names.contains(name)).collect();
        self.frames.push(frame);
        let last = self.expr(&mut body.value);
        let frame = self.frames.pop().unwrap_or_default();
        match frame.returned {
            Some(returned) if matches!(body.value.ty, Ty::Never) || body.value.ty == Ty::Unit => returned,
            Some(returned) => returned.join(&last),
            None => last,
        }
    }

    /// What a written type asks of a value: a name that is of the type alone is the size that the value has there.
    fn wanted(&self, have: &Val, ty: &Ty, deep: bool) -> Val {
        let own = self.own_sizes(have, ty);
        value::stated(ty, &self.c.program.lang, &|n| self.size_of_name(n).unwrap_or_else(|| own.size(n)), deep)
    }

    /// Whether the sizes of all names that a type compares are known for this value.
    fn names_are_known(&self, have: &Val, ty: &Ty) -> bool {
        let own = self.own_sizes(have, ty);
        let mut all = Vec::new();
        crate::check::names_in(ty, &mut all);
        let is_asked = |name: &Rc<str>| self.frames.last().is_some_and(|frame| frame.asked.contains(name));
        !all.iter().any(is_asked)
            && crate::check::asked_names(ty)
                .iter()
                .all(|n| self.size_of_name(n).is_some() || own.size(n) != Symbolic::Unknown)
    }

    fn own_sizes(&self, have: &Val, ty: &Ty) -> calls::Bound {
        let mut own = calls::Bound::default();
        own.names(ty, have, Span::default(), &self.c.program.lang);
        own
    }

    fn size_of_name(&self, name: &str) -> Option<Symbolic> {
        self.names.iter().find(|n| &***n == name).map(|n| Symbolic::name(n.clone()))
    }

    /// What a written type of this function says of a value.
    fn stated(&self, ty: &Ty, deep: bool) -> Val {
        let name = |n: &str| self.size_of_name(n).unwrap_or(Symbolic::Unknown);
        value::stated(ty, &self.c.program.lang, &name, deep)
    }
}
