//! `stark inspect MODEL`: what the file says, the operators as written and as they run, memory and time of a run.

use stark_kernels::{DType, Tensor};
use stark_models::graph::{Block, Graph, Instr, Kind, Operand};
use stark_models::plan::{Plan, operator_of};
use stark_models::{Declared, Load, Model, Signature};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// What else is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Runs a model on zeros of this shape, to see memory and time: NAME=1x64, once an input whose shape the file leaves open;
    /// NAME=1x64:Int64 states the element type too
    #[arg(long = "shape", value_name = "NAME=DIMS[:TYPE]")]
    shapes: Vec<String>,
    /// Another method of a TorchScript module than `forward`
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// Writes the graph that runs as Graphviz, as in `stark inspect m.pt --dot | dot -Tsvg`
    #[arg(long)]
    dot: bool,
    /// Writes where the buffers of a run lie as an SVG: time to the right, places in memory upwards
    #[arg(long, conflicts_with = "dot")]
    memory: bool,
    /// Shows each operator of the run, in order, with its result, memory and time
    #[arg(long)]
    steps: bool,
    /// Prints a JSON object: inputs, outputs, parameters, operators, and memory and time of a run
    #[arg(long, conflicts_with_all = ["dot", "memory", "steps"])]
    json: bool,
}

/// The page, and why the run that was asked for failed.
pub fn show(path: &Path, options: &Options) -> Result<(String, Option<String>), String> {
    let mut failed = None;
    let page = page(path, options, &mut failed)?;
    Ok((page, failed))
}

fn page(path: &Path, options: &Options, failed: &mut Option<String>) -> Result<String, String> {
    let load = |passes: &[_]| {
        Load::new().passes(passes).method(options.method.as_deref()).file(path).map_err(|e| e.to_string())
    };
    let model = load(&stark_models::opt::Pass::ALL)?;
    if options.dot {
        let plan = match zeros(&model, &options.shapes)? {
            // A graph can be drawn without the shapes of results.
            Some(zeros) if options.shapes.is_empty() => Plan::of(&model, &zeros).ok(),
            Some(zeros) => Some(plan(&model, &zeros)?),
            None => None,
        };
        return Ok(dot(&path.display().to_string(), &model, plan.as_ref()));
    }
    if options.memory {
        let zeros = zeros(&model, &options.shapes)?.ok_or_else(|| wanted(&model, "the memory of a run"))?;
        let memory = plan(&model, &zeros)?.memory.ok_or("the buffers of this model have no fixed places")?;
        return Ok(super::memory_picture::svg(&memory));
    }
    if options.json {
        return json(path, &model, load(&[])?.graph(), &options.shapes);
    }
    let mut out = format!("{}\n", path.display());
    for (row, declared) in model.inputs().iter().zip(model.declared()) {
        let stated = match declared.other {
            // What each of its tensors is.
            Some(other) if row.dtype.is_some() => format!("{other} of {}", signature(row)),
            Some(other) => other,
            None => signature(row),
        };
        line(&mut out, "input", format!("{:<20} {stated}", row.name));
    }
    for (name, form) in model.arguments() {
        if let Some(form) = form {
            line(&mut out, "argument", format!("{name:<20} {form}"));
        }
    }
    for row in model.outputs() {
        line(&mut out, "output", format!("{:<20} {}", row.name, signature(row)));
    }
    if model.methods().len() > 1 {
        line(&mut out, "methods", format!("{} (--method)", model.methods().join(", ")));
    }
    parameters(&mut out, &model);
    operators(&mut out, load(&[])?.graph(), model.graph());
    unknown(&mut out, model.graph());
    match zeros(&model, &options.shapes)? {
        Some(zeros) => match plan(&model, &zeros) {
            Ok(plan) => run(&mut out, &plan, options.steps),
            // Zeros are no valid input of every model.
            Err(e) => {
                line(&mut out, "memory", format!("the run on zeros failed: {e}"));
                // Who states shapes asks for the run.
                *failed = Some(e).filter(|_| !options.shapes.is_empty());
            }
        },
        None => {
            line(&mut out, "memory", wanted(&model, if options.steps { "it and the steps" } else { "it" }));
        }
    }
    Ok(out)
}

