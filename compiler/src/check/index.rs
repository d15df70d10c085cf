//! `v[i]`, `v[a..b]`, `t[i, a..b, ..]`: places where they can be, calls where they cannot.

use super::*;
use crate::types::infer::VarKind;

impl<'a> Checker<'a> {
    pub fn int_lit(&self, n: i128, span: Span) -> Expr {
        Expr { kind: ExprKind::Lit(Lit::Int(n)), ty: Ty::INT, span }
    }

    pub fn index(&mut self, base: &'a ast::Expr, indices: &'a [ast::Index], span: Span) -> Expr {
        let base = self.place(base, None);
        self.index_of(base, indices, span)
    }

    /// The element of a base that is typed.
    pub fn index_of(&mut self, base: Expr, indices: &'a [ast::Index], span: Span) -> Expr {
        let ty = self.infer.shallow(&base.ty);
        if let Ty::Infer(v) = ty {
            if self.infer.kind(v) == VarKind::Braces {
                let (k, v) = (self.infer.fresh(VarKind::Any, span), self.infer.fresh(VarKind::Any, span));
                let made = Ty::Adt(self.program.lang.map, Rc::from([k, v]));
                self.infer.unify(&ty, &made);
            } else {
                self.error(
                    codes::CANNOT_INFER,
                    "the type of this must be known before `[…]`",
                    base.span,
                    "not known yet",
                );
                self.infer.unify(&ty, &Ty::Error);
            }
        }
        let ty = self.infer.shallow(&base.ty);
        match ty {
            Ty::Error => {
                for i in indices {
                    if let ast::Index::At(e) = i {
                        self.expr(e, None);
                    }
                }
                self.err(span)
            }
            Ty::Tensor(t) => self.tensor_index(base, t, indices, span),
            _ => match indices {
                [ast::Index::At(e)] => self.index_at(base, e, span),
                [ast::Index::Range { start, end, inclusive, .. }] => {
                    let start = match start {
                        Some(e) => self.check_expr(e, &Ty::INT),
                        None => self.int_lit(0, span),
                    };
                    let end = self.slice_end(end.as_ref(), *inclusive, span);
                    let shown = self.show(&base.ty);
                    match self.call_method_named(base, "slice", vec![start, end], span) {
                        Some(call) => call,
                        None => {
                            self.error(
                                codes::BAD_OPERANDS,
                                format!("`{shown}` cannot be sliced"),
                                span,
                                "no slices of this",
                            );
                            self.err(span)
                        }
                    }
                }
                _ => {
                    let shown = self.show(&base.ty);
                    self.error(codes::ARGUMENTS, format!("`{shown}` takes one index"), span, "several given");
                    self.err(span)
                }
            },
        }
    }

    fn slice_end(&mut self, end: Option<&'a ast::Expr>, inclusive: bool, span: Span) -> Expr {
        match end {
            None => self.int_lit(i128::from(i64::MAX), span),
            Some(e) => {
                let end = self.check_expr(e, &Ty::INT);
                if !inclusive {
                    return end;
                }
                let one = self.int_lit(1, span);
                let kind = ExprKind::Binary { op: BinaryOp::Add, lhs: Box::new(end), rhs: Box::new(one) };
                Expr { kind, ty: Ty::INT, span }
            }
        }
    }

