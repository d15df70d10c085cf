//! Written types to `Ty`: names looked up, aliases opened, wrong counts of arguments reported.

use super::infer::VarKind;
use super::show::num_kind;
use crate::foreign;
use crate::hir::*;
use crate::session::{Checker, Def, TypeEnv, nearest};
use stark_syntax::ast;
use stark_syntax::codes;
use stark_syntax::diagnostic::{Diagnostic, Label};
use stark_syntax::source::Span;
use std::rc::Rc;

/// What a path in a type, a pattern or before `::` names.
#[derive(Clone, Debug)]
pub enum Named {
    Ty(Ty),
    Def(Def),
    Missing,
}

pub const BUILTIN_TYPES: &[&str] = &[
    "Int", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Float16", "Float32",
    "Float64", "BFloat16", "Bool", "String", "Bytes", "Duration", "Instant", "Tensor",
];

pub fn builtin_type(name: &str) -> Option<Ty> {
    Some(match name {
        "Bool" => Ty::Bool,
        "String" => Ty::Str,
        "Bytes" => Ty::Bytes,
        "Duration" => Ty::Duration,
        "Instant" => Ty::Instant,
        "Never" => Ty::Never,
        "Unit" => Ty::Unit,
        "Tensor" => Ty::Tensor(TensorTy { elem: None, dims: None }),
        _ => Ty::Num(num_kind(name)?),
    })
}

impl<'a> Checker<'a> {
    /// Looks a path of a type up: a type parameter, a builtin, or a declaration.
    pub fn resolve_path(&mut self, path: &ast::Path, env: &TypeEnv) -> Named {
        let last = match path.segments.last() {
            Some(last) => last.clone(),
            None => return Named::Missing,
        };
        if path.segments.len() == 1 {
            let name = &*last.name;
            if let Some((_, ty)) = env.params.iter().rev().find(|(n, _)| &**n == name) {
                return Named::Ty(ty.clone());
            }
            if name == "Self"
                && let Some(ty) = &env.self_ty
            {
                return Named::Ty(ty.clone());
            }
            if let Some(def) = self.lookup(env.module, name) {
                self.mark_import_used(env.module, name);
                self.note_def(last.span, &def);
                return Named::Def(def);
            }
            return match builtin_type(name) {
                Some(ty) => Named::Ty(ty),
                None => Named::Missing,
            };
        }
        if let Some(first) = path.segments.first()
            && matches!(self.scopes[env.module.index()].names.get(&first.name), Some(Def::Fns(ids)) if ids.is_empty())
        {
            // Imported from a module that is not there, which is told.
            return Named::Ty(Ty::Error);
        }
        let dotted: Vec<&str> = path.segments[..path.segments.len() - 1].iter().map(|s| &*s.name).collect();
        match self.module_by_path(env.module, &dotted) {
            Some(module) => match self.lookup_in(module, &last.name, env.module, last.span) {
                Some(def) => {
                    let before = &path.segments[..path.segments.len() - 1];
                    if let (Some(first), Some(end)) = (before.first(), before.last()) {
                        self.note_module(first.span.to(end.span), module);
                    }
                    self.note_def(last.span, &def);
                    Named::Def(def)
                }
                None => Named::Missing,
            },
            None => Named::Missing,
        }
    }

