//! What the inputs of a model are, as its file declares them.

use std::fmt;

use stark_kernels::{DType, Scalar, Tensor};

use crate::value::Value;

/// What an input takes, or an item inside one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Takes {
    Tensor,
    Int,
    Float,
    Bool,
    Str,
    List(Box<Takes>),
    /// Its keys and its values.
    Dict(Box<Takes>, Box<Takes>),
    Tuple(Vec<Takes>),
    /// That, or nothing.
    Optional(Box<Takes>),
    /// The file does not say, or says it in a way that only its code knows.
    Any,
}

impl Takes {
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
            (Takes::Any, value) => Ok(value),
            (Takes::Optional(_), Value::None) => Ok(Value::None),
            (Takes::Optional(takes), value) => takes.fit(value, dtype),
            (Takes::Tensor, value @ Value::Tensor(_)) => Ok(value),
            (Takes::Tensor, Value::List(_)) => {
                Err("is a list, not a tensor; `tensor(list)` makes one of numbers".into())
            }
            (Takes::Tensor, value) => match value.scalar() {
                Some(number) => tensor(number, dtype).map(Value::Tensor),
                None => differs(&value, "a tensor"),
            },
            (Takes::Int, value) => match number(&value)? {
                // Above this not every whole number has a float.
                Scalar::Float(x) if x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0 => Ok(Value::Int(x as i64)),
                Scalar::Float(x) => Err(format!("is {x}, not a whole number")),
                other => Ok(Value::Int(other.to_i64())),
            },
            (Takes::Float, value) => Ok(Value::Float(number(&value)?.to_f64())),
            (Takes::Bool, value) => match number(&value)? {
                Scalar::Bool(x) => Ok(Value::Bool(x)),
                other if other.to_f64() == 0.0 || other.to_f64() == 1.0 => Ok(Value::Bool(other.to_bool())),
                other => Err(format!("is {}, not a bool", other.to_f64())),
            },
            (Takes::Str, value @ Value::Str(_)) => Ok(value),
            (Takes::Str, value) => differs(&value, "a str"),
            (Takes::List(takes), Value::List(list)) => {
                let items = list.items().clone().into_iter().enumerate();
                let fit = |(i, item)| takes.fit(item, dtype).map_err(inside(format!("[{i}]")));
                Value::list(items.map(fit).collect::<Result<_, _>>()?)
            }
            (Takes::List(_), value) => differs(&value, "a list"),
            (Takes::Dict(key, takes), Value::Dict(dict)) => {
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
            (Takes::Dict(..), value) => differs(&value, "a dict"),
            (Takes::Tuple(takes), Value::Tuple(tuple)) => {
                if takes.len() != tuple.items.len() {
                    return Err(format!("is a tuple of {}, not of {}", tuple.items.len(), takes.len()));
                }
                let items = takes.iter().zip(tuple.items.iter().cloned()).enumerate();
                let fit = |(i, (takes, item)): (usize, (&Takes, Value))| {
                    takes.fit(item, dtype).map_err(inside(format!("[{i}]")))
                };
                Value::tuple(items.map(fit).collect::<Result<_, _>>()?)
            }
            (Takes::Tuple(_), value) => differs(&value, "a tuple"),
        }
    }

    /// Whether a tuple may be its value.
    pub fn is_tuple(&self) -> bool {
        match self {
            Takes::Tuple(_) | Takes::Any => true,
            Takes::Optional(takes) => takes.is_tuple(),
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
    if let Scalar::Float(x) = number
        && !dtype.is_float()
        && x.fract() != 0.0
    {
        return Err(format!("is {x}, where the model takes {dtype}"));
    }
    Tensor::full(&[], number, dtype).map_err(|e| e.to_string())
}

/// As TorchScript writes it.
impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Tensor => f.write_str("Tensor"),
            Takes::Int => f.write_str("int"),
            Takes::Float => f.write_str("float"),
            Takes::Bool => f.write_str("bool"),
            Takes::Str => f.write_str("str"),
            Takes::List(takes) => write!(f, "List[{takes}]"),
            Takes::Dict(key, takes) => write!(f, "Dict[{key}, {takes}]"),
            Takes::Tuple(takes) => {
                f.write_str("Tuple[")?;
                for (i, takes) in takes.iter().enumerate() {
                    write!(f, "{}{takes}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Takes::Optional(takes) => write!(f, "Optional[{takes}]"),
            Takes::Any => f.write_str("Any"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stark_kernels::Tensor;

    #[test]
    fn values_become_what_the_code_has_or_say_where_they_do_not() {
        let floats = Takes::List(Box::new(Takes::Float));
        let list = |items: Vec<Value>| Value::list(items).unwrap();
        match floats.fit(list(vec![Value::Int(1), Value::Float(0.5)]), None) {
            Ok(Value::List(list)) => assert!(matches!(list.items()[..], [Value::Float(1.0), Value::Float(0.5)])),
            other => panic!("{other:?}"),
        }
        let nested = Takes::Dict(Box::new(Takes::Str), Box::new(Takes::Tuple(vec![Takes::Tensor, floats])));
        let pair = Value::tuple(vec![Value::Int(1), list(vec![Value::str("x")])]).unwrap();
        let dict = Value::dict(vec![(Value::str("a"), pair)]).unwrap();
        assert_eq!(nested.to_string(), "Dict[str, Tuple[Tensor, List[float]]]");
        assert_eq!(nested.fit(dict, None).unwrap_err(), "[\"a\"][1][0] is a str, not a number");
        let maybe = Takes::Optional(Box::new(Takes::Int));
        assert!(matches!(maybe.fit(Value::None, None), Ok(Value::None)));
        assert_eq!(Takes::Int.fit(Value::None, None).unwrap_err(), "is None, not a number");
        assert_eq!(Takes::Tensor.fit(Value::None, None).unwrap_err(), "is None, not a tensor");
        match Takes::Tensor.fit(Value::Float(2.0), Some(DType::F32)) {
            Ok(Value::Tensor(t)) => assert_eq!((t.dtype(), t.rank()), (DType::F32, 0)),
            other => panic!("{other:?}"),
        }
        assert_eq!(Takes::Int.fit(Value::Float(2.9), None).unwrap_err(), "is 2.9, not a whole number");
        assert_eq!(Takes::Int.fit(Value::Float(f64::NAN), None).unwrap_err(), "is NaN, not a whole number");
        assert!(matches!(Takes::Int.fit(Value::Float(2.0), None), Ok(Value::Int(2))));
        assert_eq!(Takes::Bool.fit(Value::Float(0.3), None).unwrap_err(), "is 0.3, not a bool");
        assert!(matches!(Takes::Bool.fit(Value::Int(1), None), Ok(Value::Bool(true))));
        let whole = Takes::Tensor.fit(Value::Float(2.5), Some(DType::I64)).unwrap_err();
        assert_eq!(whole, "is 2.5, where the model takes Int64");
        let one = Value::Tensor(Tensor::full(&[1], 3i64, DType::I64).unwrap());
        assert!(matches!(maybe.fit(one, None), Ok(Value::Int(3))));
    }
}
