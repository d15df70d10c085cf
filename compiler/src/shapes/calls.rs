//! Calls: arguments against the shapes that a signature states, and what the call gives.

use super::value::{Fit, Val, describe, fit, size_of, stated};
use super::walk::literal;
use super::{Flow, ops};
use crate::hir::*;
use stark_shapes::{Dim as _, Symbolic};
use stark_syntax::source::Span;
use std::rc::Rc;

/// How deep calls of the library and closures are followed; a guess: wrappers call wrappers call natives.
const MAX_DEPTH: u32 = 8;
/// How deep closures are walked in copies to learn what they give: each level walks the ones inside once more.
const MAX_QUIET: u32 = 3;

/// What a call binds: the sizes that the signature names, each with the argument that said it, and the type parameters.
#[derive(Default)]
pub(super) struct Bound {
    names: Vec<(Rc<str>, Symbolic, Span)>,
    types: Vec<Option<Val>>,
}

impl Bound {
    pub(super) fn size(&self, name: &str) -> Symbolic {
        self.names.iter().find(|(n, ..)| &**n == name).map_or(Symbolic::Unknown, |(_, s, _)| s.clone())
    }

    /// Sizes that stand alone in a parameter's type.
    pub(super) fn names(&mut self, ty: &Ty, val: &Val, span: Span, lang: &Lang) {
        match (ty, val) {
            (Ty::Tensor(TensorTy { dims: Some(dims), .. }), Val::Tensor(Some(have))) if dims.len() == have.len() => {
                for (dim, have) in dims.iter().zip(have) {
                    if let Dim::Name(name) = dim
                        && *have != Symbolic::Unknown
                        && !self.names.iter().any(|(n, ..)| n == name)
                    {
                        self.names.push((name.clone(), have.clone(), span));
                    }
                }
            }
            (Ty::Adt(id, ts), val) if *id == lang.vec && ts.len() == 1 => {
                self.names(&ts[0], &val.item(lang), span, lang);
            }
            (Ty::Tuple(ts), Val::Tuple(vs)) => {
                ts.iter().zip(vs).for_each(|(t, v)| self.names(t, v, span, lang));
            }
            (Ty::Adt(i, ts), Val::Adt(j, vs)) if i == j => {
                ts.iter().zip(vs).for_each(|(t, v)| self.names(t, v, span, lang));
            }
            _ => {}
        }
    }

    /// Type parameters: each is what every argument together says. Whether that changed anything.
    fn types(&mut self, ty: &Ty, val: &Val, lang: &Lang) -> bool {
        match (ty, val) {
            (Ty::Param(i, _), val) => {
                let i = *i as usize;
                if self.types.len() <= i {
                    self.types.resize(i + 1, None);
                }
                match &mut self.types[i] {
                    Some(have) => have.widen(val),
                    empty => {
                        *empty = Some(val.clone());
                        true
                    }
                }
            }
            (Ty::Tuple(ts), Val::Tuple(vs)) if ts.len() == vs.len() => {
                ts.iter().zip(vs).fold(false, |c, (t, v)| self.types(t, v, lang) | c)
            }
            (Ty::Adt(id, ts), Val::List(items)) if *id == lang.vec && ts.len() == 1 => {
                items.iter().fold(false, |c, v| self.types(&ts[0], v, lang) | c)
            }
            (Ty::Adt(i, ts), Val::Adt(j, vs)) if i == j && ts.len() == vs.len() => {
                ts.iter().zip(vs).fold(false, |c, (t, v)| self.types(t, v, lang) | c)
            }
            // A function gives nothing of its own until it is called.
            (Ty::Fn(..), _) => false,
            (Ty::Tuple(ts) | Ty::Adt(_, ts), _) => ts.iter().fold(false, |c, t| self.types(t, &Val::Any, lang) | c),
            _ => false,
        }
    }

