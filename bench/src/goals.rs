//! The goals of the runtime as rows: what is measured, against whom, how good it has to be.

use crate::peers::INTERPRETED;
use std::collections::BTreeMap;

/// Figures by program, then by peer.
pub type Figures = BTreeMap<String, BTreeMap<String, f64>>;

/// What a row's figure is made of.
enum Of {
    /// STARK's figure by the peer's; of several programs the geometric mean.
    Ratio(&'static [&'static str], &'static str),
    /// The same without machine code.
    Interpreted(&'static [&'static str], &'static str),
    /// STARK's own figure.
    Own(&'static str),
    /// So many operations, a second.
    PerSecond(&'static str, f64),
}

struct Goal {
    row: &'static str,
    of: Of,
    goal: f64,
    stretch: f64,
}

/// Programs of one task.
pub const SINGLE: &[&str] =
    &["fib", "nbody", "spectral_norm", "mandelbrot", "fannkuch", "binary_trees", "sieve", "matmul", "words", "queens"];

const JOFF: &str = "luajit -joff";

fn goals() -> Vec<Goal> {
    use Of::{Interpreted, Own, PerSecond, Ratio};
    let goal = |row, of, goal, stretch| Goal { row, of, goal, stretch };
    vec![
        goal("ten programs, geometric mean, by luajit -joff", Ratio(SINGLE, JOFF), 0.60, 0.40),
        goal("the same without machine code (--jit off)", Interpreted(SINGLE, JOFF), 0.60, 0.40),
        goal("fib by luajit -joff", Ratio(&["fib"], JOFF), 0.60, 0.50),
        goal("binary_trees by Erlang", Ratio(&["binary_trees"], "Erlang"), 2.0, 1.0),
        goal("spawn and join 1,000,000 tasks by Go", Ratio(&["spawn"], "Go"), 0.8, 0.35),
        goal("ring of 1,000 tasks, 1,000,000 hops, by Tokio", Ratio(&["ring"], "Tokio"), 0.7, 0.35),
        goal("ask and answer, 500,000 round trips, by Tokio", Ratio(&["ask"], "Tokio"), 0.55, 0.33),
        goal("100 senders to one mailbox, 1,000,000 messages, by Go", Ratio(&["senders"], "Go"), 0.9, 0.5),
        goal("channel, 2,000,000 messages, rendezvous, by Go", Ratio(&["rendezvous"], "Go"), 0.8, 0.4),
        goal("channel, 2,000,000 messages, 128 slots, by Go", Ratio(&["channel"], "Go"), 0.7, 0.3),
        goal("skynet, 1,000,000 leaves, by Tokio", Ratio(&["skynet"], "Tokio"), 0.7, 0.35),
        goal("bytes of a parked task, at 1,000,000", Own("memory_tasks"), 400.0, 270.0),
        goal("bytes of a parked actor, at 1,000,000", Own("memory_actors"), 520.0, 320.0),
        goal("lateness of a 1 ms timer beside hot loops, p99, by Erlang", Ratio(&["timer"], "Erlang"), 1.0, 0.5),
        goal("hot loop by the same without the budget", Ratio(&["loop"], "STARK uncounted"), 1.03, 1.01),
        goal("crash and restart, per second", PerSecond("restart", 20_000.0), 50_000.0, 200_000.0),
        goal("start of hello (.starkbc), wall, by Lua 5.4", Ratio(&["hello"], "Lua 5.4"), 3.0, 1.5),
    ]
}

impl Goal {
    /// `None`: something it needs was not measured.
    fn figure(&self, figures: &Figures) -> Option<f64> {
        let of = |program: &str, peer: &str| figures.get(program)?.get(peer).copied();
        let mean = |ours: &str, programs: &[&str], peer: &str| {
            let logs = programs.iter().map(|program| Some((of(program, ours)? / of(program, peer)?).ln()));
            let sum = logs.sum::<Option<f64>>()?;
            Some((sum / programs.len() as f64).exp())
        };
        match self.of {
            Of::Ratio(programs, peer) => mean("STARK", programs, peer),
            Of::Interpreted(programs, peer) => mean(INTERPRETED, programs, peer),
            Of::Own(program) => of(program, "STARK"),
            Of::PerSecond(program, n) => Some(n * 1e3 / of(program, "STARK")?),
        }
    }

    fn verdict(&self, figure: f64) -> &'static str {
        let reaches = |goal: f64| match self.of {
            Of::PerSecond(..) => figure >= goal,
            Of::Ratio(..) | Of::Interpreted(..) | Of::Own(_) => figure <= goal,
        };
        match (reaches(self.stretch), reaches(self.goal)) {
            (true, _) => "stretch",
            (false, true) => "yes",
            (false, false) => "no",
        }
    }
}

/// Every goal with its figure, as a table in Markdown.
pub fn print(figures: &Figures) {
    println!("| row | goal | stretch | figure | reached |");
    println!("| --- | --- | --- | --- | --- |");
    for goal in goals() {
        let sign = if matches!(goal.of, Of::PerSecond(..)) { "≥" } else { "≤" };
        let (figure, verdict) = match goal.figure(figures) {
            Some(figure) => (number(figure), goal.verdict(figure)),
            None => ("-".to_string(), "not measured"),
        };
        let (at, stretch) = (number(goal.goal), number(goal.stretch));
        println!("| {} | {sign} {at} | {sign} {stretch} | {figure} | {verdict} |", goal.row);
    }
}

fn number(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rows: &[(&str, &str, f64)]) -> Figures {
        let mut figures = Figures::new();
        for (program, peer, figure) in rows {
            figures.entry(program.to_string()).or_default().insert(peer.to_string(), *figure);
        }
        figures
    }

    #[test]
    fn a_row_is_a_geometric_mean_and_missing_when_a_part_is() {
        let goal = Goal { row: "two", of: Of::Ratio(&["a", "b"], "peer"), goal: 1.0, stretch: 0.5 };
        let all = [("a", "STARK", 8.0), ("a", "peer", 2.0), ("b", "STARK", 1.0), ("b", "peer", 4.0)];
        let figure = goal.figure(&figures(&all)).expect("everything is there");
        assert!((figure - 1.0).abs() < 1e-9);
        assert_eq!(goal.verdict(figure - 0.01), "yes");
        assert_eq!(goal.figure(&figures(&all[..3])), None);
    }

    #[test]
    fn of_a_rate_more_is_better() {
        let goal = Goal { row: "rate", of: Of::PerSecond("a", 100.0), goal: 1_000.0, stretch: 5_000.0 };
        let figure = goal.figure(&figures(&[("a", "STARK", 50.0)])).expect("measured");
        assert_eq!((figure, goal.verdict(figure)), (2_000.0, "yes"));
        assert_eq!((goal.verdict(10.0), goal.verdict(6_000.0)), ("no", "stretch"));
    }

    #[test]
    fn every_goal_names_programs_that_exist() {
        let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        for goal in goals() {
            let names = match goal.of {
                Of::Ratio(names, _) | Of::Interpreted(names, _) => names.to_vec(),
                Of::Own(name) | Of::PerSecond(name, _) => vec![name],
            };
            for name in names {
                assert!(programs.join(name).with_extension("stark").exists(), "{}: {name}", goal.row);
            }
        }
    }
}
