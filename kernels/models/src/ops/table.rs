//! The rows. Argument names and defaults are those of PyTorch's schemas, since code may name any argument
//! and leaves out what equals its default.

use super::Default::*;
use super::Traits::{Effect, Picks, Pure};
use super::{ArgRow, Args, OpResult, OpRow, math, scalar, tensor};

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
    "torch.pop"(self, index = Int(-1)) Effect scalar::pop;
    "torch.clear"(self) Effect scalar::clear;
    "torch.reverse"(self) Effect scalar::reverse;
    "torch.list"(value) Pure scalar::list;
    "torch.copy"(self, src = None, non_blocking = Bool(false)) Pure tensor::copy;
    "torch.keys"(self) Pure scalar::keys;
    "torch.values"(self) Pure scalar::values;
    "torch.items"(self) Pure scalar::items;
    "torch.get"(self, key, default = None) Picks scalar::get;
    "torch.len"(self) Pure scalar::len;
    "torch.format"(template, a = None, b = None, c = None, d = None, e = None, f = None, g = None) Pure scalar::format;
    "torch.floordiv"(a, b) Pure math::floor_divide;
    "torch.truediv"(a, b) Pure math::div;

    // Facts about tensors.
    "torch.size"(self, dim = None) Pure tensor::size;
    "torch.dim"(self) Pure tensor::dim;
    "torch.numel"(self) Pure tensor::numel;
    "torch.stride"(self) Pure tensor::stride;
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
    "torch.masked_fill"(self, mask, value) Pure math::masked_fill;
    "torch.where"(condition, self, other) Pure math::where_;

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

    // Products.

    // Layers.
    "torch.hardtanh"(self, min_val = Int(-1), max_val = Int(1)) Pure math::hardtanh;
}
