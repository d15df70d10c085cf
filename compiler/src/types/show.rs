//! Types as messages show them.

use super::infer::VarKind;
use crate::hir::{Dim, NumKind, Program, Ty};
use crate::session::Checker;

impl Checker<'_> {
    pub fn show(&self, ty: &Ty) -> String {
        show_with(&self.program, &|ty| self.infer.shallow(ty), &|var| self.infer.kind(var), ty)
    }
}

/// "a `Task`", "an `Int`".
pub fn with_article(shown: &str) -> String {
    let article = if shown.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} `{shown}`")
}

/// A type that no inference will change any more.
pub fn show_final(program: &Program, ty: &Ty) -> String {
    show_with(program, &Ty::clone, &|_| VarKind::Any, ty)
}

fn show_with(program: &Program, look: &dyn Fn(&Ty) -> Ty, kind: &dyn Fn(u32) -> VarKind, ty: &Ty) -> String {
    let show = |ty: &Ty| show_with(program, look, kind, ty);
    let list = |ts: &[Ty]| ts.iter().map(show).collect::<Vec<_>>().join(", ");
    match &look(ty) {
        Ty::Num(kind) => num_name(*kind).to_string(),
        Ty::Bool => "Bool".into(),
        Ty::Str => "String".into(),
        Ty::Bytes => "Bytes".into(),
        Ty::Duration => "Duration".into(),
        Ty::Instant => "Instant".into(),
        Ty::Unit => "()".into(),
        Ty::Never => "Never".into(),
        Ty::Tuple(ts) => format!("({})", list(ts)),
        Ty::Fn(ps, r) if matches!(look(r), Ty::Unit) => format!("fn({})", list(ps)),
        Ty::Fn(ps, r) => format!("fn({}) -> {}", list(ps), show(r)),
        Ty::Adt(id, ts) if ts.is_empty() => program.adts[id.index()].name.to_string(),
        Ty::Adt(id, ts) => format!("{}<{}>", program.adts[id.index()].name, list(ts)),
        Ty::Tensor(t) => {
            let mut out = String::from("Tensor");
            if let Some(elem) = &t.elem {
                out += &format!("<{}>", show(elem));
            }
            if let Some(dims) = &t.dims {
                out += &format!("[{}]", dims.iter().map(show_dim).collect::<Vec<_>>().join(", "));
            }
            out
        }
        Ty::Dyn(id, ts) if ts.is_empty() => program.traits[id.index()].name.to_string(),
        Ty::Dyn(id, ts) => format!("{}<{}>", program.traits[id.index()].name, list(ts)),
        Ty::Param(_, name) => name.to_string(),
        Ty::Infer(var) => match kind(*var) {
            VarKind::IntLit => "Int".into(),
            VarKind::FloatLit => "Float".into(),
            VarKind::Any | VarKind::Braces => "_".into(),
        },
        Ty::Error => "?".into(),
    }
}

pub fn show_dim(dim: &Dim) -> String {
    match dim {
        Dim::Number(n) => n.to_string(),
        Dim::Name(name) => name.to_string(),
        Dim::Sum(a, b) => format!("{} + {}", show_dim(a), show_dim(b)),
        Dim::Product(a, b) => format!("{} * {}", show_dim(a), show_dim(b)),
        Dim::Unknown => "_".into(),
    }
}

pub fn num_name(kind: NumKind) -> &'static str {
    match kind {
        NumKind::Int8 => "Int8",
        NumKind::Int16 => "Int16",
        NumKind::Int32 => "Int32",
        NumKind::Int64 => "Int",
        NumKind::UInt8 => "UInt8",
        NumKind::UInt16 => "UInt16",
        NumKind::UInt32 => "UInt32",
        NumKind::UInt64 => "UInt64",
        NumKind::Float16 => "Float16",
        NumKind::BFloat16 => "BFloat16",
        NumKind::Float32 => "Float32",
        NumKind::Float64 => "Float",
    }
}

pub fn num_kind(name: &str) -> Option<NumKind> {
    Some(match name {
        "Int" | "Int64" => NumKind::Int64,
        "Int8" => NumKind::Int8,
        "Int16" => NumKind::Int16,
        "Int32" => NumKind::Int32,
        "UInt8" => NumKind::UInt8,
        "UInt16" => NumKind::UInt16,
        "UInt32" => NumKind::UInt32,
        "UInt64" => NumKind::UInt64,
        "Float" | "Float64" => NumKind::Float64,
        "Float32" => NumKind::Float32,
        "Float16" => NumKind::Float16,
        "BFloat16" => NumKind::BFloat16,
        _ => return None,
    })
}
