//! Values of programs as a model takes them, and what a model gives as values of programs, by their types.

use super::number::{fit, float_value};
use super::tensor::dtype_of;
use crate::fault::{Fault, FaultKind};
use crate::heap::VecObj;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_bytecode::TypeDesc;
use stark_kernels::Tensor;
use stark_models::Model;
use stark_models::Value as Given;

/// The inputs that `value` is: a tuple's, unless the model takes one tuple.
pub(super) fn inputs(model: &Model, value: ValueRef<'_>) -> Result<Vec<Given>, Fault> {
    match &value.info().desc {
        TypeDesc::Unit => Ok(Vec::new()),
        TypeDesc::Tuple(_) if !model.takes_a_tuple() => {
            (0..value.n_fields()).map(|i| given(model, value.field(i))).collect()
        }
        _ => Ok(vec![given(model, value)?]),
    }
}

/// The inputs that `value` is, by names: of a tuple's items, empty for those that go by their place; one name is of the value itself.
pub(super) fn named_inputs<'a>(
    model: &Model,
    value: ValueRef<'_>,
    names: &'a VecObj,
) -> Result<Vec<(&'a str, Given)>, Fault> {
    let items: Vec<ValueRef<'_>> = match &value.info().desc {
        _ if names.len() == 1 => vec![value],
        TypeDesc::Tuple(_) => (0..value.n_fields()).map(|i| value.field(i)).collect(),
        _ => Vec::new(),
    };
    // Only bytecode that no compiler wrote has others.
    if items.len() != names.len() {
        let reason = format!("{}: {} names for {} inputs", model.file(), names.len(), items.len());
        return Err(Fault::new(FaultKind::ModelError, reason));
    }
    names.iter().zip(items).map(|(name, item)| Ok((name.str(), given(model, item)?))).collect()
}

/// The input that `value` is.
fn given(model: &Model, value: ValueRef<'_>) -> Result<Given, Fault> {
    part(value).map_err(|why| Fault::new(FaultKind::ModelError, format!("{}: {why}", model.file())))
}

/// The first tensor among the inputs, whose first axis is as a rule the batch.
pub(super) fn first_tensor<'a>(value: ValueRef<'a>) -> Option<&'a Tensor> {
    match &value.info().desc {
        _ if value.is_hole() => None,
        TypeDesc::Tensor { .. } => Some(value.opaque::<Tensor>()),
        TypeDesc::Tuple(_) => (0..value.n_fields()).find_map(|i| first_tensor(value.field(i))),
        TypeDesc::Vec(_) => value.vec().iter().find_map(first_tensor),
        TypeDesc::Map(..) => value.map().iter().find_map(|(_, value)| first_tensor(value)),
        TypeDesc::Enum { .. } => first_tensor(value.payload()?),
        _ => None,
    }
}

/// As deep as the type of the value says.
fn part(value: ValueRef<'_>) -> Result<Given, String> {
    let info = value.info();
    match &info.desc {
        TypeDesc::Tensor { .. } => Ok(Given::Tensor(value.opaque::<Tensor>().clone())),
        TypeDesc::Bool => Ok(Given::Bool(value.bool())),
        TypeDesc::Number(kind) if kind.is_float() => Ok(Given::Float(value.float())),
        TypeDesc::Number(_) => {
            let n = value.display();
            n.parse().map(Given::Int).map_err(|_| format!("{n} is too large for a number of a model"))
        }
        TypeDesc::Str => Ok(Given::str(value.str())),
        TypeDesc::Vec(_) => Given::list(value.vec().iter().map(part).collect::<Result<_, _>>()?),
        TypeDesc::Tuple(_) => {
            Given::tuple((0..value.n_fields()).map(|i| part(value.field(i))).collect::<Result<_, _>>()?)
        }
        TypeDesc::Map(..) => {
            let pair = |(key, value): (ValueRef<'_>, ValueRef<'_>)| Ok((part(key)?, part(value)?));
            Given::dict(value.map().iter().map(pair).collect::<Result<_, String>>()?)
        }
        TypeDesc::Enum { variants, .. } if is_option(info) => match variants[usize::from(value.tag())].name.as_str() {
            "None" => Ok(Given::None),
            _ => value.payload().map_or(Err("an Option without a value".into()), part),
        },
        _ => Err(format!(
            "a model takes tensors, numbers, texts, and lists, maps, options and tuples of them, not a `{}`",
            info.name()
        )),
    }
}

