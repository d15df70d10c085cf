//! Operators: on primitive types nodes of their own, on everything else calls of methods.

use super::*;
use crate::types::infer::VarKind;
use crate::types::show::with_article;
use stark_syntax::ast::{BinaryOp, UnaryOp};

impl<'a> Checker<'a> {
    pub fn is_number(&self, ty: &Ty) -> bool {
        match self.infer.shallow(ty) {
            Ty::Num(_) => true,
            Ty::Infer(v) => matches!(self.infer.kind(v), VarKind::IntLit | VarKind::FloatLit),
            Ty::Param(i, _) => self.infer.params.get(i as usize).is_some_and(|p| *p != ParamNumber::No),
            _ => false,
        }
    }

    pub fn unary_op(&mut self, op: UnaryOp, value: Expr, span: Span) -> Expr {
        let ty = self.infer.shallow(&value.ty);
        match op {
            UnaryOp::Not if matches!(ty, Ty::Tensor(_)) => {
                let (shown, text) = (self.show(&ty), self.text(value.span).to_string());
                let mut d = Diagnostic::error(
                    codes::TYPE_MISMATCH,
                    format!("`not` takes one `Bool`, and this is `{shown}`"),
                    value.span,
                    "many values",
                );
                if !text.contains('\n') && text.len() <= 60 {
                    let inner = bracketed(&text);
                    d = d.help(format!("`{inner}.logical_not()` turns each; `not {inner}.any().item()` is one `Bool`"));
                }
                self.report(d);
                Expr { kind: ExprKind::Error, ty: Ty::Error, span }
            }
            UnaryOp::Not => {
                let value = self.coerce(value, &Ty::Bool);
                Expr { kind: ExprKind::Unary { op, operand: Box::new(value) }, ty: Ty::Bool, span }
            }
            _ if ty == Ty::Error => self.err(span),
            UnaryOp::Neg if self.is_number(&ty) => {
                if let Ty::Num(k) = &ty
                    && !k.is_float()
                    && !is_signed(*k)
                    && !matches!(value.kind, ExprKind::Lit(_))
                {
                    let shown = self.show(&ty);
                    self.error(
                        codes::BAD_OPERANDS,
                        format!("`{shown}` has no negative numbers"),
                        span,
                        "cannot be negated",
                    );
                }
                match value.kind {
                    ExprKind::Lit(Lit::Int(n)) => Expr { kind: ExprKind::Lit(Lit::Int(-n)), ty, span },
                    ExprKind::Lit(Lit::Float(x)) => Expr { kind: ExprKind::Lit(Lit::Float(-x)), ty, span },
                    _ => Expr { kind: ExprKind::Unary { op, operand: Box::new(value) }, ty, span },
                }
            }
            UnaryOp::Neg if matches!(ty, Ty::Infer(_)) => {
                let number = self.infer.fresh(VarKind::IntLit, span);
                self.infer.unify(&ty, &number);
                Expr { kind: ExprKind::Unary { op, operand: Box::new(value) }, ty, span }
            }
            UnaryOp::Neg => {
                let shown = self.show(&ty);
                if let Some(e) = self.call_method_named(value, "neg", Vec::new(), span) {
                    return e;
                }
                self.error(
                    codes::BAD_OPERANDS,
                    format!("`-` does not work on `{shown}`"),
                    span,
                    format!("this is `{shown}`"),
                );
                self.err(span)
            }
            UnaryOp::BitNot => {
                if self.meets(&ty, &Bound::Integer) == Met::No {
                    let shown = self.show(&ty);
                    self.error(
                        codes::BAD_OPERANDS,
                        format!("`~` works on integers, not on `{shown}`"),
                        span,
                        "not an integer",
                    );
                }
                Expr { kind: ExprKind::Unary { op, operand: Box::new(value) }, ty, span }
            }
        }
    }

