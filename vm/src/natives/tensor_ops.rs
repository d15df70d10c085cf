//! Arithmetic on tensors: element by element, reductions, products, normalisation, selection.
//!
//! The kernels decide shapes and dtypes as PyTorch does; results come back in the element type that the library declares.

use super::support::{Outcome, answers, size};
use super::tensor::{answer, dtype_of, fault, ints, scalar_of, tensor, value_of};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::value::{Value, ValueRef};
use stark_kernels::{DType, Tensor, TensorError, ops};

pub(super) const TABLE: &[NativeRow] = answers! {
    tensor_gelu "<E>(Tensor<E>, String) -> Tensor<E>";
    tensor_clamp "<E>(Tensor<E>, E, E) -> Tensor<E>";
    tensor_where "<E>(Tensor<Bool>, Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_argmax "<E>(Tensor<E>) -> Tensor<Int64>";
    tensor_argmax_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<Int64>";
    tensor_argmin "<E>(Tensor<E>) -> Tensor<Int64>";
    tensor_argmin_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<Int64>";
    tensor_var "<E>(Tensor<E>, Bool) -> Tensor<E>";
    tensor_var_axis "<E>(Tensor<E>, Int, Bool, Bool) -> Tensor<E>";
    tensor_std "<E>(Tensor<E>, Bool) -> Tensor<E>";
    tensor_std_axis "<E>(Tensor<E>, Int, Bool, Bool) -> Tensor<E>";
    tensor_norm "<E>(Tensor<E>) -> Tensor<E>";
    tensor_norm_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<E>";
    tensor_cumsum "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_softmax "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_log_softmax "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_layer_norm "<E>(Tensor<E>, Vec<Int>, Option<Tensor<E>>, Option<Tensor<E>>, Float) -> Tensor<E>";
    tensor_rms_norm "<E>(Tensor<E>, Option<Tensor<E>>, Float) -> Tensor<E>";
    tensor_batch_norm "<E>(Tensor<E>, Tensor<E>, Tensor<E>, Option<Tensor<E>>, Option<Tensor<E>>, Float) -> Tensor<E>";
    tensor_cat "<E>(Vec<Tensor<E>>, Int) -> Tensor<E>";
    tensor_stack "<E>(Vec<Tensor<E>>, Int) -> Tensor<E>";
    tensor_flip "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_sort "<E>(Tensor<E>, Int, Bool) -> (Tensor<E>, Tensor<Int64>)";
    tensor_topk "<E>(Tensor<E>, Int, Int) -> (Tensor<E>, Tensor<Int64>)";
    tensor_gather "<E>(Tensor<E>, Int, Tensor<Int64>) -> Tensor<E>";
    tensor_index_select "<E>(Tensor<E>, Int, Tensor<Int64>) -> Tensor<E>";
    tensor_masked_select "<E>(Tensor<E>, Tensor<Bool>) -> Tensor<E>";
    tensor_nonzero "<E>(Tensor<E>) -> Tensor<Int64>";
    tensor_embedding "<E>(Tensor<E>, Tensor<Int64>) -> Tensor<E>";
    tensor_one_hot "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_tril "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_triu "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_and "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_or "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_xor "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_maximum "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_minimum "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_matmul "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_outer "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_neg "<E>(Tensor<E>) -> Tensor<E>";
    tensor_not "<E>(Tensor<E>) -> Tensor<E>";
    tensor_abs "<E>(Tensor<E>) -> Tensor<E>";
    tensor_relu "<E>(Tensor<E>) -> Tensor<E>";
    tensor_floor "<E>(Tensor<E>) -> Tensor<E>";
    tensor_ceil "<E>(Tensor<E>) -> Tensor<E>";
    tensor_round "<E>(Tensor<E>) -> Tensor<E>";
    tensor_sign "<E>(Tensor<E>) -> Tensor<E>";
    tensor_square "<E>(Tensor<E>) -> Tensor<E>";
    tensor_exp "<E>(Tensor<E>) -> Tensor<E>";
    tensor_log "<E>(Tensor<E>) -> Tensor<E>";
    tensor_log2 "<E>(Tensor<E>) -> Tensor<E>";
    tensor_log1p "<E>(Tensor<E>) -> Tensor<E>";
    tensor_expm1 "<E>(Tensor<E>) -> Tensor<E>";
    tensor_sqrt "<E>(Tensor<E>) -> Tensor<E>";
    tensor_rsqrt "<E>(Tensor<E>) -> Tensor<E>";
    tensor_reciprocal "<E>(Tensor<E>) -> Tensor<E>";
    tensor_tanh "<E>(Tensor<E>) -> Tensor<E>";
    tensor_sigmoid "<E>(Tensor<E>) -> Tensor<E>";
    tensor_silu "<E>(Tensor<E>) -> Tensor<E>";
    tensor_erf "<E>(Tensor<E>) -> Tensor<E>";
    tensor_sin "<E>(Tensor<E>) -> Tensor<E>";
    tensor_cos "<E>(Tensor<E>) -> Tensor<E>";
    tensor_tan "<E>(Tensor<E>) -> Tensor<E>";
    tensor_softplus "<E>(Tensor<E>) -> Tensor<E>";
    tensor_add "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_add_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_radd_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_sub "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_sub_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_rsub_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_mul "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_mul_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_rmul_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_div "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_div_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_rdiv_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_rem "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_rem_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_rrem_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_pow "<E>(Tensor<E>, Tensor<E>) -> Tensor<E>";
    tensor_pow_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_rpow_scalar "<E>(Tensor<E>, E) -> Tensor<E>";
    tensor_equal "<E>(Tensor<E>, Tensor<E>) -> Tensor<Bool>";
    tensor_equal_scalar "<E>(Tensor<E>, E) -> Tensor<Bool>";
    tensor_not_equal "<E>(Tensor<E>, Tensor<E>) -> Tensor<Bool>";
    tensor_not_equal_scalar "<E>(Tensor<E>, E) -> Tensor<Bool>";
    tensor_less "<E>(Tensor<E>, Tensor<E>) -> Tensor<Bool>";
    tensor_less_scalar "<E>(Tensor<E>, E) -> Tensor<Bool>";
    tensor_less_equal "<E>(Tensor<E>, Tensor<E>) -> Tensor<Bool>";
    tensor_less_equal_scalar "<E>(Tensor<E>, E) -> Tensor<Bool>";
    tensor_greater "<E>(Tensor<E>, Tensor<E>) -> Tensor<Bool>";
    tensor_greater_scalar "<E>(Tensor<E>, E) -> Tensor<Bool>";
    tensor_greater_equal "<E>(Tensor<E>, Tensor<E>) -> Tensor<Bool>";
    tensor_greater_equal_scalar "<E>(Tensor<E>, E) -> Tensor<Bool>";
    tensor_sum "<E>(Tensor<E>) -> Tensor<E>";
    tensor_sum_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<E>";
    tensor_sum_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<E>";
    tensor_int_sum "<E>(Tensor<E>) -> Tensor<Int64>";
    tensor_int_sum_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<Int64>";
    tensor_int_sum_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<Int64>";
    tensor_int_prod "<E>(Tensor<E>) -> Tensor<Int64>";
    tensor_int_prod_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<Int64>";
    tensor_int_prod_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<Int64>";
    tensor_int_cumsum "<E>(Tensor<E>, Int) -> Tensor<Int64>";
    tensor_mean "<E>(Tensor<E>) -> Tensor<E>";
    tensor_mean_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<E>";
    tensor_mean_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<E>";
    tensor_prod "<E>(Tensor<E>) -> Tensor<E>";
    tensor_prod_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<E>";
    tensor_prod_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<E>";
    tensor_max "<E>(Tensor<E>) -> Tensor<E>";
    tensor_max_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<E>";
    tensor_max_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<E>";
    tensor_min "<E>(Tensor<E>) -> Tensor<E>";
    tensor_min_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<E>";
    tensor_min_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<E>";
    tensor_any "<E>(Tensor<E>) -> Tensor<Bool>";
    tensor_any_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<Bool>";
    tensor_any_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<Bool>";
    tensor_all "<E>(Tensor<E>) -> Tensor<Bool>";
    tensor_all_axis "<E>(Tensor<E>, Int, Bool) -> Tensor<Bool>";
    tensor_all_axes "<E>(Tensor<E>, Vec<Int>, Bool) -> Tensor<Bool>";
};

