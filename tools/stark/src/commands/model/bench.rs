//! `stark model bench MODEL --inputs X.safetensors`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use stark_kernels::accelerator::Statistics;
use stark_kernels::safetensors;
use stark_models::Value;

use super::Session;
use super::tensors::Tensors;

/// Measure how long a model takes
///
/// The inputs are tensors `in.0`, `in.1` and so on, in the order of the model's. The items of a list are `in.0.0`, `in.0.1` and so
/// on, those of a dict `in.0.KEY`; a number is a tensor of one element. The last line of the output is a
/// JSON object: `load_ms` (reading and preparing the file), `first_ms` (the first run), and of the runs after a
/// warm-up `median_ms`, `p99_ms`, `min_ms` and their number.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark model bench digits.onnx --inputs x.safetensors --output y.safetensors --threads 1 --seconds 2"
)]
pub struct Args {
    /// A model file: TorchScript, torch.export (.pt2) or ONNX
    model: PathBuf,
    /// A safetensors file with `in.0`, `in.1`, …; a model without inputs needs none
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Where to write the outputs, as `out.0`, `out.1`, …
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Threads for kernels; by default one for each core
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// How long to measure
    #[arg(long, default_value_t = 3.0, value_name = "S", allow_negative_numbers = true)]
    seconds: f64,
    /// Another method of a TorchScript module than `forward`
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// What computes: cpu, gpu or gpu:N (the processor where there is none), opencl or opencl:N, or reference (plain loops on one core)
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
}

/// The longest that a measurement may take.
const MAX_SECONDS: f64 = 3600.0;
/// A tenth of the time warms up.
const WARM_UP: f64 = 0.1;
/// Times that are kept; a model so small that it runs more often is measured well by these.
const MAX_RUNS: usize = 4_000_000;

pub fn main(args: &Args) -> Result<i32, String> {
    if !(args.seconds > 0.0 && args.seconds <= MAX_SECONDS) {
        return Err(format!("--seconds is {}; it must be above 0 and at most {MAX_SECONDS}", args.seconds));
    }
    let given = match &args.inputs {
        Some(path) => inputs(&Tensors::read(path)?)?,
        None => Vec::new(),
    };
    let start = Instant::now();
    let session = Session::load(&args.model, args.method.as_deref(), &args.device, args.threads)?;
    let load = start.elapsed();
    let taken: Vec<String> = session.model.inputs().into_iter().map(|input| input.name).collect();
    if args.inputs.is_none() && !taken.is_empty() {
        return Err(format!("the model takes {}: give them with --inputs FILE", taken.join(", ")));
    }
    let start = Instant::now();
    let outputs = session.run(|model| model.predict_flat(given.clone())).map_err(|e| e.to_string())?;
    let first = start.elapsed();
    if let Some(path) = &args.output {
        let names: Vec<String> = (0..outputs.len()).map(|i| format!("out.{i}")).collect();
        let named = names.iter().map(String::as_str).zip(&outputs);
        let bytes = safetensors::write(named, &[]).map_err(|e| e.to_string())?;
        std::fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    drop(outputs);
    let before = session.statistics();
    let mut warmed = 0;
    let mut times = session.run(|model| -> Result<Vec<Duration>, String> {
        let run = |until: Instant, times: &mut Vec<Duration>| {
            while times.len() < MAX_RUNS {
                let start = Instant::now();
                let outputs = model.predict_flat(given.clone()).map_err(|e| e.to_string())?;
                let end = Instant::now();
                times.push(end - start);
                drop(outputs);
                if end >= until {
                    break;
                }
            }
            Ok::<_, String>(())
        };
        let mut times = Vec::new();
        run(Instant::now() + Duration::from_secs_f64(args.seconds * WARM_UP), &mut times)?;
        warmed = times.len();
        times.clear();
        run(Instant::now() + Duration::from_secs_f64(args.seconds), &mut times)?;
        Ok(times)
    })?;
    let during = before.zip(session.statistics());
    times.sort_unstable();
    // The nearest rank.
    let rank = |q: f64| times[((times.len() as f64 * q).ceil() as usize).clamp(1, times.len()) - 1];
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let (median, p99, min) = (ms(rank(0.5)), ms(rank(0.99)), ms(times[0]));
    let (n, threads, device) = (times.len(), session.threads.n_threads(), &session.device_name);
    println!("{}: {n} runs on {device}, {threads} threads", args.model.display());
    println!("  median {median:.4} ms, 99 of 100 within {p99:.4} ms, fastest {min:.4} ms");
    println!("  loaded in {:.3} ms, first run {:.3} ms", ms(load), ms(first));
    if let Some((before, after)) = &during {
        tell_device(before, after, warmed + times.len());
    }
    println!(
        "{{\"median_ms\": {median:.6}, \"p99_ms\": {p99:.6}, \"min_ms\": {min:.6}, \"load_ms\": {:.6}, \
         \"first_ms\": {:.6}, \"runs\": {n}, \"threads\": {threads}, \"device\": \"{device}\"}}",
        ms(load),
        ms(first)
    );
    Ok(0)
}

/// What a device beside the processor did in each of `n` runs.
fn tell_device(before: &Statistics, after: &Statistics, n: usize) {
    let each = |f: fn(&Statistics) -> u64| (f(after) - f(before)) as f64 / n as f64;
    println!(
        "  each run: {:.1} kernels, busy {:.4} ms; {:.1} uploads of {:.0} bytes, {:.1} downloads of {:.0} bytes",
        each(|s| s.n_kernels),
        each(|s| s.busy_ns) / 1e6,
        each(|s| s.n_uploads),
        each(|s| s.uploaded_bytes),
        each(|s| s.n_downloads),
        each(|s| s.downloaded_bytes)
    );
    println!(
        "  device memory: {} bytes in use, {} at most, {} kept for the next run",
        after.used_bytes, after.peak_bytes, after.kept_bytes
    );
    for time in &after.kernels {
        let earlier = before.kernels.iter().find(|earlier| earlier.name == time.name);
        let [runs, ns] = earlier.map_or([time.n, time.ns], |e| [time.n - e.n, time.ns.saturating_sub(e.ns)]);
        if runs > 0 {
            let (runs, ms) = (runs as f64 / n as f64, ns as f64 / n as f64 / 1e6);
            println!("  {:>10.4} ms in {runs:>6.1} of {}", ms, time.name);
        }
    }
    if after.n_full > 0 {
        println!("  no device memory for {} kernels and tensors: the processor did them", after.n_full);
    }
    for (operation, count) in &after.on_host {
        let earlier = before.on_host.iter().find(|(name, _)| name == operation).map_or(0, |(_, n)| *n);
        println!("  on the processor: {operation}, {:.1} times a run", (count - earlier) as f64 / n as f64);
    }
}

fn inputs(file: &Tensors) -> Result<Vec<Value>, String> {
    let mut given = Vec::new();
    while let Some(value) = file.value(&format!("in.{}", given.len()))? {
        given.push(value);
    }
    if given.is_empty() {
        return file.get("in.0").map(|_| Vec::new());
    }
    let taken = |name: &str| {
        let place = name.strip_prefix("in.").and_then(|rest| rest.split('.').next()?.parse().ok());
        place.is_some_and(|place: usize| place < given.len())
    };
    if let Some(odd) = file.names().find(|name| name.starts_with("in.") && !taken(name)) {
        return Err(format!(
            "{}: `{odd}` does not follow `in.{}`; inputs are in.0, in.1, …",
            file.path(),
            given.len() - 1
        ));
    }
    Ok(given)
}
