//! A schedule of the twin as something to write down: the seed, and where it did not just go on.
//!
//! Left alone, the twin goes on with the task that runs until that waits or ends, then with the one that has waited
//! longest for its turn. A [`Switch`] says where it did something else. It names a place of one task's own progress, not
//! a point in the whole run, so taking one switch out leaves the others where they are.

use std::fmt;
use std::str::FromStr;

/// When `task` had spent `at` reductions in all its turns and its turn was over, `next` was given a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    pub task: u64,
    pub at: u64,
    pub next: u64,
}

/// A switch that was made, with the places where the two tasks stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub switch: Switch,
    /// Empty for a task that had ended, and while the choices are drawn.
    pub from: String,
    pub to: String,
}

/// `30:2@57-3,3@12-2`: the seed, then each switch as `TASK@REDUCTIONS-NEXT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What is drawn in the run besides the order of the tasks comes from it.
    pub seed: u64,
    pub switches: Vec<Switch>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.seed)?;
        for (i, Switch { task, at, next }) in self.switches.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{task}@{at}-{next}")?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{what}` is no part of a schedule, which is `SEED:TASK@REDUCTIONS-NEXT,…`");
        let number = |text: &str, whole: &str| text.parse::<u64>().map_err(|_| wrong(whole));
        let (seed, rest) = text.split_once(':').ok_or_else(|| wrong(text))?;
        let switch = |text: &str| {
            let (task, rest) = text.split_once('@').ok_or_else(|| wrong(text))?;
            let (at, next) = rest.split_once('-').ok_or_else(|| wrong(text))?;
            Ok(Switch { task: number(task, text)?, at: number(at, text)?, next: number(next, text)? })
        };
        let switches = rest.split(',').filter(|part| !part.is_empty()).map(switch).collect::<Result<_, String>>()?;
        Ok(Schedule { seed: number(seed, text)?, switches })
    }
}

/// The fewest of `switches` with which `fails` still answers `true` (Zeller's delta debugging): without any one of them it
/// would not. `fails` is asked with all of them first; `None` when it answers `false` then.
pub fn fewest(switches: &[Switch], mut fails: impl FnMut(&[Switch]) -> bool) -> Option<Vec<Switch>> {
    if !fails(switches) {
        return None;
    }
    let mut left = switches.to_vec();
    let mut n_parts = 1;
    while !left.is_empty() {
        let size = left.len().div_ceil(n_parts);
        let without = (0..left.len()).step_by(size).find_map(|from| {
            let mut rest = left.clone();
            rest.drain(from..left.len().min(from + size));
            fails(&rest).then_some(rest)
        });
        match without {
            // Go on as coarse as what is left allows.
            Some(rest) => {
                left = rest;
                n_parts = n_parts.saturating_sub(1).max(1);
            }
            None if size == 1 => break,
            None => n_parts = (n_parts * 2).min(left.len()),
        }
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(task: u64) -> Switch {
        Switch { task, at: 2 * task, next: task + 1 }
    }

    #[test]
    fn a_schedule_reads_back() {
        for switches in [vec![], vec![switch(1)], vec![switch(1), switch(7)]] {
            let schedule = Schedule { seed: 30, switches };
            assert_eq!(schedule.to_string().parse(), Ok(schedule));
        }
        for wrong in ["", "x:", "3", "3:1", "3:1@2", "3:1@2-x", "3:1-2@3", "-1:"] {
            assert!(wrong.parse::<Schedule>().unwrap_err().contains("no part of a schedule"), "{wrong}");
        }
    }

    #[test]
    fn the_fewest_are_those_that_are_needed() {
        let all: Vec<Switch> = (0..100).map(switch).collect();
        for needed in [vec![], vec![42], vec![0, 99], vec![3, 4, 50, 51]] {
            let mut n_asked = 0;
            let fails = |some: &[Switch]| {
                n_asked += 1;
                needed.iter().all(|&task| some.contains(&switch(task)))
            };
            let found = fewest(&all, fails).expect("all of them fail");
            assert_eq!(found.iter().map(|switch| switch.task).collect::<Vec<_>>(), needed);
            assert!(n_asked < 150, "asked {n_asked} times for {needed:?}");
        }
    }

    #[test]
    fn what_does_not_fail_has_no_fewest() {
        assert_eq!(fewest(&[switch(1)], |_| false), None);
    }
}