/// What the page says, for programs. `run` is null where the shapes are not known, and has an `error` where the run failed.
fn json(path: &Path, model: &Model, written: &Graph, shapes: &[String]) -> Result<String, String> {
    let rows = |rows: &[Signature]| -> Vec<serde_json::Value> {
        let row = |row: &Signature| {
            let dtype = row.dtype.map(|dtype| dtype.to_string());
            serde_json::json!({"name": row.name, "dtype": dtype, "dims": row.dims})
        };
        rows.iter().map(row).collect()
    };
    let mut inputs = rows(&model.inputs());
    for (row, declared) in inputs.iter_mut().zip(model.declared()) {
        row["takes"] = declared.other.into();
    }
    let arguments: Vec<serde_json::Value> =
        model.arguments().into_iter().map(|(name, form)| serde_json::json!({"name": name, "form": form})).collect();
    let run = match zeros(model, shapes)?.map(|zeros| plan(model, &zeros)) {
        Some(Ok(plan)) => serde_json::json!({
            "peak_bytes": plan.peak().map(|peak| peak.live_bytes),
            "planned_bytes": plan.memory.as_ref().map(|memory| memory.bytes()),
            "ms": plan.elapsed().as_secs_f64() * 1e3,
        }),
        Some(Err(error)) => serde_json::json!({"error": error}),
        None => serde_json::Value::Null,
    };
    let operators: BTreeMap<&str, serde_json::Value> = counts(written, model.graph())
        .into_iter()
        .map(|(name, [in_file, run])| (name, serde_json::json!({"in_file": in_file, "run": run})))
        .collect();
    let unknown: Vec<&str> = model.graph().unknown.iter().map(|op| &*op.name).collect();
    let all = serde_json::json!({
        "file": path.display().to_string(),
        "arguments": arguments,
        "inputs": inputs,
        "outputs": rows(model.outputs()),
        "methods": model.methods(),
        "parameters": model.n_parameters(),
        "weight_bytes": stark_models::plan::constant_bytes(model.graph()),
        "operators": operators,
        "unknown": unknown,
        "run": run,
    });
    Ok(format!("{all:#}\n"))
}

fn line(out: &mut String, name: &str, text: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {name:<11} {text}");
}

fn signature(row: &Signature) -> String {
    let dtype = row.dtype.map_or("any type".to_string(), |d| d.to_string());
    let dims = row.dims.as_ref().map_or("any shape".to_string(), |dims| {
        let dims: Vec<String> = dims.iter().map(|d| d.map_or("_".to_string(), |n| n.to_string())).collect();
        format!("[{}]", dims.join(", "))
    });
    format!("{dtype} {dims}")
}

fn parameters(out: &mut String, model: &Model) {
    let mut by_type: BTreeMap<&str, usize> = BTreeMap::new();
    for parameter in model.parameters() {
        *by_type.entry(&parameter.dtype).or_default() += parameter.shape.iter().product::<usize>();
    }
    let types: Vec<String> = by_type.iter().map(|(dtype, n)| format!("{} {dtype}", grouped(*n))).collect();
    let n_tensors = model.parameters().len();
    line(
        out,
        "parameters",
        format!("{} trained; {n_tensors} tensors: {}", grouped(model.n_parameters()), types.join(", ")),
    );
    let constants = stark_models::plan::constant_bytes(model.graph());
    line(out, "weights", format!("{} in memory, packed for the kernels", bytes(constants)));
}

/// Each operator's number in the file, and in the graph that runs.
fn counts<'a>(written: &'a Graph, fused: &'a Graph) -> BTreeMap<&'a str, [usize; 2]> {
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (i, graph) in [written, fused].into_iter().enumerate() {
        graph.each_instr(&mut |instr| {
            if let Some(operator) = operator_of(instr) {
                counts.entry(operator).or_default()[i] += 1;
            }
        });
    }
    counts
}

