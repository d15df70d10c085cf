//! The deterministic twin: one thread, virtual time, every choice from the seed.
//!
//! Which runnable task has the next turn, and how long it may run, come from the seed; time jumps to the
//! next timer when all wait, and else goes on only after much work (`LOOK_NS`). The same program and seed give the same schedule, as
//! long as nothing outside takes part. Instead of drawing its choices the twin follows a schedule that was written down
//! (`schedule`), and it can note the one that it draws.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, ReentrantMutex, ReentrantMutexGuard};

use crate::core::{Core, Handle};
use crate::rng::Rng;
use crate::schedule::{Switch, Taken};
use crate::scheduler::RunOutcome;
use crate::task::{Task, TaskRef, Turn};
use crate::timer::NEVER;

/// So many whole budgets a task may spend in a row before the next has a turn, when the twin follows a schedule: a loop
/// that looks for something again and again must let the others bring it. A guess.
const MAX_IN_A_ROW: u64 = 16;

/// Where the choices come from.
#[derive(Debug, Clone, Default)]
pub enum Choices {
    #[default]
    Drawn,
    /// Drawn, and noted as switches.
    Noted,
    /// Only these switches are made.
    Followed(Vec<Switch>),
}

/// How long who looks from outside waits for the turn under way.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Seeded<T: Task> {
    state: Mutex<State<T>>,
    /// Held over each turn and what is chosen next, and by who looks at a task from outside: what is woken meanwhile is not there to
    /// be chosen, and time would jump over it. A turn may look, too.
    looks: ReentrantMutex<()>,
    /// Something came from outside.
    changed: Condvar,
}

struct Runnable<T: Task> {
    task: TaskRef<T>,
    /// Orders those that wait for a turn.
    arrival: u64,
}

struct State<T: Task> {
    runnable: Vec<Runnable<T>>,
    n_arrived: u64,
    rng: Rng,
    /// For what is drawn beside the schedule: it comes again when the schedule is not drawn.
    draws: Rng,
    now: u64,
    /// Counts `notify`, so that one between looking and waiting is not lost.
    n_changes: u64,
    choices: Choices,
    /// Of switches only; `None` before the first turn.
    last: Option<Last<T>>,
    /// What each task has spent so far.
    spent: HashMap<u64, u64>,
    taken: Vec<Taken>,
    /// What tasks have done without waiting since time last moved, as time.
    worked: u64,
}

/// Time jumps when every task waits; where one does not, it would stand still for ever, and with it whatever waits for a time.
/// So what tasks do without waiting counts as time: a reduction this much,
const REDUCTION_NS: u64 = 10;
/// and a turn of fewer reductions than that, which only looked whether something has happened,
const POLL: u32 = 300;
/// so much.
const POLL_NS: u64 = 100_000;
/// It is added when it is so much together: programs that do little between their waits see time jump and nothing else.
const LOOK_NS: u64 = 10_000_000;

/// The turn before.
struct Last<T: Task> {
    task: TaskRef<T>,
    /// It would have gone on.
    yielded: bool,
    /// What the task has spent without waiting.
    in_a_row: u64,
}

/// What there is to do next.
enum Step<T: Task> {
    Run(TaskRef<T>, u32),
    /// Time jumped: these timers ran out.
    Fire(Vec<TaskRef<T>>),
    /// Nothing until something comes from outside, after so many changes.
    Wait(u64),
    End(RunOutcome),
}

impl<T: Task> Seeded<T> {
    pub(crate) fn new(seed: u64, choices: Choices) -> Self {
        let state = State {
            runnable: Vec::new(),
            n_arrived: 0,
            rng: Rng::new(seed),
            draws: Rng::new(!seed),
            now: 0,
            n_changes: 0,
            choices,
            last: None,
            spent: HashMap::new(),
            taken: Vec::new(),
            worked: 0,
        };
        Self { state: Mutex::new(state), looks: ReentrantMutex::new(()), changed: Condvar::new() }
    }

    pub(crate) fn push(&self, task: TaskRef<T>) {
        let mut state = self.state.lock();
        let arrival = state.n_arrived;
        state.n_arrived += 1;
        state.runnable.push(Runnable { task, arrival });
        state.n_changes += 1;
        self.changed.notify_all();
    }

