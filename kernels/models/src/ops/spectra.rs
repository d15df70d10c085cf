//! Fourier transforms as products with tables of turns, and the operators that PyTorch makes of them.
//!
//! Of the spectrum of a real signal only the first half is kept: the other half mirrors it.

use std::f64::consts::TAU;

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Tensor};
use stark_shapes::rules::axis;

use super::complex::complex;
use super::tensor::{ok, say};
use super::{Args, OpResult};
use crate::value::Value;

/// How long a transform may be.
const MAX_LENGTH: usize = 1 << 24;
/// How long one may be that is done at once, as one is whose length is prime: its table has the square of that.
const MAX_TABLE: usize = 1 << 14;
/// From where on two short transforms are faster than one. A guess; frames of 400 numbers are faster at once.
const SPLIT_FROM: usize = 512;
/// What a window must let through of each place of a signal; PyTorch's number.
const LEAST_WINDOW: f64 = 1e-11;

/// A signal or a spectrum.
pub struct Wave {
    pub real: Tensor,
    pub imag: Option<Tensor>,
}

/// A transform along an axis: sums of `length` numbers times turns, all times `scale`.
#[derive(Clone, Copy)]
pub struct Along {
    pub axis: usize,
    pub length: usize,
    pub inverse: bool,
    pub scale: f64,
}

impl Along {
    /// Cosines and sines of each row times each column, of which `weight` depends on the row.
    fn turns(&self, rows: usize, columns: usize, weight: impl Fn(usize) -> f64, dtype: DType) -> Tried<[Tensor; 2]> {
        let n = self.length;
        // Memory is asked for before numbers are made.
        Tensor::zeros(&[2, rows, columns], DType::F64)?;
        let circle = |f: fn(f64) -> f64| -> Vec<f64> { (0..n).map(|i| f(TAU * i as f64 / n as f64)).collect() };
        let sign = if self.inverse { 1.0 } else { -1.0 };
        let table = |circle: Vec<f64>, sign: f64| {
            let number = |(row, column)| circle[row * column % n] * weight(row) * self.scale * sign;
            let numbers = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(number);
            match dtype {
                DType::F64 => Tensor::from_vec(numbers.collect::<Vec<f64>>(), &[rows, columns]),
                _ => Tensor::from_vec(numbers.map(|x| x as f32).collect(), &[rows, columns])?.to(dtype),
            }
        };
        Ok([table(circle(f64::cos), 1.0)?, table(circle(f64::sin), sign)?])
    }

    /// The two lengths to do the transform by, when it is too long to be done at once.
    fn split(&self) -> Result<Option<[usize; 2]>, String> {
        let n = self.length;
        if n == 0 || n > MAX_LENGTH {
            return Err(format!("a transform of length {n}; from 1 to {MAX_LENGTH} is possible"));
        }
        let divisor = (2..=n.isqrt()).rev().find(|d| n > SPLIT_FROM && n.is_multiple_of(*d));
        if divisor.is_none() && n > MAX_TABLE {
            return Err(format!(
                "a transform of length {n}, which is prime or a prime factor of what was asked for; up to {MAX_TABLE} those are possible"
            ));
        }
        Ok(divisor.map(|d| [d, n / d]))
    }
}

impl Wave {
    pub fn map(&self, f: impl Fn(&Tensor) -> Tried<Tensor>) -> Tried<Wave> {
        Ok(Wave { real: f(&self.real)?, imag: self.imag.as_ref().map(&f).transpose()? })
    }

    /// The first `n` along an axis, which becomes the last, with zeros where there are fewer.
    fn fitted(&self, axis: usize, n: usize) -> Tried<Wave> {
        self.map(|t| {
            let (t, there) = (t.movedim(axis as i64, -1)?, t.shape()[axis]);
            match there < n {
                true => k::pad(&t, &[0, (n - there) as i64], k::PadMode::Constant(0i64.into())),
                false => t.narrow(-1, 0, n),
            }
        })
    }

    /// The real part of what `times` makes of this and of complex numbers, cosines and sines.
    fn real_part(&self, [cos, sin]: &[Tensor; 2], times: fn(&Tensor, &Tensor) -> Tried<Tensor>) -> Tried<Tensor> {
        let real = times(&self.real, cos)?;
        self.imag.as_ref().map_or(Ok(real.clone()), |imag| k::sub(&real, &times(imag, sin)?))
    }

