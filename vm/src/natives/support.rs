//! What the files of natives share: rows for functions that answer with a value, and small readers of arguments.

use super::{NativeCx, NativeResult};
use crate::fault::Fault;
use crate::task::WaitReason;
use crate::value::Value;
use compact_str::CompactString;
use parking_lot::Mutex;
use stark_kernels::Tensor;
use std::sync::Arc;

/// What most natives come to: a value of the declared result type, or a fault.
pub(super) type Outcome = Result<Value, Fault>;

/// Has the task woken when what a device computes for one of `tensors` is done: how to suspend until then. `None`: elements
/// can be looked at now.
///
/// A native that waits for a device does not count as suspending: how long it takes depends on nobody but the device, as with
/// a kernel on the processor. So it may be called under a guard.
pub(super) fn until_done(cx: &NativeCx<'_>, tensors: &[Tensor]) -> Option<(WaitReason, u64)> {
    let device = tensors.iter().find_map(|tensor| tensor.memory())?.accelerator().name();
    let number = device.rsplit_once(':').and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
    // Under a seed nothing outside may choose who runs next.
    let scheduler = cx.task.program().scheduler().filter(|_| cx.task.program().options.seed.is_none())?;
    let me = cx.task.me()?;
    let waits = tensors.iter().any(|tensor| {
        let (me, external) = (me.clone(), scheduler.external());
        tensor.when_done(move || {
            me.wake();
            drop(external);
        })
    });
    waits.then_some((WaitReason::Device, number))
}

/// Answers with what `native` finds among the elements of the tensor in the first argument; the task waits until they are there.
pub(super) fn when_done(cx: &mut NativeCx<'_>, native: fn(&NativeCx<'_>) -> Outcome) -> NativeResult {
    if let Some((reason, device)) = until_done(cx, std::slice::from_ref(cx.opaque::<Tensor>(0))) {
        return cx.suspend(reason, device, ());
    }
    let value = native(cx)?;
    cx.return_value(value)
}

/// Rows like those of `natives!`, for functions from `&NativeCx` (or `&mut`) to `Outcome`.
macro_rules! answers {
    ($( $name:ident $scheme:literal $($capability:ident)?; )*) => {
        &[$( $crate::natives::NativeRow {
            name: stringify!($name),
            scheme: $scheme,
            suspends: false,
            gathers: false,
            capability: answers!(@capability $($capability)?),
            carried: answers!(@carried $($capability)?),
            func: |cx| {
                let value = $name(cx)?;
                cx.return_value(value)
            },
        } ),*]
    };
    (@capability) => { None };
    (@capability Assets) => { Some($crate::natives::Capability::Files) };
    (@capability Tokenizer) => { Some($crate::natives::Capability::Files) };
    (@capability $capability:ident) => { Some($crate::natives::Capability::$capability) };
    (@carried Assets) => { Some($crate::natives::asset::path_is_carried) };
    (@carried Tokenizer) => { Some($crate::natives::asset::tokenizer_is_carried) };
    (@carried $($capability:ident)?) => { None };
}
pub(super) use answers;

/// `Some(value)` or `None` of the result type.
pub(super) fn option(cx: &NativeCx<'_>, value: Option<Value>) -> Value {
    let variant = |known: Option<u16>| known.unwrap_or_else(|| panic!("{:?} is no Option", cx.ret_type()));
    match value {
        Some(value) => Value::variant(cx.ret_type(), variant(cx.sig.some), [value]),
        None => Value::variant(cx.ret_type(), variant(cx.sig.none), []),
    }
}

/// A `Vec` of the result type with these texts.
pub(super) fn texts<S: Into<CompactString>>(cx: &NativeCx<'_>, texts: impl IntoIterator<Item = S>) -> Value {
    Value::vec(cx.ret_type(), texts.into_iter().map(|text| Value::str(text)))
}

/// The positions `start..end` of a slice; `i64::MAX` as `end` stands for the length. Throws `IndexError`.
pub(super) fn slice_range(start: i64, end: i64, len: usize, what: &str) -> Result<std::ops::Range<usize>, Fault> {
    let end = if end == i64::MAX { len as i64 } else { end };
    if start < 0 || end < start || end > len as i64 {
        let wrong = if start < 0 || start > len as i64 { start } else { end };
        if wrong == end && end < start && start >= 0 && start <= len as i64 && end >= 0 {
            return Err(Fault::new(
                crate::fault::FaultKind::IndexError,
                format!("slice {start}..{end} of a {what} ends before it starts"),
            ));
        }
        return Err(Fault::index(wrong, what, len));
    }
    Ok(start as usize..end as usize)
}

/// A size that the program gave: not negative.
pub(super) fn size(n: i64, what: &str) -> Result<usize, Fault> {
    usize::try_from(n).map_err(|_| Fault::value(format!("{what} {n} is negative")))
}

/// Answers through `job`, which may hold its thread (files, network, loading): it runs on the blocking pool while the task
/// waits for `reason`. `begin` reads the arguments, `answer` makes the value from what the job found.
pub(super) fn blocking<R, J>(
    cx: &mut NativeCx<'_>,
    reason: WaitReason,
    begin: impl FnOnce(&NativeCx<'_>) -> Result<J, Fault>,
    answer: impl FnOnce(&NativeCx<'_>, R) -> Outcome,
) -> NativeResult
where
    R: Send + 'static,
    J: FnOnce() -> R + Send + 'static,
{
    /// Where the job leaves what it found; the error is a panic.
    type Slot<R> = Arc<Mutex<Option<Result<R, String>>>>;
    let slot = match cx.resumed::<Slot<R>>() {
        Some(slot) => slot,
        None => {
            let job = begin(cx)?;
            let slot: Slot<R> = Slot::default();
            let theirs = slot.clone();
            let job = move || crate::panics::catch(job);
            match (cx.task.program().scheduler(), cx.task.me()) {
                (Some(scheduler), Some(me)) => {
                    let begun = scheduler.spawn_blocking(move || {
                        let found = job();
                        *theirs.lock() = Some(found);
                        me.wake();
                    });
                    begun.map_err(|e| Fault::io(format!("no thread for work that blocks: {e}")))?;
                }
                // A machine that runs alone has nobody to disturb.
                _ => *slot.lock() = Some(job()),
            }
            slot
        }
    };
    let found = slot.lock().take();
    match found {
        Some(Ok(found)) => {
            let value = answer(cx, found)?;
            cx.return_value(value)
        }
        Some(Err(panic)) => Err(Fault::internal(panic)),
        None => cx.suspend(reason, 0, slot),
    }
}
