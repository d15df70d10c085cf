//! The OpenCL backend: devices found at run time, kernels compiled for each, tensors in their memory.
//!
//! [`devices`] lists what there is; [`open`] gives one as a [`stark_kernels::accelerator::Accelerator`], the same one
//! for every caller. Work is queued and not waited for, until elements are read. Kernels are of `cl/*.cl`, where
//! it matters in two families: long loops for each item on processors, groups with local memory on devices beside them.
//!
//! All use of `ocl` is in `driver`.

mod attend;
mod cache;
mod driver;
mod engine;
mod fused;
mod local;
mod map;
mod moves;
mod pool;
mod product;
mod rows;
mod window;

use std::sync::{Arc, Mutex, PoisonError};

pub use driver::{DeviceInfo, devices};
pub use engine::{Family, OpenCl};
pub use stark_opencl_late::Absent;

/// What went wrong beside the kernels' own checks.
#[derive(Debug, Clone)]
pub enum Error {
    Absent(Absent),
    /// A device of this number is not there.
    NoDevice {
        index: usize,
        n: usize,
    },
    /// What OpenCL said.
    Device(String),
    /// The limit of device memory.
    Memory {
        bytes: u64,
        used: u64,
        limit: u64,
    },
    /// A setting in the environment that means nothing.
    Setting(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Absent(why) => why.fmt(f),
            Error::NoDevice { index, n } => {
                write!(f, "there is no OpenCL device {index}; the last one is {}", n.saturating_sub(1))
            }
            Error::Device(why) => write!(f, "OpenCL: {why}"),
            Error::Memory { bytes, used, limit } => write!(
                f,
                "OpenCL: {bytes} bytes more than the {used} in use pass the limit of {limit} bytes of device memory"
            ),
            Error::Setting(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for stark_kernels::TensorError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Memory { .. } => stark_kernels::TensorError::DeviceMemory(text),
            _ => stark_kernels::TensorError::Device(text),
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

static OPENED: Mutex<Vec<(usize, Arc<OpenCl>)>> = Mutex::new(Vec::new());

/// The device of this number as [`open`] gives it, but once more, with kernels of `family`, and where these are for devices beside
/// the processor with memory that is written to as theirs is.
pub fn open_as(index: usize, family: Family) -> Result<Arc<OpenCl>> {
    let mut info = info_of(index)?;
    info.is_unified &= family == Family::Tile;
    Ok(Arc::new(OpenCl::new(index, info, Some(family))?))
}

fn info_of(index: usize) -> Result<DeviceInfo> {
    let found = devices()?;
    let n = found.len();
    found.into_iter().nth(index).ok_or(Error::NoDevice { index, n })
}

/// The device of this number in the order of [`devices`]. Opened once.
pub fn open(index: usize) -> Result<Arc<OpenCl>> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, device)) = opened.iter().find(|(i, _)| *i == index) {
        return Ok(device.clone());
    }
    let device = Arc::new(OpenCl::new(index, info_of(index)?, None)?);
    opened.push((index, device.clone()));
    Ok(device)
}

/// The devices that were opened, in that order, by number.
pub fn opened() -> Vec<(usize, Arc<OpenCl>)> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The device that a name of the command line means: `opencl` or `opencl:N`. `None` when it means no OpenCL device.
pub fn by_name(name: &str) -> Option<Result<Arc<OpenCl>>> {
    let rest = name.strip_prefix("opencl")?;
    let index = if rest.is_empty() { Some(0) } else { rest.strip_prefix(':').and_then(|n| n.parse().ok()) };
    Some(match index {
        Some(index) => open(index),
        None => Err(Error::Setting(format!("device `{name}` is not `opencl` or `opencl:N`"))),
    })
}

/// The device that a program means by `gpu` or `gpu:N`: the N-th that is no processor. `None` where there is none, and
/// the work stays with the processor.
pub fn gpu(number: usize) -> Result<Option<Arc<OpenCl>>> {
    let found = match devices() {
        Ok(found) => found,
        Err(Error::Absent(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let index = found.iter().enumerate().filter(|(_, info)| !info.is_cpu).nth(number).map(|(index, _)| index);
    index.map(open).transpose()
}
