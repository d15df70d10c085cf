//! The tensor: shape, strides and an offset into storage that is counted and shared.
//!
//! Cloning, slicing, transposing and expanding share storage. A write copies first when anybody else can
//! see the storage, so a tensor is a value. Strides count elements and are never negative.
//!
//! Invariant: every index inside `shape` lies inside the buffer.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use half::{bf16, f16};
use smallvec::SmallVec;
use stark_shapes::{DType, Shape, ShapeError, rules};

use crate::accelerator::{self, Accelerator, Memory};
use crate::cpu::buffer::{Buffer, Pod, bytes_of};
use crate::cpu::halves::Half;
use crate::cpu::pages::{Pages, Words};
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::element::{Elem, Element, Scalar, with_elem, with_word};
use crate::error::{Result, TensorError};
use crate::walk::Walk;

/// The most axes a tensor may have.
pub const MAX_RANK: usize = 64;

/// An n-dimensional array of one dtype. Cheap to clone; `Send` and `Sync`.
pub struct Tensor {
    buffer: Arc<Buffer>,
    dtype: DType,
    shape: Shape,
    strides: Shape,
    offset: usize,
}

impl Clone for Tensor {
    #[inline]
    fn clone(&self) -> Tensor {
        let (shape, strides) = (shape_of(&self.shape), shape_of(&self.strides));
        Tensor { buffer: self.buffer.clone(), dtype: self.dtype, shape, strides, offset: self.offset }
    }
}

/// Numbers of a [`Shape`] that need no memory of their own.
const INLINE: usize = 6;

/// These numbers. Whoever runs a small model makes some hundred shapes; a call that copies few bytes, or pushes them one by
/// one, takes longer than they do.
#[inline]
fn shape_of(from: &[usize]) -> Shape {
    if from.len() > INLINE {
        return from.into();
    }
    let mut all = [0; INLINE];
    for i in 0..INLINE {
        if let Some(&n) = from.get(i) {
            all[i] = n;
        }
    }
    SmallVec::from_buf_and_len(all, from.len())
}

/// Row-major strides.
pub(crate) fn contiguous_strides(shape: &[usize]) -> Shape {
    let mut strides: Shape = match shape.len() {
        n @ ..=INLINE => SmallVec::from_buf_and_len([1; INLINE], n),
        n => SmallVec::from_elem(1, n),
    };
    let mut step = 1usize;
    for i in (0..shape.len()).rev() {
        strides[i] = step;
        step = step.saturating_mul(shape[i].max(1));
    }
    strides
}

impl Tensor {
    // ---- making -------------------------------------------------------------------------------

    /// A fresh row-major tensor over a buffer that was made for it.
    pub(crate) fn from_buffer(buffer: Buffer, dtype: DType, shape: &[usize]) -> Tensor {
        let strides = contiguous_strides(shape);
        debug_assert!(rules::numel(shape).is_ok_and(|n| n * dtype.size() <= buffer.n_bytes()));
        Tensor { buffer: Arc::new(buffer), dtype, shape: shape_of(shape), strides, offset: 0 }
    }

    /// `values` in row-major order; their number must be the product of `shape`.
    pub fn from_vec<E: Element>(values: Vec<E>, shape: &[usize]) -> Result<Tensor> {
        Tensor::from_slice(&values, shape)
    }

    pub fn from_slice<E: Element>(values: &[E], shape: &[usize]) -> Result<Tensor> {
        check_rank(shape)?;
        let n = rules::numel(shape)?;
        if n != values.len() {
            return Err(ShapeError(format!(
                "{} values do not fill shape {}, which holds {n}",
                values.len(),
                stark_shapes::show(shape)
            ))
            .into());
        }
        let mut buffer = Buffer::zeroed::<E::Store>(n)?;
        for (slot, value) in buffer.as_mut_slice::<E::Store>().iter_mut().zip(values) {
            *slot = value.store();
        }
        Ok(Tensor::from_buffer(buffer, E::Store::DTYPE, shape))
    }

