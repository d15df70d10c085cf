//! What a running program tells of itself, for the VM that gathers it and the tools that read it.
//!
//! Read in this order: [`model`] is a recording, [`file`] its form on disk, [`status`] what can be asked of a program
//! without recording, [`wire`] how both travel, [`socket`] where a running program is reached and by whom.

pub mod model;

pub mod file;

pub mod status;

pub mod wire;

pub mod socket;

pub use model::Profile;
