//! Equal operators on equal arguments run once.

use std::collections::HashMap;

use super::fold::replace;
use super::uses::Uses;
use crate::graph::{Graph, Kind, Operand};
use crate::ops::Traits;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    let mut seen: HashMap<(*const crate::ops::OpRow, Vec<(bool, u32)>), Operand> = HashMap::new();
    let mut known: Vec<Option<Operand>> = vec![None; graph.n_slots as usize];
    let mut kept = Vec::with_capacity(graph.body.len());
    let body = std::mem::take(&mut graph.body);
    for mut instr in body {
        replace(&mut instr, &known);
        let fixed = instr.args.iter().all(|&arg| uses.is_fixed(graph, arg));
        if let (Kind::Op(row), [out]) = (&instr.kind, &*instr.outs) {
            if row.traits == Traits::Pure && fixed && uses.writer(Operand::Slot(*out)).is_some() {
                let key = |operand: &Operand| match operand {
                    Operand::Slot(slot) => (true, slot.0),
                    Operand::Const(index) => (false, *index),
                };
                let key = (std::ptr::from_ref(*row), instr.args.iter().map(key).collect());
                if let Some(&before) = seen.get(&key) {
                    known[out.0 as usize] = Some(before);
                    continue;
                }
                seen.insert(key, Operand::Slot(*out));
            }
        }
        kept.push(instr);
    }
    graph.body = kept;
    if let Operand::Slot(slot) = graph.output {
        graph.output = known[slot.0 as usize].unwrap_or(graph.output);
    }
}
