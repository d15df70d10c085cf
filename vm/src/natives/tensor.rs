//! Tensors as values: making, reading, shapes and indexing.

use std::sync::Arc;

use super::support::{Outcome, answers, size, when_done};
use super::system::seed_of;
use super::{NativeCx, NativeResult, NativeRow, natives};
use crate::fault::{Fault, FaultKind};
use crate::heap::Opaque;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_bytecode::{Elem, TypeDesc};
use stark_kernels::accelerator::{self, Accelerator};
use stark_kernels::{DType, Scalar, Tensor, TensorError, ops};
use stark_shapes::{Dim, Symbolic};

pub(super) const TABLE: &[NativeRow] = answers! {
    tensor_from_nested "<E, V>(V) -> Tensor<E>";
    tensor_from_vec "<E>(Vec<E>, Vec<Int>) -> Tensor<E>";
    tensor_zeros "<E>(Vec<Int>) -> Tensor<E>";
    tensor_ones "<E>(Vec<Int>) -> Tensor<E>";
    tensor_full "<E>(Vec<Int>, E) -> Tensor<E>";
    tensor_eye "<E>(Int) -> Tensor<E>";
    tensor_arange "<E>(E, E, E) -> Tensor<E>";
    tensor_linspace "<E>(E, E, Int) -> Tensor<E>";
    tensor_rand "<E>(Vec<Int>, Int) -> Tensor<E>";
    tensor_randn "<E>(Vec<Int>, Int) -> Tensor<E>";
    tensor_randint "<E>(Int, Int, Vec<Int>, Int) -> Tensor<E>";
    tensor_shape "<E>(Tensor<E>) -> Vec<Int>";
    tensor_rank "<E>(Tensor<E>) -> Int";
    tensor_numel "<E>(Tensor<E>) -> Int";
    tensor_dtype "<E>(Tensor<E>) -> String";
    tensor_len "<E>(Tensor<E>) -> Int";
    tensor_device "<E>(Tensor<E>) -> String";
    tensor_to "<E, F>(Tensor<E>) -> Tensor<F>";
    tensor_contiguous "<E>(Tensor<E>) -> Tensor<E>";
    tensor_row "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_rows "<E>(Tensor<E>) -> Vec<Tensor<E>>";
    tensor_reshape "<E>(Tensor<E>, Vec<Int>) -> Tensor<E>";
    tensor_permute "<E>(Tensor<E>, Vec<Int>) -> Tensor<E>";
    tensor_t "<E>(Tensor<E>) -> Tensor<E>";
    tensor_transpose "<E>(Tensor<E>, Int, Int) -> Tensor<E>";
    tensor_squeeze_all "<E>(Tensor<E>) -> Tensor<E>";
    tensor_squeeze "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_unsqueeze "<E>(Tensor<E>, Int) -> Tensor<E>";
    tensor_expand "<E>(Tensor<E>, Vec<Int>) -> Tensor<E>";
    tensor_flatten "<E>(Tensor<E>, Int, Int) -> Tensor<E>";
    tensor_split "<E>(Tensor<E>, Int, Int) -> Vec<Tensor<E>>";
    tensor_chunk "<E>(Tensor<E>, Int, Int) -> Vec<Tensor<E>>";
    tensor_index "<E>(Tensor<E>, Vec<Int>) -> Tensor<E>";
    tensor_index_set "<E>(&mut Tensor<E>, Vec<Int>, Tensor<E>) -> ()";
    tensor_index_fill "<E>(&mut Tensor<E>, Vec<Int>, E) -> ()";
    tensor_check "<F, T>(F, Int, Vec<Int>) -> T";
};

/// What looks at elements, which a device may still compute.
pub(super) const LOOKS: &[NativeRow] = natives! {
    tensor_to_device "<E>(Tensor<E>, String) -> Tensor<E>";
    tensor_item "<E>(Tensor<E>) -> E";
    tensor_at "<E>(Tensor<E>, Vec<Int>) -> E";
    tensor_to_vec "<E>(Tensor<E>) -> Vec<E>";
    tensor_to_nested "<E, V>(Tensor<E>) -> V";
};

