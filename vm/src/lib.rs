//! STARK's virtual machine: values, heaps, interpreter, actors and natives.
//!
//! Read in this order: `types` and `value` (what a slot is), `heap` (objects, counting, moving between tasks),
//! `structural` (show, equality, order, hash), `fault` and `trace`, `natives` (what the library calls), `program` and `task`.

mod actor;
pub mod capabilities;
pub mod conc;
pub mod fault;
pub mod heap;
pub mod inject;
mod interp;
pub mod jit;
mod lend;
mod load;
mod mapped;
pub mod natives;
pub mod observe;
mod panics;
pub mod program;
pub mod runtime;
pub mod session;
mod spare;
pub mod structural;
pub mod task;
pub mod trace;
pub mod types;
pub mod value;

pub use fault::{Fault, FaultKind};
pub use heap::{Opaque, Parcel, copies_on_write, meter::in_use as bytes_in_use};
pub use interp::{Interrupt, Machine, TaskEnd, Turn};
pub use load::{CodeSpace, LoadError, load, load_uncounted};
pub use mapped::mapped_functions;
pub use program::{Console, Options};
pub use types::{TypeInfo, Types};
pub use value::{Value, ValueRef};

/// The schedules of the deterministic twin.
pub use stark_scheduler::{Choices, schedule};

pub use runtime::{Ended, Runtime, StartError};
