//! What a loaded model does, for people: its operators, what the optimiser fused to them, and the graph as a drawing.

use std::collections::HashMap;
use std::fmt::Write;

use stark_kernels::DType;

use crate::graph::{Graph, Instr, Kind, Operand, Slot};
use crate::model::Model;
use crate::value::Value;

impl Model {
    /// The operators of the graph that runs, each with what was fused to it, and how many there are; the most
    /// frequent first.
    pub fn operators(&self) -> Vec<(String, usize)> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let graph = self.graph();
        graph.each_instr(&mut |instr| *counts.entry(label(graph, instr)).or_default() += 1);
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }

    /// The model's tensors by dtype: the dtype, how many tensors, and their bytes when the dtype has a fixed size.
    pub fn parameter_bytes(&self) -> Vec<(String, usize, Option<usize>)> {
        let mut rows: Vec<(String, usize, Option<usize>)> = Vec::new();
        for parameter in self.parameters() {
            let dtype = DType::ALL.into_iter().find(|d| format!("{d:?}") == parameter.dtype);
            let name = dtype.map_or(parameter.dtype.as_str(), |d| d.name());
            let bytes =
                dtype.and_then(|d| parameter.shape.iter().try_fold(d.size(), |product, &n| product.checked_mul(n)));
            match rows.iter_mut().find(|row| row.0 == name) {
                Some(row) => {
                    row.1 += 1;
                    row.2 = row.2.zip(bytes).and_then(|(a, b)| a.checked_add(b));
                }
                None => rows.push((name.to_string(), 1, bytes)),
            }
        }
        rows
    }

    /// The most values that are alive at once in the outermost block, constants not counted.
    pub fn max_live_values(&self) -> usize {
        let graph = self.graph();
        let (mut live, mut most) = (vec![false; graph.n_slots as usize], graph.inputs.len());
        let mut n: usize = 0;
        let set = |slot: Slot, to: bool, live: &mut Vec<bool>, n: &mut usize| {
            let was = std::mem::replace(&mut live[slot.0 as usize], to);
            *n = *n + usize::from(to && !was) - usize::from(was && !to);
        };
        graph.inputs.iter().for_each(|&slot| set(slot, true, &mut live, &mut n));
        for instr in &graph.body {
            instr.outs.iter().for_each(|&slot| set(slot, true, &mut live, &mut n));
            most = most.max(n);
            instr.frees.iter().for_each(|&slot| set(slot, false, &mut live, &mut n));
        }
        most
    }

    /// The outermost block in Graphviz's language: operators with what was fused to them, and the values between.
    pub fn to_dot(&self) -> String {
        let graph = self.graph();
        let mut out = String::from("digraph model {\n  rankdir=TB;\n  node [shape=box];\n");
        let mut writer: HashMap<Slot, String> = HashMap::new();
        for (i, (slot, input)) in graph.inputs.iter().zip(self.inputs()).enumerate() {
            let _ = writeln!(out, "  in{i} [label=\"{}\", shape=ellipse];", escaped(&input.name));
            writer.insert(*slot, format!("in{i}"));
        }
        for (i, instr) in graph.body.iter().enumerate() {
            let _ = writeln!(out, "  op{i} [label=\"{}\"];", escaped(&label(graph, instr)));
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            slots(instr, &mut reads, &mut writes);
            let mut sources: Vec<&String> = reads.iter().filter_map(|slot| writer.get(slot)).collect();
            sources.sort_unstable();
            sources.dedup();
            for source in sources {
                let _ = writeln!(out, "  {source} -> op{i};");
            }
            for slot in writes {
                writer.insert(slot, format!("op{i}"));
            }
        }
        let _ = writeln!(out, "  out [label=\"output\", shape=ellipse];");
        if let Some(source) = graph.output.slot().and_then(|slot| writer.get(&slot)) {
            let _ = writeln!(out, "  {source} -> out;");
        }
        out.push_str("}\n");
        out
    }
}

/// What an instruction and the blocks in it read and write.
fn slots(instr: &Instr, reads: &mut Vec<Slot>, writes: &mut Vec<Slot>) {
    reads.extend(instr.args.iter().filter_map(|arg| arg.slot()));
    if let Kind::While { cond, .. } = &instr.kind {
        reads.extend(cond.slot());
    }
    writes.extend(&*instr.outs);
    for block in instr.blocks() {
        block.iter().for_each(|inner| slots(inner, reads, writes));
    }
}

/// The operator's name, and what the optimiser fused to it: `Conv + sum + relu (packed)`.
fn label(graph: &Graph, instr: &Instr) -> String {
    let row = match &instr.kind {
        Kind::Op(row) | Kind::InPlace(row) => row,
        Kind::Move => return "move".into(),
        Kind::Tuple => return "tuple".into(),
        Kind::List => return "list".into(),
        Kind::Dict => return "dict".into(),
        Kind::Unpack => return "unpack".into(),
        Kind::If(then, otherwise) => return format!("if ({} and {} operators)", then.len(), otherwise.len()),
        Kind::While { test, body, .. } => return format!("while ({} operators)", test.len() + body.len()),
        Kind::For(body) => return format!("for ({} operators)", body.len()),
        Kind::Raise(class) => return format!("raise {class}"),
        Kind::Unknown => return "an unknown operator".into(),
    };
    let value = |name: &str| {
        let at = row.args.iter().position(|arg| arg.name == name)?;
        match instr.args.get(at)? {
            Operand::Const(index) => graph.consts.get(*index as usize),
            Operand::Slot(_) => None,
        }
    };
    let is_fused =
        row.args.iter().any(|arg| arg.name == "slope") && row.args.iter().any(|arg| arg.name == "activation");
    if !is_fused {
        return row.name.to_string();
    }
    let mut text = row.name.to_string();
    let has = |name: &str| row.args.iter().any(|arg| arg.name == name);
    // A sum is with a value that is computed, so its argument is no constant.
    if has("added") && value("added").is_none() {
        text.push_str(" + sum");
    }
    if let Some(Value::Str(activation)) = value("activation").filter(|v| v.to_string() != "none") {
        let _ = write!(text, "{}{activation}", if row.name == "activation" { ": " } else { " + " });
    }
    if row.args.iter().any(|arg| matches!(value(arg.name), Some(Value::Packed(_) | Value::Filter(_)))) {
        text.push_str(" (packed)");
    }
    text
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { ' '.escape_debug() } else { c.escape_debug() }).collect()
}
