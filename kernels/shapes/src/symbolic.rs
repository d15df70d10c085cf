//! A dimension as the compiler knows it: a sum of products of names and numbers, or nothing.
//!
//! `n * m + 2` is a list of terms in a fixed order, so equal dimensions are equal values. Names stand for
//! sizes of 0 and more. What becomes too large to be useful is forgotten ([`Symbolic::Unknown`]), never wrong.

use std::fmt;
use std::rc::Rc;

use crate::dim::Dim;

/// Terms and factors that are kept; a guess: signatures have two or three.
const MAX_TERMS: usize = 16;
const MAX_FACTORS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbolic {
    /// `_`: any size.
    Unknown,
    Sum(Sum),
}

/// Terms in ascending order of their names, none twice, none times 0. The constant is the term without names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sum(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// Ascending; a name as often as it is a factor.
    names: Vec<Rc<str>>,
    times: usize,
}

impl Sum {
    /// `None` on overflow.
    fn of(terms: impl IntoIterator<Item = Term>) -> Option<Sum> {
        let mut out: Vec<Term> = Vec::new();
        for term in terms {
            match out.binary_search_by(|t| t.names.cmp(&term.names)) {
                Ok(i) => out[i].times = out[i].times.checked_add(term.times)?,
                Err(i) => out.insert(i, term),
            }
        }
        out.retain(|t| t.times > 0);
        Some(Sum(out))
    }

    fn constant(&self) -> usize {
        self.0.iter().find(|t| t.names.is_empty()).map_or(0, |t| t.times)
    }

    /// What both have, taken off both.
    fn without_common(&self, other: &Sum) -> (Sum, Sum) {
        let rest = |a: &Sum, b: &Sum| {
            let terms = a.0.iter().filter_map(|t| {
                let have = b.0.iter().find(|o| o.names == t.names).map_or(0, |o| o.times);
                let times = t.times.saturating_sub(have);
                (times > 0).then(|| Term { names: t.names.clone(), times })
            });
            Sum(terms.collect())
        };
        (rest(self, other), rest(other, self))
    }

    /// No sizes make both equal.
    fn never_equals(&self, other: &Sum) -> bool {
        let (a, b) = self.without_common(other);
        let named = |s: &Sum| s.0.iter().any(|t| !t.names.is_empty());
        let difference = a.constant().abs_diff(b.constant());
        let step = a.0.iter().chain(&b.0).filter(|t| !t.names.is_empty()).fold(0, |g, t| gcd(g, t.times));
        if step == 0 {
            return difference != 0;
        }
        // One side is more than the other whatever the names are, or they can only differ by multiples of `step`.
        (!named(&a) && a.constant() == 0 && b.constant() > 0)
            || (!named(&b) && b.constant() == 0 && a.constant() > 0)
            || difference % step != 0
    }