impl Opaque for Tensor {
    fn type_name(&self) -> &'static str {
        "Tensor"
    }

    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }

    fn show(&self, nested: bool, out: &mut String) {
        let text = if nested { format!("Tensor<{}>{:?}", self.dtype(), self.shape()) } else { self.to_string() };
        out.push_str(&text);
    }

    fn equal(&self, other: &dyn Opaque) -> bool {
        other.downcast::<Tensor>().is_some_and(|other| self == other)
    }
}

pub(crate) fn fault(e: TensorError) -> Fault {
    let kind = match &e {
        TensorError::Shape(_) => FaultKind::ShapeError,
        TensorError::Index { .. } => FaultKind::IndexError,
        TensorError::TooLarge { .. } => FaultKind::OutOfMemoryError,
        TensorError::ZeroDivision => FaultKind::ZeroDivisionError,
        TensorError::Format(_) | TensorError::Device(_) | TensorError::DeviceMemory(_) => FaultKind::IoError,
        TensorError::DType(_) | TensorError::Argument(_) | TensorError::Unsupported(_) => FaultKind::ValueError,
    };
    Fault::new(kind, e.to_string())
}

pub(super) fn dtype_of_elem(elem: Elem) -> DType {
    match elem {
        Elem::Float16 => DType::F16,
        Elem::BFloat16 => DType::BF16,
        Elem::Float32 => DType::F32,
        Elem::Float64 => DType::F64,
        Elem::Int8 => DType::I8,
        Elem::UInt8 => DType::U8,
        Elem::Int16 => DType::I16,
        Elem::Int32 => DType::I32,
        Elem::Int64 => DType::I64,
        Elem::Bool => DType::Bool,
    }
}

/// The dtype of a tensor type, or of the scalar type `E` in `Tensor<E>`; `None` for a bare `Tensor`.
pub(crate) fn dtype_of(info: &TypeInfo) -> Option<DType> {
    match &info.desc {
        TypeDesc::Tensor { elem } => elem.map(dtype_of_elem),
        _ => DType::from_name(match info.name().as_str() {
            "Int" => "Int64",
            "Float" => "Float64",
            name => name,
        }),
    }
}

/// The dtype of the result's type. A type that no tensor has as its elements is refused: generic code may come with one, so this is
/// asked before the values are looked at.
fn ret_dtype(cx: &NativeCx<'_>) -> Result<DType, Fault> {
    dtype_of(cx.ret_type()).ok_or_else(|| {
        let all = ELEMS.map(|elem| dtype_of_elem(elem).to_string()).join(" ");
        Fault::value(format!("no tensor has elements of this type: they are {all}"))
    })
}

pub(super) fn tensor<'a>(cx: &'a NativeCx<'_>, i: usize) -> &'a Tensor {
    cx.opaque::<Tensor>(i)
}

/// A tensor as a value of type `info`, in the element type that says.
pub(super) fn value_of(info: &'static TypeInfo, t: Tensor) -> Outcome {
    let t = match dtype_of(info) {
        Some(dtype) if dtype != t.dtype() => t.to(dtype).map_err(fault)?,
        _ => t,
    };
    Ok(Value::opaque(info, t))
}

pub(super) fn answer(cx: &NativeCx<'_>, t: Result<Tensor, TensorError>) -> Outcome {
    let t = t.map_err(fault)?;
    if t.memory().is_none() {
        // An operand may have been on a device that did not give it back.
        if let Some(reason) = accelerator::take_fault() {
            return Err(fault(TensorError::Device(reason)));
        }
    }
    value_of(cx.ret_type(), t)
}