    pub(crate) fn notify(&self) {
        self.state.lock().n_changes += 1;
        self.changed.notify_all();
    }

    pub(crate) fn now(&self) -> u64 {
        self.state.lock().now
    }

    pub(crate) fn random(&self, bound: usize) -> usize {
        self.state.lock().draws.below(bound)
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state.lock();
        let gone = (std::mem::take(&mut state.runnable), state.last.take());
        drop(state);
        gone.0.iter().for_each(|runnable| runnable.task.discard());
    }

    /// The switches that were made, unless the choices are only drawn.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.lock().taken.clone()
    }

    /// Runs until nothing can happen any more.
    pub(crate) fn run(&self, handle: &Handle<T>) -> RunOutcome {
        let core = &handle.home.core;
        let metrics = &core.metrics[0];
        loop {
            let looks = self.looks.lock();
            match self.step(core) {
                Step::Run(task, budget) => {
                    metrics.runs.add(1);
                    let again = self.notes().then(|| task.clone());
                    let (turn, spent) = task.take_turn(handle, 0, budget);
                    if let Some(task) = again {
                        self.state.lock().note_turn(task, matches!(turn, Turn::Yielded), spent);
                    }
                    match turn {
                        Turn::Parked => {}
                        Turn::Done => metrics.finished.add(1),
                        Turn::Notified => {
                            self.state.lock().note_work(spent);
                            self.push(task);
                        }
                        Turn::Yielded => {
                            metrics.yields.add(1);
                            self.state.lock().note_work(spent);
                            self.push(task);
                        }
                        Turn::Panicked(panic) => core.fail(panic),
                    }
                }
                Step::Fire(due) => {
                    metrics.timers_fired.add(due.len() as u64);
                    due.iter().for_each(TaskRef::wake);
                }
                Step::Wait(n_changes) => {
                    drop(looks);
                    self.wait(n_changes);
                }
                Step::End(outcome) => return outcome,
            }
        }
    }

    fn wait(&self, n_changes: u64) {
        let mut state = self.state.lock();
        while state.n_changes == n_changes {
            self.changed.wait(&mut state);
        }
    }

    /// Nothing is chosen and no turn begins until it is given back. `None`: the turn under way takes long.
    pub(crate) fn look(&self) -> Option<ReentrantMutexGuard<'_, ()>> {
        self.looks.try_lock_for(LOOK)
    }

    fn notes(&self) -> bool {
        !matches!(self.state.lock().choices, Choices::Drawn)
    }

    fn step(&self, core: &Core<T>) -> Step<T> {
        let mut state = self.state.lock();
        if core.stopping() {
            return Step::End(RunOutcome::Stopped);
        }
        if state.worked >= LOOK_NS {
            state.now += std::mem::take(&mut state.worked);
            if core.timers.next() <= state.now {
                return state.fire(core);
            }
        }
        if !state.runnable.is_empty() {
            let (choice, budget, switch) = state.choose(core.budget);
            let task = state.runnable.swap_remove(choice).task;
            let Some(switch) = switch else { return Step::Run(task, budget) };
            let from = match (&state.choices, &state.last) {
                (Choices::Followed(_), Some(last)) => Some(last.task.clone()),
                _ => None,
            };
            // Places are told by the bodies, which may look at the clock.
            drop(state);
            let place = |task: &TaskRef<T>| task.peek(T::place).unwrap_or_default();
            let (from, to) = from.map_or_else(Default::default, |from| (place(&from), place(&task)));
            self.state.lock().taken.push(Taken { switch, from, to });
            return Step::Run(task, budget);
        }
        if core.registry.n_live() == 0 {
            return Step::End(RunOutcome::Done);
        }
        let n_external = core.n_external();
        let next = core.timers.next();
        if next != NEVER {
            state.now = state.now.max(next);
            return state.fire(core);
        }
        if n_external == 0 {
            return Step::End(RunOutcome::Deadlock);
        }
        Step::Wait(state.n_changes)
    }
}