    /// A type of the signature with what is bound put in.
    fn subst(&self, ty: &Ty, lang: &Lang) -> Val {
        match ty {
            Ty::Param(i, _) => self.types.get(*i as usize).cloned().flatten().unwrap_or_default(),
            Ty::Tensor(TensorTy { dims, .. }) => {
                Val::Tensor(dims.as_ref().map(|ds| ds.iter().map(|d| size_of(d, &|n| self.size(n))).collect()))
            }
            Ty::Tuple(ts) => Val::Tuple(ts.iter().map(|t| self.subst(t, lang)).collect()),
            Ty::Adt(id, ts) if !ts.is_empty() => Val::Adt(*id, ts.iter().map(|t| self.subst(t, lang)).collect()),
            _ => Val::Any,
        }
    }
}

impl Flow<'_, '_> {
    pub(super) fn call(&mut self, callee: &mut Callee, args: &mut [Arg], span: Span) -> Val {
        let called = match callee {
            Callee::Value(e) => Some(self.expr(e)),
            _ => None,
        };
        let vals: Vec<Val> = args.iter_mut().map(|a| self.argument(&mut a.value)).collect();
        let spans: Vec<Span> = args.iter().map(|a| a.value.span).collect();
        let (given, keeps_shape) = match callee {
            Callee::Fn { func, .. } => {
                let func = *func;
                let native = self.c.program.func(func).native.clone();
                let keeps = matches!(native.as_deref(), Some("tensor_index_set" | "tensor_index_fill"));
                if native.as_deref() == Some("vec_push") {
                    self.pushed(&args[0].value, &vals[1]);
                }
                let given = match native.as_deref() {
                    Some("tensor_from_nested") => self.nested(&vals[0], &args[0].value.ty.clone(), span),
                    // Which name is which only the file says.
                    Some("model_predict_named") => Val::Any,
                    Some("model_predict") => self.predicted(&args[0].value.ty.clone(), &vals[1..], &spans[1..]),
                    _ => self.apply(func, &vals, &spans, span),
                };
                (given, keeps)
            }
            Callee::Trait { .. } => (Val::Any, false),
            Callee::Value(_) => (self.call_val(&called.unwrap_or_default(), vals.clone(), &spans, span), false),
        };
        for (arg, val) in args.iter_mut().zip(&vals) {
            self.finish_argument(&mut arg.value, val);
            if arg.mode == ParamMode::RefMut && !keeps_shape {
                self.forget_root(&arg.value);
            }
        }
        given
    }

    /// An argument's value. A closure is walked after the call has said what it is called with.
    fn argument(&mut self, e: &mut Expr) -> Val {
        match &mut e.kind {
            ExprKind::Closure(closure) => self.closure_val(closure),
            ExprKind::List(items) if items.iter().any(|i| matches!(i.kind, ExprKind::Closure(_))) => {
                Val::List(items.iter_mut().map(|i| self.argument(i)).collect())
            }
            _ => self.expr(e),
        }
    }

    fn finish_argument(&mut self, e: &mut Expr, val: &Val) {
        match (&mut e.kind, val) {
            (ExprKind::Closure(closure), val) => self.finish_closure(closure, val),
            (ExprKind::List(items), Val::List(vals)) => {
                for (item, val) in items.iter_mut().zip(vals) {
                    if matches!(item.kind, ExprKind::Closure(_)) {
                        self.finish_argument(item, val);
                    }
                }
            }
            _ => {}
        }
    }