    /// This times complex numbers.
    fn turned(&self, turns: &[Tensor; 2], times: fn(&Tensor, &Tensor) -> Tried<Tensor>) -> Tried<Wave> {
        let (real, [cos, sin]) = (self.real_part(turns, times)?, turns);
        let imag = times(&self.real, sin)?;
        let more = self.imag.as_ref().map(|imag| times(imag, cos)).transpose()?;
        Ok(Wave { real, imag: Some(more.map_or(Ok(imag.clone()), |more| k::add(&imag, &more))?) })
    }

    /// The transform, of which the first `n_bins` numbers are wanted.
    pub fn transform(&self, along: &Along, n_bins: usize) -> Result<Wave, String> {
        let split = along.split()?;
        let wave = self.fitted(along.axis, along.length).map_err(say)?;
        let out = match split {
            None => {
                let turns = along.turns(along.length, n_bins, |_| 1.0, wave.real.dtype());
                turns.and_then(|turns| wave.turned(&turns, k::matmul)).map_err(say)?
            }
            Some(lengths) => wave.transform_split(along, lengths)?,
        };
        out.map(|t| t.narrow(-1, 0, n_bins)?.movedim(-1, along.axis as i64)).map_err(say)
    }

    /// The transform along the last axis as a table of `rows` times `columns`: down its columns, then along its rows,
    /// with a turn of each number in between.
    fn transform_split(&self, along: &Along, [rows, columns]: [usize; 2]) -> Result<Wave, String> {
        let rank = self.real.rank();
        let step = |axis, length| Along { axis, length, scale: 1.0, ..*along };
        let table = self.map(|t| t.unflatten(-1, &[rows as i64, columns as i64])).map_err(say)?;
        let table = table.transform(&step(rank - 1, rows), rows)?;
        let turns = along.turns(rows, columns, |_| 1.0, table.real.dtype());
        let table = turns.and_then(|turns| table.turned(&turns, |x, y| k::mul(x, y))).map_err(say)?;
        let table = table.transform(&step(rank, columns), columns)?;
        table.map(|t| t.transpose(-1, -2)?.flatten(-2, -1)).map_err(say)
    }

    /// The real signal of this half of a spectrum.
    pub fn to_real(&self, along: &Along) -> Result<Tensor, String> {
        let (n, n_bins) = (along.length, along.length / 2 + 1);
        let is_split = along.split()?.is_some();
        let wave = self.fitted(along.axis, n_bins).map_err(say)?;
        if is_split {
            let whole = wave.mirrored(n).map_err(say)?;
            let out = whole.transform(&Along { axis: self.real.rank() - 1, ..*along }, n)?;
            return out.real.movedim(-1, along.axis as i64).map_err(say);
        }
        // Each stands for its mirror image too, but for the first and, of an even number, the last.
        let weight = |bin: usize| if bin == 0 || 2 * bin == n { 1.0 } else { 2.0 };
        let turns = along.turns(n_bins, n, weight, wave.real.dtype());
        let out = turns.and_then(|turns| wave.real_part(&turns, k::matmul));
        out.and_then(|t| t.movedim(-1, along.axis as i64)).map_err(say)
    }

    /// The whole of `n` numbers along the last axis of which this is the first half.
    fn mirrored(&self, n: usize) -> Tried<Wave> {
        let mirror = |t: &Tensor| k::flip(&t.narrow(-1, 1, (n - 1) / 2)?, &[-1]);
        let real = k::cat(&[&self.real, &mirror(&self.real)?], -1)?;
        let Some(imag) = &self.imag else { return Ok(Wave { real, imag: None }) };
        Ok(Wave { real, imag: Some(k::cat(&[imag, &k::neg(&mirror(imag)?)?], -1)?) })
    }

    fn read(a: &Args<'_>, index: usize) -> Result<Wave, String> {
        if let Value::Complex(parts) = a.get(index) {
            return Ok(Wave { real: parts.0.clone(), imag: Some(parts.1.clone()) });
        }
        let x = a.tensor(index)?;
        let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
        Ok(Wave { real: x.to(dtype).map_err(say)?, imag: None })
    }

    /// The real and the imaginary numbers.
    pub fn parts(self) -> Result<[Tensor; 2], String> {
        let imag = match self.imag {
            Some(imag) => imag,
            None => Tensor::zeros(self.real.shape(), self.real.dtype()).map_err(say)?,
        };
        Ok([self.real, imag])
    }
}

// ---- transforms -----------------------------------------------------------------------------------

/// Which signal a transform is of: of a real one, its spectrum is half of one.
#[derive(Clone, Copy, PartialEq)]
pub enum Of {
    Complex,
    Real,
}

