//! What the model changes of its own: a cache, a counter, a weight that is scaled where it lies, a list that it appends to. Each run
//! begins with what the file has, in slots of its own, and changes a copy; the model stays as it was loaded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stark_kernels::Tensor;

use super::alias::Aliases;
use crate::graph::{Block, Graph, Kind, Operand, Slot};
use crate::ops::{self, Traits};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    quantised(graph);
    strided(graph);
    // Of tensors, and of lists and dicts.
    let (mut in_place, mut effects) = (Vec::new(), Vec::new());
    graph.each_instr(&mut |instr| match instr.kind {
        Kind::InPlace(_) => in_place.extend(instr.args.first()),
        Kind::Op(row) if row.traits == Traits::Effect => effects.extend(instr.args.first()),
        _ => {}
    });
    if in_place.is_empty() && effects.is_empty() {
        return;
    }
    // What may change, by address: storages of tensors, lists and dicts.
    let mut changed = HashSet::new();
    let aliases = Aliases::of(graph);
    let mut add = |targets: &[Operand], kind: Part| {
        let mut sets = vec![false; graph.n_slots as usize];
        let mut add = |index: u32| {
            let parts = graph.consts.get(index as usize).map(parts).unwrap_or_default();
            changed.extend(parts.into_iter().filter(|part| part.0 == kind));
        };
        for target in targets {
            match target {
                Operand::Slot(slot) => sets[aliases.set(*slot).0 as usize] = true,
                Operand::Const(index) => add(*index),
            }
        }
        let views = aliases.constants.iter().filter(|(slot, _)| sets[aliases.set(*slot).0 as usize]);
        views.for_each(|(_, index)| add(*index));
    };
    add(&in_place, Part::Storage);
    add(&effects, Part::Container);
    // All names of such a storage, list or dict, and whatever holds it: who reads one of them later sees the change.
    let mut slots = HashMap::new();
    for (index, value) in graph.consts.iter_mut().enumerate() {
        if parts(value).iter().any(|part| changed.contains(part)) {
            let slot = Slot(graph.n_slots);
            graph.n_slots += 1;
            graph.own.push((slot, std::mem::replace(value, Value::None)));
            slots.insert(index as u32, slot);
        }
    }
    let read = |operand: &mut Operand| {
        if let Operand::Const(index) = operand
            && let Some(&slot) = slots.get(index)
        {
            *operand = Operand::Slot(slot);
        }
    };
    read(&mut graph.output);
    each_operand(&mut graph.body, &read);
    graph.find_last_uses();
}

/// Where a model itself lays out tensors with their channels side by side, nothing tells which tensors those are when a trace
/// asks for elements by their places; an exported program says it of each.
fn strided(graph: &mut Graph) {
    let mut says_layout = false;
    graph.each_instr(&mut |instr| {
        let Kind::Op(row) = instr.kind else { return };
        let named = row.args.iter().position(|arg| arg.name == "memory_format");
        // `to` takes it behind the type and what comes with that as well.
        let more = if row.name == "torch.to" { 4..8 } else { 0..0 };
        for at in named.into_iter().chain(more) {
            let format = instr.args.get(at).and_then(|&arg| super::view::constant(graph, arg));
            // `torch.channels_last`, and its form in three dimensions.
            says_layout |= matches!(format, Some(Value::Int(2 | 3)));
        }
    });
    if !says_layout {
        return;
    }
    graph.consts.push(Value::Bool(true));
    let unknown = Operand::Const((graph.consts.len() - 1) as u32);
    let is_open = |consts: &[Value], operand: Operand| match operand {
        Operand::Const(index) => consts.get(index as usize).is_some_and(Value::is_none),
        Operand::Slot(_) => false,
    };
    each_instr(&mut graph.body, &mut |instr| {
        if let Kind::Op(row) = instr.kind
            && row.name.starts_with("torch.as_strided")
            && let [.., order, begin] = &mut *instr.args
            && is_open(&graph.consts, *order)
        {
            *begin = unknown;
        }
    });
}

