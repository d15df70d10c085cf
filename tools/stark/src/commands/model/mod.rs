//! `stark model verify|bench`: a model held against recorded outputs, and its speed.

mod bench;
mod tensors;
mod verify;

use std::path::Path;
use std::sync::Arc;

use stark_kernels::accelerator::Statistics;
use stark_kernels::{Device, Threads, with_device, with_parallel};
use stark_models::Model;
use stark_models::opt::Pass;

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
    /// As `--device` says it.
    device_name: String,
    threads: Arc<Threads>,
}

impl Session {
    fn load(path: &Path, device: &str, threads: Option<usize>) -> Result<Session, String> {
        let opencl = stark_opencl::by_name(device).transpose().map_err(|e| e.to_string())?;
        let device_name = device.to_string();
        let device: Device = match &opencl {
            Some(_) => Device::Cpu,
            None => device.parse().map_err(|e: String| format!("{e}, opencl and opencl:N"))?,
        };
        let n = threads.unwrap_or_else(default_threads);
        if n == 0 || n > MAX_THREADS {
            return Err(format!("--threads is {n}; it must be from 1 to {MAX_THREADS}"));
        }
        let threads = Arc::new(Threads::new(n));
        // The error names the file.
        // The reference device runs the graph as the file has it.
        let passes = if device == Device::Reference { &[][..] } else { &Pass::ALL };
        let model = with_parallel(threads.clone(), || match opencl {
            Some(opencl) => Model::load_on(path, opencl),
            None => Model::load_with(path, passes),
        });
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
