//! Values laid out by a format specification, as in `f"{x:>8.2f}"`, as Python does.
//!
//! One difference: a precision without a form means digits after the point for floats (`.3` is `.3f`).

use crate::fault::Fault;
use crate::structural::show_float;
use crate::value::ValueRef;
use stark_bytecode::format_spec::{Sort, Spec};
use stark_bytecode::{Kind, TypeDesc};

/// How a specification lays out text: what the VM adds to its reading.
trait Layout {
    fn pad(&self, sign: &str, digits: &str, is_number: bool) -> String;
    fn sign(&self, negative: bool) -> &'static str;
}

impl Layout for Spec {
    /// `text` put into the width; numbers stand right unless told otherwise.
    fn pad(&self, sign: &str, digits: &str, is_number: bool) -> String {
        let missing = self.width.saturating_sub(sign.chars().count() + digits.chars().count());
        let fill = |n: usize, c: char| std::iter::repeat_n(c, n).collect::<String>();
        match self.align {
            None if self.zeros && is_number => format!("{sign}{}{digits}", fill(missing, '0')),
            None if is_number => format!("{}{sign}{digits}", fill(missing, self.fill)),
            Some('>') => format!("{}{sign}{digits}", fill(missing, self.fill)),
            Some('^') => {
                format!("{}{sign}{digits}{}", fill(missing / 2, self.fill), fill(missing - missing / 2, self.fill))
            }
            _ => format!("{sign}{digits}{}", fill(missing, self.fill)),
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.sign) {
            (true, _) => "-",
            (false, '+') => "+",
            (false, ' ') => " ",
            (false, _) => "",
        }
    }
}

/// `value` as `f"{value:spec}"`. Throws `ValueError` for a specification that makes no sense or does not fit the value.
pub fn format_value(value: ValueRef<'_>, spec: &str) -> Result<String, Fault> {
    if spec.is_empty() {
        return Ok(value.display());
    }
    let parsed = Spec::parse(spec).map_err(Fault::value)?;
    let sort = match value.info().desc {
        TypeDesc::Number(kind) if kind.is_float() => Sort::Float,
        TypeDesc::Number(_) => Sort::Int,
        _ => Sort::Text,
    };
    parsed.check(sort).map_err(Fault::value)?;
    match value.info().desc {
        TypeDesc::Number(kind) if kind.is_float() => Ok(format_float(value.float(), kind, &parsed)),
        TypeDesc::Number(Kind::UInt64) => format_int(i128::from(value.scalar_bits()), &parsed),
        TypeDesc::Number(_) => format_int(i128::from(value.int()), &parsed),
        _ => Ok(format_text(&value.display(), &parsed)),
    }
}

fn format_text(text: &str, spec: &Spec) -> String {
    match spec.precision {
        Some(n) => spec.pad("", &text.chars().take(n).collect::<String>(), false),
        None => spec.pad("", text, false),
    }
}

fn format_int(n: i128, spec: &Spec) -> Result<String, Fault> {
    let magnitude = n.unsigned_abs();
    let (prefix, digits, run) = match spec.form {
        None if spec.precision.is_some() => return Ok(format_float(n as f64, Kind::Float64, spec)),
        None | Some('d') => ("", magnitude.to_string(), 3),
        Some('x') => ("0x", format!("{magnitude:x}"), 4),
        Some('X') => ("0X", format!("{magnitude:X}"), 4),
        Some('b') => ("0b", format!("{magnitude:b}"), 4),
        Some('o') => ("0o", format!("{magnitude:o}"), 4),
        Some('c') => {
            let c = u32::try_from(n).ok().and_then(char::from_u32);
            let c = c.ok_or_else(|| Fault::value(format!("{n} is not a character's number")))?;
            return Ok(spec.pad("", &c.to_string(), false));
        }
        // The rest are the floats' own.
        Some(_) => return Ok(format_float(n as f64, Kind::Float64, spec)),
    };
    let sign = format!("{}{}", spec.sign(n < 0), if spec.alternate { prefix } else { "" });
    Ok(spec.pad(&sign, &grouped(&digits, run, spec.group), true))
}

