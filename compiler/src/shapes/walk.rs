//! What each form of expression gives.

use super::Flow;
use super::value::{ClosureVal, Fit, MAX_ITEMS, Val, describe, fit, refined};
use crate::codegen::children;
use crate::hir::*;
use stark_shapes::{Dim as _, ShapeError, Symbolic};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::cell::RefCell;
use std::rc::Rc;

impl Flow<'_, '_> {
    pub(super) fn expr(&mut self, e: &mut Expr) -> Val {
        let val = self.expr_inner(e);
        if self.takes_notes() {
            let ty = refined(&e.ty, &val, &self.c.program.lang);
            self.c.note_shape(e.span, ty, false);
        }
        match (&val, &e.ty) {
            (Val::Any, Ty::Tensor(_)) => Val::Tensor(None),
            _ => val,
        }
    }

    fn expr_inner(&mut self, e: &mut Expr) -> Val {
        let span = e.span;
        match &mut e.kind {
            ExprKind::Lit(Lit::Int(n)) => i64::try_from(*n).map_or(Val::Any, Val::Int),
            ExprKind::Lit(Lit::Bool(b)) => Val::Bool(*b),
            ExprKind::Local(local) => self.get(*local),
            ExprKind::Const(id) => self.constant(*id),
            ExprKind::Global(id) => {
                let ty = self.c.program.globals[id.index()].ty.clone();
                self.stated_plain(&ty)
            }
            ExprKind::FnRef { func, .. } => Val::Function(*func),
            ExprKind::Closure(closure) => {
                let val = self.closure_val(closure);
                self.finish_closure(closure, &val);
                val
            }
            ExprKind::SpawnBlock(closure) => {
                let captured = self.captured(closure);
                let given = self.run_closure(closure, Vec::new(), captured);
                self.wrapped(&e.ty, given)
            }
            ExprKind::Call { callee, args } | ExprKind::SpawnCall { callee, args } => {
                let spawned = matches!(&e.ty, Ty::Adt(id, _) if *id == self.c.program.lang.join_handle);
                let val = self.call(callee, args, span);
                match &val {
                    Val::Adt(id, _) if *id == self.c.program.lang.join_handle => val,
                    _ if spawned => self.wrapped(&e.ty, val),
                    _ => val,
                }
            }
            ExprKind::Struct { adt, fields } => self.construct(*adt, fields, span),
            ExprKind::Variant { adt, variant, fields } => self.variant(*adt, *variant, fields, &e.ty),
            ExprKind::Tuple(items) => Val::Tuple(items.iter_mut().map(|i| self.expr(i)).collect()),
            ExprKind::List(items) => {
                let vals: Vec<Val> = items.iter_mut().map(|i| self.expr(i)).collect();
                if vals.len() <= MAX_ITEMS {
                    return Val::List(vals);
                }
                let item = vals.into_iter().reduce(|a, b| a.join(&b)).unwrap_or_default();
                Val::Adt(self.c.program.lang.vec, vec![item])
            }
            ExprKind::Map(pairs) => {
                let pairs: Vec<(Val, Val)> = pairs.iter_mut().map(|(k, v)| (self.expr(k), self.expr(v))).collect();
                let (keys, values): (Vec<Val>, Vec<Val>) = pairs.into_iter().unzip();
                let join = |vals: Vec<Val>| vals.into_iter().reduce(|a, b| a.join(&b)).unwrap_or_default();
                Val::Adt(self.c.program.lang.map, vec![join(keys), join(values)])
            }
            ExprKind::Field { base, index } => self.field(base, *index),
            ExprKind::Index { base, index } => {
                let (base_val, at) = (self.expr(base), self.expr(index));
                match (&base_val, at.int()) {
                    (Val::List(items), Some(i)) => {
                        usize::try_from(i).ok().and_then(|i| items.get(i)).cloned().unwrap_or_default()
                    }
                    (Val::Adt(id, args), _) if *id == self.c.program.lang.map => {
                        args.get(1).cloned().unwrap_or_default()
                    }
                    _ => base_val.item(&self.c.program.lang),
                }
            }
            ExprKind::OrInsert { map, key, default } => {
                self.expr(map);
                self.expr(key);
                self.expr(default);
                self.forget_root(map);
                Val::Any
            }
            ExprKind::Binary { op, lhs, rhs } => {
                let (a, b) = (self.expr(lhs), self.expr(rhs));
                match (&e.ty, a.int(), b.int()) {
                    (Ty::Bool, Some(a), Some(b)) if *op == BinaryOp::Eq => Val::Bool(a == b),
                    (ty, ..) if *ty == Ty::INT => arithmetic(*op, &a, &b),
                    _ => Val::Any,
                }
            }
            ExprKind::Coerce { value, kind: Coercion::TensorCheck } => {
                let from = value.ty.clone();
                let have = self.expr(value);
                let val = self.place(&have, &e.ty, span, None);
                if self.is_proven(&have, &from, &e.ty) {
                    let ty = e.ty.clone();
                    let inner = std::mem::replace(&mut **value, Expr { kind: ExprKind::Error, ty: Ty::Error, span });
                    *e = Expr { ty, ..inner };
                }
                val
            }
            ExprKind::Coerce { value, .. } => {
                let val = self.expr(value);
                if matches!(e.ty, Ty::Dyn(..)) { Val::Any } else { val }
            }
            ExprKind::Block { stmts, value: Some(value) } if fills_list(stmts, value).is_some() => {
                let Some(list) = fills_list(stmts, value) else { return Val::Any };
                let item = self.filling(list, &mut stmts[1]);
                Val::Adt(self.c.program.lang.vec, vec![item])
            }
            ExprKind::Block { stmts, value } => {
                for stmt in stmts {
                    self.stmt(stmt);
                }
                value.as_mut().map_or(Val::Any, |v| self.expr(v))
            }
            ExprKind::If { cond, then, else_ } => {
                // A branch that is never taken is not judged.
                match (self.cond(cond), &mut *else_) {
                    (Some(true), _) if then.ty != Ty::Never => return self.expr(then),
                    (Some(false), Some(other)) if other.ty != Ty::Never => return self.expr(other),
                    _ => {}
                }
                let mut branches: Vec<&mut Expr> = vec![then];
                branches.extend(else_.as_deref_mut());
                let whole = branches.len() == 2;
                self.branches(branches, |_, _| {}, whole)
            }
            ExprKind::Match { scrutinee, arms } => {
                let val = self.expr(scrutinee);
                let ty = scrutinee.ty.clone();
                let (pats, bodies): (Vec<_>, Vec<&mut Expr>) =
                    arms.iter_mut().map(|a| ((&a.pattern, &mut a.guard), &mut a.body)).unzip();
                let mut pats: Vec<_> = pats;
                self.branches(
                    bodies,
                    |flow, i| {
                        let (pattern, guard) = &mut pats[i];
                        flow.bind(pattern, &val, &ty);
                        if let Some(guard) = guard {
                            flow.expr(guard);
                        }
                    },
                    true,
                )
            }
            ExprKind::While { cond, body } => {
                let mut changed = changed_in(body);
                match &**cond {
                    Cond::Expr(e) | Cond::Let { value: e, .. } => changed.extend(changed_in(e)),
                }
                self.forget(&changed);
                self.cond(cond);
                self.expr(body);
                self.forget(&changed);
                Val::Any
            }
            ExprKind::For { pattern, iterable, body } => {
                let over = self.expr(iterable);
                let item = match &over {
                    Val::Tensor(Some(dims)) if !dims.is_empty() => Val::tensor(dims[1..].to_vec()),
                    Val::Adt(id, args) if *id != self.c.program.lang.vec => args.first().cloned().unwrap_or_default(),
                    over => over.item(&self.c.program.lang),
                };
                let changed = changed_in(body);
                self.forget(&changed);
                let ty = pattern.ty.clone();
                self.bind(pattern, &item, &ty);
                self.expr(body);
                self.forget(&changed);
                Val::Any
            }
            ExprKind::Return(value) => {
                if let Some(value) = value {
                    let val = self.returned(value);
                    if let Some(frame) = self.frames.last_mut() {
                        frame.returned = Some(match frame.returned.take() {
                            Some(before) => before.join(&val),
                            None => val,
                        });
                    }
                }
                Val::Any
            }
            ExprKind::Assign { target, value } => {
                let val = self.expr(value);
                self.parts_of(target);
                match &target.kind {
                    ExprKind::Local(local) => self.set(*local, val),
                    _ => self.forget_root(target),
                }
                Val::Any
            }
            ExprKind::AssignOp { target, op, value } => {
                let more = self.expr(value);
                let before = self.expr(target);
                let ty = target.ty.clone();
                let after = match op {
                    AssignOp::Call { callee: Callee::Fn { func, .. }, .. } => {
                        let func = *func;
                        self.apply(func, &[before, more], &[target.span, value.span], span)
                    }
                    _ => Val::Any,
                };
                let val = self.place(&after, &ty, span, None);
                if let AssignOp::Call { gives, check, .. } = op {
                    *check &= !self.is_proven(&after, gives, &ty);
                }
                match &target.kind {
                    ExprKind::Local(local) => self.set(*local, val),
                    _ => self.forget_root(target),
                }
                Val::Any
            }
            ExprKind::Try { body, catches, finally } => {
                let mut changed = changed_in(body);
                let val = self.expr(body);
                self.forget(&changed);
                let mut joined = (body.ty != Ty::Never).then_some(val);
                for c in catches {
                    changed.extend(changed_in(&c.body));
                    let val = self.expr(&mut c.body);
                    if c.body.ty != Ty::Never {
                        joined = Some(joined.map_or(val.clone(), |j| j.join(&val)));
                    }
                }
                self.forget(&changed);
                if let Some(f) = finally {
                    self.expr(f);
                }
                joined.unwrap_or_default()
            }
            ExprKind::Question(value) => match self.expr(value) {
                Val::Adt(id, args) if id == self.c.program.lang.option || id == self.c.program.lang.result => {
                    args.into_iter().next().unwrap_or_default()
                }
                _ => Val::Any,
            },
            ExprKind::Await(value) => {
                let lang = (self.c.program.lang.future, self.c.program.lang.join_handle);
                match self.expr(value) {
                    Val::Adt(id, args) if id == lang.0 || id == lang.1 => args.into_iter().next().unwrap_or_default(),
                    _ => Val::Any,
                }
            }
            ExprKind::WithZone { local, body, .. } => {
                let ty = self.local_ty(*local);
                let val = self.stated_plain(&ty);
                self.set(*local, val);
                self.expr(body)
            }
            ExprKind::Scope { body, .. } => self.expr(body),
            ExprKind::Select { arms } => {
                for arm in arms.iter_mut() {
                    match &mut arm.kind {
                        SelectKind::Recv(e) | SelectKind::Await(e) | SelectKind::After(e) => drop(self.expr(e)),
                        SelectKind::Send { channel, value } => {
                            self.expr(channel);
                            self.expr(value);
                        }
                        SelectKind::Else => {}
                    }
                    if let Some(pattern) = &arm.pattern {
                        let ty = pattern.ty.clone();
                        self.bind(pattern, &Val::Any, &ty);
                    }
                }
                self.branches(arms.iter_mut().map(|a| &mut a.body).collect(), |_, _| {}, true)
            }
            ExprKind::Message { actor, handler, kind, args, timeout } => {
                self.expr(actor);
                if let Some(t) = timeout {
                    self.expr(t);
                }
                let vals: Vec<Val> = args.iter_mut().map(|a| self.expr(a)).collect();
                let spans: Vec<Span> = args.iter().map(|a| a.span).collect();
                self.message(&actor.ty.clone(), *handler, *kind, &vals, &spans, span, &e.ty.clone())
            }
            ExprKind::Format(parts) => {
                for part in parts {
                    if let FormatPart::Value { value, .. } = part {
                        self.expr(value);
                    }
                }
                Val::Any
            }
            ExprKind::Assert { cond, message, .. } => {
                self.expr(cond);
                if let Some(m) = message {
                    self.expr(m);
                }
                Val::Any
            }
            ExprKind::And(a, b) | ExprKind::Or(a, b) => {
                self.expr(a);
                self.expr(b);
                Val::Any
            }
            ExprKind::Range { start, end, .. } => {
                self.expr(start);
                self.expr(end);
                Val::Any
            }
            ExprKind::Set(items) => {
                items.iter_mut().for_each(|i| drop(self.expr(i)));
                Val::Any
            }
            ExprKind::StoreGlobal { value, .. }
            | ExprKind::Unary { operand: value, .. }
            | ExprKind::Cast(value)
            | ExprKind::Throw { value, .. } => {
                self.expr(value);
                Val::Any
            }
            ExprKind::Lit(_) | ExprKind::Break | ExprKind::Continue | ExprKind::Error => Val::Any,
        }
    }