/// Bytes that a view in a list takes while the list is made: as a tensor, and as a value with its place.
const VIEW: usize = 2 * size_of::<Tensor>() + 64;

/// `n` views of a tensor, or fewer, as a list. There may be more of them than bytes in the tensor, so they are asked for before.
fn views(cx: &NativeCx<'_>, n: usize, make: impl FnOnce() -> Result<Vec<Tensor>, TensorError>) -> Outcome {
    cx.reserve(n.saturating_mul(VIEW))?;
    let elem = cx.ret_type().elem();
    let views = make().map_err(fault)?;
    Ok(Value::vec(cx.ret_type(), views.into_iter().map(|t| Value::opaque(elem, t))))
}

/// The numbers of a `Vec<Int>`.
pub(super) fn ints(value: ValueRef<'_>) -> Vec<i64> {
    value.vec().scalars().iter().map(|&bits| bits as i64).collect()
}

/// A shape the program gave.
fn shape_arg(cx: &NativeCx<'_>, i: usize) -> Result<Vec<usize>, Fault> {
    cx.vec(i)
        .scalars()
        .iter()
        .map(|&d| {
            usize::try_from(d as i64)
                .map_err(|_| Fault::shape(format!("shape {:?} has a negative dimension", ints(cx.arg(i)))))
        })
        .collect()
}

/// A number or `Bool` as the kernels take it.
pub(super) fn scalar_of(value: ValueRef<'_>) -> Scalar {
    match value.info().number() {
        Some(kind) if kind.is_float() => Scalar::Float(value.float()),
        Some(_) => Scalar::Int(value.int()),
        None => Scalar::Bool(value.bool()),
    }
}

/// The bits of `x` in a slot of type `info`; the caller has made it of that dtype.
fn slot_of(info: &TypeInfo, x: Scalar) -> u64 {
    match info.number() {
        Some(kind) if kind.is_float() => x.to_f64().to_bits(),
        Some(_) => x.to_i64() as u64,
        None => u64::from(x.to_bool()),
    }
}

/// Row-major slots of type `elem` as a tensor of `dtype`.
fn from_slots(slots: &[u64], elem: &TypeInfo, shape: &[usize], dtype: DType) -> Result<Tensor, TensorError> {
    let is_float = elem.number().is_some_and(|kind| kind.is_float());
    let t = match (dtype, is_float) {
        (DType::F32, true) => {
            return Tensor::from_vec(slots.iter().map(|&x| f64::from_bits(x) as f32).collect::<Vec<f32>>(), shape);
        }
        (_, true) => Tensor::from_vec(slots.iter().map(|&x| f64::from_bits(x)).collect::<Vec<f64>>(), shape)?,
        (_, false) => Tensor::from_vec(slots.iter().map(|&x| x as i64).collect::<Vec<i64>>(), shape)?,
    };
    t.to(dtype)
}

fn to_slots(t: &Tensor, elem: &TypeInfo) -> Result<Vec<u64>, Fault> {
    Ok(match t.dtype() {
        DType::F32 => t.to_vec::<f32>().map_err(fault)?.into_iter().map(|x| f64::from(x).to_bits()).collect(),
        DType::I64 => t.to_vec::<i64>().map_err(fault)?.into_iter().map(|x| x as u64).collect(),
        _ => t.to_scalars().into_iter().map(|x| slot_of(elem, x)).collect(),
    })
}

/// The shape of nested vectors, checked to be even, and their numbers in row-major order.
fn flatten_nested(
    value: ValueRef<'_>,
    depth: usize,
    shape: &mut Vec<usize>,
    slots: &mut Vec<u64>,
) -> Result<(), Fault> {
    let vec = value.vec();
    match shape.get(depth) {
        None => shape.push(vec.len()),
        Some(&n) if n == vec.len() => {}
        Some(&n) => {
            return Err(Fault::shape(format!(
                "rows of a tensor differ along axis {depth}: {n} and {} items",
                vec.len()
            )));
        }
    }
    if !vec.elem().is_ref {
        slots.extend_from_slice(vec.scalars());
        return Ok(());
    }
    vec.iter().try_for_each(|row| flatten_nested(row, depth + 1, shape, slots))
}

