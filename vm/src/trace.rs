//! Where an error was thrown, and through which calls and tasks it came.

use std::fmt::Write;
use std::sync::Arc;

/// Frames beyond this many are only counted. A screen or two; deep recursion says the same thing over and over.
pub const MAX_FRAMES: usize = 100;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Innermost first.
    pub frames: Vec<TraceFrame>,
    /// Frames that were left out.
    pub n_more: usize,
    /// The trace in the task that threw first, when this one only waited for it.
    pub cause: Option<Arc<Trace>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TraceFrame {
    pub function: Arc<str>,
    /// File, line, column; none for code without line information.
    pub at: Option<(Arc<str>, u32, u32)>,
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
                let _ = match &frame.at {
                    Some((file, line, col)) => writeln!(out, "  at {} ({file}:{line}:{col})", frame.function),
                    None => writeln!(out, "  at {}", frame.function),
                };
            }
            if part.n_more > 0 {
                let _ = writeln!(out, "  … {} more", part.n_more);
            }
        }
        out
    }
}
