//! Packages: a folder with a `stark.toml`, the packages it depends on, and where each module's file lies.
//!
//! `manifest` reads one `stark.toml`; `project` follows its dependencies; `modules` says which file `import a.b` means
//! in which package; `assets` finds what a bundle takes along; `limits` names what a run may be limited in; `lock` keeps what the dependencies were in `stark.lock`. Problems in a manifest are diagnostics
//! with places, like problems in a program.

mod assets;
mod limits;
mod manifest;
mod project;

mod lock;
mod modules;

pub use assets::{AssetFile, MAX_ASSETS};
pub use limits::{Limit, size};
pub use lock::{LOCK_NAME, Lock};
pub use manifest::{Asset, Dependency, MANIFEST_NAME, Manifest, is_package_name};
pub use project::{Package, Project, Refusal};

/// Packages of one project. Far above what people wire by hand.
pub const MAX_PACKAGES: usize = 1024;

/// Bytes of a `stark.toml` or `stark.lock`.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Source files of one package that `stark.lock` covers.
pub const MAX_PACKAGE_FILES: usize = 65_536;

/// Bytes of one source file.
pub const MAX_SOURCE_BYTES: u64 = 1 << 31;

/// Reads a text of at most `limit` bytes; what is wrong as a phrase.
fn read_text(path: &std::path::Path, limit: u64) -> Result<String, String> {
    use std::io::Read;
    let words = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        _ => error.to_string(),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(words)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > limit {
        return Err(format!("it is larger than the limit of {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|e| format!("it is not UTF-8 text (byte {})", e.utf8_error().valid_up_to()))
}