    /// A comprehension: a loop that pushes to a list of its own. What is in the list then.
    fn filling(&mut self, list: LocalId, each: &mut Stmt) -> Val {
        if let Some(frame) = self.frames.last_mut() {
            frame.filled.push((list, None));
        }
        self.stmt(each);
        let filled = self.frames.last_mut().and_then(|f| f.filled.pop());
        filled.and_then(|(_, item)| item).unwrap_or_default()
    }

    pub(super) fn pushed(&mut self, list: &Expr, item: &Val) {
        let Some(local) = root(list) else { return };
        let Some(frame) = self.frames.last_mut() else { return };
        if let Some((_, so_far)) = frame.filled.iter_mut().find(|(l, _)| *l == local) {
            *so_far = Some(so_far.take().map_or(item.clone(), |s| s.join(item)));
        }
    }

    fn stmt(&mut self, stmt: &mut Stmt) {
        match stmt {
            Stmt::Expr(e) => drop(self.expr(e)),
            // The check of a parameter is what makes its type believable: it stays.
            Stmt::Let { pattern: Pat { kind: PatKind::Wildcard, span, .. }, init: Some(init), .. }
                if init.span == *span && matches!(init.kind, ExprKind::Coerce { .. }) => {}
            Stmt::Let { pattern, init, else_ } => {
                let val = match init {
                    Some(init) => self.given(init, Some(pattern.span)),
                    None => Val::Any,
                };
                let ty = pattern.ty.clone();
                if let (Some(init), false) = (&init, matches!(&init, Some(Expr { kind: ExprKind::Coerce { .. }, .. })))
                {
                    // A `Future`, a `Channel`: no check reaches inside, but what is known can be compared.
                    self.place(&val, &ty, init.span, Some(pattern.span));
                }
                if let Some(e) = else_ {
                    self.expr(e);
                }
                self.bind(pattern, &val, &ty);
            }
        }
    }