    /// Little-endian `bytes` of `dtype` in row-major order. Bool bytes become 0 or 1.
    pub fn from_bytes(bytes: &[u8], dtype: DType, shape: &[usize]) -> Result<Tensor> {
        check_rank(shape)?;
        let n = rules::numel(shape)?;
        if n.checked_mul(dtype.size()) != Some(bytes.len()) {
            return Err(ShapeError(format!(
                "{} bytes are not shape {} of {dtype}",
                bytes.len(),
                stark_shapes::show(shape)
            ))
            .into());
        }
        let mut buffer = Buffer::for_overwrite::<u8>(bytes.len())?;
        let storage = buffer.as_mut_slice::<u8>();
        storage.copy_from_slice(bytes);
        if dtype == DType::Bool {
            storage.iter_mut().for_each(|b| *b = (*b != 0).into());
        } else if cfg!(target_endian = "big") {
            storage.chunks_exact_mut(dtype.size()).for_each(|word| word.reverse());
        }
        Ok(Tensor::from_buffer(buffer, dtype, shape))
    }

    /// The little-endian numbers of `dtype` in `range` of `pages`, which stay where they are: writing to the tensor copies them.
    /// `None` where they cannot, because of how they lie, or of what they are.
    pub fn lent(pages: &Arc<Pages>, range: Range<usize>, dtype: DType, shape: &[usize]) -> Result<Option<Tensor>> {
        let fits = shape.len() <= MAX_RANK
            && rules::numel(shape)?.checked_mul(dtype.size()) == Some(range.len())
            // A stored bool may be any byte.
            && dtype != DType::Bool
            && cfg!(target_endian = "little");
        let buffer = if fits { Buffer::lent(pages, range)? } else { None };
        Ok(buffer.map(|buffer| Tensor::from_buffer(buffer, dtype, shape)))
    }

    /// Whether the storage belongs to who lent it: [`Tensor::lent`].
    pub fn is_lent(&self) -> bool {
        self.buffer.is_lent()
    }

    /// Whether the storage is in a mapped file, for who looks at it there: it is mapped whole from now on.
    pub(crate) fn maps_file(&self) -> bool {
        self.buffer.maps_file()
    }

    /// A 0-dim tensor.
    pub fn scalar<E: Element>(value: E) -> Tensor {
        // One element is below any limit that lets a program run at all; an empty allocation cannot fail twice.
        Tensor::from_slice(&[value], &[]).unwrap_or_else(|_| Tensor::empty_of(E::Store::DTYPE))
    }

    fn empty_of(dtype: DType) -> Tensor {
        let buffer = Buffer::zeroed_bytes(0).unwrap_or_else(|_| unreachable!("an empty buffer needs no memory"));
        Tensor::from_buffer(buffer, dtype, &[0])
    }

    /// `x` everywhere, converted to `dtype`.
    pub fn full(shape: &[usize], x: impl Into<Scalar>, dtype: DType) -> Result<Tensor> {
        check_rank(shape)?;
        let n = rules::numel(shape)?;
        let x = x.into();
        with_elem!(dtype, T => {
            let mut buffer = Buffer::zeroed::<T>(n)?;
            let value = T::from_scalar(x);
            if value != T::default() || x.to_f64().is_sign_negative() {
                buffer.as_mut_slice::<T>().fill(value);
            }
            Ok(Tensor::from_buffer(buffer, dtype, shape))
        })
    }

    pub fn zeros(shape: &[usize], dtype: DType) -> Result<Tensor> {
        Tensor::full(shape, 0, dtype)
    }

    pub fn ones(shape: &[usize], dtype: DType) -> Result<Tensor> {
        Tensor::full(shape, 1, dtype)
    }

