//! `model.predict(…)`: inputs by place or name, and what the context or the model's type wants of its outputs.

use super::dims::{mentions_dims, strip_names};
use super::*;
use crate::types::infer::VarKind;

/// The inputs of a prediction, in the order in which they are written.
pub struct Inputs {
    pub values: Vec<Expr>,
    /// As many, empty for those that go by their place; none when all do.
    names: Vec<Rc<str>>,
}

impl<'a> Checker<'a> {
    fn float32_tensor() -> Ty {
        Ty::Tensor(TensorTy { elem: Some(Rc::new(Ty::Num(NumKind::Float32))), dims: None })
    }

    /// What the context wants of a model that states nothing: its own type, or `Tensor<Float32>`. A number that is wanted is more often
    /// a forgotten `.item()` than what the model gives, so whoever means it says `Model<In, Int>`.
    fn wanted_output(&self, hint: Option<&Ty>) -> Ty {
        match hint.map(|h| self.infer.shallow(h)) {
            Some(Ty::Num(_) | Ty::Bool | Ty::Str) | None => Self::float32_tensor(),
            Some(other) => self.wanted_part(&other),
        }
    }

    fn wanted_part(&self, hint: &Ty) -> Ty {
        let lang = &self.program.lang;
        let hint = self.infer.shallow(hint);
        match &hint {
            Ty::Tensor(TensorTy { elem: Some(elem), .. }) if !matches!(self.infer.shallow(elem), Ty::Infer(_)) => hint,
            // A bare `Tensor` is of any element type.
            Ty::Tensor(TensorTy { elem: None, .. }) => hint,
            Ty::Num(_) | Ty::Bool | Ty::Str => hint,
            Ty::Tuple(ts) => Ty::Tuple(ts.iter().map(|t| self.wanted_part(t)).collect()),
            Ty::Adt(id, ts) if [lang.vec, lang.option].contains(id) => {
                Ty::Adt(*id, ts.iter().map(|t| self.wanted_part(t)).collect())
            }
            Ty::Adt(id, ts) if *id == lang.map && ts.len() == 2 => {
                let key = match self.infer.shallow(&ts[0]) {
                    Ty::Infer(_) => Ty::Str,
                    key => key,
                };
                Ty::Adt(*id, Rc::from([key, self.wanted_part(&ts[1])]))
            }
            _ => Self::float32_tensor(),
        }
    }

    /// The inputs of `predict`, as the model's type `io` wants them. `None`: what is wrong is told.
    pub fn model_inputs(&mut self, io: &[Ty], args: &'a [ast::Arg], span: Span) -> Option<Inputs> {
        let is_named = args.iter().any(|arg| arg.name.is_some());
        let names: Vec<Rc<str>> =
            args.iter().map(|arg| arg.name.as_ref().map_or_else(|| "".into(), |name| name.name.clone())).collect();
        for (i, arg) in args.iter().enumerate() {
            if let Some(name) = &arg.name
                && names[..i].contains(&name.name)
            {
                self.error(codes::ARGUMENTS, format!("`{}` is given twice", name.name), name.span, "again here");
                return None;
            }
        }
        let model = self.program.lang.model;
        let stated = io.first().map(|t| strip_names(&self.infer.resolve(t), model));
        let n_stated = match &stated {
            Some(Ty::Tuple(ts)) => ts.len(),
            _ => 1,
        };
        // A tuple that is given alone is all inputs, or the one that is a tuple.
        let is_all = args.len() == 1 && (!is_named || n_stated == 1);
        let n_stated = if stated == Some(Ty::Unit) { 0 } else { n_stated };
        if stated.is_some() && !is_all && n_stated != args.len() {
            let label = format!("its type states {n_stated}");
            self.error(codes::ARGUMENTS, format!("{} inputs are given to the model", args.len()), span, label);
            return None;
        }
        let wanted = |i: usize| match &stated {
            // Which name is which only the file says.
            _ if is_named && !is_all => None,
            Some(Ty::Tuple(ts)) if !is_all => ts.get(i).cloned(),
            stated => stated.clone(),
        };
        let mut values = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            let want = wanted(i);
            let mut value = self.expr(&arg.value, want.as_ref());
            if let Some(want) = &want {
                value = self.coerce(value, want);
            }
            let found = self.infer.shallow(&value.ty);
            if matches!(found, Ty::Infer(v) if self.infer.kind(v) == VarKind::Any) {
                self.infer.unify(&found, &Self::float32_tensor());
            } else if !self.is_model_value(&found) {
                let shown = self.show(&found);
                self.error(
                    codes::TYPE_MISMATCH,
                    format!(
                        "a model takes tensors, numbers, texts, and lists, maps, options and tuples of them, found `{shown}`"
                    ),
                    value.span,
                    format!("this is `{shown}`"),
                );
                return None;
            }
            values.push(value);
        }
        Some(Inputs { values, names: if is_named { names } else { Vec::new() } })
    }

    /// Whether a model may take or give such a value.
    fn is_model_value(&self, ty: &Ty) -> bool {
        let lang = &self.program.lang;
        match self.infer.shallow(ty) {
            Ty::Tensor(_) | Ty::Num(_) | Ty::Bool | Ty::Str | Ty::Error | Ty::Param(..) | Ty::Infer(_) => true,
            Ty::Tuple(ts) => ts.iter().all(|t| self.is_model_value(t)),
            Ty::Adt(id, ts) => {
                [lang.vec, lang.map, lang.option].contains(&id) && ts.iter().all(|t| self.is_model_value(t))
            }
            _ => false,
        }
    }

    /// What a model of the type `io` makes of checked inputs.
    pub fn prediction(&mut self, model: &Expr, io: &[Ty], inputs: Inputs, span: Span, hint: Option<&Ty>) -> Expr {
        let out = match io.get(1) {
            Some(t) => strip_names(&self.infer.resolve(t), self.program.lang.model),
            None => self.wanted_output(hint),
        };
        let Inputs { mut values, names } = inputs;
        let input = if values.len() == 1 {
            values.remove(0)
        } else if values.is_empty() {
            Expr { kind: ExprKind::Lit(Lit::Unit), ty: Ty::Unit, span }
        } else {
            let ty = Ty::Tuple(values.iter().map(|value| value.ty.clone()).collect());
            Expr { kind: ExprKind::Tuple(values), ty, span }
        };
        let types = vec![self.strip_dims(&input.ty), self.strip_dims(&out)];
        let value = |value: Expr| Arg { mode: ParamMode::Value, value };
        let mut args = vec![value(model.clone()), value(input)];
        let name = if names.is_empty() {
            "_model_predict"
        } else {
            let text = |name: &Rc<str>| Expr { kind: ExprKind::Lit(Lit::Str(name.clone())), ty: Ty::Str, span };
            let kind = ExprKind::List(names.iter().map(text).collect());
            args.push(value(Expr { kind, ty: Ty::Adt(self.program.lang.vec, Rc::from([Ty::Str])), span }));
            "_model_predict_named"
        };
        let Some(func) = self.prelude_fn(name) else { return self.err(span) };
        let call = self.call_fn(func, types, args, span);
        // What a type parameter stands for may state sizes.
        if mentions_dims(&out) || has_param(&out) { self.check_arrival(call, out) } else { call }
    }
}

fn has_param(ty: &Ty) -> bool {
    match ty {
        Ty::Param(..) => true,
        Ty::Tuple(ts) | Ty::Adt(_, ts) => ts.iter().any(has_param),
        _ => false,
    }
}