    pub fn binary(
        &mut self,
        op: BinaryOp,
        op_span: Span,
        lhs: &'a ast::Expr,
        rhs: &'a ast::Expr,
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let l = Box::new(self.condition(lhs));
                let r = Box::new(self.condition(rhs));
                let kind = if op == BinaryOp::And { ExprKind::And(l, r) } else { ExprKind::Or(l, r) };
                Expr { kind, ty: Ty::Bool, span }
            }
            BinaryOp::In | BinaryOp::NotIn => self.contains(op, lhs, rhs, span),
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                let bare = |e: &ast::Expr| matches!(&e.kind, ast::ExprKind::Name(_));
                // A bare variant on the left takes its enum from the right.
                let (l, r) = if bare(lhs) && self.is_bare_variant_name(lhs) {
                    let r = self.expr(rhs, None);
                    (self.expr(lhs, Some(&r.ty.clone())), r)
                } else {
                    let l = self.expr(lhs, None);
                    let ty = l.ty.clone();
                    (l, self.expr(rhs, Some(&ty)))
                };
                self.compare(op, op_span, l, r, span)
            }
            _ => {
                let l = self.expr(lhs, hint);
                let lty = self.infer.shallow(&l.ty);
                let wish = if self.is_number(&lty) || matches!(lty, Ty::Adt(..)) { Some(lty) } else { None };
                let r = self.expr(rhs, wish.as_ref());
                self.arith(op, op_span, l, r, span)
            }
        }
    }

    fn is_bare_variant_name(&self, e: &ast::Expr) -> bool {
        let ast::ExprKind::Name(name) = &e.kind else { return false };
        self.find_binding(name).is_none()
            && self.lookup(self.f.env.module, name).is_none()
            && self.adts.iter().any(|a| a.variants.contains_key(name))
    }

    fn contains(&mut self, op: BinaryOp, lhs: &'a ast::Expr, rhs: &'a ast::Expr, span: Span) -> Expr {
        let guards = self.f.call_guards.len();
        let container = self.guarded(rhs, None);
        // The item comes first: it may wait, or look at the same zone.
        let held = self.f.call_guards.split_off(guards);
        let wish = match self.infer.shallow(&container.ty) {
            Ty::Adt(_, args) => args.first().cloned(),
            Ty::Str => Some(Ty::Str),
            _ => None,
        };
        let item = self.expr(lhs, wish.as_ref());
        let mut before = Vec::new();
        let item = self.reopen(held, item, &mut before);
        let (c_ty, i_ty) = (container.ty.clone(), item.ty.clone());
        if c_ty == Ty::Error || i_ty == Ty::Error {
            return self.err(span);
        }
        let found = match self.call_method_named(container, "contains", vec![item], span) {
            Some(call) => {
                let call = self.close_guards(call, guards);
                self.coerce(Self::after(before, call), &Ty::Bool)
            }
            None => {
                let (c, i) = (self.show(&c_ty), self.show(&i_ty));
                let known = !self.methods_of(&c_ty, "contains").is_empty();
                let code = if known { codes::TYPE_MISMATCH } else { codes::BAD_OPERANDS };
                self.error(code, format!("`in` does not look for `{i}` in `{c}`"), span, format!("`{i}` in `{c}`"));
                return self.err(span);
            }
        };
        if op == BinaryOp::In {
            return found;
        }
        Expr { kind: ExprKind::Unary { op: UnaryOp::Not, operand: Box::new(found) }, ty: Ty::Bool, span }
    }

    pub fn compare(&mut self, op: BinaryOp, op_span: Span, l: Expr, r: Expr, span: Span) -> Expr {
        let (lt, rt) = (self.infer.shallow(&l.ty), self.infer.shallow(&r.ty));
        if lt == Ty::Error || rt == Ty::Error {
            return Expr { kind: ExprKind::Error, ty: Ty::Bool, span };
        }
        let is_tensor = |t: &Ty| matches!(t, Ty::Tensor(_));
        if is_tensor(&lt) || is_tensor(&rt) {
            let (method, swapped) = match op {
                BinaryOp::Eq => ("equal", "equal"),
                BinaryOp::Ne => ("not_equal", "not_equal"),
                BinaryOp::Lt => ("less", "greater"),
                BinaryOp::Le => ("less_equal", "greater_equal"),
                BinaryOp::Gt => ("greater", "less"),
                _ => ("greater_equal", "less_equal"),
            };
            let (on, method, other) = if is_tensor(&lt) { (l, method, r) } else { (r, swapped, l) };
            return self.tensor_op(on, method, other, op_span, span);
        }
        let span_of = r.span;
        let (found, want) = (r.ty.clone(), l.ty.clone());
        let l_span = l.span;
        let (l, r) = match self.try_coerce(r, &want) {
            Ok(r) => (l, r),
            Err(r) => match self.try_coerce(l, &r.ty.clone()) {
                Ok(l) => (l, r),
                Err(l) => {
                    let (a, b) = (self.show(&l.ty), self.show(&r.ty));
                    let mut d = Diagnostic::error(
                        codes::TYPE_MISMATCH,
                        format!("`{a}` and `{b}` cannot be compared"),
                        span_of,
                        format!("this is `{b}`"),
                    )
                    .because(l_span, format!("this is `{a}`"));
                    if self.is_number(&found) && self.is_number(&want) {
                        d = d.help(format!("convert one: `{a}({})`", self.text(span_of)));
                    } else if self.text(span_of) == "None" {
                        let always = with_article(&a);
                        d = d.help(format!("{always} is always there, so it is never `None`: only an `Option` may be"));
                    } else if let Some(mend) = self.unwrapped(&want, &found, span_of) {
                        d = mend.onto(d);
                    } else if let Some(mend) = self.unwrapped(&found, &want, l_span) {
                        d = mend.onto(d);
                    } else if let Some(mend) = self.mend(&want, &found, span_of) {
                        d = mend.onto(d);
                    }
                    self.report(d);
                    return Expr { kind: ExprKind::Error, ty: Ty::Bool, span };
                }
            },
        };
        let lang = (self.program.lang.eq, self.program.lang.ord);
        let bound = if matches!(op, BinaryOp::Eq | BinaryOp::Ne) { lang.0 } else { lang.1 };
        let ty = l.ty.clone();
        self.require(&ty, &Bound::plain(bound), span, "a comparison");
        Expr { kind: ExprKind::Binary { op, lhs: Box::new(l), rhs: Box::new(r) }, ty: Ty::Bool, span }
    }

    /// An operator with a tensor on at least one side.
    fn tensor_op(&mut self, on: Expr, method: &str, other: Expr, op_span: Span, span: Span) -> Expr {
        let (a, b) = (on.ty.clone(), other.ty.clone());
        if let Some(call) = self.call_method_named(on, method, vec![other], span) {
            return call;
        }
        let (a_text, b_text) = (self.show(&a), self.show(&b));
        let both = matches!((self.infer.shallow(&a), self.infer.shallow(&b)), (Ty::Tensor(_), Ty::Tensor(_)));
        if both || self.is_number(&b) {
            let mut d = Diagnostic::error(
                codes::ELEMENTS_DIFFER,
                format!("`{a_text}` and `{b_text}` have different element types"),
                span,
                "do not go together",
            );
            if let Ty::Tensor(TensorTy { elem: Some(elem), .. }) = self.infer.shallow(&a) {
                let elem = self.show(&elem);
                let whole = |text: &str| text.starts_with("Int") || text.starts_with("UInt");
                let fraction = matches!(self.infer.shallow(&b), Ty::Num(k) if k.is_float())
                    || matches!(self.infer.shallow(&b), Ty::Infer(v) if self.infer.kind(v) == VarKind::FloatLit);
                d = if both {
                    d.help(format!("convert one with `.to({elem})`"))
                } else if whole(&elem) && fraction {
                    d.help("convert the tensor, so that no fraction is lost: `.to(Float32)`")
                } else {
                    d.help(format!("convert the number: `{elem}(…)`"))
                };
            }
            self.report(d);
        } else {
            self.error(
                codes::TYPE_MISMATCH,
                format!("this operator does not work on `{a_text}` and `{b_text}`"),
                op_span,
                "here",
            );
        }
        self.err(span)
    }

    /// Whether tensors have the operator: none shifts, and `&`, `|` and `^` are those of truth, not of bits.
    fn tensors_have(&mut self, op: BinaryOp, l: &Ty, r: &Ty) -> bool {
        match op {
            BinaryOp::Shl | BinaryOp::Shr => false,
            BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => [l, r].into_iter().all(|side| match side {
                Ty::Tensor(TensorTy { elem: Some(elem), .. }) => self.infer.unify(elem, &Ty::Bool),
                // What only the running program knows is checked when it gets there.
                Ty::Tensor(_) => true,
                _ => false,
            }),
            _ => true,
        }
    }

    fn no_bits(&mut self, op: BinaryOp, l: &Ty, r: &Ty, op_span: Span, span: Span) -> Expr {
        let help = match op {
            BinaryOp::Shl => "a shift to the left multiplies: `t * 4` for `t << 2`",
            BinaryOp::Shr => "a shift to the right divides what is not negative: `t / 4` for `t >> 2`",
            _ => "`&`, `|` and `^` take two `Tensor<Bool>`; bits of numbers are for plain `Int`s",
        };
        let title = format!("`{}` does not work on `{}` and `{}`", op_text(op), self.show(l), self.show(r));
        let label = "tensors have no operators on bits";
        self.report(Diagnostic::error(codes::BAD_OPERANDS, title, op_span, label).help(help));
        self.err(span)
    }

    pub fn arith(&mut self, op: BinaryOp, op_span: Span, l: Expr, r: Expr, span: Span) -> Expr {
        let sides = (l.span, r.span);
        let (mut lt, mut rt) = (self.infer.shallow(&l.ty), self.infer.shallow(&r.ty));
        if lt == Ty::Error || rt == Ty::Error {
            return self.err(span);
        }
        if lt == Ty::Never || rt == Ty::Never {
            let ty = Ty::Never;
            return Expr { kind: ExprKind::Binary { op, lhs: Box::new(l), rhs: Box::new(r) }, ty, span };
        }
        // A side that is open takes the other's type.
        let open = |t: &Ty, c: &Checker| matches!(t, Ty::Infer(v) if c.infer.kind(*v) == VarKind::Any);
        if open(&lt, self) || open(&rt, self) {
            if (self.is_number(&lt) || matches!(lt, Ty::Str | Ty::Tensor(_)) || open(&lt, self))
                && (self.is_number(&rt) || matches!(rt, Ty::Str | Ty::Tensor(_)) || open(&rt, self))
            {
                self.infer.unify(&lt, &rt);
            }
            (lt, rt) = (self.infer.shallow(&l.ty), self.infer.shallow(&r.ty));
            if open(&lt, self) {
                self.report(
                    Diagnostic::error(
                        codes::CANNOT_INFER,
                        format!("the types of this `{}` must be known", op_text(op)),
                        span,
                        "neither side's type is known yet",
                    )
                    .help("write the type of a parameter or variable"),
                );
                self.infer.unify(&lt, &Ty::Error);
                return self.err(span);
            }
        }
        let is_tensor = |t: &Ty| matches!(t, Ty::Tensor(_));
        if (is_tensor(&lt) || is_tensor(&rt)) && !self.tensors_have(op, &lt, &rt) {
            return self.no_bits(op, &lt, &rt, op_span, span);
        }
        if is_tensor(&lt) {
            let method = op_method(op);
            return self.tensor_op(l, method, r, op_span, span);
        }
        if is_tensor(&rt) {
            let method = format!("r{}", op_method(op));
            return self.tensor_op(r, &method, l, op_span, span);
        }
        let shift = matches!(op, BinaryOp::Shl | BinaryOp::Shr);
        if op != BinaryOp::MatMul && self.is_number(&lt) && self.is_number(&rt) {
            let ints_only = shift || matches!(op, BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor);
            if shift {
                let (a, b) = (self.meets(&lt, &Bound::Integer), self.meets(&rt, &Bound::Integer));
                if a == Met::No || b == Met::No {
                    return self.bad_operands(op, (&lt, sides.0), (&rt, sides.1), op_span, span);
                }
                return Expr { kind: ExprKind::Binary { op, lhs: Box::new(l), rhs: Box::new(r) }, ty: lt, span };
            }
            let mark = self.infer.mark();
            if !self.infer.unify(&lt, &rt) {
                self.infer.rollback(mark);
                return self.number_mismatch(op, l, r, span);
            }
            if ints_only && self.meets(&lt, &Bound::Integer) == Met::No {
                return self.bad_operands(op, (&lt, sides.0), (&rt, sides.1), op_span, span);
            }
            let ty = self.infer.shallow(&lt);
            return Expr { kind: ExprKind::Binary { op, lhs: Box::new(l), rhs: Box::new(r) }, ty, span };
        }
        if lt == Ty::Bool && rt == Ty::Bool && matches!(op, BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor) {
            return Expr { kind: ExprKind::Binary { op, lhs: Box::new(l), rhs: Box::new(r) }, ty: Ty::Bool, span };
        }
        // `2 * 1s` is `1s * 2`.
        if op == BinaryOp::Mul && self.is_number(&lt) && matches!(rt, Ty::Duration) {
            if let Some(call) = self.call_method_named(r, "mul", vec![l], span) {
                return call;
            }
            return self.bad_operands(op, (&lt, sides.0), (&rt, sides.1), op_span, span);
        }
        let set_method = match op {
            BinaryOp::BitOr => "union",
            BinaryOp::BitAnd => "intersection",
            BinaryOp::Sub => "difference",
            BinaryOp::BitXor => "symmetric_difference",
            _ => "",
        };
        let is_set = matches!(&lt, Ty::Adt(id, _) if *id == self.program.lang.set) && !set_method.is_empty();
        let method = if is_set { set_method } else { op_method(op) };
        let has = !method.is_empty()
            && (!self.methods_of(&lt, method).is_empty() || self.trait_call_of(&lt, method, true).is_some());
        if has && let Some(call) = self.call_method_named(l.clone(), method, vec![r.clone()], span) {
            return call;
        }
        if has || lt == rt {
            return self.bad_operands(op, (&lt, sides.0), (&rt, sides.1), op_span, span);
        }
        self.bad_operands(op, (&lt, sides.0), (&rt, sides.1), op_span, span)
    }

    fn number_mismatch(&mut self, op: BinaryOp, l: Expr, r: Expr, span: Span) -> Expr {
        let (a, b) = (self.show(&l.ty), self.show(&r.ty));
        let text = self.text(l.span).to_string();
        let d = Diagnostic::error(
            codes::TYPE_MISMATCH,
            format!("`{}` needs the same type on both sides, found `{a}` and `{b}`", op_text(op)),
            span,
            format!("`{a}` {} `{b}`", op_text(op)),
        )
        .because(l.span, format!("this is `{a}`"))
        .because(r.span, format!("this is `{b}`"))
        .help(format!("numbers are converted in writing: `{b}({text})`"));
        self.report(d);
        self.err(span)
    }

    fn bad_operands(&mut self, op: BinaryOp, l: (&Ty, Span), r: (&Ty, Span), op_span: Span, span: Span) -> Expr {
        let ((lt, _), (rt, _)) = (l, r);
        let (a, b) = (self.show(lt), self.show(rt));
        let method = op_method(op);
        let known = !method.is_empty() && !self.methods_of(lt, method).is_empty();
        let code = if known || *lt != *rt { codes::TYPE_MISMATCH } else { codes::BAD_OPERANDS };
        let mut d = Diagnostic::error(
            code,
            format!("`{}` does not work on `{a}` and `{b}`", op_text(op)),
            op_span,
            format!("`{a}` {} `{b}`", op_text(op)),
        );
        let wrapped = self.unwrapped(rt, lt, l.1).or_else(|| self.unwrapped(lt, rt, r.1));
        let wrapped = wrapped.or_else(|| self.inside(lt, l.1)).or_else(|| self.inside(rt, r.1));
        let (l_text, r_text) = (self.text(l.1).to_string(), self.text(r.1).to_string());
        let vec = self.program.lang.vec;
        if let Some(mend) = wrapped {
            d = mend.onto(d);
        } else if *lt == Ty::Str && op == BinaryOp::Rem {
            d = d.help("an f-string holds values: `f\"hello {name}\"`, `f\"{x:.2}\"`");
        } else if *lt == Ty::Str && op == BinaryOp::Sub {
            d = d.help(format!("`{l_text}.replace({r_text}, \"\")` takes a part out"));
        } else if let (Ty::Duration, true) = (lt, self.is_number(rt)) {
            if let Some(mend) = self.mend(&Ty::Duration, rt, r.1) {
                d = mend.onto(d);
            }
        } else if let Ty::Adt(id, args) = lt
            && *id == vec
            && op == BinaryOp::Add
            && self.could_be(&args[0], rt)
        {
            d = d.help(format!(
                "`{l_text}.push({r_text})` adds an element, `{l_text} + [{r_text}]` makes a longer list"
            ));
        } else if let Ty::Adt(id, _) = lt
            && *id == vec
            && op == BinaryOp::Sub
        {
            d = d.help("`.filter(|x| …)` keeps some of a list; sets have `-`: `set(xs) - set(ys)`");
        } else if let Ty::Adt(id, _) = lt
            && *id == vec
            && self.is_number(rt)
        {
            d = d.help(format!("`tensor({l_text})` has it for all elements at once; a list has `.map(|x| …)`"));
        } else if let Ty::Param(_, name) = lt {
            d = d.help(format!("`{name}` may be any type: where it is a number, write `<{name}: Number>`"));
        } else if *lt == Ty::Str || *rt == Ty::Str {
            d = d.help("`str(x)` gives the text of a value, or write it into an f-string: `f\"{x}\"`");
            // Joining is what was meant; how to show anything but a number is for the author to say.
            let (other, at) = if *lt == Ty::Str { r } else { l };
            if op == BinaryOp::Add && (self.is_number(other) || *other == Ty::Bool) {
                let text = self.text(at).to_string();
                d = d.fix(format!("write `str({text})`"), vec![(at, format!("str({text})"))]);
            }
        } else if let Ty::Adt(id, _) = lt
            && !method.is_empty()
            && (matches!(self.program.adts[id.index()].kind, AdtKind::Struct(_) | AdtKind::Enum(_)))
        {
            d = d.help(format!("`impl {} for {a}:` gives it one", trait_of(op)));
        }
        self.report(d);
        self.err(span)
    }

    /// `target op= value` on types whose operators are methods.
    pub fn assign_op_call(&mut self, op: BinaryOp, target: &Expr, value: Expr, span: Span) -> Expr {
        self.arith(op, span, target.clone(), value, span)
    }
}

