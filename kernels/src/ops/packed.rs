//! Layers whose weights were packed when the model was loaded, with what follows them done in the same pass.

use std::sync::{Arc, OnceLock};

use stark_shapes::{DType, ShapeError, show};

use crate::accelerator::{self, Accelerator, Finish as DeviceFinish};
use crate::cpu::activation::Activation;
use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::Mat;
use crate::cpu::panels::{Finish, Panels, product};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::error::{Result, TensorError};
use crate::tensor::Tensor;

/// A `Float32` matrix `[k, n]`, packed to be the right factor of products.
pub struct PackedMatrix {
    panels: Panels,
    /// The matrix in the memory of the accelerator that the model was loaded for.
    on_device: OnceLock<Tensor>,
}

impl PackedMatrix {
    /// Packs `weight [k, n]`, of any strides.
    pub fn new(weight: &Tensor) -> Result<PackedMatrix> {
        if weight.rank() != 2 || weight.dtype() != DType::F32 {
            let (dtype, shape) = (weight.dtype(), show(weight.shape()));
            return Err(TensorError::Argument(format!("a Float32 matrix is packed, not {dtype} of shape {shape}")));
        }
        let (shape, strides) = (weight.shape(), weight.strides());
        let panels = Panels::pack(weight.words(), [shape[0], shape[1]], [strides[0], strides[1]])?;
        Ok(PackedMatrix { panels, on_device: OnceLock::new() })
    }

    /// `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.panels.rows(), self.panels.cols()]
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
        Tensor::from_vec(self.panels.to_vec(), &self.shape())
    }

    pub fn n_bytes(&self) -> usize {
        self.panels.n_bytes()
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
    product(buffer.as_mut_slice::<f32>(), a, weight.panels.view(), finish)?;
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
}