/// The power of its length that a transform is divided by.
fn power(norm: &Value, inverse: bool) -> Result<f64, String> {
    let norm = match norm {
        Value::None => "backward",
        Value::Str(norm) => norm,
        other => return Err(format!("argument `norm` is {}, not a str", other.kind())),
    };
    match (norm, inverse) {
        ("ortho", _) => Ok(0.5),
        ("backward", false) | ("forward", true) => Ok(0.0),
        ("backward", true) | ("forward", false) => Ok(1.0),
        _ => Err(format!("norm `{norm}` is none of backward, ortho and forward")),
    }
}

/// `fft_fft`, `fft_fftn` and their like, `(self, n or s, dim, norm)`: without `dim` along those axes that `s` has sizes
/// for, or all.
pub fn fft(a: &Args<'_>, of: Of, inverse: bool) -> OpResult {
    let wave = Wave::read(a, 0)?;
    let n_last = a.opt_ints(1)?.map_or(wave.real.rank(), |sizes| sizes.len());
    fft_along(a, wave, of, inverse, n_last)
}

/// `fft_fft2` and its like: without `dim` along the last two axes.
pub fn fft2(a: &Args<'_>, of: Of, inverse: bool) -> OpResult {
    fft_along(a, Wave::read(a, 0)?, of, inverse, 2)
}

fn fft_along(a: &Args<'_>, wave: Wave, of: Of, inverse: bool, n_last: usize) -> OpResult {
    let sizes = a.opt_ints(1)?;
    let dims = a.opt_ints(2)?.unwrap_or_else(|| (-(n_last as i64)..0).collect());
    if sizes.as_ref().is_some_and(|sizes| sizes.len() != dims.len()) {
        return Err(format!("{} sizes for {} axes", sizes.map_or(0, |sizes| sizes.len()), dims.len()));
    }
    let is_list = !matches!(a.get(1), Value::Int(_));
    let length = |i: usize| match sizes.as_ref().map(|sizes| sizes[i]) {
        None => Ok(None),
        Some(-1) if is_list => Ok(None),
        Some(n) => usize::try_from(n).map(Some).map_err(|_| format!("a transform of length {n}")),
    };
    let lengths = (0..dims.len()).map(length).collect::<Result<Vec<_>, _>>()?;
    transforms(wave, of, inverse, power(a.get(3), inverse)?, &dims, lengths)
}

/// Transforms along several axes, each of `length` numbers or as many as there are.
fn transforms(
    mut wave: Wave,
    of: Of,
    inverse: bool,
    power: f64,
    dims: &[i64],
    lengths: Vec<Option<usize>>,
) -> OpResult {
    let rank = wave.real.rank();
    let mut steps = Vec::new();
    if rank == 0 {
        return Err("takes a signal, which has an axis at least".into());
    }
    for (dim, length) in dims.iter().zip(lengths) {
        let at = axis(*dim, rank).map_err(say)?;
        if steps.iter().any(|(other, _)| *other == at) {
            return Err(format!("axis {at} is named twice"));
        }
        steps.push((at, length));
    }
    // A real signal loses its half along the last of them, at first on the way there and at last on the way back.
    let half = if of == Of::Real { steps.pop() } else { None };
    if of == Of::Real && (half.is_none() || (!inverse && wave.imag.is_some())) {
        return Err("takes a real signal and the axes of it".into());
    }
    let along = |axis, length| Along { axis, length, inverse, scale: (length as f64).powf(-power) };
    if let (Some((at, length)), false) = (half, inverse) {
        let length = length.unwrap_or(wave.real.shape()[at]);
        wave = wave.transform(&along(at, length), length / 2 + 1)?;
    }
    for (at, length) in steps {
        let length = length.unwrap_or(wave.real.shape()[at]);
        wave = wave.transform(&along(at, length), length)?;
    }
    match half {
        Some((at, length)) if inverse => {
            let there = wave.real.shape()[at];
            let length = length.unwrap_or(there.saturating_sub(1).saturating_mul(2));
            ok(wave.to_real(&along(at, length)))
        }
        _ => wave.parts().map(|[real, imag]| complex(real, imag)),
    }
}

/// `_fft_r2c`, `_fft_c2r` and `_fft_c2c`, what exported programs are decomposed to: `(self, dim, normalization, …)`.
pub fn decomposed(a: &Args<'_>, of: Of, inverse: bool) -> OpResult {
    let power = match a.int(2)? {
        code @ 0..=2 => code as f64 / 2.0,
        code => return Err(format!("normalization {code} is none of 0, 1 and 2")),
    };
    let dims = a.ints(1)?;
    let mut lengths = vec![None; dims.len()];
    if let (Some(last), Of::Real, true) = (lengths.last_mut(), of, inverse) {
        *last = Some(a.count(3)?);
    }
    transforms(Wave::read(a, 0)?, of, inverse, power, &dims, lengths)
}

