//! Matrix products, and what follows them in the same pass.

use std::sync::Arc;

use stark_kernels::accelerator::Finish;
use stark_kernels::cpu::activation::Activation;
use stark_kernels::{DType, Tensor, TensorError};

use crate::Result as Done;
use crate::driver::Arg;
use crate::engine::{Block, Family, OpenCl, int};
use crate::local::{Products, Right};
use crate::map::merge;

/// Columns of a panel; that of `product.cl`.
pub(crate) const COLUMNS: usize = 32;
/// Rows of a tile: with 32 columns of `float` sixteen registers of sums.
const ROWS: usize = 8;
/// From so many panels on the left factor is packed: each panel reads all of it.
const PACK_LEFT_FROM: usize = 6;
/// Up to here rows are computed one by one: tiles would mostly repeat the last.
const SINGLE_ROWS: usize = 3;

type Tried<T> = Result<T, TensorError>;

/// The number that `activate` in `math.cl` knows an activation by, and its slope.
pub(crate) fn activation(a: Activation) -> (i32, f32) {
    match a {
        Activation::None => (0, 0.0),
        Activation::Relu => (1, 0.0),
        Activation::Relu6 => (2, 0.0),
        Activation::LeakyRelu(slope) => (3, slope),
        Activation::Gelu => (4, 0.0),
        Activation::GeluTanh => (5, 0.0),
        Activation::Silu => (6, 0.0),
        Activation::Sigmoid => (7, 0.0),
        Activation::Tanh => (8, 0.0),
        Activation::HardSwish => (9, 0.0),
        Activation::HardSigmoid => (10, 0.0),
    }
}

/// An `int3` of OpenCL, which takes the room of four.
pub(crate) fn int3([x, y, z]: [usize; 3]) -> [u8; 16] {
    int4([x, y, z, 0])
}

pub(crate) fn int4(numbers: [usize; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, n) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&int(n).unwrap_or(i32::MAX).to_ne_bytes());
    }
    bytes
}

/// Numbers of stacked axes behind as many of `rest` as make three; `None` when there are more.
pub(crate) fn three(numbers: &[usize], rest: usize) -> Option<[usize; 3]> {
    let mut three = [rest; 3];
    three[3usize.checked_sub(numbers.len())?..].copy_from_slice(numbers);
    Some(three)
}

pub(crate) fn number(n: usize) -> Arg<'static> {
    Arg::Int(int(n).unwrap_or(i32::MAX))
}

/// One factor: a stack of matrices and how to walk it.
struct Factor {
    tensor: Tensor,
    /// Steps of the stacked axes, then of rows and columns.
    stack: [usize; 3],
    steps: [usize; 2],
}

/// The stacked axes of both factors merged to at most three, sizes first; `None` when more remain: then they are copied
/// together first.
fn stacks(lead: &[usize], a: &Tensor, b: &Tensor) -> Tried<Option<([usize; 3], Factor, Factor)>> {
    let n = lead.len();
    let full = |t: &Tensor| -> Tried<Tensor> {
        let shape: Vec<usize> = lead.iter().chain(&t.shape()[t.rank() - 2..]).copied().collect();
        t.expand(&shape)
    };
    let (wide_a, wide_b) = (full(a)?, full(b)?);
    let leads = [&wide_a, &wide_b].map(|t| t.strides()[..n].to_vec());
    let (sizes, steps) = merge(lead, &leads);
    let Some(sizes) = three(&sizes, 1) else { return Ok(None) };
    let factor = |tensor: &Tensor, which: usize| Factor {
        tensor: tensor.clone(),
        stack: three(&steps[which], 0).unwrap_or_default(),
        steps: [tensor.strides()[n], tensor.strides()[n + 1]],
    };
    Ok(Some((sizes, factor(&wide_a, 0), factor(&wide_b, 1))))
}

/// Panels of a right factor: `k` rows in panels of [`COLUMNS`].
pub(crate) struct Panels {
    pub block: Arc<Block>,
    /// From one matrix of the stack to the next, in numbers; 0 when all use the same.
    pub step: usize,
}

