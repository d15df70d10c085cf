//! `==` on whole values.

use super::parts;
use crate::types::TypeInfo;
use smallvec::{SmallVec, smallvec};
use stark_bytecode::TypeDesc;

/// Whether two live slots of type `info` are equal. Floats compare as IEEE says, so a value with a NaN inside differs from itself.
#[inline]
pub(crate) fn equal_slots(info: &'static TypeInfo, a: u64, b: u64) -> bool {
    // The keys of nearly every map, told without a worklist.
    match &info.desc {
        TypeDesc::Str => a == b || parts::text(a) == parts::text(b),
        TypeDesc::Bool | TypeDesc::Duration | TypeDesc::Instant => a == b,
        TypeDesc::Number(kind) if !kind.is_float() => a == b,
        _ => equal_any(info, a, b),
    }
}

fn equal_any(info: &'static TypeInfo, a: u64, b: u64) -> bool {
    let mut work: SmallVec<[(&'static TypeInfo, u64, u64); 8]> = smallvec![(info, a, b)];
    while let Some((info, a, b)) = work.pop() {
        let same = match &info.desc {
            TypeDesc::Unit => true,
            TypeDesc::Number(kind) if kind.is_float() => f64::from_bits(a) == f64::from_bits(b),
            TypeDesc::Bool | TypeDesc::Number(_) | TypeDesc::Duration | TypeDesc::Instant => a == b,
            TypeDesc::Str => parts::text(a) == parts::text(b),
            TypeDesc::Bytes => parts::bytes(a) == parts::bytes(b),
            TypeDesc::Tuple(_) | TypeDesc::Struct { .. } | TypeDesc::Enum { .. } | TypeDesc::Actor(_) => {
                let (tag, fields) = parts::fields(info, a);
                let (other_tag, others) = parts::fields(info, b);
                if tag == other_tag {
                    for (i, (&x, &y)) in fields.iter().zip(others.iter()).enumerate().rev() {
                        work.push((info.field(tag, i), x, y));
                    }
                }
                tag == other_tag
            }
            TypeDesc::Vec(_) => {
                let (items, others) = (parts::items(a), parts::items(b));
                let elem = info.elem();
                if items.len() != others.len() {
                    false
                } else if !elem.is_ref && elem.number().is_none_or(|k| !k.is_float()) {
                    items == others
                } else {
                    work.extend(items.iter().zip(others).rev().map(|(&x, &y)| (elem, x, y)));
                    true
                }
            }
            TypeDesc::Map(..) | TypeDesc::Set(_) => {
                let (table, others) = (parts::table(a), parts::table(b));
                let key = info.elem();
                let value = matches!(info.desc, TypeDesc::Map(..)).then(|| info.map_value());
                table.len() == others.len()
                    && table.iter().all(|entry| match others.get(key, entry.key) {
                        Some(other) => {
                            work.extend(value.map(|value| (value, entry.value, other.value)));
                            true
                        }
                        None => false,
                    })
            }
            TypeDesc::Dyn { .. } => {
                let (x, y) = (parts::dynamic(a), parts::dynamic(b));
                let same = std::ptr::eq(x.inner, y.inner);
                if same {
                    work.push((x.inner, x.value, y.value));
                }
                same
            }
            TypeDesc::Fn { .. } => a == b,
            TypeDesc::Tensor { .. } | TypeDesc::Opaque { .. } => a == b || parts::opaque(a).equal(parts::opaque(b)),
        };
        if !same {
            return false;
        }
    }
    true
}