    /// What a known function gives for these arguments.
    pub(super) fn apply(&mut self, func: FnId, vals: &[Val], spans: &[Span], span: Span) -> Val {
        let def = self.c.program.func(func);
        let is_std = self.c.program.modules.get(def.module.index()).is_some_and(|m| m.is_std);
        let (native, name, ret, kind) = (def.native.clone(), def.name.clone(), def.ret.clone(), def.kind);
        let params: Vec<Ty> = def.params.iter().map(|p| p.ty.clone()).collect();
        if params.is_empty()
            && let Some(body) = &def.body
        {
            // A default: what it is when it stands there as it is.
            let val = literal(&body.value);
            if !matches!(val, Val::Any) {
                return val;
            }
        }
        if is_std && let Some(val) = dataset(&name, vals, &ret, &self.c.program.lang) {
            return val;
        }
        let op = native.clone().or_else(|| (is_std && &*name == "arange").then(|| name.clone()));
        if let Some(op) = op
            && let Some(answer) = ops::apply(&op, vals, &self.c.program.lang)
        {
            return match answer {
                Ok(val) => val,
                Err(why) => {
                    let because =
                        spans.iter().zip(vals).filter_map(|(s, v)| Some((*s, describe(v)?))).collect::<Vec<_>>();
                    self.differ(&why, span, "these shapes do not go together".into(), because);
                    Val::Any
                }
            };
        }
        let mut bound = Bound::default();
        {
            let lang = &self.c.program.lang;
            for (i, (ty, val)) in params.iter().zip(vals).enumerate() {
                bound.names(ty, val, spans.get(i).copied().unwrap_or(span), lang);
                bound.types(ty, val, lang);
            }
        }
        for (i, (ty, val)) in params.iter().zip(vals).enumerate() {
            self.compare(ty, val, &bound, spans.get(i).copied().unwrap_or(span));
        }
        let follow = is_std && (ret == Ty::INT || has_tensor(&ret));
        let inlined = if follow { self.inline(func, vals, spans, span) } else { None };
        if inlined.is_none() {
            self.bind_functions(&params, vals, &mut bound, spans, span);
        }
        self.forget_bounded(func, &mut bound);
        let given = bound.subst(&ret, &self.c.program.lang);
        // What functions among the arguments give is only in what was followed.
        let given = inlined.unwrap_or(given);
        let lang = &self.c.program.lang;
        match kind {
            FnKind::Plain => given,
            FnKind::Async => Val::Adt(lang.future, vec![given]),
            FnKind::Spawn => Val::Adt(lang.join_handle, vec![given]),
        }
    }

    /// One argument against its parameter's type.
    fn compare(&mut self, ty: &Ty, val: &Val, bound: &Bound, span: Span) {
        let want = stated(ty, &self.c.program.lang, &|n| bound.size(n), true);
        let Fit::Differs(why) = fit(val, &want) else { return };
        let mut names = Vec::new();
        crate::check::names_in(ty, &mut names);
        let because = bound
            .names
            .iter()
            .filter(|(n, _, at)| names.contains(n) && *at != span)
            .map(|(n, size, at)| (*at, format!("`{n}` is {size} here")))
            .collect();
        let label = describe(val).unwrap_or_else(|| format!("does not fit `{}`", self.c.show(ty)));
        self.differ(&why, span, label, because);
    }

    /// Type parameters that functions among the arguments give, such as `U` in `map(f: fn(T) -> U)`.
    fn bind_functions(&mut self, params: &[Ty], vals: &[Val], bound: &mut Bound, spans: &[Span], span: Span) {
        let mut functions: Vec<(Rc<[Ty]>, Rc<Ty>, Val, Span)> = Vec::new();
        for (i, (ty, val)) in params.iter().zip(vals).enumerate() {
            let at = spans.get(i).copied().unwrap_or(span);
            match ty {
                Ty::Fn(ps, r) => functions.push((ps.clone(), r.clone(), val.clone(), at)),
                Ty::Adt(id, ts) if *id == self.c.program.lang.vec => {
                    let Some(Ty::Fn(ps, r)) = ts.first() else { continue };
                    match val {
                        Val::List(items) => {
                            functions.extend(items.iter().map(|v| (ps.clone(), r.clone(), v.clone(), at)));
                        }
                        _ => functions.push((ps.clone(), r.clone(), Val::Any, at)),
                    }
                }
                _ => {}
            }
        }
        // What a function gives may be what it takes the next time (`fold`): until nothing changes, or all is forgotten.
        for round in 0..3 {
            let mut changed = false;
            for (ps, r, val, at) in &functions {
                let args: Vec<Val> = ps.iter().map(|p| bound.subst(p, &self.c.program.lang)).collect();
                let at_all = vec![*at; args.len()];
                let given = if round == 2 { Val::Any } else { self.call_val(val, args, &at_all, *at) };
                changed |= bound.types(r, &given, &self.c.program.lang);
            }
            if !changed {
                break;
            }
        }
    }

