//! Signatures of functions: parameters, defaults, and the returned type where it is written.

use super::{attr_has_flag, attr_text, has_attr};
use crate::hir::*;
use crate::session::*;
use crate::types::infer::VarKind;
use crate::types::lower::builtin_type;
use stark_syntax::ast::{self, ExprKind, StmtKind};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::rc::Rc;

impl<'a> Checker<'a> {
    /// Fills a function's row from its declaration. `outer` are the generics of the impl or trait around it.
    pub fn sign(
        &mut self,
        id: FnId,
        f: &'a ast::Fn,
        attrs: &'a [ast::Attribute],
        outer: &[Generic],
        env: &TypeEnv,
        actor: Option<AdtId>,
    ) {
        let mut env = env.clone();
        let mut generics = outer.to_vec();
        generics.extend(self.lower_generics(&f.generics, &mut env, outer.len()));
        let item = self.fns[id.index()].item;
        let kind = match f.kind {
            ast::FnKind::Plain => FnKind::Plain,
            ast::FnKind::Async => FnKind::Async,
            ast::FnKind::Spawn => FnKind::Spawn,
        };
        let mut params: Vec<Param> = Vec::new();
        let mut iterable = Vec::new();
        let mut has_self = false;
        if let Some(adt) = actor {
            let args: Vec<Ty> = outer.iter().enumerate().map(|(i, g)| Ty::Param(i as u32, g.name.clone())).collect();
            params.push(Param {
                name: Rc::from("self"),
                ty: Ty::Adt(adt, args.into()),
                mode: ParamMode::RefMut,
                default: None,
            });
            iterable.push(false);
            has_self = true;
        }
        if matches!(&*f.name.name, "__init__" | "constructor") && !self.is_std(f.name.span) {
            self.report(
                Diagnostic::error(
                    codes::FOREIGN,
                    format!("a type has no `{}`: its fields are declared in it", f.name.name),
                    f.name.span,
                    "another language's function",
                )
                .help("write `x: Int` in the struct's block, and `Point(1)` gives the fields their values"),
            );
            if let Some(Ty::Adt(adt, _)) = env.self_ty {
                self.inits.insert(adt);
            }
        }
        for p in &f.params {
            if &*p.name.name == "self" {
                if let Some(adt) = actor {
                    let next = f.params.get(1).map_or(p.span.end, |next| next.span.start);
                    self.self_in_actor(adt, p.span, (Span { end: next, ..p.span }, String::new()));
                    continue;
                }
                let ty = env.self_ty.clone().unwrap_or(Ty::Error);
                if kind != FnKind::Plain && p.mode == ParamMode::RefMut {
                    self.error(
                        codes::BORROW_ESCAPES,
                        "a task cannot keep `&mut self`: the borrow ends when the call returns",
                        p.span,
                        "take `&self`, a copy",
                    );
                }
                params.push(Param { name: Rc::from("self"), ty, mode: p.mode, default: None });
                iterable.push(false);
                has_self = true;
                continue;
            }
            if params.iter().any(|have| have.name == p.name.name) {
                self.error(
                    codes::DUPLICATE_DEFINITION,
                    format!("parameter `{}` is declared twice", p.name.name),
                    p.name.span,
                    "again here",
                );
            }
            let (ty, is_iterable) = match &p.ty {
                Some(ty) => self.lower_param(ty, &env),
                None => {
                    self.report(
                        Diagnostic::error(
                            codes::CANNOT_INFER,
                            format!("parameter `{}` needs a type", p.name.name),
                            p.span,
                            "its type is not written",
                        )
                        .help(format!("write `{}: Int`, for example", p.name.name)),
                    );
                    (Ty::Error, false)
                }
            };
            if kind != FnKind::Plain && p.mode == ParamMode::RefMut {
                self.error(
                    codes::BORROW_ESCAPES,
                    "a task cannot keep a `&mut` parameter: the borrow ends when the call returns",
                    p.span,
                    "take the value and return it",
                );
            }
            let default = p.default.as_ref().map(|value| {
                let name: Rc<str> = format!("{}.{}", f.name.name, p.name.name).into();
                let func = self.new_fn(&name, env.module, value.span, FnSource::Value(value), item);
                self.program.fns[func.index()].generics = generics.clone();
                self.program.fns[func.index()].ret = ty.clone();
                self.fns[func.index()].env = env.clone();
                func
            });
            params.push(Param { name: p.name.name.clone(), ty, mode: p.mode, default });
            iterable.push(is_iterable);
        }
        let (ret, state) = match (&f.ret, &f.body) {
            (Some(ty), _) => (self.lower(ty, &env), RetState::Known),
            (None, Some(body)) if returns_value(body) => {
                (self.infer.fresh(VarKind::Any, f.name.span), RetState::Unknown)
            }
            (None, _) => (Ty::Unit, RetState::Known),
        };
        let native = attr_text(attrs, "native");
        let is_std = self.parsed[env.module.index()].is_std;
        let special = has_attr(attrs, "special");
        let ret = if is_std && special && &*f.name.name == "exit" { Ty::Never } else { ret };
        let in_trait = self.fns[id.index()].of_trait.is_some();
        if f.body.is_none() && native.is_none() && !special && !in_trait {
            self.error(
                codes::MISSING_RETURN,
                format!("`{}` has no body", f.name.name),
                f.name.span,
                "a body is missing",
            );
        }
        let default_type = attr_text(attrs, "default_type").and_then(|name| builtin_type(&name));
        let info = &mut self.fns[id.index()];
        info.env = env;
        info.ret = state;
        info.has_self = has_self;
        info.actor = actor;
        info.overload = has_attr(attrs, "overload");
        info.variadic = has_attr(attrs, "variadic");
        info.special = special;
        info.type_argument = has_attr(attrs, "type_argument");
        info.default_type = default_type;
        info.closure_gets = attr_text(attrs, "closure_gets");
        info.n_outer = outer.len();
        info.iterable = iterable;
        let def = &mut self.program.fns[id.index()];
        def.kind = kind;
        def.generics = generics;
        def.params = params;
        def.ret = ret;
        def.native = native;
        def.in_tasks = has_attr(attrs, "in_tasks");
        def.suspends = attr_has_flag(attrs, "native", "suspends");
    }
}

