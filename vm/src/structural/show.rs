//! How values look when printed.

use super::parts;
use crate::types::TypeInfo;
use crate::value::ValueRef;
use compact_str::{CompactString, ToCompactString};
use half::{bf16, f16};
use stark_bytecode::{FieldDesc, Kind, TypeDesc};
use std::fmt::Write;

/// As `print` shows it: text plain at the top.
pub fn display(value: ValueRef<'_>, out: &mut String) {
    match &value.info().desc {
        TypeDesc::Str => out.push_str(value.str()),
        TypeDesc::Tensor { .. } | TypeDesc::Opaque { .. } => value.opaque_dyn().show(false, out),
        _ => show(value, out),
    }
}

/// An integer's digits without anything allocated: what most formatted texts are made of.
pub(crate) fn short_integer(value: ValueRef<'_>) -> Option<CompactString> {
    match value.info().desc {
        TypeDesc::Number(kind) if kind.is_float() => None,
        TypeDesc::Number(Kind::UInt64) => Some(value.bits().to_compact_string()),
        TypeDesc::Number(_) => Some((value.bits() as i64).to_compact_string()),
        _ => None,
    }
}

enum Step<'a> {
    Value(&'static TypeInfo, u64),
    Text(&'static str),
    /// Elements still to show, and whether one came before.
    Items(&'static TypeInfo, &'a [u64], bool),
    /// Fields still to show.
    Fields(&'static TypeInfo, u16, &'a [FieldDesc], parts::Fields<'a>, usize),
    Types(&'static TypeInfo, parts::Fields<'a>, usize),
    Entries(&'static TypeInfo, &'a crate::heap::map::Table, usize),
}

/// As inside a container: text quoted.
pub fn show(value: ValueRef<'_>, out: &mut String) {
    let mut work = vec![Step::Value(value.info(), value.bits())];
    while let Some(step) = work.pop() {
        match step {
            Step::Text(text) => out.push_str(text),
            Step::Value(info, bits) => show_one(info, bits, out, &mut work),
            Step::Items(elem, items, comma) => {
                if let [first, rest @ ..] = items {
                    if comma {
                        out.push_str(", ");
                    }
                    work.push(Step::Items(elem, rest, true));
                    work.push(Step::Value(elem, *first));
                }
            }
            Step::Types(info, slots, i) => {
                if i < slots.len() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    work.push(Step::Types(info, slots, i + 1));
                    work.push(Step::Value(info.field(0, i), slots[i]));
                }
            }
            Step::Fields(info, variant, names, slots, i) => {
                if i < slots.len() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    if !names[i].name.is_empty() {
                        out.push_str(&names[i].name);
                        out.push('=');
                    }
                    work.push(Step::Fields(info, variant, names, slots, i + 1));
                    work.push(Step::Value(info.field(variant, i), slots[i]));
                }
            }
            Step::Entries(info, table, from) => {
                if let Some((entry, next)) = table.next_from(from) {
                    if from > 0 {
                        out.push_str(", ");
                    }
                    work.push(Step::Entries(info, table, next));
                    if matches!(info.desc, TypeDesc::Map(..)) {
                        work.push(Step::Value(info.map_value(), entry.value));
                        work.push(Step::Text(": "));
                    }
                    work.push(Step::Value(info.elem(), entry.key));
                }
            }
        }
    }
}

fn show_one<'a>(info: &'static TypeInfo, bits: u64, out: &mut String, work: &mut Vec<Step<'a>>) {
    match &info.desc {
        TypeDesc::Unit => out.push_str("()"),
        TypeDesc::Bool => out.push_str(if bits != 0 { "true" } else { "false" }),
        TypeDesc::Number(kind) if kind.is_float() => show_float(f64::from_bits(bits), *kind, out),
        TypeDesc::Number(Kind::UInt64) => drop(write!(out, "{bits}")),
        TypeDesc::Number(_) => drop(write!(out, "{}", bits as i64)),
        TypeDesc::Duration => show_duration(bits as i64, out),
        TypeDesc::Instant => {
            out.push_str("Instant(");
            show_duration(bits as i64, out);
            out.push(')');
        }
        TypeDesc::Str => quote(parts::text(bits), out),
        TypeDesc::Bytes => quote_bytes(parts::bytes(bits), out),
        TypeDesc::Tuple(_) => {
            let (_, slots) = parts::fields(info, bits);
            out.push('(');
            work.push(Step::Text(if slots.len() == 1 { ",)" } else { ")" }));
            work.push(Step::Types(info, slots, 0));
        }
        TypeDesc::Struct { name, fields } => {
            let (_, slots) = parts::fields(info, bits);
            show_fields(info, plain_name(name), fields, 0, slots, out, work);
        }
        TypeDesc::Actor(actor) => {
            let (_, slots) = parts::fields(info, bits);
            show_fields(info, plain_name(&actor.name), &actor.fields, 0, slots, out, work);
        }
        TypeDesc::Enum { variants, .. } => {
            let (tag, slots) = parts::fields(info, bits);
            let variant = &variants[usize::from(tag)];
            if variant.fields.is_empty() {
                out.push_str(&variant.name);
            } else {
                show_fields(info, &variant.name, &variant.fields, tag, slots, out, work);
            }
        }
        TypeDesc::Vec(_) => {
            out.push('[');
            work.push(Step::Text("]"));
            work.push(Step::Items(info.elem(), parts::items(bits), false));
        }
        TypeDesc::Map(..) | TypeDesc::Set(_) => {
            out.push('{');
            work.push(Step::Text("}"));
            work.push(Step::Entries(info, parts::table(bits), 0));
        }
        TypeDesc::Fn { .. } => out.push_str(&info.name()),
        TypeDesc::Dyn { .. } => {
            let object = parts::dynamic(bits);
            work.push(Step::Value(object.inner, object.value));
        }
        TypeDesc::Tensor { .. } | TypeDesc::Opaque { .. } => parts::opaque(bits).show(true, out),
    }
}

