//! `stark devices`

use stark_kernels::Device;
use stark_kernels::cpu::simd;

/// List what tensors and models can be computed on
#[derive(clap::Args)]
#[command(after_help = "Example:\n  stark devices\n\nSTARK_OPENCL=off makes OpenCL absent.")]
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
    match stark_opencl::devices() {
        Ok(found) => found.iter().enumerate().for_each(|(index, info)| opencl(index, info)),
        Err(why) => println!("{:<12} none: {why}", "opencl"),
    }
    0
}

fn opencl(index: usize, info: &stark_opencl::DeviceInfo) {
    let name = if index == 0 { "opencl".to_string() } else { format!("opencl:{index}") };
    let kind = if info.is_cpu { "a processor" } else { "an accelerator" };
    println!("{name:<12} {}, {kind} of {}, through {}", info.name, info.vendor, info.platform);
    let memory = if info.is_unified { "shared with the host" } else { "its own" };
    println!(
        "{:<12} {}, driver {}; {} compute units, {} MiB of memory {memory} ({} MiB a tensor), {} KiB local{}",
        "",
        info.version,
        info.driver,
        info.compute_units,
        info.global_bytes >> 20,
        info.block_bytes >> 20,
        info.local_bytes >> 10,
        if info.has_f64 { "" } else { ", no Float64" }
    );
}
