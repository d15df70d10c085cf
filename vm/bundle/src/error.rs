//! Why there is no bundle, or no asset.

use stark_bytecode::FormatError;
use std::fmt;

#[derive(Debug)]
pub enum BundleError {
    /// The operating system says no.
    Io { what: String, error: std::io::Error },
    /// The bytes are no file of this format.
    Format(FormatError),
    /// More than a limit allows.
    TooLarge {
        what: String,
        bytes: u64,
        limit: u64,
        /// What raises the limit, when something does.
        option: Option<&'static str>,
    },
    /// The bytes of an asset are not those that the bundle was made with.
    Damaged { asset: String, reason: String },
    /// A signature that is not right, or is missing where one is asked for.
    Signature(String),
    /// A key that cannot be read.
    Key(String),
    /// What was to be bundled does not fit together.
    Source(String),
}

impl BundleError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BundleError {
        let what = what.into();
        move |error| BundleError::Io { what, error }
    }
}

impl From<FormatError> for BundleError {
    fn from(error: FormatError) -> BundleError {
        BundleError::Format(error)
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::Io { what, error } => {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "there is no such file".to_string(),
                    _ => error.to_string(),
                };
                write!(f, "{what}: {}", why.split(" (os error").next().unwrap_or(&why).to_lowercase())
            }
            BundleError::Format(error) => error.fmt(f),
            BundleError::TooLarge { what, bytes, limit, option } => {
                write!(f, "{what} has {bytes} bytes, the limit is {limit}")?;
                option.map_or(Ok(()), |option| write!(f, "; `{option}` changes it"))
            }
            BundleError::Damaged { asset, reason } => write!(f, "asset `{asset}` is damaged: {reason}"),
            BundleError::Signature(reason) | BundleError::Key(reason) | BundleError::Source(reason) => {
                f.write_str(reason)
            }
        }
    }
}

impl std::error::Error for BundleError {}