    /// A view of `self`'s storage with any shape, strides and offset (in elements of the storage). Checked.
    pub fn as_strided(&self, shape: &[usize], strides: &[usize], offset: usize) -> Result<Tensor> {
        check_rank(shape)?;
        if shape.len() != strides.len() {
            return Err(TensorError::Argument(format!("{} sizes but {} strides", shape.len(), strides.len())));
        }
        check_bytes(shape, self.dtype)?;
        let room = self.buffer.n_bytes() / self.dtype.size();
        let last = if shape.contains(&0) {
            offset.checked_sub(1)
        } else {
            shape.iter().zip(strides).try_fold(offset, |at, (&n, &stride)| at.checked_add((n - 1).checked_mul(stride)?))
        };
        let inside = match last {
            Some(last) => last < room || (shape.contains(&0) && last <= room),
            None => shape.contains(&0),
        };
        if !inside {
            return Err(TensorError::Argument(format!(
                "shape {} with strides {} from element {offset} leaves the storage of {room} elements",
                stark_shapes::show(shape),
                stark_shapes::show(strides)
            )));
        }
        Ok(self.view(shape.into(), strides.into(), offset))
    }

    // ---- devices ------------------------------------------------------------------------------

    /// A row-major tensor whose elements an accelerator holds.
    pub fn from_memory(memory: Arc<dyn Memory>, dtype: DType, shape: &[usize]) -> Result<Tensor> {
        let bytes = rules::numel(shape)?.checked_mul(dtype.size()).unwrap_or(usize::MAX);
        Ok(Tensor::from_buffer(Buffer::on_device(memory, bytes)?, dtype, shape))
    }

    /// The device's copy of the storage behind this view.
    pub fn memory(&self) -> Option<&Arc<dyn Memory>> {
        self.buffer.device()
    }

    /// The storage behind this view in the memory of `accelerator`, copied there when it is not.
    pub fn memory_on(&self, accelerator: &Arc<dyn Accelerator>) -> Result<Arc<dyn Memory>> {
        if let Some(memory) = self.memory().filter(|m| Arc::ptr_eq(m.accelerator(), accelerator)) {
            return Ok(memory.clone());
        }
        let memory = accelerator.clone().upload(self.buffer.as_slice::<u8>(), false)?;
        self.buffer.set_device(memory.clone());
        Ok(memory)
    }

    /// The same elements, row-major, with a copy in the memory of `accelerator`: operations on them run there.
    pub fn to_accelerator(&self, accelerator: &Arc<dyn Accelerator>, constant: bool) -> Result<Tensor> {
        let copy = self.copied()?;
        let memory = accelerator.clone().upload(copy.buffer.as_slice::<u8>(), constant)?;
        copy.buffer.set_device(memory);
        Ok(copy)
    }

    /// Has `then` called, by any thread, once looking at elements need not wait for a device. `false`, and no call: it need
    /// not now.
    pub fn when_done(&self, then: impl FnOnce() + Send + 'static) -> bool {
        self.buffer.to_fetch().is_some_and(|memory| memory.when_done(Box::new(then)))
    }

    /// The same elements in the host's memory alone.
    pub fn to_host(mut self) -> Result<Tensor> {
        if self.memory().is_none() {
            return Ok(self);
        }
        match Arc::get_mut(&mut self.buffer) {
            Some(buffer) => buffer.leave_device(),
            None => {
                // The same storage, so that a view keeps its strides.
                let whole = Buffer::from_slice(self.buffer.as_slice::<u8>())?;
                self.buffer = Arc::new(whole);
            }
        }
        match crate::accelerator::take_fault() {
            Some(reason) => Err(TensorError::Device(reason)),
            None => Ok(self),
        }
    }

    /// Caller keeps the invariant: the new view reaches only what `self`'s storage holds.
    pub(crate) fn view(&self, shape: Shape, strides: Shape, offset: usize) -> Tensor {
        Tensor { buffer: self.buffer.clone(), dtype: self.dtype, shape, strides, offset }
    }

    // ---- facts --------------------------------------------------------------------------------

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// In elements.
    pub fn strides(&self) -> &[usize] {
        &self.strides
    }