    /// An expression that is given to a place; what the place says is told when it does not fit.
    fn given(&mut self, e: &mut Expr, place: Option<Span>) -> Val {
        if let ExprKind::Coerce { value, kind: Coercion::TensorCheck } = &mut e.kind {
            let have = self.expr(value);
            self.place(&have, &e.ty.clone(), e.span, place);
            let want = self.stated(&e.ty, false);
            if self.is_proven(&have, &value.ty, &e.ty) {
                let (ty, span) = (e.ty.clone(), e.span);
                let inner = std::mem::replace(&mut **value, Expr { kind: ExprKind::Error, ty: Ty::Error, span });
                *e = Expr { ty, ..inner };
            }
            // The written type is what is known from here on.
            return if place.is_some() { want.over(&have) } else { have.meet(&want) };
        }
        self.expr(e)
    }

    fn returned(&mut self, e: &mut Expr) -> Val {
        // Closures and library code are judged where they are used.
        if self.frames.len() > 1 || self.site.is_some() {
            return self.expr(e);
        }
        self.given(e, self.ret_span)
    }

    /// Whether a value of type `from` has all that a place of type `to` asks for.
    fn is_proven(&self, have: &Val, from: &Ty, to: &Ty) -> bool {
        // An element type that only the running program knows is asked for anyway.
        matches!(fit(have, &self.wanted(have, to, false)), Fit::Proven)
            && !says_more(from, to)
            && self.names_are_known(have, to)
    }

