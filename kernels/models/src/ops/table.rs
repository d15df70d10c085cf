//! The rows. Argument names and defaults are those of PyTorch's schemas, since code may name any argument
//! and leaves out what equals its default.

use super::Default::*;
use super::Traits::{Effect, Picks, Pure};
use super::{ArgRow, Args, OpResult, OpRow, math, nn, quant, rest, scalar, tensor, window};

macro_rules! default {
    () => {
        Required
    };
    ($default:expr) => {
        $default
    };
}

macro_rules! rows {
    ($( $name:literal ( $($arg:ident $(= $default:expr)?),* ) $traits:ident $run:expr; )*) => {
        /// Every operator, grouped by what it works on.
        pub static ROWS: &[OpRow] = &[ $( OpRow {
            name: $name,
            args: &[ $( ArgRow { name: stringify!($arg), default: default!($($default)?) } ),* ],
            run: { const RUN: fn(&Args<'_>) -> OpResult = $run; RUN },
            traits: $traits,
        } ),* ];
    };
}

rows! {
    // Numbers, texts, lists and dicts.
    "int"(value) Pure scalar::to_int;
    "float"(value) Pure scalar::to_float;
    "bool"(value) Pure scalar::to_bool;
    "str"(value) Pure scalar::to_str;
    "torch.str"(value) Pure scalar::to_str;
    "torch.Int"(value) Pure scalar::to_int;
    "torch.Float"(value) Pure scalar::to_float;
    "torch.Bool"(value) Pure scalar::to_bool;
    "torch.IntImplicit"(value) Pure scalar::to_int;
    "torch.FloatImplicit"(value) Pure scalar::to_float;
    "torch.ScalarImplicit"(value) Pure tensor::item;
    "torch.item"(self) Pure tensor::item;
    "ops.prim.NumToTensor"(value) Pure scalar::num_to_tensor;
    "ops.prim.TupleIndex"(self, index) Picks scalar::get_item;
    "ops.prim.max"(a, b = None) Pure scalar::prim_max;
    "ops.prim.min"(a, b = None) Pure scalar::prim_min;
    "ops.prim.abs"(self) Pure math::abs;
    "ops.prim.dtype"(self) Pure tensor::dtype;
    "ops.prim.device"(self) Pure tensor::device;
    "ops.prim.layout"(self) Pure |_| Ok(crate::value::Value::Int(0));
    "ops.prim.is_cuda"(self) Pure |_| Ok(crate::value::Value::Bool(false));
    "ops.prim.is_cpu"(self) Pure |_| Ok(crate::value::Value::Bool(true));
    "ops.prim.is_sparse"(self) Pure |_| Ok(crate::value::Value::Bool(false));
    "ops.prim.is_quantized"(self) Pure |_| Ok(crate::value::Value::Bool(false));
    "ops.prim.is_nested"(self) Pure |_| Ok(crate::value::Value::Bool(false));
    "ops.prim.requires_grad"(self) Pure |_| Ok(crate::value::Value::Bool(false));
    "ops.prim.type"(device) Pure |_| Ok(crate::value::Value::str("cpu"));
    "torch.is_autocast_enabled"(device_type = None) Pure |_| Ok(crate::value::Value::Bool(false));
    "torch.is_grad_enabled"() Pure |_| Ok(crate::value::Value::Bool(false));
    "ops.prim.shape"(self) Pure tensor::size;
    "ops.prim.ndim"(self) Pure tensor::dim;
    "torch.__is__"(a, b) Pure scalar::is;
    "torch.__isnot__"(a, b) Pure scalar::is_not;
    "torch.__not__"(value) Pure scalar::not;
    "torch.__contains__"(self, item) Pure scalar::contains;
    "torch.__getitem__"(self, index) Picks scalar::get_item;
    "torch._set_item"(self, index, value) Effect scalar::set_item;
    "torch.append"(self, item) Effect scalar::append;
    "torch.extend"(self, other) Effect scalar::extend;
    "torch.insert"(self, index, item) Effect scalar::insert;
    "torch.pop"(self, index = Int(-1), default = None) Effect scalar::pop;
    "torch.clear"(self) Effect scalar::clear;
    "torch.reverse"(self) Effect scalar::reverse;
    "torch.list"(value) Pure scalar::list;
    "torch.copy"(self, src = None, non_blocking = Bool(false)) Pure tensor::copy;
    "torch.keys"(self) Pure scalar::keys;
    "torch.values"(self) Pure scalar::values;
    "torch.items"(self) Pure scalar::items;
    "torch.get"(self, key, default = None) Picks scalar::get;
    "isinstance"(value, types) Pure scalar::is_instance;
    "sorted"(self) Pure scalar::sorted;
    "list.sort"(self, reverse = Bool(false)) Effect scalar::sort;
    "tolist"(self) Pure scalar::tolist;
    "torch.Delete"(self, key) Effect scalar::delete;
    "torch.update"(self, other) Effect scalar::update;
    "torch.remove"(self, item) Effect scalar::remove;
    "torch.count"(self, item) Pure scalar::count;
    "torch.divmod"(a, b) Pure scalar::divmod;
    "torch.join"(self, values) Pure scalar::join;
    "torch.percentFormat"(template, a = None, b = None, c = None, d = None, e = None, f = None, g = None) Pure scalar::percent_format;
    "torch.len"(self) Pure scalar::len;
    "torch.__range_length"(lo, hi, step) Pure scalar::range_length;
    "torch.__derive_index"(index, start, step) Pure scalar::derive_index;
    "torch.format"(template, a = None, b = None, c = None, d = None, e = None, f = None, g = None) Pure scalar::format;
    "torch.floordiv"(a, b) Pure math::floor_divide;
    "torch.truediv"(a, b) Pure math::div;

    // Facts about tensors.
    "torch.size"(self, dim = None) Pure tensor::size;
    "torch.dim"(self) Pure tensor::dim;
    "torch.numel"(self) Pure tensor::numel;
    "torch.stride"(self, dim = None) Pure tensor::stride;
    "torch.is_floating_point"(self) Pure tensor::is_floating_point;
    "torch.is_complex"(self) Pure tensor::is_complex;
    "torch.is_contiguous"(self) Pure |_| Ok(crate::value::Value::Bool(true));

    // Making tensors.
    "torch.tensor"(data, dtype = None, device = None, requires_grad = Bool(false)) Pure tensor::tensor;
    "torch.as_tensor"(data, dtype = None, device = None) Pure tensor::tensor;
    "torch.scalar_tensor"(s, dtype = None, layout = None, device = None, pin_memory = None) Pure tensor::scalar_tensor;
    "torch.zeros"(size, dtype = None, layout = None, device = None, pin_memory = None) Pure |a| tensor::filled(a, 0.0);
    "torch.ones"(size, dtype = None, layout = None, device = None, pin_memory = None) Pure |a| tensor::filled(a, 1.0);
    "torch.empty"(size, dtype = None, layout = None, device = None, pin_memory = None, memory_format = None) Pure |a| tensor::filled(a, 0.0);
    "torch.full"(size, fill_value, dtype = None, layout = None, device = None, pin_memory = None) Pure tensor::full;
    "torch.zeros_like"(self, dtype = None, layout = None, device = None, pin_memory = None, memory_format = None) Pure |a| tensor::filled_like(a, 0.0);
    "torch.ones_like"(self, dtype = None, layout = None, device = None, pin_memory = None, memory_format = None) Pure |a| tensor::filled_like(a, 1.0);
    "torch.empty_like"(self, dtype = None, layout = None, device = None, pin_memory = None, memory_format = None) Pure |a| tensor::filled_like(a, 0.0);
    "torch.full_like"(self, fill_value, dtype = None, layout = None, device = None, pin_memory = None, memory_format = None) Pure tensor::full_like;
    "torch.new_zeros"(self, size, dtype = None, layout = None, device = None, pin_memory = None) Pure |a| tensor::new_filled(a, 0.0);
    "torch.new_ones"(self, size, dtype = None, layout = None, device = None, pin_memory = None) Pure |a| tensor::new_filled(a, 1.0);
    "torch.new_empty"(self, size, dtype = None, layout = None, device = None, pin_memory = None) Pure |a| tensor::new_filled(a, 0.0);
    "torch.new_full"(self, size, fill_value, dtype = None, layout = None, device = None, pin_memory = None) Pure tensor::new_full;
    "torch.arange"(start, end = None, step = None, dtype = None, layout = None, device = None, pin_memory = None) Pure tensor::arange;
    "torch.linspace"(start, end, steps, dtype = None, layout = None, device = None, pin_memory = None) Pure tensor::linspace;
    "torch.eye"(n, m = None, dtype = None, layout = None, device = None, pin_memory = None) Pure tensor::eye;
    "torch.clone"(self, memory_format = None) Pure tensor::clone;
    "torch.detach"(self) Pure tensor::same;
    "torch.alias"(self) Pure tensor::same;
    "torch.contiguous"(self, memory_format = None) Pure tensor::contiguous;
    "torch.requires_grad_"(self, requires_grad = Bool(true)) Pure tensor::same;
    "torch.to"(self, a = None, b = None, c = None, d = None, e = None, f = None, g = None, dtype = None, layout = None, device = None, pin_memory = None, non_blocking = Bool(false), copy = Bool(false), memory_format = None) Pure tensor::to;
    "torch.type_as"(self, other) Pure tensor::type_as;
    "torch.float"(self) Pure |a| tensor::cast(a, stark_kernels::DType::F32);
    "torch.double"(self) Pure |a| tensor::cast(a, stark_kernels::DType::F64);
    "torch.half"(self) Pure |a| tensor::cast(a, stark_kernels::DType::F16);
    "torch.long"(self) Pure |a| tensor::cast(a, stark_kernels::DType::I64);
    "torch.cpu"(self) Pure tensor::same;
    "torch.real"(self) Pure tensor::real;
    "torch.imag"(self) Pure tensor::imag;
    "torch.fill"(self, value) Pure tensor::fill;
    "torch.zero"(self) Pure |a| tensor::filled_with(a, 0.0);

    // Views and rearrangements.
    "torch.view"(self, size) Pure tensor::view;
    "torch.view_as"(self, other) Pure tensor::reshape_as;
    "torch.reshape"(self, shape) Pure tensor::reshape;
    "torch.reshape_as"(self, other) Pure tensor::reshape_as;
    "torch.flatten"(self, start_dim = Int(0), end_dim = Int(-1)) Pure tensor::flatten;
    "torch.unflatten"(self, dim, sizes) Pure tensor::unflatten;
    "torch.transpose"(self, dim0, dim1) Pure tensor::transpose;
    "torch.swapaxes"(self, axis0, axis1) Pure tensor::transpose;
    "torch.t"(self) Pure tensor::t;
    "torch.numpy_T"(self) Pure tensor::reversed_axes;
    "torch.permute"(self, dims) Pure tensor::permute;
    "torch.movedim"(self, source, destination) Pure tensor::movedim;
    "torch.unsqueeze"(self, dim) Pure tensor::unsqueeze;
    "torch.squeeze"(self, dim = None) Pure tensor::squeeze;
    "torch.expand"(self, size, implicit = Bool(false)) Pure tensor::expand;
    "torch.expand_as"(self, other) Pure tensor::expand_as;
    "torch.broadcast_to"(self, size) Pure tensor::expand;
    "torch.select"(self, dim, index) Picks tensor::select;
    "torch.slice"(self, dim = Int(0), start = None, end = None, step = Int(1)) Pure tensor::slice;
    "torch.narrow"(self, dim, start, length) Pure tensor::narrow;
    "torch.unbind"(self, dim = Int(0)) Pure tensor::unbind;
    "torch.split"(self, split_size, dim = Int(0)) Pure tensor::split;
    "torch.split_with_sizes"(self, split_sizes, dim = Int(0)) Pure tensor::split;
    "torch.chunk"(self, chunks, dim = Int(0)) Pure tensor::chunk;
    "torch.diagonal"(self, offset = Int(0), dim1 = Int(0), dim2 = Int(1)) Pure tensor::diagonal;
    "torch.unfold"(self, dimension, size, step) Pure tensor::unfold;
    "torch.cat"(tensors, dim = Int(0)) Pure rest::cat;
    "torch.concat"(tensors, dim = Int(0)) Pure rest::cat;
    "torch.stack"(tensors, dim = Int(0)) Pure rest::stack;
    "torch.repeat"(self, repeats) Pure rest::repeat;
    "torch.tile"(self, dims) Pure rest::tile;
    "torch.repeat_interleave"(self, repeats, dim = None, output_size = None) Pure rest::repeat_interleave;
    "torch.flip"(self, dims) Pure rest::flip;
    "torch.roll"(self, shifts, dims = None) Pure rest::roll;
    "torch.tril"(self, diagonal = Int(0)) Pure rest::tril;
    "torch.triu"(self, diagonal = Int(0)) Pure rest::triu;
    "torch.index"(self, indices) Pure rest::index;
    "torch.index_put"(self, indices, values, accumulate = Bool(false)) Pure rest::index_put;
    "torch.masked_select"(self, mask) Pure rest::masked_select;
    "torch.nonzero"(self) Pure rest::nonzero;
    "torch.scatter_add"(self, dim, index, src) Pure rest::scatter_add;
    "torch.index_select"(self, dim, index) Pure rest::index_select;
    "torch.gather"(self, dim, index, sparse_grad = Bool(false)) Pure rest::gather;
    "torch.scatter"(self, dim, index, src, reduce = None) Pure rest::scatter;
    "torch.masked_fill"(self, mask, value) Pure math::masked_fill;
    "torch.where"(condition, self, other) Pure math::where_;
    "torch.one_hot"(self, num_classes = Int(-1)) Pure rest::one_hot;
    "torch.pixel_shuffle"(self, upscale_factor) Pure nn::pixel_shuffle;

    // Arithmetic, on tensors and on numbers.
    "torch.add"(self, other, alpha = Int(1)) Pure math::add;
    "torch.sub"(self, other, alpha = Int(1)) Pure math::sub;
    "torch.rsub"(self, other, alpha = Int(1)) Pure math::rsub;
    "torch.mul"(self, other) Pure math::mul;
    "torch.multiply"(self, other) Pure math::mul;
    "torch.div"(self, other, rounding_mode = None) Pure math::div;
    "torch.true_divide"(self, other) Pure math::div;
    "torch.floor_divide"(self, other) Pure math::floor_divide;
    "torch.remainder"(self, other) Pure math::remainder;
    "torch.fmod"(self, other) Pure math::fmod;
    "torch.pow"(self, exponent) Pure math::pow;
    "torch.maximum"(self, other) Pure math::maximum;
    "torch.minimum"(self, other) Pure math::minimum;
    "torch.eq"(self, other) Pure math::eq;
    "torch.ne"(self, other) Pure math::ne;
    "torch.lt"(self, other) Pure math::lt;
    "torch.le"(self, other) Pure math::le;
    "torch.gt"(self, other) Pure math::gt;
    "torch.ge"(self, other) Pure math::ge;
    "torch.__and__"(self, other) Pure math::and;
    "torch.__or__"(self, other) Pure math::or;
    "torch.__xor__"(self, other) Pure math::xor;
    "torch.__lshift__"(self, other) Pure |a| math::shift(a, false);
    "torch.__rshift__"(self, other) Pure |a| math::shift(a, true);
    "torch.bitwise_left_shift"(self, other) Pure |a| math::shift(a, false);
    "torch.bitwise_right_shift"(self, other) Pure |a| math::shift(a, true);
    "torch.bitwise_and"(self, other) Pure math::and;
    "torch.bitwise_or"(self, other) Pure math::or;
    "torch.bitwise_xor"(self, other) Pure math::xor;
    "torch.bitwise_not"(self) Pure math::bitwise_not;
    "torch.logical_not"(self) Pure math::logical_not;
    "torch.logical_and"(self, other) Pure math::logical_and;
    "torch.logical_or"(self, other) Pure math::logical_or;
    "torch.logical_xor"(self, other) Pure math::logical_xor;
    "torch.neg"(self) Pure math::neg;
    "torch.abs"(self) Pure math::abs;
    "torch.sign"(self) Pure math::sign;
    "torch.square"(self) Pure math::square;
    "torch.reciprocal"(self) Pure math::reciprocal;
    "torch.sqrt"(self) Pure math::sqrt;
    "torch.rsqrt"(self) Pure math::rsqrt;
    "torch.exp"(self) Pure math::exp;
    "torch.expm1"(self) Pure math::expm1;
    "torch.log"(self) Pure math::log;
    "torch.log2"(self) Pure math::log2;
    "torch.log10"(self) Pure math::log10;
    "torch.log1p"(self) Pure math::log1p;
    "torch.tan"(self) Pure math::tan;
    "torch.sin"(self) Pure math::sin;
    "torch.cos"(self) Pure math::cos;
    "torch.erf"(self) Pure math::erf;
    "torch.floor"(self) Pure math::floor;
    "torch.ceil"(self) Pure math::ceil;
    "torch.round"(self, decimals = Int(0)) Pure math::round;
    "torch.trunc"(self) Pure math::trunc;
    "torch.isnan"(self) Pure math::isnan;
    "torch.isinf"(self) Pure math::isinf;
    "torch.clamp"(self, min = None, max = None) Pure math::clamp;
    "torch.clip"(self, min = None, max = None) Pure math::clamp;
    "torch.clamp_min"(self, min) Pure math::clamp_min;
    "torch.clamp_max"(self, max) Pure math::clamp_max;

    // Reductions.
    "torch.sum"(self, dim = None, keepdim = Bool(false), dtype = None) Pure rest::sum;
    "torch.mean"(self, dim = None, keepdim = Bool(false), dtype = None) Pure rest::mean;
    "torch.prod"(self, dim = None, keepdim = Bool(false), dtype = None) Pure rest::prod;
    "torch.max"(self, dim = None, keepdim = Bool(false)) Pure rest::max;
    "torch.min"(self, dim = None, keepdim = Bool(false)) Pure rest::min;
    "torch.amax"(self, dim = None, keepdim = Bool(false)) Pure rest::amax;
    "torch.amin"(self, dim = None, keepdim = Bool(false)) Pure rest::amin;
    "torch.argmax"(self, dim = None, keepdim = Bool(false)) Pure rest::argmax;
    "torch.argmin"(self, dim = None, keepdim = Bool(false)) Pure rest::argmin;
    "torch.all"(self, dim = None, keepdim = Bool(false)) Pure rest::all;
    "torch.any"(self, dim = None, keepdim = Bool(false)) Pure rest::any;
    "torch.var"(self, dim = None, unbiased = Bool(true), keepdim = Bool(false), correction = None) Pure rest::var;
    "torch.std"(self, dim = None, unbiased = Bool(true), keepdim = Bool(false), correction = None) Pure rest::std;
    "torch.norm"(self, p = Int(2), dim = None, keepdim = Bool(false), dtype = None) Pure rest::norm;
    "torch.frobenius_norm"(self, dim = None, keepdim = Bool(false)) Pure rest::frobenius_norm;
    "torch.linalg_norm"(self, ord = None, dim = None, keepdim = Bool(false), dtype = None) Pure rest::linalg_norm;
    "torch.linalg_vector_norm"(self, ord = Int(2), dim = None, keepdim = Bool(false), dtype = None) Pure rest::norm;
    "torch.logsumexp"(self, dim, keepdim = Bool(false)) Pure rest::logsumexp;
    "torch.cumsum"(self, dim, dtype = None) Pure rest::cumsum;
    "torch.diff"(self, n = Int(1), dim = Int(-1), prepend = None, append = None) Pure rest::diff;
    "torch.sort"(self, dim = Int(-1), descending = Bool(false), stable = None) Pure rest::sort;
    "torch.argsort"(self, dim = Int(-1), descending = Bool(false), stable = None) Pure rest::argsort;
    "torch.topk"(self, k, dim = Int(-1), largest = Bool(true), sorted = Bool(true)) Pure rest::topk;

    // Products.
    "torch.matmul"(self, other) Pure nn::matmul;
    "torch.mm"(self, mat2) Pure nn::matmul;
    "torch.bmm"(self, mat2) Pure nn::matmul;
    "torch.mv"(self, vec) Pure nn::matmul;
    "torch.dot"(self, tensor) Pure nn::matmul;
    "torch.addmm"(self, mat1, mat2, beta = Int(1), alpha = Int(1)) Pure nn::addmm;
    "torch.baddbmm"(self, batch1, batch2, beta = Int(1), alpha = Int(1)) Pure nn::addmm;
    "ops.quantized.linear_dynamic"(x, packed, reduce_range = Bool(false)) Pure |a| quant::linear_dynamic(a, false);
    "ops.quantized.linear_relu_dynamic"(x, packed, reduce_range = Bool(false)) Pure |a| quant::linear_dynamic(a, true);
    "torch.linear"(input, weight, bias = None) Pure nn::linear;
    "torch.einsum"(equation, tensors, path = None) Pure |a| crate::onnx::einsum(a, 1, 0);

    // Layers.
    "torch.relu"(self) Pure nn::relu;
    "torch.relu6"(self) Pure nn::relu6;
    "torch.gelu"(self, approximate = Str("none")) Pure nn::gelu;
    "torch.silu"(self) Pure nn::silu;
    "torch.mish"(self) Pure nn::mish;
    "torch.sigmoid"(self) Pure nn::sigmoid;
    "torch.tanh"(self) Pure nn::tanh;
    "torch.elu"(self, alpha = Int(1), scale = Int(1), input_scale = Int(1)) Pure nn::elu;
    "torch.celu"(self, alpha = Float(1.0)) Pure nn::celu;
    "torch.selu"(self) Pure nn::selu;
    "torch.leaky_relu"(self, negative_slope = Float(0.01)) Pure nn::leaky_relu;
    "torch.prelu"(self, weight) Pure nn::prelu;
    "torch.hardtanh"(self, min_val = Int(-1), max_val = Int(1)) Pure math::hardtanh;
    "torch.hardsigmoid"(self) Pure nn::hardsigmoid;
    "torch.hardswish"(self) Pure nn::hardswish;
    "torch.softplus"(self, beta = Int(1), threshold = Int(20)) Pure nn::softplus;
    "torch.softsign"(self) Pure nn::softsign;
    "torch.softshrink"(self, lambd = Float(0.5)) Pure nn::softshrink;
    "torch.log_sigmoid"(self) Pure nn::log_sigmoid;
    "torch.threshold"(self, threshold, value) Pure nn::threshold;
    "torch.glu"(self, dim = Int(-1)) Pure nn::glu;
    "torch.softmax"(self, dim, dtype = None) Pure nn::softmax;
    "torch.log_softmax"(self, dim, dtype = None) Pure nn::log_softmax;
    "torch.dropout"(input, p, train) Pure nn::dropout;
    "torch.feature_dropout"(input, p, train) Pure nn::dropout;
    "torch.alpha_dropout"(input, p, train) Pure nn::dropout;
    "torch.layer_norm"(input, normalized_shape, weight = None, bias = None, eps = Float(1e-5), cudnn_enable = Bool(true)) Pure nn::layer_norm;
    "torch.rms_norm"(input, normalized_shape, weight = None, eps = None) Pure nn::rms_norm;
    "torch.batch_norm"(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled) Pure nn::batch_norm;
    "torch.group_norm"(input, num_groups, weight = None, bias = None, eps = Float(1e-5), cudnn_enabled = Bool(true)) Pure nn::group_norm;
    "torch.instance_norm"(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled) Pure nn::instance_norm;
    "torch.embedding"(weight, indices, padding_idx = Int(-1), scale_grad_by_freq = Bool(false), sparse = Bool(false)) Pure nn::embedding;
    "torch.embedding_bag"(weight, indices, offsets, scale_grad_by_freq = Bool(false), mode = Int(0), sparse = Bool(false), per_sample_weights = None, include_last_offset = Bool(false), padding_idx = None) Pure nn::embedding_bag;
    "torch._convolution"(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, benchmark = Bool(false), deterministic = Bool(false), cudnn_enabled = Bool(true), allow_tf32 = Bool(true)) Pure window::convolution;
    "torch.convolution"(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups) Pure window::convolution;
    "torch.conv1d"(input, weight, bias = None, stride = Int(1), padding = Int(0), dilation = Int(1), groups = Int(1)) Pure window::conv;
    "torch.conv2d"(input, weight, bias = None, stride = Int(1), padding = Int(0), dilation = Int(1), groups = Int(1)) Pure window::conv;
    "torch.conv_transpose1d"(input, weight, bias = None, stride = Int(1), padding = Int(0), output_padding = Int(0), groups = Int(1), dilation = Int(1)) Pure window::conv_transpose;
    "torch.conv_transpose2d"(input, weight, bias = None, stride = Int(1), padding = Int(0), output_padding = Int(0), groups = Int(1), dilation = Int(1)) Pure window::conv_transpose;
    "torch.max_pool1d"(self, kernel_size, stride = None, padding = Int(0), dilation = Int(1), ceil_mode = Bool(false)) Pure window::max_pool1d;
    "torch.max_pool2d"(self, kernel_size, stride = None, padding = Int(0), dilation = Int(1), ceil_mode = Bool(false)) Pure window::max_pool2d;
    "torch.avg_pool1d"(self, kernel_size, stride = None, padding = Int(0), ceil_mode = Bool(false), count_include_pad = Bool(true)) Pure window::avg_pool1d;
    "torch.avg_pool2d"(self, kernel_size, stride = None, padding = Int(0), ceil_mode = Bool(false), count_include_pad = Bool(true), divisor_override = None) Pure window::avg_pool2d;
    "torch.adaptive_avg_pool1d"(self, output_size) Pure window::adaptive_avg_pool1d;
    "torch.adaptive_avg_pool2d"(self, output_size) Pure window::adaptive_avg_pool2d;
    "torch.adaptive_max_pool2d"(self, output_size) Pure window::adaptive_max_pool2d;
    "torch.pad"(self, pad, mode = Str("constant"), value = None) Pure nn::pad;
    "torch.constant_pad_nd"(self, pad, value = Int(0)) Pure nn::constant_pad;
    "torch.upsample_nearest2d"(input, output_size, scale_factors = None, more = None) Pure window::upsample_nearest;
    "torch.upsample_bilinear2d"(input, output_size, align_corners, scale_factors = None, more = None) Pure window::upsample_bilinear;
    "torch.scaled_dot_product_attention"(query, key, value, attn_mask = None, dropout_p = Float(0.0), is_causal = Bool(false), scale = None, enable_gqa = Bool(false)) Pure nn::attention;
    "torch._native_multi_head_attention"(query, key, value, embed_dim, num_head, qkv_weight, qkv_bias, proj_weight, proj_bias, mask = None, need_weights = Bool(true), average_attn_weights = Bool(true), mask_type = None) Picks nn::native_attention;
    "torch._transformer_encoder_layer_fwd"(src, embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias, use_gelu, norm_first, eps, norm_weight_1, norm_bias_1, norm_weight_2, norm_bias_2, ffn_weight_1, ffn_bias_1, ffn_weight_2, ffn_bias_2, mask = None, mask_type = None) Pure nn::encoder_layer;
    "torch.lstm"(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first) Pure nn::lstm;
    "torch.gru"(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first) Pure nn::gru;
    "torch.rnn_tanh"(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first) Pure nn::rnn_tanh;
    "torch.rnn_relu"(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first) Pure nn::rnn_relu;
    "torch.gru_cell"(input, hx, w_ih, w_hh, b_ih = None, b_hh = None) Pure nn::gru_cell;
    "torch.lstm_cell"(input, hx, w_ih, w_hh, b_ih = None, b_hh = None) Pure nn::lstm_cell;
}
