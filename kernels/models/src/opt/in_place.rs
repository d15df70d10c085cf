//! `relu_` and its like on a fresh value that nobody else reads are plain operators.

use super::uses::Uses;
use super::view::{View, view};
use crate::graph::{Graph, Kind, Operand};

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        let Kind::InPlace(row) = graph.body[at].kind else { continue };
        let target = graph.body[at].args[0];
        // Read here alone, and written by an operator whose result has storage of its own: no view of it exists.
        let fresh = uses.own(target).is_some_and(|writer| gives_fresh(graph, writer));
        if fresh {
            graph.body[at].kind = Kind::Op(row);
        }
    }
}

fn gives_fresh(graph: &Graph, writer: usize) -> bool {
    let instr = &graph.body[writer];
    // An activation of no numbers might give its argument back; layers and sums of tensors never do.
    matches!(view(graph, instr), Some(View::Linear { .. } | View::BatchNorm { .. } | View::Conv))
        || matches!(view(graph, instr), Some(View::Add(a, b)) if [a, b].iter().all(|o| matches!(o, Operand::Slot(_))))
}
