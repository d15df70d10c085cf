//! What the inputs of a model are, as its file declares them.

use std::fmt;

use stark_kernels::{DType, Scalar, Tensor};

use crate::value::Value;

/// What an input takes, or an item inside one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum InputType {
    Tensor,
    Int,
    Float,
    Bool,
    Str,
    List(Box<InputType>),
    /// Its keys and its values.
    Dict(Box<InputType>, Box<InputType>),
    Tuple(Vec<InputType>),
    /// That, or nothing.
    Optional(Box<InputType>),
    /// The file does not say, or says it in a way that only its code knows.
    Any,
}

impl InputType {
    /// The value as the model's code has it: a number where a tensor is taken becomes one (of `dtype`, when the file states it, else as
    /// PyTorch makes one), a tensor of one element a number where that is taken, if nothing is lost. Depths are bounded by those of values.
    ///
    /// # Errors
    /// Where it lies and what it is, as in `[1] is a str, not a number`.
    pub fn fit(&self, value: Value, dtype: Option<DType>) -> Result<Value, String> {
        let differs = |value: &Value, what: &str| Err(format!("is {}, not {what}", value.kind()));
        let number = |value: &Value| value.scalar().ok_or_else(|| format!("is {}, not a number", value.kind()));
        let inside =
            |at: String| move |why: String| format!("{at}{}{why}", if why.starts_with('[') { "" } else { " " });
        match (self, value) {
            (InputType::Any, value) => Ok(value),
            (InputType::Optional(_), Value::None) => Ok(Value::None),
            (InputType::Optional(takes), value) => takes.fit(value, dtype),
            (InputType::Tensor, value @ Value::Tensor(_)) => Ok(value),
            (InputType::Tensor, Value::List(_)) => {
                Err("is a list, not a tensor; `tensor(list)` makes one of numbers".into())
            }
            (InputType::Tensor, value) => match value.scalar() {
                Some(number) => tensor(number, dtype).map(Value::Tensor),
                None => differs(&value, "a tensor"),
            },
            (InputType::Int, value) => match number(&value)? {
                Scalar::Float(x) => match is_whole(x) {
                    true => Ok(Value::Int(x as i64)),
                    false => Err(format!("is {x}, not a whole number")),
                },
                other => Ok(Value::Int(other.to_i64())),
            },
            (InputType::Float, value) => Ok(Value::Float(number(&value)?.to_f64())),
            (InputType::Bool, value) => match number(&value)? {
                Scalar::Bool(x) => Ok(Value::Bool(x)),
                other if other.to_f64() == 0.0 || other.to_f64() == 1.0 => Ok(Value::Bool(other.to_bool())),
                other => Err(format!("is {}, not a bool", other.to_f64())),
            },
            (InputType::Str, value @ Value::Str(_)) => Ok(value),
            (InputType::Str, value) => differs(&value, "a str"),
            (InputType::List(takes), Value::List(list)) => {
                let items = list.items().clone().into_iter().enumerate();
                let fit = |(i, item)| takes.fit(item, dtype).map_err(inside(format!("[{i}]")));
                Value::list(items.map(fit).collect::<Result<_, _>>()?)
            }
            (InputType::List(_), value) => differs(&value, "a list"),
            (InputType::Dict(key, takes), Value::Dict(dict)) => {
                let items = dict.items().to_vec().into_iter();
                let fit = |(k, item): (Value, Value)| {
                    let at = match &k {
                        Value::Str(text) => format!("[{text:?}]"),
                        Value::Int(n) => format!("[{n}]"),
                        other => format!("[{}]", other.kind()),
                    };
                    let item = takes.fit(item, dtype).map_err(inside(at))?;
                    Ok((key.fit(k, None).map_err(|why| format!("has a key that {why}"))?, item))
                };
                Value::dict(items.map(fit).collect::<Result<_, String>>()?)
            }
            (InputType::Dict(..), value) => differs(&value, "a dict"),
            // A list will do: files of tensors know no tuples.
            (InputType::Tuple(takes), value @ (Value::Tuple(_) | Value::List(_))) => {
                let items = match &value {
                    Value::Tuple(tuple) => tuple.items.clone(),
                    Value::List(list) => list.items().clone(),
                    _ => Vec::new(),
                };
                if takes.len() != items.len() {
                    return Err(format!("is {} of {}, not a tuple of {}", value.kind(), items.len(), takes.len()));
                }
                let items = takes.iter().zip(items).enumerate();
                let fit = |(i, (takes, item)): (usize, (&InputType, Value))| {
                    takes.fit(item, dtype).map_err(inside(format!("[{i}]")))
                };
                Value::tuple(items.map(fit).collect::<Result<_, _>>()?)
            }
            (InputType::Tuple(_), value) => differs(&value, "a tuple"),
        }
    }

    /// Whether a tuple may be its value.
    pub fn is_tuple(&self) -> bool {
        match self {
            InputType::Tuple(_) | InputType::Any => true,
            InputType::Optional(takes) => takes.is_tuple(),
            _ => false,
        }
    }
}

