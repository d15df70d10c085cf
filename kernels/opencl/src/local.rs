//! Products for devices with local memory: tiles of `cl/product_local.cl`, for matrices and for convolutions.

use std::sync::Arc;

use stark_kernels::accelerator::Finish;
use stark_kernels::{DType, Tensor, TensorError};

use crate::driver::Arg;
use crate::engine::{Block, OpenCl};
use crate::product::{activation, int3, number};

/// Numbers of the depth that a group has in local memory at a time.
const DEPTH: usize = 16;
/// What a row of local memory has more; that of the kernel.
const PAD: usize = 4;
/// A slice of the depth is at least so many steps: fewer are not worth the sum over slices.
const MIN_STEPS: usize = 4;
/// Groups that a compute unit has work from at a time.
const GROUPS_PER_UNIT: usize = 2;

/// How many sums a group and an item have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    rows: usize,
    columns: usize,
    item_rows: usize,
    item_columns: usize,
}

impl Tile {
    /// Most work for each number that is fetched; few groups.
    const LARGE: Tile = Tile { rows: 128, columns: 128, item_rows: 8, item_columns: 8 };
    const TALL: Tile = Tile { rows: 128, columns: 64, item_rows: 8, item_columns: 4 };
    /// For `double`, of which fewer fit, and for few rows: most of a taller tile would be repeats of the last one.
    const MIDDLE: Tile = Tile { rows: 64, columns: 64, item_rows: 4, item_columns: 4 };
    const FLAT: Tile = Tile { rows: 32, columns: 64, item_rows: 4, item_columns: 4 };

    fn items(&self) -> usize {
        self.rows / self.item_rows * (self.columns / self.item_columns)
    }

    fn groups(&self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows) * n.div_ceil(self.columns)
    }

    /// Local memory of a group: two steps of both factors.
    fn local_bytes(&self, size: usize) -> usize {
        2 * DEPTH * (self.rows + PAD + self.columns + PAD) * size
    }

    /// The largest that keeps all compute units busy; none where local memory is too small for all.
    fn of([m, n, n_matrices]: [usize; 3], is_f64: bool, units: usize, local_bytes: usize) -> Option<Tile> {
        let suits = |tile: &Tile| match *tile {
            Tile::LARGE => !is_f64 && Tile::LARGE.groups(m, n) * n_matrices * 2 >= units * 3,
            Tile::TALL => !is_f64 && m > Tile::MIDDLE.rows,
            Tile::MIDDLE => m > Tile::FLAT.rows,
            _ => true,
        };
        let fits = |tile: &Tile| tile.local_bytes(if is_f64 { 8 } else { 4 }) <= local_bytes;
        let tiles = [Tile::LARGE, Tile::TALL, Tile::MIDDLE, Tile::FLAT];
        tiles.into_iter().find(|tile| suits(tile) && fits(tile))
    }
}

/// Parts of the depth, and the numbers in each but perhaps the last, so that there are `wanted` groups.
fn slices(k: usize, groups: usize, wanted: usize) -> (usize, usize) {
    let most = k / (DEPTH * MIN_STEPS);
    let n = (wanted / groups.max(1)).min(most).max(1);
    let depth = k.div_ceil(n).max(1).next_multiple_of(DEPTH);
    (k.div_ceil(depth).max(1), depth)
}

/// The right factor.
pub(crate) enum Right<'a> {
    Matrix {
        block: &'a Block,
        at: usize,
        steps: [usize; 2],
    },
    /// Windows of images: the image's numbers, its rows and columns, then strides, paddings and dilations, columns of the
    /// result, and the window.
    Windows {
        block: &'a Block,
        image: [usize; 3],
        slides: [usize; 6],
        out_w: usize,
        window: [usize; 2],
    },
}

/// A stack of products.
pub(crate) struct Products<'a> {
    pub dtype: DType,
    pub left: &'a Block,
    pub left_at: usize,
    pub left_steps: [usize; 2],
    pub right: Right<'a>,
    /// Rows, depth and columns.
    pub sizes: [usize; 3],
    pub stack: [usize; 3],
    pub left_stack: [usize; 3],
    pub right_stack: [usize; 3],
    /// Columns of an image, and the rows of all matrices that one image has; all columns and anything for plain products.
    pub places: usize,
    pub rows_in_image: usize,
    /// 1: one number a column, 2: one a row.
    pub bias_kind: i32,
}