/// Whether it is `Option`, by its name and its form: bytecode may have others of that name.
fn is_option(info: &TypeInfo) -> bool {
    let TypeDesc::Enum { name, variants } = &info.desc else { return false };
    let has = |variant: &str, n: usize| variants.iter().any(|v| v.name == variant && v.fields.len() == n);
    name.split('<').next() == Some("Option") && has("Some", 1) && has("None", 0)
}

/// What the model gave, as a value of type `info`.
///
/// One tensor is the only one that there is; a tuple has the items of a tuple or list, or all tensors in the order of `outputs()`; a map has
/// the items of a dict, or the outputs by their names.
pub(super) fn answer(info: &'static TypeInfo, model: &Model, output: &Given) -> Result<Value, Fault> {
    match (&info.desc, output) {
        (TypeDesc::Tensor { .. }, Given::Tensor(t)) => tensor(info, t.clone()),
        (TypeDesc::Tensor { .. }, _) => {
            let mut all = flat(model, output)?;
            match (all.len(), all.pop()) {
                (1, Some(t)) => tensor(info, t),
                (n, _) => Err(several(model, n, "one is asked for")),
            }
        }
        (TypeDesc::Tuple(fields), _) if !has_form(info, output) => {
            let all = flat(model, output)?;
            if all.len() != fields.len() || (0..fields.len()).any(|i| !is_tensor(info.field(0, i))) {
                return Err(several(model, all.len(), &format!("`{}` is asked for", info.name())));
            }
            let items = all.into_iter().enumerate().map(|(i, t)| tensor(info.field(0, i), t));
            Ok(Value::fields(info, items.collect::<Result<Vec<_>, Fault>>()?))
        }
        (TypeDesc::Map(key, _), _) if matches!(info.sibling(*key).desc, TypeDesc::Str) => {
            let Some(all) = numbered(info, model, output)? else { return item(info, model, output) };
            let names = model.outputs();
            if all.len() != names.len() {
                return Err(several(model, all.len(), &format!("`{}` is asked for", info.name())));
            }
            let mut map = Value::map(info);
            for (name, output) in names.iter().zip(&all) {
                map.map_mut().insert(Value::str(name.name.as_str()), item(info.map_value(), model, output)?);
            }
            Ok(map)
        }
        _ => item(info, model, output),
    }
}

/// What a map has by the names of the outputs: the items of what is no dict, or all tensors where some items hold several.
fn numbered(info: &'static TypeInfo, model: &Model, output: &Given) -> Result<Option<Vec<Given>>, Fault> {
    Ok(match output {
        _ if is_tensor(info.map_value()) && is_nested(output) => {
            Some(flat(model, output)?.into_iter().map(Given::Tensor).collect())
        }
        Given::Tensor(_) => Some(vec![output.clone()]),
        other => items(other),
    })
}

/// Whether an item of it is a tuple, list or dict.
fn is_nested(output: &Given) -> bool {
    let is_container = |item: &Given| matches!(item, Given::Tuple(_) | Given::List(_) | Given::Dict(_));
    match output {
        Given::Dict(dict) => dict.items().iter().any(|(_, item)| is_container(item)),
        other => items(other).is_some_and(|items| items.iter().any(is_container)),
    }
}

fn is_tensor(info: &TypeInfo) -> bool {
    matches!(info.desc, TypeDesc::Tensor { .. })
}

fn flat(model: &Model, output: &Given) -> Result<Vec<Tensor>, Fault> {
    model.flatten(output).map_err(super::model::model_fault)
}

fn several(model: &Model, n: usize, asked: &str) -> Fault {
    let names: Vec<&str> = model.outputs().iter().map(|output| &*output.name).collect();
    let named = if names.len() == n { format!(" ({})", names.join(", ")) } else { String::new() };
    let how = if n > 1 {
        ": a tuple takes several, as in `let (a, b): (Tensor<Float32>, Tensor<Float32>) = …`"
    } else {
        ""
    };
    let what = if n == 1 { "output" } else { "outputs" };
    Fault::new(FaultKind::ModelError, format!("{} gives {n} {what}{named} where {asked}{how}", model.file()))
}

