//! What a model's file says of its inputs and outputs, against what a program's type says.

use std::fmt;

use crate::dim::{Dim, show};
use crate::dtype::DType;
use crate::error::{ShapeError, refuse};
use crate::symbolic::Symbolic;

/// A tensor as a file or a type describes it; `None` and `_` are what it does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    pub name: String,
    pub dtype: Option<DType>,
    pub dims: Option<Vec<Symbolic>>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct ModelSpec {
    /// What callers pass; one that is no single tensor has neither element type nor sizes.
    pub inputs: Vec<TensorSpec>,
    /// What is inside of them one by one, which callers may pass instead.
    pub flat_inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
    pub flat_outputs: Vec<TensorSpec>,
    /// So many of the last inputs have a default in the file.
    pub n_defaults: usize,
    /// The file states nothing: this was concluded from its operators. Most of them take tensors of several ranks and, of ids, of
    /// several integer types.
    pub is_inferred: bool,
    /// Its one input may be a tuple: a type that states a tuple speaks of what is inside.
    pub takes_a_tuple: bool,
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tensor")?;
        if let Some(dtype) = self.dtype {
            write!(f, "<{dtype}>")?;
        }
        match &self.dims {
            Some(dims) => f.write_str(&show(dims)),
            None => Ok(()),
        }
    }
}

/// Inputs that are filled in when they are left out: ones, zeros, and positions.
pub const FILLED_IN: [&str; 3] = ["attention_mask", "token_type_ids", "position_ids"];

/// Whether a model with signature `file` can be what a type calls it. A type may leave out trailing inputs that are filled in (and, where
/// the file does not say which it needs, any), and states all outputs or, for a list or map of them, none.
pub fn model_fits(file: &ModelSpec, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Result<(), ShapeError> {
    let inputs = if file.takes_a_tuple { &[] } else { inputs };
    let takes = as_stated(&file.inputs, &file.flat_inputs, inputs);
    let gives = as_stated(&file.outputs, &file.flat_outputs, outputs);
    if inputs.len() > takes.len() {
        return refuse!("the model takes {} inputs, and its type says {}", takes.len(), inputs.len());
    }
    if !inputs.is_empty() && !file.is_inferred {
        let needed = takes.len().saturating_sub(file.n_defaults);
        let left_out = takes[..needed].get(inputs.len()..).unwrap_or_default();
        if let Some(needed) = left_out.iter().find(|input| !FILLED_IN.contains(&input.name.as_str())) {
            return refuse!(
                "the model takes {} inputs, and its type says {}: `{}`, {needed}, is not filled in",
                takes.len(),
                inputs.len(),
                needed.name
            );
        }
    }
    if !outputs.is_empty() && outputs.len() != gives.len() {
        return refuse!("the model gives {} outputs, and its type says {}", gives.len(), outputs.len());
    }
    for (have, want) in takes.iter().zip(inputs) {
        tensor_fits("input", have, want, file.is_inferred)?;
    }
    for (have, want) in gives.iter().zip(outputs) {
        tensor_fits("output", have, want, file.is_inferred)?;
    }
    Ok(())
}

/// What a type speaks of: all tensors one by one, when it states as many.
fn as_stated<'a>(have: &'a [TensorSpec], flat: &'a [TensorSpec], stated: &[TensorSpec]) -> &'a [TensorSpec] {
    if stated.len() != have.len() && stated.len() == flat.len() { flat } else { have }
}

fn tensor_fits(what: &str, have: &TensorSpec, want: &TensorSpec, is_inferred: bool) -> Result<(), ShapeError> {
    let differ =
        |why: String| refuse!("{what} `{}` of the model is {have}, and its type says {want}: {why}", have.name);
    if let (Some(h), Some(w)) = (have.dtype, want.dtype)
        && h != w
        && !(is_inferred && !h.is_float() && !w.is_float())
    {
        return differ(format!("its elements are {h} and not {w}"));
    }
    let (Some(h), Some(w)) = (&have.dims, &want.dims) else { return Ok(()) };
    if h.len() != w.len() {
        return if is_inferred { Ok(()) } else { differ(format!("rank {} and not {}", h.len(), w.len())) };
    }
    match h.iter().zip(w).position(|(h, w)| h.meet(w).is_none()) {
        Some(axis) => differ(format!("axis {axis} is {} and not {}", h[axis], w[axis])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, dtype: DType, dims: &[i64]) -> TensorSpec {
        let dim = |&d: &i64| usize::try_from(d).map_or(Symbolic::Unknown, Symbolic::from_usize);
        TensorSpec { name: name.into(), dtype: Some(dtype), dims: Some(dims.iter().map(dim).collect()) }
    }

    #[test]
    fn a_type_must_not_contradict_the_file() {
        let file = ModelSpec {
            inputs: vec![spec("x", DType::F32, &[-1, 64])],
            outputs: vec![spec("logits", DType::F32, &[-1, 10])],
            ..Default::default()
        };
        let fits = |x: &TensorSpec, y: &TensorSpec| {
            model_fits(&file, &[x.clone()], &[y.clone()]).map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        let out = spec("", DType::F32, &[-1, 10]);
        assert_eq!(fits(&spec("", DType::F32, &[-1, 64]), &out), "");
        assert_eq!(fits(&spec("", DType::F32, &[8, 64]), &spec("", DType::F32, &[8, 10])), "");
        assert_eq!(
            fits(&spec("", DType::F32, &[-1, 63]), &out),
            "input `x` of the model is Tensor<Float32>[_, 64], and its type says Tensor<Float32>[_, 63]: axis 1 is 64 and not 63"
        );
        assert!(fits(&spec("", DType::F64, &[-1, 64]), &out).ends_with("its elements are Float32 and not Float64"));
        assert!(fits(&spec("", DType::F32, &[64]), &out).ends_with("rank 2 and not 1"));
        let two = ModelSpec {
            inputs: vec![spec("ids", DType::I64, &[-1, -1]), spec("mask", DType::I64, &[-1, -1])],
            ..file.clone()
        };
        let says = |spec: &ModelSpec| model_fits(spec, &spec.inputs[..1], &[]).map_err(|e| e.to_string());
        let why = "the model takes 2 inputs, and its type says 1: `mask`, Tensor<Int64>[_, _], is not filled in";
        assert_eq!(says(&two), Err(why.to_string()));
        let mut masked = two.clone();
        masked.inputs[1].name = "attention_mask".to_string();
        assert_eq!(says(&masked), Ok(()));
        let nested = ModelSpec { flat_inputs: [&two.inputs[..], &file.inputs].concat(), ..two.clone() };
        assert_eq!(model_fits(&nested, &nested.flat_inputs, &[]), Ok(()));
        assert!(model_fits(&nested, &[&nested.inputs[..1], &nested.inputs].concat(), &[]).is_err());
        assert_eq!(says(&ModelSpec { n_defaults: 1, ..two.clone() }), Ok(()));
        let inferred = ModelSpec { is_inferred: true, ..file.clone() };
        assert!(model_fits(&inferred, &[spec("", DType::F32, &[-1, 7, 64])], &[]).is_ok());
    }
}