impl OpenCl {
    /// `false`: there are more matrices than one launch takes, or less local memory than any tile does.
    pub(crate) fn products(
        self: &Arc<Self>,
        products: &Products<'_>,
        finish: Finish<'_>,
        out: &Block,
    ) -> Result<bool, TensorError> {
        let [m, k, n] = products.sizes;
        let is_f64 = products.dtype == DType::F64;
        let n_matrices: usize = products.stack.iter().product();
        let units = self.info().compute_units.max(1) as usize;
        let local_bytes = self.info().local_bytes as usize;
        let Some(tile) = Tile::of([m, n, n_matrices], is_f64, units, local_bytes) else { return Ok(false) };
        let (n_slices, depth) = slices(k, tile.groups(m, n) * n_matrices, units * GROUPS_PER_UNIT);
        // The sum over slices has an item for each row.
        let rows = if n_slices > 1 { m } else { m.div_ceil(tile.rows) };
        if !self.fits([1, rows, n_matrices * n_slices]) {
            return Ok(false);
        }
        let bias = finish.bias.map(|t| self.of(t)).transpose()?;
        let added = finish.added.map(|t| self.of(t)).transpose()?;
        let (which, slope) = activation(finish.activation);
        let finish_args = [
            number(products.places),
            number(products.rows_in_image),
            bias.as_ref().map_or(Arg::Nothing, |b| b.arg()),
            number(finish.bias.map_or(0, Tensor::offset)),
            Arg::Int(if bias.is_some() { products.bias_kind } else { 0 }),
            added.as_ref().map_or(Arg::Nothing, |b| b.arg()),
            number(finish.added.map_or(0, Tensor::offset)),
            Arg::Int(which),
            Arg::Float(slope),
            out.arg(),
        ];
        let partial = match n_slices {
            1 => None,
            _ => Some(self.fresh(n_matrices * n_slices * m * n * products.dtype.size())?),
        };
        let mut args = vec![
            products.left.arg(),
            number(products.left_at),
            number(products.left_steps[0]),
            number(products.left_steps[1]),
        ];
        let (right_is_deep, window) = match &products.right {
            Right::Matrix { block, at, steps } => {
                args.extend([block.arg(), number(*at), number(steps[0]), number(steps[1])]);
                (steps[0] == 1 && steps[1] != 1, None)
            }
            Right::Windows { block, image, slides, out_w, window } => {
                args.extend([block.arg(), number(0)]);
                args.extend(image.iter().chain(slides).chain([out_w]).map(|&n| number(n)));
                (false, Some(*window))
            }
        };
        let numbers = [products.stack, products.left_stack, products.right_stack].map(int3);
        args.extend([m, k, n].map(number));
        args.extend(numbers.iter().map(|bytes| Arg::Bytes(bytes)));
        args.extend([number(n_slices), number(depth), partial.as_ref().map_or(Arg::Nothing, |b| b.arg())]);
        args.extend(finish_args.iter().map(Arg::again));

        let left_is_flat = products.left_steps[0] == 1 && products.left_steps[1] != 1;
        let form = Form { is_f64, tile, left_is_flat, right_is_deep, window };
        let global = [n.div_ceil(tile.columns) * tile.items(), m.div_ceil(tile.rows), n_matrices * n_slices];
        let local = Some([tile.items(), 1, 1]);
        let key = form.key();
        self.launch(&key, "tile", || form.source(), &args, global, local)?;
        if let Some(partial) = partial {
            let mut args = vec![partial.arg(), number(n_slices), number(m), number(n)];
            args.extend(finish_args);
            self.launch(
                &key,
                "total",
                || form.source(),
                &args,
                [n.next_multiple_of(64), m, n_matrices],
                Some([64, 1, 1]),
            )?;
        }
        Ok(true)
    }
}

/// What a program of tiles depends on.
struct Form {
    is_f64: bool,
    tile: Tile,
    left_is_flat: bool,
    right_is_deep: bool,
    window: Option<[usize; 2]>,
}

impl Form {
    fn key(&self) -> String {
        let Tile { rows, columns, .. } = self.tile;
        let flags = [self.is_f64, self.left_is_flat, self.right_is_deep].map(u8::from);
        let [h, w] = self.window.unwrap_or_default();
        format!("tile {rows} {columns} {flags:?} {h} {w}")
    }

    fn source(&self) -> (String, String) {
        let (t, activate) = match self.is_f64 {
            true => ("double", "(which ? (double)f_activate((float)(x), which, slope) : (x))"),
            false => ("float", "f_activate(x, which, slope)"),
        };
        let Tile { rows, columns, item_rows, item_columns } = self.tile;
        let (flat, deep) = (i32::from(self.left_is_flat), i32::from(self.right_is_deep));
        let window = self.window.map_or(String::new(), |[h, w]| format!("#define KH {h}\n#define KW {w}\n"));
        let define = format!(
            "#define T {t}\n#define T4 {t}4\n#define BM {rows}\n#define BN {columns}\n#define BK {DEPTH}\n\
             #define TM {item_rows}\n#define TN {item_columns}\n#define LEFT_FLAT {flat}\n#define RIGHT_DEEP {deep}\n\
             {window}#define ACTIVATE(x, which, slope) {activate}\n"
        );
        ([include_str!("cl/math.cl"), &define, include_str!("cl/product_local.cl")].concat(), String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::GROUP_ITEMS;

    #[test]
    fn every_device_has_a_tile_that_fits() {
        for (m, n) in [(1, 1), (33, 500), (65, 20), (4096, 4096)] {
            for is_f64 in [false, true] {
                // What OpenCL promises at least, and what most have.
                for local_bytes in [32 << 10, 48 << 10] {
                    let tile = Tile::of([m, n, 1], is_f64, 100, local_bytes).expect("a tile");
                    assert!(tile.local_bytes(if is_f64 { 8 } else { 4 }) <= local_bytes);
                    assert!(tile.items() <= GROUP_ITEMS);
                }
            }
        }
        assert_eq!(Tile::of([4096, 4096, 1], false, 100, 48 << 10), Some(Tile::LARGE));
        assert_eq!(Tile::of([4096, 4096, 1], false, 100, 32 << 10), Some(Tile::TALL));
        assert_eq!(Tile::of([1, 1, 1], false, 100, 1 << 10), None);
    }

    #[test]
    fn slices_cover_the_depth_once() {
        for k in 0..700 {
            for groups in [1, 5, 60, 1000] {
                let (n, depth) = slices(k, groups, 264);
                assert!(n >= 1 && depth % DEPTH == 0 && n * depth >= k && (n - 1) * depth < k.max(1), "{k}, {groups}");
                assert!(n == 1 || depth >= DEPTH * MIN_STEPS && n * groups <= 264, "{k}, {groups}");
            }
        }
    }
}
