//! Recurrent layers: for each step one product of the state with packed weights, and one pass over the gates.

use stark_shapes::{DType, ShapeError, show};

use super::packed::PackedMatrix;
use crate::accelerator;
use crate::cpu::activation::Activation;
use crate::cpu::buffer::Buffer;
use crate::cpu::gates::Step;
use crate::cpu::gemm::Mat;
use crate::cpu::panels::{Finish, product};
use crate::cpu::simd::vectors;
use crate::error::{Result, TensorError};
use crate::tensor::Tensor;

pub use crate::cpu::gates::Cell;

/// One direction of a layer.
#[derive(Clone, Copy)]
pub struct Recurrent<'a> {
    pub cell: Cell,
    /// `[hidden, gates · hidden]`, which the state is multiplied by.
    pub weight: &'a PackedMatrix,
    /// `[gates · hidden]`, added to that product.
    pub bias: Option<&'a Tensor>,
    /// How many sequences each step has, the first ones; these numbers fall.
    pub sizes: &'a [usize],
    /// How many steps each sequence has. Past them its state stays, and its output is 0.
    pub lengths: Option<&'a [i64]>,
    pub backwards: bool,
}

/// Whether [`recurrent`] takes these tensors: of `Float32`, in the processor's memory. Where they are not, or what runs is the
/// reference, a layer is its operators, one by one.
pub fn recurrent_serves<'a>(tensors: impl IntoIterator<Item = &'a Tensor> + Clone) -> bool {
    let is_served = |t: &Tensor| t.dtype() == DType::F32 && accelerator::of([t]).is_none();
    !crate::device::is_reference() && tensors.into_iter().all(is_served)
}

/// Runs a layer over `of_x [rows, gates · hidden]`, what the weights of the input give for all steps one after the other, from
/// `states`, each `[sequences, hidden]`. Gives the outputs `[rows, hidden]` and the last states.
pub fn recurrent(of_x: &Tensor, states: &[&Tensor], how: Recurrent) -> Result<(Tensor, Vec<Tensor>)> {
    let all = || states.iter().copied().chain([of_x]).chain(how.bias);
    if let Some(other) = all().find(|t| t.dtype() != DType::F32) {
        return Err(TensorError::dtype("a recurrent layer", other.dtype()));
    }
    let [hidden, width] = how.weight.shape();
    let n = how.sizes.first().copied().unwrap_or(0);
    let rows = how.sizes.iter().sum::<usize>();
    let fits = of_x.shape() == [rows, width]
        && width == how.cell.n_gates() * hidden
        && states.len() == how.cell.n_states()
        && states.iter().all(|state| state.shape() == [n, hidden])
        && how.bias.is_none_or(|bias| bias.shape() == [width])
        && how.lengths.is_none_or(|lengths| lengths.len() == n)
        && how.sizes.is_sorted_by(|a, b| a >= b);
    if !fits {
        let shapes: Vec<String> = all().map(|t| show(t.shape())).collect();
        return Err(ShapeError(format!(
            "a recurrent layer with weights {} of {n} sequences does not take {}",
            show(&[hidden, width]),
            shapes.join(", ")
        ))
        .into());
    }
    let of_x = of_x.dense()?;
    let bias = how.bias.map(Tensor::dense).transpose()?;
    let mut kept = Vec::with_capacity(2);
    for state in states {
        let mut buffer = Buffer::for_overwrite::<f32>(n * hidden)?;
        buffer.as_mut_slice::<f32>().copy_from_slice(state.dense()?.slice_of::<f32>());
        kept.push(buffer);
    }
    let mut out = Buffer::for_overwrite::<f32>(rows * hidden)?;
    let mut gates = Buffer::for_overwrite::<f32>(n * width)?;
    let run = Run { how, of_x: of_x.slice_of(), bias: bias.as_ref().map(|bias| bias.slice_of()), hidden, width };
    run.all(&mut kept, gates.as_mut_slice(), out.as_mut_slice())?;
    let tensor = |buffer, rows: usize| Tensor::from_buffer(buffer, DType::F32, &[rows, hidden]);
    Ok((tensor(out, rows), kept.into_iter().map(|state| tensor(state, n)).collect()))
}

