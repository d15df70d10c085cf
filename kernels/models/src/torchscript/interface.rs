//! What a method says about its inputs and outputs.

use super::ast;
use crate::input_type::InputType;
use crate::model::{Input, Signature};
use crate::value::Value;

pub fn input(param: &ast::Param) -> Input {
    let takes = param.ty.as_ref().map_or(InputType::Tensor, takes);
    let default = param.default.as_ref().and_then(literal);
    Input::open(Signature { name: param.name.clone(), dtype: None, dims: None }, takes, default)
}

/// The value of a default that is written out. Depths are bounded by those of values.
fn literal(e: &ast::Expr) -> Option<Value> {
    let all = |items: &[ast::Expr]| items.iter().map(literal).collect::<Option<Vec<_>>>();
    match e {
        ast::Expr::Int(i) => Some(Value::Int(*i)),
        ast::Expr::Float(f) => Some(Value::Float(*f)),
        ast::Expr::Str(text) => Some(Value::str(text.as_str())),
        ast::Expr::Tuple(items) => Value::tuple(all(items)?).ok(),
        ast::Expr::List(items) => Value::frozen_list(all(items)?).ok(),
        ast::Expr::Typed(_, e) => literal(e),
        ast::Expr::Name(name) => match name.as_str() {
            "None" => Some(Value::None),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}

/// The depth is that of the type in the code, which the parser bounds.
fn takes(ty: &ast::Type) -> InputType {
    let inner = |i: usize| Box::new(ty.args.get(i).map_or(InputType::Any, takes));
    match &*ty.name {
        "Tensor" => InputType::Tensor,
        "int" => InputType::Int,
        "float" => InputType::Float,
        "bool" => InputType::Bool,
        "str" => InputType::Str,
        "Optional" => InputType::Optional(inner(0)),
        "List" => InputType::List(inner(0)),
        "Dict" => InputType::Dict(inner(0), inner(1)),
        "Tuple" => InputType::Tuple(ty.args.iter().map(takes).collect()),
        _ => InputType::Any,
    }
}

pub fn outputs(result: Option<&ast::Type>, keys: Option<Vec<String>>) -> Vec<Signature> {
    let named = |name: String| Signature { name, dtype: None, dims: None };
    match (result.map(|ty| (ty.name.as_str(), ty.args.len())), keys) {
        (Some(("Dict", _)), Some(keys)) => keys.into_iter().map(named).collect(),
        (Some(("Tuple", n)), Some(keys)) if keys.len() == n => keys.into_iter().map(named).collect(),
        (Some(("Tuple", n)), _) => (0..n).map(|i| named(format!("output_{i}"))).collect(),
        _ => vec![named("output".into())],
    }
}
