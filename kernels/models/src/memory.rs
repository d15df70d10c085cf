//! Memory plans of a model: one for each set of input shapes, found on the first run with them, or on the second where there
//! are many.

use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;
use stark_kernels::DType;
use stark_kernels::cpu::arena::{self, MemoryPlan};

use crate::value::Value;

/// Sets of input shapes whose plans a model keeps; the one that was not used for longest goes.
pub const MAX_PLANS: usize = 16;
/// So many are planned when they are first seen. Further ones when they are seen again: a model that keeps what it has said
/// runs on shapes that grow with each step and never come again.
const MAX_AT_ONCE: usize = 4;
/// Runs that went another way than their plan before shapes are given up: the model's way depends on its values.
const MAX_MISSES: u32 = 3;

/// The plans of a model.
#[derive(Default)]
pub struct Plans(Mutex<Vec<Entry>>);

/// Dtype, rank and dimensions of each input in turn.
type Key = SmallVec<[usize; 16]>;

struct Entry {
    key: Key,
    plan: Option<Arc<MemoryPlan>>,
    n_misses: u32,
}

impl Plans {
    /// Runs `work` on `inputs`: in planned memory when it ran on such shapes before.
    pub fn run<R, E>(&self, inputs: Vec<Value>, work: impl FnOnce(Vec<Value>) -> Result<R, E>) -> Result<R, E> {
        let key = key(&inputs);
        let work = || work(inputs);
        let Some(key) = key else { return work() };
        let known = {
            let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = entries.iter().rposition(|entry| entry.key == key);
            // The last one is the one used last.
            let known = at.map(|at| {
                let last = entries.len() - 1;
                entries[at..].rotate_left(1);
                (entries[last].plan.clone(), entries[last].n_misses)
            });
            if known.is_none() && entries.len() >= MAX_AT_ONCE {
                if entries.len() >= MAX_PLANS {
                    entries.remove(0);
                }
                entries.push(Entry { key, plan: None, n_misses: 0 });
                drop(entries);
                return work();
            }
            known
        };
        match known {
            Some((Some(plan), _)) => {
                let (out, n_missed) = arena::run(&plan, work);
                if n_missed > 0 && out.is_ok() {
                    self.change(&key, |entry| {
                        entry.n_misses += 1;
                        // It is watched again.
                        entry.plan = None;
                    });
                }
                out
            }
            Some((None, n_misses)) if n_misses >= MAX_MISSES => work(),
            _ => {
                let (out, plan) = arena::watch(work);
                // One that failed took less than others will.
                if out.is_err() {
                    return out;
                }
                self.change(&key, |entry| match plan {
                    Some(plan) => entry.plan = Some(Arc::new(plan)),
                    None => entry.n_misses = MAX_MISSES,
                });
                out
            }
        }
    }

    /// The plan for `inputs`, when there is one.
    pub fn of(&self, inputs: &[Value]) -> Option<Arc<MemoryPlan>> {
        let key = key(inputs)?;
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().find(|entry| entry.key == key)?.plan.clone()
    }

    /// Changes the entry of `key`, which is made when there is none.
    fn change(&self, key: &Key, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !entries.iter().any(|entry| entry.key == *key) {
            if entries.len() >= MAX_PLANS {
                entries.remove(0);
            }
            entries.push(Entry { key: key.clone(), plan: None, n_misses: 0 });
        }
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
            change(entry);
        }
    }
}

/// `None` when the way through the model may depend on more than shapes that are cheap to compare.
fn key(inputs: &[Value]) -> Option<Key> {
    let mut key = Key::new();
    for input in inputs {
        let Value::Tensor(t) = input else { return None };
        key.push(DType::ALL.iter().position(|dtype| *dtype == t.dtype())?);
        key.push(t.rank());
        key.extend_from_slice(t.shape());
        // An image with channels last takes other kernels.
        key.push(usize::from(t.is_contiguous()));
    }
    Some(key)
}