    /// First element's place in the storage, in elements.
    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    pub fn numel(&self) -> usize {
        if self.shape.contains(&0) { 0 } else { self.shape.iter().product() }
    }

    /// The size of one axis; negative axes count from the end.
    pub fn size(&self, axis: i64) -> Result<usize> {
        let i = rules::axis(axis, self.rank())?;
        self.shape.get(i).copied().ok_or_else(|| ShapeError(format!("axis {axis} is out of range for rank 0")).into())
    }

    /// Bytes of the elements in view (not of the storage behind them).
    pub fn n_bytes(&self) -> usize {
        self.numel() * self.dtype.size()
    }

    /// Bytes of the whole storage behind this view.
    pub fn storage_bytes(&self) -> usize {
        self.buffer.n_bytes()
    }

    /// Is this the only tensor on its storage, so that a write needs no copy?
    pub fn is_unique(&self) -> bool {
        Arc::strong_count(&self.buffer) == 1 && !self.buffer.is_lent()
    }

    /// Tells storages apart while they live.
    pub fn storage_address(&self) -> usize {
        Arc::as_ptr(&self.buffer).addr()
    }

    pub fn shares_storage_with(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.buffer, &other.buffer)
    }

    /// Do the elements lie row-major without gaps?
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1;
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if n == 0 {
                return true;
            }
            if n != 1 && stride != step {
                return false;
            }
            step *= n;
        }
        true
    }

    /// Whether this is `[n, c, h, w]` in memory where the channels of a pixel lie side by side, and not row-major.
    pub fn is_channels_last(&self) -> bool {
        self.rank() == 4 && !self.is_contiguous() && self.pixels().is_contiguous()
    }

    /// `[n, c, h, w]` seen as `[n, h, w, c]`.
    pub(crate) fn pixels(&self) -> Tensor {
        self.turned([0, 2, 3, 1])
    }

    /// `[n, h, w, c]` seen as `[n, c, h, w]`.
    pub(crate) fn planes(&self) -> Tensor {
        self.turned([0, 3, 1, 2])
    }

    fn turned(&self, order: [usize; 4]) -> Tensor {
        debug_assert_eq!(self.rank(), 4);
        let pick = |from: &[usize]| shape_of(&order.map(|i| from[i]));
        self.view(pick(&self.shape), pick(&self.strides), self.offset)
    }

    // ---- reading ------------------------------------------------------------------------------

    /// The storage as elements, from this view's first one on. For kernels that follow strides.
    pub(crate) fn storage<T: Pod>(&self) -> &[T] {
        debug_assert_eq!(size_of::<T>(), self.dtype.size());
        &self.buffer.as_slice::<T>()[self.offset.min(self.buffer.n_bytes() / size_of::<T>())..]
    }

    /// The storage of a `Float32` tensor from the first element on, for who reads each number once.
    pub(crate) fn words(&self) -> Words<'_> {
        debug_assert_eq!(self.dtype.size(), 4);
        let words = self.buffer.words();
        words.from(self.offset.min(words.len()))
    }

    /// The elements as a slice when they lie row-major and are of `E`'s dtype. Bools are stored as [`crate::Bit`].
    pub fn as_slice<E: Element>(&self) -> Option<&[E::Store]> {
        (E::Store::DTYPE == self.dtype && self.is_contiguous()).then(|| &self.storage::<E::Store>()[..self.numel()])
    }

    /// As [`Tensor::as_slice`], for kernels that made the tensor contiguous and know its dtype.
    pub(crate) fn slice_of<T: Pod>(&self) -> &[T] {
        debug_assert!(self.is_contiguous());
        &self.storage::<T>()[..self.numel()]
    }

    /// All elements in row-major order, of exactly this dtype.
    pub fn to_vec<E: Element>(&self) -> Result<Vec<E>> {
        if E::Store::DTYPE != self.dtype {
            return Err(TensorError::DType(format!("elements are {}, not {}", self.dtype, E::Store::DTYPE)));
        }
        let mut out = Vec::with_capacity(self.numel());
        self.for_each::<E::Store>(|x| out.push(E::load(x)));
        Ok(out)
    }

    /// All elements in row-major order as numbers of their kind, whatever the dtype.
    pub fn to_scalars(&self) -> Vec<Scalar> {
        let mut out = Vec::with_capacity(self.numel());
        with_elem!(self.dtype, T => self.for_each::<T>(|x| out.push(x.to_scalar())));
        out
    }

    /// Little-endian bytes in row-major order.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let whole = self.contiguous()?;
        let mut bytes = with_word!(self.dtype, T => bytes_of(whole.slice_of::<T>()).to_vec());
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(self.dtype.size()).for_each(|word| word.reverse());
        }
        Ok(bytes)
    }

    pub(crate) fn for_each<T: Pod>(&self, mut visit: impl FnMut(T)) {
        let data = self.storage::<T>();
        let walk = Walk::new(&self.shape, [&self.strides], [0]);
        let [step] = walk.inner();
        walk.rows(0..walk.numel(), |[at], n| {
            for i in 0..n {
                visit(data[at + i * step]);
            }
        });
    }

    /// The number in a tensor of exactly one element.
    pub fn item(&self) -> Result<Scalar> {
        if self.numel() != 1 {
            return Err(ShapeError(format!(
                "item needs one element, but shape {} has {}",
                stark_shapes::show(&self.shape),
                self.numel()
            ))
            .into());
        }
        self.element(0)
    }

    /// The number at `index` (one per axis, negative from the end).
    pub fn at(&self, index: &[i64]) -> Result<Scalar> {
        self.element(self.place(index)?)
    }

    /// The number `at` places behind the first. Of what a device has it alone is fetched, unless there were many.
    fn element(&self, at: usize) -> Result<Scalar> {
        let mut word = [0; 8];
        let bytes = &mut word[..self.dtype.size()];
        match self.buffer.to_fetch().and_then(|memory| memory.peek((self.offset + at) * bytes.len(), bytes)) {
            Some(Ok(())) => Tensor::from_bytes(bytes, self.dtype, &[])?.item(),
            Some(Err(reason)) => Err(TensorError::Device(reason)),
            None => Ok(with_elem!(self.dtype, T => self.storage::<T>()[at].to_scalar())),
        }
    }

    fn place(&self, index: &[i64]) -> Result<usize> {
        if index.len() != self.rank() {
            return Err(ShapeError(format!(
                "{} indices for shape {} of rank {}",
                index.len(),
                stark_shapes::show(&self.shape),
                self.rank()
            ))
            .into());
        }
        let mut at = 0;
        for (axis, &i) in index.iter().enumerate() {
            at += wrap_index(i, axis, self.shape[axis])? * self.strides[axis];
        }
        Ok(at)
    }

    // ---- writing ------------------------------------------------------------------------------

    /// All elements in row-major order, for writing. Copies first when the storage is shared or strided.
    pub fn make_mut<E: Element>(&mut self) -> Result<&mut [E::Store]> {
        if E::Store::DTYPE != self.dtype {
            return Err(TensorError::DType(format!("elements are {}, not {}", self.dtype, E::Store::DTYPE)));
        }
        self.own()?;
        Ok(self.owned_slice_mut())
    }

    /// After this the tensor is row-major and alone on its storage.
    fn own(&mut self) -> Result<()> {
        // A weak count does not exist: buffers are never downgraded.
        if !self.is_unique() || !self.is_contiguous() {
            *self = self.copied()?;
        }
        Ok(())
    }

    pub(crate) fn owned_slice_mut<T: Pod>(&mut self) -> &mut [T] {
        let (offset, n) = (self.offset, self.numel());
        match Arc::get_mut(&mut self.buffer) {
            Some(buffer) => &mut buffer.as_mut_slice::<T>()[offset..offset + n],
            // Only reached when the caller did not own the tensor first, which is our own bug.
            None => unreachable!("a tensor that is written to owns its storage"),
        }
    }

    /// Writes one number, converted to the dtype. Other tensors on the same storage do not see it.
    pub fn set(&mut self, index: &[i64], x: impl Into<Scalar>) -> Result<()> {
        self.place(index)?;
        self.own()?;
        let at = self.place(index)?;
        let x = x.into();
        with_elem!(self.dtype, T => self.owned_slice_mut::<T>()[at] = T::from_scalar(x));
        Ok(())
    }

    /// Writes `values`, broadcast and converted, into the part of `self` that `part` is a view of.
    ///
    /// `part` picks the region by its shape, strides and offset; it is dropped before the write.
    /// `t.assign(|t| t.select(0, 1), &row)` is `t[1] = row`.
    pub fn assign(&mut self, part: impl FnOnce(&Tensor) -> Result<Tensor>, values: &Tensor) -> Result<()> {
        let values = values.to(self.dtype)?;
        // Row-major first, so that the region's strides are those of the final storage.
        if !self.is_contiguous() || !self.is_unique() {
            *self = self.copied()?;
        }
        let region = part(self)?;
        if !region.shares_storage_with(self) {
            return Err(TensorError::Argument("the assigned part is not a view".into()));
        }
        rules::broadcast_to(values.shape(), region.shape())?;
        let values = values.expand(region.shape())?;
        let Tensor { shape, strides, offset, .. } = region.clone();
        drop(region);
        // A value that is itself a view of this storage would be read while it is written.
        let values = if values.shares_storage_with(self) { values.copied()? } else { values };
        let Some(buffer) = Arc::get_mut(&mut self.buffer) else {
            return Err(TensorError::Argument("the assigned part was kept by its maker".into()));
        };
        with_word!(self.dtype, T => {
            let from = values.storage::<T>();
            let into = &mut buffer.as_mut_slice::<T>()[offset..];
            let walk = Walk::new(&shape, [&strides, values.strides()], [0, 0]);
            let [a, b] = walk.inner();
            walk.rows(0..walk.numel(), |[i, j], n| {
                if (a, b) == (1, 1) {
                    into[i..i + n].copy_from_slice(&from[j..j + n]);
                } else {
                    (0..n).for_each(|k| into[i + k * a] = from[j + k * b]);
                }
            });
        });
        Ok(())
    }

    // ---- copies -------------------------------------------------------------------------------

    /// The same elements row-major: `self` when it already is.
    pub fn contiguous(&self) -> Result<Tensor> {
        if self.is_contiguous() { Ok(self.clone()) } else { self.copied() }
    }

    /// As [`Tensor::contiguous`], for who only reads.
    pub(crate) fn dense(&self) -> Result<Cow<'_, Tensor>> {
        if self.is_contiguous() { Ok(Cow::Borrowed(self)) } else { self.copied().map(Cow::Owned) }
    }

    /// A row-major copy with storage of its own.
    pub fn copied(&self) -> Result<Tensor> {
        if let Some(out) = accelerator::map("copy", &[self], &[], self.dtype)? {
            return Ok(out);
        }
        if self.is_lent() && self.is_contiguous() {
            let size = self.dtype.size();
            let mut buffer = Buffer::for_overwrite::<u8>(self.numel() * size)?;
            self.buffer.copy_bytes(self.offset * size, buffer.as_mut_slice());
            return Ok(Tensor::from_buffer(buffer, self.dtype, &self.shape));
        }
        with_word!(self.dtype, T => {
            let mut buffer = Buffer::for_overwrite::<T>(self.numel())?;
            let from = self.storage::<T>();
            let walk = Walk::new(&self.shape, [&self.strides], [0]);
            if let Some(matrix) = walk.transposed() {
                transpose(buffer.as_mut_slice::<T>(), from, matrix);
                return Ok(Tensor::from_buffer(buffer, self.dtype, &self.shape));
            }
            let [step] = walk.inner();
            fill_chunks(buffer.as_mut_slice::<T>(), CHUNK, |start, piece| {
                let mut done = 0;
                walk.rows(start..start + piece.len(), |[at], n| {
                    let row = &mut piece[done..done + n];
                    match step {
                        1 => row.copy_from_slice(&from[at..at + n]),
                        0 => row.fill(from[at]),
                        _ => row.iter_mut().zip(from[at..].iter().step_by(step)).for_each(|(o, x)| *o = *x),
                    }
                    done += n;
                });
            });
            Ok(Tensor::from_buffer(buffer, self.dtype, &self.shape))
        })
    }

    /// The elements converted to `dtype`: floats to ints truncate, anything but zero is true.
    pub fn to(&self, dtype: DType) -> Result<Tensor> {
        if dtype == self.dtype {
            return Ok(self.clone());
        }
        if let Some(out) = accelerator::map("cast", &[self], &[], dtype)? {
            return Ok(out);
        }
        match (self.dtype, dtype) {
            (DType::F16, DType::F32) => convert_by::<f16, f32>(self, f16::widen),
            (DType::BF16, DType::F32) => convert_by::<bf16, f32>(self, bf16::widen),
            (DType::F32, DType::F16) => convert_by::<f32, f16>(self, f16::narrow),
            (DType::F32, DType::BF16) => convert_by::<f32, bf16>(self, bf16::narrow),
            (DType::F32, DType::F64) => convert_wide::<f32, f64>(self),
            (DType::F64, DType::F32) => convert_wide::<f64, f32>(self),
            (DType::F32, DType::I64) => convert_wide::<f32, i64>(self),
            (DType::I64, DType::F32) => convert_wide::<i64, f32>(self),
            (DType::F32, DType::I32) => convert_wide::<f32, i32>(self),
            (DType::I32, DType::F32) => convert_wide::<i32, f32>(self),
            (DType::U8, DType::F32) => convert_wide::<u8, f32>(self),
            (DType::F32, DType::U8) => convert_wide::<f32, u8>(self),
            _ => with_elem!(self.dtype, A => with_elem!(dtype, B => convert::<A, B>(self))),
        }
    }
}

