//! What happens while a zone's guard is held: E0603 waiting, E0605 taking the same zone again through a call, and W0620
//! zones that are taken in opposite orders.

use super::Flow;
use super::calls::*;
use super::circle::circles;
use crate::hir::*;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::collections::{BTreeMap, HashSet};

/// How one zone came to be taken while another was held.
struct Order {
    taken: Span,
    held: Span,
    /// The function called, when it takes the zone.
    through: Option<(String, Span)>,
}

/// The guards under which another zone is taken, or may be for all that is known.
pub fn outer(calls: &Calls<'_>) -> HashSet<Span> {
    let mut found = HashSet::new();
    for node in &calls.nodes {
        for lock in &node.locks {
            found.extend(lock.held.iter().map(|(_, guard)| *guard));
        }
        for site in node.sites.iter().filter(|site| !site.held.is_empty()) {
            let effects = calls.site_effects(site, node.is_std);
            if effects.iter().any(|(effect, _)| matches!(effect, Effect::Locks(_) | Effect::CallsParam(_))) {
                found.extend(site.held.iter().map(|(_, guard)| *guard));
            }
        }
    }
    found
}

impl<'p> Flow<'p> {
    pub fn check_guards(&mut self, calls: &Calls<'p>) {
        let mut orders: BTreeMap<(GlobalId, GlobalId), Order> = BTreeMap::new();
        for node in calls.nodes.iter().filter(|n| !n.is_std) {
            for wait in &node.waits {
                if let Some((zone, guard)) = wait.held.last() {
                    self.report_wait(*zone, *guard, wait.span, None, Origin { span: wait.span, what: wait.what });
                }
            }
            for lock in &node.locks {
                for (zone, guard) in lock.held.iter().filter(|(z, _)| *z != lock.zone) {
                    let order = Order { taken: lock.span, held: *guard, through: None };
                    orders.entry((*zone, lock.zone)).or_insert(order);
                }
            }
            for site in node.sites.iter().filter(|s| !s.held.is_empty()) {
                for (effect, origin) in calls.site_effects(site, node.is_std) {
                    match effect {
                        Effect::Suspends => {
                            if let Some((zone, guard)) = site.held.last() {
                                self.report_wait(*zone, *guard, site.span, Some(&site.name), origin);
                            }
                        }
                        Effect::Locks(taken) => {
                            for (zone, guard) in &site.held {
                                if *zone == taken {
                                    self.report_again(*zone, *guard, site, origin.span);
                                } else {
                                    let through = Some((site.name.clone(), origin.span));
                                    let order = Order { taken: site.span, held: *guard, through };
                                    orders.entry((*zone, taken)).or_insert(order);
                                }
                            }
                        }
                        Effect::Asks(_) | Effect::CallsParam(_) => {}
                    }
                }
            }
        }
        self.report_orders(&orders);
    }

    fn zone_name(&self, zone: GlobalId) -> &'p str {
        &self.program.globals[zone.index()].name
    }

    fn report_wait(&mut self, zone: GlobalId, guard: Span, span: Span, name: Option<&str>, origin: Origin) {
        let zone = self.zone_name(zone);
        let message = match name {
            Some(name) => format!("`{name}` may wait, and the guard of `{zone}` is held meanwhile"),
            None => format!("this may wait, and the guard of `{zone}` is held meanwhile"),
        };
        let own = !self.is_std(origin.span) && origin.span != span;
        let label = if name.is_none() && !own { origin.what } else { "may wait here" };
        let mut d = Diagnostic::error(codes::SUSPEND_WITH_GUARD, message, span, label)
            .because(guard, format!("`{zone}` is held from here on"));
        if own {
            d = d.because(origin.span, if origin.what == "waits" { "waits here" } else { origin.what });
        }
        self.found
            .push(d.help("wait before the guard is taken, or take what is needed out of the zone and wait after it"));
    }

    fn report_again(&mut self, zone: GlobalId, guard: Span, site: &Site, origin: Span) {
        let inside =
            origin.source == site.span.source && site.span.start <= origin.start && origin.end <= site.span.end;
        if inside {
            // Seen where it is written.
            return;
        }
        let zone = self.zone_name(zone);
        self.found.push(
            Diagnostic::error(
                codes::ZONE_LOCKED_TWICE,
                format!("`{}` takes `{zone}`, which is held here: that would never end", site.name),
                site.span,
                "called while it is held",
            )
            .because(guard, format!("`{zone}` is held from here on"))
            .because(origin, "taken again here")
            .help("call it before the guard is taken, or give it what it needs from the zone"),
        );
    }

    fn report_orders(&mut self, orders: &BTreeMap<(GlobalId, GlobalId), Order>) {
        for circle in circles(orders.keys().copied()) {
            let first = (circle[0], circle[1]);
            let Some(order) = orders.get(&first) else { continue };
            let names: Vec<String> = circle.iter().map(|z| format!("`{}`", self.zone_name(*z))).collect();
            let mut d = Diagnostic::warning(
                codes::LOCK_ORDER,
                match names.as_slice() {
                    [a, b, _] => {
                        format!("{a} and {b} are taken in opposite orders: two tasks can wait for each other for ever")
                    }
                    _ => format!(
                        "zones are taken in a circle, {}: tasks can wait for each other for ever",
                        names.join(", then ")
                    ),
                },
                order.taken,
                self.order_label(first, order),
            );
            d = d.because(order.held, format!("{} is held from here on", names[0]));
            for pair in circle.windows(2).skip(1) {
                if let Some(order) = orders.get(&(pair[0], pair[1])) {
                    d = d.because(order.taken, self.order_label((pair[0], pair[1]), order));
                }
            }
            self.found.push(d.help("take them in the same order everywhere"));
        }
    }

    fn order_label(&self, (held, taken): (GlobalId, GlobalId), order: &Order) -> String {
        let (held, taken) = (self.zone_name(held), self.zone_name(taken));
        match &order.through {
            Some((name, _)) => format!("`{name}` takes `{taken}` while `{held}` is held"),
            None => format!("`{taken}` is taken while `{held}` is held"),
        }
    }
}
