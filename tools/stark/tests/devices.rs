//! Devices beside the processor as a program meets them: what waits for one is the task and not its worker, and what one has
//! no memory for the processor does. Where there is no OpenCL these say so and pass.

use std::process::{Command, Output, Stdio};

/// Whether the command finds a device, apart from the programs under test.
fn has_device() -> bool {
    let out = Command::new(env!("CARGO_BIN_EXE_stark")).arg("devices").output().expect("stark runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let is_there = text.lines().any(|line| line.starts_with("opencl ") && !line.contains(" none: "));
    if !is_there {
        println!("skipped: {text}");
    }
    is_there
}

/// `None` without a device.
fn run(options: &[&str], memory_mb: Option<&str>, source: &str) -> Option<Output> {
    if !has_device() {
        return None;
    }
    static N: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let n = N.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let program = std::env::temp_dir().join(format!("stark-devices-{}-{n}.stark", std::process::id()));
    std::fs::write(&program, source).expect("the folder for temporary files takes one");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
    command.args(["run", "--no-attach"]).args(options).arg(&program).stdin(Stdio::null());
    if let Some(mb) = memory_mb {
        command.env("STARK_OPENCL_MEMORY_MB", mb);
    }
    let out = command.output().expect("stark runs");
    let _ = std::fs::remove_file(&program);
    Some(out)
}

const SOURCE: &str = "
shared let sums: SharedVec<Float32> = []

fn sum_of(x: Tensor<Float32>) -> Float32: return x.sum().item()

fn powers(start: Tensor<Float32>) -> Tensor<Float32>:
    let mut x = start
    for _ in 0..10: x = x.matmul(start)
    return x

async fn main():
    let start = randn([700, 700], seed = 1) * 0.0378
    let there = start.to_device(\"opencl\")
    let task = spawn sum_of(powers(there))
    let mut ticks = 0
    while not task.is_done():
        sleep(1ms)
        ticks += 1
    print(\"others ran:\", ticks > 2)
    print(abs(task.join() - sum_of(powers(start))) < 0.01)

    // Under a guard, cancelled, and left alone.
    let x = powers(there)
    let guarded = spawn:
        sums.write().push(x.sum().item())
    let cancelled = spawn sum_of(x)
    cancelled.cancel()
    try:
        cancelled.join()
        print(\"not cancelled\")
    catch e: CancelledError:
        print(\"cancelled\")
    guarded.join()
    print(len(sums.read()))
    (spawn sum_of(powers(x))).detach()
";

#[test]
fn a_worker_runs_others_while_a_task_waits_for_a_device() {
    let Some(out) = run(&["--workers", "1"], None, SOURCE) else { return };
    let (out, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!((&*out, &*errors), ("others ran: true\ntrue\ncancelled\n1\n", ""));
}

#[test]
fn a_device_does_not_choose_who_runs_under_a_seed() {
    let outputs = [0; 2].map(|_| run(&["--seed", "7"], None, SOURCE).map(|out| out.stdout));
    let [Some(first), Some(second)] = outputs else { return };
    let text = String::from_utf8_lossy(&first);
    assert!(text.ends_with("true\ncancelled\n1\n"), "{text}");
    assert_eq!(first, second);
}

#[test]
fn what_a_device_has_no_memory_for_the_processor_does() {
    let program = "
fn chain(start: Tensor<Float32>) -> Tensor<Float32>:
    let mut x = start
    for _ in 0..4: x = (x.matmul(start) + start).relu()
    return x

let start = randn([400, 400], seed = 1) * 0.05
let there = start.to_device(\"opencl\")
let kept = [chain(there) for _ in 0..3]
let want = chain(start)
print([(y.to_device(\"cpu\") - want).abs().max().item() < 0.01 for y in kept])
print(device_stats(\"opencl\")[\"out_of_memory\"] > 0)
try:
    let _ = zeros<Float32>([1000, 1000]).to_device(\"opencl\")
    print(\"moved\")
catch e:
    print(e)
";
    let Some(out) = run(&[], Some("2"), program) else { return };
    let (out, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.starts_with("[true, true, true]\ntrue\n") && errors.is_empty(), "{out}{errors}");
    assert!(out.contains("OpenCL: 4000000 bytes more than the") && out.contains("limit of 2097152 bytes"), "{out}");
}

#[test]
fn a_model_of_the_processor_takes_a_tensor_of_a_device() {
    let Ok(models) = std::env::var("STARK_MODELS") else { return println!("skipped: STARK_MODELS is not set") };
    let program = format!(
        "
let model = load_model(\"{models}/digits_mlp.onnx\")
let x = rand([2, 64], seed = 1)
let y = model.predict(x.to_device(\"opencl\"))
print((y.to_device(\"cpu\") - model.predict(x)).abs().max().item() < 0.001)
"
    );
    let Some(out) = run(&[], None, &program) else { return };
    let (out, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!((&*out, &*errors), ("true\n", ""));
}

#[test]
fn a_function_mapped_on_a_device_gives_what_the_processor_gives() {
    let program = "
fn f(x: Float32) -> Float32:
    let y = if x < 0.0: x * 0.1 else: x.sqrt()
    return (y * 2.0 + 1.0) / (x.abs() + 0.5) - y.exp()

fn main():
    let xs = [Float32(i - 500) * 0.01 for i in 0..1000]
    let t = Tensor::from_vec(xs, [10, 100])
    let here = parallel_tensor_map(f, t)
    let before = device_stats(\"opencl\")[\"kernels\"]
    let there = parallel_tensor_map(f, t.to_device(\"opencl\"))
    print(there.device(), device_stats(\"opencl\")[\"kernels\"] - before)
    print((here - there.to_device(\"cpu\")).abs().max().item() < 0.00001)
    // Checks of whole numbers are the processor's.
    print(parallel_tensor_map(|n: Int| 10 / n, tensor([1, 2]).to_device(\"opencl\")).to_vec())
";
    let Some(out) = run(&[], None, program) else { return };
    let (out, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!((&*out, &*errors), ("opencl 1\ntrue\n[10, 5]\n", ""));
}
