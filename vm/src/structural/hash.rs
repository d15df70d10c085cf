//! Hashing values, equal ones alike.
//!
//! A folded 64×64→128 multiplication a word (wyhash's step). Tables use a seed drawn once per process, so that keys
//! chosen by a stranger cannot be made to collide; iteration follows insertion, so the seed shows nowhere.

use super::parts;
use crate::types::TypeInfo;
use smallvec::{SmallVec, smallvec};
use stark_bytecode::TypeDesc;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

const K: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * u128::from(K | 1);
    (product as u64) ^ ((product >> 64) as u64) ^ state.rotate_left(23)
}

fn mix_bytes(mut state: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        state = mix(state, u64::from_le_bytes(word.try_into().expect("eight bytes")));
    }
    mix(mix(state, tail(words.remainder())), bytes.len() as u64)
}

/// Fewer than eight bytes as the low end of a word. Read from both ends, which may overlap where the bits are the same:
/// a copy of so few bytes whose number is not known would be a call.
fn tail(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    let half = |half: &[u8; 4]| u64::from(u32::from_le_bytes(*half));
    match (bytes.first_chunk(), bytes.last_chunk(), bytes) {
        (Some(low), Some(high), _) => half(low) | half(high) << (8 * (n - 4)),
        (_, _, [first, .., last]) => {
            u64::from(*first) | u64::from(bytes[n / 2]) << (8 * (n / 2)) | u64::from(*last) << (8 * (n - 1))
        }
        (_, _, [only]) => u64::from(*only),
        (_, _, []) => 0,
    }
}

/// For tables in this process.
pub(crate) fn hash_slot(info: &'static TypeInfo, bits: u64) -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    hash_from(*SEED.get_or_init(|| RandomState::new().hash_one(K)), info, bits)
}

/// The same in every run: what a program sees as `hash(x)`.
pub fn stable_hash(value: crate::value::ValueRef<'_>) -> u64 {
    hash_from(K, value.info(), value.bits())
}

fn hash_from(seed: u64, info: &'static TypeInfo, bits: u64) -> u64 {
    // The keys of nearly every map, hashed without a worklist.
    match &info.desc {
        TypeDesc::Str => mix(mix_bytes(seed, parts::text(bits).as_bytes()), K),
        TypeDesc::Bool | TypeDesc::Duration | TypeDesc::Instant => mix(mix(seed, bits), K),
        TypeDesc::Number(kind) if !kind.is_float() => mix(mix(seed, bits), K),
        _ => hash_any(seed, info, bits),
    }
}

fn hash_any(seed: u64, info: &'static TypeInfo, bits: u64) -> u64 {
    let mut state = seed;
    let mut work: SmallVec<[(&'static TypeInfo, u64); 8]> = smallvec![(info, bits)];
    while let Some((info, bits)) = work.pop() {
        state = match &info.desc {
            TypeDesc::Unit => state,
            TypeDesc::Number(kind) if kind.is_float() => {
                let x = f64::from_bits(bits);
                mix(state, if x == 0.0 { 0 } else { x.to_bits() })
            }
            TypeDesc::Bool | TypeDesc::Number(_) | TypeDesc::Duration | TypeDesc::Instant => mix(state, bits),
            TypeDesc::Str => mix_bytes(state, parts::text(bits).as_bytes()),
            TypeDesc::Bytes => mix_bytes(state, parts::bytes(bits)),
            TypeDesc::Tuple(_) | TypeDesc::Struct { .. } | TypeDesc::Enum { .. } | TypeDesc::Actor(_) => {
                let (tag, fields) = parts::fields(info, bits);
                work.extend(fields.iter().enumerate().rev().map(|(i, &x)| (info.field(tag, i), x)));
                mix(state, u64::from(tag))
            }
            TypeDesc::Vec(_) => {
                let (items, elem) = (parts::items(bits), info.elem());
                work.extend(items.iter().rev().map(|&x| (elem, x)));
                mix(state, items.len() as u64)
            }
            // Order does not count in a map's equality, so only the length is taken.
            TypeDesc::Map(..) | TypeDesc::Set(_) => mix(state, parts::table(bits).len() as u64),
            TypeDesc::Dyn { .. } => {
                let object = parts::dynamic(bits);
                work.push((object.inner, object.value));
                mix(state, u64::from(object.inner.id.0))
            }
            // Equality of these is identity or their own affair; all hash alike, which is never wrong.
            TypeDesc::Fn { .. } | TypeDesc::Tensor { .. } | TypeDesc::Opaque { .. } => state,
        };
    }
    mix(state, K)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_the_low_end_of_a_word() {
        let bytes = [0x11, 0x82, 0x33, 0xf4, 0x55, 0x66, 0x97];
        for n in 0..=bytes.len() {
            let mut word = [0; 8];
            word[..n].copy_from_slice(&bytes[..n]);
            assert_eq!(tail(&bytes[..n]), u64::from_le_bytes(word), "{n} bytes");
        }
    }
}