    /// Compares a value with the type of a place, and says so when they certainly differ; what is known of the value then.
    pub(super) fn place(&mut self, have: &Val, ty: &Ty, span: Span, place: Option<Span>) -> Val {
        if let Fit::Differs(why) = fit(have, &self.wanted(have, ty, true)) {
            let asked = self.c.show(ty);
            let label = describe(have).unwrap_or_else(|| format!("does not fit `{asked}`"));
            let because = place.map(|at| (at, format!("`{asked}` is asked for here")));
            self.differ(&why, span, label, because.into_iter().collect());
        }
        have.meet(&self.stated(ty, false))
    }

    pub(super) fn differ(&mut self, why: &ShapeError, span: Span, label: String, because: Vec<(Span, String)>) {
        if self.quiet > 0 {
            return;
        }
        let (span, because) = match &self.site {
            None => (span, because),
            Some((site, given)) => (*site, given.iter().filter_map(|(s, v)| Some((*s, describe(v)?))).collect()),
        };
        let label = if self.site.is_some() { "these shapes do not go together".to_string() } else { label };
        let mut d = Diagnostic::error(codes::SHAPES_DIFFER, why.0.clone(), span, label);
        for (span, text) in because {
            d = d.because(span, text);
        }
        self.c.report(d);
    }

