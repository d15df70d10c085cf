//! How names of exported programs lead to operators.
//!
//! Most are rows of the TorchScript table under the same name. Here are those that only exported programs use:
//! other names for a row, other names for its arguments, and operators of decomposed programs that give more
//! values than models use.

use stark_kernels::DType;
use stark_kernels::ops as k;

use crate::ops::Default::*;
use crate::ops::Traits::Pure;
use crate::ops::args::code_of_dtype;
use crate::ops::spectra::Of;
use crate::ops::tensor::ok;
use crate::ops::{ArgRow, Args, OpResult, OpRow, nn, quantised, spectra};
use crate::value::Value;

/// Other names of rows.
pub static SAME: &[(&str, &str)] = &[
    ("aten.sym_size", "torch.size"),
    ("aten.sym_stride", "torch.stride"),
    ("aten.sym_storage_offset", "torch.storage_offset"),
    ("aten.sym_numel", "torch.numel"),
    ("aten._to_copy", "torch.to"),
    ("aten._unsafe_view", "torch.view"),
    ("transformers.grouped_mm_fallback", "torch._grouped_mm"),
    ("aten.lift_fresh_copy", "torch.clone"),
    ("aten.detach_", "torch.detach"),
    ("aten._embedding_bag", "torch.embedding_bag"),
    ("aten._embedding_bag_forward_only", "torch.embedding_bag"),
    ("aten._adaptive_avg_pool2d", "torch.adaptive_avg_pool2d"),
    ("aten._local_scalar_dense", "torch.item"),
    ("_operator.add", "torch.add"),
    ("_operator.sub", "torch.sub"),
    ("_operator.mul", "torch.mul"),
    ("_operator.truediv", "torch.truediv"),
    ("_operator.floordiv", "torch.floordiv"),
    ("_operator.mod", "torch.remainder"),
    ("_operator.pow", "torch.pow"),
    ("_operator.neg", "torch.neg"),
    ("_operator.pos", "torch.alias"),
    ("_operator.abs", "torch.abs"),
    ("_operator.lshift", "torch.__lshift__"),
    ("_operator.rshift", "torch.__rshift__"),
    ("_operator.eq", "torch.eq"),
    ("_operator.ne", "torch.ne"),
    ("_operator.lt", "torch.lt"),
    ("_operator.le", "torch.le"),
    ("_operator.gt", "torch.gt"),
    ("_operator.ge", "torch.ge"),
    ("_operator.and_", "torch.__and__"),
    ("_operator.or_", "torch.__or__"),
    ("_operator.xor", "torch.__xor__"),
    ("_operator.not_", "torch.__not__"),
    ("_operator.getitem", "torch.__getitem__"),
    ("torch.sym_max", "ops.prim.max"),
    ("torch.sym_min", "ops.prim.min"),
    ("torch.sym_float", "float"),
    ("torch.sym_int", "int"),
    ("torch.sym_not", "torch.__not__"),
    ("torch.sym_sum", "torch.sum"),
    ("torch._sym_sqrt", "torch.sqrt"),
    ("math.ceil", "torch.ceil"),
    ("math.floor", "torch.floor"),
    ("math.trunc", "int"),
    ("math.sqrt", "torch.sqrt"),
];

/// Arguments by another name: operator, its argument, the row's.
static RENAMED: &[(&str, &str, &str)] = &[
    ("aten.to", "other", "a"),
    ("aten.max", "other", "dim"),
    ("aten.min", "other", "dim"),
    ("aten.scatter", "value", "src"),
    ("aten.tensor_split", "sections", "indices_or_sections"),
    ("aten.tensor_split", "indices", "indices_or_sections"),
    ("aten.tensor_split", "tensor_indices_or_sections", "indices_or_sections"),
    ("aten.split", "split_sizes", "split_size"),
    ("aten.split_copy", "split_sizes", "split_size"),
    ("aten.dsplit", "indices", "indices_or_sections"),
    ("aten.dsplit", "sections", "indices_or_sections"),
    ("aten.hsplit", "indices", "indices_or_sections"),
    ("aten.hsplit", "sections", "indices_or_sections"),
    ("aten.vsplit", "indices", "indices_or_sections"),
    ("aten.vsplit", "sections", "indices_or_sections"),
    ("aten.isin", "element", "elements"),
    ("aten.isin", "test_element", "test_elements"),
    ("aten.linalg_matrix_rank", "input", "self"),
    ("aten.atleast_1d", "tensors", "self"),
    ("aten.atleast_2d", "tensors", "self"),
    ("aten.atleast_3d", "tensors", "self"),
    ("transformers.grouped_mm_fallback", "input", "self"),
    ("transformers.grouped_mm_fallback", "weight", "mat2"),
];