    pub fn unknown_type(&mut self, name: &str, span: Span, env: &TypeEnv) {
        let mut d =
            Diagnostic::error(codes::UNKNOWN_TYPE, format!("there is no type `{name}`"), span, "not known here");
        let mut names: Vec<Rc<str>> = self.type_names(env.module);
        names.extend(env.params.iter().map(|(n, _)| n.clone()));
        let is_there = |n: &str| names.iter().any(|m| &**m == n) || BUILTIN_TYPES.contains(&n) || n == "()";
        if let Some(ours) = foreign::meant(name, is_there) {
            d = d.help(format!("STARK calls it `{ours}`")).fix(format!("write `{ours}`"), vec![(span, ours)]);
        } else if let Some(way) = foreign::way(name).or_else(|| foreign::module_way(name)) {
            d = d.help(way);
        } else {
            let all = names.iter().map(|n| &**n).chain(BUILTIN_TYPES.iter().copied());
            if let Some(near) = nearest(name, all) {
                d = d.help(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), vec![(span, near)]);
            }
        }
        self.report(d);
    }

    fn type_names(&self, module: ModuleId) -> Vec<Rc<str>> {
        let scope = self.scopes.get(module.index()).map(|s| &s.names);
        scope
            .into_iter()
            .flatten()
            .chain(self.prelude.iter())
            .filter(|(_, d)| matches!(d, Def::Adt(_) | Def::Trait(_) | Def::Alias(_)))
            .map(|(n, _)| n.clone())
            .collect()
    }

    pub fn lower(&mut self, ty: &ast::Type, env: &TypeEnv) -> Ty {
        match &ty.kind {
            ast::TypeKind::Path { path, args, dims } => self.lower_path(path, args, dims.as_deref(), env, ty.span),
            ast::TypeKind::Tuple(ts) if ts.is_empty() => Ty::Unit,
            ast::TypeKind::Tuple(ts) => Ty::Tuple(ts.iter().map(|t| self.lower(t, env)).collect()),
            ast::TypeKind::Fn { params, ret } => {
                let params = params.iter().map(|(_, t)| self.lower(t, env)).collect();
                let ret = ret.as_ref().map_or(Ty::Unit, |t| self.lower(t, env));
                Ty::Fn(params, Rc::new(ret))
            }
            ast::TypeKind::Ref { inner, .. } => {
                let sign = Span { end: inner.span.start, ..ty.span };
                self.report(
                    Diagnostic::error(
                        codes::BORROW_ESCAPES,
                        "a borrow cannot be stored or returned",
                        ty.span,
                        "`&` stands only before a parameter's type",
                    )
                    .help("write the type alone: a value is copied, without cost until one of the two is changed")
                    .fix("remove the `&`", vec![(sign, String::new())]),
                );
                self.lower(inner, env)
            }
            ast::TypeKind::Infer => self.infer.fresh(VarKind::Any, ty.span),
            ast::TypeKind::Error => Ty::Error,
        }
    }

    fn lower_path(
        &mut self,
        path: &ast::Path,
        args: &[ast::Type],
        dims: Option<&[ast::DimExpr]>,
        env: &TypeEnv,
        span: Span,
    ) -> Ty {
        let name = path.segments.last().map(|s| s.name.clone()).unwrap_or_else(|| Rc::from("?"));
        match self.resolve_path(path, env) {
            // A parameter or `Self` that stands for a tensor is complete already.
            Named::Ty(Ty::Tensor(_)) if &*name == "Tensor" => {
                if args.len() > 1 {
                    self.type_args_wrong("Tensor", 1, args.len(), span);
                }
                let elem = args.first().map(|t| {
                    let elem = self.lower(t, env);
                    Rc::new(if self.require_element(&elem, t.span) { elem } else { Ty::Error })
                });
                let dims = dims.map(|ds| ds.iter().map(lower_dim).collect());
                Ty::Tensor(TensorTy { elem, dims })
            }
            Named::Ty(t) => {
                if !args.is_empty() {
                    self.type_args_wrong(&name, 0, args.len(), span);
                }
                self.with_dims(t, dims, span)
            }
            Named::Def(Def::Fns(_)) => {
                self.value_as_type(&name, dims, span);
                Ty::Error
            }
            Named::Def(def) => {
                let args: Vec<Ty> = args.iter().map(|t| self.lower(t, env)).collect();
                let ty = self.apply_def(&def, args, &name, span, false);
                self.with_dims(ty, dims, span)
            }
            Named::Missing => {
                match dims.filter(|_| !foreign::names(&name).is_empty()) {
                    Some(dims) => self.type_in_brackets(&name, dims, span),
                    None => self.unknown_type(&name, span, env),
                }
                Ty::Error
            }
        }
    }

    /// The sizes in brackets behind the name of a type, which only a tensor has: `T[n, 3]` of `type T = Tensor<Float32>`.
    fn with_dims(&mut self, ty: Ty, dims: Option<&[ast::DimExpr]>, span: Span) -> Ty {
        let Some(dims) = dims else { return ty };
        match ty {
            Ty::Tensor(TensorTy { elem, dims: None }) => {
                Ty::Tensor(TensorTy { elem, dims: Some(dims.iter().map(lower_dim).collect()) })
            }
            Ty::Error => ty,
            other => {
                let shown = self.show(&other);
                let why = match &other {
                    Ty::Tensor(_) => format!("`{shown}` has its sizes"),
                    _ => format!("`{shown}` has no sizes"),
                };
                let help = "sizes in brackets are those of a tensor, as in `Tensor<Float32>[n, 3]`";
                self.report(Diagnostic::error(codes::TYPE_ARGUMENTS, why, span, "brackets behind it").help(help));
                other
            }
        }
    }

    /// `List[int]`, `Optional[str]`: E0203 with the whole type as it should be.
    fn type_in_brackets(&mut self, name: &str, dims: &[ast::DimExpr], span: Span) {
        let ours = foreign::names(name).first().copied().unwrap_or(name);
        let argument = |dim: &ast::DimExpr| match dim {
            ast::DimExpr::Name(name) => Some(python_type(&name.name).map_or(name.name.to_string(), str::to_string)),
            _ => None,
        };
        let args: Option<Vec<String>> = dims.iter().map(argument).collect();
        let written = args.map_or(format!("{ours}<…>"), |args| format!("{ours}<{}>", args.join(", ")));
        let is_whole = !written.contains('…');
        let d = Diagnostic::error(codes::UNKNOWN_TYPE, format!("there is no type `{name}`"), span, "not known here")
            .help(format!("STARK calls it `{written}`"));
        self.report(if is_whole { d.fix(format!("write `{written}`"), vec![(span, written)]) } else { d });
    }

    /// A function's name where a type belongs: `str`, `list[int]`, or a slip.
    fn value_as_type(&mut self, name: &str, dims: Option<&[ast::DimExpr]>, span: Span) {
        let mut d = Diagnostic::error(codes::NOT_A_VALUE, format!("`{name}` is not a type"), span, "not a type");
        let argument = |dim: &ast::DimExpr| match dim {
            ast::DimExpr::Name(name) => Some(python_type(&name.name).map_or(name.name.to_string(), str::to_string)),
            _ => None,
        };
        if let Some(ours) = python_type(name) {
            let args = dims.map(|dims| dims.iter().map(argument).collect::<Option<Vec<_>>>());
            let written = match args {
                Some(Some(args)) => Some(format!("{ours}<{}>", args.join(", "))),
                Some(None) => None,
                None => Some(ours.to_string()),
            };
            let ours = written.clone().unwrap_or_else(|| ours.to_string());
            d = d.help(format!("STARK calls it `{ours}`"));
            if let Some(written) = written {
                d = d.fix(format!("write `{written}`"), vec![(span, written)]);
            }
        }
        self.report(d);
    }

    pub fn type_args_wrong(&mut self, name: &str, want: usize, got: usize, span: Span) {
        let d = Diagnostic::error(
            codes::TYPE_ARGUMENTS,
            format!("`{name}` takes {want} type argument{}, {got} given", if want == 1 { "" } else { "s" }),
            span,
            "here",
        );
        let example = match (name, want) {
            (_, 0) => None,
            ("Map" | "SharedMap", _) => Some("String, Int".to_string()),
            (_, 1) => Some("Int".to_string()),
            (_, n) => Some(vec!["…"; n].join(", ")),
        };
        self.report(match example {
            Some(args) => d.help(format!("write `{name}<{args}>`, for example")),
            None => d.help(format!("write `{name}`")),
        });
    }

    /// A declared type with its arguments. With `open`, missing arguments become variables.
    pub fn apply_def(&mut self, def: &Def, args: Vec<Ty>, name: &str, span: Span, open: bool) -> Ty {
        match def {
            Def::Adt(id) => {
                let n = self.program.adts[id.index()].generics.len();
                if *id == self.program.lang.model && (args.is_empty() || args.len() == 2) {
                    return Ty::Adt(*id, args.into());
                }
                if args.is_empty() && n > 0 && open {
                    let vars = (0..n).map(|_| self.infer.fresh(VarKind::Any, span)).collect();
                    return Ty::Adt(*id, vars);
                }
                if args.len() != n {
                    self.type_args_wrong(name, n, args.len(), span);
                    return Ty::Error;
                }
                Ty::Adt(*id, args.into())
            }
            Def::Trait(id) => {
                if self.traits[id.index()].builtin.is_some() || self.traits[id.index()].derived {
                    self.error(
                        codes::TRAIT_AS_VALUE,
                        format!("`{name}` says what a type can do; a value cannot have it as its type"),
                        span,
                        "not a type of values",
                    );
                    return Ty::Error;
                }
                if let Some((at, why)) = self.traits[id.index()].undynamic.clone() {
                    let title = format!("`{name}` cannot be the type of a value: {why}");
                    self.report(
                        Diagnostic::error(codes::TRAIT_AS_VALUE, title, span, "not a type of values")
                            .because(at, "this method")
                            .help(format!("write a type parameter, as in `fn f<T: {name}>(x: T)`")),
                    );
                    return Ty::Error;
                }
                let n = self.traits[id.index()].n_args;
                if args.is_empty() && open {
                    return Ty::Dyn(*id, (0..n).map(|_| self.infer.fresh(VarKind::Any, span)).collect());
                }
                if args.len() != n {
                    self.type_args_wrong(name, n, args.len(), span);
                    return Ty::Error;
                }
                Ty::Dyn(*id, args.into())
            }
            Def::Alias(i) => {
                let alias = &self.aliases[*i];
                let (generics, written, module) = (alias.generics, alias.ty, alias.module);
                if alias.busy {
                    self.error(codes::RECURSIVE_TYPE, format!("`{name}` stands for itself"), span, "here");
                    return Ty::Error;
                }
                let mut args = args;
                if args.is_empty() && open {
                    args = generics.params.iter().map(|_| self.infer.fresh(VarKind::Any, span)).collect();
                }
                if args.len() != generics.params.len() {
                    self.type_args_wrong(name, generics.params.len(), args.len(), span);
                    return Ty::Error;
                }
                let params = generics.params.iter().zip(args).map(|(p, t)| (p.name.name.clone(), t)).collect();
                self.aliases[*i].busy = true;
                let inner = TypeEnv { module, params: Rc::new(params), self_ty: None };
                let before = self.diagnostics.len();
                let ty = self.lower(written, &inner);
                self.aliases[*i].busy = false;
                // What is wrong may come from the arguments.
                for d in self.diagnostics[before..].iter_mut().filter(|_| !generics.params.is_empty()) {
                    d.secondary.push(Label { span, text: "used here".into() });
                }
                ty
            }
            Def::Fns(_) | Def::Const(_) | Def::Zone(_) | Def::Module(_) => {
                self.value_as_type(name, None, span);
                Ty::Error
            }
        }
    }

    /// A parameter's type, and whether it is `Iterable<T>`.
    pub fn lower_param(&mut self, ty: &ast::Type, env: &TypeEnv) -> (Ty, bool) {
        let mut iterable = false;
        if let ast::TypeKind::Path { path, .. } = &ty.kind
            && path.segments.len() == 1
            && let Some(Def::Alias(i)) = self.lookup(env.module, &path.segments[0].name)
        {
            iterable = self.aliases[i].iterable;
        }
        (self.lower(ty, env), iterable)
    }

    /// Generics with their bounds; `start` is the position of the first.
    pub fn lower_generics(&mut self, generics: &ast::Generics, env: &mut TypeEnv, start: usize) -> Vec<Generic> {
        let mut params = (*env.params).clone();
        for (i, p) in generics.params.iter().enumerate() {
            params.push((p.name.name.clone(), Ty::Param((start + i) as u32, p.name.name.clone())));
        }
        env.params = Rc::new(params);
        generics
            .params
            .iter()
            .map(|p| Generic {
                name: p.name.name.clone(),
                bounds: p.bounds.iter().filter_map(|b| self.lower_whole_bound(b, env)).collect(),
            })
            .collect()
    }

    /// A bound that states every argument of its trait.
    pub fn lower_whole_bound(&mut self, ty: &ast::Type, env: &TypeEnv) -> Option<Bound> {
        let bound = self.lower_bound(ty, env)?;
        if let Bound::Trait(t, args) = &bound
            && args.len() != self.traits[t.index()].n_args
            && matches!(&ty.kind, ast::TypeKind::Path { args, .. } if args.is_empty())
        {
            let (name, n) = (self.program.traits[t.index()].name.clone(), self.traits[t.index()].n_args);
            self.type_args_wrong(&name, n, 0, ty.span);
        }
        Some(bound)
    }

    pub fn lower_bound(&mut self, ty: &ast::Type, env: &TypeEnv) -> Option<Bound> {
        self.lower_trait(ty, env, false)
    }

    /// A trait with its arguments. With `open`, the last may be left out.
    pub fn lower_trait(&mut self, ty: &ast::Type, env: &TypeEnv, open: bool) -> Option<Bound> {
        let ast::TypeKind::Path { path, args, .. } = &ty.kind else { return None };
        match self.resolve_path(path, env) {
            Named::Def(Def::Trait(id)) => {
                if let Some(builtin) = self.traits[id.index()].builtin.clone() {
                    return Some(builtin);
                }
                let args: Rc<[Ty]> = args.iter().map(|t| self.lower(t, env)).collect();
                let n = self.traits[id.index()].n_args;
                // An operator's trait names the other operand's type: `impl Mul<Float> for V`.
                let fits = args.is_empty() || args.len() == n || n == 0 || open && args.len() < n;
                if !fits {
                    let name = self.program.traits[id.index()].name.clone();
                    self.type_args_wrong(&name, n, args.len(), ty.span);
                }
                let args = if args.len() == n { args } else { Rc::from([]) };
                Some(Bound::Trait(id, args))
            }
            Named::Missing => {
                let name = path.segments.last().map(|s| s.name.clone()).unwrap_or_else(|| Rc::from("?"));
                self.unknown_type(&name, ty.span, env);
                None
            }
            _ => {
                self.error(codes::NOT_A_VALUE, "a bound is a trait", ty.span, "not a trait");
                None
            }
        }
    }
}

pub fn lower_dim(dim: &ast::DimExpr) -> Dim {
    match dim {
        ast::DimExpr::Number(n, _) => Dim::Number(*n),
        ast::DimExpr::Name(name) => Dim::Name(name.name.clone()),
        ast::DimExpr::Unknown(_) => Dim::Unknown,
        ast::DimExpr::Add(a, b) => Dim::Sum(Rc::new(lower_dim(a)), Rc::new(lower_dim(b))),
        ast::DimExpr::Mul(a, b) => Dim::Product(Rc::new(lower_dim(a)), Rc::new(lower_dim(b))),
    }
}

/// The types that are named like their conversions in Python.
fn python_type(name: &str) -> Option<&'static str> {
    Some(match name {
        "int" => "Int",
        "float" => "Float",
        "str" => "String",
        "bool" => "Bool",
        "bytes" => "Bytes",
        "list" => "Vec",
        "dict" => "Map",
        "set" => "Set",
        _ => return None,
    })
}
