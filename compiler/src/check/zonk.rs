//! The end of a body's inference: every type in it is put in, what is still open takes its default or is reported.

use super::limits::int_range;
use crate::hir::*;
use crate::session::Checker;
use stark_syntax::codes;
use stark_syntax::source::Span;

pub use crate::codegen::children as each_child;

impl Checker<'_> {
    /// The type with all that inference found; reports what nothing decides.
    pub fn zonk_ty(&mut self, ty: &Ty, span: Span) -> Ty {
        let ty = self.infer.resolve(ty);
        if !self.infer.has_vars(&ty) {
            return ty;
        }
        let mut open = Vec::new();
        open_vars(&ty, &mut open);
        for var in open {
            match self.infer.default_of(var) {
                Some(default) => drop(self.infer.unify(&Ty::Infer(var), &default)),
                None => {
                    let made = self.infer.span(var);
                    // Not in the library: what is to be stated stands where that is used.
                    let is_ours = made != Span::default() && (!self.is_std(made) || self.is_std(span));
                    let at = if is_ours { made } else { span };
                    // What should have decided it is wrong, and that is told.
                    if !self.reports_inside(at) {
                        self.error(
                            codes::CANNOT_INFER,
                            "nothing here decides this type",
                            at,
                            match self.text(at) {
                                _ if !is_ours
                                    && self
                                        .text(made)
                                        .lines()
                                        .next()
                                        .is_some_and(|line| line.contains("Tensor<E>")) =>
                                {
                                    "its element type is open; state it, as in `let t: Tensor<Float32> = …`"
                                }
                                text if text.starts_with("find_actor(") => {
                                    "its type is open; state it, as in `let a: Option<ActorRef<Worker>> = …`"
                                }
                                "None" => "its type is open; state it, as in `let x: Option<Int> = None`",
                                "{}" => "its type is open; state it, as in `let x: Map<String, Int> = {}`",
                                text if text.starts_with("channel(") => {
                                    "its type is open; state it, as in `let ch: Channel<Int> = channel()`"
                                }
                                _ => "its type is open; state it, as in `let x: Vec<Int> = []`",
                            },
                        );
                    }
                    self.infer.unify(&Ty::Infer(var), &Ty::Error);
                }
            }
        }
        let ty = self.infer.resolve(&ty);
        if self.infer.has_vars(&ty) { Ty::Error } else { ty }
    }

    /// `print(None, [])`: what is not there may be of any type.
    fn default_unused(&mut self, ty: &Ty) {
        let mut open = Vec::new();
        open_vars(&self.infer.resolve(ty), &mut open);
        for var in open {
            if self.infer.default_of(var).is_none() {
                self.infer.unify(&Ty::Infer(var), &Ty::Unit);
            }
        }
    }

    fn zonk_in(&mut self, ty: &mut Ty, span: Span) {
        *ty = self.zonk_ty(ty, span);
    }

    pub fn zonk_body(&mut self, value: &mut Expr, locals: &mut [Local]) {
        for local in locals.iter_mut() {
            self.zonk_in(&mut local.ty, local.span);
        }
        self.zonk_expr(value);
    }

    fn zonk_pat(&mut self, pat: &mut Pat) {
        self.zonk_in(&mut pat.ty, pat.span);
        match &mut pat.kind {
            PatKind::Lit(lit) => self.fit_literal(lit, &pat.ty, pat.span),
            PatKind::Range { start, end, .. } => {
                for lit in [start, end].into_iter().flatten() {
                    self.fit_literal(lit, &pat.ty, pat.span);
                }
            }
            PatKind::Bind { sub: Some(sub), .. } => self.zonk_pat(sub),
            PatKind::Tuple(items) | PatKind::Or(items) => items.iter_mut().for_each(|p| self.zonk_pat(p)),
            PatKind::Struct { fields } | PatKind::Variant { fields, .. } => {
                fields.iter_mut().for_each(|(_, p)| self.zonk_pat(p))
            }
            PatKind::List { before, after, .. } => before.iter_mut().chain(after).for_each(|p| self.zonk_pat(p)),
            _ => {}
        }
    }

    fn zonk_callee(&mut self, callee: &mut Callee, span: Span) {
        match callee {
            Callee::Fn { type_args, .. } => type_args.iter_mut().for_each(|t| self.zonk_in(t, span)),
            Callee::Trait { self_ty, type_args, .. } => {
                self.zonk_in(self_ty, span);
                type_args.iter_mut().for_each(|t| self.zonk_in(t, span));
            }
            Callee::Value(value) => self.zonk_expr(value),
        }
    }

    fn zonk_closure(&mut self, closure: &mut Closure) {
        let span = closure.body.value.span;
        self.zonk_in(&mut closure.ret, span);
        self.zonk_body(&mut closure.body.value, &mut closure.body.locals);
    }

    fn zonk_cond(&mut self, cond: &mut Cond) {
        match cond {
            Cond::Expr(e) => self.zonk_expr(e),
            Cond::Let { pattern, value } => {
                self.zonk_pat(pattern);
                self.zonk_expr(value);
            }
        }
    }

    fn zonk_expr(&mut self, e: &mut Expr) {
        use ExprKind::*;
        let span = e.span;
        if matches!(e.kind, Variant { .. } | List(_) | Map(_) | Set(_) | Tuple(_)) {
            self.default_unused(&e.ty);
        }
        self.zonk_in(&mut e.ty, span);
        if matches!(&e.kind, Map(pairs) if pairs.is_empty())
            && matches!(&e.ty, Ty::Adt(id, _) if *id == self.program.lang.set)
        {
            // `{}` where the context asks for a set.
            e.kind = Set(Vec::new());
        }
        match &mut e.kind {
            Lit(lit) => self.fit_literal(lit, &e.ty, span),
            Local(_) | Const(_) | Global(_) | Break | Continue | Return(None) | Error => {}
            FnRef { type_args, .. } => type_args.iter_mut().for_each(|t| self.zonk_in(t, span)),
            Closure(c) | SpawnBlock(c) => self.zonk_closure(c),
            StoreGlobal { value, .. }
            | Field { base: value, .. }
            | Unary { operand: value, .. }
            | Cast(value)
            | Coerce { value, .. }
            | Return(Some(value))
            | Throw { value, .. }
            | Question(value)
            | Await(value)
            | Scope { body: value, .. }
            | WithZone { body: value, .. } => self.zonk_expr(value),
            Call { callee, args } | SpawnCall { callee, args } => {
                self.zonk_callee(callee, span);
                args.iter_mut().for_each(|a| self.zonk_expr(&mut a.value));
            }
            Struct { fields, .. } | Variant { fields, .. } | Tuple(fields) | List(fields) | Set(fields) => {
                fields.iter_mut().for_each(|f| self.zonk_expr(f));
            }
            Map(pairs) => pairs.iter_mut().for_each(|(k, v)| {
                self.zonk_expr(k);
                self.zonk_expr(v);
            }),
            Format(parts) => parts.iter_mut().for_each(|p| {
                if let FormatPart::Value { value, .. } = p {
                    self.zonk_expr(value);
                }
            }),
            Range { start: a, end: b, .. }
            | Index { base: a, index: b }
            | Binary { lhs: a, rhs: b, .. }
            | And(a, b)
            | Or(a, b)
            | Assign { target: a, value: b } => {
                self.zonk_expr(a);
                self.zonk_expr(b);
            }
            AssignOp { target, op, value } => {
                self.zonk_expr(target);
                self.zonk_expr(value);
                if let crate::hir::AssignOp::Call { callee, takes, gives, .. } = op {
                    self.zonk_callee(callee, span);
                    self.zonk_in(takes, span);
                    self.zonk_in(gives, span);
                }
            }
            OrInsert { map, key, default } => {
                self.zonk_expr(map);
                self.zonk_expr(key);
                self.zonk_expr(default);
            }
            Block { stmts, value } => {
                for stmt in stmts {
                    match stmt {
                        Stmt::Let { pattern, init, else_ } => {
                            self.zonk_pat(pattern);
                            init.iter_mut().chain(else_).for_each(|e| self.zonk_expr(e));
                        }
                        Stmt::Expr(e) => self.zonk_expr(e),
                    }
                }
                if let Some(value) = value {
                    self.zonk_expr(value);
                }
            }
            If { cond, then, else_ } => {
                self.zonk_cond(cond);
                self.zonk_expr(then);
                if let Some(e) = else_ {
                    self.zonk_expr(e);
                }
            }
            Match { scrutinee, arms } => {
                self.zonk_expr(scrutinee);
                for arm in arms {
                    self.zonk_pat(&mut arm.pattern);
                    if let Some(guard) = &mut arm.guard {
                        self.zonk_expr(guard);
                    }
                    self.zonk_expr(&mut arm.body);
                }
            }
            While { cond, body } => {
                self.zonk_cond(cond);
                self.zonk_expr(body);
            }
            For { pattern, iterable, body } => {
                self.zonk_pat(pattern);
                self.zonk_expr(iterable);
                self.zonk_expr(body);
            }
            Try { body, catches, finally } => {
                self.zonk_expr(body);
                for catch in catches {
                    catch.types.iter_mut().for_each(|t| self.zonk_in(t, span));
                    self.zonk_expr(&mut catch.body);
                }
                if let Some(e) = finally {
                    self.zonk_expr(e);
                }
            }
            Assert { cond, message, .. } => {
                self.zonk_expr(cond);
                if let Some(e) = message {
                    self.zonk_expr(e);
                }
            }
            Select { arms } => {
                for arm in arms {
                    match &mut arm.kind {
                        SelectKind::Recv(e) | SelectKind::Await(e) | SelectKind::After(e) => self.zonk_expr(e),
                        SelectKind::Send { channel, value } => {
                            self.zonk_expr(channel);
                            self.zonk_expr(value);
                        }
                        SelectKind::Else => {}
                    }
                    if let Some(pattern) = &mut arm.pattern {
                        self.zonk_pat(pattern);
                    }
                    self.zonk_expr(&mut arm.body);
                }
            }
            Message { actor, args, timeout, .. } => {
                self.zonk_expr(actor);
                args.iter_mut().for_each(|a| self.zonk_expr(a));
                if let Some(e) = timeout {
                    self.zonk_expr(e);
                }
            }
        }
    }
}