/// Arguments that change nothing about a result here.
const WITHOUT_EFFECT: [&str; 6] = ["stable", "non_blocking", "path", "cudnn_enable", "generator", "implicit"];

/// Checks and hints without a result.
const SKIPPED: [&str; 7] = [
    "aten._assert_tensor_metadata",
    "aten._assert_async",
    "aten._assert_scalar",
    "aten.sym_constrain_range",
    "aten.sym_constrain_range_for_size",
    "aten._check_is_size",
    "aten.record_stream",
];

macro_rules! rows {
    ($( $name:literal ( $($arg:ident $(= $default:expr)?),* ) $run:expr; )*) => {
        pub static ROWS: &[OpRow] = &[ $( OpRow {
            name: $name,
            args: &[ $( arg!($arg $($default)?) ),* ],
            run: { const RUN: fn(&Args<'_>) -> OpResult = $run; RUN },
            traits: Pure,
        } ),* ];
    };
}

macro_rules! arg {
    ($name:ident) => {
        ArgRow { name: stringify!($name), default: Required }
    };
    ($name:ident $default:expr) => {
        ArgRow { name: stringify!($name), default: $default }
    };
}

rows! {
    "aten.arange"(start = Int(0), end = None, step = None, dtype = None, layout = None, device = None, pin_memory = None) crate::ops::tensor::arange;
    "autocast"(self, dtype) autocast_to;
    "quantized_decomposed.quantize_per_tensor"(input, scale, zero_point, quant_min, quant_max, dtype) |a| quantised::to_bytes(a, false);
    "quantized_decomposed.dequantize_per_tensor"(input, scale, zero_point, quant_min, quant_max, dtype, out_dtype = None) |a| quantised::from_bytes(a, false);
    "quantized_decomposed.quantize_per_channel"(input, scales, zero_points, axis, quant_min, quant_max, dtype) |a| quantised::to_bytes(a, true);
    "quantized_decomposed.dequantize_per_channel"(input, scales, zero_points, axis, quant_min, quant_max, dtype, out_dtype = None) |a| quantised::from_bytes(a, true);
    "quantized_decomposed.choose_qparams"(input, quant_min, quant_max, eps, dtype) quantised::choose;
    "torch.sym_ite"(b, t, f) |a| Ok(a.get(if a.bool(0)? { 1 } else { 2 }).clone());
    "aten._reshape_alias"(self, size, stride) crate::ops::tensor::view;
    "aten._softmax"(self, dim, half_to_float = Bool(false)) |a| ok(k::softmax(&*a.tensor(0)?, a.int(1)?));
    "aten._log_softmax"(self, dim, half_to_float = Bool(false)) |a| ok(k::log_softmax(&*a.tensor(0)?, a.int(1)?));
    "aten._safe_softmax"(self, dim, dtype = None) safe_softmax;
    "aten.native_layer_norm"(input, normalized_shape, weight = None, bias = None, eps) |a| first_of(3, nn::layer_norm(a)?);
    "aten.native_group_norm"(input, weight, bias, N, C, HxW, group, eps) native_group_norm;
    "aten.native_batch_norm"(input, weight, bias, running_mean = None, running_var = None, training, momentum, eps) native_batch_norm;
    "aten._batch_norm_no_update"(input, weight, bias, running_mean, running_var, momentum, eps) |a| more(batch_norm(a)?, 4);
    "aten._native_batch_norm_legit"(input, weight, bias, running_mean = None, running_var = None, training, momentum, eps) native_batch_norm;
    "aten._native_batch_norm_legit_no_training"(input, weight, bias, running_mean, running_var, momentum, eps) batch_norm;
    "aten.native_dropout"(input, p, train) native_dropout;
    "aten._scaled_dot_product_flash_attention_for_cpu"(query, key, value, dropout_p = Float(0.0), is_causal = Bool(false), attn_mask = None, scale = None) flash_attention;
    "aten._fft_r2c"(self, dim, normalization, onesided) |a| spectra::decomposed(a, if a.bool(3)? { Of::Real } else { Of::Complex }, false);
    "aten._fft_c2r"(self, dim, normalization, last_dim_size) |a| spectra::decomposed(a, Of::Real, true);
    "aten._fft_c2c"(self, dim, normalization, forward) |a| spectra::decomposed(a, Of::Complex, !a.bool(3)?);
}

/// The names that only exported programs have, in the order of the alphabet.
pub fn own_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = SAME.iter().map(|(name, _)| *name).chain(ROWS.iter().map(|row| row.name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A row of `aten.name` that only this table has.
pub fn own_row(name: &str) -> Option<&'static OpRow> {
    ROWS.iter().find(|row| row.name.strip_prefix("aten.") == Some(name))
}

fn find_row(name: &str) -> Option<&'static OpRow> {
    ROWS.iter().find(|row| row.name == name)
}

/// The row that a target names, and whether it asks for the in-place form. `name` has no overload:
/// `aten.relu_`, `_operator.mul`.
pub fn find(name: &str) -> Option<(&'static OpRow, bool)> {
    if let Some(row) = find_row(name) {
        return Some((row, false));
    }
    if let Some((_, other)) = SAME.iter().find(|(same, _)| *same == name) {
        return crate::ops::find(other);
    }
    if name.starts_with("torchvision.") {
        return crate::ops::find(&format!("ops.{name}"));
    }
    let aten = name.strip_prefix("aten.")?;
    crate::ops::find(&format!("torch.{aten}"))
}

/// Where argument `arg` of operator `name` goes in its row; `None` when the row has no such argument.
pub fn place(name: &str, row: &OpRow, arg: &str) -> Option<usize> {
    let plain = name.strip_suffix('_').unwrap_or(name);
    // All upsampling takes a list of factors or one for each axis.
    if let Some(way) = name.strip_prefix("aten.").filter(|name| name.contains("upsample_")) {
        let n_axes = way.contains("2d") as usize + 2 * way.contains("3d") as usize + 1;
        let factors = row.args.len().checked_sub(n_axes);
        match arg {
            "self" => return Some(0),
            "scales" | "scales_d" => return factors,
            "scales_h" => return factors.map(|at| at + n_axes - 2),
            "scales_w" => return factors.map(|at| at + n_axes - 1),
            _ => {}
        }
    }
    let is_here = |(operator, from, _): &&(&str, &str, &str)| [name, plain].contains(operator) && *from == arg;
    let renamed = RENAMED.iter().find(is_here).map(|(_, _, to)| *to);
    let position = |wanted: &str| row.args.iter().position(|a| a.name == wanted);
    // What an in-place form changes comes first and is always called `self`.
    let changed = (arg == "self" && name.ends_with('_')).then_some(0);
    position(arg).or_else(|| renamed.and_then(position)).or(changed)
}

pub fn is_without_effect(arg: &str) -> bool {
    WITHOUT_EFFECT.contains(&arg)
}

pub fn is_skipped(name: &str) -> bool {
    SKIPPED.contains(&name)
}

/// The first of `n` values; the others serve training, and nothing that runs here gives them.
fn first_of(n: usize, first: Value) -> OpResult {
    Value::tuple(std::iter::once(first).chain((1..n).map(|_| Value::None)).collect())
}

/// Operators that PyTorch's autocast on the processor runs in the narrow type.
const NARROW: [&str; 20] = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "_convolution",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "bmm",
    "mm",
    "mv",
    "baddbmm",
    "addmm",
    "addbmm",
    "linear",
    "matmul",
    "einsum",
    "prelu",
    "scaled_dot_product_attention",
    "_native_multi_head_attention",
];

/// Those that it runs in `Float32`; all of `fft_*` and `linalg_*` besides.
const WIDE: [&str; 46] = [
    "avg_pool3d",
    "binary_cross_entropy",
    "grid_sampler",
    "polar",
    "prod",
    "quantile",
    "nanquantile",
    "stft",
    "cdist",
    "trace",
    "view_as_complex",
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "inverse",
    "lu_solve",
    "orgqr",
    "ormqr",
    "pinverse",
    "max_pool3d",
    "max_unpool2d",
    "max_unpool3d",
    "adaptive_avg_pool3d",
    "reflection_pad1d",
    "reflection_pad2d",
    "replication_pad1d",
    "replication_pad2d",
    "replication_pad3d",
    "mse_loss",
    "cosine_embedding_loss",
    "nll_loss",
    "nll_loss2d",
    "nll_loss_nd",
    "hinge_embedding_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "cross_entropy_loss",
    "l1_loss",
    "huber_loss",
    "margin_ranking_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "multi_margin_loss",
    "ctc_loss",
    "kl_div",
    "multilabel_margin_loss",
];

/// What casts the arguments of operator `name` where autocast to the type `code` is on, and to which type.
pub fn autocast(name: &str, code: i64) -> Option<(&'static OpRow, i64)> {
    let aten = name.strip_prefix("aten.")?;
    let code = match aten {
        _ if NARROW.contains(&aten) => code,
        _ if WIDE.contains(&aten) || aten.starts_with("fft_") || aten.starts_with("linalg_") => {
            code_of_dtype(DType::F32)
        }
        _ => return Option::None,
    };
    Some((find_row("autocast")?, code))
}

/// Tensors with a fraction, but those of `Float64`.
fn autocast_to(a: &Args<'_>) -> OpResult {
    let dtype = a.dtype(1)?.unwrap_or(DType::F32);
    fn cast(value: &Value, dtype: DType) -> OpResult {
        match value {
            Value::Tensor(t) if t.dtype().is_float() && t.dtype() != DType::F64 => ok(t.to(dtype)),
            Value::List(list) => {
                Value::list(list.items().iter().map(|item| cast(item, dtype)).collect::<Result<_, _>>()?)
            }
            other => Ok(other.clone()),
        }
    }
    cast(a.get(0), dtype)
}

/// A row that is masked whole gives zeros.
fn safe_softmax(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let dim = a.int(1)?;
    let made = || {
        let soft = k::softmax(&x, dim)?;
        let blind = k::eq(&k::amax(&x, &[dim], true)?, f64::NEG_INFINITY)?;
        k::where_(&blind, 0.0, &soft)?.to(x.dtype())
    };
    ok(made())
}

fn native_group_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(1)?, a.opt_tensor(2)?);
    first_of(3, ok(k::group_norm(&*a.tensor(0)?, a.count(6)?, weight.as_deref(), bias.as_deref(), a.float(7)?))?)
}