/// Whether a body has a `return value` of its own (closures and nested functions not counted).
pub fn returns_value(block: &ast::Block) -> bool {
    block.stmts.iter().any(stmt_returns)
}

fn stmt_returns(stmt: &ast::Stmt) -> bool {
    match &stmt.kind {
        StmtKind::Return(value) => value.is_some(),
        StmtKind::Expr(e) => expr_returns(e),
        StmtKind::Let { value, else_block, .. } => {
            value.as_ref().is_some_and(expr_returns) || else_block.as_deref().is_some_and(returns_value)
        }
        StmtKind::Assign { value, .. } => expr_returns(value),
        StmtKind::While { body, .. } | StmtKind::For { body, .. } => returns_value(body),
        StmtKind::With { body, .. } | StmtKind::Scope { body, .. } => returns_value(body),
        StmtKind::Try { body, catches, finally } => {
            returns_value(body)
                || catches.iter().any(|c| returns_value(&c.body))
                || finally.as_deref().is_some_and(returns_value)
        }
        _ => false,
    }
}

fn expr_returns(e: &ast::Expr) -> bool {
    match &e.kind {
        ExprKind::Diverge(stmt) => stmt_returns(stmt),
        ExprKind::If { branches, else_block } => {
            branches.iter().any(|(_, b)| returns_value(b)) || else_block.as_ref().is_some_and(returns_value)
        }
        ExprKind::Match { arms, .. } => arms.iter().any(|a| expr_returns(&a.body)),
        ExprKind::Select { arms } => arms.iter().any(|a| expr_returns(&a.body)),
        ExprKind::Block(b) => returns_value(b),
        _ => false,
    }
}