/// Whether the output is a tuple or list of as many items, whose own tuples are as those of the type.
fn has_form(info: &'static TypeInfo, output: &Given) -> bool {
    let (TypeDesc::Tuple(fields), Some(items)) = (&info.desc, items(output)) else { return false };
    let fits = |(i, item): (usize, &Given)| match (&info.field(0, i).desc, item) {
        (TypeDesc::Tensor { .. }, item) => {
            !matches!(item, Given::Tuple(_) | Given::List(_) | Given::Dict(_) | Given::None)
        }
        (TypeDesc::Tuple(_), item) => has_form(info.field(0, i), item),
        _ => true,
    };
    fields.len() == items.len() && items.iter().enumerate().all(fits)
}

fn items(output: &Given) -> Option<Vec<Given>> {
    match output {
        Given::Tuple(tuple) => Some(tuple.items.clone()),
        Given::List(list) => Some(list.items().clone()),
        _ => None,
    }
}

/// A part of what the model gave. As deep as the type says.
fn item(info: &'static TypeInfo, model: &Model, output: &Given) -> Result<Value, Fault> {
    let differs = || {
        let (found, asked) = (output.kind(), info.name());
        Fault::new(FaultKind::ModelError, format!("{} gives {found} where `{asked}` is asked for", model.file()))
    };
    match (&info.desc, output) {
        (TypeDesc::Tensor { .. }, _) => tensor(info, output.to_tensor().ok_or_else(differs)?),
        (TypeDesc::Bool, Given::Bool(x)) => Ok(Value::bool(*x)),
        (TypeDesc::Number(kind), Given::Float(x)) if kind.is_float() => Ok(float_value(info, *x)),
        (TypeDesc::Number(kind), Given::Int(n)) if kind.is_float() => Ok(float_value(info, *n as f64)),
        (TypeDesc::Number(_), Given::Int(n)) => fit(info, i128::from(*n)).ok_or_else(differs),
        (TypeDesc::Str, Given::Str(text)) => Ok(Value::str(&**text)),
        (TypeDesc::Vec(_), _) => {
            let items = items(output).ok_or_else(differs)?;
            let items = items.iter().map(|output| item(info.elem(), model, output));
            Ok(Value::vec(info, items.collect::<Result<Vec<_>, Fault>>()?))
        }
        (TypeDesc::Tuple(fields), _) => {
            let items = items(output).filter(|items| items.len() == fields.len()).ok_or_else(differs)?;
            let items = items.iter().enumerate().map(|(i, output)| item(info.field(0, i), model, output));
            Ok(Value::fields(info, items.collect::<Result<Vec<_>, Fault>>()?))
        }
        (TypeDesc::Map(key, _), Given::Dict(dict)) => {
            let mut map = Value::map(info);
            for (name, value) in dict.items().to_vec() {
                let name = item(info.sibling(*key), model, &name)?;
                map.map_mut().insert(name, item(info.map_value(), model, &value)?);
            }
            Ok(map)
        }
        (TypeDesc::Enum { .. }, Given::None) if is_option(info) => Ok(Value::variant_named(info, "None", [])),
        (TypeDesc::Enum { .. }, _) if is_option(info) => {
            let some = info.variant_named("Some").ok_or_else(differs)?;
            let value = item(info.field(some, 0), model, output)?;
            Ok(Value::variant(info, some, [value]))
        }
        _ => Err(differs()),
    }
}

/// A tensor as a value of type `info`, whose element type it must have.
fn tensor(info: &'static TypeInfo, t: Tensor) -> Result<Value, Fault> {
    match dtype_of(info) {
        Some(wanted) if wanted != t.dtype() => {
            let found = t.dtype();
            Err(Fault::value(format!(
                "the model gives a Tensor<{found}> where a Tensor<{wanted}> is asked for; `let y: Tensor<{found}> = model.predict(…)` takes it"
            )))
        }
        _ => Ok(Value::opaque(info, t)),
    }
}
