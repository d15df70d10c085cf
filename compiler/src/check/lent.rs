//! What is lent `&mut` keeps its exact type: the function may put anything into it that its parameter's type allows.

use super::dims::{mentions_dims, strip_names};
use super::*;

impl<'a> Checker<'a> {
    /// Compares every place that is lent with what its parameter may put into it. A type parameter is what a place says it is, to
    /// the shape, so values that are given for the same one are checked.
    pub fn check_lent(&mut self, func: FnId, type_args: &[Ty], args: &mut [Arg]) {
        if args.iter().all(|arg| arg.mode != ParamMode::RefMut) {
            return;
        }
        let params: Vec<Ty> = self.program.fns[func.index()].params.iter().map(|p| p.ty.clone()).collect();
        let mut bound: Vec<Option<Ty>> = vec![None; type_args.len()];
        for (i, (param, arg)) in params.iter().zip(&*args).enumerate() {
            let found = self.infer.resolve(&arg.value.ty);
            if arg.mode == ParamMode::RefMut && !self.keeps(param, &found, true, &mut bound) {
                let wanted = param.subst(&self.known(type_args, &bound));
                self.report_lent(&wanted, &found, arg.value.span, self.param_span(func, i));
            }
        }
        let known = self.known(type_args, &bound);
        for (param, arg) in params.iter().zip(args) {
            let want = strip_names(&param.subst(&known), self.program.lang.model);
            if arg.mode != ParamMode::RefMut
                && !mentions_dims(param)
                && mentions_dims(&want)
                && arg.value.ty != Ty::Error
            {
                let value = std::mem::replace(&mut arg.value, self.err(Span::default()));
                arg.value = self.coerce(value, &want);
            }
        }
    }

    fn known(&self, type_args: &[Ty], bound: &[Option<Ty>]) -> Vec<Ty> {
        let open = |ty: &Ty| self.strip_dims(&self.infer.resolve(ty));
        bound.iter().zip(type_args).map(|(lent, given)| lent.clone().unwrap_or_else(|| open(given))).collect()
    }

    /// Whether a place of type `place` is still of it, whatever a parameter of type `param` allows. `checked`: what the parameter's type
    /// says of its tensors is asked where the function begins.
    fn keeps(&self, param: &Ty, place: &Ty, checked: bool, bound: &mut [Option<Ty>]) -> bool {
        match (param, place) {
            (Ty::Param(i, _), place) => match bound.get_mut(*i as usize) {
                Some(Some(known)) => self.same(known, place),
                Some(open) => {
                    *open = Some(place.clone());
                    true
                }
                None => true,
            },
            (Ty::Tensor(p), Ty::Tensor(q)) => {
                let elements = match (&p.elem, &q.elem) {
                    (Some(p), Some(q)) => self.keeps(p, q, checked, bound),
                    (p, q) => p.is_none() && q.is_none(),
                };
                elements
                    && match (&p.dims, &q.dims) {
                        (None, q) => q.is_none(),
                        (Some(_), None) => checked,
                        // Other numbers, or another number of axes: for the flow of shapes to tell.
                        (Some(p), Some(q)) => p.iter().zip(q.iter()).all(|(p, q)| keeps_size(p, q, checked)),
                    }
            }
            (Ty::Tuple(ps), Ty::Tuple(qs)) => ps.iter().zip(qs.iter()).all(|(p, q)| self.keeps(p, q, checked, bound)),
            (Ty::Adt(id, ps), Ty::Adt(_, qs)) => {
                let lang = &self.program.lang;
                let checked = checked && [lang.vec, lang.option, lang.map].contains(id);
                ps.iter().zip(qs.iter()).all(|(p, q)| self.keeps(p, q, checked, bound))
            }
            _ => true,
        }
    }

    /// Whether two types say the same of their tensors; otherwise they are the same.
    fn same(&self, a: &Ty, b: &Ty) -> bool {
        match (a, b) {
            (Ty::Tensor(a), Ty::Tensor(b)) => a.dims == b.dims && a.elem.is_some() == b.elem.is_some(),
            (Ty::Tuple(a), Ty::Tuple(b)) | (Ty::Adt(_, a), Ty::Adt(_, b)) => {
                a.iter().zip(b.iter()).all(|(a, b)| self.same(a, b))
            }
            _ => true,
        }
    }

    fn param_span(&self, func: FnId, position: usize) -> Option<Span> {
        let info = &self.fns[func.index()];
        let FnSource::Decl(f) = info.source else { return None };
        let written = position.checked_sub(usize::from(info.actor.is_some())).and_then(|i| f.params.get(i))?;
        (!self.is_std(written.span)).then_some(written.span)
    }

    fn report_lent(&mut self, wanted: &Ty, found: &Ty, span: Span, declared: Option<Span>) {
        if self.reports_inside(span) {
            return;
        }
        let (want, have, text) = (self.show(wanted), self.show(found), self.text(span).to_string());
        let title = format!("a place keeps its type while it is lent, and this is `{have}` where `{want}` is changed");
        let mut d = Diagnostic::error(codes::TYPE_MISMATCH, title, span, format!("this is `{have}`"));
        if let Some(at) = declared {
            d = d.because(at, format!("may get any `{want}`"));
        }
        let copy = format!("lend a variable of that type: `let mut copy: {want} = {text}`");
        self.report(d.help(if mentions_dims(found) {
            format!("state the shape in the parameter too, where a name stands for any size; or {copy}")
        } else {
            copy
        }));
    }
}

fn keeps_size(param: &Dim, place: &Dim, checked: bool) -> bool {
    let number = |dim: &Dim| matches!(dim, Dim::Number(_));
    match param {
        Dim::Number(_) => checked || number(place),
        Dim::Unknown => *place == Dim::Unknown,
        // A name is one size from the function's beginning to its end.
        _ => checked || !number(place),
    }
}
