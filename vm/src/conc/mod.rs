//! Concurrency: what the interpreter asks of it.

use crate::fault::Fault;
use crate::load::Func;
use crate::natives::{NativeCx, NativeResult, NativeRow};
use crate::task::TaskCx;
use crate::types::TypeInfo;
use crate::value::Value;

/// `await_task`: a suspending native with the future or handle as its only argument.
pub(crate) static AWAIT: NativeRow =
    NativeRow { name: "await", scheme: "<T>(_) -> T", suspends: true, capability: None, func: await_task };

fn await_task(_: &mut NativeCx<'_>) -> NativeResult {
    Err(Fault::internal("this runtime was built without tasks"))
}

/// Starts a task that runs `func(args…)`; the result is its handle, of type `handle`.
pub(crate) fn spawn(
    _: &mut TaskCx,
    _: &'static Func,
    _: Vec<Value>,
    _: &'static TypeInfo,
) -> Result<Value, Fault> {
    Err(Fault::internal("this runtime was built without tasks"))
}