/// Writes matrices row by row that lie column by column, one after the other.
fn transpose<T: Pod>(out: &mut [T], from: &[T], [rows, columns]: [usize; 2]) {
    // Rows that are written side by side: a line of the cache holds as many numbers of 32 bits.
    const SIDE: usize = 16;
    let chunk = columns * (CHUNK / columns.max(1)).max(1).next_multiple_of(SIDE);
    fill_chunks(out, chunk, |start, mut piece| {
        let mut at = start / columns;
        while !piece.is_empty() {
            let (matrix, row) = (at / rows, at % rows);
            let n = SIDE.min(rows - row).min(piece.len() / columns);
            let (lines, rest) = std::mem::take(&mut piece).split_at_mut(n * columns);
            let start = matrix * columns * rows + row;
            let is_done = match columns {
                2 => side_by_side::<T, 2>(lines, &from[start..], rows),
                3 => side_by_side::<T, 3>(lines, &from[start..], rows),
                4 => side_by_side::<T, 4>(lines, &from[start..], rows),
                _ => false,
            };
            if is_done {
                (at, piece) = (at + n, rest);
                continue;
            }
            for column in 0..columns {
                let numbers = &from[(matrix * columns + column) * rows + row..][..n];
                for (line, x) in lines.chunks_exact_mut(columns).zip(numbers) {
                    line[column] = *x;
                }
            }
            (at, piece) = (at + n, rest);
        }
    });
}

