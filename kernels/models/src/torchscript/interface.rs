//! What `forward` says about its inputs and outputs.

use super::ast;
use crate::model::{Input, InputKind, Signature};
use crate::value::Value;

pub fn input(param: &ast::Param) -> Input {
    let ty = param.ty.as_ref();
    let inner = match ty {
        Some(ty) if ty.name == "Optional" => ty.args.first(),
        ty => ty,
    };
    let kind = match inner.map(|ty| ty.name.as_str()) {
        None | Some("Tensor") => InputKind::Tensor,
        Some("int") => InputKind::Int,
        Some("float") => InputKind::Float,
        Some("bool") => InputKind::Bool,
        Some(_) => InputKind::Other,
    };
    let default = match &param.default {
        Some(ast::Expr::Int(i)) => Some(Value::Int(*i)),
        Some(ast::Expr::Float(f)) => Some(Value::Float(*f)),
        Some(ast::Expr::Str(text)) => Some(Value::str(text.as_str())),
        Some(ast::Expr::Name(name)) => match name.as_str() {
            "None" => Some(Value::None),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    Input::open(Signature { name: param.name.clone(), dtype: None, dims: None }, kind, default)
}

pub fn outputs(result: Option<&ast::Type>, keys: Option<Vec<String>>) -> Vec<Signature> {
    let named = |name: String| Signature { name, dtype: None, dims: None };
    match (result.map(|ty| (ty.name.as_str(), ty.args.len())), keys) {
        (Some(("Dict", _)), Some(keys)) => keys.into_iter().map(named).collect(),
        (Some(("Tuple", n)), _) => (0..n).map(|i| named(format!("output_{i}"))).collect(),
        _ => vec![named("output".into())],
    }
}
