//! Every interleaving of what tasks wait for: `wait`, `channel`, `result` and `lock` of the VM, compiled here against the
//! model checker. The VM itself, with all it depends on, is nothing that could be.
//!
//! The models are in `tests`. Run with `RUSTFLAGS="--cfg loom" cargo test --release -p stark-loom`. A wake that is lost is a deadlock, which the checker
//! reports with the interleaving that leads to it.
#![cfg(loom)]

#[allow(dead_code)]
#[path = "../../../vm/src/conc"]
pub mod conc {
    pub mod sync;

    pub mod wait;

    pub mod channel;

    pub mod result;

    pub mod lock;
}

pub mod task;
