//! Where an entry ends.

/// What a text needs to be an entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Wants {
    Nothing,
    /// A bracket or a text is open, or a block has no lines yet.
    More,
    /// It has a block, which more lines may belong to.
    Block,
}

/// What has been seen of a text.
#[derive(Default)]
struct Seen {
    depth: i64,
    /// Inside `"""` or `'''`.
    open_text: Option<char>,
    /// The last line with something on it ends in `:` or `=>`.
    opens: bool,
    has_block: bool,
}

fn look(text: &str) -> Seen {
    let mut seen = Seen::default();
    let mut chars = text.chars().peekable();
    let mut last = [' ', ' '];
    while let Some(c) = chars.next() {
        if let Some(quote) = seen.open_text {
            if c == '\\' {
                chars.next();
            } else if c == quote && chars.peek() == Some(&quote) {
                chars.next();
                if chars.next_if_eq(&quote).is_some() {
                    seen.open_text = None;
                    last = [' ', quote];
                }
            }
            continue;
        }
        match c {
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'/') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            '"' | '\'' => {
                last = [' ', c];
                if chars.next_if_eq(&c).is_some() {
                    if chars.next_if_eq(&c).is_some() {
                        seen.open_text = Some(c);
                    }
                    continue;
                }
                // A text on one line ends with the line at the latest.
                while let Some(inner) = chars.next_if(|inner| *inner != '\n') {
                    if inner == '\\' {
                        chars.next_if(|next| *next != '\n');
                    } else if inner == c {
                        break;
                    }
                }
            }
            '(' | '[' | '{' => seen.depth += 1,
            ')' | ']' | '}' => seen.depth -= 1,
            '\n' => {
                let opens = last[1] == ':' || last == ['=', '>'];
                if last != [' ', ' '] {
                    seen.opens = opens;
                }
                seen.has_block |= opens;
                last = [' ', ' '];
                continue;
            }
            _ => {}
        }
        if !c.is_whitespace() && !matches!(c, '"' | '\'' | '#') {
            last = [last[1], c];
        }
    }
    seen
}

/// What `text`, whole lines, needs; commands that begin with `:` need nothing.
pub fn wants(text: &str) -> Wants {
    if text.trim_start().starts_with(':') {
        return Wants::Nothing;
    }
    let seen = look(text);
    let is_attribute =
        text.lines().rfind(|l| !l.trim().is_empty()).is_some_and(|l| l.starts_with('@') || l.starts_with("///"));
    if seen.depth > 0 || seen.open_text.is_some() || seen.opens || is_attribute {
        Wants::More
    } else if seen.has_block {
        Wants::Block
    } else {
        Wants::Nothing
    }
}

/// The entries of a script: a line belongs to the one before it when that is open, or when it is indented or goes on with
/// its statement.
pub fn entries(lines: &[String]) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in lines {
        let goes_on = match entries.last() {
            Some(open) => {
                wants(open) == Wants::More
                    || (wants(open) == Wants::Block && continues(line))
                    || starts_with_point(line)
            }
            None => false,
        };
        match entries.last_mut().filter(|_| goes_on) {
            Some(open) => *open += &format!("{line}\n"),
            None => entries.push(format!("{line}\n")),
        }
    }
    entries
}

fn starts_with_point(line: &str) -> bool {
    line.starts_with([' ', '.'])
}

fn continues(line: &str) -> bool {
    let first = line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    line.trim().is_empty()
        || line.starts_with([' ', '\t', ')', ']', '}'])
        || matches!(first, "else" | "catch" | "finally")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ends_where_nothing_is_open() {
        for (text, want) in [
            ("1 + 2\n", Wants::Nothing),
            ("f(1,\n", Wants::More),
            ("print(\"(\")\n", Wants::Nothing),
            ("x # (\n", Wants::Nothing),
            ("let t = \"\"\"a\n", Wants::More),
            ("let t = \"\"\"a\nb\"\"\"\n", Wants::Nothing),
            ("fn f():\n", Wants::More),
            ("fn f(): // why\n", Wants::More),
            ("fn f():\n    pass\n", Wants::Block),
            ("fn f(): pass\n", Wants::Nothing),
            ("match x:\n    1 =>\n", Wants::More),
            ("@test\n", Wants::More),
            (":type f(\n", Wants::Nothing),
            ("let s = \"a:\"\n", Wants::Nothing),
            ("\n", Wants::Nothing),
        ] {
            assert_eq!(wants(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_script_is_cut_into_entries() {
        let script = "let a = 1\nfn f():\n    pass\n\n    pass\nif a:\n    b\nelse:\n    c\nx\n  .y\n:quit";
        let lines: Vec<String> = script.lines().map(str::to_string).collect();
        let found = entries(&lines);
        let firsts: Vec<&str> = found.iter().map(|e| e.lines().next().unwrap_or_default()).collect();
        assert_eq!(firsts, ["let a = 1", "fn f():", "if a:", "x", ":quit"]);
    }
}