/// With two tensors, and with a tensor and a number on either side.
macro_rules! binary {
    ($($both:ident, $right:ident, $left:ident = $op:path;)*) => { $(
        fn $both(cx: &NativeCx<'_>) -> Outcome {
            same_dtype(cx)?;
            answer(cx, $op(tensor(cx, 0), tensor(cx, 1)))
        }
        fn $right(cx: &NativeCx<'_>) -> Outcome {
            answer(cx, $op(tensor(cx, 0), scalar_of(cx.arg(1))))
        }
        fn $left(cx: &NativeCx<'_>) -> Outcome {
            answer(cx, $op(scalar_of(cx.arg(1)), tensor(cx, 0)))
        }
    )* };
}

binary! {
    tensor_add, tensor_add_scalar, tensor_radd_scalar = ops::add;
    tensor_sub, tensor_sub_scalar, tensor_rsub_scalar = ops::sub;
    tensor_mul, tensor_mul_scalar, tensor_rmul_scalar = ops::mul;
    tensor_div, tensor_div_scalar, tensor_rdiv_scalar = divide;
    tensor_rem, tensor_rem_scalar, tensor_rrem_scalar = ops::fmod;
    tensor_pow, tensor_pow_scalar, tensor_rpow_scalar = ops::pow;
}

