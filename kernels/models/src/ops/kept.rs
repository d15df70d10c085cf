//! What an operator works out once: constants of the model, read and checked, for the sizes that it met first.
//!
//! It lies with the instruction. Runs on other sizes work it out again, and so does whoever runs an operator without one.

use std::any::Any;
use std::ops::{Deref, Range};
use std::sync::OnceLock;

use smallvec::SmallVec;

use super::Args;
use crate::graph::Operand;

/// Room for one result, beside the sizes that it was worked out for.
#[derive(Default)]
pub struct Kept(OnceLock<(SmallVec<[usize; 8]>, Box<dyn Any + Send + Sync>)>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.get().is_some() { "Kept" } else { "Nothing" })
    }
}

/// Where an operator may keep what it worked out, and where its arguments come from.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    pub kept: &'a Kept,
    pub operands: &'a [Operand],
}

/// What was worked out, now or before.
pub enum Worked<'a, T> {
    Now(T),
    Before(&'a T),
}

impl<T> Deref for Worked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Worked::Now(value) => value,
            Worked::Before(value) => value,
        }
    }
}

impl<'a> Args<'a> {
    /// Whether what is worked out from the arguments `from` is kept.
    pub fn keeps(&self, from: Range<usize>) -> bool {
        self.keeper(from).is_some()
    }

    fn keeper(&self, from: Range<usize>) -> Option<Keeper<'a>> {
        let are_constant = |operands: &[Operand]| operands.iter().all(|one| matches!(one, Operand::Const(_)));
        self.keeper.filter(|keeper| keeper.operands.get(from).is_some_and(are_constant))
    }

    /// What `make` works out from the arguments `from` and from `sizes`, and from nothing else. An operator keeps results
    /// of one type.
    pub fn once<T: Any + Clone + Send + Sync>(
        &self,
        from: Range<usize>,
        sizes: &[usize],
        make: impl FnOnce() -> Result<T, String>,
    ) -> Result<Worked<'a, T>, String> {
        let Some(Keeper { kept, .. }) = self.keeper(from) else { return make().map(Worked::Now) };
        if let Some((known, value)) = kept.0.get() {
            return match value.downcast_ref() {
                Some(value) if known[..] == *sizes => Ok(Worked::Before(value)),
                _ => make().map(Worked::Now),
            };
        }
        let value = make()?;
        // Another run may have been faster.
        let _ = kept.0.set((sizes.into(), Box::new(value.clone())));
        Ok(Worked::Now(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::ROWS;
    use crate::value::Value;

    #[test]
    fn constants_are_read_once_for_the_sizes_that_came_first() {
        let kept = Kept::default();
        let values = [&Value::Int(1), &Value::Int(2)];
        let read = |operands: &[Operand], sizes: &[usize], now: usize| {
            let args = Args { keeper: Some(Keeper { kept: &kept, operands }), ..Args::new(&ROWS[0], &values) };
            args.once(1..2, sizes, || Ok(now)).map(|worked| *worked)
        };
        let [slot, constant] = [Operand::Slot(crate::graph::Slot(0)), Operand::Const(0)];
        assert_eq!(read(&[slot, slot], &[3], 1), Ok(1), "an argument that may change is read each time");
        assert_eq!(read(&[slot], &[3], 2), Ok(2), "so is one that is not there");
        assert_eq!(read(&[slot, constant], &[3], 3), Ok(3));
        assert_eq!(read(&[slot, constant], &[3], 4), Ok(3));
        assert_eq!(read(&[slot, constant], &[4], 5), Ok(5));
        assert_eq!(read(&[slot, constant], &[3], 6), Ok(3));
        let failing = Kept::default();
        let keeper = Some(Keeper { kept: &failing, operands: &[constant; 2] });
        let args = Args { keeper, ..Args::new(&ROWS[0], &values) };
        assert!(args.once::<usize>(0..2, &[], || Err("no".into())).is_err());
        assert!(args.once(0..2, &[], || Ok(7)).is_ok_and(|worked| *worked == 7));
    }
}
