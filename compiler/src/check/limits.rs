//! `Int.max`, `UInt8::min`, `Float.inf`: constants that number types have, written with `.` or `::`.

use super::*;
use crate::types::show::num_kind;

impl<'a> Checker<'a> {
    /// `base.name` where `base` is a number type's name that nothing shadows.
    pub fn number_limit(&mut self, base: &ast::Expr, name: &ast::Ident, span: Span) -> Option<Expr> {
        let ast::ExprKind::Name(type_name) = &base.kind else { return None };
        if self.find_binding(type_name).is_some() || self.lookup(self.f.env.module, type_name).is_some() {
            return None;
        }
        let kind = num_kind(type_name)?;
        let lit = limit(kind, &name.name);
        if lit.is_none() {
            self.no_associated(&Ty::Num(kind), name);
        }
        Some(lit.map_or_else(|| self.err(span), |lit| Expr { kind: ExprKind::Lit(lit), ty: Ty::Num(kind), span }))
    }
}

/// The ends of an integer type.
pub fn int_range(kind: NumKind) -> (i128, i128) {
    match kind {
        NumKind::Int8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
        NumKind::Int16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
        NumKind::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        NumKind::UInt8 => (0, i128::from(u8::MAX)),
        NumKind::UInt16 => (0, i128::from(u16::MAX)),
        NumKind::UInt32 => (0, i128::from(u32::MAX)),
        NumKind::UInt64 => (0, i128::from(u64::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    }
}

/// The constant `name` of a number type.
pub fn limit(kind: NumKind, name: &str) -> Option<Lit> {
    if !kind.is_float() {
        let (min, max) = int_range(kind);
        return match name {
            "min" => Some(Lit::Int(min)),
            "max" => Some(Lit::Int(max)),
            _ => None,
        };
    }
    let (max, epsilon) = match kind {
        NumKind::Float16 => (65504.0, f64::powi(2.0, -10)),
        NumKind::BFloat16 => ((2.0 - f64::powi(2.0, -7)) * f64::powi(2.0, 127), f64::powi(2.0, -7)),
        NumKind::Float32 => (f64::from(f32::MAX), f64::from(f32::EPSILON)),
        _ => (f64::MAX, f64::EPSILON),
    };
    match name {
        "max" => Some(Lit::Float(max)),
        "min" => Some(Lit::Float(-max)),
        "epsilon" => Some(Lit::Float(epsilon)),
        "inf" => Some(Lit::Float(f64::INFINITY)),
        "nan" => Some(Lit::Float(f64::NAN)),
        _ => None,
    }
}
