//! The optimiser: passes over an imported graph that keep its results and make it run faster.
//!
//! Passes look at the outermost block only, where a model's layers are, and at slots that are written once. In-place
//! operators become plain ones first, where nobody can tell; what is still changed in place then, lists and dicts that
//! change, and all that may be views of them or hold them, are left as they are. Every pass can be switched off.

mod alias;
mod attention;
mod common;
mod conv;
mod dead;
mod filter;
mod fold;
pub(crate) mod fused;
mod gate;
mod gelu;
mod in_place;
mod join;
mod linear;
mod norm;
mod own;
mod turn;
mod uses;
mod view;

pub(crate) use own::sharing;

use crate::graph::Graph;

/// A pass, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// In-place operators become plain ones where no other view of the value is read later.
    InPlace,
    /// What depends on constants alone is computed when the model is loaded, dequantised weights and lists among it; what changes
    /// nothing (dropout, identity) goes.
    Fold,
    /// Equal operators on equal arguments run once.
    Common,
    /// GELU spelled out with `erf` or `tanh` is one operator.
    Gelu,
    /// SiLU, hard swish and Mish spelled out are one operator.
    Gate,
    /// Layer norm and RMS norm spelled out are one operator.
    Norm,
    /// Joins of joins, as caches of keys and values are stacked, are one.
    Join,
    /// Axes exchanged by way of other shapes are a view.
    Turn,
    /// Scores, mask, softmax and sum are one operator that never holds all scores.
    Attention,
    /// Convolutions take up a batch norm, a sum and an activation that follow.
    Conv,
    /// Convolutions with constant weights pack them, for images with channels last: for the CPU alone.
    Filter,
    /// Layers with constant weights pack them, and take up a bias, a sum and an activation that follow.
    Linear,
    /// What nobody reads does not run.
    Dead,
}

impl Pass {
    pub const ALL: [Pass; 13] = [
        Pass::InPlace,
        Pass::Fold,
        Pass::Common,
        Pass::Gelu,
        Pass::Gate,
        Pass::Norm,
        Pass::Join,
        Pass::Turn,
        Pass::Attention,
        Pass::Conv,
        Pass::Filter,
        Pass::Linear,
        Pass::Dead,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Pass::InPlace => "in-place",
            Pass::Fold => "fold",
            Pass::Common => "common",
            Pass::Gelu => "gelu",
            Pass::Gate => "gate",
            Pass::Norm => "norm",
            Pass::Join => "join",
            Pass::Turn => "turn",
            Pass::Attention => "attention",
            Pass::Conv => "conv",
            Pass::Filter => "filter",
            Pass::Linear => "linear",
            Pass::Dead => "dead",
        }
    }
}

/// Gives each run tensors of its own where the model changes them; the rest of this module counts on it.
pub fn own(graph: &mut Graph) {
    own::run(graph);
}

/// Runs `passes` in their order.
pub fn optimise(graph: &mut Graph, passes: &[Pass]) {
    if passes.is_empty() {
        return;
    }
    for pass in Pass::ALL.into_iter().filter(|pass| passes.contains(pass)) {
        match pass {
            Pass::InPlace => in_place::run(graph),
            Pass::Fold => fold::run(graph),
            Pass::Common => common::run(graph),
            Pass::Gelu => gelu::run(graph),
            Pass::Gate => gate::run(graph),
            Pass::Norm => norm::run(graph),
            Pass::Join => join::run(graph),
            Pass::Turn => turn::run(graph),
            Pass::Attention => attention::run(graph),
            Pass::Conv => conv::run(graph),
            Pass::Filter => filter::run(graph),
            Pass::Linear => linear::run(graph),
            Pass::Dead => dead::run(graph),
        }
    }
    dead::drop_constants(graph);
    graph.find_last_uses();
}
