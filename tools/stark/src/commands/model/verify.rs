//! `stark model verify MODEL CASES.safetensors`

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use stark_kernels::Tensor;
use stark_models::{Model, ModelError, Value};

use super::Session;
use super::tensors::Tensors;

/// Run recorded inputs through a model and compare with the recorded outputs
///
/// The file of cases has tensors `case0.in.NAME`, `case0.out.NAME`, `case1.in.NAME` and so on. Its metadata may
/// give `inputs` and `outputs`, the names in the order of the model's; otherwise the model's own names count. Where it gives
/// `cases`, there are as many. The items of a list are `case0.in.NAME.0`, `case0.in.NAME.1` and so on, those of a dict
/// `case0.in.NAME.KEY`; a number is a tensor of one element.
/// An element is right when |got - want| <= atol + rtol * |want|; shapes and element types must be equal.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark model verify digits.onnx digits.io.safetensors --atol 1e-5\n\nExit status: 0 all within tolerance, 1 not, 2 the files cannot be used."
)]
pub struct Args {
    /// A model file: TorchScript, torch.export (.pt2) or ONNX
    model: PathBuf,
    /// A safetensors file of cases
    cases: PathBuf,
    /// Absolute tolerance
    #[arg(long, default_value_t = 1e-4, allow_negative_numbers = true)]
    atol: f64,
    /// Relative tolerance
    #[arg(long, default_value_t = 1e-4, allow_negative_numbers = true)]
    rtol: f64,
    /// Another method of a TorchScript module than `forward`
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// What computes: cpu, gpu or gpu:N (the processor where there is none), opencl or opencl:N, or reference (plain loops on one core)
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
    /// Threads for kernels; by default one for each core
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// One output over all cases.
#[derive(Default)]
struct Worst {
    absolute: f64,
    relative: f64,
    /// Elements outside the tolerance.
    n_outside: usize,
    n: usize,
    /// The first thing that is wrong.
    wrong: Option<String>,
}

pub fn main(args: &Args) -> Result<i32, String> {
    for (name, tolerance) in [("--atol", args.atol), ("--rtol", args.rtol)] {
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            return Err(format!("{name} is {tolerance}; it must be a number from 0 on"));
        }
    }
    if is_model(&args.cases) {
        let (cases, order) = (args.cases.display(), "stark model verify MODEL CASES");
        return Err(format!("{cases}: this is a model, not a safetensors file of cases; the order is `{order}`"));
    }
    let session = Session::load(&args.model, args.method.as_deref(), &args.device, args.threads)?;
    let cases = Tensors::read(&args.cases)?;
    let names = Names::of(&session.model, &cases)?;
    let mut worst: Vec<Worst> = names.outputs.iter().map(|_| Worst::default()).collect();
    for case in &names.cases {
        let given = inputs(&session.model, &cases, &names.inputs, *case)?;
        let failed = |e: ModelError| format!("case {case}: {e}");
        let got = session.run(|model| model.predict_values(given)).map_err(failed)?;
        let got = match by_name(&got, &names.outputs) {
            Some(got) => got,
            None => session.model.flatten(&got).map_err(failed)?,
        };
        if got.len() != names.outputs.len() {
            let (n, wanted) = (got.len(), names.outputs.join(", "));
            return Err(format!("case {case}: the model gives {n} tensors, the file has the outputs {wanted}"));
        }
        for ((worst, got), name) in worst.iter_mut().zip(&got).zip(&names.outputs) {
            let want = cases.get(&format!("case{case}.out.{name}"))?;
            worst.compare(got, want, args, *case);
        }
    }
    let file = args.model.display();
    println!("{file}: {} cases on {}, atol {}, rtol {}", names.cases.len(), session.device_name, args.atol, args.rtol);
    for (name, worst) in names.outputs.iter().zip(&worst) {
        let (absolute, relative) = (worst.absolute, worst.relative);
        println!("  {name:<20} largest error {absolute:.3e}, relative {relative:.3e}, in {} elements", worst.n);
    }
    let mut status = 0;
    for (name, worst) in names.outputs.iter().zip(&worst) {
        if let Some(wrong) = &worst.wrong {
            println!("output `{name}` is wrong: {wrong} ({} elements outside the tolerance)", worst.n_outside);
            status = 1;
        }
    }
    if status == 0 {
        println!("all within tolerance");
    }
    Ok(status)
}