    // --- notes for an editor -----------------------------------------------------------------------------------------

    /// Of the program's own text, and as it is rather than as a copy for one call.
    fn takes_notes(&self) -> bool {
        self.c.recorder.is_some() && self.quiet == 0 && self.site.is_none()
    }

    /// The shape that a variable begins with.
    fn note_variable(&mut self, local: LocalId, val: &Val) {
        if self.takes_notes()
            && let Some(row) = self.frames.last().and_then(|f| f.locals.get(local.index()))
        {
            let (at, ty) = (row.span, refined(&row.ty, val, &self.c.program.lang));
            self.c.note_shape(at, ty, true);
        }
    }

    // --- variables ---------------------------------------------------------------------------------------------------

    fn get(&self, local: LocalId) -> Val {
        self.frames.last().and_then(|f| f.vals.get(&local)).cloned().unwrap_or_default()
    }

    pub(super) fn set(&mut self, local: LocalId, val: Val) {
        if let Some(frame) = self.frames.last_mut() {
            frame.vals.insert(local, val);
        }
    }

    fn local_ty(&self, local: LocalId) -> Ty {
        self.frames.last().and_then(|f| f.locals.get(local.index())).map_or(Ty::Error, |l| l.ty.clone())
    }

    /// What is still known of a variable that may have been given any value of its type.
    pub(super) fn forget(&mut self, locals: &[LocalId]) {
        for local in locals {
            let ty = self.local_ty(*local);
            let val = self.stated(&ty, false);
            self.set(*local, val);
        }
    }

    pub(super) fn forget_root(&mut self, place: &Expr) {
        if let Some(local) = root(place) {
            self.forget(&[local]);
        }
    }

    /// The indices and bases inside an assigned place.
    fn parts_of(&mut self, place: &mut Expr) {
        match &mut place.kind {
            ExprKind::Field { base, .. } => self.parts_of(base),
            ExprKind::Index { base, index } => {
                self.parts_of(base);
                self.expr(index);
            }
            ExprKind::Local(_) => {}
            _ => drop(self.expr(place)),
        }
    }

    /// Walks alternatives from the same start; what holds after any of them. `whole`: one of them is taken.
    fn branches(&mut self, mut bodies: Vec<&mut Expr>, mut before: impl FnMut(&mut Self, usize), whole: bool) -> Val {
        let mut changed: Vec<LocalId> = bodies.iter().flat_map(|b| changed_in(b)).collect();
        changed.sort();
        changed.dedup();
        let start: Vec<Val> = changed.iter().map(|l| self.get(*l)).collect();
        let mut after: Option<Vec<Val>> = if whole { None } else { Some(start.clone()) };
        let mut given: Option<Val> = None;
        for (i, body) in bodies.iter_mut().enumerate() {
            for (local, val) in changed.iter().zip(&start) {
                self.set(*local, val.clone());
            }
            before(self, i);
            let val = self.expr(body);
            if body.ty == Ty::Never {
                continue;
            }
            let now: Vec<Val> = changed.iter().map(|l| self.get(*l)).collect();
            after = Some(match after {
                Some(have) => have.iter().zip(&now).map(|(a, b)| a.join(b)).collect(),
                None => now,
            });
            given = Some(given.map_or(val.clone(), |g| g.join(&val)));
        }
        for (local, val) in changed.iter().zip(after.unwrap_or(start)) {
            self.set(*local, val);
        }
        given.unwrap_or_default()
    }

