//! One dimension of a shape: a number at run time, possibly a name in the compiler.

use std::fmt::Display;

use smallvec::SmallVec;

/// The dimensions of a tensor, outermost first. Six are held inline.
pub type Shape<D = usize> = SmallVec<[D; 6]>;

/// What a rule needs to know of a dimension.
///
/// A symbolic dimension answers with what it can prove: only a certain contradiction is `None`.
pub trait Dim: Clone + Display {
    fn from_usize(n: usize) -> Self;

    /// The number, when it is known.
    fn known(&self) -> Option<usize>;

    /// One dimension for two that must be equal; `None` when they certainly differ.
    fn meet(&self, other: &Self) -> Option<Self>;

    /// The common size of two dimensions of which one, when it is 1, is stretched; neither is known to be 1.
    fn stretch(&self, other: &Self) -> Option<Self> {
        self.meet(other)
    }

    /// Sum; `None` when it overflows.
    fn add(&self, other: &Self) -> Option<Self>;

    /// Product; `None` when it overflows.
    fn mul(&self, other: &Self) -> Option<Self>;

    /// Exact quotient; `None` when `other` certainly does not divide `self`.
    fn div(&self, other: &Self) -> Option<Self>;

    /// `f` of both numbers when they are known, else a dimension of which nothing is known.
    fn map2(&self, other: &Self, f: impl FnOnce(usize, usize) -> Option<usize>) -> Option<Self>;

    /// `f` of the number when it is known, else a dimension of which nothing is known.
    fn map(&self, f: impl FnOnce(usize) -> Option<usize>) -> Option<Self> {
        self.map2(self, |n, _| f(n))
    }

    fn is(&self, n: usize) -> bool {
        self.known() == Some(n)
    }
}

impl Dim for usize {
    fn from_usize(n: usize) -> Self {
        n
    }

    fn known(&self) -> Option<usize> {
        Some(*self)
    }

    fn meet(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }

    fn add(&self, other: &Self) -> Option<Self> {
        self.checked_add(*other)
    }

    fn mul(&self, other: &Self) -> Option<Self> {
        self.checked_mul(*other)
    }

    fn div(&self, other: &Self) -> Option<Self> {
        (*other != 0 && self % other == 0).then(|| self / other)
    }

    fn map2(&self, other: &Self, f: impl FnOnce(usize, usize) -> Option<usize>) -> Option<Self> {
        f(*self, *other)
    }
}

/// `[2, 3]`
pub fn show<D: Display>(shape: &[D]) -> String {
    let mut text = String::from("[");
    for (i, dim) in shape.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        text.push_str(&dim.to_string());
    }
    text.push(']');
    text
}
