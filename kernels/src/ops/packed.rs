//! Layers whose weights were packed when the model was loaded, with what follows them done in the same pass.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stark_shapes::{DType, ShapeError, show};

use crate::accelerator::{self, Accelerator, Finish as DeviceFinish};
use crate::cpu::activation::Activation;
use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::Mat;
use crate::cpu::panels::{Finish, PanelView, Panels, product};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::error::{Result, TensorError};
use crate::tensor::Tensor;

/// A `Float32` matrix `[k, n]`, packed to be the right factor of products; at once, or after it was multiplied by first.
pub struct PackedMatrix {
    shape: [usize; 2],
    panels: OnceLock<Panels>,
    /// Until it is packed.
    waiting: Mutex<Option<Waiting>>,
    /// The matrix in the memory of the accelerator that the model was loaded for.
    on_device: OnceLock<Tensor>,
}

/// A matrix that lies in its file.
struct Waiting {
    weight: Tensor,
    /// For its panels; whoever packs it has this.
    room: Option<Panels>,
}

impl PackedMatrix {
    /// Packs `weight [k, n]`, of any strides.
    pub fn new(weight: &Tensor) -> Result<PackedMatrix> {
        let (shape, strides) = sizes(weight)?;
        let panels = OnceLock::from(Panels::pack(weight.words(), shape, strides)?);
        Ok(PackedMatrix { shape, panels, waiting: Mutex::default(), on_device: OnceLock::new() })
    }

    /// As [`PackedMatrix::new`]; a weight that lies in a mapped file is packed when somebody calls [`PackedMatrix::pack`]. Products
    /// until then read it there, and give the same numbers. The memory for it is set aside now.
    pub fn later(weight: &Tensor) -> Result<PackedMatrix> {
        let (shape, _) = sizes(weight)?;
        if !weight.maps_file() {
            return PackedMatrix::new(weight);
        }
        let waiting = Waiting { weight: weight.clone(), room: Some(Panels::room(shape)?) };
        let (panels, on_device) = Default::default();
        Ok(PackedMatrix { shape, panels, waiting: Mutex::new(Some(waiting)), on_device })
    }

    /// Packs what waits for it, if nobody else does.
    pub fn pack(&self) {
        let taken = self.waiting().as_mut().and_then(|waiting| Some((waiting.weight.clone(), waiting.room.take()?)));
        let Some((weight, mut panels)) = taken else { return };
        let strides = weight.strides();
        panels.fill(weight.words().in_place(), [strides[0], strides[1]]);
        // First there are panels, then the file is not needed.
        let _ = self.panels.set(panels);
        self.waiting().take();
    }