    /// A type parameter with a bound that makes new values (`T: Add`) says nothing about shapes.
    fn forget_bounded(&self, func: FnId, bound: &mut Bound) {
        let lang = &self.c.program.lang;
        let plain = [lang.show, lang.eq, lang.ord, lang.hash];
        for (g, ty) in self.c.program.func(func).generics.iter().zip(&mut bound.types) {
            if g.bounds.iter().any(|b| !matches!(b, crate::hir::Bound::Trait(t, _) if plain.contains(t))) {
                *ty = None;
            }
        }
    }

    /// A call of a function value.
    fn call_val(&mut self, callee: &Val, args: Vec<Val>, spans: &[Span], span: Span) -> Val {
        match callee {
            Val::Function(func) if self.depth < MAX_DEPTH => {
                self.depth += 1;
                let given = self.apply(*func, &args, spans, span);
                self.depth -= 1;
                given
            }
            Val::Closure(known) => {
                let mut seen = known.seen.borrow_mut();
                match &mut *seen {
                    Some(before) => before.iter_mut().zip(&args).for_each(|(b, a)| {
                        b.widen(a);
                    }),
                    none => *none = Some(args.clone()),
                }
                drop(seen);
                for (i, (arg, local)) in args.iter().zip(&known.closure.body.params).enumerate() {
                    let ty = known.closure.body.locals[local.index()].ty.clone();
                    self.place(arg, &ty, spans.get(i).copied().unwrap_or(span), None);
                }
                if self.quiet >= MAX_QUIET || self.depth >= MAX_DEPTH {
                    // Not followed: it may be called with anything inside.
                    return Val::Any;
                }
                self.quiet += 1;
                let mut copy = known.closure.clone();
                let given = self.run_closure(&mut copy, args, known.captured.clone());
                self.quiet -= 1;
                given
            }
            _ => Val::Any,
        }
    }