    fn index_at(&mut self, base: Expr, index: &'a ast::Expr, span: Span) -> Expr {
        let lang = (self.program.lang.vec, self.program.lang.map);
        match self.infer.shallow(&base.ty) {
            Ty::Adt(id, args) if id == lang.0 => {
                let index = self.check_expr(index, &Ty::INT);
                if let ExprKind::Lit(Lit::Int(n)) = &index.kind
                    && *n < 0
                {
                    let at = index.span;
                    self.report(
                        Diagnostic::warning(
                            codes::UNREACHABLE,
                            "a negative index is always an `IndexError`",
                            at,
                            "counts from the front only",
                        )
                        .help("`v[len(v) - 1]` or `v.last()` is the last item"),
                    );
                }
                let ty = args[0].clone();
                Expr { kind: ExprKind::Index { base: Box::new(base), index: Box::new(index) }, ty, span }
            }
            Ty::Adt(id, args) if id == lang.1 => {
                let index = self.check_expr(index, &args[0]);
                let ty = args[1].clone();
                Expr { kind: ExprKind::Index { base: Box::new(base), index: Box::new(index) }, ty, span }
            }
            Ty::Tuple(_) => {
                self.report(
                    Diagnostic::error(
                        codes::BAD_OPERANDS,
                        "a tuple has no `[…]`",
                        span,
                        "its elements have different types",
                    )
                    .help("write `t.0`, or take it apart: `let (a, b) = t`"),
                );
                self.err(span)
            }
            ty => {
                let index = self.expr(index, None);
                let at = base.span;
                let (shown, by) = (self.show(&ty), self.show(&index.ty));
                match self.call_method_named(base, "index", vec![index], span) {
                    Some(call) => call,
                    None => {
                        let known = !self.methods_of(&ty, "index").is_empty();
                        let code = if known { codes::TYPE_MISMATCH } else { codes::BAD_OPERANDS };
                        let d = Diagnostic::error(code, format!("`{shown}` cannot be indexed by `{by}`"), span, "here");
                        let mend = self.inside(&ty, at);
                        self.report(match mend {
                            Some(mend) => mend.onto(d),
                            None => d,
                        });
                        self.err(span)
                    }
                }
            }
        }
    }

    /// What stands inside a tensor's brackets, as three numbers for each index.
    pub fn tensor_parts(&mut self, indices: &'a [ast::Index], span: Span) -> Expr {
        let mut parts = Vec::new();
        for index in indices {
            match index {
                ast::Index::At(e) => {
                    let at = self.expr(e, Some(&Ty::INT));
                    parts.extend([self.int_lit(0, span), self.position(at), self.int_lit(0, span)]);
                }
                ast::Index::Range { start: None, end: None, .. } => {
                    parts.extend([self.int_lit(2, span), self.int_lit(0, span), self.int_lit(0, span)]);
                }
                ast::Index::Range { start, end, inclusive, .. } => {
                    let start = match start {
                        // `0..6..2` is a range from a range.
                        Some(e) if matches!(e.kind, ast::ExprKind::Range { .. }) => {
                            let from = self.expr(e, None);
                            self.position(from)
                        }
                        Some(e) => self.check_expr(e, &Ty::INT),
                        None => self.int_lit(0, span),
                    };
                    let end = self.slice_end(end.as_ref(), *inclusive, span);
                    parts.extend([self.int_lit(1, span), start, end]);
                }
            }
        }
        let ty = Ty::Adt(self.program.lang.vec, Rc::from([Ty::INT]));
        Expr { kind: ExprKind::List(parts), ty, span }
    }

    /// An index that is assigned, or one of several.
    fn position(&mut self, index: Expr) -> Expr {
        let is_range = matches!(self.infer.shallow(&index.ty), Ty::Adt(id, _) if id == self.program.lang.range);
        let instead = match self.text(index.span) {
            "None" => Some("`t.unsqueeze(0)` adds an axis of size 1 in front, `t.unsqueeze(-1)` one behind"),
            _ if is_range => {
                Some("a slice `a..b` has no step: `t.index_select(axis, arange(a, b, step))` picks every other")
            }
            _ => None,
        };
        if let Some(help) = instead {
            let shown = self.show(&index.ty);
            let title = format!("an index is a number or a range without a step, and this is `{shown}`");
            self.report(Diagnostic::error(codes::TYPE_MISMATCH, title, index.span, "no index").help(help));
            return self.err(index.span);
        }
        if !matches!(self.infer.shallow(&index.ty), Ty::Tensor(_)) {
            return self.coerce(index, &Ty::INT);
        }
        let shown = self.show(&index.ty);
        self.report(
            Diagnostic::error(
                codes::TYPE_MISMATCH,
                format!("an index here is a number or a range, and this is a `{shown}`"),
                index.span,
                "a mask stands alone in the brackets, as ids do that are read",
            )
            .help("`t.index_select(axis, ids)` picks along one axis, `t.gather(axis, ids)` for each place, `where(mask, a, b)` by a mask"),
        );
        self.err(index.span)
    }

