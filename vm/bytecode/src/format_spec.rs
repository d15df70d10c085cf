//! Format specifications, as in `f"{x:>8.2f}"`: fill, alignment, sign, zeros, width, grouping, precision and form, as Python has them.
//!
//! They travel as text. The compiler reads those that stand in a program, the VM all: one reader for both.

/// Wider or more precise than this is a mistake or an attack, not a column.
pub const MAX_WIDTH: usize = 100_000;

/// What stands behind the colon.
#[derive(Debug, PartialEq)]
pub struct Spec {
    pub fill: char,
    pub align: Option<char>,
    pub sign: char,
    pub alternate: bool,
    pub zeros: bool,
    pub width: usize,
    pub group: Option<char>,
    pub precision: Option<usize>,
    pub form: Option<char>,
}

impl Spec {
    /// Reads what stands behind the colon; what it may be of, `check` says.
    pub fn parse(text: &str) -> Result<Spec, String> {
        let mut spec = Spec {
            fill: ' ',
            align: None,
            sign: '-',
            alternate: false,
            zeros: false,
            width: 0,
            group: None,
            precision: None,
            form: None,
        };
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '^'));
        if is_align(chars.get(1)) {
            spec.fill = chars[0];
            spec.align = Some(chars[1]);
            at = 2;
        } else if is_align(chars.first()) {
            spec.align = Some(chars[0]);
            at = 1;
        }
        if let Some(&sign @ ('+' | '-' | ' ')) = chars.get(at) {
            spec.sign = sign;
            at += 1;
        }
        if chars.get(at) == Some(&'#') {
            spec.alternate = true;
            at += 1;
        }
        if chars.get(at) == Some(&'0') {
            spec.zeros = true;
            at += 1;
        }
        spec.width = number(&chars, &mut at, text)?.unwrap_or(0);
        if let Some(&group @ (',' | '_')) = chars.get(at) {
            spec.group = Some(group);
            at += 1;
        }
        if chars.get(at) == Some(&'.') {
            at += 1;
            match number(&chars, &mut at, text)? {
                None => return Err(format!("format `{text}` has no digits behind its point")),
                digits => spec.precision = digits,
            }
        }
        spec.form = chars.get(at).copied();
        if chars.len() > at + 1 {
            return Err(format!("format `{text}` goes on behind `{}`", chars[at]));
        }
        Ok(spec)
    }

    /// Whether values of that sort have this form; why not.
    pub fn check(&self, of: Sort) -> Result<(), String> {
        let Some(form) = self.form else { return Ok(()) };
        let (forms, what) = match of {
            Sort::Int => ("dxXbocedEfFg%", "an integer"),
            Sort::Float => ("eEfFg%", "a float"),
            Sort::Text => ("s", "text"),
        };
        match forms.contains(form) {
            true => Ok(()),
            false => Err(format!("format form `{form}` does not fit {what}")),
        }
    }
}

/// What a value is to a specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Int,
    Float,
    Text,
}

fn number(chars: &[char], at: &mut usize, text: &str) -> Result<Option<usize>, String> {
    let start = *at;
    let mut n = 0usize;
    while let Some(digit) = chars.get(*at).and_then(|c| c.to_digit(10)) {
        n = n.saturating_mul(10).saturating_add(digit as usize);
        *at += 1;
    }
    if n > MAX_WIDTH {
        return Err(format!("format `{text}` asks for more than {MAX_WIDTH} characters"));
    }
    Ok((*at > start).then_some(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_fits_some_sorts_of_values() {
        for (text, int, float, shown) in [
            ("x", true, false, false),
            ("8.2f", true, true, false),
            (">6", true, true, true),
            ("s", false, false, true),
        ] {
            let spec = Spec::parse(text).unwrap();
            let fits = [Sort::Int, Sort::Float, Sort::Text].map(|of| spec.check(of).is_ok());
            assert_eq!(fits, [int, float, shown], "{text}");
        }
    }

    #[test]
    fn what_is_no_specification_is_told() {
        assert_eq!(Spec::parse("5dd").unwrap_err(), "format `5dd` goes on behind `d`");
        assert_eq!(Spec::parse(".").unwrap_err(), "format `.` has no digits behind its point");
        assert_eq!(Spec::parse("9999999999").unwrap_err(), "format `9999999999` asks for more than 100000 characters");
    }
}