fn tensor_from_nested(cx: &NativeCx<'_>) -> Outcome {
    let mut leaf = cx.arg(0).info();
    let mut depth = 0;
    while matches!(leaf.desc, TypeDesc::Vec(_)) {
        leaf = leaf.elem();
        depth += 1;
    }
    if leaf.is_ref || dtype_of(leaf).is_none() {
        return Err(Fault::value(format!("a tensor cannot hold {leaf:?}")));
    }
    let (mut shape, mut slots) = (Vec::new(), Vec::new());
    if depth == 0 {
        slots.push(cx.arg(0).scalar_bits());
    } else {
        flatten_nested(cx.arg(0), 0, &mut shape, &mut slots)?;
    }
    // An empty outer list says nothing of the inner ones: they are empty too.
    shape.resize(depth, 0);
    answer(cx, from_slots(&slots, leaf, &shape, ret_dtype(cx)?))
}

fn tensor_from_vec(cx: &NativeCx<'_>) -> Outcome {
    let (dtype, values, shape) = (ret_dtype(cx)?, cx.vec(0), shape_arg(cx, 1)?);
    answer(cx, from_slots(values.scalars(), values.elem(), &shape, dtype))
}

fn tensor_zeros(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, Tensor::zeros(&shape_arg(cx, 0)?, ret_dtype(cx)?))
}

fn tensor_ones(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, Tensor::ones(&shape_arg(cx, 0)?, ret_dtype(cx)?))
}

fn tensor_full(cx: &NativeCx<'_>) -> Outcome {
    let dtype = ret_dtype(cx)?;
    answer(cx, Tensor::full(&shape_arg(cx, 0)?, scalar_of(cx.arg(1)), dtype))
}

fn tensor_eye(cx: &NativeCx<'_>) -> Outcome {
    let n = size(cx.int(0), "the size")?;
    answer(cx, ops::eye(n, n, ret_dtype(cx)?))
}

/// The number of fewest digits that `dtype` rounds as `x`. A count from rounded ends would be off by one: as `Float32` 0.3 is more than
/// three times 0.1.
fn as_written(x: f64, dtype: DType) -> f64 {
    let rounded = |x: f64| Tensor::full(&[], x, dtype).and_then(|t| t.item()).map(|x| x.to_f64().to_bits()).ok();
    let shorter = (0..17).filter_map(|n| format!("{x:.n$e}").parse().ok());
    shorter.into_iter().find(|y| rounded(*y) == rounded(x)).unwrap_or(x)
}

fn tensor_arange(cx: &NativeCx<'_>) -> Outcome {
    let dtype = ret_dtype(cx)?;
    let end = |i| match scalar_of(cx.arg(i)) {
        Scalar::Float(x) => Scalar::Float(as_written(x, dtype)),
        x => x,
    };
    answer(cx, ops::arange(end(0), end(1), end(2), dtype))
}

fn tensor_linspace(cx: &NativeCx<'_>) -> Outcome {
    let dtype = ret_dtype(cx)?;
    let (start, end) = (scalar_of(cx.arg(0)).to_f64(), scalar_of(cx.arg(1)).to_f64());
    answer(cx, ops::linspace(start, end, size(cx.int(2), "the number of values")?, dtype))
}

fn tensor_rand(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::rand(&shape_arg(cx, 0)?, seed_of(cx, cx.int(1)), ret_dtype(cx)?))
}

fn tensor_randn(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, ops::randn(&shape_arg(cx, 0)?, seed_of(cx, cx.int(1)), ret_dtype(cx)?))
}