/// Integers divide as `Int` does: toward zero.
fn divide<'a, 'b>(a: impl Into<ops::Arg<'a>>, b: impl Into<ops::Arg<'b>>) -> Result<Tensor, TensorError> {
    let (a, b) = (a.into(), b.into());
    if ops::result_type(&[a, b]).is_float() { ops::div(a, b) } else { ops::trunc_divide(a, b) }
}

/// Tensors of different element types do not mix; one of them may be known only at run time.
fn same_dtype(cx: &NativeCx<'_>) -> Result<(), Fault> {
    let (a, b) = (tensor(cx, 0).dtype(), tensor(cx, 1).dtype());
    if a == b {
        return Ok(());
    }
    Err(Fault::value(format!("Tensor<{a}> and Tensor<{b}> do not mix; `.to({a})` converts")))
}

macro_rules! comparisons {
    ($($both:ident, $right:ident = $op:path;)*) => { $(
        fn $both(cx: &NativeCx<'_>) -> Outcome {
            same_dtype(cx)?;
            answer(cx, $op(tensor(cx, 0), tensor(cx, 1)))
        }
        fn $right(cx: &NativeCx<'_>) -> Outcome {
            answer(cx, $op(tensor(cx, 0), scalar_of(cx.arg(1))))
        }
    )* };
}

comparisons! {
    tensor_equal, tensor_equal_scalar = ops::eq;
    tensor_not_equal, tensor_not_equal_scalar = ops::ne;
    tensor_less, tensor_less_scalar = ops::lt;
    tensor_less_equal, tensor_less_equal_scalar = ops::le;
    tensor_greater, tensor_greater_scalar = ops::gt;
    tensor_greater_equal, tensor_greater_equal_scalar = ops::ge;
}

macro_rules! pairs {
    ($($name:ident = $op:path;)*) => { $(
        fn $name(cx: &NativeCx<'_>) -> Outcome {
            same_dtype(cx)?;
            answer(cx, $op(tensor(cx, 0), tensor(cx, 1)))
        }
    )* };
}

pairs! {
    tensor_and = ops::logical_and;
    tensor_or = ops::logical_or;
    tensor_xor = ops::logical_xor;
    tensor_maximum = ops::maximum;
    tensor_minimum = ops::minimum;
    tensor_matmul = ops::matmul;
    tensor_outer = ops::outer;
}