    fn is_mask(&mut self, index: &Expr) -> bool {
        match self.infer.shallow(&index.ty) {
            Ty::Tensor(TensorTy { elem: Some(elem), .. }) => self.infer.shallow(&elem) == Ty::Bool,
            _ => false,
        }
    }

    fn tensor_index(&mut self, base: Expr, t: TensorTy, indices: &'a [ast::Index], span: Span) -> Expr {
        // One index that is a tensor picks rows, or elements by a mask.
        if let [ast::Index::At(e)] = indices {
            let index = self.expr(e, Some(&Ty::INT));
            if self.is_mask(&index) {
                return self.by_mask("_tensor_mask", ParamMode::Value, base, &t, vec![index], span);
            }
            if matches!(self.infer.shallow(&index.ty), Ty::Tensor(_)) {
                let (zero, shown) = (self.int_lit(0, span), self.show(&index.ty));
                let at = index.span;
                if let Some(call) = self.call_method_named(base.clone(), "index_select", vec![zero, index], span) {
                    return call;
                }
                self.report(
                    Diagnostic::error(
                        codes::TYPE_MISMATCH,
                        format!("a tensor is not indexed by a `{shown}`"),
                        at,
                        "an index is a number, a range, a `Tensor<Int64>` of rows or a `Tensor<Bool>`",
                    )
                    .help("`.to(Int64)` makes ids, a comparison (`t > 0.0`) makes a mask"),
                );
                return self.err(span);
            }
            let index = self.position(index);
            let ty = Ty::Adt(self.program.lang.vec, Rc::from([Ty::INT]));
            let list = vec![self.int_lit(0, span), index, self.int_lit(0, span)];
            let parts = Expr { kind: ExprKind::List(list), ty, span };
            return self.tensor_native(base, t, parts, span);
        }
        let parts = self.tensor_parts(indices, span);
        self.tensor_native(base, t, parts, span)
    }

    fn by_mask(&mut self, name: &str, mode: ParamMode, base: Expr, t: &TensorTy, rest: Vec<Expr>, span: Span) -> Expr {
        let Some(func) = self.prelude_fn(name) else { return self.err(span) };
        let elem = t.elem.as_ref().map_or(Ty::Error, |e| (**e).clone());
        let mut args = vec![Arg { mode, value: base }];
        args.extend(rest.into_iter().map(|value| Arg { mode: ParamMode::Value, value }));
        self.call_fn(func, vec![elem], args, span)
    }

    fn tensor_native(&mut self, base: Expr, t: TensorTy, parts: Expr, span: Span) -> Expr {
        let Some(func) = self.prelude_fn("_tensor_index") else { return self.err(span) };
        let elem = t.elem.map_or(Ty::Error, |e| (*e).clone());
        let args = vec![Arg { mode: ParamMode::Value, value: base }, Arg { mode: ParamMode::Value, value: parts }];
        let ty = Ty::Tensor(TensorTy { elem: Some(Rc::new(elem.clone())), dims: None });
        let mut call = self.call_fn(func, vec![elem], args, span);
        call.ty = ty;
        call
    }

