//! What a thread keeps for its next turn instead of allocating it anew.

use std::cell::Cell;

/// Up to two of a kind: a turn within another is as deep as it mostly goes. What more come is dropped.
pub(crate) struct Spare<T>([Cell<Option<Box<T>>>; 2]);

impl<T> Spare<T> {
    pub const fn new() -> Spare<T> {
        Spare([const { Cell::new(None) }; 2])
    }

    #[inline]
    pub fn take(&self) -> Option<Box<T>> {
        self.0[0].take().or_else(|| self.0[1].take())
    }

    #[inline]
    pub fn put(&self, one: Box<T>) {
        if let Some(before) = self.0[0].replace(Some(one)) {
            self.0[1].set(Some(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_kept_and_the_last_comes_back_first() {
        let spare = Spare::new();
        (1..=3).for_each(|i| spare.put(Box::new(i)));
        assert_eq!([spare.take(), spare.take(), spare.take()], [Some(Box::new(3)), Some(Box::new(2)), None]);
    }
}
