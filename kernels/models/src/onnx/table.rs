//! The operators of ONNX: a row for each, with its inputs, then its attributes.
//!
//! Many were attributes once and are inputs now (`axes` of `Squeeze`), so an argument is filled by whichever
//! a node gives: an input by its place, an attribute by its name. Where a version changed the meaning there is
//! a row more with the first version it holds for. Rows end in the same functions as TorchScript's where those
//! mean the same, and in [`super::ops`] where ONNX differs.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::held;
use super::ops::{contrib as c, place, qlinear, recent, signal, trees, vision};
use super::ops::{math as m, ml, nn as n, quant as q, recurrent as r, sequence as s, shape as v, window as w};
use crate::ops::Default::*;
use crate::ops::Traits::{Draws, Effect, Pure};
use crate::ops::{ArgRow, Args, OpResult, OpRow, linalg, loss, math, nn, random, scalar, tensor};

/// One operator from one version on.
#[derive(Debug)]
pub struct OnnxRow {
    /// Named `Conv`, or `com.microsoft.Gelu` outside the standard domain. Inputs come first.
    pub op: OpRow,
    pub since: i64,
    pub n_inputs: usize,
    pub outputs: Outputs,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outputs {
    One,
    /// A tuple of this many, of which a node names the first ones it uses.
    Tuple(usize),
    /// One value when the node names only the first, else such a tuple. The argument `n_outputs` tells.
    Asked(usize),
    /// A list of exactly as many as the node names.
    List,
}
use Outputs::{Asked, List, One, Tuple};

impl OnnxRow {
    /// Whether all inputs together are the first argument, as a list.
    pub fn is_variadic(&self) -> bool {
        self.op.args.first().is_some_and(|arg| arg.name == "inputs")
    }
}

/// Whether an operator draws random numbers.
const fn draws(name: &str) -> bool {
    matches!(name.as_bytes(), [b'R', b'a', b'n', b'd', ..] | [b'B', b'e', b'r', b'n', ..] | b"Multinomial")
}

macro_rules! arg {
    ($name:ident) => {
        ArgRow { name: stringify!($name), default: Required }
    };
    ($name:ident $default:expr) => {
        ArgRow { name: stringify!($name), default: $default }
    };
}

macro_rules! rows {
    ($( $name:literal $since:literal ( $($input:ident $(= $a:expr)?),* ; $($attr:ident $(= $b:expr)?),* ) $outputs:expr, $run:expr; )*) => {
        pub static ROWS: &[OnnxRow] = &[ $( OnnxRow {
            op: OpRow {
                name: $name,
                args: &[ $( arg!($input $($a)?), )* $( arg!($attr $($b)?), )* ],
                run: { const RUN: fn(&Args<'_>) -> OpResult = $run; RUN },
                traits: if draws($name) { Draws } else { Pure },
            },
            since: $since,
            n_inputs: { const INPUTS: &[&str] = &[ $( stringify!($input) ),* ]; INPUTS.len() },
            outputs: $outputs,
        } ),* ];
    };
}

rows! {
    // Losses and determinants.
    "Det" 11 (X;) One, linalg::det;
    "NegativeLogLikelihoodLoss" 12 (input, target, weight = None; ignore_index = None, reduction = Str("mean")) One, loss::standard_nll;
    "SoftmaxCrossEntropyLoss" 12 (scores, labels, weights = None; ignore_index = None, reduction = Str("mean"), n_outputs) Asked(2), loss::standard_cross_entropy;

    // Element by element.
    "Abs" 1 (X;) One, math::abs;
    "Neg" 1 (X;) One, math::neg;
    "Sign" 1 (X;) One, math::sign;
    "Reciprocal" 1 (X;) One, math::reciprocal;
    "Sqrt" 1 (X;) One, math::sqrt;
    "Exp" 1 (X;) One, math::exp;
    "Log" 1 (X;) One, math::log;
    "Sin" 1 (X;) One, math::sin;
    "Cos" 1 (X;) One, math::cos;
    "Tan" 1 (X;) One, math::tan;
    "Asin" 1 (X;) One, |a| m::map(a, f64::asin);
    "Acos" 1 (X;) One, |a| m::map(a, f64::acos);
    "Atan" 1 (X;) One, |a| m::map(a, f64::atan);
    "Sinh" 1 (X;) One, |a| m::map(a, f64::sinh);
    "Cosh" 1 (X;) One, |a| m::map(a, f64::cosh);
    "Asinh" 1 (X;) One, |a| m::map(a, f64::asinh);
    "Acosh" 1 (X;) One, |a| m::map(a, f64::acosh);
    "Atanh" 1 (X;) One, |a| m::map(a, f64::atanh);
    "Tanh" 1 (X;) One, nn::tanh;
    "Sigmoid" 1 (X;) One, nn::sigmoid;
    "Erf" 1 (X;) One, math::erf;
    "Floor" 1 (X;) One, m::floor;
    "Ceil" 1 (X;) One, m::ceil;
    "Round" 11 (X;) One, m::round;
    "IsNaN" 9 (X;) One, math::isnan;
    "IsInf" 10 (X; detect_negative = Int(1), detect_positive = Int(1)) One, m::is_inf;
    "Not" 1 (X;) One, math::logical_not;
    "BitwiseNot" 18 (X;) One, math::bitwise_not;
    "Relu" 1 (X;) One, nn::relu;
    "LeakyRelu" 1 (X; alpha = Float(0.01)) One, nn::leaky_relu;
    "ThresholdedRelu" 10 (X; alpha = Float(1.0)) One, m::thresholded_relu;
    "PRelu" 7 (X, slope;) One, m::prelu;
    "Elu" 1 (X; alpha = Float(1.0)) One, |a| m::elu(a, 1, 1.0);
    "Selu" 1 (X; alpha = Float(1.673_263_192_176_818_8), gamma = Float(1.050_701_022_148_132_3)) One, m::selu;
    "Celu" 12 (X; alpha = Float(1.0)) One, nn::celu;
    "Softplus" 1 (X;) One, m::softplus;
    "Softsign" 1 (X;) One, nn::softsign;
    "HardSigmoid" 1 (X; alpha = Float(0.2), beta = Float(0.5)) One, m::hard_sigmoid;
    "HardSwish" 14 (X;) One, nn::hardswish;
    "Mish" 18 (X;) One, nn::mish;
    "Swish" 24 (X; alpha = Float(1.0)) One, m::swish;
    "SwiGLU" 28 (A, B; alpha = Float(1.0)) One, n::swiglu;
    "Gelu" 20 (X; approximate = Str("none")) One, nn::gelu;
    "com.microsoft.Gelu" 1 (X; approximate = Str("none")) One, nn::gelu;
    "com.microsoft.FastGelu" 1 (X, bias = None;) One, n::fast_gelu;
    "com.microsoft.BiasGelu" 1 (X, bias;) One, n::bias_gelu;
    "com.microsoft.QuickGelu" 1 (X; alpha = Float(1.702)) One, m::swish;
    "Shrink" 9 (X; bias = Float(0.0), lambd = Float(0.5)) One, m::shrink;
    "Clip" 6 (X, min = None, max = None;) One, m::clip;
    "Cast" 1 (X; to, saturate = Int(1), round_mode = Str("up")) One, v::cast;
    "CastLike" 15 (X, target; saturate = Int(1), round_mode = Str("up")) One, v::cast_like;
    "Identity" 1 (X;) One, tensor::same;
    "Add" 7 (A, B;) One, |a| m::binary(a, m::Binary::Add);
    "Sub" 7 (A, B;) One, |a| m::binary(a, m::Binary::Sub);
    "Mul" 7 (A, B;) One, |a| m::binary(a, m::Binary::Mul);
    "Div" 7 (A, B;) One, |a| m::binary(a, m::Binary::Div);
    "Mod" 10 (A, B; fmod = Int(0)) One, m::modulo;
    "Pow" 7 (X, Y;) One, m::pow;
    "Max" 8 (inputs;) One, |a| m::fold(a, m::Fold::Max);
    "Min" 8 (inputs;) One, |a| m::fold(a, m::Fold::Min);
    "Sum" 8 (inputs;) One, |a| m::fold(a, m::Fold::Sum);
    "Mean" 8 (inputs;) One, |a| m::fold(a, m::Fold::Mean);
    "Equal" 7 (A, B;) One, math::eq;
    "Less" 7 (A, B;) One, math::lt;
    "LessOrEqual" 12 (A, B;) One, math::le;
    "Greater" 7 (A, B;) One, math::gt;
    "GreaterOrEqual" 12 (A, B;) One, math::ge;
    "And" 7 (A, B;) One, math::logical_and;
    "Or" 7 (A, B;) One, math::logical_or;
    "Xor" 7 (A, B;) One, math::logical_xor;
    "BitwiseAnd" 18 (A, B;) One, math::and;
    "BitwiseOr" 18 (A, B;) One, math::or;
    "BitwiseXor" 18 (A, B;) One, math::xor;
    "BitShift" 11 (X, Y; direction) One, m::bit_shift;
    "Where" 9 (condition, X, Y;) One, math::where_;

    // Shapes and views.
    "Shape" 1 (data; start = Int(0), end = None) One, v::shape;
    "Size" 1 (data;) One, v::size;
    "Reshape" 5 (data, shape; allowzero = Int(0)) One, v::reshape;
    "Flatten" 1 (X; axis = Int(1)) One, v::flatten;
    "Transpose" 1 (data; perm = None) One, v::transpose;
    "Squeeze" 1 (data, axes = None;) One, v::squeeze;
    "Unsqueeze" 1 (data, axes;) One, v::unsqueeze;
    "Expand" 8 (data, shape;) One, v::expand;
    "Tile" 6 (data, repeats;) One, v::tile;
    "Slice" 1 (data, starts, ends, axes = None, steps = None;) One, v::slice;
    "Split" 2 (data, split = None; axis = Int(0), num_outputs = None, n_outputs) List, v::split;
    "Concat" 4 (inputs; axis) One, v::concat;
    "Pad" 2 (data, pads, value = None, axes = None; mode = Str("constant")) One, v::pad;
    "DepthToSpace" 1 (X; blocksize, mode = Str("DCR")) One, v::depth_to_space;
    "SpaceToDepth" 1 (X; blocksize, mode = Str("DCR")) One, v::space_to_depth;
    "ReverseSequence" 10 (X, sequence_lens; batch_axis = Int(1), time_axis = Int(0)) One, v::reverse_sequence;
    "Trilu" 14 (X, k = Int(0); upper = Int(1)) One, v::trilu;

    // Making tensors.
    "ConstantOfShape" 9 (shape; value = None) One, v::constant_of_shape;
    "Range" 11 (start, limit, delta;) One, v::range;
    "EyeLike" 9 (X; dtype = None, k = Int(0)) One, v::eye_like;
    "OneHot" 9 (indices, depth, values; axis = Int(-1)) One, v::one_hot;
    "HannWindow" 17 (size; periodic = Int(1), output_datatype = Int(6)) One, |a| v::cosine_window(a, 0.5, 0.5, 0.0);
    "HammingWindow" 17 (size; periodic = Int(1), output_datatype = Int(6)) One, |a| v::cosine_window(a, 25.0 / 46.0, 21.0 / 46.0, 0.0);
    "BlackmanWindow" 17 (size; periodic = Int(1), output_datatype = Int(6)) One, |a| v::cosine_window(a, 0.42, 0.5, 0.08);

    // Picking.
    "Gather" 1 (data, indices; axis = Int(0)) One, v::gather;
    "GatherElements" 11 (data, indices; axis = Int(0)) One, v::gather_elements;
    "GatherND" 11 (data, indices; batch_dims = Int(0)) One, v::gather_nd;
    "Scatter" 9 (data, indices, updates; axis = Int(0), reduction = Str("none")) One, v::scatter_elements;
    "ScatterElements" 11 (data, indices, updates; axis = Int(0), reduction = Str("none")) One, v::scatter_elements;
    "ScatterND" 11 (data, indices, updates; reduction = Str("none")) One, v::scatter_nd;
    "NonZero" 9 (X;) One, v::non_zero;
    "Compress" 9 (data, condition; axis = None) One, v::compress;
    "TopK" 1 (X, k; axis = Int(-1), largest = Int(1), sorted = Int(1)) Tuple(2), v::top_k;
    "ArgMax" 1 (X; axis = Int(0), keepdims = Int(1), select_last_index = Int(0)) One, |a| v::arg_extreme(a, true);
    "ArgMin" 1 (X; axis = Int(0), keepdims = Int(1), select_last_index = Int(0)) One, |a| v::arg_extreme(a, false);
    "CumSum" 11 (X, axis; exclusive = Int(0), reverse = Int(0)) One, |a| v::running(a, false);
    "CumProd" 26 (X, axis; exclusive = Int(0), reverse = Int(0)) One, |a| v::running(a, true);

    // Reductions.
    "ReduceSum" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::Sum);
    "ReduceMean" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::Mean);
    "ReduceMax" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::Max);
    "ReduceMin" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::Min);
    "ReduceProd" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::Prod);
    "ReduceL1" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::L1);
    "ReduceL2" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::L2);
    "ReduceLogSum" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::LogSum);
    "ReduceLogSumExp" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::LogSumExp);
    "ReduceSumSquare" 1 (X, axes = None; keepdims = Int(1), noop_with_empty_axes = Int(0)) One, |a| m::reduce(a, m::Reduce::SumSquare);

    // Products.
    "MatMul" 1 (A, B;) One, nn::matmul;
    "Gemm" 7 (A, B, C = None; alpha = Float(1.0), beta = Float(1.0), transA = Int(0), transB = Int(0)) One, n::gemm;
    "com.microsoft.FusedMatMul" 1 (A, B; alpha = Float(1.0), transA = Int(0), transB = Int(0), transBatchA = Int(0), transBatchB = Int(0)) One, n::fused_matmul;
    "Einsum" 12 (inputs; equation) One, |a| n::einsum(a, 0, 1);

    // Layers.
    "Softmax" 1 (X; axis = Int(1)) One, |a| n::flat_softmax(a, nn_softmax);
    "Softmax" 13 (X; axis = Int(-1)) One, |a| n::along_axis(a, nn_softmax);
    "LogSoftmax" 1 (X; axis = Int(1)) One, |a| n::flat_softmax(a, nn_log_softmax);
    "LogSoftmax" 13 (X; axis = Int(-1)) One, |a| n::along_axis(a, nn_log_softmax);
    "Hardmax" 1 (X; axis = Int(1)) One, |a| n::flat_softmax(a, n::hardmax);
    "Hardmax" 13 (X; axis = Int(-1)) One, |a| n::along_axis(a, n::hardmax);
    "BatchNormalization" 7 (X, scale, B, mean, var; epsilon = Float(1e-5), momentum = Float(0.9), training_mode = Int(0), spatial = Int(1)) One, n::batch_norm;
    "InstanceNormalization" 1 (X, scale, B; epsilon = Float(1e-5)) One, n::instance_norm;
    "GroupNormalization" 18 (X, scale, bias; num_groups, epsilon = Float(1e-5), stash_type = Int(1)) One, |a| n::group_norm(a, true);
    "GroupNormalization" 21 (X, scale, bias; num_groups, epsilon = Float(1e-5), stash_type = Int(1)) One, |a| n::group_norm(a, false);
    "LayerNormalization" 1 (X, scale, bias = None; axis = Int(-1), epsilon = Float(1e-5), stash_type = Int(1), n_outputs) Asked(3), n::layer_norm;
    "RMSNormalization" 23 (X, scale; axis = Int(-1), epsilon = Float(1e-5), stash_type = Int(1)) One, n::rms_norm;
    "SimplifiedLayerNormalization" 1 (X, scale; axis = Int(-1), epsilon = Float(1e-5), stash_type = Int(1)) One, n::rms_norm;
    "com.microsoft.SkipLayerNormalization" 1 (X, skip, scale, beta = None, bias = None; epsilon = Float(1e-12), n_outputs) Asked(4), c::skip_layer_norm;
    "com.microsoft.SkipSimplifiedLayerNormalization" 1 (X, skip, scale, bias = None; epsilon = Float(1e-12), n_outputs) Asked(4), c::skip_rms_norm;
    "com.microsoft.FusedConv" 1 (X, W, B = None, Z = None; auto_pad = Str("NOTSET"), dilations = None, group = Int(1), kernel_shape = None, pads = None, strides = None, activation = Str(""), activation_params = None) One, c::fused_conv;
    "com.microsoft.FusedGemm" 1 (A, B, C = None; alpha = Float(1.0), beta = Float(1.0), transA = Int(0), transB = Int(0), activation = Str(""), activation_alpha = None, activation_beta = None, activation_gamma = None) One, c::fused_gemm;
    "com.microsoft.EmbedLayerNormalization" 1 (input_ids, segment_ids = None, words, places, segments = None, gamma, beta, mask = None, position_ids = None; epsilon = Float(1e-12), mask_index_type = Int(0)) Tuple(3), c::embed_layer_norm;
    "com.microsoft.Attention" 1 (X, weights, bias = None, mask_index = None, past = None, attention_bias = None, past_sequence_length = None; num_heads, unidirectional = Int(0), qkv_hidden_sizes = None, scale = None, mask_filter_value = Float(-10000.0), do_rotary = Int(0), past_present_share_buffer = Int(0), rotary_embedding_dim = Int(0)) Tuple(2), c::attention;
    "com.microsoft.MultiHeadAttention" 1 (query, key = None, value = None, bias = None, key_padding_mask = None, attention_bias = None, past_key = None, past_value = None, past_sequence_length = None, cache_indirection = None; num_heads, mask_filter_value = Float(-10000.0), scale = None, unidirectional = Int(0)) Tuple(3), c::multi_head_attention;
    "com.microsoft.GroupQueryAttention" 1 (query, key = None, value = None, past_key = None, past_value = None, seqlens_k, total_sequence_length, cos_cache = None, sin_cache = None, position_ids = None, attention_bias = None; num_heads, kv_num_heads, scale = None, do_rotary = Int(0), rotary_interleaved = Int(0), local_window_size = Int(-1), softcap = Float(0.0), smooth_softmax = Int(0)) Tuple(3), c::group_query_attention;
    "com.microsoft.RotaryEmbedding" 1 (X, position_ids, cos_cache, sin_cache; interleaved = Int(0), num_heads = Int(0), is_packed_batching = Int(0), scale = Float(1.0), rotary_embedding_dim = Int(0)) One, c::rotary;
    "MeanVarianceNormalization" 9 (X; axes = None) One, n::mean_variance_norm;
    "LpNormalization" 1 (X; axis = Int(-1), p = Int(2)) One, n::lp_norm;
    "LRN" 1 (X; size, alpha = Float(0.0001), beta = Float(0.75), bias = Float(1.0)) One, n::lrn;
    "Attention" 23 (Q, K, V, mask = None, past_key = None, past_value = None, n_kept = None; is_causal = Int(0), q_num_heads = None, kv_num_heads = None, scale = None, softcap = Float(0.0), softmax_precision = None, qk_matmul_output_mode = Int(0), left_window_size = Int(-1), right_window_size = Int(-1)) Tuple(4), n::attention;
    "RotaryEmbedding" 23 (X, cos, sin, position_ids = None; interleaved = Int(0), num_heads = Int(0), rotary_embedding_dim = Int(0)) One, n::rotary;
    "Conv" 1 (X, W, B = None; auto_pad = Str("NOTSET"), dilations = None, group = Int(1), kernel_shape = None, pads = None, strides = None) One, w::conv;
    "ConvTranspose" 1 (X, W, B = None; auto_pad = Str("NOTSET"), dilations = None, group = Int(1), kernel_shape = None, output_padding = None, output_shape = None, pads = None, strides = None) One, w::conv_transpose;
    "MaxPool" 1 (X; auto_pad = Str("NOTSET"), ceil_mode = Int(0), dilations = None, kernel_shape, pads = None, storage_order = Int(0), strides = None, n_outputs) Asked(2), w::max_pool;
    "AveragePool" 1 (X; auto_pad = Str("NOTSET"), ceil_mode = Int(0), count_include_pad = Int(0), dilations = None, kernel_shape, pads = None, strides = None) One, w::average_pool;
    "LpPool" 2 (X; auto_pad = Str("NOTSET"), ceil_mode = Int(0), dilations = None, kernel_shape, p = Int(2), pads = None, strides = None) One, w::lp_pool;
    "GlobalAveragePool" 1 (X;) One, |a| w::global(a, m::Reduce::Mean);
    "GlobalMaxPool" 1 (X;) One, |a| w::global(a, m::Reduce::Max);
    "GlobalLpPool" 2 (X; p = Int(2)) One, w::global_lp;
    "MaxUnpool" 9 (X, I, output_shape = None; kernel_shape, pads = None, strides = None) One, place::max_unpool;
    "Col2Im" 18 (X, image_shape, block_shape; dilations = None, pads = None, strides = None) One, place::col2im;
    "CenterCropPad" 18 (X, shape; axes = None) One, place::center_crop_pad;
    "TensorScatter" 24 (past_cache, update, write_indices = None; axis = Int(-2), mode = Str("linear")) One, place::tensor_scatter;
    "Unique" 11 (X; axis = None, sorted = Int(1)) Tuple(4), place::unique;
    "DFT" 17 (X, dft_length = None; axis = Int(1), inverse = Int(0), onesided = Int(0)) One, signal::dft;
    "DFT" 20 (X, dft_length = None, axis = Int(-2); inverse = Int(0), onesided = Int(0)) One, signal::dft;
    "STFT" 17 (signal, frame_step, window = None, frame_length = None; onesided = Int(1)) One, signal::stft;
    "MelWeightMatrix" 17 (num_mel_bins, dft_length, sample_rate, lower_edge_hertz, upper_edge_hertz; output_datatype = Int(6)) One, signal::mel_weight_matrix;
    "Upsample" 9 (X, scales; mode = Str("nearest")) One, super::ops::resize::upsample;
    "Resize" 10 (X, scales; mode = Str("nearest")) One, super::ops::resize::upsample;
    "Resize" 11 (X, roi = None, scales = None, sizes = None; antialias = Int(0), axes = None, coordinate_transformation_mode = Str("half_pixel"), cubic_coeff_a = Float(-0.75), exclude_outside = Int(0), extrapolation_value = Float(0.0), keep_aspect_ratio_policy = Str("stretch"), mode = Str("nearest"), nearest_mode = Str("round_prefer_floor")) One, super::ops::resize::resize;
    "GridSample" 16 (X, grid; align_corners = Int(0), mode = Str("linear"), padding_mode = Str("zeros")) One, vision::grid_sample;
    "AffineGrid" 20 (theta, size; align_corners = Int(0)) One, crate::ops::vision::affine_grid;
    "RoiAlign" 10 (X, rois, batch_indices; mode = Str("avg"), output_height = Int(1), output_width = Int(1), sampling_ratio = Int(0), spatial_scale = Float(1.0), coordinate_transformation_mode = Str("output_half_pixel")) One, vision::roi_align;
    "RoiAlign" 16 (X, rois, batch_indices; mode = Str("avg"), output_height = Int(1), output_width = Int(1), sampling_ratio = Int(0), spatial_scale = Float(1.0), coordinate_transformation_mode = Str("half_pixel")) One, vision::roi_align;
    "NonMaxSuppression" 10 (boxes, scores, max_output_boxes_per_class = None, iou_threshold = None, score_threshold = None; center_point_box = Int(0)) One, vision::non_max_suppression;
    "LSTM" 7 (X, W, R, B = None, sequence_lens = None, initial_h = None, initial_c = None, P = None; activation_alpha = None, activation_beta = None, activations = None, clip = None, direction = Str("forward"), hidden_size = None, input_forget = Int(0), layout = Int(0), output_sequence = Int(0)) Tuple(3), r::lstm;
    "GRU" 7 (X, W, R, B = None, sequence_lens = None, initial_h = None; activation_alpha = None, activation_beta = None, activations = None, clip = None, direction = Str("forward"), hidden_size = None, layout = Int(0), linear_before_reset = Int(0), output_sequence = Int(0)) Tuple(2), r::gru;
    "RNN" 7 (X, W, R, B = None, sequence_lens = None, initial_h = None; activation_alpha = None, activation_beta = None, activations = None, clip = None, direction = Str("forward"), hidden_size = None, layout = Int(0), output_sequence = Int(0)) Tuple(2), r::rnn;

    // Quantised.
    "QuantizeLinear" 10 (x, scale, zero_point = None; axis = Int(1), saturate = Int(1), block_size = Int(0), output_dtype = None, precision = None) One, q::quantize;
    "DequantizeLinear" 10 (x, scale, zero_point = None; axis = Int(1), block_size = Int(0), output_dtype = None) One, q::dequantize;
    "com.microsoft.QuantizeLinear" 1 (x, scale, zero_point = None; axis = Int(1), saturate = Int(1), block_size = Int(0), output_dtype = None, precision = None) One, q::quantize;
    "com.microsoft.DequantizeLinear" 1 (x, scale, zero_point = None; axis = Int(1), block_size = Int(0), output_dtype = None) One, q::dequantize;
    "DynamicQuantizeLinear" 11 (x;) Tuple(3), q::dynamic_quantize;
    "MatMulInteger" 10 (A, B, a_zero = None, b_zero = None;) One, q::matmul_integer;
    "com.microsoft.MatMulIntegerToFloat" 1 (A, B, a_scale, b_scale, a_zero = None, b_zero = None, bias = None;) One, q::matmul_integer_to_float;
    "com.microsoft.DynamicQuantizeMatMul" 1 (A, B, b_scale, b_zero = None, bias = None;) One, q::dynamic_quantize_matmul;
    "QLinearMatMul" 10 (a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero;) One, q::qlinear_matmul;
    "ConvInteger" 10 (x, w, x_zero = None, w_zero = None; auto_pad = Str("NOTSET"), dilations = None, group = Int(1), kernel_shape = None, pads = None, strides = None) One, q::conv_integer;
    "QLinearConv" 10 (x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, B = None; auto_pad = Str("NOTSET"), dilations = None, group = Int(1), kernel_shape = None, pads = None, strides = None) One, q::qlinear_conv;

    "com.microsoft.QLinearAdd" 1 (A, A_scale, A_zero = None, B, B_scale, B_zero = None, C_scale, C_zero = None;) One, qlinear::add;
    "com.microsoft.QLinearMul" 1 (A, A_scale, A_zero = None, B, B_scale, B_zero = None, C_scale, C_zero = None;) One, qlinear::mul;
    "com.microsoft.QLinearSigmoid" 1 (X, X_scale, X_zero = None, Y_scale, Y_zero = None;) One, qlinear::sigmoid;
    "com.microsoft.QLinearLeakyRelu" 1 (X, X_scale, X_zero = None, Y_scale, Y_zero = None; alpha = Float(0.01)) One, qlinear::leaky_relu;
    "com.microsoft.QLinearSoftmax" 1 (X, X_scale, x_zero = None, y_scale, y_zero; axis = Int(-1), opset) One, qlinear::softmax;
    "com.microsoft.QLinearWhere" 1 (condition, X, x_scale, x_zero, Y, y_scale, y_zero, z_scale, z_zero;) One, qlinear::choose;
    "com.microsoft.QLinearReduceMean" 1 (data, data_scale, data_zero = None, reduced_scale, reduced_zero = None; axes = None, keepdims = Int(1)) One, qlinear::mean;
    "com.microsoft.QLinearGlobalAveragePool" 1 (X, x_scale, x_zero, y_scale, y_zero; channels_last = Int(0)) One, qlinear::global_average;
    "com.microsoft.QLinearAveragePool" 1 (X, x_scale, x_zero = None, y_scale, y_zero = None; auto_pad = Str("NOTSET"), ceil_mode = Int(0), channels_last = Int(0), count_include_pad = Int(0), dilations = None, kernel_shape, pads = None, strides = None) One, qlinear::average;
    "com.microsoft.QLinearConcat" 1 (inputs; axis) One, qlinear::concat;
    "com.microsoft.QGemm" 1 (A, a_scale, a_zero, B, b_scale, b_zero, C = None, y_scale = None, y_zero = None; transA = Int(0), transB = Int(0), alpha = Float(1.0)) One, qlinear::gemm;
    "com.microsoft.MatMulNBits" 1 (A, B, scales, zero_points = None, g_idx = None, bias = None; K, N, bits, block_size, accuracy_level = Int(0), weight_prepacked = Int(0)) One, qlinear::matmul_bits;
    "com.microsoft.DynamicQuantizeLSTM" 1 (X, W, R, B = None, sequence_lens = None, initial_h = None, initial_c = None, P = None, W_scale, W_zero, R_scale, R_zero; activation_alpha = None, activation_beta = None, activations = None, clip = None, direction = Str("forward"), hidden_size = None, input_forget = Int(0)) Tuple(3), r::quantised_lstm;
    "com.microsoft.QAttention" 1 (X, weight, bias, input_scale, weight_scale, mask_index = None, input_zero = None, weight_zero = None, past = None; num_heads, unidirectional = Int(0), scale = None, mask_filter_value = Float(-10000.0), do_rotary = Int(0), past_present_share_buffer = Int(0)) Tuple(2), c::quantised_attention;

    // Random numbers; a `seed` is not looked at, as every run begins with the same.
    "RandomNormal" 1 (; dtype = None, mean = Float(0.0), scale = Float(1.0), seed = None, shape) One, |a| random::standard(a, 4, 0, 1, true);
    "RandomUniform" 1 (; dtype = None, low = Float(0.0), high = Float(1.0), seed = None, shape) One, |a| random::standard(a, 4, 0, 1, false);
    "RandomNormalLike" 1 (input; dtype = None, mean = Float(0.0), scale = Float(1.0), seed = None) One, |a| random::standard(a, 0, 1, 2, true);
    "RandomUniformLike" 1 (input; dtype = None, low = Float(0.0), high = Float(1.0), seed = None) One, |a| random::standard(a, 0, 1, 2, false);
    "Bernoulli" 15 (input; dtype = None, seed = None) One, random::standard_bernoulli;
    "Multinomial" 7 (input; dtype = None, sample_size = Int(1), seed = None) One, random::standard_multinomial;

    // Of the newest versions, and rare ones.
    "BitCast" 26 (input; to) One, recent::bit_cast;
    "LinearAttention" 27 (query, key, value, past_state = None, decay = None, beta = None; chunk_size = None, kv_num_heads, q_num_heads, scale = Float(0.0), update_rule = Str("gated_delta")) Tuple(2), recent::linear_attention;
    "CausalConvWithState" 27 (input, weight, bias = None, past_state = None; activation = Str("none")) Tuple(2), recent::causal_conv;
    "DeformConv" 19 (X, W, offset, B = None, mask = None; dilations = None, group = Int(1), kernel_shape = None, offset_group = Int(1), pads = None, strides = None) One, recent::deform_conv;
    "TfIdfVectorizer" 9 (X; max_gram_length, max_skip_count, min_gram_length, mode, ngram_counts, ngram_indexes, pool_int64s = None, pool_strings = None, weights = None) One, recent::tf_idf;

    // Classic models.
    "ai.onnx.ml.Binarizer" 1 (X; threshold = Float(0.0)) One, ml::binarizer;
    "ai.onnx.ml.ArrayFeatureExtractor" 1 (X, Y;) One, ml::array_feature_extractor;
    "ai.onnx.ml.Scaler" 1 (X; offset = None, scale = None) One, ml::scaler;
    "ai.onnx.ml.Normalizer" 1 (X; norm = Str("MAX")) One, ml::normalizer;
    "ai.onnx.ml.Imputer" 1 (X; imputed_value_floats = None, replaced_value_float = Float(0.0), imputed_value_int64s = None, replaced_value_int64 = Int(0)) One, ml::imputer;
    "ai.onnx.ml.FeatureVectorizer" 1 (inputs; inputdimensions = None) One, ml::feature_vectorizer;
    "ai.onnx.ml.OneHotEncoder" 1 (X; cats_int64s = None, cats_strings = None, zeros = Int(1)) One, ml::one_hot_encoder;
    "ai.onnx.ml.LabelEncoder" 2 (X; keys_int64s = None, keys_floats = None, keys_tensor = None, values_int64s = None, values_floats = None, values_tensor = None, default_int64 = Int(-1), default_float = Float(0.0), default_tensor = None) One, ml::label_encoder;
    "ai.onnx.ml.ZipMap" 1 (X; classlabels_int64s = None, classlabels_strings = None) One, tensor::same;
    "ai.onnx.ml.LinearClassifier" 1 (X; classlabels_ints = None, classlabels_strings = None, coefficients, intercepts = None, multi_class = Int(0), post_transform = Str("NONE")) Tuple(2), ml::linear_classifier;
    "ai.onnx.ml.LinearRegressor" 1 (X; coefficients, intercepts = None, targets = Int(1), post_transform = Str("NONE")) One, ml::linear_regressor;
    "ai.onnx.ml.SVMClassifier" 1 (X; classlabels_ints = None, classlabels_strings = None, coefficients, kernel_params = None, kernel_type = Str("LINEAR"), post_transform = Str("NONE"), prob_a = None, prob_b = None, rho = None, support_vectors = None, vectors_per_class = None) Tuple(2), ml::svm_classifier;
    "ai.onnx.ml.SVMRegressor" 1 (X; coefficients, kernel_params = None, kernel_type = Str("LINEAR"), n_supports = Int(0), one_class = Int(0), post_transform = Str("NONE"), rho = None, support_vectors = None) One, ml::svm_regressor;
    "ai.onnx.ml.TreeEnsembleClassifier" 1 (X; nodes_falsenodeids = None, nodes_featureids = None, nodes_hitrates = None, nodes_hitrates_as_tensor = None, nodes_missing_value_tracks_true = None, nodes_modes = None, nodes_nodeids = None, nodes_treeids = None, nodes_truenodeids = None, nodes_values = None, nodes_values_as_tensor = None, class_ids = None, class_nodeids = None, class_treeids = None, class_weights = None, class_weights_as_tensor = None, classlabels_int64s = None, classlabels_strings = None, base_values = None, base_values_as_tensor = None, post_transform = Str("NONE")) Tuple(2), trees::tree_classifier;
    "ai.onnx.ml.TreeEnsembleRegressor" 1 (X; nodes_falsenodeids = None, nodes_featureids = None, nodes_hitrates = None, nodes_hitrates_as_tensor = None, nodes_missing_value_tracks_true = None, nodes_modes = None, nodes_nodeids = None, nodes_treeids = None, nodes_truenodeids = None, nodes_values = None, nodes_values_as_tensor = None, target_ids = None, target_nodeids = None, target_treeids = None, target_weights = None, target_weights_as_tensor = None, n_targets = Int(1), aggregate_function = Str("SUM"), base_values = None, base_values_as_tensor = None, post_transform = Str("NONE")) One, trees::tree_regressor;
    "ai.onnx.ml.TreeEnsemble" 5 (X; aggregate_function = Int(1), leaf_targetids, leaf_weights, membership_values = None, n_targets = Int(1), nodes_falseleafs, nodes_falsenodeids, nodes_featureids, nodes_hitrates = None, nodes_missing_value_tracks_true = None, nodes_modes, nodes_splits, nodes_trueleafs, nodes_truenodeids, post_transform = Int(0), tree_roots) One, trees::tree_ensemble;

    // Sequences.
    "OptionalHasElement" 15 (X = None;) One, s::has_element;
    "OptionalGetElement" 15 (X;) One, s::get_element;
    "SequenceEmpty" 11 (; dtype = None) One, s::empty;
    "SequenceConstruct" 11 (inputs;) One, tensor::same;
    "SequenceInsert" 11 (sequence, item, position = None;) One, s::insert;
    "SequenceErase" 11 (sequence, position = None;) One, s::erase;
    "SequenceAt" 11 (sequence, position;) One, s::at;
    "SequenceLength" 11 (sequence;) One, s::length;
    "ConcatFromSequence" 11 (sequence; axis, new_axis = Int(0)) One, s::concat;
    "SplitToSequence" 11 (data, split = None; axis = Int(0), keepdims = Int(1)) One, s::split;
}

