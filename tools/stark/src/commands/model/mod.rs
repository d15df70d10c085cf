//! `stark model verify|bench`: a model held against recorded outputs, and its speed.

mod bench;
mod tensors;
mod verify;

use std::path::Path;
use std::sync::Arc;

use stark_kernels::accelerator::{Accelerator, Statistics};
use stark_kernels::{Device, Threads, with_device, with_parallel};
use stark_models::opt::Pass;
use stark_models::{Load, Model};
use stark_opencl::OpenCl;

/// Hold a model against recorded outputs, or measure its speed
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Verify(verify::Args),
    Bench(bench::Args),
}

pub fn main(args: &Args) -> i32 {
    let done = match &args.command {
        Command::Verify(args) => verify::main(args),
        Command::Bench(args) => bench::main(args),
    };
    done.unwrap_or_else(super::refuse)
}

/// What a device's name means beside the processor, and the name of what then computes. `gpu` and `gpu:N` are as `load_model`
/// has them: the processor where there is none.
fn opencl(device: &str) -> Result<(Option<Arc<OpenCl>>, String), String> {
    let failed = |e: stark_opencl::Error| e.to_string();
    let Some(rest) = device.strip_prefix("gpu") else {
        return Ok((stark_opencl::by_name(device).transpose().map_err(failed)?, device.to_string()));
    };
    let number = if rest.is_empty() { Some(0) } else { rest.strip_prefix(':').and_then(|n| n.parse().ok()) };
    let number = number.ok_or_else(|| format!("device `{device}` is not `gpu` or `gpu:N`"))?;
    let found = stark_opencl::gpu(number).map_err(failed)?;
    let name = if found.is_some() { device } else { "cpu" };
    Ok((found, name.to_string()))
}

/// Threads that a kernel may use when nothing is said: one for each core.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The most threads that may be asked for; a guess far above what a kernel can use.
const MAX_THREADS: usize = 1024;

/// A model on its device, with the threads it computes on.
struct Session {
    model: Model,
    device: Device,
    /// As `--device` says it; `cpu` for a `gpu` that is not there.
    device_name: String,
    threads: Arc<Threads>,
}

impl Session {
    fn load(path: &Path, method: Option<&str>, device: &str, threads: Option<usize>) -> Result<Session, String> {
        let (opencl, device_name) = opencl(device)?;
        let device: Device = match &opencl {
            Some(_) => Device::Cpu,
            None => device_name.parse().map_err(|e: String| format!("{e}, gpu, gpu:N, opencl and opencl:N"))?,
        };
        let n = threads.unwrap_or_else(default_threads);
        if n == 0 || n > MAX_THREADS {
            return Err(format!("--threads is {n}; it must be from 1 to {MAX_THREADS}"));
        }
        let threads = Arc::new(Threads::new(n));
        // The error names the file.
        // The reference device runs the graph as the file has it.
        let passes = if device == Device::Reference { &[][..] } else { &Pass::ALL };
        let accelerator = opencl.map(|opencl| opencl as Arc<dyn Accelerator>);
        let load = Load::new().passes(passes).on(accelerator).method(method);
        let model = with_parallel(threads.clone(), || load.file(path));
        let model = model.map_err(|e| e.to_string())?;
        Ok(Session { model, device, device_name, threads })
    }

    /// What a device beside the processor did so far.
    fn statistics(&self) -> Option<Statistics> {
        self.model.accelerator().map(|accelerator| accelerator.statistics())
    }

    fn run<R>(&self, work: impl FnOnce(&Model) -> R) -> R {
        with_device(self.device, || with_parallel(self.threads.clone(), || work(&self.model)))
    }
}