/// Rows of `C` numbers, each of another column; a column begins `step` numbers after the one before. Gives `true`.
fn side_by_side<T: Pod, const C: usize>(rows: &mut [T], from: &[T], step: usize) -> bool {
    let rows = rows.as_chunks_mut::<C>().0;
    let columns: [&[T]; C] = std::array::from_fn(|k| &from[k * step..][..rows.len()]);
    for (i, row) in rows.iter_mut().enumerate() {
        *row = std::array::from_fn(|k| columns[k][i]);
    }
    true
}

/// Neighbours in memory, converted by a loop that is worth wide vectors.
struct Converted<'a, A, B> {
    from: &'a [A],
    to: &'a mut [B],
}

impl<A: Elem, B: Elem> Kernel for Converted<'_, A, B> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        self.to.iter_mut().zip(self.from).for_each(|(o, x)| *o = one(*x));
    }
}

#[inline(always)]
fn one<A: Elem, B: Elem>(a: A) -> B {
    if A::FLOAT { B::from_f64(a.to_f64()) } else { B::from_i64(a.to_i64()) }
}

fn convert<A: Elem, B: Elem>(x: &Tensor) -> Result<Tensor> {
    convert_by::<A, B>(x, |from, to| to.iter_mut().zip(from).for_each(|(o, x)| *o = one(*x)))
}