macro_rules! unary {
    ($($name:ident = $op:expr;)*) => { $(
        fn $name(cx: &NativeCx<'_>) -> Outcome {
            let op: fn(&Tensor) -> Result<Tensor, TensorError> = $op;
            answer(cx, op(tensor(cx, 0)))
        }
    )* };
}

unary! {
    tensor_neg = ops::neg;
    tensor_not = ops::logical_not;
    tensor_abs = ops::abs;
    tensor_relu = ops::relu;
    tensor_floor = ops::floor;
    tensor_ceil = ops::ceil;
    tensor_round = ops::round;
    tensor_sign = ops::sign;
    tensor_square = ops::square;
}

/// Functions of real numbers: whole ones are converted by the program, not silently cut afterwards.
macro_rules! real {
    ($($name:ident = $op:expr;)*) => { $(
        fn $name(cx: &NativeCx<'_>) -> Outcome {
            let op: fn(&Tensor) -> Result<Tensor, TensorError> = $op;
            answer(cx, op(floats(cx, stringify!($name))?))
        }
    )* };
}

fn floats<'a>(cx: &'a NativeCx<'_>, name: &str) -> Result<&'a Tensor, Fault> {
    let t = tensor(cx, 0);
    if t.dtype().is_float() {
        return Ok(t);
    }
    let name = name.trim_start_matches("tensor_");
    Err(Fault::value(format!("{name} of a Tensor<{}>: `.to(Float32)` makes it one of floats", t.dtype())))
}

real! {
    tensor_exp = ops::exp;
    tensor_log = ops::log;
    tensor_log2 = ops::log2;
    tensor_log1p = ops::log1p;
    tensor_expm1 = ops::expm1;
    tensor_sqrt = ops::sqrt;
    tensor_rsqrt = ops::rsqrt;
    tensor_reciprocal = ops::reciprocal;
    tensor_tanh = ops::tanh;
    tensor_sigmoid = ops::sigmoid;
    tensor_silu = ops::silu;
    tensor_erf = ops::erf;
    tensor_sin = ops::sin;
    tensor_cos = ops::cos;
    tensor_tan = ops::tan;
    tensor_softplus = |x| ops::softplus(x, 1.0, 20.0);
}

fn tensor_gelu(cx: &NativeCx<'_>) -> Outcome {
    let t = floats(cx, "gelu")?;
    match cx.str(1) {
        "none" => answer(cx, ops::gelu(t)),
        "tanh" => answer(cx, ops::gelu_tanh(t)),
        other => Err(Fault::value(format!("gelu has no approximation {other:?}: \"none\" or \"tanh\""))),
    }
}

fn tensor_clamp(cx: &NativeCx<'_>) -> Outcome {
    let (low, high) = (scalar_of(cx.arg(1)), scalar_of(cx.arg(2)));
    answer(cx, ops::clamp(tensor(cx, 0), Some(low.into()), Some(high.into())))
}

fn tensor_where(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::where_(tensor(cx, 0), tensor(cx, 1), tensor(cx, 2)))
}

/// What was computed as `Int64`, in the element type of the result: a narrower one must hold it.
fn total(cx: &NativeCx<'_>, t: Result<Tensor, TensorError>) -> Outcome {
    let t = t.map_err(fault)?;
    if let Some(dtype) =
        dtype_of(cx.ret_type()).filter(|&dtype| dtype != t.dtype() && t.dtype() == DType::I64 && t.numel() > 0)
    {
        let (least, most) = (ops::amin(&t, &[], false), ops::amax(&t, &[], false));
        for end in [least, most] {
            let end = end.map_err(fault)?;
            let narrow = end.to(dtype).and_then(|narrow| narrow.item()).map_err(fault)?.to_i64();
            let end = end.item().map_err(fault)?.to_i64();
            if narrow != end {
                return Err(Fault::overflow(end.to_string(), dtype.name()));
            }
        }
    }
    answer(cx, Ok(t))
}

