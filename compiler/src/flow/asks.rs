//! W0621: actors that ask each other in a circle.
//!
//! An actor that waits for an answer takes no other message meanwhile, so a circle of waiting actors never goes on. What
//! counts is an ask that a handler waits for, itself or through what it calls; a `send`, or a future that is given away,
//! lets the handler end. Actors of one type that ask each other may be different ones and are left alone.

use super::Flow;
use super::calls::*;
use super::circle::circles;
use crate::hir::*;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::collections::BTreeMap;

impl<'p> Flow<'p> {
    pub fn check_asks(&mut self, calls: &Calls<'p>) {
        let mut edges: BTreeMap<(AdtId, AdtId), (Span, FnId)> = BTreeMap::new();
        for (i, adt) in self.program.adts.iter().enumerate() {
            let AdtKind::Actor(def) = &adt.kind else { continue };
            let handlers = def.handlers.iter().map(|h| h.func).chain(def.on_start).chain(def.on_error);
            for func in handlers {
                for node in calls.nodes.iter().filter(|n| n.func == func) {
                    for (effect, origin) in &node.effects {
                        if let Effect::Asks(other) = effect {
                            edges.entry((AdtId(i as u32), *other)).or_insert((origin.span, func));
                        }
                    }
                }
            }
        }
        for circle in circles(edges.keys().copied()) {
            let asks: Vec<(AdtId, AdtId, Span)> = circle
                .windows(2)
                .filter_map(|pair| edges.get(&(pair[0], pair[1])).map(|(span, _)| (pair[0], pair[1], *span)))
                .collect();
            let Some((first, rest)) = asks.split_first() else { continue };
            let name = |id: AdtId| &self.program.adt(id).name;
            let label =
                |(from, to, _): &(AdtId, AdtId, Span)| format!("`{}` waits for `{}` here", name(*from), name(*to));
            let names: Vec<String> = circle.iter().map(|id| format!("`{}`", name(*id))).collect();
            let mut d = Diagnostic::warning(
                codes::ASK_CIRCLE,
                format!("actors that wait for each other's answers: {}", names.join(" asks ")),
                first.2,
                label(first),
            );
            for ask in rest {
                d = d.because(ask.2, label(ask));
            }
            self.found.push(d.help("let one of them `send`, or answer before it asks"));
        }
    }
}