    /// A short function of the library, followed with these arguments.
    fn inline(&mut self, func: FnId, vals: &[Val], spans: &[Span], span: Span) -> Option<Val> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        let body = self.c.program.func(func).body.as_ref()?;
        let ExprKind::Block { stmts, value: None } = &body.value.kind else { return None };
        let returns = matches!(stmts.last(), Some(Stmt::Expr(Expr { kind: ExprKind::Return(Some(_)), .. })));
        // Before it variables, and calls that only look at something.
        let leads = |s: &Stmt| {
            matches!(s, Stmt::Let { .. } | Stmt::Expr(Expr { kind: ExprKind::Call { .. }, ty: Ty::Unit, .. }))
        };
        if !returns || stmts.len() > 3 || !stmts[..stmts.len() - 1].iter().all(leads) {
            return None;
        }
        let mut copy = body.clone();
        let site = self.site.clone();
        self.site.get_or_insert_with(|| (span, spans.iter().copied().zip(vals.iter().cloned()).collect()));
        self.depth += 1;
        let given = self.run_body(&mut copy, vals.to_vec(), &[]);
        self.depth -= 1;
        self.site = site;
        Some(given)
    }

    // --- what the checker makes special --------------------------------------------------------------------------------

    /// `tensor([[1.0, 2.0]])`: the shape of the lists.
    fn nested(&mut self, data: &Val, ty: &Ty, span: Span) -> Val {
        let mut depth = 0;
        let mut ty = ty;
        while let Ty::Adt(id, ts) = ty
            && *id == self.c.program.lang.vec
        {
            depth += 1;
            ty = &ts[0];
        }
        match nested_dims(data, depth, 0) {
            Ok(dims) => Val::tensor(dims),
            Err(text) => {
                self.differ(
                    &stark_shapes::ShapeError(text),
                    span,
                    "its rows have different lengths".into(),
                    Vec::new(),
                );
                Val::Any
            }
        }
    }

    /// `model.predict(x)` by the signature that the model's type states. What comes back is checked when it arrives.
    fn predicted(&mut self, model: &Ty, vals: &[Val], spans: &[Span]) -> Val {
        let Ty::Adt(_, io) = model else { return Val::Any };
        let [input, _] = &**io else { return Val::Any };
        let mut bound = Bound::default();
        let given: Vec<Val> = match vals {
            [Val::Tuple(items), ..] if matches!(input, Ty::Tuple(_)) => items.clone(),
            vals => vals.iter().take(1).cloned().collect(),
        };
        let wanted: Vec<Ty> = match input {
            Ty::Tuple(ts) if ts.len() == given.len() => ts.to_vec(),
            t => vec![t.clone()],
        };
        let at = spans.first().copied().unwrap_or_default();
        for (ty, val) in wanted.iter().zip(&given) {
            bound.names(ty, val, at, &self.c.program.lang);
        }
        for (ty, val) in wanted.iter().zip(&given) {
            self.compare(ty, val, &bound, at);
        }
        Val::Any
    }

    /// A message to an actor, by the signature of its handler.
    pub(super) fn message(
        &mut self,
        actor: &Ty,
        handler: u32,
        kind: MessageKind,
        vals: &[Val],
        spans: &[Span],
        span: Span,
        ty: &Ty,
    ) -> Val {
        let Ty::Adt(_, targs) = actor else { return Val::Any };
        let (mut params, mut ret, mut batch) = match &targs[..] {
            [Ty::Adt(id, args)] => {
                let AdtKind::Actor(def) = &self.c.program.adt(*id).kind else { return Val::Any };
                let Some(h) = def.handlers.get(handler as usize) else { return Val::Any };
                let f = self.c.program.func(h.func);
                let params: Vec<Ty> = f.params.iter().skip(1).map(|p| p.ty.subst(args)).collect();
                (params, f.ret.subst(args), h.batch.clone())
            }
            // Which actor it is only the running program knows: its answer is checked when it is awaited.
            [input, _] => (vec![input.clone()], Ty::Unit, None),
            _ => return Val::Any,
        };
        let lang = self.c.program.lang.clone();
        let inner = |ty: &Ty| match ty {
            Ty::Adt(id, ts) if *id == lang.vec => ts[0].clone(),
            other => other.clone(),
        };
        if batch.as_ref().is_some_and(|b| b.as_vec) {
            params = params.iter().map(inner).collect();
            ret = inner(&ret);
            batch = None;
        }
        let vals: Vec<Val> =
            if kind == MessageKind::BatchAsk { vals.iter().map(|v| v.item(&lang)).collect() } else { vals.to_vec() };
        // One row may be asked for alone: the batch has the axis then.
        let row = batch.is_some() && one_row(&params, &vals);
        if row {
            params = params.iter().map(without_first_axis).collect();
        }
        let mut bound = Bound::default();
        for (i, (ty, val)) in params.iter().zip(&vals).enumerate() {
            bound.names(ty, val, spans.get(i).copied().unwrap_or(span), &lang);
        }
        for (i, (ty, val)) in params.iter().zip(&vals).enumerate() {
            self.compare(ty, val, &bound, spans.get(i).copied().unwrap_or(span));
        }
        let rank_known = vals.iter().all(|v| v.dims().is_some());
        let mut given = bound.subst(&ret, &lang);
        if row {
            given = bound.subst(&without_first_axis(&ret), &lang);
        } else if batch.is_some() && !rank_known {
            given = Val::Any;
        }
        match kind {
            MessageKind::Send => Val::Any,
            MessageKind::Ask => self.wrapped(ty, given),
            MessageKind::BatchAsk => self.wrapped(ty, Val::Adt(lang.vec, vec![given])),
        }
    }

    /// `Future` or `JoinHandle` of a value, as the expression's type says.
    pub(super) fn wrapped(&self, ty: &Ty, val: Val) -> Val {
        match ty {
            Ty::Adt(id, ts) if ts.len() == 1 => Val::Adt(*id, vec![val]),
            _ => Val::Any,
        }
    }

    pub(super) fn construct(&mut self, adt: AdtId, fields: &mut [Expr], span: Span) -> Val {
        let declared: Vec<Ty> = match &self.c.program.adt(adt).kind {
            AdtKind::Struct(fs) => fs.iter().map(|f| f.ty.clone()).collect(),
            AdtKind::Actor(def) => def.fields.iter().map(|f| f.ty.clone()).collect(),
            _ => Vec::new(),
        };
        let vals: Vec<Val> = fields.iter_mut().map(|f| self.expr(f)).collect();
        let mut bound = Bound::default();
        for ((ty, val), e) in declared.iter().zip(&vals).zip(fields.iter()) {
            bound.names(ty, val, e.span, &self.c.program.lang);
        }
        for ((ty, val), e) in declared.iter().zip(&vals).zip(fields.iter()) {
            let at = if e.span == Span::default() { span } else { e.span };
            self.compare(ty, val, &bound, at);
        }
        Val::Tuple(declared.iter().zip(&vals).map(|(ty, val)| val.meet(&self.stated_plain(ty))).collect())
    }

    pub(super) fn variant(&mut self, adt: AdtId, variant: u32, fields: &mut [Expr], ty: &Ty) -> Val {
        let declared: Vec<Ty> = match &self.c.program.adt(adt).kind {
            AdtKind::Enum(vs) => {
                vs.get(variant as usize).map_or(Vec::new(), |v| v.fields.iter().map(|f| f.ty.clone()).collect())
            }
            _ => Vec::new(),
        };
        let vals: Vec<Val> = fields.iter_mut().map(|f| self.expr(f)).collect();
        let mut bound = Bound::default();
        let n = match ty {
            Ty::Adt(_, ts) => ts.len(),
            _ => 0,
        };
        for ((ty, val), e) in declared.iter().zip(&vals).zip(fields.iter()) {
            bound.names(ty, val, e.span, &self.c.program.lang);
            bound.types(ty, val, &self.c.program.lang);
        }
        for ((ty, val), e) in declared.iter().zip(&vals).zip(fields.iter()) {
            self.compare(ty, val, &bound, e.span);
        }
        bound.types.resize(n, None);
        Val::Adt(adt, bound.types.into_iter().map(Option::unwrap_or_default).collect())
    }

    pub(super) fn field(&mut self, base: &mut Expr, index: u32) -> Val {
        let val = self.expr(base);
        if let Val::Tuple(parts) = &val {
            return parts.get(index as usize).cloned().unwrap_or_default();
        }
        let Ty::Adt(id, args) = &base.ty else { return Val::Any };
        let fields = match &self.c.program.adt(*id).kind {
            AdtKind::Struct(fields) => fields,
            AdtKind::Actor(def) => &def.fields,
            _ => return Val::Any,
        };
        let Some(field) = fields.get(index as usize) else { return Val::Any };
        let ty = if args.is_empty() { field.ty.clone() } else { field.ty.subst(args) };
        // A name in a field's type is the same within one value; of any value it says nothing.
        let inner = match &val {
            Val::Adt(_, types) => {
                let bound = Bound { names: Vec::new(), types: types.iter().cloned().map(Some).collect() };
                bound.subst(&field.ty, &self.c.program.lang)
            }
            _ => Val::Any,
        };
        self.stated_plain(&ty).meet(&inner)
    }

    pub(super) fn variant_field(&self, ty: &Ty, val: &Val, variant: u32, index: u32) -> Val {
        let Ty::Adt(id, args) = ty else { return Val::Any };
        let AdtKind::Enum(variants) = &self.c.program.adt(*id).kind else { return Val::Any };
        let Some(field) = variants.get(variant as usize).and_then(|v| v.fields.get(index as usize)) else {
            return Val::Any;
        };
        let inner = match val {
            Val::Adt(_, types) => {
                let bound = Bound { names: Vec::new(), types: types.iter().cloned().map(Some).collect() };
                bound.subst(&field.ty, &self.c.program.lang)
            }
            _ => Val::Any,
        };
        let _ = args;
        self.stated_plain(&field.ty).meet(&inner)
    }
}