/// Over all axes, over one, over several.
macro_rules! reductions {
    ($($all:ident, $axis:ident, $axes:ident = $op:path;)*) => { $(
        fn $all(cx: &NativeCx<'_>) -> Outcome {
            total(cx, $op(tensor(cx, 0), &[], false))
        }
        fn $axis(cx: &NativeCx<'_>) -> Outcome {
            total(cx, $op(tensor(cx, 0), &[cx.int(1)], cx.bool(2)))
        }
        fn $axes(cx: &NativeCx<'_>) -> Outcome {
            let axes = ints(cx.arg(1));
            if axes.is_empty() {
                return Err(Fault::value("no axis to reduce over"));
            }
            total(cx, $op(tensor(cx, 0), &axes, cx.bool(2)))
        }
    )* };
}

reductions! {
    tensor_sum, tensor_sum_axis, tensor_sum_axes = ops::sum;
    tensor_int_sum, tensor_int_sum_axis, tensor_int_sum_axes = ops::sum;
    tensor_int_prod, tensor_int_prod_axis, tensor_int_prod_axes = ops::prod;
    tensor_mean, tensor_mean_axis, tensor_mean_axes = ops::mean;
    tensor_prod, tensor_prod_axis, tensor_prod_axes = ops::prod;
    tensor_max, tensor_max_axis, tensor_max_axes = ops::amax;
    tensor_min, tensor_min_axis, tensor_min_axes = ops::amin;
    tensor_any, tensor_any_axis, tensor_any_axes = ops::any;
    tensor_all, tensor_all_axis, tensor_all_axes = ops::all;
}

fn tensor_argmax(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::argmax(tensor(cx, 0), None, false))
}

fn tensor_argmax_axis(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::argmax(tensor(cx, 0), Some(cx.int(1)), cx.bool(2)))
}

fn tensor_argmin(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::argmin(tensor(cx, 0), None, false))
}

fn tensor_argmin_axis(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::argmin(tensor(cx, 0), Some(cx.int(1)), cx.bool(2)))
}

/// What is taken off the count of values: 1 for the unbiased estimate.
fn correction(unbiased: bool) -> f64 {
    if unbiased { 1.0 } else { 0.0 }
}

fn tensor_var(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::var(tensor(cx, 0), &[], correction(cx.bool(1)), false))
}

fn tensor_var_axis(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::var(tensor(cx, 0), &[cx.int(1)], correction(cx.bool(3)), cx.bool(2)))
}

fn tensor_std(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::std(tensor(cx, 0), &[], correction(cx.bool(1)), false))
}

fn tensor_std_axis(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::std(tensor(cx, 0), &[cx.int(1)], correction(cx.bool(3)), cx.bool(2)))
}

fn tensor_norm(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::norm(floats(cx, "norm")?, 2.0, &[], false))
}

fn tensor_norm_axis(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::norm(floats(cx, "norm")?, 2.0, &[cx.int(1)], cx.bool(2)))
}

fn tensor_cumsum(cx: &NativeCx<'_>) -> Outcome {
    total(cx, ops::cumsum(tensor(cx, 0), cx.int(1)))
}

fn tensor_int_cumsum(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::cumsum(tensor(cx, 0), cx.int(1)))
}

fn tensor_softmax(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::softmax(floats(cx, "softmax")?, cx.int(1)))
}

fn tensor_log_softmax(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::log_softmax(floats(cx, "log_softmax")?, cx.int(1)))
}

