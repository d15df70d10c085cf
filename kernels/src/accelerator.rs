//! Devices beside the processor: what one must offer, and how operations reach it.
//!
//! An operation runs where its operands are. A tensor may have its elements in the memory of an accelerator, beside
//! or instead of the host's; an operation with such an operand is offered to that accelerator as a [`Kernel`], and
//! its result stays there. What the accelerator has no kernel for is computed by the processor: the elements are
//! fetched when they are first looked at. Each fetch, and each operation that a device passed on, is counted.
//!
//! Reading elements cannot fail in the signature of a kernel on the processor. So a device that fails at it is
//! remembered by the thread, and [`take_fault`] gives the reason to whoever started the operation.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use stark_shapes::{Conv, DType, Pool};

use crate::cpu::activation::Activation;
use crate::element::Scalar;
use crate::error::{Result, TensorError};
use crate::fused::Program;
use crate::ops::Average;
use crate::tensor::Tensor;

/// A block of an accelerator's memory; given back when it is dropped.
pub trait Memory: Send + Sync + Any {
    fn accelerator(&self) -> &Arc<dyn Accelerator>;
    /// Fills `into`, as long as the block, once all work queued before is done.
    fn read(&self, into: &mut [u8]) -> Result<(), String>;
    /// Fills `into` from the byte `at` on, likewise. `None`: so much was asked for that the whole block is better read.
    fn peek(&self, at: usize, into: &mut [u8]) -> Option<Result<(), String>>;
    /// Has `then` called, by any thread, once a `read` need not wait for work any more. `false`, and no call: it need not
    /// now, or nobody can call.
    fn when_done(&self, then: Box<dyn FnOnce() + Send>) -> bool;
}

/// What computes beside the processor.
pub trait Accelerator: Send + Sync {
    /// As `--device` takes it.
    fn name(&self) -> &str;
    /// A block that holds `bytes`. A `constant` is used many times, so whatever makes that faster may be kept with it.
    fn upload(self: Arc<Self>, bytes: &[u8], constant: bool) -> Result<Arc<dyn Memory>>;
    /// Queues `kernel`; `None` when there is none for these operands.
    fn run(self: Arc<Self>, kernel: &Kernel<'_>) -> Result<Option<Tensor>>;
    /// An operation on the device's tensors was computed by the processor.
    fn note_host(&self, operation: &'static str);
    /// Something was left to the processor since the device has no memory for it.
    fn note_full(&self);
    fn statistics(&self) -> Statistics;
}

/// What an accelerator did since it was opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    pub n_kernels: u64,
    pub n_uploads: u64,
    pub uploaded_bytes: u64,
    pub n_downloads: u64,
    pub downloaded_bytes: u64,
    /// Device memory: what tensors hold now, what they held at most, and what is kept for the next ones.
    pub used_bytes: u64,
    pub peak_bytes: u64,
    pub kept_bytes: u64,
    /// Kernels and tensors that were left to the processor since there was no memory for them.
    pub n_full: u64,
    /// Nanoseconds in which kernels ran: the sum over `kernels`.
    pub busy_ns: u64,
    /// The longest first.
    pub kernels: Vec<KernelTime>,
    /// Operations that the processor computed, and how often, the most frequent first.
    pub on_host: Vec<(&'static str, u64)>,
}

/// What one kernel took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KernelTime {
    pub name: String,
    /// How often it was queued.
    pub n: u64,
    /// In all, by the times of some.
    pub ns: u64,
}

/// A piece of work with its operands; shapes and dtypes were checked.
pub enum Kernel<'a> {
    /// `name` of the elements at each place of `shape`, to which the inputs broadcast, computed in their own dtype.
    Map {
        name: &'static str,
        inputs: &'a [&'a Tensor],
        params: &'a [f64],
        shape: &'a [usize],
        dtype: DType,
    },
    /// An expression over the elements at each place of `shape`, to which the inputs broadcast.
    Fused {
        program: &'a Program,
        inputs: &'a [&'a Tensor],
        params: &'a [Scalar],
        shape: &'a [usize],
        dtype: DType,
    },
    /// `name` of each run of `n` elements of `x`, which is row-major; the result has `shape`.
    Reduce {
        name: &'static str,
        x: &'a Tensor,
        n: usize,
        params: &'a [f64],
        shape: &'a [usize],
        dtype: DType,
    },
    /// `name` of each run of `n` elements of `x`, which is row-major, giving as many.
    Rows {
        name: &'static str,
        x: &'a Tensor,
        n: usize,
        weight: Option<&'a Tensor>,
        bias: Option<&'a Tensor>,
        eps: f64,
    },
    /// Matrices or stacks of them whose leading axes broadcast to those of `shape`.
    Product {
        a: &'a Tensor,
        b: &'a Tensor,
        shape: &'a [usize],
        finish: Finish<'a>,
    },
    /// `x [n, c, h, w]`, `weight [o, c / groups, kh, kw]`; the bias is one number a channel of the result.
    Conv {
        x: &'a Tensor,
        weight: &'a Tensor,
        windows: [Conv; 2],
        groups: usize,
        shape: &'a [usize],
        finish: Finish<'a>,
    },
    MaxPool {
        x: &'a Tensor,
        windows: [Pool; 2],
        shape: &'a [usize],
    },
    MeanPool {
        x: &'a Tensor,
        windows: [Pool; 2],
        average: Average,
        shape: &'a [usize],
    },
    /// Means or maxima over a grid of pieces.
    AdaptivePool {
        x: &'a Tensor,
        is_max: bool,
        shape: &'a [usize],
    },
    Attend(Attend<'a>),
    /// Axis `axis` of `x` replaced by `places`, each inside it.
    Take {
        x: &'a Tensor,
        axis: usize,
        places: &'a [usize],
        shape: &'a [usize],
    },
    /// One after the other along `axis`, all of `dtype`.
    Cat {
        parts: &'a [Tensor],
        axis: usize,
        shape: &'a [usize],
        dtype: DType,
    },
}