    fn times_fit(&self, by: &Term) -> Option<Sum> {
        let mut out = Vec::new();
        for t in &self.0 {
            let mut names = t.names.clone();
            for n in &by.names {
                names.remove(names.iter().position(|m| m == n)?);
            }
            if t.times % by.times != 0 {
                return None;
            }
            out.push(Term { names, times: t.times / by.times });
        }
        Sum::of(out)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Symbolic {
    pub fn name(name: Rc<str>) -> Symbolic {
        Symbolic::Sum(Sum(vec![Term { names: vec![name], times: 1 }]))
    }

    /// Whether both are the same size whatever the names stand for.
    pub fn same(&self, other: &Symbolic) -> bool {
        matches!((self, other), (Symbolic::Sum(a), Symbolic::Sum(b)) if a == b)
    }

    /// What is left of two that may stand for the same value: `_` where they differ.
    pub fn join(&self, other: &Symbolic) -> Symbolic {
        if self.same(other) { self.clone() } else { Symbolic::Unknown }
    }

    fn may_be_one(&self) -> bool {
        match self {
            Symbolic::Unknown => true,
            Symbolic::Sum(sum) => !sum.never_equals(&Sum(vec![Term { names: Vec::new(), times: 1 }])),
        }
    }
}

impl Dim for Symbolic {
    fn from_usize(n: usize) -> Self {
        Symbolic::Sum(if n == 0 { Sum::default() } else { Sum(vec![Term { names: Vec::new(), times: n }]) })
    }

    fn known(&self) -> Option<usize> {
        match self {
            Symbolic::Sum(sum) if sum.0.iter().all(|t| t.names.is_empty()) => Some(sum.constant()),
            _ => None,
        }
    }

    fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Symbolic::Unknown, d) | (d, Symbolic::Unknown) => Some(d.clone()),
            (Symbolic::Sum(a), Symbolic::Sum(b)) if a.never_equals(b) => None,
            // A number says the most.
            _ => Some(if other.known().is_some() { other.clone() } else { self.clone() }),
        }
    }

    fn stretch(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Symbolic::Sum(a), Symbolic::Sum(b)) if a == b => Some(self.clone()),
            (Symbolic::Sum(a), Symbolic::Sum(b)) if a.never_equals(b) && !self.may_be_one() && !other.may_be_one() => {
                None
            }
            // The side that is certainly not 1 decides: the other is as large, or 1.
            _ if !self.may_be_one() => Some(self.clone()),
            _ if !other.may_be_one() => Some(other.clone()),
            _ => Some(Symbolic::Unknown),
        }
    }

    fn add(&self, other: &Self) -> Option<Self> {
        let (Symbolic::Sum(a), Symbolic::Sum(b)) = (self, other) else { return Some(Symbolic::Unknown) };
        if a.0.len() + b.0.len() > MAX_TERMS {
            return Some(Symbolic::Unknown);
        }
        Sum::of(a.0.iter().chain(&b.0).cloned()).map(Symbolic::Sum)
    }

    fn mul(&self, other: &Self) -> Option<Self> {
        let (Symbolic::Sum(a), Symbolic::Sum(b)) = (self, other) else {
            return Some(if self.is(0) || other.is(0) { Symbolic::from_usize(0) } else { Symbolic::Unknown });
        };
        if a.0.len() * b.0.len() > MAX_TERMS {
            return Some(Symbolic::Unknown);
        }
        let mut terms = Vec::new();
        for (x, y) in a.0.iter().flat_map(|x| b.0.iter().map(move |y| (x, y))) {
            let mut names: Vec<Rc<str>> = x.names.iter().chain(&y.names).cloned().collect();
            if names.len() > MAX_FACTORS {
                return Some(Symbolic::Unknown);
            }
            names.sort();
            terms.push(Term { names, times: x.times.checked_mul(y.times)? });
        }
        Sum::of(terms).map(Symbolic::Sum)
    }

    fn div(&self, other: &Self) -> Option<Self> {
        match (self.known(), other.known()) {
            (Some(a), Some(b)) => return (b != 0 && a % b == 0).then(|| Symbolic::from_usize(a / b)),
            (_, Some(0)) => return None,
            _ => {}
        }
        let (Symbolic::Sum(a), Symbolic::Sum(b)) = (self, other) else { return Some(Symbolic::Unknown) };
        if a == b {
            return Some(Symbolic::from_usize(1));
        }
        let quotient = match b.0.as_slice() {
            [by] => a.times_fit(by),
            _ => None,
        };
        Some(quotient.map_or(Symbolic::Unknown, Symbolic::Sum))
    }

    fn map2(&self, other: &Self, f: impl FnOnce(usize, usize) -> Option<usize>) -> Option<Self> {
        match (self.known(), other.known()) {
            (Some(a), Some(b)) => f(a, b).map(Symbolic::from_usize),
            _ => Some(Symbolic::Unknown),
        }
    }
}

