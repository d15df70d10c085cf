//! The operator table: every operator a model may name, with its arguments, their defaults, and the function.
//!
//! TorchScript names carry no overload: one name covers tensors, numbers, texts and lists, and trailing
//! arguments equal to their default are left out. So a row is the union of the overloads, and its function
//! looks at what kind each argument has when it runs.
//!
//! A name that ends in one underscore is the in-place form of the row without it, and has no row of its own.

pub(crate) mod args;
pub(crate) mod complex;
pub(crate) mod extra;
mod grouped;
pub(crate) mod index;
pub(crate) mod kept;
pub(crate) mod linalg;
pub(crate) mod loss;
pub(crate) mod math;
mod matrix;
pub(crate) mod nn;
pub(crate) mod quant;
pub(crate) mod quantised;
pub(crate) mod random;
pub(crate) mod recurrent;
pub(crate) mod resample;
pub(crate) mod rest;
pub(crate) mod scalar;
pub(crate) mod sets;
mod shares;
pub(crate) mod special;
pub(crate) mod spectra;
pub(crate) mod strided;
mod table;
pub(crate) mod tensor;
pub(crate) mod text;
pub(crate) mod vision;
pub(crate) mod volumes;
pub(crate) mod window;

use std::collections::HashMap;
use std::sync::OnceLock;

pub use args::{Args, OpResult};
pub use kept::{Keeper, Kept, Worked};
pub use shares::{Shares, shares};
pub use table::ROWS;

use crate::value::Value;

/// One operator.
#[derive(Debug)]
pub struct OpRow {
    /// As the code spells it: `torch.relu`, `ops.prim.NumToTensor`; `int` and the like are plain names.
    pub name: &'static str,
    pub args: &'static [ArgRow],
    pub run: fn(&Args<'_>) -> OpResult,
    pub traits: Traits,
}

#[derive(Debug)]
pub struct ArgRow {
    pub name: &'static str,
    pub default: Default,
}

/// What an argument is when the code leaves it out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    Required,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'static str),
}

/// What the compiler may assume of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traits {
    /// A function of its arguments; run at load time when they are all plain constants.
    Pure,
    /// As `Pure`, but the result can be `None` or an element of a container.
    Picks,
    /// Changes a list or dict.
    Effect,
    /// Draws random numbers: never the same twice.
    Draws,
}

impl Default {
    pub fn value(self) -> Option<Value> {
        match self {
            Default::Required => None,
            Default::None => Some(Value::None),
            Default::Bool(b) => Some(Value::Bool(b)),
            Default::Int(i) => Some(Value::Int(i)),
            Default::Float(f) => Some(Value::Float(f)),
            Default::Str(text) => Some(Value::str(text)),
        }
    }
}

/// Whether the in-place form changes the axes of a tensor, and none of its elements.
pub fn is_reshaping(row: &OpRow) -> bool {
    let name = row.name.strip_prefix("torch.").unwrap_or_default();
    matches!(name, "transpose" | "t" | "swapaxes" | "swapdims" | "squeeze" | "unsqueeze" | "detach" | "as_strided")
}

/// Rows that exist in place alone, or are another function there.
const IN_PLACE: [&str; 8] = [
    "torch.normal_",
    "torch.uniform_",
    "torch.exponential_",
    "torch.geometric_",
    "torch.cauchy_",
    "torch.log_normal_",
    "torch.bernoulli_",
    "torch.random_",
];

/// The row of a name, and whether the name asks for its in-place form.
pub fn find(name: &str) -> Option<(&'static OpRow, bool)> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static OpRow>> = OnceLock::new();
    let rows = BY_NAME.get_or_init(|| ROWS.iter().map(|row| (row.name, row)).collect());
    if let Some(row) = rows.get(name) {
        return Some((row, IN_PLACE.contains(&name)));
    }
    // Operators of decomposed programs, which few traces have.
    if let Some(row) = name.strip_prefix("torch.").and_then(crate::pt2::table::own_row) {
        return Some((row, false));
    }
    let base = name.strip_suffix('_').filter(|base| !base.ends_with('_'))?;
    rows.get(base).map(|row| (*row, true))
}