    pub fn is_packed(&self) -> bool {
        self.panels.get().is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The panels, or the matrix that they are made of.
    pub(super) fn see<R>(&self, see: impl FnOnce(PanelView) -> R) -> R {
        if let Some(panels) = self.panels.get() {
            return see(panels.view());
        }
        let weight = self.waiting().as_ref().map(|waiting| waiting.weight.clone());
        match (weight, self.panels.get()) {
            (_, Some(panels)) => see(panels.view()),
            (Some(weight), None) => {
                let strides = weight.strides();
                see(PanelView::lying(weight.words().in_place(), self.shape, [strides[0], strides[1]]))
            }
            (None, None) => unreachable!("what waits no longer is packed"),
        }
    }

    /// `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// From now on products with this matrix run on `accelerator`, wherever the other factor is.
    pub fn place(&self, accelerator: &Arc<dyn Accelerator>) -> Result<()> {
        if self.on_device.get().is_none() {
            let placed = self.to_tensor()?.to_accelerator(accelerator, true)?;
            // Another thread may have been faster, with the same numbers.
            let _ = self.on_device.set(placed);
        }
        Ok(())
    }

    /// The matrix, as it was.
    pub fn to_tensor(&self) -> Result<Tensor> {
        // What waits is looked at first: it is there until there are panels.
        let weight = self.waiting().as_ref().map(|waiting| waiting.weight.clone());
        match (weight, self.panels.get()) {
            (Some(weight), _) => weight.copied(),
            (None, Some(panels)) => Tensor::from_vec(panels.to_vec(), &self.shape),
            (None, None) => unreachable!("what waits no longer is packed"),
        }
    }

    /// Of its panels, packed or not.
    pub fn n_bytes(&self) -> usize {
        Panels::bytes(self.shape)
    }
}

/// Shape and strides of what can be packed.
fn sizes(weight: &Tensor) -> Result<([usize; 2], [usize; 2])> {
    match (weight.shape(), weight.strides(), weight.dtype()) {
        (&[k, n], &[down, across], DType::F32) => Ok(([k, n], [down, across])),
        (shape, _, dtype) => {
            let shape = show(shape);
            Err(TensorError::Argument(format!("a Float32 matrix is packed, not {dtype} of shape {shape}")))
        }
    }
}

/// `activation(x @ weight + bias + added)`: `x [.., k]` to `[.., n]`; `bias` is `[n]`, `added` has the result's shape.
pub fn linear_packed(
    x: &Tensor,
    weight: &PackedMatrix,
    bias: Option<&Tensor>,
    added: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let [k, n] = weight.shape();
    if x.dtype() != DType::F32 {
        return Err(TensorError::DType(format!("linear needs equal element types, not {} and Float32", x.dtype())));
    }
    if x.shape().last() != Some(&k) {
        return Err(ShapeError(format!("linear takes {k} numbers a row, not shape {}", show(x.shape()))).into());
    }
    let mut shape: stark_shapes::Shape = x.shape().into();
    let last = shape.len() - 1;
    shape[last] = n;
    for (what, t, want) in [("bias", bias, &[n][..]), ("added tensor", added, &shape[..])] {
        if let Some(t) = t.filter(|t| t.shape() != want || t.dtype() != DType::F32) {
            let got = format!("{} {}", t.dtype(), show(t.shape()));
            return Err(ShapeError(format!("linear: the {what} is {got}, not Float32 {}", show(want))).into());
        }
    }
    if crate::device::is_reference() {
        let out = super::matmul::matmul(x, &weight.to_tensor()?)?;
        let out = bias.map_or(Ok(out.clone()), |b| super::elementwise::add(&out, b))?;
        let out = added.map_or(Ok(out.clone()), |a| super::elementwise::add(&out, a))?;
        return activate(out, activation);
    }
    if let Some(matrix) = weight.on_device.get() {
        let rows = if last == 0 { x.unsqueeze(0)? } else { x.clone() };
        let added = if last == 0 { added.map(|t| t.unsqueeze(0)).transpose()? } else { added.cloned() };
        let finish = DeviceFinish { bias, added: added.as_ref(), activation };
        if let Some(out) = super::matmul::device_product(&rows, matrix, finish)? {
            return out.reshape_to(&shape);
        }
    }
    let m = stark_shapes::rules::numel(&x.shape()[..last])?;
    let mut buffer = Buffer::for_overwrite::<f32>(stark_shapes::rules::numel(&shape)?)?;
    let rows = x.dense()?;
    let bias = bias.map(Tensor::dense).transpose()?;
    let added = added.map(Tensor::dense).transpose()?;
    let finish = Finish {
        per_column: bias.as_ref().map(|b| b.slice_of::<f32>()),
        added: added.as_ref().map(|a| a.slice_of::<f32>()),
        activation,
        ..Finish::default()
    };
    let a = Mat::new(rows.slice_of::<f32>(), m, k, k, 1);
    weight.see(|view| product(buffer.as_mut_slice::<f32>(), a, view, finish))?;
    Ok(Tensor::from_buffer(buffer, DType::F32, &shape))
}

/// `activation` of every element, in place when nobody else sees them.
pub fn activate(x: Tensor, activation: Activation) -> Result<Tensor> {
    if activation == Activation::None {
        return Ok(x);
    }
    if x.is_channels_last() {
        let pixels = x.pixels();
        // The one owner changes its elements in place.
        drop(x);
        return Ok(activate(pixels, activation)?.planes());
    }
    let dtype = x.dtype();
    let mut x = x.to(DType::F32)?;
    let (name, slope) = (activation.name(), if let Activation::LeakyRelu(slope) = activation { slope } else { 0.0 });
    if let Some(out) = accelerator::map(name, &[&x], &[slope.into()], DType::F32)? {
        return out.to(dtype);
    }
    fill_chunks(x.make_mut::<f32>()?, CHUNK / 4, |_, piece| activation.apply(piece));
    x.to(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add, linear, randn, relu};

    #[test]
    fn packed_layers_give_what_plain_ones_give() {
        let weight = randn(&[40, 70], 1, DType::F32).unwrap();
        let bias = randn(&[40], 2, DType::F32).unwrap();
        let packed = PackedMatrix::new(&weight.t().unwrap()).unwrap();
        for shape in [&[70][..], &[1, 70], &[3, 5, 70], &[0, 70]] {
            let x = randn(shape, 3, DType::F32).unwrap();
            let plain = linear(&x, &weight, Some(&bias)).unwrap();
            let added = randn(plain.shape(), 4, DType::F32).unwrap();
            let want = relu(&add(&plain, &added).unwrap()).unwrap();
            for device in crate::Device::ALL {
                let got = crate::with_device(device, || {
                    linear_packed(&x, &packed, Some(&bias), Some(&added), Activation::Relu).unwrap()
                });
                assert_eq!(got.shape(), want.shape());
                for (a, b) in got.to_scalars().iter().zip(want.to_scalars()) {
                    assert!((a.to_f64() - b.to_f64()).abs() < 1e-4, "{a:?} {b:?}");
                }
            }
        }
        let narrow = randn(&[2, 69], 3, DType::F32).unwrap();
        let error = linear_packed(&narrow, &packed, None, None, Activation::None).unwrap_err().to_string();
        assert_eq!(error, "linear takes 70 numbers a row, not shape [2, 69]");
    }

    #[test]
    fn a_matrix_that_lies_in_its_file_gives_the_very_numbers_of_its_panels() {
        use crate::cpu::pages::of_file;
        for (k, n) in [(70, 40), (640, 32), (700, 100), (33, 700), (1, 65), (1536, 33)] {
            let weight = randn(&[n, k], 1, DType::F32).unwrap();
            for start in [0, 64, 3] {
                let pages = of_file(start, weight.as_slice::<f32>().unwrap());
                let lent = |shape: &[usize]| {
                    let range = start..start + 4 * n * k;
                    Tensor::lent(&pages, range, DType::F32, shape).unwrap().unwrap()
                };
                // Columns of the panels that are rows in the file, and rows that are.
                for weight in [lent(&[n, k]).t().unwrap(), lent(&[k, n])] {
                    let matrix = PackedMatrix::later(&weight).unwrap();
                    let at_once = PackedMatrix::new(&weight).unwrap();
                    let bias = randn(&[n], 2, DType::F32).unwrap();
                    let run = |matrix: &PackedMatrix, m: usize| {
                        let x = randn(&[m, k], 3, DType::F32).unwrap();
                        linear_packed(&x, matrix, Some(&bias), None, Activation::Relu).unwrap()
                    };
                    let counts = [1, 2, 3, 4, 5, 14, 30, 230];
                    let before = counts.map(|m| run(&matrix, m));
                    assert!(!matrix.is_packed() && matrix.n_bytes() == at_once.n_bytes());
                    assert_eq!(matrix.to_tensor().unwrap(), weight.copied().unwrap());
                    matrix.pack();
                    assert!(matrix.is_packed());
                    matrix.pack();
                    assert_eq!(matrix.to_tensor().unwrap(), weight.copied().unwrap());
                    for (m, before) in counts.into_iter().zip(before) {
                        let bits =
                            |t: Tensor| t.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>();
                        let before = bits(before);
                        assert_eq!(before, bits(run(&matrix, m)), "{m} rows, {k} by {n}");
                        assert_eq!(before, bits(run(&at_once, m)), "{m} rows, {k} by {n}");
                    }
                }
            }
        }
    }
}
