//! `model.json` and the payload configurations of a `torch.export` archive, as far as running needs them.
//!
//! Other fields are skipped. Keys may occur once. Names are those of PyTorch's `schema.py`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub struct Program<'a> {
    #[serde(borrow)]
    pub graph_module: GraphModule<'a>,
    #[serde(default)]
    pub range_constraints: Unique<RangeConstraint>,
    pub schema_version: Version,
}

#[derive(Deserialize)]
pub struct Version {
    pub major: i64,
}

/// Bounds that are too large for a number are absent.
#[derive(Deserialize)]
pub struct RangeConstraint {
    #[serde(default)]
    pub min_val: Option<i64>,
    #[serde(default)]
    pub max_val: Option<i64>,
}

#[derive(Deserialize)]
pub struct GraphModule<'a> {
    #[serde(borrow)]
    pub graph: Graph<'a>,
    pub signature: GraphSignature<'a>,
    #[serde(default)]
    pub module_call_graph: Vec<ModuleCall>,
}

#[derive(Deserialize)]
pub struct ModuleCall {
    pub fqn: String,
    #[serde(default)]
    pub signature: Option<CallSignature>,
}

/// How callers pass arguments: trees, written as JSON inside a text.
#[derive(Deserialize)]
pub struct CallSignature {
    pub in_spec: String,
    pub out_spec: String,
    #[serde(default)]
    pub forward_arg_names: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub struct Graph<'a> {
    #[serde(borrow)]
    pub inputs: Vec<Argument<'a>>,
    pub outputs: Vec<Argument<'a>>,
    pub nodes: Vec<Node<'a>>,
    /// Read only where it is needed: there is one for every intermediate tensor.
    #[serde(default)]
    pub tensor_values: Unique<&'a RawValue>,
}

#[derive(Deserialize)]
pub struct Node<'a> {
    #[serde(borrow)]
    pub target: Cow<'a, str>,
    pub inputs: Vec<NamedArgument<'a>>,
    pub outputs: Vec<Argument<'a>>,
}

#[derive(Deserialize)]
pub struct NamedArgument<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    pub arg: Argument<'a>,
}

