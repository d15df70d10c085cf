//! Natives: what the standard library may call in Rust, and nothing else is native.
//!
//! Each file below holds one `TABLE`; a row is a native's name, its scheme (the types it accepts, checked against every
//! import when a module is loaded), whether it may suspend, the capability it needs, and its function. A new native is
//! a row, a function, and a declaration in `std/`; see `io` for the smallest examples.
//!
//! # Writing one
//!
//! ```text
//! pub(super) const TABLE: &[NativeRow] = natives! {
//!     /// Puts `value` at position `idx`; what was there and behind moves up.
//!     vec_insert "<T>(&mut Vec<T>, Int, T) -> ()";
//!     fs_read_text "(String) -> String" [suspends, Files];
//! };
//!
//! fn vec_insert(cx: &mut NativeCx<'_>) -> NativeResult {
//!     let (idx, value) = (cx.int(1), cx.take(2));
//!     let vec = cx.vec_mut(0);
//!     match usize::try_from(idx) {
//!         Ok(i) if i <= vec.len() => vec.insert(i, value),
//!         _ => return Err(Fault::index(idx, "Vec", vec.len())),
//!     }
//!     cx.return_unit()
//! }
//! ```
//!
//! - Arguments are read with `cx.int(i)`, `cx.str(i)`, `cx.arg(i)`; `cx.take(i)` moves one out. What is not taken is dropped after the call.
//! - A `&mut` parameter is changed in place (`cx.vec_mut(i)`, `cx.replace(i, value)`); what is in it afterwards goes home to the caller. The
//!   `*_mut` accessors copy first when the storage is shared.
//! - A native that makes much at once calls `cx.reserve(bytes)?` first, so that a silly size is an `OutOfMemoryError`.
//! - **Suspending.** A native that must wait registers a waker for `cx.task`, then ends with `cx.suspend(reason, detail, state)`. When the
//!   task is woken *the same function is called again* with the same arguments, and `cx.resumed::<State>()` gives the state back (on the first
//!   call it is `None`). It may suspend again: wake-ups may be spurious. Arguments that were taken stay taken, so keep them in the
//!   state. When the task is cancelled meanwhile, the function is not called again: the state is dropped (so its `Drop` unregisters)
//!   and `CancelledError` is thrown.
//! - A panic ends the task with `InternalError`, so an assertion is fine for what the scheme already promises.

pub(crate) mod asset;
mod collection;
mod csv;
pub(crate) mod cx;
mod encoding;
mod errors;
mod file;
mod format;
pub mod http;
mod image;
mod io;
mod json;
mod log;
mod model;
mod model_values;
mod number;
mod regex;
pub(crate) mod rng;
pub mod scheme;
mod sizes;
mod string;
mod support;
mod system;
mod tensor;
mod tensor_nn;
mod tensor_ops;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod work;

pub use cx::NativeCx;
pub(crate) use tensor::{dtype_of, fault as tensor_fault};

use crate::fault::Fault;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What a native answers when it did not fault: it has set its result, or said what it waits for. Which of the two its context
/// knows, so that the answer is one word.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered(());

pub type NativeResult = Result<Answered, Fault>;
pub type NativeFn = fn(&mut NativeCx<'_>) -> NativeResult;

/// What the host may withhold from a program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Capability {
    Files,
    Network,
    Environment,
    Process,
}

impl Capability {
    pub const ALL: [Capability; 4] =
        [Capability::Files, Capability::Network, Capability::Environment, Capability::Process];
    /// As `--allow` and `--deny` write it.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Files => "files",
            Capability::Network => "network",
            Capability::Environment => "environment",
            Capability::Process => "process",
        }
    }
}