fn open_vars(ty: &Ty, out: &mut Vec<u32>) {
    match ty {
        Ty::Infer(var) if !out.contains(var) => out.push(*var),
        Ty::Tuple(ts) | Ty::Adt(_, ts) => ts.iter().for_each(|t| open_vars(t, out)),
        Ty::Fn(ps, r) => {
            ps.iter().for_each(|t| open_vars(t, out));
            open_vars(r, out);
        }
        Ty::Tensor(t) => {
            if let Some(elem) = &t.elem {
                open_vars(elem, out);
            }
        }
        _ => {}
    }
}

/// Every function that the expression calls or names, closures included.
pub fn called_fns(e: &Expr, out: &mut Vec<FnId>) {
    match &e.kind {
        ExprKind::Call { callee: Callee::Fn { func, .. }, .. }
        | ExprKind::SpawnCall { callee: Callee::Fn { func, .. }, .. } => out.push(*func),
        ExprKind::AssignOp { op: AssignOp::Call { callee: Callee::Fn { func, .. }, .. }, .. } => out.push(*func),
        ExprKind::FnRef { func, .. } => out.push(*func),
        ExprKind::Closure(c) | ExprKind::SpawnBlock(c) => called_fns(&c.body.value, out),
        _ => {}
    }
    each_child(e, &mut |child| called_fns(child, out));
}

impl Checker<'_> {
    /// A literal in its type: whole numbers become floats where one is asked for, and must fit.
    fn fit_literal(&mut self, lit: &mut Lit, ty: &Ty, span: Span) {
        let Ty::Num(kind) = ty else { return };
        match lit {
            Lit::Int(n) if kind.is_float() => *lit = Lit::Float(round_to(*kind, *n as f64)),
            Lit::Float(x) => *x = round_to(*kind, *x),
            Lit::Int(n) => {
                let (low, high) = int_range(*kind);
                if *n < low || *n > high {
                    let (n, shown) = (*n, self.show(ty));
                    self.error(
                        codes::OUT_OF_RANGE,
                        format!("{n} does not fit `{shown}`, which holds {low} to {high}"),
                        span,
                        "out of range",
                    );
                }
            }
            _ => {}
        }
    }
}

/// A value rounded to what a float type can hold, as the machine rounds what it computes.
fn round_to(kind: NumKind, x: f64) -> f64 {
    match kind {
        NumKind::Float16 => half::f16::from_f64(x).to_f64(),
        NumKind::BFloat16 => half::bf16::from_f64(x).to_f64(),
        NumKind::Float32 => f64::from(x as f32),
        _ => x,
    }
}
