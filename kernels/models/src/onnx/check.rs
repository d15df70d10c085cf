//! A walk over the bytes of a model before anything is decoded.
//!
//! Protobuf says how long a field is but not how much memory its message takes: two bytes can announce a
//! message of some hundred. So the walk follows every length, knows which fields become messages or numbers,
//! and adds up what decoding would take. A file that is cut, nests too deep, or would grow out of proportion
//! is refused here, with the byte where that shows.

use super::proto::*;

/// What decoding may take beyond four times the file, in bytes.
const FREE_GROWTH: u64 = 64 << 20;
/// How deep messages may nest. The decoder's own limit is 100.
const MAX_DEPTH: usize = 90;

/// A kind of message, as far as its fields matter here.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Msg {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    HolderType,
    Shape,
    /// Only texts and numbers inside.
    Flat,
}

enum Field {
    Message(Msg, usize),
    /// Text that is copied.
    Text,
    /// Packed or single numbers of this many bytes each.
    Numbers(usize),
    /// Bytes that stay in the file, or a field that is skipped.
    InPlace,
}

fn field(msg: Msg, number: u64) -> Field {
    use Field::*;
    match (msg, number) {
        (Msg::Model, 7) | (Msg::Attribute, 6) => Message(Msg::Graph, size_of::<GraphProto>()),
        (Msg::Model, 8) | (Msg::Function, 9) => Message(Msg::Flat, size_of::<OperatorSetIdProto>()),
        (Msg::Model, 25) => Message(Msg::Function, size_of::<FunctionProto>()),
        (Msg::Function, 7) | (Msg::Graph, 1) => Message(Msg::Node, size_of::<NodeProto>()),
        (Msg::Function, 11) | (Msg::Node, 5) => Message(Msg::Attribute, size_of::<AttributeProto>()),
        (Msg::Function, 1 | 4 | 5 | 6 | 10 | 13) | (Msg::Node, 1 | 2 | 3 | 4 | 7 | 8) => Text,
        (Msg::Graph, 2) | (Msg::Attribute, 1 | 21) | (Msg::Tensor, 8) | (Msg::ValueInfo, 1) | (Msg::Flat, 1 | 2) => {
            Text
        }
        (Msg::Graph, 5) | (Msg::Attribute, 5) => Message(Msg::Tensor, size_of::<TensorProto>()),
        (Msg::Graph, 11 | 12) => Message(Msg::ValueInfo, size_of::<ValueInfoProto>()),
        (Msg::Graph, 15) | (Msg::Tensor, 3) => Message(Msg::Flat, size_of::<SparseTensorProto>()),
        (Msg::Attribute, 7) | (Msg::Tensor, 4 | 5) => Numbers(4),
        (Msg::Attribute, 8) | (Msg::Tensor, 1 | 7 | 10 | 11) => Numbers(8),
        (Msg::Attribute, 9) => Message(Msg::Flat, size_of::<prost::bytes::Bytes>()),
        (Msg::Tensor, 13) => Message(Msg::Flat, size_of::<StringStringEntryProto>()),
        (Msg::ValueInfo, 2) => Message(Msg::Type, size_of::<TypeProto>()),
        (Msg::Type, 1) => Message(Msg::TensorType, size_of::<TensorTypeProto>()),
        (Msg::Type, 4 | 9) => Message(Msg::HolderType, size_of::<HolderTypeProto>()),
        (Msg::HolderType, 1) => Message(Msg::Type, size_of::<TypeProto>()),
        (Msg::TensorType, 2) => Message(Msg::Shape, size_of::<TensorShapeProto>()),
        (Msg::Shape, 1) => Message(Msg::Flat, size_of::<DimensionProto>()),
        _ => InPlace,
    }
}

/// Checks a whole `ModelProto`; the error begins with the byte.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let limit = FREE_GROWTH.saturating_add((bytes.len() as u64).saturating_mul(4));
    let mut cost: u64 = 0;
    let mut at = 0;
    // Message and the byte where it ends.
    let mut open = vec![(Msg::Model, bytes.len())];
    while let Some(&(msg, end)) = open.last() {
        if at == end {
            open.pop();
            continue;
        }
        let start = at;
        let fail = |what: String| Err(format!("byte {start}: {what}"));
        let key = varint(&bytes[..end], &mut at)?;
        let (number, wire) = (key >> 3, key & 7);
        if number == 0 || number > 0x1fff_ffff {
            return fail(format!("field number {number}"));
        }
        match wire {
            0 => {
                varint(&bytes[..end], &mut at)?;
                if let Field::Numbers(size) = field(msg, number) {
                    cost += 2 * size as u64;
                }
            }
            1 | 5 => {
                let size = if wire == 1 { 8 } else { 4 };
                if end - at < size {
                    return fail(format!("a number of {size} bytes, {} are left", end - at));
                }
                at += size;
                if let Field::Numbers(size) = field(msg, number) {
                    cost += 2 * size as u64;
                }
            }
            2 => {
                let length = varint(&bytes[..end], &mut at)?;
                if length > (end - at) as u64 {
                    return fail(format!("a field of {length} bytes, {} are left", end - at));
                }
                let stop = at + length as usize;
                // Twice each size: lists grow by doubling.
                match field(msg, number) {
                    // Flat is also bytes, which need not be a message.
                    Field::Message(Msg::Flat, size) if msg == Msg::Attribute => {
                        cost += 2 * size as u64;
                        at = stop;
                    }
                    Field::Message(inner, size) => {
                        cost += 2 * size as u64;
                        if open.len() >= MAX_DEPTH {
                            return fail(format!("messages nest deeper than {MAX_DEPTH}"));
                        }
                        open.push((inner, stop));
                    }
                    Field::Text => {
                        cost += 2 * size_of::<String>() as u64 + length;
                        at = stop;
                    }
                    Field::Numbers(size) => {
                        let n = match size {
                            4 | 8 if length > 0 => bytes[at..stop].iter().filter(|&&b| b < 0x80).count() as u64,
                            _ => 0,
                        };
                        cost += 2 * n.min(length) * size as u64;
                        at = stop;
                    }
                    Field::InPlace => at = stop,
                }
            }
            wire => return fail(format!("wire type {wire}")),
        }
        if cost > limit {
            return fail(format!("its messages would take more than {limit} bytes of memory"));
        }
    }
    Ok(())
}

fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, String> {
    let start = *at;
    let mut value = 0u64;
    for shift in 0..10 {
        let Some(&byte) = bytes.get(*at) else { return Err(format!("byte {start}: the number is cut off")) };
        *at += 1;
        if shift == 9 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(format!("byte {start}: a number (varint) longer than 10 bytes"))
}
