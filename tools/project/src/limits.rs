//! The limits of a program that runs: their names and how a number of bytes is written.
//!
//! A limit has one name: as a key of `[limits]` in `stark.toml`, behind `--` as an option of `stark run`, and in capitals
//! behind `STARK_` in the environment.

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of one task's or actor's values.
    Heap,
    /// Bytes of all values, messages and tensors together.
    Memory,
    /// Bytes of one task's calls.
    Stack,
    /// Tasks and actors that are alive at once.
    Tasks,
    /// Threads that wait for files and programs.
    Blocking,
}

const MAX_STACK: u64 = 32 << 30;

impl Limit {
    pub const ALL: [Limit; 5] = [Limit::Heap, Limit::Memory, Limit::Stack, Limit::Tasks, Limit::Blocking];

    pub fn name(self) -> &'static str {
        match self {
            Limit::Heap => "heap-limit",
            Limit::Memory => "memory",
            Limit::Stack => "stack-limit",
            Limit::Tasks => "max-tasks",
            Limit::Blocking => "blocking-threads",
        }
    }

    /// The environment's variable.
    pub fn variable(self) -> String {
        format!("STARK_{}", self.name().to_uppercase().replace('-', "_"))
    }

    /// # Errors
    /// What is wrong with `text`, as a phrase.
    pub fn parse(self, text: &str) -> Result<u64, String> {
        match self {
            Limit::Heap | Limit::Memory => size(text),
            // A task knows its place in the stack by a number of 32 bits, in words.
            Limit::Stack => match size(text)? {
                n if n <= MAX_STACK => Ok(n),
                _ => Err("a stack takes 32G at most".into()),
            },
            Limit::Tasks | Limit::Blocking => match text.parse() {
                Ok(n) if n > 0 => Ok(n),
                _ => Err(format!("`{text}` is no whole number above 0")),
            },
        }
    }
}

/// Bytes, with `K`, `M` or `G` for their 1024-folds.
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    if digits.is_empty() {
        return Err("a size begins with a number, as in 512M".to_string());
    }
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return Err(format!("`{unit}` is no unit of memory; K, M and G are")),
    };
    // Digits alone: what does not parse is too large.
    let bytes = digits.parse().ok().and_then(|n: u64| n.checked_mul(1 << shift));
    bytes.filter(|&n| n > 0).ok_or_else(|| format!("`{text}` is not a size: it is above 0 and fits 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_has_a_largest_size() {
        assert_eq!(Limit::Stack.parse("32G"), Ok(MAX_STACK));
        assert_eq!(Limit::Stack.parse("33G"), Err("a stack takes 32G at most".to_string()));
        assert_eq!(Limit::Heap.parse("33G"), Ok(33 << 30));
    }
}
