//! `parallel_tensor_map` of a scalar function as one kernel over whole tensors.
//!
//! The function's bytecode is lowered once to an expression (`lower`), which runs wherever the tensor is. A function that
//! is none, or whose run meets an element that it fails for, is called element by element by the library: it has no
//! effect before that, so nothing happens twice, and errors are those of the calls.

mod lower;

use crate::load::Func;
use crate::natives::{NativeCx, NativeResult, NativeRow, natives, tensor_fault};
use crate::types::TypeInfo;
use crate::value::Value;
use parking_lot::Mutex;
use stark_kernels::{Scalar, Tensor, accelerator};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) use lower::Source;

pub(crate) const TABLE: &[NativeRow] = natives! {
    /// `f` of every element; `None` when it has to be called for each.
    tensor_map_fused "<E, F>(fn(E) -> F, Tensor<E>) -> Option<Tensor<F>>";
};

/// A function over whole tensors, or why there is none.
pub(crate) struct Mapped {
    lowered: Result<lower::Lowered, String>,
    n_fused: AtomicU64,
    n_failed: AtomicU64,
    n_called: AtomicU64,
}

/// Functions that were given to `parallel_tensor_map`, the first of them; the rest go untold.
static MAPPED: Mutex<Vec<&'static Func>> = Mutex::new(Vec::new());
const MAX_TOLD: usize = 1000;

/// One line for each function given to `parallel_tensor_map` so far: what became of it, how often.
pub fn mapped_functions() -> Vec<String> {
    MAPPED.lock().iter().filter_map(|func| Some(func.mapped.get()?.tell(func))).collect()
}

impl Mapped {
    fn new(func: &'static Func, code: &'static crate::load::CodeSpace) -> Mapped {
        let mut told = MAPPED.lock();
        if told.len() < MAX_TOLD {
            told.push(func);
        }
        Mapped {
            lowered: lower::lower(func, code),
            n_fused: AtomicU64::new(0),
            n_failed: AtomicU64::new(0),
            n_called: AtomicU64::new(0),
        }
    }

    fn tell(&self, func: &'static Func) -> String {
        let mut line = lower::place_of(func, 0);
        match &self.lowered {
            Ok(lowered) => {
                let n = lowered.program.n_operations();
                let plural = if n == 1 { "" } else { "s" };
                let _ = write!(line, ": one kernel of {n} operation{plural}, ran {} times", self.n_fused.load(Relaxed));
                let failed = self.n_failed.load(Relaxed);
                if failed > 0 {
                    let _ = write!(line, "; {failed} times an element needed a call, so each was called");
                }
            }
            Err(reason) => {
                let n = self.n_called.load(Relaxed);
                let _ = write!(line, ": called for each element, {n} times: {reason}");
            }
        }
        line
    }
}

fn tensor_map_fused(cx: &mut NativeCx<'_>) -> NativeResult {
    let closure = cx.arg(0).closure();
    let program = cx.task.program();
    let func = program.code.funcs[closure.func as usize];
    let mapped = func.mapped.get_or_init(|| Mapped::new(func, program.code));
    let Ok(lowered) = &mapped.lowered else {
        mapped.n_called.fetch_add(1, Relaxed);
        return cx.return_none();
    };
    let number = |info: &'static TypeInfo, bits: u64| match info.number() {
        Some(kind) if kind.is_float() => Scalar::Float(f64::from_bits(bits)),
        _ => Scalar::Int(bits as i64),
    };
    let mut params = Vec::new();
    for source in &lowered.params {
        params.push(match *source {
            Source::Capture(i) => number(func.captures[i], closure.captures[i]),
            Source::Global(global) => match program.globals[global].get() {
                Some(&bits) => number(program.code.globals[global].1, bits),
                // The call will say what is missing.
                None => return cx.return_none(),
            },
        });
    }
    let input = cx.arg(1).opaque::<Tensor>();
    // An annotation may have been wrong about a bare `Tensor`: the calls convert.
    if input.dtype() != lowered.input {
        mapped.n_called.fetch_add(1, Relaxed);
        return cx.return_none();
    }
    let run = || lowered.program.run(&[input], &params, lowered.output);
    let result = accelerator::watch("parallel_tensor_map", [input].into_iter(), run, |_| true);
    let result = result.map_err(tensor_fault)?;
    if let Some(reason) = accelerator::take_fault() {
        return Err(tensor_fault(stark_kernels::TensorError::Device(reason)));
    }
    match result {
        Some(out) => {
            mapped.n_fused.fetch_add(1, Relaxed);
            let some = cx.sig.some.unwrap_or(0);
            let info = cx.ret_type().field(some, 0);
            cx.return_some(Value::opaque(info, out))
        }
        None => {
            mapped.n_failed.fetch_add(1, Relaxed);
            cx.return_none()
        }
    }
}