fn operators(out: &mut String, written: &Graph, fused: &Graph) {
    let counts = counts(written, fused);
    let sum = |i: usize| counts.values().map(|n| n[i]).sum::<usize>();
    line(out, "operators", format!("{} in the file, {} run", sum(0), sum(1)));
    let mut rows: Vec<(&str, [usize; 2])> = counts.into_iter().collect();
    rows.sort_by_key(|(name, n)| (std::cmp::Reverse(n[1]), std::cmp::Reverse(n[0]), *name));
    line(out, "", format!("{:<44} {:>7} {:>7}", "", "in file", "run"));
    let shown = |n: usize| if n == 0 { "-".to_string() } else { n.to_string() };
    for (name, [written, run]) in rows {
        line(out, "", format!("{name:<44} {:>7} {:>7}", shown(written), shown(run)));
    }
}

/// Operators that a run does not have when it comes to them.
fn unknown(out: &mut String, graph: &Graph) {
    if graph.unknown.is_empty() {
        return;
    }
    line(out, "unknown", format!("{} operator(s), in branches that a run may not enter:", graph.unknown.len()));
    for op in &graph.unknown {
        line(out, "", format!("{} at {}:{}", op.name, op.place.entry, op.place.line));
    }
}

fn run(out: &mut String, plan: &Plan, steps: bool) {
    let Some(peak) = plan.peak() else { return };
    let at = plan.steps.iter().position(|step| std::ptr::eq(step, peak)).unwrap_or(0);
    line(
        out,
        "memory",
        format!("{} in {} tensors at most, in step {at}, {}", bytes(peak.live_bytes), peak.n_live, peak.operator),
    );
    line(out, "", sparkline(plan));
    if let Some(memory) = &plan.memory {
        let blocks = memory.blocks();
        let apart: usize = blocks.iter().filter(|block| block.offset.is_some()).map(|block| block.bytes).sum();
        let n = blocks.iter().filter(|block| block.offset.is_some()).count();
        let (whole, apart) = (bytes(memory.bytes()), bytes(apart));
        line(out, "plan", format!("{n} buffers at fixed places in {whole}; each by itself they would take {apart}"));
    }
    line(out, "time", format!("{} in the second run", time(plan.elapsed())));
    if steps {
        line(out, "steps", format!("{:<44} {:<26} {:>10} {:>10}", "", "result", "memory", "time"));
        for (i, step) in plan.steps.iter().enumerate() {
            let result = step.result.as_ref().map_or(String::new(), |(dtype, shape)| format!("{dtype} {shape:?}"));
            let name = format!("{i:>4} {}", step.operator);
            line(out, "", format!("{name:<44} {result:<26} {:>10} {:>10}", bytes(step.live_bytes), time(step.elapsed)));
        }
    }
}

/// Memory over the steps as a row of bars, at most 64.
fn sparkline(plan: &Plan) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = plan.peak().map_or(1, |step| step.live_bytes.max(1));
    let width = plan.steps.len().min(64);
    (0..width)
        .map(|i| {
            let part = &plan.steps[i * plan.steps.len() / width..(i + 1) * plan.steps.len() / width];
            let bytes = part.iter().map(|step| step.live_bytes).max().unwrap_or(0);
            BARS[bytes * (BARS.len() - 1) / most]
        })
        .collect()
}

fn plan(model: &Model, inputs: &[Tensor]) -> Result<Plan, String> {
    Plan::of(model, inputs).map_err(|e| e.to_string())
}

