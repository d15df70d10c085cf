//! `stark devices`

use stark_kernels::Device;
use stark_kernels::cpu::simd;

/// List what tensors and models can be computed on
#[derive(clap::Args)]
#[command(after_help = "Example:\n  stark devices")]
pub struct Args {}

pub fn main(_args: &Args) -> i32 {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    for device in Device::ALL {
        let what = match device {
            Device::Cpu => format!("{} with {}, {n_threads} threads", std::env::consts::ARCH, simd::level().name()),
            Device::Reference => "plain loops on one thread, to compare with".to_string(),
        };
        println!("{:<12} {what}", device.name());
    }
    0
}