/// A value in a node, by its kind.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names)] // The names of PyTorch's schema.
pub enum Argument<'a> {
    AsNone(IgnoredAny),
    #[serde(borrow)]
    AsTensor(Name<'a>),
    AsTensors(Vec<Name<'a>>),
    AsOptionalTensor(OptionalTensor<'a>),
    AsOptionalTensors(Vec<OptionalTensor<'a>>),
    AsInt(i64),
    AsInts(Vec<i64>),
    AsFloat(Float),
    AsFloats(Vec<Float>),
    AsBool(bool),
    AsBools(Vec<bool>),
    AsString(Cow<'a, str>),
    AsStrings(Vec<Cow<'a, str>>),
    AsSymInt(Symbolic<'a>),
    AsSymInts(Vec<Symbolic<'a>>),
    AsSymBool(Symbolic<'a>),
    AsSymBools(Vec<Symbolic<'a>>),
    AsSymFloat(Symbolic<'a>),
    AsSymFloats(Vec<Symbolic<'a>>),
    AsScalarType(i64),
    AsMemoryFormat(IgnoredAny),
    AsLayout(IgnoredAny),
    AsDevice(IgnoredAny),
    AsGraph(Box<GraphArgument<'a>>),
    // Nothing that runs here takes these.
    AsOperator(IgnoredAny),
    AsComplex(IgnoredAny),
    AsCustomObj(IgnoredAny),
    AsNestedTensors(IgnoredAny),
    AsIntLists(IgnoredAny),
    AsFloatLists(IgnoredAny),
    AsStringToArgument(IgnoredAny),
}

#[derive(Deserialize)]
pub struct GraphArgument<'a> {
    #[serde(borrow)]
    pub graph: Graph<'a>,
}

#[derive(Deserialize)]
pub struct Name<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names)]
pub enum OptionalTensor<'a> {
    #[serde(borrow)]
    AsTensor(Name<'a>),
    AsNone(IgnoredAny),
}

/// A number that is known, or the name of what computes it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names)]
pub enum Symbolic<'a> {
    #[serde(borrow)]
    AsName(Cow<'a, str>),
    AsInt(i64),
    AsFloat(Float),
    AsBool(bool),
}

/// JSON has no infinities, so these come as texts.
#[derive(Debug, Clone, Copy)]
pub struct Float(pub f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Float, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Float;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: Error>(self, x: f64) -> Result<Float, E> {
                Ok(Float(x))
            }

            fn visit_i64<E: Error>(self, x: i64) -> Result<Float, E> {
                Ok(Float(x as f64))
            }

            fn visit_u64<E: Error>(self, x: u64) -> Result<Float, E> {
                Ok(Float(x as f64))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Float, E> {
                match text {
                    "Infinity" => Ok(Float(f64::INFINITY)),
                    "-Infinity" => Ok(Float(f64::NEG_INFINITY)),
                    "NaN" => Ok(Float(f64::NAN)),
                    _ => Err(E::custom(format!("`{text}` is no number"))),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[derive(Deserialize)]
pub struct GraphSignature<'a> {
    #[serde(borrow)]
    pub input_specs: Vec<InputSpec<'a>>,
    pub output_specs: Vec<OutputSpec<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSpec<'a> {
    UserInput {
        #[serde(borrow)]
        arg: Argument<'a>,
    },
    Parameter {
        arg: Name<'a>,
        parameter_name: String,
    },
    Buffer {
        arg: Name<'a>,
        buffer_name: String,
        persistent: bool,
    },
    TensorConstant {
        arg: Name<'a>,
        tensor_constant_name: String,
    },
    /// A number or text that was settled when the program was exported.
    ConstantInput {
        value: Argument<'a>,
    },
    CustomObj(IgnoredAny),
    Token(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputSpec<'a> {
    UserOutput {
        #[serde(borrow)]
        arg: Argument<'a>,
    },
    BufferMutation(IgnoredAny),
    ParameterMutation(IgnoredAny),
    UserInputMutation(IgnoredAny),
    LossOutput(IgnoredAny),
    GradientToParameter(IgnoredAny),
    GradientToUserInput(IgnoredAny),
    Token(IgnoredAny),
}

#[derive(Deserialize)]
pub struct TensorMeta {
    pub dtype: i64,
    pub sizes: Vec<Size>,
    pub strides: Vec<Size>,
    pub storage_offset: Size,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names)]
pub enum Size {
    AsInt(i64),
    AsExpr(Expression),
}

#[derive(Deserialize)]
pub struct Expression {
    pub expr_str: String,
}

#[derive(Deserialize)]
pub struct PayloadConfig {
    pub config: Unique<Payload>,
}

#[derive(Deserialize)]
pub struct Payload {
    pub path_name: String,
    #[serde(default)]
    pub is_param: bool,
    #[serde(default)]
    pub use_pickle: bool,
    pub tensor_meta: Option<TensorMeta>,
}

/// A node of `in_spec` or `out_spec`; a leaf has no type.
#[derive(Deserialize)]
pub struct Tree {
    pub r#type: Option<String>,
    #[serde(default)]
    pub context: Option<String>,
    #[serde(default)]
    pub children_spec: Vec<Tree>,
}

/// An object whose keys occur once.
pub struct Unique<T>(pub HashMap<String, T>);

impl<T> Default for Unique<T> {
    fn default() -> Unique<T> {
        Unique(HashMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unique<T>, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
                let mut items = HashMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if items.contains_key(&key) {
                        return Err(A::Error::custom(format!("key `{key}` occurs twice")));
                    }
                    items.insert(key, value);
                }
                Ok(Unique(items))
            }
        }
        deserializer.deserialize_map(Read(PhantomData))
    }
}
