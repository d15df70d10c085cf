//! `Model<In, Out>`: the signature that a type states, against the file's. At compile time when the path stands in the program and
//! the file is there (E0703), and when it is loaded.

use super::call::let_local;
use super::*;
use stark_shapes::{DType, Dim as _, Symbolic, TensorSpec, model_fits};

impl<'a> Checker<'a> {
    /// A bare model given to a place that states a signature.
    pub fn check_model(&mut self, model: Expr, stated: &[Ty]) -> Expr {
        let [input, output] = stated else { return model };
        let (inputs, outputs) = (tensors(input), self.outputs(output));
        let span = model.span;
        if let Some((path, method)) = self.literal_path(&model)
            && let Some(file) = self.host.model(&path, &method)
        {
            let specs = |c: &Self, tys: &[Ty]| tys.iter().map(|t| c.spec(t)).collect::<Vec<_>>();
            if let Err(why) = model_fits(&file, &specs(self, &inputs), &specs(self, &outputs)) {
                self.error(codes::MODEL_DIFFERS, why.0, span, format!("`{path}` is another model"));
            }
        }
        let Some(check) = self.prelude_fn("_model_check") else { return model };
        let ty = model.ty.clone();
        let local = self.temp("model", ty.clone(), span);
        let read = Expr { kind: ExprKind::Local(local), ty: ty.clone(), span };
        let value = |value: Expr| Arg { mode: ParamMode::Value, value };
        let args = vec![value(read.clone()), value(self.numbers(&inputs, span)), value(self.numbers(&outputs, span))];
        let call = self.call_fn(check, Vec::new(), args, span);
        let stmts = vec![let_local(local, model), Stmt::Expr(call)];
        Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(read)) }, ty, span }
    }

    /// What the type says of the outputs, one by one; nothing when it is a list or map of them.
    fn outputs(&self, ty: &Ty) -> Vec<Ty> {
        let lang = &self.program.lang;
        match ty {
            Ty::Adt(id, _) if [lang.vec, lang.map].contains(id) => Vec::new(),
            // What it stands for may be several.
            Ty::Param(..) => Vec::new(),
            ty => tensors(ty),
        }
    }

    /// The path and the method in `load_model("…")`.
    fn literal_path(&self, model: &Expr) -> Option<(Rc<str>, Rc<str>)> {
        let ExprKind::Call { callee: Callee::Fn { func, .. }, args } = &model.kind else { return None };
        if self.program.func(*func).native.as_deref() != Some("model_load") {
            return None;
        }
        let text = |arg: &Arg| match &arg.value.kind {
            ExprKind::Lit(Lit::Str(text)) => Some(text.clone()),
            _ => None,
        };
        let method = args.get(2).map(|method| match &method.value.kind {
            // It is left out.
            ExprKind::Call { args, .. } if args.is_empty() => Some("forward".into()),
            _ => text(method),
        });
        Some((text(args.first()?)?, method??))
    }

    fn spec(&self, ty: &Ty) -> TensorSpec {
        let Ty::Tensor(t) = ty else { return TensorSpec { name: String::new(), dtype: None, dims: None } };
        let size = |d: &Dim| match d {
            Dim::Number(n) => usize::try_from(*n).map_or(Symbolic::Unknown, Symbolic::from_usize),
            _ => Symbolic::Unknown,
        };
        TensorSpec {
            name: String::new(),
            dtype: t.elem.as_ref().and_then(|e| dtype(&self.infer.shallow(e))),
            dims: t.dims.as_ref().map(|dims| dims.iter().map(size).collect()),
        }
    }

    /// The tensors as `_model_check` takes them.
    fn numbers(&self, tys: &[Ty], span: Span) -> Expr {
        let row_ty = Ty::Adt(self.program.lang.vec, Rc::from([Ty::INT]));
        let rows = tys
            .iter()
            .map(|ty| {
                let Ty::Tensor(t) = ty else { return Vec::from([-1, -2]) };
                let elem = t.elem.as_ref().and_then(|e| crate::codegen::elem(&self.infer.shallow(e)));
                let mut row = vec![elem.map_or(-1, |e| e as i128)];
                match &t.dims {
                    None => row.push(-2),
                    Some(dims) => {
                        row.extend(dims.iter().map(|d| if let Dim::Number(n) = d { i128::from(*n) } else { -1 }));
                    }
                }
                row
            })
            .map(|row| {
                let items = row.into_iter().map(|n| self.int_lit(n, span)).collect();
                Expr { kind: ExprKind::List(items), ty: row_ty.clone(), span }
            })
            .collect();
        Expr { kind: ExprKind::List(rows), ty: Ty::Adt(self.program.lang.vec, Rc::from([row_ty.clone()])), span }
    }
}

/// What a model takes or gives: one tensor or a tuple of them.
fn tensors(ty: &Ty) -> Vec<Ty> {
    match ty {
        Ty::Tuple(ts) => ts.to_vec(),
        Ty::Param(..) | Ty::Unit => Vec::new(),
        other => vec![other.clone()],
    }
}

fn dtype(ty: &Ty) -> Option<DType> {
    let name = match ty {
        Ty::Bool => "Bool",
        Ty::Num(NumKind::Int64) => "Int64",
        Ty::Num(NumKind::Float64) => "Float64",
        Ty::Num(kind) => crate::types::show::num_name(*kind),
        _ => return None,
    };
    DType::from_name(name)
}