fn tensor_randint(cx: &NativeCx<'_>) -> Outcome {
    let (low, high, shape) = (cx.int(0), cx.int(1), shape_arg(cx, 2)?);
    if low >= high {
        return Err(Fault::value(format!("no number is in {low}..{high}")));
    }
    let dtype = ret_dtype(cx)?;
    if !dtype.is_float() {
        for x in [low, high - 1] {
            let there = Tensor::scalar(x).to(dtype).and_then(|t| t.to(DType::I64)).map_err(fault)?;
            if there != Tensor::scalar(x) {
                return Err(Fault::value(format!("{x} of {low}..{high} is no {dtype}")));
            }
        }
    }
    // Made first: the kernels say when the shape is too large.
    let zeros = Tensor::zeros(&shape, DType::I64).map_err(fault)?;
    let mut rng = super::rng::Rng::new(seed_of(cx, cx.int(3)));
    let numbers: Vec<i64> = (0..zeros.numel()).map(|_| rng.int(low, high - 1)).collect();
    answer(cx, Tensor::from_vec(numbers, &shape))
}

fn tensor_shape(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::vec_of_scalars(cx.ret_type(), tensor(cx, 0).shape().iter().map(|&d| d as u64).collect()))
}

fn tensor_rank(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(tensor(cx, 0).rank() as i64))
}

fn tensor_numel(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(tensor(cx, 0).numel() as i64))
}

fn tensor_dtype(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(tensor(cx, 0).dtype().name()))
}

fn tensor_len(cx: &NativeCx<'_>) -> Outcome {
    let n = tensor(cx, 0).shape().first().copied();
    n.map(|n| Value::int(n as i64)).ok_or_else(|| Fault::shape("a tensor of rank 0 has no length"))
}

fn tensor_device(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(tensor(cx, 0).memory().map_or("cpu", |memory| memory.accelerator().name())))
}

/// What a program means by the name of a device: `None` is the processor. `gpu` falls back to it where there is none,
/// `opencl` asks for OpenCL.
pub(super) fn device_of(name: &str) -> Result<Option<Arc<dyn Accelerator>>, Fault> {
    let refuse =
        || Fault::value(format!("device {name:?} is none of \"cpu\", \"gpu\", \"gpu:N\", \"opencl\", \"opencl:N\""));
    let failed = |e: stark_opencl::Error| fault(TensorError::Device(e.to_string()));
    let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
    let number: usize = number.parse().map_err(|_| refuse())?;
    match kind {
        "cpu" => Ok(None),
        "gpu" => Ok(stark_opencl::gpu(number).map_err(failed)?.map(|device| device as Arc<dyn Accelerator>)),
        "opencl" => Ok(Some(stark_opencl::open(number).map_err(failed)?)),
        _ => Err(refuse()),
    }
}

/// Operations on the result run where it is.
fn tensor_to_device(cx: &mut NativeCx<'_>) -> NativeResult {
    let device = device_of(cx.str(1))?;
    let t = tensor(cx, 0);
    let is_there = match (&device, t.memory()) {
        (Some(device), Some(memory)) => Arc::ptr_eq(memory.accelerator(), device),
        (None, memory) => memory.is_none(),
        (Some(_), None) => false,
    };
    if is_there {
        let t = cx.take(0);
        return cx.return_value(t);
    }
    when_done(cx, |cx| match device_of(cx.str(1))? {
        Some(device) => answer(cx, tensor(cx, 0).to_accelerator(&device, false)),
        None => answer(cx, tensor(cx, 0).clone().to_host()),
    })
}

fn tensor_to(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).to(ret_dtype(cx)?))
}

fn tensor_contiguous(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).contiguous())
}

fn tensor_item(cx: &mut NativeCx<'_>) -> NativeResult {
    when_done(cx, item)
}

fn item(cx: &NativeCx<'_>) -> Outcome {
    let x = tensor(cx, 0).item().map_err(fault)?;
    Ok(Value::scalar(cx.ret_type(), slot_of(cx.ret_type(), x)))
}