/// The lowest frequency from the start to the middle, or back.
pub fn shift(a: &Args<'_>, inverse: bool) -> OpResult {
    let x = a.tensor(0)?;
    let dims = a.opt_ints(1)?.unwrap_or_else(|| (0..x.rank() as i64).collect());
    let by = |dim: &i64| x.size(*dim).map(|n| if inverse { n.div_ceil(2) } else { n / 2 } as i64);
    let shifts = dims.iter().map(by).collect::<Tried<Vec<i64>>>().map_err(say)?;
    ok(k::roll(&x, &shifts, &dims))
}

// ---- frames ---------------------------------------------------------------------------------------

/// Arguments that `stft` and `istft` share: the length of a frame, its step, and its window.
struct Frames {
    length: usize,
    step: usize,
    window: Tensor,
}

impl Frames {
    /// `n_fft`, `hop_length`, `win_length` and `window` from argument 1 on.
    fn read(a: &Args<'_>, dtype: DType) -> Result<Frames, String> {
        let length = a.count(1)?;
        let step = if a.is_none(2) { length / 4 } else { a.count(2)? };
        let width = if a.is_none(3) { length } else { a.count(3)? };
        let window = a.opt_tensor(4)?;
        let fits = window.as_ref().is_none_or(|window| window.shape() == [width]);
        if step == 0 || width == 0 || width > length || length > MAX_LENGTH || !fits {
            let window = window.map_or(format!("{width}"), |window| format!("{:?} for {width}", window.shape()));
            return Err(format!("frames of {length} every {step} with a window of {window}"));
        }
        let made = || {
            let window = match window {
                Some(window) => window.to(dtype)?,
                None => Tensor::ones(&[width], dtype)?,
            };
            // A shorter window stands in the middle of the frame.
            let left = (length - width) / 2;
            k::pad(&window, &[left as i64, (length - width - left) as i64], k::PadMode::Constant(0i64.into()))
        };
        Ok(Frames { length, step, window: made().map_err(say)? })
    }

    fn along(&self, axis: usize, inverse: bool, power: f64) -> Along {
        Along { axis, length: self.length, inverse, scale: (self.length as f64).powf(-power) }
    }

    /// The sum of frames `[…, frames, length]` at their places.
    fn overlapped(&self, frames: &Tensor) -> Tried<Tensor> {
        let n_frames = frames.size(-2)?;
        let mut shape = frames.shape()[..frames.rank() - 2].to_vec();
        shape.push(self.step.saturating_mul(n_frames.saturating_sub(1)).saturating_add(self.length));
        let mut out = Tensor::zeros(&shape, frames.dtype())?;
        for i in 0..n_frames {
            let place = |t: &Tensor| t.narrow(-1, (i * self.step) as i64, self.length);
            let sum = k::add(&place(&out)?, &frames.select(-2, i as i64)?)?;
            out.assign(place, &sum)?;
        }
        Ok(out)
    }
}

/// Spectra of the frames of a real signal, `[…, frequencies, frames]`.
pub fn stft(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    if !x.dtype().is_float() || !(1..=2).contains(&x.rank()) {
        return Err(format!("takes signals of floats, not {} of shape {:?}", x.dtype(), x.shape()));
    }
    if a.bool(8)? {
        return Err("frames that are aligned to their window are not supported".into());
    }
    let frames = Frames::read(a, x.dtype())?;
    let cut = x.unfold(-1, frames.length, frames.step).and_then(|cut| k::mul(&cut, &frames.window)).map_err(say)?;
    let along = frames.along(x.rank(), false, if a.bool(5)? { 0.5 } else { 0.0 });
    let n_bins = if a.is_none(6) || a.bool(6)? { frames.length / 2 + 1 } else { frames.length };
    let spectra = Wave { real: cut, imag: None }.transform(&along, n_bins)?;
    let [real, imag] = spectra.map(|t| t.transpose(-1, -2)).map_err(say)?.parts()?;
    match a.bool(7)? {
        true => Ok(complex(real, imag)),
        false => ok(k::stack(&[&real, &imag], -1)),
    }
}