struct Run<'a> {
    how: Recurrent<'a>,
    of_x: &'a [f32],
    bias: Option<&'a [f32]>,
    hidden: usize,
    width: usize,
}

impl Run<'_> {
    fn all(&self, states: &mut [Buffer], gates: &mut [f32], out: &mut [f32]) -> Result<()> {
        let Run { how, hidden, width, .. } = *self;
        let mut at = if how.backwards { out.len() / hidden.max(1) } else { 0 };
        for step in 0..how.sizes.len() {
            let t = if how.backwards { how.sizes.len() - 1 - step } else { step };
            let n = how.sizes[t];
            at = if how.backwards { at - n } else { at };
            let gates = &mut gates[..n * width];
            let x = &self.of_x[at * width..][..n * width];
            // The new gate of a GRU takes what the input gives after the reset.
            let added = if let Cell::Gru(_) = how.cell { None } else { Some(x) };
            let activation = match how.cell {
                Cell::Tanh => Activation::Tanh,
                Cell::Relu => Activation::Relu,
                Cell::Lstm(_) | Cell::Gru(_) => Activation::None,
            };
            let finish = Finish { per_column: self.bias, added, activation, ..Finish::default() };
            let (h, more) = states.split_at_mut(1);
            let h = &mut h[0].as_mut_slice::<f32>()[..n * hidden];
            how.weight.see(|view| product(gates, Mat::new(h, n, hidden, hidden, 1), view, finish))?;
            let c = more.first_mut().map_or(&mut [][..], |c| &mut c.as_mut_slice::<f32>()[..n * hidden]);
            let out = &mut out[at * hidden..][..n * hidden];
            vectors(Step { cell: how.cell, x, gates, h, c, out, hidden, lengths: how.lengths, t });
            at = if how.backwards { at } else { at + n };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add, linear, mul, randn, relu, sub};

    fn block(gates: &Tensor, place: usize, hidden: usize) -> Tensor {
        gates.narrow(1, (place * hidden) as i64, hidden).unwrap()
    }

    /// A step out of plain operators.
    fn plain(cell: Cell, x: &Tensor, h: &Tensor, states: &[Tensor]) -> Vec<Tensor> {
        let hidden = states[0].shape()[1];
        let of = |place: usize| [x, h].map(|gates| block(gates, place, hidden));
        let sum = |place: usize| of(place).into_iter().reduce(|a, b| add(&a, &b).unwrap()).unwrap();
        let (sigmoid, tanh) = (|x: &Tensor| crate::ops::sigmoid(x).unwrap(), |x: &Tensor| crate::ops::tanh(x).unwrap());
        match cell {
            Cell::Lstm([i, f, g, o]) => {
                let kept = mul(&sigmoid(&sum(f)), &states[1]).unwrap();
                let c = add(&kept, &mul(&sigmoid(&sum(i)), &tanh(&sum(g))).unwrap()).unwrap();
                vec![mul(&sigmoid(&sum(o)), &tanh(&c)).unwrap(), c]
            }
            Cell::Gru([r, z, n]) => {
                let [xn, hn] = of(n);
                let new = tanh(&add(&xn, &mul(&sigmoid(&sum(r)), &hn).unwrap()).unwrap());
                vec![add(&new, &mul(&sigmoid(&sum(z)), &sub(&states[0], &new).unwrap()).unwrap()).unwrap()]
            }
            Cell::Tanh => vec![tanh(&sum(0))],
            Cell::Relu => vec![relu(&sum(0)).unwrap()],
        }
    }

    #[test]
    fn layers_give_what_their_operators_give() {
        let cells = [Cell::Lstm([0, 1, 2, 3]), Cell::Lstm([0, 2, 3, 1]), Cell::Gru([0, 1, 2]), Cell::Gru([1, 0, 2])];
        for cell in cells.into_iter().chain([Cell::Tanh, Cell::Relu]) {
            for hidden in [1, 7, 16, 33, 128] {
                for sizes in [&[1, 1, 1][..], &[3, 3, 3, 3], &[4, 3, 1], &[40, 17], &[]] {
                    for backwards in [false, true] {
                        layer(cell, hidden, sizes, backwards, None);
                    }
                }
                layer(cell, hidden, &[3, 3, 3, 3], false, Some(&[4, 0, 2]));
                layer(cell, hidden, &[3, 3, 3, 3], true, Some(&[1, 4, 3]));
            }
        }
    }

    fn layer(cell: Cell, hidden: usize, sizes: &[usize], backwards: bool, lengths: Option<&[i64]>) {
        let (width, n, rows) =
            (cell.n_gates() * hidden, sizes.first().copied().unwrap_or(0), sizes.iter().sum::<usize>());
        // As trained weights are: others drive rounding errors apart from step to step.
        let weight = mul(&randn(&[width, hidden], 1, DType::F32).unwrap(), 0.5 / (hidden as f64).sqrt()).unwrap();
        let (bias, of_x) = (randn(&[width], 2, DType::F32).unwrap(), randn(&[rows, width], 3, DType::F32).unwrap());
        let start: Vec<Tensor> =
            (0..cell.n_states()).map(|i| randn(&[n, hidden], 4 + i as u64, DType::F32).unwrap()).collect();
        let packed = PackedMatrix::new(&weight.t().unwrap()).unwrap();
        let how = Recurrent { cell, weight: &packed, bias: Some(&bias), sizes, lengths, backwards };
        let (out, last) = recurrent(&of_x, &start.iter().collect::<Vec<_>>(), how).unwrap();
        let mut states = start;
        let mut want = Tensor::zeros(&[rows, hidden], DType::F32).unwrap();
        let mut at = if backwards { rows } else { 0 };
        for step in 0..sizes.len() {
            let t = if backwards { sizes.len() - 1 - step } else { step };
            at = if backwards { at - sizes[t] } else { at };
            let now: Vec<Tensor> = states.iter().map(|s| s.narrow(0, 0, sizes[t]).unwrap()).collect();
            let x = of_x.narrow(0, at as i64, sizes[t]).unwrap();
            let new = plain(cell, &x, &linear(&now[0], &weight, Some(&bias)).unwrap(), &now);
            for row in (0..sizes[t]).filter(|&row| lengths.is_none_or(|lengths| (t as i64) < lengths[row])) {
                for (state, new) in states.iter_mut().zip(&new) {
                    state.assign(|s| s.select(0, row as i64), &new.select(0, row as i64).unwrap()).unwrap();
                }
                want.assign(|w| w.select(0, (at + row) as i64), &new[0].select(0, row as i64).unwrap()).unwrap();
            }
            at = if backwards { at } else { at + sizes[t] };
        }
        for (got, want) in [&out].into_iter().chain(&last).zip([&want].into_iter().chain(&states)) {
            assert_eq!(got.shape(), want.shape());
            for (got, want) in got.to_scalars().iter().zip(want.to_scalars()) {
                let (got, want) = (got.to_f64(), want.to_f64());
                assert!((got - want).abs() < 2e-5 * want.abs().max(1.0), "{cell:?} {hidden} {sizes:?}: {got} {want}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let weight = PackedMatrix::new(&randn(&[4, 16], 1, DType::F32).unwrap()).unwrap();
        let how = Recurrent {
            cell: Cell::Lstm([0, 1, 2, 3]),
            weight: &weight,
            bias: None,
            sizes: &[2, 1],
            lengths: None,
            backwards: false,
        };
        let numbers = |shape: &[usize]| randn(shape, 2, DType::F32).unwrap();
        let (x, state) = (numbers(&[3, 16]), numbers(&[2, 4]));
        assert!(recurrent(&x, &[&state, &state], how).is_ok() && recurrent_serves([&x, &state]));
        let wide = x.to(DType::F64).unwrap();
        assert!(!recurrent_serves([&x, &wide]));
        for (x, states, how) in [
            (wide, vec![&state, &state], how),
            (numbers(&[3, 12]), vec![&state, &state], how),
            (x.clone(), vec![&state], how),
            (x.clone(), vec![&state, &x], how),
            (x.clone(), vec![&state, &state], Recurrent { sizes: &[1, 2], ..how }),
            (x.clone(), vec![&state, &state], Recurrent { lengths: Some(&[1]), ..how }),
            (x.clone(), vec![&state, &state], Recurrent { bias: Some(&x), ..how }),
        ] {
            let said = recurrent(&x, &states, how).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.contains("recurrent"), "{said}");
        }
    }
}
