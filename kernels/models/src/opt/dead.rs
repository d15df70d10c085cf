//! What nobody reads does not run, and constants that nobody reads are let go.

use super::uses::Uses;
use crate::graph::{Block, Graph, Kind, Operand};
use crate::ops::Traits;
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    loop {
        let uses = Uses::of(graph);
        let before = graph.body.len();
        graph.body.retain(|instr| {
            let pure = match &instr.kind {
                Kind::Op(row) => !matches!(row.traits, Traits::Effect | Traits::Draws),
                Kind::Move | Kind::Tuple | Kind::List | Kind::Dict => true,
                _ => false,
            };
            !pure || instr.outs.iter().any(|&slot| uses.n_reads(slot) > 0)
        });
        if graph.body.len() == before {
            return;
        }
    }
}

/// Empties the places of constants that were packed or folded away.
pub fn drop_constants(graph: &mut Graph) {
    let mut used = vec![false; graph.consts.len()];
    let mut mark = |operand: Operand| {
        if let Operand::Const(index) = operand {
            used[index as usize] = true;
        }
    };
    mark(graph.output);
    mark_block(&graph.body, &mut mark);
    for (value, _) in graph.consts.iter_mut().zip(used).filter(|(_, used)| !used) {
        *value = Value::None;
    }
}

fn mark_block(block: &Block, mark: &mut dyn FnMut(Operand)) {
    for instr in block {
        instr.args.iter().for_each(|&arg| mark(arg));
        if let Kind::While { cond, .. } = &instr.kind {
            mark(*cond);
        }
        instr.blocks().for_each(|inner| mark_block(inner, mark));
    }
}