/// [`convert`] by wide vectors: compiled several times, so for the common types alone.
fn convert_wide<A: Elem, B: Elem>(x: &Tensor) -> Result<Tensor> {
    convert_by::<A, B>(x, |from, to| dispatch(Converted { from, to }))
}

/// `row` converts neighbours in memory.
fn convert_by<A: Elem, B: Elem>(x: &Tensor, row: impl Fn(&[A], &mut [B]) + Sync) -> Result<Tensor> {
    let mut buffer = Buffer::for_overwrite::<B>(x.numel())?;
    let from = x.storage::<A>();
    let walk = Walk::new(&x.shape, [&x.strides], [0]);
    let [step] = walk.inner();
    fill_chunks(buffer.as_mut_slice::<B>(), CHUNK, |start, piece| {
        let mut done = 0;
        walk.rows(start..start + piece.len(), |[at], n| {
            let to = &mut piece[done..done + n];
            if step == 1 {
                row(&from[at..at + n], to);
            } else {
                to.iter_mut().enumerate().for_each(|(i, o)| *o = one(from[at + i * step]));
            }
            done += n;
        });
    });
    Ok(Tensor::from_buffer(buffer, B::DTYPE, &x.shape))
}

pub(crate) fn check_rank(shape: &[usize]) -> Result<()> {
    if shape.len() > MAX_RANK {
        return Err(ShapeError(format!("rank {} passes the limit of {MAX_RANK}", shape.len())).into());
    }
    Ok(())
}

