//! Prepacking: once a model is loaded, the weights that still lie in its file are packed, layer by layer, on a thread of their own.
//! Until then runs read them there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use stark_kernels::ops::PackedMatrix;

use crate::graph::Graph;
use crate::value::Value;

/// A prediction that follows loading at once has so long the memory for itself.
const FIRST: Duration = Duration::from_millis(20);

/// Begins to pack what `graph` has left, and stops when the graph is gone.
pub fn begin(graph: &Graph) {
    let waiting = graph.consts.iter().filter_map(|value| match value {
        Value::Packed(matrix) if !matrix.is_packed() => Some(Arc::downgrade(matrix)),
        _ => None,
    });
    let waiting: Vec<Weak<PackedMatrix>> = waiting.collect();
    if waiting.is_empty() {
        return;
    }
    let shared = Arc::new(waiting);
    let work = shared.clone();
    let thread = std::thread::Builder::new().name("model-pack".into()).spawn(move || {
        std::thread::sleep(FIRST);
        pack_all(&work)
    });
    if thread.is_err() {
        // A system that gives no more threads.
        pack_all(&shared);
    }
}

fn pack_all(waiting: &[Weak<PackedMatrix>]) {
    waiting.iter().filter_map(Weak::upgrade).for_each(|matrix| matrix.pack());
}