fn each_instr(block: &mut Block, change: &mut dyn FnMut(&mut crate::graph::Instr)) {
    for instr in block {
        change(instr);
        match &mut instr.kind {
            Kind::If(a, b) => [a, b].into_iter().for_each(|inner| each_instr(inner, change)),
            Kind::For(body) => each_instr(body, change),
            Kind::While { test, body, .. } => {
                each_instr(test, change);
                each_instr(body, change);
            }
            _ => {}
        }
    }
}

/// Weights of statically quantised layers become the numbers that their bytes stand for.
fn quantised(graph: &mut Graph) {
    let (mut layers, mut tuples, mut any) = (Vec::new(), HashMap::new(), false);
    graph.each_instr(&mut |instr| match (&instr.kind, &*instr.outs) {
        (Kind::Op(row), _) => {
            any |= row.name == "torch.quantize_per_tensor";
            if ops::quantised::is_layer(row) {
                layers.extend(instr.args.get(1));
            }
        }
        (Kind::Tuple, &[out]) => {
            tuples.insert(out, instr.args.to_vec());
        }
        _ => {}
    });
    graph.is_quantised = any;
    let mut packed = Vec::new();
    for layer in layers {
        match layer {
            Operand::Const(index) => packed.push(index),
            // Weights and window, or the archive's version, weights among numbers, and the bias.
            Operand::Slot(slot) => {
                packed.extend(tuples.get(&slot).into_iter().flatten().filter_map(|part| match part {
                    Operand::Const(index) => Some(*index),
                    Operand::Slot(_) => None,
                }))
            }
        }
    }
    packed.sort_unstable();
    packed.dedup();
    for index in packed {
        // One that cannot be read is an error of the run's, with its place.
        if let Some(value) = graph.consts.get_mut(index as usize)
            && let Some(plain) = ops::quantised::unpacked_part(value)
        {
            *value = plain;
        }
    }
}

/// What two values may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Storage,
    /// A list or a dict.
    Container,
    /// Nobody changes one, only what it holds.
    Tuple,
}

/// What a value is made of, by address, each part once: a list may be in another one many times. Depth is bounded by that of values.
fn parts(value: &Value) -> HashSet<(Part, usize)> {
    fn collect(value: &Value, out: &mut HashSet<(Part, usize)>) {
        let storage = |tensor: &Tensor| (Part::Storage, tensor.storage_address());
        match value {
            Value::Tensor(tensor) => _ = out.insert(storage(tensor)),
            Value::Complex(parts) => out.extend([storage(&parts.0), storage(&parts.1)]),
            Value::Tuple(tuple) if out.insert((Part::Tuple, Arc::as_ptr(tuple).addr())) => {
                tuple.items.iter().for_each(|item| collect(item, out));
            }
            Value::List(list) if out.insert((Part::Container, Arc::as_ptr(list).addr())) => {
                list.items().iter().for_each(|item| collect(item, out));
            }
            Value::Dict(dict) if out.insert((Part::Container, Arc::as_ptr(dict).addr())) => {
                dict.items().iter().for_each(|(_, item)| collect(item, out));
            }
            _ => {}
        }
    }
    let mut out = HashSet::new();
    collect(value, &mut out);
    out
}

fn each_operand(block: &mut Block, change: &dyn Fn(&mut Operand)) {
    for instr in block {
        instr.args.iter_mut().for_each(change);
        match &mut instr.kind {
            Kind::If(a, b) => [a, b].into_iter().for_each(|inner| each_operand(inner, change)),
            Kind::For(body) => each_operand(body, change),
            Kind::While { test, cond, body } => {
                change(cond);
                each_operand(test, change);
                each_operand(body, change);
            }
            _ => {}
        }
    }
}

/// Pairs of slots that stand for one storage, list or dict, or hold it.
pub fn sharing(own: &[(Slot, Value)]) -> impl Iterator<Item = (Slot, Slot)> {
    let mut first = HashMap::new();
    own.iter().flat_map(|(slot, value)| parts(value).into_iter().map(|part| (*slot, part))).filter_map(
        move |(slot, part)| {
            let before = *first.entry(part).or_insert(slot);
            (before != slot).then_some((before, slot))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_in_others_many_times_is_looked_at_once() {
        let mut list = Value::list(vec![Value::Int(1)]).unwrap();
        for _ in 0..30 {
            list = Value::list(vec![list.clone(), list]).unwrap();
        }
        assert_eq!(parts(&list).len(), 31);
    }
}
