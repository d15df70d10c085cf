//! What a program answers about itself at any moment, recording or not.

use crate::model::{Actor, Frame};
use serde::{Deserialize, Serialize};

/// The tasks of a program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tasks {
    pub pid: u32,
    pub program: String,
    pub uptime_ns: u64,
    /// In order of their ids.
    pub tasks: Vec<TaskStatus>,
    /// Tasks that were left out.
    pub n_more: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    pub id: u64,
    /// `task`, or the actor with its name.
    pub title: String,
    pub state: State,
    /// Where it stands, innermost call first. Of one that runs or is queued: where it was last seen, if it was.
    pub place: Vec<Frame>,
    pub heap_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    Running,
    Queued,
    Waits {
        /// Words behind "waits for".
        what: String,
        /// The task it waits for; an actor counts as the task that runs it.
        on: Option<u64>,
    },
}

/// The figures of a program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub pid: u32,
    pub program: String,
    pub uptime_ns: u64,
    pub recording: bool,
    pub n_tasks: u64,
    pub tensor_bytes: u64,
    /// Counters of each worker, by name.
    pub workers: Vec<Vec<(String, u64)>>,
    pub actors: Vec<Actor>,
    pub models: Vec<ModelStats>,
    /// Devices other than the processor that were used: their names and counters.
    pub devices: Vec<(String, DeviceStats)>,
}

/// What a device did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceStats {
    pub kernels: u64,
    pub busy_ns: u64,
    pub uploads: u64,
    pub uploaded_bytes: u64,
    pub downloads: u64,
    pub downloaded_bytes: u64,
    /// What tensors hold now, and held at most.
    pub used_bytes: u64,
    pub peak_bytes: u64,
}

/// What a model did since the program began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelStats {
    pub file: String,
    pub device: String,
    pub calls: u64,
    pub errors: u64,
    pub rows: u64,
    pub busy_ns: u64,
    /// How often a call took up to so long: ascending `(ns, calls)`.
    pub latencies: Vec<(u64, u64)>,
}

impl Tasks {
    /// For people: a line for each task with its state, then its calls; under it the tasks that wait for it.
    ///
    /// `now` and then a task waits for one that waits for the first: each is shown once.
    pub fn render(&self) -> String {
        use std::fmt::Write;
        let total = self.tasks.len() as u64 + self.n_more;
        let seconds = self.uptime_ns as f64 / 1e9;
        let mut out = format!("{} (pid {}), {seconds:.1} s, {total} tasks\n", self.program, self.pid);
        let index: std::collections::HashMap<u64, &TaskStatus> = self.tasks.iter().map(|t| (t.id, t)).collect();
        for task in &self.tasks {
            let state = match &task.state {
                State::Running => "runs".to_string(),
                State::Queued => "is queued".to_string(),
                State::Waits { what, on: None } => format!("waits for {what}"),
                State::Waits { what, on: Some(on) } => {
                    let title = index.get(on).map_or("task", |task| task.title.as_str());
                    format!("waits for {what} ({title} {on})")
                }
            };
            let _ = writeln!(out, "{} {} {state}", task.title, task.id);
            for frame in &task.place {
                let _ = writeln!(out, "  at {}", frame.show());
            }
            if let Some(chain) = self.chain(task, &index) {
                let _ = writeln!(out, "  {chain}");
            }
        }
        if self.n_more > 0 {
            let _ = writeln!(out, "… {} more", self.n_more);
        }
        out
    }

    /// `await chain: task 1 → actor scorer 2 → task 5 (runs)`, when it has more than one step.
    fn chain(&self, task: &TaskStatus, index: &std::collections::HashMap<u64, &TaskStatus>) -> Option<String> {
        /// What fits a line.
        const MAX_STEPS: usize = 8;
        let name = |task: &TaskStatus| format!("{} {}", task.title, task.id);
        let (mut steps, mut current, mut seen) = (vec![name(task)], task, vec![task.id]);
        while let State::Waits { on: Some(on), .. } = &current.state {
            let next = index.get(on)?;
            steps.push(name(next));
            if seen.contains(on) {
                steps.push("… a circle".to_string());
                break;
            }
            if steps.len() > MAX_STEPS {
                steps.push("…".to_string());
                break;
            }
            seen.push(*on);
            current = next;
        }
        (steps.len() > 2).then(|| format!("await chain: {}", steps.join(" → ")))
    }
}

impl Frame {
    /// `pick (main.stark:12:9)`
    pub fn show(&self) -> String {
        if self.file.is_empty() {
            self.function.clone()
        } else {
            format!("{} ({}:{}:{})", self.function, self.file, self.line, self.column)
        }
    }
}