fn tensor_at(cx: &mut NativeCx<'_>) -> NativeResult {
    when_done(cx, at)
}

fn at(cx: &NativeCx<'_>) -> Outcome {
    let x = tensor(cx, 0).at(&ints(cx.arg(1))).map_err(fault)?;
    Ok(Value::scalar(cx.ret_type(), slot_of(cx.ret_type(), x)))
}

fn tensor_to_vec(cx: &mut NativeCx<'_>) -> NativeResult {
    when_done(cx, to_vec)
}

fn to_vec(cx: &NativeCx<'_>) -> Outcome {
    let t = tensor(cx, 0);
    cx.reserve(t.numel().saturating_mul(8))?;
    Ok(Value::vec_of_scalars(cx.ret_type(), to_slots(t, cx.ret_type().elem())?))
}

fn tensor_to_nested(cx: &mut NativeCx<'_>) -> NativeResult {
    when_done(cx, to_nested)
}

fn to_nested(cx: &NativeCx<'_>) -> Outcome {
    let t = tensor(cx, 0);
    let (mut leaf, mut depth) = (cx.ret_type(), 0);
    while matches!(leaf.desc, TypeDesc::Vec(_)) {
        leaf = leaf.elem();
        depth += 1;
    }
    if depth != t.rank() {
        return Err(Fault::shape(format!("a tensor of rank {} as {:?}", t.rank(), cx.ret_type())));
    }
    cx.reserve(t.numel().saturating_mul(8))?;
    let slots = to_slots(t, leaf)?;
    if depth == 0 {
        return Ok(Value::scalar(leaf, slots[0]));
    }
    Ok(nest(cx.ret_type(), t.shape(), &slots))
}

fn nest(info: &'static TypeInfo, shape: &[usize], slots: &[u64]) -> Value {
    match shape {
        [_] => Value::vec_of_scalars(info, slots.to_vec()),
        [n, rest @ ..] => {
            let step: usize = rest.iter().product();
            Value::vec(info, (0..*n).map(|i| nest(info.elem(), rest, &slots[i * step..(i + 1) * step])))
        }
        [] => unreachable!("the depth was checked"),
    }
}

fn tensor_row(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).select(0, cx.int(1)))
}

fn tensor_rows(cx: &NativeCx<'_>) -> Outcome {
    let t = tensor(cx, 0);
    views(cx, size_of_axis(t, 0), || t.unbind(0))
}

fn tensor_reshape(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).reshape(&ints(cx.arg(1))))
}

fn tensor_permute(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).permute(&ints(cx.arg(1))))
}

fn tensor_t(cx: &NativeCx<'_>) -> Outcome {
    let t = tensor(cx, 0);
    answer(cx, if t.rank() > 2 { t.transpose(-2, -1) } else { t.t() })
}

fn tensor_transpose(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).transpose(cx.int(1), cx.int(2)))
}

fn tensor_squeeze_all(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).squeeze(&[]))
}

fn tensor_squeeze(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).squeeze(&[cx.int(1)]))
}

fn tensor_unsqueeze(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).unsqueeze(cx.int(1)))
}

fn tensor_expand(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).expand_sizes(&ints(cx.arg(1))))
}

fn tensor_flatten(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, tensor(cx, 0).flatten(cx.int(1), cx.int(2)))
}

/// The size of an axis; 0 for one that is not there, which the kernels refuse.
fn size_of_axis(t: &Tensor, axis: i64) -> usize {
    stark_shapes::rules::axis(axis, t.rank()).map_or(0, |axis| t.shape()[axis])
}

fn tensor_split(cx: &NativeCx<'_>) -> Outcome {
    let (t, part, axis) = (tensor(cx, 0), size(cx.int(1), "the size of a part")?, cx.int(2));
    views(cx, size_of_axis(t, axis).div_ceil(part.max(1)), || t.split(part, axis))
}