fn format_float(x: f64, kind: Kind, spec: &Spec) -> String {
    let sign = spec.sign(x.is_sign_negative() && !x.is_nan());
    if !x.is_finite() {
        let text = if x.is_nan() { "nan" } else { "inf" };
        return spec.pad(sign, &format!("{text}{}", if spec.form == Some('%') { "%" } else { "" }), true);
    }
    let magnitude = x.abs();
    let digits = spec.precision.unwrap_or(6);
    let text = match spec.form {
        None if spec.precision.is_none() => {
            let mut text = String::new();
            show_float(magnitude, kind, &mut text);
            text
        }
        Some('%') => format!("{:.digits$}%", magnitude * 100.0),
        Some(form @ ('e' | 'E')) => scientific(magnitude, digits, form),
        Some('g') => general(magnitude, digits.max(1)),
        _ => format!("{magnitude:.digits$}"),
    };
    let whole = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let text = format!("{}{}", grouped(&text[..whole], 3, spec.group), &text[whole..]);
    spec.pad(sign, &text, true)
}

/// `1.23e+04`: the exponent has a sign and at least two digits.
fn scientific(x: f64, digits: usize, form: char) -> String {
    let text = format!("{x:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}{form}{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// `digits` significant digits, without zeros at the end, in the shorter form.
fn general(x: f64, digits: usize) -> String {
    let text = format!("{x:.*e}", digits - 1);
    let exponent: i32 = text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let text = scientific(x, digits - 1, 'e');
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", trim(mantissa));
    }
    trim(&format!("{x:.*}", (digits as i32 - 1 - exponent).max(0) as usize))
}

fn grouped(digits: &str, run: usize, group: Option<char>) -> String {
    let Some(group) = group else { return digits.to_string() };
    let mut out = String::with_capacity(digits.len() * 2);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % run == 0 {
            out.push(group);
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn check(value: Value, spec: &str, text: &str) {
        assert_eq!(format_value(value.as_ref(), spec).unwrap(), text, "{spec}");
    }

    #[test]
    fn integers_take_width_zeros_base_and_grouping() {
        for (n, spec, text) in [
            (42, "5", "   42"),
            (42, "08", "00000042"),
            (-42, "06", "-00042"),
            (42, "<5", "42   "),
            (42, "*^6", "**42**"),
            (42, "x", "2a"),
            (42, "#010b", "0b00101010"),
            (-255, "X", "-FF"),
            (1234567, ",", "1,234,567"),
            (7, "+", "+7"),
            (5, ".1f", "5.0"),
            (65, "c", "A"),
        ] {
            check(Value::int(n), spec, text);
        }
    }

    #[test]
    fn floats_take_precision_and_form() {
        for (x, spec, text) in [
            (2.5, ".2f", "2.50"),
            (3.14159, ".3", "3.142"),
            (1234.5, "10.1f", "    1234.5"),
            (12345.678, ".2e", "1.23e+04"),
            (0.256, ".1%", "25.6%"),
            (-1.5, "8.2f", "   -1.50"),
            (1234567.891, ",.2f", "1,234,567.89"),
            (0.00001234, "g", "1.234e-05"),
            (100000.0, "g", "100000"),
            (0.5, "6", "   0.5"),
            (f64::INFINITY, "5", "  inf"),
        ] {
            check(Value::float(x), spec, text);
        }
    }

    #[test]
    fn text_is_cut_and_padded() {
        for (s, spec, text) in [
            ("ada", ">6", "   ada"),
            ("ada", "<6", "ada   "),
            ("ada", "^7", "  ada  "),
            ("ädä!", ".3", "ädä"),
            ("a", "3s", "a  "),
        ] {
            check(Value::str(s), spec, text);
        }
    }

    #[test]
    fn wrong_specifications_are_value_errors() {
        for (value, spec) in [
            (Value::int(1), "q"),
            (Value::str("a"), "x"),
            (Value::float(1.0), "x"),
            (Value::int(1), "9999999999"),
            (Value::int(1), "5dd"),
            (Value::float(1.0), "."),
        ] {
            assert!(format_value(value.as_ref(), spec).is_err(), "{spec}");
        }
    }
}