    /// Whether the condition holds, where that is known.
    fn cond(&mut self, cond: &mut Cond) -> Option<bool> {
        match cond {
            Cond::Expr(e) => match self.expr(e) {
                Val::Bool(b) => Some(b),
                _ => None,
            },
            Cond::Let { pattern, value } => {
                let val = self.expr(value);
                let ty = value.ty.clone();
                self.bind(pattern, &val, &ty);
                None
            }
        }
    }

    /// Gives the parts of a value to the variables of a pattern.
    fn bind(&mut self, pattern: &Pat, val: &Val, ty: &Ty) {
        match &pattern.kind {
            PatKind::Bind { local, sub } => {
                let val = val.meet(&self.stated(&pattern.ty, false));
                self.note_variable(*local, &val);
                self.set(*local, val.clone());
                if let Some(sub) = sub {
                    self.bind(sub, &val, ty);
                }
            }
            PatKind::Tuple(items) => {
                for (i, p) in items.iter().enumerate() {
                    let part = match val {
                        Val::Tuple(parts) => parts.get(i).cloned().unwrap_or_default(),
                        _ => Val::Any,
                    };
                    self.bind(p, &part, &p.ty);
                }
            }
            PatKind::Struct { fields } => {
                for (i, p) in fields {
                    let part = match val {
                        Val::Tuple(parts) => parts.get(*i as usize).cloned().unwrap_or_default(),
                        _ => Val::Any,
                    };
                    self.bind(p, &part, &p.ty);
                }
            }
            PatKind::Variant { variant, fields } => {
                for (i, p) in fields {
                    let part = self.variant_field(&pattern.ty, val, *variant, *i);
                    self.bind(p, &part, &p.ty);
                }
            }
            PatKind::List { before, rest, after } => {
                let item = val.item(&self.c.program.lang);
                for p in before.iter().chain(after) {
                    self.bind(p, &item, &p.ty);
                }
                if let Some(Some(local)) = rest {
                    self.set(*local, Val::Adt(self.c.program.lang.vec, vec![item]));
                }
            }
            PatKind::Or(items) => {
                // Each binds the same variables; which one fitted is not known.
                for p in items {
                    self.bind(p, &Val::Any, &p.ty);
                }
            }
            PatKind::Wildcard | PatKind::Lit(_) | PatKind::Range { .. } => {}
        }
    }

    // --- closures ----------------------------------------------------------------------------------------------------

    fn captured(&self, closure: &Closure) -> Vec<Val> {
        closure.captures.iter().map(|(outer, _)| self.get(*outer)).collect()
    }

    pub(super) fn closure_val(&self, closure: &Closure) -> Val {
        let captured = self.captured(closure);
        Val::Closure(Rc::new(ClosureVal { closure: closure.clone(), captured, seen: RefCell::new(None) }))
    }

    /// The closure itself, after what it is called with has been seen.
    pub(super) fn finish_closure(&mut self, closure: &mut Closure, val: &Val) {
        let Val::Closure(known) = val else { return };
        if self.quiet > 0 {
            // A copy: nothing is reported of it, and nothing is taken out.
            return;
        }
        let params = known.seen.borrow().clone().unwrap_or_default();
        self.run_closure(closure, params, known.captured.clone());
    }

    /// Walks a closure's body; parameters that are not given are what their types say.
    pub(super) fn run_closure(&mut self, closure: &mut Closure, mut params: Vec<Val>, captured: Vec<Val>) -> Val {
        let captured: Vec<(LocalId, Val)> = closure.captures.iter().map(|(_, inner)| *inner).zip(captured).collect();
        params.resize(closure.body.params.len(), Val::Any);
        for (val, local) in params.iter_mut().zip(&closure.body.params) {
            // A type without dimensions says nothing, and one with them was checked at the beginning.
            let ty = closure.body.locals[local.index()].ty.clone();
            *val = val.meet(&self.stated(&ty, false));
        }
        self.run_body(&mut closure.body, params, &captured)
    }