/// An `Option<Tensor>` argument.
pub(super) fn maybe<'a>(cx: &'a NativeCx<'_>, i: usize) -> Option<&'a Tensor> {
    cx.arg(i).payload().map(|t: ValueRef<'a>| t.opaque::<Tensor>())
}

fn tensor_layer_norm(cx: &NativeCx<'_>) -> Outcome {
    let shape: Result<Vec<usize>, Fault> = ints(cx.arg(1)).into_iter().map(|d| size(d, "a dimension")).collect();
    answer(cx, ops::layer_norm(tensor(cx, 0), &shape?, maybe(cx, 2), maybe(cx, 3), cx.float(4)))
}

fn tensor_rms_norm(cx: &NativeCx<'_>) -> Outcome {
    let t = tensor(cx, 0);
    let last = t.shape().last().copied().ok_or_else(|| Fault::shape("rms_norm of a tensor of rank 0"))?;
    answer(cx, ops::rms_norm(t, &[last], maybe(cx, 1), cx.float(2)))
}

fn tensor_batch_norm(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::batch_norm(tensor(cx, 0), tensor(cx, 1), tensor(cx, 2), maybe(cx, 3), maybe(cx, 4), cx.float(5)))
}

fn tensors<'a>(cx: &'a NativeCx<'_>, i: usize) -> Vec<&'a Tensor> {
    cx.vec(i).iter().map(|t| t.opaque::<Tensor>()).collect()
}

fn tensor_cat(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::cat(&tensors(cx, 0), cx.int(1)))
}

fn tensor_stack(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::stack(&tensors(cx, 0), cx.int(1)))
}

fn tensor_flip(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::flip(tensor(cx, 0), &[cx.int(1)]))
}

/// Values and positions, as a tuple.
fn pair(cx: &NativeCx<'_>, found: Result<(Tensor, Tensor), TensorError>) -> Outcome {
    let (values, positions) = found.map_err(fault)?;
    let ret = cx.ret_type();
    Ok(Value::fields(ret, [value_of(ret.field(0, 0), values)?, value_of(ret.field(0, 1), positions)?]))
}

fn tensor_sort(cx: &NativeCx<'_>) -> Outcome {
    pair(cx, ops::sort(tensor(cx, 0), cx.int(1), cx.bool(2)))
}

fn tensor_topk(cx: &NativeCx<'_>) -> Outcome {
    pair(cx, ops::topk(tensor(cx, 0), size(cx.int(1), "k")?, cx.int(2), true))
}

fn tensor_gather(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::gather(tensor(cx, 0), cx.int(1), tensor(cx, 2)))
}

fn tensor_index_select(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::index_select(tensor(cx, 0), cx.int(1), tensor(cx, 2)))
}

/// Asks for what finding `n` elements of so many bytes takes: a list that doubles as it grows, and the tensor made of it.
fn reserve_found(cx: &NativeCx<'_>, n: Tensor, bytes: usize) -> Result<(), Fault> {
    let n = usize::try_from(n.item().map_err(fault)?.to_i64()).unwrap_or(0);
    cx.reserve(n.saturating_mul(bytes).saturating_mul(4))
}

fn tensor_masked_select(cx: &NativeCx<'_>) -> Outcome {
    let (t, mask) = (tensor(cx, 0), tensor(cx, 1));
    // Where the mask is the smaller one each of its elements stands for several.
    let each = t.numel().div_ceil(mask.numel().max(1)).max(1);
    cx.reserve(t.numel().max(mask.numel()).saturating_mul(2))?;
    reserve_found(cx, ops::count_nonzero(mask, &[]).map_err(fault)?, t.dtype().size().saturating_mul(each))?;
    answer(cx, ops::masked_select(t, mask))
}

fn tensor_nonzero(cx: &NativeCx<'_>) -> Outcome {
    let t = tensor(cx, 0);
    reserve_found(cx, ops::count_nonzero(t, &[]).map_err(fault)?, t.rank().saturating_mul(size_of::<i64>()))?;
    answer(cx, ops::nonzero(t))
}

fn tensor_embedding(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::embedding(tensor(cx, 0), tensor(cx, 1)))
}

fn tensor_one_hot(cx: &NativeCx<'_>) -> Outcome {
    let ids = tensor(cx, 0).to(DType::I64).map_err(fault)?;
    answer(cx, ops::one_hot(&ids, size(cx.int(1), "the number of classes")?))
}

fn tensor_tril(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::tril(tensor(cx, 0), cx.int(1)))
}

fn tensor_triu(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::triu(tensor(cx, 0), cx.int(1)))
}