/// `softmax(q @ kᵀ · scale + mask) @ v`: the leading axes of `q [.., l, e]`, `k [.., s, e]`, `v [.., s, w]` and of the mask
/// `[.., l, s]` broadcast to those of `shape`.
#[derive(Clone, Copy)]
pub struct Attend<'a> {
    pub q: &'a Tensor,
    pub k: &'a Tensor,
    pub v: &'a Tensor,
    /// Bool, true where a key is seen, or of the dtype of the others and added.
    pub mask: Option<&'a Tensor>,
    pub scale: f32,
    /// A query sees no later key.
    pub causal: bool,
    /// What a query has that sees no key.
    pub unseen: f32,
    pub shape: &'a [usize],
}

/// What follows a product in the same pass.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// One number a column of a product, a channel of a convolution.
    pub bias: Option<&'a Tensor>,
    /// Of the result's shape.
    pub added: Option<&'a Tensor>,
    pub activation: Activation,
}

thread_local! {
    /// Kernels that this thread queued.
    static N_QUEUED: Cell<u64> = const { Cell::new(0) };
    static FAULT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Why a device did not give back elements that this thread asked for, since this was asked last.
pub fn take_fault() -> Option<String> {
    FAULT.take()
}

pub(crate) fn note_fault(reason: String) {
    FAULT.with_borrow_mut(|fault| {
        fault.get_or_insert(reason);
    });
}

/// The accelerator that has an operand; none on the reference device, which holds accelerators against plain loops.
pub(crate) fn of<'a>(operands: impl IntoIterator<Item = &'a Tensor>) -> Option<Arc<dyn Accelerator>> {
    if crate::device::is_reference() {
        return None;
    }
    operands.into_iter().find_map(|t| t.memory().map(|memory| memory.accelerator().clone()))
}

/// Offers a kernel to the accelerator that has one of `operands`.
pub(crate) fn offer<'a>(
    operands: impl IntoIterator<Item = &'a Tensor>,
    kernel: impl FnOnce() -> Kernel<'a>,
) -> Result<Option<Tensor>> {
    match of(operands) {
        Some(accelerator) => run(accelerator, &kernel()),
        None => Ok(None),
    }
}

/// `None` when the processor has to do it: the accelerator has no such kernel, or no memory for what it would make.
fn run(accelerator: Arc<dyn Accelerator>, kernel: &Kernel<'_>) -> Result<Option<Tensor>> {
    match accelerator.clone().run(kernel) {
        Ok(Some(out)) => {
            N_QUEUED.set(N_QUEUED.get() + 1);
            Ok(Some(out))
        }
        Err(TensorError::DeviceMemory(_)) => {
            accelerator.note_full();
            Ok(None)
        }
        other => other,
    }
}

/// An element-by-element kernel, when an operand is on an accelerator.
pub(crate) fn map(name: &'static str, inputs: &[&Tensor], params: &[f64], dtype: DType) -> Result<Option<Tensor>> {
    let Some(accelerator) = of(inputs.iter().copied()) else { return Ok(None) };
    let mut shape: stark_shapes::Shape = inputs[0].shape().into();
    for input in &inputs[1..] {
        shape = stark_shapes::rules::broadcast(&shape, input.shape())?;
    }
    run(accelerator, &Kernel::Map { name, inputs, params, shape: &shape, dtype })
}

/// Runs an operation of a model: tells the accelerator of `operands` when the processor computed it.
pub fn watch<'a, R>(
    operation: &'static str,
    operands: impl Iterator<Item = &'a Tensor>,
    work: impl FnOnce() -> R,
    makes_host_tensor: impl FnOnce(&R) -> bool,
) -> R {
    let Some(accelerator) = of(operands) else { return work() };
    let before = N_QUEUED.get();
    let result = work();
    if N_QUEUED.get() == before && makes_host_tensor(&result) {
        accelerator.note_host(operation);
    }
    result
}
