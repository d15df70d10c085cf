//! Named sizes: what the shape of a tensor says of them, and whether that holds together.

use super::tensor::{ints, sizes_of, tensor};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::natives::support::{Outcome, answers};
use crate::value::Value;
use stark_shapes::{Dim, Symbolic, rules};

pub(super) const TABLE: &[NativeRow] = answers! {
    tensor_sizes "<E>(Tensor<E>, Vec<Int>, Vec<Int>) -> Vec<Int>";
};

/// `tensor_sizes(t, form, known)`: the sizes `known`, -1 where one is not, with those that the shape of `t` tells. Throws where the shape
/// is not of the form: for each axis, what is added or multiplied before its sign, then the end.
fn tensor_sizes(cx: &NativeCx<'_>) -> Outcome {
    let (form, mut sizes) = (ints(cx.arg(1)), ints(cx.arg(2)));
    solve(tensor(cx, 0).shape(), &form, &mut sizes).map_err(Fault::shape)?;
    Ok(Value::vec_of_scalars(cx.ret_type(), sizes.into_iter().map(|n| n as u64).collect()))
}

/// `factor * x + more`, for a name `x` whose size is not known; a number without one.
#[derive(Clone, Copy)]
struct Line {
    name: Option<usize>,
    factor: i64,
    more: i64,
}

impl Line {
    fn number(n: i64) -> Option<Line> {
        (n >= 0).then_some(Line { name: None, factor: 0, more: n })
    }

    fn add(self, other: Line) -> Option<Line> {
        let name = match (self.name, other.name) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        Some(Line { name, factor: self.factor.checked_add(other.factor)?, more: self.more.checked_add(other.more)? })
    }

    fn times(self, other: Line) -> Option<Line> {
        let (line, n) = match (self.name, other.name) {
            (_, None) => (self, other.more),
            (None, _) => (other, self.more),
            _ => return None,
        };
        Some(Line { name: line.name, factor: line.factor.checked_mul(n)?, more: line.more.checked_mul(n)? })
    }
}

/// The next axis of a form, as far as it is known; `None` at the end.
fn next(form: &mut impl Iterator<Item = i64>, sizes: &[i64]) -> Option<Option<Line>> {
    let mut stack: Vec<Option<Line>> = Vec::new();
    loop {
        let line = match form.next()? {
            0 => Line::number(form.next()?),
            1 => {
                let name = usize::try_from(form.next()?).ok().filter(|name| *name < sizes.len())?;
                match sizes[name] {
                    n if n >= 0 => Line::number(n),
                    _ => Some(Line { name: Some(name), factor: 1, more: 0 }),
                }
            }
            sign @ (3 | 4) => {
                let (b, a) = (stack.pop()?, stack.pop()?);
                a.zip(b).and_then(|(a, b)| if sign == 3 { a.add(b) } else { a.times(b) })
            }
            5 => return stack.pop(),
            _ => None,
        };
        stack.push(line);
    }
}

fn solve(shape: &[usize], form: &[i64], sizes: &mut [i64]) -> Result<(), String> {
    // One name more each time, so it ends.
    let mut has_found = true;
    while has_found {
        has_found = false;
        let mut rest = form.iter().copied();
        for (axis, have) in shape.iter().map(|n| *n as i64).enumerate() {
            let Some(line) = next(&mut rest, sizes) else { break };
            let Some(Line { name: Some(name), factor, more }) = line else { continue };
            if factor > 0 {
                if have < more {
                    return Err(format!("axis {axis} is {have}, and {more} or more is asked for"));
                }
                if (have - more) % factor != 0 {
                    let over = if more == 0 { String::new() } else { format!(" and {more} more") };
                    return Err(format!("axis {axis} is {have}, and a multiple of {factor}{over} is asked for"));
                }
                sizes[name] = (have - more) / factor;
                has_found = true;
            }
        }
    }
    let (mut wanted, mut rest) = (Vec::new(), form.iter().copied());
    while let Some(line) = next(&mut rest, sizes) {
        wanted.push(match line {
            Some(Line { name: None, more, .. }) => more,
            _ => -1,
        });
    }
    let have: Vec<Symbolic> = shape.iter().map(|&n| Symbolic::from_usize(n)).collect();
    rules::fits(&have, &sizes_of(&wanted)).map(|_| ()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(shape: &[usize], form: &[i64], known: &[i64]) -> Result<Vec<i64>, String> {
        let mut sizes = known.to_vec();
        solve(shape, form, &mut sizes).map(|()| sizes)
    }

    #[test]
    fn a_name_is_one_size() {
        let square = [1, 0, 5, 1, 0, 5];
        assert_eq!(solved(&[3, 3], &square, &[-1]), Ok(vec![3]));
        assert!(solved(&[2, 3], &square, &[-1]).is_err());
        assert!(solved(&[3, 3], &square, &[4]).is_err());
        assert!(solved(&[3], &square, &[-1]).is_err());
    }

    #[test]
    fn sums_and_products_tell_the_one_name_that_is_not_known() {
        // [n + 2], [n + m, n], [2 * n], [n * m], [n + n]
        assert_eq!(solved(&[5], &[1, 0, 0, 2, 3, 5], &[-1]), Ok(vec![3]));
        assert!(solved(&[1], &[1, 0, 0, 2, 3, 5], &[-1]).is_err());
        assert_eq!(solved(&[5, 2], &[1, 0, 1, 1, 3, 5, 1, 0, 5], &[-1, -1]), Ok(vec![2, 3]));
        assert!(solved(&[1, 2], &[1, 0, 1, 1, 3, 5, 1, 0, 5], &[-1, -1]).is_err());
        assert!(solved(&[7], &[0, 2, 1, 0, 4, 5], &[-1]).is_err());
        assert_eq!(solved(&[8], &[1, 0, 1, 1, 4, 5], &[2, -1]), Ok(vec![2, 4]));
        assert_eq!(solved(&[0], &[1, 0, 1, 1, 4, 5], &[0, -1]), Ok(vec![0, -1]));
        assert_eq!(solved(&[6], &[1, 0, 1, 0, 3, 5], &[-1]), Ok(vec![3]));
    }

    #[test]
    fn no_form_is_too_strange() {
        for form in [&[3, 5][..], &[1, 9, 5], &[1], &[0], &[7, 5], &[5], &[4, 4, 4]] {
            let _ = solved(&[2, 3], form, &[-1]);
        }
    }
}