    /// `t[i][j] = x` would change a copy of a row, not `t`: reported with what does it.
    fn is_slice_assigned(&mut self, base: &Expr, indices: &[ast::Index]) -> bool {
        let is_slice = matches!(&base.kind, ExprKind::Call { callee: Callee::Fn { func, .. }, .. }
            if Some(*func) == self.prelude_fn("_tensor_index"));
        let written = self.text(base.span).to_string();
        let (true, Some(outer)) = (is_slice, written.strip_suffix(']')) else { return false };
        let span = |e: &ast::Expr| e.span;
        let spans: Option<Vec<Span>> =
            indices.iter().map(|index| if let ast::Index::At(e) = index { Some(span(e)) } else { None }).collect();
        let mut d = Diagnostic::error(
            codes::NOT_A_PLACE,
            "this is a slice of a tensor, a value of its own",
            base.span,
            "changing it would not change the tensor",
        );
        if let Some(spans) = spans {
            let inner: Vec<&str> = spans.iter().map(|span| self.text(*span)).collect();
            d = d.help(format!("name all positions at once: `{outer}, {}]`", inner.join(", ")));
        }
        self.report(d);
        true
    }

    /// `t[i, j] = x`, with a tensor or a number.
    pub fn tensor_assign(
        &mut self,
        base: Expr,
        indices: &'a [ast::Index],
        op: Option<BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
    ) -> Expr {
        let Ty::Tensor(t) = self.infer.shallow(&base.ty) else { return self.err(span) };
        let elem = t.elem.as_ref().map_or(Ty::Error, |e| (**e).clone());
        let single = if let [ast::Index::At(e)] = indices { Some(self.expr(e, Some(&Ty::INT))) } else { None };
        let value = self.expr(value, Some(&elem));
        if !self.is_slice_assigned(&base, indices) {
            self.require_mutable(&base, base.span, false);
        }
        let parts = match single {
            Some(mask) if self.is_mask(&mask) => return self.assign_by_mask(base, &t, mask, op, value, span),
            Some(at) => {
                let list = vec![self.int_lit(0, span), self.position(at), self.int_lit(0, span)];
                let ty = Ty::Adt(self.program.lang.vec, Rc::from([Ty::INT]));
                Expr { kind: ExprKind::List(list), ty, span }
            }
            None => self.tensor_parts(indices, span),
        };
        let value = match op {
            Some(op) => {
                let old = self.tensor_native(base.clone(), t, parts.clone(), span);
                self.arith(op, span, old, value, span)
            }
            None => value,
        };
        let is_tensor = matches!(self.infer.shallow(&value.ty), Ty::Tensor(_));
        let name = if is_tensor { "_tensor_index_set" } else { "_tensor_index_fill" };
        let Some(func) = self.prelude_fn(name) else { return self.err(span) };
        let want = if is_tensor {
            Ty::Tensor(TensorTy { elem: Some(Rc::new(elem.clone())), dims: None })
        } else {
            elem.clone()
        };
        let value = self.coerce(value, &want);
        let args = vec![
            Arg { mode: ParamMode::RefMut, value: base },
            Arg { mode: ParamMode::Value, value: parts },
            Arg { mode: ParamMode::Value, value },
        ];
        self.call_fn(func, vec![elem], args, span)
    }

    /// `t[mask] = x` with a number, `t[mask] += x` with a number or a tensor that fits `t`.
    fn assign_by_mask(
        &mut self,
        base: Expr,
        t: &TensorTy,
        mask: Expr,
        op: Option<BinaryOp>,
        value: Expr,
        span: Span,
    ) -> Expr {
        let elem = t.elem.as_ref().map_or(Ty::Error, |e| (**e).clone());
        if let Some(op) = op {
            let new = self.arith(op, span, base.clone(), value, span);
            let new = self.coerce(new, &Ty::Tensor(TensorTy { elem: Some(Rc::new(elem)), dims: None }));
            return self.by_mask("_tensor_mask_set", ParamMode::RefMut, base, t, vec![mask, new], span);
        }
        if matches!(self.infer.shallow(&value.ty), Ty::Tensor(_)) {
            self.report(
                Diagnostic::error(codes::TYPE_MISMATCH, "what a mask picks is set to a number", value.span, "a tensor")
                    .help("`where(mask, other, t)` takes the elements of another tensor where the mask is true"),
            );
            return self.err(span);
        }
        let value = self.coerce(value, &elem);
        self.by_mask("_tensor_mask_fill", ParamMode::RefMut, base, t, vec![mask, value], span)
    }
}
