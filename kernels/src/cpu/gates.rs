//! The gates of recurrent layers: one pass over those of a step.

use super::functions::{sigmoid, tanh};
use super::lanes::Lanes;
use super::simd::Vectors;

/// What a step makes of its gates. Orders say which block of `hidden` columns each gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `c = σ(forget) · c + σ(input) · tanh(cell)` and `h = σ(output) · tanh(c)` (Hochreiter and Schmidhuber 1997; with the
    /// forget gate of Gers 2000): input, forget, cell, output.
    Lstm([usize; 4]),
    /// `h = n + σ(update) · (h - n)` with `n = tanh(new of x + σ(reset) · new of h)` (Cho 2014, with the reset gate behind the
    /// product, as cuDNN and PyTorch have it): reset, update, new.
    Gru([usize; 3]),
    /// `h = tanh(gate)` (Elman 1990).
    Tanh,
    /// `h = max(gate, 0)`.
    Relu,
}

impl Cell {
    /// Blocks of columns.
    pub fn n_gates(self) -> usize {
        match self {
            Cell::Lstm(_) => 4,
            Cell::Gru(_) => 3,
            Cell::Tanh | Cell::Relu => 1,
        }
    }

    /// Tensors that go from step to step.
    pub fn n_states(self) -> usize {
        if let Cell::Lstm(_) = self { 2 } else { 1 }
    }
}

/// From the gates of a step to its states and output.
pub struct Step<'a> {
    pub cell: Cell,
    /// What the input gives for each gate of each sequence,
    pub x: &'a [f32],
    /// and what the state gives; but for a GRU, of both.
    pub gates: &'a [f32],
    pub h: &'a mut [f32],
    /// Of an LSTM.
    pub c: &'a mut [f32],
    pub out: &'a mut [f32],
    pub hidden: usize,
    /// How many steps each sequence has: past them its states stay, and its output is 0.
    pub lengths: Option<&'a [i64]>,
    pub t: usize,
}

impl Vectors for Step<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Step { cell, x, gates, h, c, out, hidden, lengths, t } = self;
        let width = cell.n_gates() * hidden;
        let n = out.len() / hidden.max(1);
        let has_c = cell.n_states() == 1 || c.len() == n * hidden;
        assert!(x.len() == n * width && gates.len() == n * width && h.len() == n * hidden && has_c, "rows are whole");
        for row in 0..n {
            if lengths.is_some_and(|lengths| t as i64 >= lengths[row]) {
                out[row * hidden..][..hidden].fill(0.0);
                continue;
            }
            let (x, gates) = (&x[row * width..][..width], &gates[row * width..][..width]);
            let at = row * hidden;
            for i in (0..hidden).step_by(L::N) {
                let n = L::N.min(hidden - i);
                // SAFETY: the features were detected by the caller. Each gate has `hidden` numbers, and orders are places of gates;
                // rows have as many, as checked, of which there are `n` from `i` on.
                unsafe {
                    let gate = |of: &[f32], place: usize| read::<L>(of[place * hidden..][..hidden].as_ptr().add(i), n);
                    let new = match cell {
                        Cell::Lstm([input, forget, new, output]) => {
                            let c = c.as_mut_ptr().add(at + i);
                            let kept = sigmoid(gate(gates, forget)).mul(read::<L>(c, n));
                            let now = sigmoid(gate(gates, input)).mul_add(tanh(gate(gates, new)), kept);
                            write(now, c, n);
                            sigmoid(gate(gates, output)).mul(tanh(now))
                        }
                        Cell::Gru([reset, update, new]) => {
                            let reset = sigmoid(gate(x, reset).add(gate(gates, reset)));
                            let update = sigmoid(gate(x, update).add(gate(gates, update)));
                            let new = tanh(reset.mul_add(gate(gates, new), gate(x, new)));
                            update.mul_add(read::<L>(h.as_ptr().add(at + i), n).sub(new), new)
                        }
                        // The product's finish was the activation.
                        Cell::Tanh | Cell::Relu => gate(gates, 0),
                    };
                    write(new, h.as_mut_ptr().add(at + i), n);
                    write(new, out.as_mut_ptr().add(at + i), n);
                }
            }
        }
    }
}

/// `n` numbers, at most as many as a vector has.
///
/// # Safety
/// The features of `L` were detected, and `n` numbers are there.
#[inline(always)]
unsafe fn read<L: Lanes>(from: *const f32, n: usize) -> L {
    // SAFETY: as the caller promises.
    unsafe { if n == L::N { L::load(from) } else { L::load_first(from, n, 0.0) } }
}

/// # Safety
/// `n` numbers, at most as many as a vector has, may be written there.
#[inline(always)]
unsafe fn write<L: Lanes>(x: L, to: *mut f32, n: usize) {
    // SAFETY: as the caller promises.
    unsafe { if n == L::N { x.store(to) } else { x.store_first(to, n) } }
}
