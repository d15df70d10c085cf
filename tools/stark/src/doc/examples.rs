//! Examples in documentation: what stands behind `>>>` and `...`, and the lines below that it must print.
//!
//! ```text
//! /// >>> let xs = [3, 1, 2]
//! /// >>> sorted(xs)
//! /// [1, 2, 3]
//! ```
//!
//! An expression with lines below it is shown as inside a container (text in quotes); one without is only run. Lines that
//! begin with an error's name (`ValueError: …`) say what it must throw. All examples of one comment share their names.

pub const PROMPT: &str = ">>>";
pub const MORE: &str = "...";

/// The text behind `prompt`, when the line begins with it.
pub fn behind<'a>(line: &'a str, prompt: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(prompt)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}
