//! `<` and sorting on whole values: fields and elements from the left, variants in order of declaration.

use super::parts;
use crate::types::TypeInfo;
use smallvec::{SmallVec, smallvec};
use stark_bytecode::{Kind, TypeDesc};
use std::cmp::Ordering;

/// A total order for sorting: NaN after everything, `-0.0` equal to `0.0`.
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

enum Step<'a> {
    Pair(&'static TypeInfo, u64, u64),
    /// The elements of two vectors from a position on.
    Items(&'static TypeInfo, &'a [u64], &'a [u64]),
    /// What it comes to when all before it were equal.
    Else(Ordering),
}

/// The order of two live slots of type `info`. Types without an order (functions, maps, models) compare equal; the
/// compiler lets nobody ask.
pub(crate) fn compare_slots(info: &'static TypeInfo, a: u64, b: u64) -> Ordering {
    let mut work: SmallVec<[Step<'_>; 4]> = smallvec![Step::Pair(info, a, b)];
    while let Some(step) = work.pop() {
        let order = match step {
            Step::Else(order) => order,
            Step::Items(elem, items, others) => match (items, others) {
                ([x, items @ ..], [y, others @ ..]) => {
                    work.push(Step::Items(elem, items, others));
                    work.push(Step::Pair(elem, *x, *y));
                    Ordering::Equal
                }
                _ => items.len().cmp(&others.len()),
            },
            Step::Pair(info, a, b) => compare_pair(info, a, b, &mut work),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn compare_pair(info: &'static TypeInfo, a: u64, b: u64, work: &mut SmallVec<[Step<'_>; 4]>) -> Ordering {
    match &info.desc {
        TypeDesc::Number(kind) if kind.is_float() => compare_floats(f64::from_bits(a), f64::from_bits(b)),
        TypeDesc::Number(Kind::UInt64) | TypeDesc::Bool => a.cmp(&b),
        TypeDesc::Number(_) | TypeDesc::Duration | TypeDesc::Instant => (a as i64).cmp(&(b as i64)),
        TypeDesc::Str => parts::text(a).cmp(parts::text(b)),
        TypeDesc::Bytes => parts::bytes(a).cmp(parts::bytes(b)),
        TypeDesc::Tuple(_) | TypeDesc::Struct { .. } | TypeDesc::Enum { .. } | TypeDesc::Actor(_) => {
            let (tag, fields) = parts::fields(info, a);
            let (other_tag, others) = parts::fields(info, b);
            if tag == other_tag {
                for (i, (&x, &y)) in fields.iter().zip(others.iter()).enumerate().rev() {
                    work.push(Step::Pair(info.field(tag, i), x, y));
                }
            }
            tag.cmp(&other_tag)
        }
        TypeDesc::Vec(_) => {
            work.push(Step::Items(info.elem(), parts::items(a), parts::items(b)));
            Ordering::Equal
        }
        TypeDesc::Dyn { .. } => {
            let (x, y) = (parts::dynamic(a), parts::dynamic(b));
            if x.inner.id == y.inner.id {
                work.push(Step::Pair(x.inner, x.value, y.value));
            }
            x.inner.id.cmp(&y.inner.id)
        }
        TypeDesc::Set(_) | TypeDesc::Map(..) => {
            work.push(Step::Else(parts::table(a).len().cmp(&parts::table(b).len())));
            Ordering::Equal
        }
        TypeDesc::Unit | TypeDesc::Fn { .. } | TypeDesc::Tensor { .. } | TypeDesc::Opaque { .. } => Ordering::Equal,
    }
}
