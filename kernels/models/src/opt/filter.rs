//! Convolutions over planes with constant weights get them packed.

use std::sync::Arc;

use stark_kernels::Conv;
use stark_kernels::ops::PackedFilter;

use super::fused;
use super::view::{View, constant, floats, view};
use crate::graph::{Graph, Kind};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    for at in 0..graph.body.len() {
        let is_fused = matches!(graph.body[at].kind, Kind::Op(row) if fused::is_conv(row));
        if !is_fused && view(graph, &graph.body[at]) != Some(View::Conv) {
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
    let argument = |names: [&str; 2]| {
        let index = row.args.iter().position(|arg| names.contains(&arg.name))?;
        constant(graph, *instr.args.get(index)?)
    };
    let groups = match argument(["groups", "group"])? {
        Value::None => 1,
        value => usize::try_from(value.scalar()?.to_i64()).ok()?,
    };
    let weight = floats(graph, *instr.args.get(1)?).filter(|w| w.rank() == 4 && w.numel() > 0)?;
    let by_pixel = [["stride", "strides"], ["dilation", "dilations"]];
    if by_pixel.into_iter().all(|names| argument(names).is_some_and(are_one)) {
        return PackedFilter::for_windows(weight, groups, [Conv::default(); 2]).ok();
    }
    PackedFilter::new(weight, groups).ok()
}

/// Whether all numbers of a list are 1, which is what none stand for.
fn are_one(value: &Value) -> bool {
    let is_one = |value: &Value| value.scalar().is_some_and(|x| x.to_f64() == 1.0);
    match value {
        Value::None => true,
        Value::List(list) => list.items().iter().all(is_one),
        Value::Tuple(tuple) => tuple.items.iter().all(is_one),
        number => is_one(number),
    }
}
