//! Which parameters are functions that get called at most once.
//!
//! A closure may take unique values along only when it runs once: `s.spawn(|| await f)` gives `f` to the one task that runs
//! it, `xs.map(|x| x + await f)` would need a copy for every item. Whether a function calls its parameter once is found from
//! its body, with the same graph that follows unique values: the parameter is followed as if a call moved it.

use super::graph::{Facts, Graph};
use super::moves;
use crate::hir::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

#[derive(Default)]
pub struct Once {
    known: RefCell<HashMap<(FnId, usize), bool>>,
    depth: Cell<u32>,
}

/// Functions that hand their parameter on deeper than this are taken to call it more than once.
const MAX_DEPTH: u32 = 32;

impl Once {
    pub fn calls_once(&self, facts: Facts<'_>, func: FnId, param: usize) -> bool {
        let def = facts.program.func(func);
        let (Some(p), Some(body)) = (def.params.get(param), &def.body) else { return false };
        if !matches!(p.ty, Ty::Fn(..)) || self.depth.get() > MAX_DEPTH {
            return false;
        }
        if let Some(known) = self.known.borrow().get(&(func, param)) {
            return *known;
        }
        // While it is being found out a recursive call does not count against it.
        self.known.borrow_mut().insert((func, param), true);
        let answer = self.body_calls_once(facts, body, body.params[param]);
        self.known.borrow_mut().insert((func, param), answer);
        answer
    }

    pub fn body_calls_once(&self, facts: Facts<'_>, body: &Body, local: LocalId) -> bool {
        if self.depth.get() > MAX_DEPTH {
            return false;
        }
        self.depth.set(self.depth.get() + 1);
        let graph = Graph::of(facts, body, &[], Some(local));
        let twice = moves::conflicts(&graph).iter().any(|c| c.place.root == local);
        self.depth.set(self.depth.get() - 1);
        !graph.reused && !twice
    }
}