/// The left factor of `tile` and the place of the result.
pub(crate) struct Tiles<'a> {
    pub a: &'a Block,
    pub at: usize,
    pub steps: [usize; 2],
    pub sizes: [usize; 3],
    pub stack: [usize; 3],
    pub stack_steps: [usize; 3],
    /// Matrices of the result follow each other in this many groups of rows: for a bias a row.
    pub groups: usize,
    pub bias_kind: i32,
    /// The first matrix of the result.
    pub first: usize,
}

struct PackedLeft {
    block: Arc<Block>,
    stack_steps: [usize; 3],
}

fn tile_source(rows: usize) -> (String, String) {
    ([include_str!("cl/math.cl"), include_str!("cl/product.cl")].concat(), format!("-D ROWS={rows}"))
}

impl OpenCl {
    pub(crate) fn product(
        self: &Arc<Self>,
        a: &Tensor,
        b: &Tensor,
        shape: &[usize],
        finish: Finish<'_>,
    ) -> Tried<Option<Tensor>> {
        let dtype = a.dtype();
        let is_f64 = dtype == DType::F64;
        if !(dtype == DType::F32 || is_f64 && self.info().has_f64) {
            return Ok(None);
        }
        if [a, b].iter().any(|t| int(t.storage_bytes()).is_none()) {
            return Ok(None);
        }
        let lead = &shape[..shape.len() - 2];
        let Some((stack, left, right)) = stacks(lead, a, b)? else {
            let (a, b) = (a.copied()?, b.copied()?);
            return match stacks(lead, &a, &b)? {
                Some(_) => self.product(&a, &b, shape, finish),
                None => Ok(None),
            };
        };
        let (m, n) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        let k = a.shape()[a.rank() - 1];
        // Padded to whole tiles and panels, a thin factor is larger than it was.
        let padded = m.max(n).next_multiple_of(COLUMNS).checked_mul(k);
        if padded.and_then(int).is_none() {
            return Ok(None);
        }
        let Some((out, block)) = self.make(shape, dtype)? else { return Ok(None) };
        if out.numel() == 0 {
            return Ok(Some(out));
        }
        let bias = finish.bias.map(Tensor::contiguous).transpose()?;
        let added = finish.added.map(Tensor::contiguous).transpose()?;
        let finish = Finish { bias: bias.as_ref(), added: added.as_ref(), activation: finish.activation };
        if self.family == Family::Local || is_f64 {
            let (a, b) = (self.of(&left.tensor)?, self.of(&right.tensor)?);
            let products = Products {
                dtype,
                left: &a,
                left_at: left.tensor.offset(),
                left_steps: left.steps,
                right: Right::Matrix { block: &b, at: right.tensor.offset(), steps: right.steps },
                sizes: [m, k, n],
                stack,
                left_stack: left.stack,
                right_stack: right.stack,
                places: n,
                rows_in_image: m,
                bias_kind: 1,
            };
            return Ok(self.products(&products, finish, &block)?.then_some(out));
        }
        let panels = self.pack(&right, k, n, stack)?;
        let a = self.of(&left.tensor)?;
        let tiles = Tiles {
            a: &a,
            at: left.tensor.offset(),
            steps: left.steps,
            sizes: [m, k, n],
            stack,
            stack_steps: left.stack,
            groups: 1,
            bias_kind: finish.bias.is_some().into(),
            first: 0,
        };
        self.tiles(&tiles, &panels, finish, &block)?;
        Ok(Some(out))
    }

    /// A constant's panels are made once.
    fn pack(self: &Arc<Self>, b: &Factor, k: usize, n: usize, stack: [usize; 3]) -> Tried<Panels> {
        let from = self.of(&b.tensor)?;
        let alone = b.stack.iter().zip(stack).all(|(&step, n)| step == 0 || n == 1);
        let n_stack: usize = if alone { 1 } else { stack.iter().product() };
        let n_panels = n.div_ceil(COLUMNS);
        let size = n_panels * COLUMNS * k;
        let make = || -> Done<Arc<Block>> {
            let block = self.fresh(n_stack * size * 4)?;
            let (sizes, steps) = (int3(stack), int3(b.stack));
            let args = [
                from.arg(),
                number(b.tensor.offset()),
                number(b.steps[0]),
                number(b.steps[1]),
                number(k),
                number(n),
                Arg::Bytes(&sizes),
                Arg::Bytes(&steps),
                block.arg(),
            ];
            self.launch("product8", "pack", || tile_source(ROWS), &args, [n_panels, n_stack, 1], None)?;
            Ok(block)
        };
        let block = match alone {
            true => from.packed([b.tensor.offset(), b.steps[0], b.steps[1], k, n, 1, 0], make)?,
            false => make()?,
        };
        Ok(Panels { block, step: if alone { 0 } else { size } })
    }