/// A number as a tensor without axes.
fn tensor(number: Scalar, dtype: Option<DType>) -> Result<Tensor, String> {
    let natural = match number {
        Scalar::Bool(_) => DType::Bool,
        Scalar::Float(_) => DType::F32,
        _ => DType::I64,
    };
    let dtype = dtype.unwrap_or(natural);
    let tensor = Tensor::full(&[], number, dtype).map_err(|e| e.to_string())?;
    let is_same = |there: Scalar| match number {
        Scalar::Float(x) => is_whole(x) && there.to_f64() == x,
        number => there.to_i64() == number.to_i64(),
    };
    match tensor.item() {
        Ok(there) if dtype.is_float() || is_same(there) => Ok(tensor),
        Ok(_) => Err(format!("is {}, where the model takes {dtype}", shown(number))),
        Err(e) => Err(e.to_string()),
    }
}

/// Above 2^53 not every whole number has a float.
fn is_whole(x: f64) -> bool {
    x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0
}

fn shown(number: Scalar) -> String {
    match number {
        Scalar::Float(x) => x.to_string(),
        Scalar::Bool(x) => x.to_string(),
        other => other.to_i64().to_string(),
    }
}

/// As TorchScript writes it.
impl fmt::Display for InputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputType::Tensor => f.write_str("Tensor"),
            InputType::Int => f.write_str("int"),
            InputType::Float => f.write_str("float"),
            InputType::Bool => f.write_str("bool"),
            InputType::Str => f.write_str("str"),
            InputType::List(takes) => write!(f, "List[{takes}]"),
            InputType::Dict(key, takes) => write!(f, "Dict[{key}, {takes}]"),
            InputType::Tuple(takes) => {
                f.write_str("Tuple[")?;
                for (i, takes) in takes.iter().enumerate() {
                    write!(f, "{}{takes}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            InputType::Optional(takes) => write!(f, "Optional[{takes}]"),
            InputType::Any => f.write_str("Any"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stark_kernels::Tensor;

    #[test]
    fn values_become_what_the_code_has_or_say_where_they_do_not() {
        let floats = InputType::List(Box::new(InputType::Float));
        let list = |items: Vec<Value>| Value::list(items).unwrap();
        match floats.fit(list(vec![Value::Int(1), Value::Float(0.5)]), None) {
            Ok(Value::List(list)) => assert!(matches!(list.items()[..], [Value::Float(1.0), Value::Float(0.5)])),
            other => panic!("{other:?}"),
        }
        let nested =
            InputType::Dict(Box::new(InputType::Str), Box::new(InputType::Tuple(vec![InputType::Tensor, floats])));
        let pair = Value::tuple(vec![Value::Int(1), list(vec![Value::str("x")])]).unwrap();
        let dict = Value::dict(vec![(Value::str("a"), pair)]).unwrap();
        assert_eq!(nested.to_string(), "Dict[str, Tuple[Tensor, List[float]]]");
        assert_eq!(nested.fit(dict, None).unwrap_err(), "[\"a\"][1][0] is a str, not a number");
        let maybe = InputType::Optional(Box::new(InputType::Int));
        assert!(matches!(maybe.fit(Value::None, None), Ok(Value::None)));
        assert_eq!(InputType::Int.fit(Value::None, None).unwrap_err(), "is None, not a number");
        assert_eq!(InputType::Tensor.fit(Value::None, None).unwrap_err(), "is None, not a tensor");
        match InputType::Tensor.fit(Value::Float(2.0), Some(DType::F32)) {
            Ok(Value::Tensor(t)) => assert_eq!((t.dtype(), t.rank()), (DType::F32, 0)),
            other => panic!("{other:?}"),
        }
        assert_eq!(InputType::Int.fit(Value::Float(2.9), None).unwrap_err(), "is 2.9, not a whole number");
        assert_eq!(InputType::Int.fit(Value::Float(f64::NAN), None).unwrap_err(), "is NaN, not a whole number");
        assert!(matches!(InputType::Int.fit(Value::Float(2.0), None), Ok(Value::Int(2))));
        assert_eq!(InputType::Bool.fit(Value::Float(0.3), None).unwrap_err(), "is 0.3, not a bool");
        assert!(matches!(InputType::Bool.fit(Value::Int(1), None), Ok(Value::Bool(true))));
        for (number, dtype, why) in [
            (Value::Float(2.5), DType::I64, "is 2.5, where the model takes Int64"),
            (Value::Float(1e300), DType::I64, "where the model takes Int64"),
            (Value::Int(300), DType::I8, "is 300, where the model takes Int8"),
            (Value::Int(-1), DType::U8, "is -1, where the model takes UInt8"),
            (Value::Int(2), DType::Bool, "is 2, where the model takes Bool"),
        ] {
            let said = InputType::Tensor.fit(number, Some(dtype)).unwrap_err();
            assert!(said.ends_with(why), "{said}");
        }
        assert!(InputType::Tensor.fit(Value::Int(i64::MAX), Some(DType::I64)).is_ok());
        let one = Value::Tensor(Tensor::full(&[1], 3i64, DType::I64).unwrap());
        assert!(matches!(maybe.fit(one, None), Ok(Value::Int(3))));
    }
}