/// Zeros for a run. `None` when a shape is open that `shapes` does not state.
fn zeros(model: &Model, shapes: &[String]) -> Result<Option<Vec<Tensor>>, String> {
    let inputs = model.inputs();
    let mut stated: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut types: HashMap<&str, DType> = HashMap::new();
    for text in shapes {
        // A name may have an `=` or `:` itself, sizes have none.
        let (name, dims) = text.rsplit_once('=').ok_or_else(|| format!("--shape {text}: write NAME=1x64"))?;
        let (dims, dtype) = dims.split_once(':').map_or((dims, None), |(dims, dtype)| (dims, Some(dtype)));
        if let Some(dtype) = dtype {
            let known = DType::ALL.into_iter().find(|known| known.to_string() == dtype);
            types.insert(name, known.ok_or_else(|| format!("--shape {text}: `{dtype}` is no element type"))?);
        }
        if !inputs.iter().any(|input| input.name == name) {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(format!("--shape {text}: the model has no input `{name}`; it has {}", names.join(", ")));
        }
        let dims: Result<Vec<usize>, _> = dims.split(['x', ',']).map(|dim| dim.trim().parse::<usize>()).collect();
        stated
            .insert(name, dims.map_err(|_| format!("--shape {text}: write sizes with `x` between them, as in 1x64"))?);
    }
    let declared = model.declared();
    let mut tensors = Vec::new();
    for (input, own) in inputs.iter().zip(&declared) {
        let known = input.dims.as_ref().and_then(|dims| dims.iter().copied().collect::<Option<Vec<usize>>>());
        let shape = stated.get(input.name.as_str()).cloned().or(known);
        let (None, Some(shape)) = (&own.other, shape) else {
            // What is left out at the end, `predict` fills in.
            let is_open = |(input, own): (&Signature, &Declared)| {
                own.other.is_none() && !own.may_be_left_out && !stated.contains_key(input.name.as_str())
            };
            if stated.is_empty() || inputs.iter().zip(&declared).any(is_open) {
                return Ok(None);
            }
            match &own.other {
                Some(_) if !own.may_be_left_out => return Ok(None),
                _ => break,
            }
        };
        let dtype = types.get(input.name.as_str()).copied().or(input.dtype).unwrap_or(DType::F32);
        tensors.push(Tensor::zeros(&shape, dtype).map_err(|e| format!("input {}: {e}", input.name))?);
    }
    Ok(Some(tensors))
}

/// What to give to see `what` of a run: the `--shape` that would do, with 1 for what is open.
fn wanted(model: &Model, what: &str) -> String {
    let inputs = model.inputs().into_iter().zip(model.declared());
    let open: Vec<_> = inputs.filter(|(_, own)| !own.may_be_left_out).collect();
    if let Some((input, other)) = open.iter().find_map(|(input, own)| Some((input, own.other.as_ref()?))) {
        return format!("only runs on tensors alone are shown, and `{}` is {other}", input.name);
    }
    let shape = |input: &Signature| match &input.dims {
        Some(dims) => dims.iter().map(|d| d.unwrap_or(1).to_string()).collect::<Vec<_>>().join("x"),
        None => "1x…".into(),
    };
    let shapes: Vec<String> =
        open.iter().map(|(input, _)| format!("--shape {}={}", input.name, shape(input))).collect();
    format!("give the open shapes to see {what}: {}", shapes.join(" "))
}

/// The graph as Graphviz: an operator a node, with its result where the shapes are known.
fn dot(name: &str, model: &Model, plan: Option<&Plan>) -> String {
    let mut out = format!("digraph {} {{\n  rankdir=TB; node [shape=box, fontname=\"sans-serif\"];\n", quoted(name));
    let mut drawn = Drawn { out: String::new(), makers: HashMap::new(), n_nodes: 0, steps: Vec::new(), at: 0 };
    // Steps and instructions go side by side only without loops and branches.
    if let Some(plan) = plan.filter(|_| model.graph().body.iter().all(|instr| instr.blocks().next().is_none())) {
        drawn.steps = plan.steps.iter().map(|step| step.result.as_ref().map(|(d, s)| format!("{d} {s:?}"))).collect();
    }
    for (slot, input) in model.graph().inputs.iter().zip(model.inputs()) {
        let label = format!("{}\n{}", input.name, signature(&input));
        let node = drawn.node(&label, "shape=ellipse");
        drawn.makers.insert(slot.0, node);
    }
    drawn.block(&model.graph().body);
    if let Operand::Slot(slot) = model.graph().output {
        let names: Vec<&str> = model.outputs().iter().map(|output| output.name.as_str()).collect();
        let node = drawn.node(&names.join(", "), "shape=ellipse");
        drawn.edge(slot.0, node);
    }
    out += &drawn.out;
    out + "}\n"
}