impl<T: Task> State<T> {
    /// A turn has ended after which its task goes on.
    fn note_work(&mut self, spent: u32) {
        self.worked += if spent < POLL { POLL_NS } else { u64::from(spent) * REDUCTION_NS };
    }

    fn fire(&mut self, core: &Core<T>) -> Step<T> {
        self.worked = 0;
        let mut due = Vec::new();
        core.timers.expire(self.now, &mut due);
        Step::Fire(due)
    }

    /// The place in `runnable` of the task that is next, for how long, and whether that is a switch.
    fn choose(&mut self, budget: u32) -> (usize, u32, Option<Switch>) {
        if let Choices::Followed(_) = self.choices {
            return self.follow(budget);
        }
        let choice = self.rng.below(self.runnable.len());
        // Between a sixteenth and the whole: long enough to get on, uneven enough to cut anywhere.
        let least = (budget / 16).max(1);
        let granted = least + self.rng.below((budget - least + 1) as usize) as u32;
        let switch = match self.choices {
            Choices::Noted if choice != self.by_itself(budget) => self.switch_to(choice),
            _ => None,
        };
        (choice, granted, switch)
    }

    fn follow(&mut self, budget: u32) -> (usize, u32, Option<Switch>) {
        let mut choice = self.by_itself(budget);
        let mut made = None;
        if let (Choices::Followed(switches), Some(last)) = (&self.choices, &self.last) {
            let (id, at) = (last.task.id().0, self.spent.get(&last.task.id().0).copied().unwrap_or(0));
            let here = switches.iter().position(|switch| (switch.task, switch.at) == (id, at));
            let next = here.and_then(|i| self.place_of(switches[i].next).map(|place| (i, place)));
            if let Some((i, place)) = next {
                choice = place;
                made = Some(i);
            }
        }
        let id = self.runnable[choice].task.id().0;
        let spent = self.spent.get(&id).copied().unwrap_or(0);
        let goes_on = self.last.as_ref().filter(|last| last.yielded && last.task.id().0 == id);
        let most = u64::from(budget) * MAX_IN_A_ROW;
        let until_others = most.saturating_sub(goes_on.map_or(0, |last| last.in_a_row)).max(1);
        let Choices::Followed(switches) = &mut self.choices else { unreachable!("the caller looked") };
        let made = made.map(|i| switches.remove(i));
        let stops = switches.iter().filter(|switch| switch.task == id && switch.at > spent);
        let until_switch = stops.map(|switch| switch.at - spent).min().unwrap_or(u64::MAX);
        let granted = u64::from(budget).min(until_others).min(until_switch);
        (choice, granted as u32, made)
    }

    /// The place in `runnable` of the task that is next when nothing is said.
    fn by_itself(&self, budget: u32) -> usize {
        let goes_on =
            self.last.as_ref().filter(|last| last.yielded && last.in_a_row < u64::from(budget) * MAX_IN_A_ROW);
        let place = goes_on.and_then(|last| self.place_of(last.task.id().0));
        place.unwrap_or_else(|| {
            let first = (0..self.runnable.len()).min_by_key(|&i| self.runnable[i].arrival);
            first.expect("the caller looked that there is one")
        })
    }

    fn place_of(&self, id: u64) -> Option<usize> {
        self.runnable.iter().position(|runnable| runnable.task.id().0 == id)
    }

    fn switch_to(&self, choice: usize) -> Option<Switch> {
        let id = self.last.as_ref()?.task.id().0;
        let at = self.spent.get(&id).copied().unwrap_or(0);
        Some(Switch { task: id, at, next: self.runnable[choice].task.id().0 })
    }

    fn note_turn(&mut self, task: TaskRef<T>, yielded: bool, spent: u32) {
        // At least one, so that no two turns of a task end at the same number.
        let spent = u64::from(spent.max(1));
        let goes_on = self.last.as_ref().filter(|last| last.yielded && last.task == task);
        let in_a_row = spent + goes_on.map_or(0, |last| last.in_a_row);
        *self.spent.entry(task.id().0).or_default() += spent;
        self.last = Some(Last { task, yielded, in_a_row });
    }
}
