//! Where an error was thrown, and through which calls and tasks it came.

use crate::load::Func;
use std::fmt::Write;
use std::sync::Arc;

/// Frames beyond this many are only counted. A screen or two; deep recursion says the same thing over and over.
pub const MAX_FRAMES: usize = 100;
/// So many of those at most: an error that is thrown again at every level of a deep recursion shall not be counted out each time.
pub const MAX_COUNTED: usize = 900;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Innermost first.
    pub frames: Vec<TraceFrame>,
    /// Frames that were left out, counted up to `MAX_COUNTED`.
    pub n_more: usize,
    /// The trace in the task that threw first, when this one only waited for it.
    pub cause: Option<Arc<Trace>>,
}

/// A function and the instruction it stands at. What that is in the source is looked up when somebody reads it.
#[derive(Clone, Copy)]
pub struct TraceFrame {
    pub(crate) func: &'static Func,
    pub(crate) pc: usize,
}

impl TraceFrame {
    pub fn function(&self) -> &'static str {
        &self.func.def.name
    }

    /// File, line, column; none for code without line information.
    pub fn at(&self) -> Option<(&'static str, u32, u32)> {
        let lines = &self.func.def.lines;
        let row = lines.partition_point(|line| line.pc as usize <= self.pc).checked_sub(1)?;
        let line = lines[row];
        Some((&**self.func.files.get(line.file as usize)?, line.line, line.col))
    }
}

impl PartialEq for TraceFrame {
    fn eq(&self, other: &TraceFrame) -> bool {
        std::ptr::eq(self.func, other.func) && self.pc == other.pc
    }
}

impl std::fmt::Debug for TraceFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:?}", self.function(), self.at())
    }
}

impl Trace {
    /// One line a frame, `  at pick (main.stark:12:9)`, each ended by a newline.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut parts = vec![self];
        while let Some(cause) = parts.last().and_then(|t| t.cause.as_deref()) {
            parts.push(cause);
        }
        for (i, part) in parts.iter().rev().enumerate() {
            if i > 0 {
                out.push_str("  in the task that waited for it:\n");
            }
            for frame in &part.frames {
                let _ = match frame.at() {
                    Some((file, line, col)) => writeln!(out, "  at {} ({file}:{line}:{col})", frame.function()),
                    None => writeln!(out, "  at {}", frame.function()),
                };
            }
            if part.n_more > 0 {
                let least = if part.n_more == MAX_COUNTED { "at least " } else { "" };
                let _ = writeln!(out, "  … {least}{} more", part.n_more);
            }
        }
        out
    }
}