pub fn is_signed(k: NumKind) -> bool {
    !matches!(k, NumKind::UInt8 | NumKind::UInt16 | NumKind::UInt32 | NumKind::UInt64)
}

pub fn op_method(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "add",
        BinaryOp::Sub => "sub",
        BinaryOp::Mul => "mul",
        BinaryOp::Div => "div",
        BinaryOp::Rem => "rem",
        BinaryOp::Pow => "pow",
        BinaryOp::MatMul => "matmul",
        BinaryOp::BitAnd => "logical_and",
        BinaryOp::BitOr => "logical_or",
        BinaryOp::BitXor => "logical_xor",
        _ => "",
    }
}

fn trait_of(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "Add",
        BinaryOp::Sub => "Sub",
        BinaryOp::Mul => "Mul",
        BinaryOp::Div => "Div",
        BinaryOp::Rem => "Rem",
        BinaryOp::Pow => "Pow",
        BinaryOp::MatMul => "MatMul",
        _ => "…",
    }
}

pub fn op_text(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
        BinaryOp::Pow => "**",
        BinaryOp::MatMul => "@",
        BinaryOp::Shl => "<<",
        BinaryOp::Shr => ">>",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitOr => "|",
        BinaryOp::BitXor => "^",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::In => "in",
        BinaryOp::NotIn => "not in",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
    }
}

/// A text that a method's dot may stand behind.
pub fn bracketed(text: &str) -> String {
    let is_one = text.chars().all(|c| c.is_alphanumeric() || "_.()[]".contains(c)) && !text.starts_with('(');
    // Brackets that open at the start and close at the end are one pair where none closes between.
    let mut depth = 0;
    let closes_early = text.char_indices().any(|(at, c)| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0 && at + 1 < text.len()
    });
    if is_one || (text.starts_with('(') && !closes_early) { text.to_string() } else { format!("({text})") }
}
