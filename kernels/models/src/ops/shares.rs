//! Which results may be views of arguments, or hold them. All others have storage of their own, in PyTorch and here.

use super::OpRow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    Nothing,
    /// The first argument's storage, or its items.
    First,
    All,
    /// All, of arguments that are lists.
    Items,
}

/// Besides those that pick items or change a list or dict.
pub fn shares(row: &OpRow) -> Shares {
    let Some(name) = row.name.strip_prefix("torch.") else {
        return match row.name {
            "sorted" | "autocast" | "Identity" | "ops.prim.data" | "aten.native_dropout" | "aten._reshape_alias" => {
                Shares::First
            }
            _ => Shares::Nothing,
        };
    };
    match name {
        // Views and rearrangements.
        "detach"
        | "alias"
        | "contiguous"
        | "requires_grad_"
        | "view"
        | "view_as"
        | "reshape"
        | "reshape_as"
        | "flatten"
        | "unflatten"
        | "transpose"
        | "swapaxes"
        | "swapdims"
        | "t"
        | "numpy_T"
        | "permute"
        | "movedim"
        | "moveaxis"
        | "ravel"
        | "mT"
        | "unsqueeze"
        | "squeeze"
        | "expand"
        | "expand_as"
        | "broadcast_to"
        | "broadcast_tensors"
        | "select"
        | "slice"
        | "narrow"
        | "unbind"
        | "split"
        | "split_with_sizes"
        | "chunk"
        | "unsafe_chunk"
        | "unsafe_split"
        | "unsafe_split_with_sizes"
        | "tensor_split"
        | "diagonal"
        | "unfold"
        | "meshgrid"
        | "atleast_1d"
        | "atleast_2d"
        | "atleast_3d"
        | "as_strided"
        | "hsplit"
        | "vsplit"
        | "dsplit"
        | "positive"
        | "mH"
        | "matrix_H"
        | "adjoint"
        | "lift_fresh"
        | "dequantize" => Shares::First,
        // The argument itself where it has the type already.
        "to"
        | "type_as"
        | "float"
        | "double"
        | "half"
        | "bfloat16"
        | "long"
        | "int"
        | "bool"
        | "cpu"
        | "as_tensor"
        | "tensor"
        | "real"
        | "imag"
        | "conj"
        | "_conj"
        | "conj_physical"
        | "resolve_conj"
        | "resolve_neg"
        | "view_as_complex"
        | "view_as_real"
        | "dropout"
        | "feature_dropout"
        | "alpha_dropout"
        | "feature_alpha_dropout" => Shares::First,
        // Other containers of the same items.
        "list" | "dict" | "keys" | "values" | "items" => Shares::First,
        "copy" | "complex" | "einsum" | "sym_ite" => Shares::All,
        // `[a] + [b]` and `[a] * 2`.
        "add" | "mul" => Shares::Items,
        _ => Shares::Nothing,
    }
}