struct Drawn {
    out: String,
    /// The node that made a slot's value.
    makers: HashMap<u32, usize>,
    n_nodes: usize,
    /// What each operator of the run gave.
    steps: Vec<Option<String>>,
    at: usize,
}

impl Drawn {
    fn node(&mut self, label: &str, style: &str) -> usize {
        let node = self.n_nodes;
        self.n_nodes += 1;
        let style = if style.is_empty() { String::new() } else { format!(", {style}") };
        let _ = writeln!(self.out, "  n{node} [label={}{style}];", quoted(label));
        node
    }

    fn edge(&mut self, slot: u32, to: usize) {
        if let Some(from) = self.makers.get(&slot) {
            let _ = writeln!(self.out, "  n{from} -> n{to};");
        }
    }

    fn block(&mut self, block: &Block) {
        for instr in block {
            self.instr(instr);
        }
    }

    fn instr(&mut self, instr: &Instr) {
        let mut from: Vec<u32> = instr.args.iter().filter_map(|arg| slot(*arg)).collect();
        let is_constant = from.iter().all(|slot| !self.makers.contains_key(slot));
        if is_constant && matches!(instr.kind, Kind::Tuple | Kind::List | Kind::Dict) {
            // An operator's own numbers, such as a stride.
            return;
        }
        let mut label = match &instr.kind {
            Kind::Op(row) | Kind::InPlace(row) => row.name.to_string(),
            Kind::Move => return self.passed_on(instr),
            Kind::Tuple => "tuple".into(),
            Kind::List => "list".into(),
            Kind::Dict => "dict".into(),
            Kind::Unpack => "unpack".into(),
            Kind::If(..) => "if".into(),
            Kind::While { .. } => "while".into(),
            Kind::For(_) => "for".into(),
            Kind::Raise(class) => format!("raise {class}"),
            Kind::Unknown => "an unknown operator".into(),
        };
        if operator_of(instr).is_some() {
            if let Some(Some(result)) = self.steps.get(self.at) {
                label += &format!("\n{result}");
            }
            self.at += 1;
        }
        let node = self.node(&label, "");
        from.dedup();
        from.into_iter().for_each(|slot| self.edge(slot, node));
        for inner in instr.blocks() {
            self.block(inner);
        }
        instr.outs.iter().for_each(|slot| {
            self.makers.insert(slot.0, node);
        });
    }

    /// A move is no node: its results are made where its arguments were.
    fn passed_on(&mut self, instr: &Instr) {
        let made = instr.args.iter().map(|arg| match arg {
            Operand::Slot(slot) => self.makers.get(&slot.0).copied(),
            Operand::Const(_) => None,
        });
        let made: Vec<Option<usize>> = made.collect();
        for (slot, node) in instr.outs.iter().zip(made) {
            match node {
                Some(node) => self.makers.insert(slot.0, node),
                None => self.makers.remove(&slot.0),
            };
        }
    }
}

fn slot(arg: Operand) -> Option<u32> {
    match arg {
        Operand::Slot(slot) => Some(slot.0),
        Operand::Const(_) => None,
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    out
}

pub fn bytes(n: usize) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        _ => format!("{:.1} MiB", n as f64 / 1_048_576.0),
    }
}

fn time(d: Duration) -> String {
    format!("{:.3} ms", d.as_secs_f64() * 1e3)
}