fn batch_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(1)?, a.opt_tensor(2)?);
    let x = a.tensor(0)?;
    let out = k::batch_norm(&x, &*a.tensor(3)?, &*a.tensor(4)?, weight.as_deref(), bias.as_deref(), a.float(6)?);
    first_of(3, ok(out)?)
}

/// The same values, and others that nothing gives.
fn more(values: Value, n: usize) -> OpResult {
    match values {
        Value::Tuple(tuple) => first_of(n, tuple.items.first().cloned().unwrap_or(Value::None)),
        other => Ok(other),
    }
}

fn native_batch_norm(a: &Args<'_>) -> OpResult {
    first_of(3, nn::batch_norm(a)?)
}

fn native_dropout(a: &Args<'_>) -> OpResult {
    if a.bool(2)? {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    first_of(2, a.get(0).clone())
}

fn flash_attention(a: &Args<'_>) -> OpResult {
    if a.float(3)? != 0.0 {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    let scale = a.opt_scalar(6)?.map(|x| x.to_f64());
    let options = k::Attention { causal: a.bool(4)?, scale, grouped: false, unseen_is_nan: false };
    let mask = a.opt_tensor(5)?;
    let (query, key, value) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    first_of(2, ok(k::scaled_dot_product_attention(&query, &key, &value, mask.as_deref(), options))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_of_real_programs_are_known() {
        let aten = "linear sym_size add reshape dropout transpose embedding layer_norm unsqueeze view gelu arange expand mul \
            relu conv2d scaled_dot_product_attention select slice __and__ batch_norm cat index new_ones softmax tanh to \
            flatten gather ge max_pool2d relu_ zeros adaptive_avg_pool2d contiguous linalg_vector_norm mean pad permute abs \
            add_ bmm clamp clamp_min cumsum div elu expand_as glu gt hardsigmoid instance_norm leaky_relu log_softmax matmul \
            ne pow sigmoid silu squeeze sub sum unbind unflatten where addmm alias all amax any argmax avg_pool1d avg_pool2d \
            baddbmm celu chunk conv1d conv_transpose1d conv_transpose2d cos diff dropout_ einsum embedding_bag eq erf exp \
            flip floor fmod group_norm gru hardswish hardswish_ hardtanh index_select le log1p log_sigmoid logical_not \
            logsumexp lstm masked_fill max max_pool1d maximum min mish neg one_hot pixel_shuffle prelu prod reciprocal \
            repeat_interleave roll round rsqrt scatter selu sign sin softplus softshrink sort split sqrt stack std sym_numel \
            threshold topk tril upsample_bilinear2d upsample_nearest2d var zeros_like mm native_layer_norm convolution full \
            native_group_norm _native_batch_norm_legit_no_training max_pool2d_with_indices _softmax _to_copy clone detach_ \
            full_like scalar_tensor split_with_sizes constant_pad_nd var_mean slice_scatter index_put amin rsub";
        for name in aten.split_whitespace().map(|name| format!("aten.{name}")) {
            assert!(find(&name).is_some(), "{name}");
        }
        for (name, in_place) in [("aten.relu_", true), ("aten.relu", false), ("_operator.mul", false)] {
            assert_eq!(find(name).map(|(_, in_place)| in_place), Some(in_place), "{name}");
        }
        let (row, _) = find("aten.dropout_").expect("a row");
        assert_eq!(place("aten.dropout_", row, "self"), Some(0));
        assert!(find("aten.no_such_op").is_none() && find("other.relu").is_none());
    }

    /// Overloads that a row does not do, which is told when the model is loaded.
    const REFUSED: [(&str, &str); 20] = [
        ("svd.default", "compute_uv"),
        ("linalg_matrix_rank.default", "tol"),
        ("linalg_matrix_rank.tol_tensor", "tol"),
        ("quantize_per_tensor.tensors", ""),
        ("dequantize.tensors", ""),
        ("view.dtype", "dtype"),
        ("view_copy.dtype", "dtype"),
        ("addmm.dtype", "out_dtype"),
        ("baddbmm.dtype", "out_dtype"),
        ("bmm.dtype", "out_dtype"),
        ("mm.dtype", "out_dtype"),
        ("gru.data", ""),
        ("quantized_gru.data", ""),
        ("quantized_gru.data_legacy", ""),
        ("quantized_lstm.data", ""),
        ("quantized_lstm.data_legacy", ""),
        ("lstm.data", ""),
        ("rnn_tanh.data", ""),
        ("rnn_relu.data", ""),
        ("stft.center", ""),
    ];

    /// The names of arguments are PyTorch's, whose schemas `tests/schemas.py` wrote down.
    #[test]
    fn rows_have_the_arguments_of_the_schemas() {
        let (mut n, mut wrong) = (0, Vec::new());
        for line in include_str!("../../tests/data/schemas.txt").lines() {
            let (head, args) = line.split_once('(').unwrap_or_else(|| panic!("{line}"));
            let (name, _) = head.split_once('.').unwrap_or_else(|| panic!("{line}"));
            let name = format!("aten.{name}");
            let Some((row, _)) = find(&name) else { panic!("{line}: no row") };
            for arg in args.trim_end_matches(')').split(", ").filter(|arg| !arg.is_empty()) {
                let is_refused =
                    REFUSED.iter().any(|(overload, of)| *overload == head && (of.is_empty() || *of == arg));
                let has_place = place(&name, row, arg).is_some() || is_without_effect(arg);
                if !has_place && !is_refused {
                    wrong.push(format!("{head}: `{arg}`"));
                }
                n += 1;
            }
        }
        assert!(wrong.is_empty() && n > 1000, "of {n} arguments: {wrong:#?}");
    }

    #[test]
    fn every_other_name_leads_to_a_row_and_an_argument() {
        for (name, _) in SAME {
            assert!(find(name).is_some(), "{name}");
        }
        for (name, from, to) in RENAMED {
            let (row, _) = find(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(place(name, row, from), row.args.iter().position(|arg| arg.name == *to), "{name} {from}");
            assert!(place(name, row, to).is_some(), "{name} {to}");
        }
    }
}