fn tensor_chunk(cx: &NativeCx<'_>) -> Outcome {
    let (t, n, axis) = (tensor(cx, 0), size(cx.int(1), "the number of parts")?, cx.int(2));
    views(cx, n.min(size_of_axis(t, axis)), || t.chunk(n, axis))
}

/// The view that an index makes; see `_tensor_index` in the library for `parts`.
fn view(t: &Tensor, parts: &[i64]) -> Result<Tensor, TensorError> {
    let mut view = t.clone();
    let mut axis = 0;
    for part in parts.chunks_exact(3) {
        if axis >= view.rank() {
            let shape = stark_shapes::show(t.shape());
            let n = parts.len() / 3;
            return Err(TensorError::Shape(stark_shapes::ShapeError(format!("{n} indices into shape {shape}"))));
        }
        match *part {
            [0, i, _] => view = view.select(axis as i64, i)?,
            [1, start, end] => {
                view = view.slice(axis as i64, start, end, 1)?;
                axis += 1;
            }
            _ => axis += 1,
        }
    }
    Ok(view)
}

fn tensor_index(cx: &NativeCx<'_>) -> Outcome {
    answer(cx, view(tensor(cx, 0), &ints(cx.arg(1))))
}

/// Writes into the part that `parts` name; the tensor is copied first when somebody else has it.
fn write(cx: &mut NativeCx<'_>, values: &Tensor) -> Outcome {
    let parts = ints(cx.arg(1));
    let mut value = cx.take(0);
    let written = value.opaque_mut::<Tensor>().assign(|t| view(t, &parts), values);
    drop(cx.replace(0, value));
    written.map_err(fault)?;
    Ok(Value::unit())
}

fn tensor_index_set(cx: &mut NativeCx<'_>) -> Outcome {
    let values = tensor(cx, 2).clone();
    write(cx, &values)
}

fn tensor_index_fill(cx: &mut NativeCx<'_>) -> Outcome {
    let dtype = tensor(cx, 0).dtype();
    let values = Tensor::full(&[], scalar_of(cx.arg(2)), dtype).map_err(fault)?;
    write(cx, &values)
}

/// The dtype of an element type's number; `None` for -1, any.
pub(super) fn dtype_of_code(code: i64) -> Option<DType> {
    ELEMS.iter().find(|e| **e as i64 == code).map(|&e| dtype_of_elem(e))
}

/// Sizes as checks take them: a negative one is any.
pub(super) fn sizes_of(dims: &[i64]) -> Vec<Symbolic> {
    dims.iter().map(|&d| usize::try_from(d).map_or(Symbolic::Unknown, Symbolic::from_usize)).collect()
}

fn tensor_check(cx: &mut NativeCx<'_>) -> Outcome {
    let (t, code, dims) = (tensor(cx, 0), cx.int(1), ints(cx.arg(2)));
    if let Some(wanted) = dtype_of_code(code)
        && wanted != t.dtype()
    {
        return Err(Fault::value(format!(
            "a Tensor<{wanted}> is asked for, but this is a Tensor<{}>; `.to({wanted})` converts",
            t.dtype()
        )));
    }
    if dims != [-2] {
        let have: Vec<Symbolic> = t.shape().iter().map(|&n| Symbolic::from_usize(n)).collect();
        stark_shapes::rules::fits(&have, &sizes_of(&dims)).map_err(|e| Fault::shape(e.to_string()))?;
    }
    let t = t.clone();
    Ok(Value::opaque(cx.ret_type(), t))
}

const ELEMS: [Elem; 10] = [
    Elem::Float16,
    Elem::BFloat16,
    Elem::Float32,
    Elem::Float64,
    Elem::Int8,
    Elem::UInt8,
    Elem::Int16,
    Elem::Int32,
    Elem::Int64,
    Elem::Bool,
];