/// What the file of cases holds.
struct Names {
    cases: Vec<u64>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Names {
    fn of(model: &Model, cases: &Tensors) -> Result<Names, String> {
        let mut numbers = BTreeSet::new();
        let (mut ins, mut outs) = (Vec::new(), Vec::new());
        for name in cases.names() {
            let Some((case, rest)) = name.strip_prefix("case").and_then(|n| n.split_once('.')) else { continue };
            let Ok(case) = case.parse::<u64>() else { continue };
            numbers.insert(case);
            if let Some(input) = rest.strip_prefix("in.") {
                ins.push(input.to_string());
            }
            if let Some(output) = rest.strip_prefix("out.") {
                outs.push(output.to_string());
            }
        }
        let takes_none = model.inputs().is_empty();
        if outs.is_empty() || (ins.is_empty() && !takes_none) {
            let reason = "there are no cases; they are tensors named case0.in.NAME and case0.out.NAME";
            return Err(format!("{}: {reason}", cases.path()));
        }
        if let Some(promised) = cases.note("cases")
            && promised.trim().parse() != Ok(numbers.len())
        {
            let (path, n) = (cases.path(), numbers.len());
            return Err(format!("{path}: its notes say that there are {promised} cases, but there are {n}"));
        }
        let of_model = |names: Vec<String>| if names.iter().all(|n| !n.is_empty()) { Some(names) } else { None };
        let inputs = cases.list("inputs").or_else(|| of_model(model.inputs().into_iter().map(|i| i.name).collect()));
        let outputs =
            cases.list("outputs").or_else(|| of_model(model.outputs().iter().map(|o| o.name.clone()).collect()));
        // A model that does not name its outputs: those of the first case, in the order of the file.
        let outputs = outputs.filter(|names| names.iter().all(|n| outs.contains(n))).unwrap_or_else(|| {
            let mut seen = BTreeSet::new();
            outs.into_iter().filter(|name| seen.insert(name.clone())).collect()
        });
        let mut seen = BTreeSet::new();
        let inputs = inputs.unwrap_or_else(|| ins.iter().filter(|name| seen.insert(*name)).cloned().collect());
        let is_part = |name: &str, of: &String| {
            name.strip_prefix(of.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Some(odd) = ins.iter().find(|name| !inputs.iter().any(|input| is_part(name, input))) {
            let taken = if inputs.is_empty() { "no inputs".to_string() } else { inputs.join(", ") };
            return Err(format!("{}: the cases give the input `{odd}`; the model takes {taken}", cases.path()));
        }
        Ok(Names { cases: numbers.into_iter().collect(), inputs, outputs })
    }
}

/// The inputs of one case, in the order of the model's. Trailing ones that the file leaves out are the model's
/// to fill in or to ask for.
fn inputs(model: &Model, cases: &Tensors, names: &[String], case: u64) -> Result<Vec<Value>, String> {
    let n = model.inputs().len();
    if names.len() > n {
        return Err(format!("the model takes {n} inputs, the file has {}: {}", names.len(), names.join(", ")));
    }
    let mut given = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let name_in_file = format!("case{case}.in.{name}");
        match cases.value(&name_in_file)? {
            Some(value) if given.len() == at => given.push(value),
            Some(_) => return Err(format!("case {case} gives the input `{name}` but not those before it")),
            None if at == 0 => {
                let fits = "the items of a list are called `NAME.0`, `NAME.1` and so on, those of a dict `NAME.KEY`";
                return cases.get(&name_in_file).map(|_| Vec::new()).map_err(|e| format!("{e}; {fits}"));
            }
            None => {}
        }
    }
    Ok(given)
}

/// The items of a dict that has just these keys.
fn by_name(output: &Value, names: &[String]) -> Option<Vec<Tensor>> {
    let Value::Dict(dict) = output else { return None };
    let item = |name: &String| dict.get(&Value::str(name.as_str()))?.to_tensor();
    let items = names.iter().map(item).collect::<Option<Vec<Tensor>>>()?;
    (dict.items().iter().count() == items.len()).then_some(items)
}

/// Whether a file is a model, for all that its first bytes and its name tell.
fn is_model(path: &Path) -> bool {
    let mut first = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && (first == *b"PK\x03\x04" || path.extension().is_some_and(|e| e == "onnx"))
}

impl Worst {
    fn compare(&mut self, got: &Tensor, want: &Tensor, args: &Args, case: u64) {
        let mut wrong = |text: String| {
            self.wrong.get_or_insert(text);
        };
        if got.shape() != want.shape() {
            return wrong(format!("case {case} has shape {:?}, {:?} was recorded", got.shape(), want.shape()));
        }
        if got.dtype() != want.dtype() {
            return wrong(format!("case {case} has {} elements, {} were recorded", got.dtype(), want.dtype()));
        }
        for (at, (got, want)) in got.to_scalars().iter().zip(want.to_scalars()).enumerate() {
            let (got, want) = (got.to_f64(), want.to_f64());
            self.n += 1;
            if got == want || (got.is_nan() && want.is_nan()) {
                continue;
            }
            let error = (got - want).abs();
            // Not a number beats every number.
            let larger = |a: f64, b: f64| if b.is_nan() || b > a { b } else { a };
            self.absolute = larger(self.absolute, error);
            self.relative = larger(self.relative, error / want.abs().max(f64::MIN_POSITIVE));
            if error.is_nan() || error > args.atol + args.rtol * want.abs() {
                self.n_outside += 1;
                self.wrong.get_or_insert_with(|| format!("case {case}, element {at}: got {got}, {want} was recorded"));
            }
        }
    }
}
