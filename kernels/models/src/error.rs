//! Why a model could not be loaded or run. Every variant says where.

use std::fmt;
use std::sync::Arc;

/// A line of the code inside a model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The model file, as it was named to `load`.
    pub file: Arc<str>,
    /// The code file inside the archive, for example `code/__torch__.py`.
    pub entry: Arc<str>,
    /// Counted from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}:{}", self.file, self.entry, self.line)
    }
}

/// An operator (or an argument of one) that the operator table does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownOperator {
    /// The name as the code spells it, for example `torch.fft_rfft`, and what is unknown about it.
    pub name: String,
    pub place: Place,
}

/// Why a model could not be loaded or run.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelError {
    /// The file could not be read.
    Io { file: Arc<str>, reason: String },
    /// The file is whole, as far as was looked, but not a model that can run; says what it is and what to do.
    NotAModel { file: Arc<str>, reason: String },
    /// The container is broken or refused.
    Archive { file: Arc<str>, entry: Option<String>, reason: String },
    /// A pickle is broken or asks for more than plain data.
    Pickle { file: Arc<str>, entry: Arc<str>, offset: usize, reason: String },
    /// The archived code is broken or outside the dialect.
    Code { place: Place, reason: String },
    /// Operators that this library does not have, all of them, in the order of the code.
    UnknownOperators { file: Arc<str>, operators: Vec<UnknownOperator> },
    /// An input does not fit the signature.
    Input { file: Arc<str>, input: String, reason: String },
    /// The device that the model runs on did not do its part.
    Device { file: Arc<str>, reason: String },
    /// An operator refused its arguments while the model ran.
    Run { operator: String, place: Place, reason: String },
    /// An operator would have brought all tensors together above their limit.
    Memory { operator: String, place: Place, reason: String },
    /// The model itself raised an exception.
    Raised { class: String, message: String, place: Place },
    /// The loops of the model took more steps than `predict` may spend.
    OutOfSteps { budget: u64, place: Place },
    /// Whoever ran it did not want the result any more.
    Stopped { place: Place },
    /// The result of the model is no tensor or tuple, list or dict of tensors.
    Output { file: Arc<str>, reason: String },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelError::Io { file, reason } => write!(f, "{file}: {reason}"),
            ModelError::NotAModel { file, reason } => write!(f, "{file}: {reason}"),
            ModelError::Archive { file, entry: Some(entry), reason } => write!(f, "{file}: entry `{entry}`: {reason}"),
            ModelError::Archive { file, entry: None, reason } => write!(f, "{file}: {reason}"),
            ModelError::Pickle { file, entry, offset, reason } => {
                write!(f, "{file}: entry `{entry}`, byte {offset}: {reason}")
            }
            ModelError::Code { place, reason } => write!(f, "{place}: {reason}"),
            ModelError::UnknownOperators { file, operators } => {
                write!(f, "{file}: {} unknown operator(s):", operators.len())?;
                for op in operators {
                    write!(f, "\n  {} at {}:{}", op.name, op.place.entry, op.place.line)?;
                }
                Ok(())
            }
            ModelError::Device { file, reason } => write!(f, "{file}: {reason}"),
            // Of all of them together.
            ModelError::Input { file, input, reason } if input == "*" => write!(f, "{file}: {reason}"),
            ModelError::Input { file, input, reason } => write!(f, "{file}: input `{input}`: {reason}"),
            ModelError::Run { operator, place, reason } | ModelError::Memory { operator, place, reason } => {
                write!(f, "{place}: {operator}: {reason}")
            }
            ModelError::Raised { class, message, place } => write!(f, "{place}: the model raised {class}: {message}"),
            ModelError::Stopped { place } => write!(f, "{place}: the model was stopped here"),
            ModelError::OutOfSteps { budget, place } => {
                write!(f, "{place}: the model took more than {budget} steps in its loops")
            }
            ModelError::Output { file, reason } => write!(f, "{file}: {reason}"),
        }
    }
}

impl std::error::Error for ModelError {}