/// The real signal that the spectra of its frames are of.
pub fn istft(a: &Args<'_>) -> OpResult {
    let Value::Complex(parts) = a.get(0) else { return Err("takes complex spectra".into()) };
    if a.bool(9)? {
        return Err("complex signals are not supported".into());
    }
    let frames = Frames::read(a, parts.0.dtype())?;
    let shape = parts.0.shape();
    let [.., n_bins, n_frames] = *shape else { return Err(format!("spectra of shape {shape:?}")) };
    let is_half = if a.is_none(7) { n_bins != frames.length } else { a.bool(7)? };
    let wanted = if is_half { frames.length / 2 + 1 } else { frames.length };
    if !(2..=3).contains(&shape.len()) || n_bins != wanted || n_frames == 0 || frames.step > frames.length {
        return Err(format!("spectra of shape {shape:?}, not [_, {wanted}, frames]"));
    }
    let spectra =
        Wave { real: parts.0.clone(), imag: Some(parts.1.clone()) }.map(|t| t.transpose(-1, -2)).map_err(say)?;
    let along = frames.along(shape.len() - 1, true, if a.bool(6)? { 0.5 } else { 1.0 });
    let signals = spectra.to_real(&along)?;
    let made = || {
        let windows = k::square(&frames.window)?.expand(&[n_frames, frames.length])?;
        Ok((frames.overlapped(&k::mul(&signals, &frames.window)?)?, frames.overlapped(&windows)?))
    };
    let (sum, weight) = made().map_err(|e: stark_kernels::TensorError| e.to_string())?;

    let whole = weight.numel();
    let start = if a.bool(5)? { frames.length / 2 } else { 0 };
    let end = match a.is_none(8) {
        false => start.saturating_add(a.count(8)?),
        true => whole - start,
    };
    if start >= end.min(whole) {
        return Err(format!("no signal is left from {start} to {end} of {whole}"));
    }
    let part = |t: &Tensor| t.narrow(-1, start as i64, end.min(whole) - start);
    let (sum, weight) = (part(&sum).map_err(say)?, part(&weight).map_err(say)?);
    if weight.to_scalars().iter().any(|x| x.to_f64().abs() < LEAST_WINDOW) {
        return Err("the window lets nothing through at some places of the signal".into());
    }
    let signal = k::div(&sum, &weight).map_err(say)?;
    let missing = i64::try_from(end.saturating_sub(whole)).map_err(say)?;
    ok(k::pad(&signal, &[0, missing], k::PadMode::Constant(0i64.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 37 + seed * 11) % 101) as f64 / 50.0 - 1.0).collect()
    }

    fn close(got: &Tensor, want: impl Fn(usize) -> f64, what: &str) {
        for (i, got) in got.to_scalars().iter().enumerate() {
            assert!((got.to_f64() - want(i)).abs() < 1e-8, "{what}: {got:?} at {i}, not {}", want(i));
        }
    }

    /// Against the sum that defines it, done at once and in steps, and there and back again.
    #[test]
    fn transforms_of_any_length_are_the_sum_that_they_stand_for() {
        for n in (1..34).chain([511, 512, 513, 521, 600, 1018, 1024, 1155]) {
            let (x, y) = (numbers(n, 1), numbers(n, 2));
            let tensor = |x: &[f64]| Tensor::from_slice(x, &[n]).expect("a tensor");
            let wave = Wave { real: tensor(&x), imag: Some(tensor(&y)) };
            for inverse in [false, true] {
                let along = Along { axis: 0, length: n, inverse, scale: 0.5 };
                let out = wave.transform(&along, n).expect("a spectrum");
                let sum = |k: usize, quarter: f64| -> f64 {
                    let turn = |i: usize| (i * k % n) as f64 / n as f64 * if inverse { TAU } else { -TAU };
                    let part =
                        |i: usize| x[i] * (turn(i) - quarter).cos() + y[i] * (turn(i) - quarter + TAU / 4.0).cos();
                    (0..n).map(part).sum::<f64>() * 0.5
                };
                close(&out.real, |k| sum(k, 0.0), &format!("real, {n}, {inverse}"));
                close(&out.imag.expect("imaginary"), |k| sum(k, TAU / 4.0), &format!("imaginary, {n}, {inverse}"));
            }
            let there = Along { axis: 0, length: n, inverse: false, scale: 1.0 };
            let half = Wave { real: tensor(&x), imag: None }.transform(&there, n / 2 + 1).expect("half a spectrum");
            let back = half.to_real(&Along { inverse: true, scale: 1.0 / n as f64, ..there }).expect("a signal");
            close(&back, |i| x[i], &format!("back, {n}"));
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let wave = Wave { real: Tensor::from_slice(&[1f32, 2.0], &[2]).expect("a tensor"), imag: None };
        for length in [0, 16_411, MAX_LENGTH + 1, usize::MAX] {
            let along = Along { axis: 0, length, inverse: true, scale: 1.0 };
            assert!(wave.transform(&along, 1).is_err() && wave.to_real(&along).is_err(), "{length}");
        }
    }
}