/// One row of the natives table.
pub struct NativeRow {
    pub name: &'static str,
    pub scheme: &'static str,
    pub suspends: bool,
    /// It adds to what its task gathers for a mailbox, which any other native is called after.
    pub gathers: bool,
    pub capability: Option<Capability>,
    /// Whether a call only reads what the program carries itself, which needs no capability.
    pub carried: Option<fn(&NativeCx<'_>) -> bool>,
    pub func: NativeFn,
}

/// Rows `name "scheme" [flags];` for functions of the same names in scope; flags are `suspends`, `gathers`, capabilities, and
/// `Assets`: `Files` for the path in its first argument, but for the program's own assets.
macro_rules! natives {
    ($( $(#[$doc:meta])* $name:ident $scheme:literal $([$($flag:ident),* $(,)?])?; )*) => {
        &[$( {
            #[allow(unused_mut)]
            let mut row = $crate::natives::NativeRow {
                name: stringify!($name),
                scheme: $scheme,
                suspends: false,
                gathers: false,
                capability: None,
                carried: None,
                func: $name,
            };
            $($( natives!(@flag row $flag); )*)?
            row
        } ),*]
    };
    (@flag $row:ident suspends) => { $row.suspends = true };
    (@flag $row:ident gathers) => { $row.gathers = true };
    (@flag $row:ident Assets) => {
        $row.capability = Some($crate::natives::Capability::Files);
        $row.carried = Some($crate::natives::asset::path_is_carried);
    };
    (@flag $row:ident $capability:ident) => { $row.capability = Some($crate::natives::Capability::$capability) };
}
pub(crate) use natives;

/// All tables. A new file of natives is a line here.
const TABLES: &[&[NativeRow]] = &[
    crate::conc::tasks::TABLE,
    crate::conc::channels::TABLE,
    crate::conc::broadcasts::TABLE,
    crate::conc::select::TABLE,
    crate::conc::zones::TABLE,
    crate::actor::natives::TABLE,
    crate::session::TABLE,
    io::TABLE,
    collection::TABLE,
    number::TABLE,
    string::TABLE,
    system::TABLE,
    csv::TABLE,
    errors::TABLE,
    json::TABLE,
    encoding::TABLE,
    regex::TABLE,
    file::TABLE,
    log::TABLE,
    sizes::TABLE,
    tensor::TABLE,
    tensor::LOOKS,
    model::PREDICT,
    tensor_ops::TABLE,
    http::TABLE,
    image::TABLE,
    model::TABLE,
    tensor_nn::TABLE,
    crate::mapped::TABLE,
];

/// Every native there is.
pub fn all() -> impl Iterator<Item = &'static NativeRow> {
    TABLES.iter().copied().flatten()
}

/// The native called `name`.
pub fn find(name: &str) -> Option<&'static NativeRow> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static NativeRow>> = OnceLock::new();
    BY_NAME.get_or_init(|| all().map(|row| (row.name, row)).collect()).get(name).copied()
}

/// Why this call may not be: the one place where capabilities are enforced.
pub(crate) fn refusal(row: &NativeRow, cx: &NativeCx<'_>) -> Option<Fault> {
    let capability = row.capability?;
    let program = cx.task.program();
    if !program.is_denied(capability) {
        return None;
    }
    // Looked at on the first call only: a native that waited may have taken its arguments.
    if row.carried.is_some_and(|carried| cx.resume.is_some() || carried(cx)) {
        return None;
    }
    Some(denied(row, program))
}

#[cold]
fn denied(row: &NativeRow, program: &crate::program::Program) -> Fault {
    let capability = row.capability.map_or("", Capability::name);
    let given = row.capability.is_some_and(|capability| !program.options.denied.contains(&capability));
    let message = if given {
        format!(
            "`{}` cannot run under a seed: what the {capability} answers, and when, does not follow from it",
            row.name
        )
    } else {
        format!(
            "`{}` needs the capability `{capability}`, which this program was not given; `stark run --allow {capability}` gives it",
            row.name
        )
    };
    Fault::new(crate::fault::FaultKind::PermissionError, message)
}

#[cfg(test)]
mod table {
    use super::*;

    #[test]
    fn every_scheme_reads_and_every_name_is_taken_once() {
        let mut seen = std::collections::HashSet::new();
        for row in all() {
            assert!(seen.insert(row.name), "{} is there twice", row.name);
            scheme::Scheme::parse(row.scheme).unwrap_or_else(|e| panic!("{}: {e}", row.name));
        }
    }
}
