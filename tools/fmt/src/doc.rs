//! The document: what may be broken into lines, and the printer that decides where.
//!
//! The algebra is Wadler's in Prettier's reading (text, lines, groups, indentation), kept as a flat list of commands
//! rather than a tree, so that neither printing nor dropping a document recurses. A group is printed on one line when
//! it fits into what is left of the line together with what follows it up to the next place that can break; otherwise
//! its own lines break, and the groups in it are asked again.

/// Columns that a line should not pass.
pub const WIDTH: usize = 100;
/// Columns of one level of indentation.
const INDENT: usize = 4;
/// Blanks between a line's code and its comment.
const BEFORE_COMMENT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmd<'s> {
    /// A token or a comment, as it was written. It may span lines.
    Text(&'s str),
    Space,
    /// The end of a line if its group is broken, else a blank or nothing.
    Line(Line),
    /// The end of a line in any case. Whatever group it is in is broken.
    Hard {
        blank: bool,
    },
    /// A group begins; a forced one is broken even if it fits.
    Open {
        forced: bool,
    },
    Close,
    Indent,
    Dedent,
    /// Text of a broken group only: the trailing comma.
    IfBroken(&'s str),
    /// A comment that ends the line, with the column at which it stood.
    Trailing {
        text: &'s str,
        column: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// A blank when the group is not broken.
    pub space: bool,
    /// An empty line when the group is broken.
    pub blank: bool,
    /// Breaks only where the next part does not fit: several elements stand on a line.
    pub fill: bool,
}

impl Line {
    pub const SPACE: Line = Line { space: true, blank: false, fill: false };
    pub const TIGHT: Line = Line { space: false, blank: false, fill: false };
}

/// Prints a document. Lines end with `line_end`, the last one too.
pub fn print(commands: &[Cmd<'_>], line_end: &str) -> String {
    let mut printer = Printer {
        commands,
        line_end,
        forced: forced_groups(commands),
        out: String::new(),
        column: 0,
        level: 0,
        line_level: 0,
        pending_space: false,
        line: 0,
        comments: Vec::new(),
        trailing: Vec::new(),
    };
    printer.run();
    printer.with_aligned_comments()
}

/// For each command, whether it opens a group that holds a hard line or a forced group.
fn forced_groups(commands: &[Cmd<'_>]) -> Vec<bool> {
    let mut forced = vec![false; commands.len()];
    let mut open: Vec<usize> = Vec::new();
    for (i, command) in commands.iter().enumerate() {
        match command {
            Cmd::Open { forced: is_forced } => {
                forced[i] = *is_forced;
                open.push(i);
            }
            Cmd::Hard { .. } => {
                if let Some(group) = open.last() {
                    forced[*group] = true;
                }
            }
            Cmd::Close => {
                if let Some(group) = open.pop()
                    && forced[group]
                    && let Some(outer) = open.last()
                {
                    forced[*outer] = true;
                }
            }
            _ => {}
        }
    }
    forced
}

struct Printer<'d, 's> {
    commands: &'d [Cmd<'s>],
    line_end: &'d str,
    forced: Vec<bool>,
    out: String,
    /// Characters on the current line.
    column: usize,
    level: usize,
    /// The level when the current line began: what is indented on it concerns its next lines.
    line_level: usize,
    pending_space: bool,
    /// Line ends so far.
    line: usize,
    /// Comments that wait for the end of the current line.
    comments: Vec<(&'s str, usize)>,
    trailing: Vec<Trailing>,
}

/// A line's comment: where in the output it begins, and what its place depends on.
struct Trailing {
    at: usize,
    code_width: usize,
    line: usize,
    /// The column at which it stood before.
    column: usize,
}

impl<'s> Printer<'_, 's> {
    fn run(&mut self) {
        // Whether each open group is broken.
        let mut broken: Vec<bool> = Vec::new();
        for i in 0..self.commands.len() {
            let in_broken = broken.last().copied().unwrap_or(true);
            match self.commands[i] {
                Cmd::Text(text) => self.text(text),
                Cmd::Space => self.pending_space = self.column > 0,
                Cmd::Line(line) => {
                    if in_broken && !(line.fill && self.next_part_fits(i, line)) {
                        self.end_line(line.blank);
                    } else if line.space {
                        self.pending_space = true;
                    }
                }
                Cmd::Hard { blank } => self.end_line(blank),
                Cmd::Open { .. } => {
                    let breaks = in_broken && (self.forced[i] || !self.group_fits(i));
                    broken.push(breaks);
                }
                Cmd::Close => {
                    broken.pop();
                }
                Cmd::Indent => self.level += 1,
                Cmd::Dedent => self.level = self.level.saturating_sub(1),
                Cmd::IfBroken(text) => {
                    if in_broken {
                        self.text(text);
                    }
                }
                Cmd::Trailing { text, column } => self.comments.push((text, column)),
            }
        }
        if !self.out.is_empty() || !self.comments.is_empty() {
            self.end_line(false);
        }
    }

    fn text(&mut self, text: &str) {
        if self.column == 0 {
            self.column = self.line_level * INDENT;
            self.out.extend(std::iter::repeat_n(' ', self.column));
        } else if self.pending_space {
            self.out.push(' ');
            self.column += 1;
        }
        self.pending_space = false;
        self.out.push_str(text);
        match text.rfind('\n') {
            Some(at) => {
                self.line += text.bytes().filter(|b| *b == b'\n').count();
                self.column = text[at + 1..].chars().count();
            }
            None => self.column += text.chars().count(),
        }
    }

    fn end_line(&mut self, blank: bool) {
        // Nothing stands above the first line.
        self.line_level = self.level;
        if self.out.is_empty() && self.comments.is_empty() {
            return;
        }
        for (i, (comment, column)) in std::mem::take(&mut self.comments).into_iter().enumerate() {
            if i == 0 {
                let at = self.out.len();
                self.trailing.push(Trailing { at, code_width: self.column, line: self.line, column });
            } else {
                self.out.push(' ');
            }
            self.out.push_str(comment);
        }
        for _ in 0..1 + usize::from(blank) {
            self.out.push_str(self.line_end);
            self.line += 1;
        }
        self.column = 0;
        self.pending_space = false;
    }

    fn room(&self) -> usize {
        let start =
            if self.column == 0 { self.line_level * INDENT } else { self.column + usize::from(self.pending_space) };
        WIDTH.saturating_sub(start)
    }

    /// Whether the group that opens at `at` fits on this line with what follows up to the next line that can break.
    fn group_fits(&self, at: usize) -> bool {
        let mut room = self.room();
        let mut depth = 0usize;
        // In the group that ends the statement, behind this one: it breaks rather than this.
        let mut in_last = false;
        for (i, command) in self.commands.iter().enumerate().skip(at) {
            let width = match command {
                Cmd::Open { .. } => {
                    in_last |= depth == 0 && i > at && self.ends_line(i);
                    depth += 1;
                    continue;
                }
                Cmd::Close => {
                    depth = depth.saturating_sub(1);
                    continue;
                }
                Cmd::Line(_) if in_last => return true,
                Cmd::Text(text) => match first_line(text) {
                    Ok(width) => width,
                    Err(width) => return width <= room,
                },
                Cmd::Space => 1,
                Cmd::Line(_) if depth == 0 => return true,
                Cmd::Line(line) => usize::from(line.space),
                Cmd::Hard { .. } => return true,
                Cmd::IfBroken(text) if depth == 0 => text.len(),
                _ => 0,
            };
            match room.checked_sub(width) {
                Some(left) => room = left,
                None => return false,
            }
        }
        true
    }

    /// Whether nothing but the line's end follows the group that opens at `at`.
    fn ends_line(&self, at: usize) -> bool {
        let mut depth = 0usize;
        for command in &self.commands[at..] {
            match command {
                Cmd::Open { .. } => depth += 1,
                Cmd::Close => depth -= 1,
                Cmd::Hard { .. } if depth == 0 => return true,
                Cmd::Text(_) | Cmd::Space | Cmd::Line(_) if depth == 0 => return false,
                _ => {}
            }
        }
        true
    }

    /// Whether what follows the line at `at` fits up to the next line of the same group.
    fn next_part_fits(&self, at: usize, line: Line) -> bool {
        let Some(mut room) = self.room().checked_sub(usize::from(line.space)) else { return false };
        for command in &self.commands[at + 1..] {
            let width = match command {
                Cmd::Text(text) => match first_line(text) {
                    Ok(width) => width,
                    Err(width) => return width <= room,
                },
                Cmd::Space => 1,
                Cmd::Line(_) | Cmd::Hard { .. } => return true,
                Cmd::IfBroken(text) => text.len(),
                _ => 0,
            };
            match room.checked_sub(width) {
                Some(left) => room = left,
                None => return false,
            }
        }
        true
    }

    /// Comments on neighbouring lines that stood in one column do so again; others follow their code.
    fn with_aligned_comments(self) -> String {
        let mut result = String::with_capacity(self.out.len() + 64);
        let mut copied = 0;
        let mut rest = &self.trailing[..];
        while let Some(first) = rest.first() {
            let n = rest
                .iter()
                .enumerate()
                .take_while(|(i, comment)| comment.line == first.line + i && comment.column == first.column)
                .count();
            let (run, after) = rest.split_at(n);
            let widest = run.iter().map(|comment| comment.code_width).max().unwrap_or(0);
            for comment in run {
                result.push_str(&self.out[copied..comment.at]);
                copied = comment.at;
                result.extend(std::iter::repeat_n(' ', widest - comment.code_width + BEFORE_COMMENT));
            }
            rest = after;
        }
        result.push_str(&self.out[copied..]);
        result
    }
}

/// The width of a text, or of its first line as an error when it has several.
fn first_line(text: &str) -> Result<usize, usize> {
    match text.find('\n') {
        Some(end) => Err(text[..end].chars().count()),
        None => Ok(text.chars().count()),
    }
}
