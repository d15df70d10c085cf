//! Concurrency: what tasks, channels, actors and zones are made of.
//!
//! The bottom knows neither values nor the interpreter: `wait` (how a task waits for one of several things), `channel`,
//! `broadcast`, `result` and `lock` (what it may wait for), `stats` and `restart` (what actors and supervisors count).
//! `sync` swaps in the model checker for the first of these.

pub(crate) mod sync;

pub mod wait;

pub mod channel;

pub mod broadcast;

pub mod result;

pub mod lock;

pub mod stats;

pub mod restart;

/// Where a task, or whoever answers later, leaves its result.
pub mod promise;

/// Tasks as the language sees them.
pub mod tasks;

/// One thing to wait for, and the wait for the first of several.
pub(crate) mod arm;

/// Channels as natives.
pub mod channels;

/// Broadcast channels as natives.
pub mod broadcasts;

/// `select` as natives.
pub mod select;

/// Shared zones as natives.
pub mod zones;

pub(crate) use tasks::{AWAIT, spawn};