    fn constant(&mut self, id: ConstId) -> Val {
        let init = self.c.program.consts[id.index()].init;
        match self.c.program.func(init).body.as_ref().map(|b| &b.value) {
            Some(e) => literal(e),
            None => Val::Any,
        }
    }

    /// What a type outside of this function says: its names are not ours.
    pub(super) fn stated_plain(&self, ty: &Ty) -> Val {
        super::value::stated(ty, &self.c.program.lang, &|_| Symbolic::Unknown, false)
    }
}

/// A number or a list of numbers that stands in the program.
pub(super) fn literal(e: &Expr) -> Val {
    match &e.kind {
        ExprKind::Lit(Lit::Int(n)) => i64::try_from(*n).map_or(Val::Any, Val::Int),
        ExprKind::Lit(Lit::Bool(b)) => Val::Bool(*b),
        ExprKind::List(items) if items.len() <= MAX_ITEMS => Val::List(items.iter().map(literal).collect()),
        ExprKind::Tuple(items) => Val::Tuple(items.iter().map(literal).collect()),
        _ => Val::Any,
    }
}

fn arithmetic(op: BinaryOp, a: &Val, b: &Val) -> Val {
    if let (Some(x), Some(y)) = (a.int(), b.int()) {
        let result = match op {
            BinaryOp::Add => x.checked_add(y),
            BinaryOp::Sub => x.checked_sub(y),
            BinaryOp::Mul => x.checked_mul(y),
            BinaryOp::Div => x.checked_div(y),
            BinaryOp::Rem => x.checked_rem(y),
            _ => None,
        };
        return result.map_or(Val::Any, Val::Int);
    }
    let (x, y) = (a.size(), b.size());
    let size = match op {
        BinaryOp::Add => x.add(&y),
        BinaryOp::Mul => x.mul(&y),
        _ => None,
    };
    match size {
        Some(size) if size != Symbolic::Unknown => Val::Size(size),
        _ => Val::Any,
    }
}

/// The list of a block that is a comprehension: an empty list, a loop, the list.
fn fills_list(stmts: &[Stmt], value: &Expr) -> Option<LocalId> {
    let [Stmt::Let { pattern, init: Some(init), .. }, Stmt::Expr(_)] = stmts else { return None };
    let (PatKind::Bind { local, .. }, ExprKind::List(items)) = (&pattern.kind, &init.kind) else { return None };
    // The program's own blocks may do more to their lists.
    (items.is_empty() && pattern.span == init.span && matches!(value.kind, ExprKind::Local(l) if l == *local))
        .then_some(*local)
}

/// Whether a type gives element types that another leaves open.
fn says_more(from: &Ty, to: &Ty) -> bool {
    match (from, to) {
        (Ty::Tensor(f), Ty::Tensor(t)) => f.elem.is_none() && t.elem.is_some(),
        (Ty::Tuple(f), Ty::Tuple(t)) | (Ty::Adt(_, f), Ty::Adt(_, t)) => {
            f.iter().zip(t.iter()).any(|(f, t)| says_more(f, t))
        }
        _ => false,
    }
}

/// The variable that a place is in.
pub(super) fn root(place: &Expr) -> Option<LocalId> {
    match &place.kind {
        ExprKind::Local(local) => Some(*local),
        ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => root(base),
        ExprKind::OrInsert { map, .. } => root(map),
        _ => None,
    }
}

/// The variables that an expression may set, lend or change.
fn changed_in(e: &Expr) -> Vec<LocalId> {
    let mut out = Vec::new();
    collect_changed(e, &mut out);
    out
}

fn collect_changed(e: &Expr, out: &mut Vec<LocalId>) {
    match &e.kind {
        ExprKind::Assign { target, .. } | ExprKind::AssignOp { target, .. } => out.extend(root(target)),
        ExprKind::OrInsert { map, .. } => out.extend(root(map)),
        ExprKind::Call { args, .. } | ExprKind::SpawnCall { args, .. } => {
            out.extend(args.iter().filter(|a| a.mode == ParamMode::RefMut).filter_map(|a| root(&a.value)));
        }
        _ => {}
    }
    children(e, &mut |child| collect_changed(child, out));
}
