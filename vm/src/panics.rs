//! Panics that are caught: a bug of the runtime's own ends one task with an `InternalError` that says where it is.
//!
//! Rust's hook writes to standard error before anybody can catch a panic. What happens inside `catch` becomes an error
//! of the program instead, so the hook installed here keeps its place for that error and leaves all others to the hook
//! that was there before.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// How many calls of `catch` are under way.
    static N_CATCHING: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic inside one was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on panics inside `catch` are not written to standard error.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let outer = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A thread that is ending has nothing left to ask.
            if N_CATCHING.try_with(Cell::get).unwrap_or(0) == 0 {
                return outer(info);
            }
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
            let _ = PLACE.try_with(|last| last.replace(place));
        }));
    });
}

/// Runs `work`; a panic in it becomes a sentence.
#[inline(always)]
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    N_CATCHING.set(N_CATCHING.get() + 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    N_CATCHING.set(N_CATCHING.get() - 1);
    outcome.map_err(|panic| sentence(&*panic))
}

#[cold]
fn sentence(panic: &(dyn Any + Send)) -> String {
    let place = PLACE.with_borrow_mut(Option::take).map(|place| format!(" ({place})")).unwrap_or_default();
    format!("a bug in STARK's runtime: {}{place}", text(panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_sentence_with_its_place() {
        install_hook();
        let caught = catch(|| panic!("nothing {}", "here"));
        let text = caught.err().unwrap_or_default();
        assert!(text.contains("nothing here") && text.contains("panics.rs:"), "{text}");
        assert_eq!(catch(|| 1), Ok(1));
    }
}
