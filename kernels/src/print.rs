//! The printed form, in PyTorch's layout: rows under each other, columns aligned, four decimals.
//!
//! More than 1000 elements are cut to the first and last three of each long axis. Numbers of very different
//! sizes are written with exponents, by PyTorch's rule.

use std::fmt;

use stark_shapes::{DType, show};

use crate::element::{Scalar, with_elem};
use crate::tensor::Tensor;

/// Tensors with more elements are cut.
const WHOLE: usize = 1000;
/// How many stay at each end of a cut axis.
const EDGE: usize = 3;
const LINE_WIDTH: usize = 80;
const START: &str = "tensor(";

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(START)?;
        if self.numel() == 0 {
            f.write_str("[]")?;
            if self.rank() > 1 {
                write!(f, ", size={}", show(self.shape()))?;
            }
        } else {
            let mut seen = Vec::new();
            visit(self, &mut vec![0; self.rank()], 0, &mut |x| seen.push(x));
            let style = Style::for_values(&seen);
            write_axis(f, self, &style, &mut vec![0; self.rank()], 0)?;
        }
        match self.dtype() {
            DType::F32 | DType::I64 | DType::Bool => f.write_str(")"),
            other => write!(f, ", dtype={other})"),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The indices shown of an axis, and after how many of them the cut is.
fn shown(x: &Tensor, axis: usize) -> (Vec<usize>, Option<usize>) {
    let n = x.shape()[axis];
    if x.numel() > WHOLE && n > 2 * EDGE {
        ((0..EDGE).chain(n - EDGE..n).collect(), Some(EDGE))
    } else {
        ((0..n).collect(), None)
    }
}

fn element(x: &Tensor, index: &[usize]) -> Scalar {
    let at = index.iter().zip(x.strides()).map(|(i, s)| i * s).sum::<usize>();
    with_elem!(x.dtype(), T => {
        use crate::element::Elem;
        x.storage::<T>()[at].to_scalar()
    })
}

fn visit(x: &Tensor, index: &mut Vec<usize>, axis: usize, see: &mut dyn FnMut(Scalar)) {
    if axis == x.rank() {
        return see(element(x, index));
    }
    for i in shown(x, axis).0 {
        index[axis] = i;
        visit(x, index, axis + 1, see);
    }
}

struct Style {
    exponents: bool,
    width: usize,
}

impl Style {
    fn for_values(values: &[Scalar]) -> Style {
        let finite: Vec<f64> = values
            .iter()
            .filter_map(|v| match v {
                Scalar::Float(x) if x.is_finite() && *x != 0.0 => Some(x.abs()),
                _ => None,
            })
            .collect();
        let most = finite.iter().copied().fold(0.0, f64::max);
        let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
        let whole = finite.iter().all(|x| x.fract() == 0.0);
        let exponents = !finite.is_empty() && (most / least > 1000.0 || most > 1e8 || (!whole && least < 1e-4));
        let mut style = Style { exponents, width: 0 };
        style.width = values.iter().map(|v| style.text(*v).len()).max().unwrap_or(0);
        style
    }

    fn text(&self, x: Scalar) -> String {
        match x {
            Scalar::Bool(x) => x.to_string(),
            Scalar::Int(x) => x.to_string(),
            Scalar::Float(x) if x.is_nan() => "nan".into(),
            Scalar::Float(x) if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
            Scalar::Float(x) if self.exponents => {
                let text = format!("{x:.4e}");
                // Two digits and a sign in the exponent, as C writes it.
                match text.split_once('e') {
                    Some((mantissa, exponent)) => {
                        let power: i32 = exponent.parse().unwrap_or(0);
                        let sign = if power < 0 { '-' } else { '+' };
                        format!("{mantissa}e{sign}{:02}", power.abs())
                    }
                    None => text,
                }
            }
            Scalar::Float(x) => format!("{x:.4}"),
        }
    }
}

fn write_axis(
    f: &mut fmt::Formatter<'_>,
    x: &Tensor,
    style: &Style,
    index: &mut Vec<usize>,
    axis: usize,
) -> fmt::Result {
    if axis == x.rank() {
        return f.write_str(&style.text(element(x, index)));
    }
    let indent = START.len() + axis + 1;
    let last = axis + 1 == x.rank();
    let (indices, cut) = shown(x, axis);
    let per_line = (LINE_WIDTH.saturating_sub(indent) / (style.width + 2)).max(1);
    let between =
        if last { ", ".to_string() } else { format!(",{}{}", "\n".repeat(x.rank() - 1 - axis), " ".repeat(indent)) };
    f.write_str("[")?;
    let mut place = 0;
    for (k, i) in indices.iter().enumerate() {
        let mut separate = |f: &mut fmt::Formatter<'_>| {
            let wrap = last && place > 0 && place % per_line == 0;
            let first = place == 0;
            place += 1;
            match (first, wrap) {
                (true, _) => Ok(()),
                (false, true) => write!(f, ",\n{}", " ".repeat(indent)),
                (false, false) => f.write_str(&between),
            }
        };
        if cut == Some(k) {
            separate(f)?;
            f.write_str(if last { " ..." } else { "..." })?;
        }
        separate(f)?;
        index[axis] = *i;
        if last {
            write!(f, "{:>width$}", style.text(element(x, index)), width = style.width)?;
        } else {
            write_axis(f, x, style, index, axis + 1)?;
        }
    }
    f.write_str("]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::arange;

    #[test]
    fn printed_forms() {
        let f = |v: &[f32], shape: &[usize]| Tensor::from_slice(v, shape).unwrap().to_string();
        for (got, want) in [
            (f(&[1.0, 2.0], &[1, 2]), "tensor([[1.0000, 2.0000]])"),
            (f(&[0.5, 1.25, 2.0], &[3]), "tensor([0.5000, 1.2500, 2.0000])"),
            (f(&[1.0, 2.0, 3.0, 4.5], &[2, 2]), "tensor([[1.0000, 2.0000],\n        [3.0000, 4.5000]])"),
            (f(&[-1.0, 10.0], &[2]), "tensor([-1.0000, 10.0000])"),
            (f(&[3.0], &[]), "tensor(3.0000)"),
            (f(&[1e-5, 1.0], &[2]), "tensor([1.0000e-05, 1.0000e+00])"),
            (f(&[f32::NAN, f32::INFINITY, 1.0], &[3]), "tensor([   nan,    inf, 1.0000])"),
            (f(&[], &[0, 3]), "tensor([], size=[0, 3])"),
            (f(&[1.0, 2.0], &[2, 1, 1]), "tensor([[[1.0000]],\n\n        [[2.0000]]])"),
            (arange(0, 3, 1, DType::I64).unwrap().to_string(), "tensor([0, 1, 2])"),
            (arange(9, 11, 1, DType::I32).unwrap().to_string(), "tensor([ 9, 10], dtype=Int32)"),
            (Tensor::from_vec(vec![true, false], &[2]).unwrap().to_string(), "tensor([ true, false])"),
            (arange(0, 1001, 1, DType::I64).unwrap().to_string(), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
        ] {
            assert_eq!(got, want);
        }
        let big = arange(0, 2000, 1, DType::I64).unwrap().reshape(&[1000, 2]).unwrap().to_string();
        assert_eq!(big.lines().map(str::trim).nth(3), Some("...,"));
    }
}