    /// The left factor with [`ROWS`] rows side by side; a constant's once, a stack that all is the same once.
    fn pack_left(self: &Arc<Self>, tiles: &Tiles<'_>) -> Tried<PackedLeft> {
        let [m, k, _] = tiles.sizes;
        let n_tiles = m.div_ceil(ROWS);
        let size = n_tiles * ROWS * k;
        // Axes along which the factor stands still are packed once.
        let moves = [0, 1, 2].map(|i| tiles.stack_steps[i] != 0 && tiles.stack[i] > 1);
        let stack = [0, 1, 2].map(|i| if moves[i] { tiles.stack[i] } else { 1 });
        let n_stack: usize = stack.iter().product();
        let make = || -> Done<Arc<Block>> {
            let block = self.fresh(n_stack * size * 4)?;
            let (sizes, steps) = (int3(stack), int3(tiles.stack_steps));
            let args = [
                tiles.a.arg(),
                number(tiles.at),
                number(tiles.steps[0]),
                number(tiles.steps[1]),
                number(m),
                number(k),
                Arg::Bytes(&sizes),
                Arg::Bytes(&steps),
                block.arg(),
            ];
            self.launch("product8", "pack_left", || tile_source(ROWS), &args, [n_tiles, n_stack, 1], None)?;
            Ok(block)
        };
        let key = [tiles.at, tiles.steps[0], tiles.steps[1], m, k, n_stack, 1];
        let block = tiles.a.packed(key, make)?;
        let z = size;
        let y = z * stack[2];
        let x = y * stack[1];
        let steps = [x, y, z];
        Ok(PackedLeft { block, stack_steps: [0, 1, 2].map(|i| if moves[i] { steps[i] } else { 0 }) })
    }

    pub(crate) fn tiles(
        self: &Arc<Self>,
        tiles: &Tiles<'_>,
        panels: &Panels,
        finish: Finish<'_>,
        out: &Block,
    ) -> Tried<()> {
        let [m, k, n] = tiles.sizes;
        let rows = if m <= SINGLE_ROWS { 1 } else { ROWS };
        let bias = finish.bias.map(|t| self.of(t)).transpose()?;
        let added = finish.added.map(|t| self.of(t)).transpose()?;
        let (which, slope) = activation(finish.activation);
        let packed =
            (rows == ROWS && n.div_ceil(COLUMNS) >= PACK_LEFT_FROM).then(|| self.pack_left(tiles)).transpose()?;
        let (stack, steps) = (int3(tiles.stack), int3(packed.as_ref().map_or(tiles.stack_steps, |p| p.stack_steps)));
        let (a, at, steps_a) = match &packed {
            Some(packed) => (packed.block.arg(), 0, [k, 1, ROWS]),
            None => (tiles.a.arg(), tiles.at, [tiles.steps[0], tiles.steps[0], tiles.steps[1]]),
        };
        let bias_at = finish.bias.map_or(0, Tensor::offset);
        let added_at = finish.added.map_or(0, Tensor::offset);
        let args = [
            a,
            number(at),
            number(steps_a[0]),
            number(steps_a[1]),
            number(steps_a[2]),
            panels.block.arg(),
            number(m),
            number(k),
            number(n),
            number(panels.step),
            Arg::Bytes(&stack),
            Arg::Bytes(&steps),
            number(tiles.groups),
            number(tiles.first),
            bias.as_ref().map_or(Arg::Nothing, |b| b.arg()),
            number(bias_at),
            Arg::Int(tiles.bias_kind),
            added.as_ref().map_or(Arg::Nothing, |b| b.arg()),
            number(added_at),
            Arg::Int(which),
            Arg::Float(slope),
            out.arg(),
        ];
        let global = [m.div_ceil(rows), n.div_ceil(COLUMNS), tiles.stack.iter().product()];
        let key = if rows == 1 { "product1" } else { "product8" };
        Ok(self.launch(key, "tile", || tile_source(rows), &args, global, None)?)
    }
}