fn show_fields<'a>(
    info: &'static TypeInfo,
    name: &str,
    names: &'static [FieldDesc],
    variant: u16,
    slots: parts::Fields<'a>,
    out: &mut String,
    work: &mut Vec<Step<'a>>,
) {
    out.push_str(name);
    out.push('(');
    work.push(Step::Text(")"));
    work.push(Step::Fields(info, variant, names, slots, 0));
}

/// `Pair` of `Pair<Int, String>`.
fn plain_name(name: &str) -> &str {
    name.split('<').next().unwrap_or(name)
}

/// Text in quotes with what cannot be seen written as escapes.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            c if c.is_control() => drop(write!(out, "\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn quote_bytes(bytes: &[u8], out: &mut String) {
    out.push_str("b\"");
    for &b in bytes {
        match b {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x20..0x7f => out.push(b as char),
            _ => drop(write!(out, "\\x{b:02x}")),
        }
    }
    out.push('"');
}

/// The shortest text that reads back to the same value of its kind; scientific below 1e-5 and from 1e16 on.
pub fn show_float(x: f64, kind: Kind, out: &mut String) {
    if x.is_nan() {
        return out.push_str("nan");
    }
    if x.is_infinite() {
        return out.push_str(if x > 0.0 { "inf" } else { "-inf" });
    }
    let scientific = x != 0.0 && (x.abs() < 1e-5 || x.abs() >= 1e16);
    let start = out.len();
    let _ = match (kind, scientific) {
        (Kind::Float32, true) => write!(out, "{:e}", x as f32),
        (Kind::Float32, false) => write!(out, "{}", x as f32),
        (Kind::Float16 | Kind::BFloat16, _) => {
            let shortest = shortest_half(x, kind);
            if scientific { write!(out, "{shortest:e}") } else { write!(out, "{shortest}") }
        }
        (_, true) => write!(out, "{x:e}"),
        (_, false) => write!(out, "{x}"),
    };
    if !scientific && !out[start..].contains('.') {
        out.push_str(".0");
    }
}

/// The `f64` with fewest digits that rounds to the same 16-bit float.
fn shortest_half(x: f64, kind: Kind) -> f64 {
    let round = |y: f64| if kind == Kind::Float16 { f16::from_f64(y).to_f64() } else { bf16::from_f64(y).to_f64() };
    (0..8)
        .filter_map(|digits| format!("{x:.digits$e}").parse::<f64>().ok())
        .find(|&candidate| round(candidate) == x)
        .unwrap_or(x)
}

/// `1.5s`, `100ms`, `10us`, `7ns`.
pub fn show_duration(ns: i64, out: &mut String) {
    if ns == 0 {
        return out.push_str("0s");
    }
    if ns < 0 {
        out.push('-');
    }
    let text = format!("{:?}", std::time::Duration::from_nanos(ns.unsigned_abs()));
    out.push_str(&text.replace('µ', "u"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_the_shortest_text_of_their_kind() {
        for (x, kind, text) in [
            (1.0, Kind::Float64, "1.0"),
            (0.1, Kind::Float64, "0.1"),
            (1e-7, Kind::Float64, "1e-7"),
            (1e16, Kind::Float64, "1e16"),
            (1.5e-9, Kind::Float64, "1.5e-9"),
            (9999999999999998.0, Kind::Float64, "9999999999999998.0"),
            (0.00001, Kind::Float64, "0.00001"),
            (-0.0, Kind::Float64, "-0.0"),
            (f64::from(0.1f32), Kind::Float32, "0.1"),
            (f16::from_f64(0.1).to_f64(), Kind::Float16, "0.1"),
            (bf16::from_f64(3.14).to_f64(), Kind::BFloat16, "3.14"),
            (f64::NAN, Kind::Float64, "nan"),
            (f64::NEG_INFINITY, Kind::Float64, "-inf"),
        ] {
            let mut out = String::new();
            show_float(x, kind, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn durations_print_in_their_largest_unit() {
        for (ns, text) in [(1_500_000_000, "1.5s"), (100_000_000, "100ms"), (10_000, "10us"), (-7, "-7ns"), (0, "0s")] {
            let mut out = String::new();
            show_duration(ns, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn text_in_containers_is_quoted() {
        let mut out = String::new();
        quote("a\"b\\\n\u{7}é", &mut out);
        assert_eq!(out, r#""a\"b\\\n\u{7}é""#);
    }
}
