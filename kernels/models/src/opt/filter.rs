//! Convolutions over planes with constant weights get them packed.

use std::sync::Arc;

use stark_kernels::ops::PackedFilter;

use super::fused;
use super::view::{View, constant, floats, view};
use crate::graph::{Graph, Kind};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    for at in 0..graph.body.len() {
        if view(graph, &graph.body[at]) != Some(View::Conv) {
            continue;
        }
        if let Some(filter) = pack(graph, at) {
            fused::give_filter(graph, at, Value::Filter(Arc::new(filter)));
        }
    }
}

fn pack(graph: &Graph, at: usize) -> Option<PackedFilter> {
    let instr = &graph.body[at];
    let Kind::Op(row) = &instr.kind else { return None };
    let groups = row.args.iter().position(|arg| matches!(arg.name, "groups" | "group"))?;
    let groups = match constant(graph, *instr.args.get(groups)?)? {
        Value::None => 1,
        value => usize::try_from(value.scalar()?.to_i64()).ok()?,
    };
    let weight = floats(graph, *instr.args.get(1)?).filter(|w| w.rank() == 4 && w.numel() > 0)?;
    PackedFilter::new(weight, groups).ok()
}
