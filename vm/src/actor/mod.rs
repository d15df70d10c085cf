//! Actors: a task with a state of its own and a mailbox, whose handlers run one message at a time.
//!
//! Read in this order: `inbox` (the mailbox), `outbox` (what a sender gathers for it), `cell` (what others may reach of an actor: references, messages,
//! answers), `body` (the life the scheduler runs), `body/turn` (hooks, handlers, what a failure leads to), `batch` (asks answered
//! together), `supervisor`, `circle` (asks that wait for each other), `natives` (what the library calls).
//!
//! The actor's identity is its [`ActorCell`]; a restart keeps the cell, the mailbox and the task, and begins again from
//! the first state. The state itself is reached only by the worker that runs the actor's task.

pub mod inbox;

mod outbox;

pub(crate) mod cell;

pub(crate) mod body;

mod batch;

mod circle;

mod supervisor;

pub(crate) mod natives;

pub(crate) use body::{Acting, ActorBody, Called};
pub(crate) use cell::{ActorCell, ActorRef, Envelope};
pub(crate) use circle::{Circles, Edge, wait_for};
pub(crate) use outbox::{end_gathering, has_gathered_nothing};