/// The shape of `depth` nested lists; what is not a list of known items has unknown sizes.
fn nested_dims(val: &Val, depth: usize, at: usize) -> Result<Vec<Symbolic>, String> {
    if depth == 0 {
        return Ok(Vec::new());
    }
    let Val::List(items) = val else { return Ok(vec![Symbolic::Unknown; depth]) };
    let mut inner: Option<Vec<Symbolic>> = None;
    for item in items {
        let dims = nested_dims(item, depth - 1, at + 1)?;
        inner = Some(match inner {
            None => dims,
            Some(before) => {
                let mut met = Vec::new();
                for (i, (a, b)) in before.iter().zip(&dims).enumerate() {
                    let axis = at + 1 + i;
                    met.push(
                        a.meet(b)
                            .ok_or_else(|| format!("rows of a tensor differ along axis {axis}: {a} and {b} items"))?,
                    );
                }
                met
            }
        });
    }
    let mut dims = vec![Symbolic::from_usize(items.len())];
    // An empty list says nothing of the inner ones: they are empty too.
    dims.extend(inner.unwrap_or_else(|| vec![Symbolic::from_usize(0); depth - 1]));
    Ok(dims)
}

/// Functions of the library that turn a tensor into items and items into tensors, which their types do not show.
fn dataset(name: &str, vals: &[Val], ret: &Ty, lang: &Lang) -> Option<Val> {
    match (name, vals, ret) {
        ("Dataset.from_", [Val::Tensor(Some(dims)), ..], Ty::Adt(id, _)) if !dims.is_empty() => {
            Some(Val::Adt(*id, vec![Val::tensor(dims[1..].to_vec())]))
        }
        ("Dataset.batch", [Val::Adt(_, item), n, drop_last, ..], _) => {
            let item = item.first()?;
            let exact = matches!(drop_last, Val::Bool(true));
            let n = if exact { n.size() } else { Symbolic::Unknown };
            let dims = item.dims()?;
            Some(Val::Adt(lang.vec, vec![Val::tensor([n].into_iter().chain(dims.iter().cloned()).collect())]))
        }
        _ => None,
    }
}