use stark_kernels::ops::{log_softmax as nn_log_softmax, softmax as nn_softmax};

/// What control flow is built of besides the rows of TorchScript.
macro_rules! helpers {
    ($( $(#[$doc:meta])* $name:ident = $text:literal ($($arg:ident),*) $traits:ident $run:expr; )*) => { $(
        $(#[$doc])*
        pub static $name: OpRow = OpRow {
            name: $text,
            args: &[ $( ArgRow { name: stringify!($arg), default: Required } ),* ],
            run: { const RUN: fn(&Args<'_>) -> OpResult = $run; RUN },
            traits: $traits,
        };
    )* };
}

helpers! {
    /// Whether a loop goes on: its condition holds and its count, if it has one, is not reached.
    LOOP_TEST = "Loop"(round, condition, count) Pure s::loop_test;
    NEXT_ROUND = "Loop"(round) Pure s::next_round;
    NEW_LIST = "Loop"(items) Pure s::new_list;
    APPEND = "Loop"(outputs, output) Effect scalar::append;
    /// What the rounds of a loop gave, as one tensor.
    STACK = "Loop"(outputs, axis, reverse, dims, dtype) Pure s::stack;
    SCAN_LENGTH = "Scan"(x, axis) Pure s::scan_length;
    SCAN_ITEM = "Scan"(x, axis, round, reverse) Pure s::scan_item;
    /// Numbers of a type that a wider one holds, back in its range.
    WRAPPED = "Cast"(x, low, high) Pure held::wrapped;
    /// UINT64, for operators to which the highest bit is no sign.
    NUMBER = "Cast"(x) Pure held::number;
    SHIFTED = "BitShift"(x, by, direction) Pure held::shifted;
    CLAMPED = "QuantizeLinear"(x, low, high) Pure held::clamped;
    KEPT_ALL = "Dropout"(x) Pure |a| crate::ops::tensor::ok(stark_kernels::Tensor::full(a.tensor(0)?.shape(), true, stark_kernels::DType::Bool));
}

/// The row of an operator that holds in this version of its domain.
pub fn find(domain: &str, name: &str, version: i64) -> Option<&'static OnnxRow> {
    static BY_NAME: OnceLock<HashMap<&'static str, Vec<&'static OnnxRow>>> = OnceLock::new();
    let rows = BY_NAME.get_or_init(|| {
        let mut by_name: HashMap<_, Vec<&OnnxRow>> = HashMap::new();
        ROWS.iter().for_each(|row| by_name.entry(row.op.name).or_default().push(row));
        by_name
    });
    let rows = match domain {
        "" => rows.get(name).filter(|_| !name.contains('.')),
        domain => rows.get(format!("{domain}.{name}").as_str()),
    };
    rows?.iter().filter(|row| row.since <= version).max_by_key(|row| row.since).copied()
}