/// A shape whose elements, written out, would pass the limit is refused, also where a view would share them:
/// so whatever walks over a tensor's elements has an end.
pub(crate) fn check_bytes(shape: &[usize], dtype: DType) -> Result<()> {
    let bytes = rules::numel(shape)?.saturating_mul(dtype.size());
    let limit = crate::max_tensor_bytes();
    if bytes > limit { Err(TensorError::too_large(bytes)) } else { Ok(()) }
}

/// `index` inside `0..size`, negative ones from the end.
pub(crate) fn wrap_index(index: i64, axis: usize, size: usize) -> Result<usize> {
    let wrapped = if index < 0 { index.checked_add(size as i64) } else { Some(index) };
    match wrapped.and_then(|i| usize::try_from(i).ok()).filter(|&i| i < size) {
        Some(i) => Ok(i),
        None => Err(TensorError::Index { index, axis, size }),
    }
}

impl PartialEq for Tensor {
    /// Same dtype, shape and elements (so NaN differs from itself).
    fn eq(&self, other: &Tensor) -> bool {
        if self.dtype != other.dtype || self.shape != other.shape {
            return false;
        }
        with_elem!(self.dtype, T => {
            let (a, b) = (self.storage::<T>(), other.storage::<T>());
            let walk = Walk::new(&self.shape, [&self.strides, &other.strides], [0, 0]);
            let [s, t] = walk.inner();
            let mut equal = true;
            walk.rows(0..walk.numel(), |[i, j], n| equal = equal && (0..n).all(|k| a[i + k * s] == b[j + k * t]));
            equal
        })
    }
}