fn has_tensor(ty: &Ty) -> bool {
    match ty {
        Ty::Tensor(_) => true,
        Ty::Tuple(ts) => ts.iter().any(has_tensor),
        Ty::Adt(_, ts) => ts.iter().any(has_tensor),
        _ => false,
    }
}

/// Every argument has one axis less than its parameter states.
fn one_row(params: &[Ty], vals: &[Val]) -> bool {
    let mut some = false;
    for (ty, val) in params.iter().zip(vals) {
        let (Ty::Tensor(TensorTy { dims: Some(dims), .. }), Some(have)) = (ty, val.dims()) else { return false };
        if have.len() + 1 != dims.len() {
            return false;
        }
        some = true;
    }
    some
}

fn without_first_axis(ty: &Ty) -> Ty {
    match ty {
        Ty::Tensor(TensorTy { elem, dims: Some(dims) }) if !dims.is_empty() => {
            Ty::Tensor(TensorTy { elem: elem.clone(), dims: Some(dims[1..].into()) })
        }
        Ty::Tensor(t) => Ty::Tensor(TensorTy { elem: t.elem.clone(), dims: None }),
        Ty::Tuple(ts) => Ty::Tuple(ts.iter().map(without_first_axis).collect()),
        other => other.clone(),
    }
}