impl fmt::Display for Symbolic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Symbolic::Sum(sum) = self else { return f.write_str("_") };
        if sum.0.is_empty() {
            return f.write_str("0");
        }
        // The constant, which is first in order, is written last.
        let (constant, named): (Vec<&Term>, Vec<&Term>) = sum.0.iter().partition(|t| t.names.is_empty());
        for (i, term) in named.into_iter().chain(constant).enumerate() {
            if i > 0 {
                f.write_str(" + ")?;
            }
            if term.names.is_empty() || term.times != 1 {
                write!(f, "{}", term.times)?;
                if !term.names.is_empty() {
                    f.write_str(" * ")?;
                }
            }
            f.write_str(&term.names.join(" * "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    fn n(text: &str) -> Symbolic {
        // `2 * n * m + 3`, as shown.
        let product = |p: &str| {
            p.split(" * ").fold(Symbolic::from_usize(1), |acc, f| {
                let factor = match f.parse() {
                    Ok(n) => Symbolic::from_usize(n),
                    Err(_) if f == "_" => Symbolic::Unknown,
                    Err(_) => Symbolic::name(f.into()),
                };
                acc.mul(&factor).unwrap()
            })
        };
        text.split(" + ").fold(Symbolic::from_usize(0), |acc, p| acc.add(&product(p)).unwrap())
    }

    fn dims(texts: &[&str]) -> Vec<Symbolic> {
        texts.iter().map(|t| n(t)).collect()
    }

    #[test]
    fn equal_dimensions_are_equal_values() {
        for (a, b) in
            [("n + m", "m + n"), ("2 * n", "n + n"), ("n * m", "m * n"), ("n + 1 + 2", "3 + n"), ("0 * n", "0")]
        {
            assert!(n(a).same(&n(b)), "{a} and {b}");
            assert_eq!(n(a).to_string(), n(b).to_string());
        }
        assert!(!n("_").same(&n("_")));
        assert_eq!(n("m * n * 2 + 1 + k").to_string(), "k + 2 * m * n + 1");
    }

    #[test]
    fn only_certain_contradictions_are_told() {
        for (a, b) in
            [("3", "4"), ("n", "n + 1"), ("2 * n", "3"), ("2 * n + 1", "4 * m"), ("n + 2", "0"), ("n + m", "m + n + 5")]
        {
            assert!(n(a).meet(&n(b)).is_none(), "{a} and {b}");
            assert!(n(b).meet(&n(a)).is_none(), "{b} and {a}");
        }
        for (a, b) in [
            ("n", "3"),
            ("n", "m"),
            ("n + 1", "3"),
            ("2 * n", "4"),
            ("n + 1", "m"),
            ("n * m", "m"),
            ("_", "3"),
            ("n", "0"),
        ] {
            assert!(n(a).meet(&n(b)).is_some(), "{a} and {b}");
        }
    }

    #[test]
    fn a_one_may_stretch() {
        for (a, b, want) in [
            ("n", "3", Some("3")),
            ("n", "m", Some("_")),
            ("n", "n", Some("n")),
            ("n", "n + 1", Some("_")),
            ("_", "3", Some("3")),
        ] {
            assert_eq!(n(a).stretch(&n(b)).map(|d| d.to_string()).as_deref(), want, "{a} and {b}");
        }
        assert!(n("3").stretch(&n("4")).is_none());
        assert!(n("2 * n").stretch(&n("5")).is_none());
        assert!(n("n + 2").stretch(&n("n + 3")).is_none());
    }

    #[test]
    fn rules_speak_of_names() {
        let shown = |r: Result<crate::Shape<Symbolic>, crate::ShapeError>| match r {
            Ok(dims) => crate::show(&dims),
            Err(why) => why.to_string(),
        };
        assert_eq!(shown(rules::matmul(&dims(&["n", "k"]), &dims(&["k", "m"]))), "[n, m]");
        assert_eq!(
            shown(rules::matmul(&dims(&["n", "3"]), &dims(&["4", "m"]))),
            "shapes [n, 3] and [4, m] do not multiply: axis 1 is 3, axis 0 is 4"
        );
        assert_eq!(shown(rules::cat(&[&dims(&["n", "3"]), &dims(&["m", "3"])], 0)), "[m + n, 3]");
        assert_eq!(shown(rules::flatten(&dims(&["n", "m"]), 0, -1)), "[m * n]");
        let to = [rules::Size::Is(n("n")), rules::Size::Rest];
        assert_eq!(shown(rules::reshape(&dims(&["n", "3", "m"]), &to)), "[n, 3 * m]");
        assert_eq!(shown(rules::fits(&dims(&["n", "3"]), &dims(&["n", "_"]))), "[n, 3]");
        assert_eq!(
            shown(rules::fits(&dims(&["n", "3"]), &dims(&["_", "4"]))),
            "shape [_, 4] is asked for, but this tensor has shape [n, 3]: axis 1 is 3 and not 4"
        );
    }

    #[test]
    fn large_dimensions_are_forgotten() {
        let mut d = n("a + b");
        for i in 0..20 {
            d = d.mul(&n(&format!("x{i} + y{i}"))).unwrap();
        }
        assert_eq!(d, Symbolic::Unknown);
        assert!(n("2").mul(&Symbolic::from_usize(usize::MAX)).is_none());
    }
}
