//! Places as the checks of ownership see them: a variable and the way into it.

use crate::hir::*;
use std::rc::Rc;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub root: LocalId,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Of a struct, an actor, a tuple, or the payload of a variant.
    Field(u32),
    /// An element; without its key when that is computed.
    Element(Option<Key>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Int(i128),
    Text(Rc<str>),
}

impl Place {
    pub fn of(e: &Expr) -> Option<Place> {
        match &e.kind {
            ExprKind::Local(root) => Some(Place { root: *root, steps: Vec::new() }),
            ExprKind::Field { base, index } => Some(Place::of(base)?.then(Step::Field(*index))),
            ExprKind::Index { base, index } => Some(Place::of(base)?.then(Step::Element(key_of(index)))),
            ExprKind::OrInsert { map, key, .. } => Some(Place::of(map)?.then(Step::Element(key_of(key)))),
            ExprKind::Coerce { value, kind: Coercion::Same } => Place::of(value),
            _ => None,
        }
    }

    pub fn then(mut self, step: Step) -> Place {
        self.steps.push(step);
        self
    }

    /// Whether `other` lies in this place or is it. Elements whose keys are not known are taken as different ones.
    pub fn holds(&self, other: &Place) -> bool {
        self.root == other.root
            && self.steps.len() <= other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|(a, b)| a == b && *a != Step::Element(None))
    }

    /// Whether it is an element, or in one, of the place that `outer` is.
    pub fn is_element_of(&self, outer: &Place) -> bool {
        self.steps[outer.steps.len()..].iter().any(|s| matches!(s, Step::Element(_)))
    }
}

fn key_of(index: &Expr) -> Option<Key> {
    match &index.kind {
        ExprKind::Lit(Lit::Int(n)) => Some(Key::Int(*n)),
        ExprKind::Lit(Lit::Str(text)) => Some(Key::Text(text.clone())),
        _ => None,
    }
}

/// The variables a pattern binds, each with the way from the matched value to it and its type.
pub fn bindings<'p>(pat: &'p Pat, steps: &mut Vec<Step>, out: &mut Vec<(LocalId, Vec<Step>, &'p Ty)>) {
    match &pat.kind {
        PatKind::Bind { local, sub } => {
            out.push((*local, steps.clone(), &pat.ty));
            if let Some(sub) = sub {
                bindings(sub, steps, out);
            }
        }
        PatKind::Tuple(items) => {
            for (i, item) in items.iter().enumerate() {
                below(item, Step::Field(i as u32), steps, out);
            }
        }
        PatKind::Struct { fields } | PatKind::Variant { fields, .. } => {
            for (i, field) in fields {
                below(field, Step::Field(*i), steps, out);
            }
        }
        PatKind::List { before, rest, after } => {
            for item in before.iter().chain(after) {
                below(item, Step::Element(None), steps, out);
            }
            if let Some(Some(rest)) = rest {
                out.push((*rest, steps.clone(), &pat.ty));
            }
        }
        PatKind::Or(sides) => sides.iter().for_each(|side| bindings(side, steps, out)),
        PatKind::Wildcard | PatKind::Lit(_) | PatKind::Range { .. } => {}
    }
}

fn below<'p>(pat: &'p Pat, step: Step, steps: &mut Vec<Step>, out: &mut Vec<(LocalId, Vec<Step>, &'p Ty)>) {
    steps.push(step);
    bindings(pat, steps, out);
    steps.pop();
}
