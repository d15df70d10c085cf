//! Bundles: a program with its models, tokenizers and data in one file, checked and signed.
//!
//! The container is `stark_bytecode::format`; here is what reads and writes it. [`Bundle::open`] reads everything but the
//! assets, [`Assets`] finds them when the program asks: mapped where they lie, held against their hashes before their first
//! use. [`write()`] makes a bundle, [`sign`] has keys and signatures, [`standalone`] a program that carries its bundle.
//!
//! Nothing is ever unpacked to a folder, so no name in a bundle becomes a path of this machine.

mod assets;
mod digest;
mod error;
mod read;
pub mod sign;
pub mod standalone;
mod write;

pub use assets::{Assets, DEFAULT_ASSET_LIMIT, Found};
pub use error::BundleError;
pub use read::{Bundle, MAX_HEAD};
pub use sign::{PublicKey, SecretKey};
pub use write::{Source, write};
