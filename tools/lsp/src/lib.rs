//! STARK's language server: `stark lsp` over standard input and output.
//!
//! Three threads: two read and write messages (`transport`), so that an editor never waits while it sends; one does the work
//! (`server`). It takes in everything that has arrived before it answers or analyses, so only the newest texts are looked at and
//! what was cancelled is not begun. An answer belongs to the newest text; one that would change a text that has changed since is
//! refused instead.
//!
//! Read next: `server`, `project` (which files belong to a program), `requests` (one file a request).

mod position;
mod project;
mod requests;
mod scope;
mod server;
mod std_sources;
mod transport;
mod uri;

pub use project::ReadModel;
pub use server::{Ended, Options, run};
