//! `t.to_nested()` where nothing says of which type: as many lists in each other as the tensor has axes, when those are known.
//!
//! Types know no shapes that nobody wrote down, and the flow of shapes comes when types are settled. So the axes are counted
//! here: of what a type states, of what makes tensors from literals, and of operations that keep or plainly change their number.

use super::*;

/// What each variable without a written shape has that is set once.
type Ranks = HashMap<LocalId, usize>;

/// Natives whose result has as many axes as their first argument.
const KEEPS: &[&str] = &[
    "to",
    "to_device",
    "transpose",
    "t",
    "permute",
    "softmax",
    "log_softmax",
    "cumsum",
    "flip",
    "relu",
    "abs",
    "neg",
    "exp",
    "log",
    "sqrt",
    "square",
    "tanh",
    "sigmoid",
    "silu",
    "gelu",
    "floor",
    "ceil",
    "round",
    "sign",
    "clamp",
    "not",
    "sin",
    "cos",
    "tan",
    "erf",
    "tril",
    "triu",
];
/// Those of two tensors whose axes are laid over each other.
const OVERLAID: &[&str] = &["add", "sub", "mul", "div", "rem", "pow", "maximum", "minimum"];
/// More axes than this nobody nests.
const MOST: usize = 16;

impl Checker<'_> {
    /// Settles the type of each `to_nested` in a body that nothing else has settled.
    pub fn settle_nested(&mut self, body: &Expr) {
        if !std::mem::take(&mut self.f.asks_nested) {
            return;
        }
        self.nested_in(body, &mut Ranks::new());
    }

    fn nested_in(&mut self, e: &Expr, ranks: &mut Ranks) {
        if let ExprKind::Block { stmts, .. } = &e.kind {
            for stmt in stmts {
                if let Stmt::Let {
                    pattern: Pat { kind: PatKind::Bind { local, sub: None }, .. }, init: Some(init), ..
                } = stmt
                    && !self.body().locals[local.index()].mutable
                    && let Some(rank) = self.rank(init, ranks)
                {
                    ranks.insert(*local, rank);
                }
            }
        }
        if let ExprKind::Call { callee: Callee::Fn { func, type_args }, args } = &e.kind
            && self.program.fns[func.index()].native.as_deref() == Some("tensor_to_nested")
            && let ([element, .., nested], [tensor, ..]) = (&type_args[..], &args[..])
            && matches!(self.infer.shallow(nested), Ty::Infer(_))
            && let Some(rank) = self.rank(&tensor.value, ranks).filter(|rank| *rank <= MOST)
        {
            let mut ty = element.clone();
            for _ in 0..rank {
                ty = Ty::Adt(self.program.lang.vec, Rc::from([ty]));
            }
            self.infer.unify(nested, &ty);
        }
        let mut children = Vec::new();
        zonk::each_child(e, &mut |child| children.push(child));
        children.into_iter().for_each(|child| self.nested_in(child, ranks));
    }

    /// How many axes a tensor has.
    fn rank(&mut self, e: &Expr, ranks: &Ranks) -> Option<usize> {
        if let Ty::Tensor(TensorTy { dims: Some(dims), .. }) = self.infer.shallow(&e.ty) {
            return Some(dims.len());
        }
        match &e.kind {
            ExprKind::Local(local) => {
                let ty = self.body().locals[local.index()].ty.clone();
                match self.infer.shallow(&ty) {
                    Ty::Tensor(TensorTy { dims: Some(dims), .. }) => Some(dims.len()),
                    _ => ranks.get(local).copied(),
                }
            }
            ExprKind::Coerce { value, .. } => self.rank(value, ranks),
            ExprKind::Call { callee: Callee::Fn { func, type_args }, args } => {
                let def = &self.program.fns[func.index()];
                if let Ty::Tensor(TensorTy { dims: Some(dims), .. }) = &def.ret {
                    return Some(dims.len());
                }
                let (native, is_std, name) = (def.native.clone(), self.is_std(def.span), def.name.clone());
                let native = native.as_deref().and_then(|name| name.strip_prefix("tensor_"));
                let of = |c: &mut Self, i: usize| args.get(i).and_then(|arg| c.rank(&arg.value, ranks));
                let listed = |i: usize| match args.get(i).map(|arg| &arg.value.kind) {
                    Some(ExprKind::List(items)) => Some(items.len()),
                    _ => None,
                };
                match native {
                    Some("from_nested") => {
                        let (mut ty, mut depth) = (self.infer.shallow(type_args.get(1)?), 0);
                        while let Ty::Adt(id, items) = &ty
                            && *id == self.program.lang.vec
                        {
                            (ty, depth) = (self.infer.shallow(items.first()?), depth + 1);
                        }
                        Some(depth)
                    }
                    Some("zeros" | "ones" | "full" | "rand" | "randn") => listed(0),
                    Some("reshape" | "from_vec") => listed(1),
                    Some("randint") => listed(2),
                    Some("eye") => Some(2),
                    Some("matmul") => match (of(self, 0)?, of(self, 1)?) {
                        (1, b) => Some(b - 1).filter(|_| b > 0),
                        (a, 1) => Some(a - 1).filter(|_| a > 0),
                        (a, b) => Some(a.max(b)),
                    },
                    Some(name) if KEEPS.contains(&name) || name.ends_with("_scalar") => of(self, 0),
                    Some(name) if OVERLAID.contains(&name) => Some(of(self, 0)?.max(of(self, 1)?)),
                    Some(_) => None,
                    None if is_std => match short_name(&name) {
                        "arange" | "linspace" => Some(1),
                        "transpose" | "t" => of(self, 0),
                        _ => None,
                    },
                    None => None,
                }
            }
            _ => None,
        }
    }
}
