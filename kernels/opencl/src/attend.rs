//! Attention without a matrix of scores.

use std::sync::Arc;

use stark_kernels::accelerator::Attend;
use stark_kernels::{DType, Tensor, TensorError};

use crate::driver::Arg;
use crate::engine::{Family, OpenCl, int};
use crate::map::merge;
use crate::product::{int3, int4, number, three};

/// Queries of a group, and items of a query.
const QUERIES: usize = 16;
const LANES: usize = 16;
/// The widest rows that a group keeps in registers and local memory.
const MAX_WIDTH: usize = 128;
/// Keys in local memory at a time, for rows up to half of that width; half as many for wider ones.
const KEYS: usize = 32;
/// What a row of local memory has more; that of the kernel.
const PAD: usize = 4;

/// Keys in local memory at a time, and the bytes of local memory that a group takes, for rows of keys and values so wide.
fn plan(width: usize, wide: usize) -> (usize, usize) {
    let keys = if width.max(wide) <= MAX_WIDTH / 2 { KEYS } else { KEYS / 2 };
    let rows = (QUERIES + keys) * (width + PAD) + keys * (wide + PAD);
    (keys, (rows + QUERIES * LANES * (LANES + 3)) * 4)
}

impl OpenCl {
    pub(crate) fn attend(self: &Arc<Self>, attend: &Attend<'_>) -> Result<Option<Tensor>, TensorError> {
        let Attend { q, k, v, mask, scale, causal, unseen, shape } = *attend;
        let rank = shape.len();
        let (lead, l, w) = (&shape[..rank - 2], shape[rank - 2], shape[rank - 1]);
        let (s, e) = (k.shape()[k.rank() - 2], k.shape()[k.rank() - 1]);
        let fits = [q, k, v].iter().all(|t| t.dtype() == DType::F32 && int(t.storage_bytes()).is_some())
            && mask.is_none_or(|t| matches!(t.dtype(), DType::F32 | DType::Bool) && int(t.storage_bytes()).is_some());
        let (width, wide) = (e.next_multiple_of(4), w.next_multiple_of(LANES));
        let (keys, local_bytes) = plan(width, wide);
        let fits = fits && e.max(w) <= MAX_WIDTH && local_bytes as u64 <= self.info().local_bytes;
        if self.family != Family::Local || !fits || s == 0 || e == 0 {
            return Ok(None);
        }
        // Each operand with all stacked axes, and those that lie together in all merged.
        let expand = |t: &Tensor, rows: usize, columns: usize| {
            t.expand(&lead.iter().copied().chain([rows, columns]).collect::<Vec<_>>())
        };
        let mut operands = vec![expand(q, l, e)?, expand(k, s, e)?, expand(v, s, w)?];
        operands.extend(mask.map(|mask| expand(mask, l, s)).transpose()?);
        let leads: Vec<Vec<usize>> = operands.iter().map(|t| t.strides()[..rank - 2].to_vec()).collect();
        let (sizes, steps) = merge(lead, &leads);
        let n_matrices: usize = sizes.iter().product();
        let Some(stack) = three(&sizes, 1).filter(|_| self.fits([1, n_matrices, 1])) else { return Ok(None) };
        let Some((out, block)) = self.make(shape, DType::F32)? else { return Ok(None) };
        if out.numel() == 0 {
            return Ok(Some(out));
        }
        let mut blocks = Vec::new();
        let mut walks = Vec::new();
        for (operand, steps) in operands.iter().zip(&steps) {
            blocks.push(self.of(operand)?);
            let [x, y, z] = three(steps, 0).unwrap_or_default();
            walks.push(int4([x, y, z, operand.strides()[rank - 2]]));
        }
        let stack = int3(stack);
        let mut args = Vec::new();
        for ((operand, block), walk) in operands.iter().zip(&blocks).zip(&walks) {
            args.extend([block.arg(), number(operand.offset()), Arg::Bytes(walk), number(operand.strides()[rank - 1])]);
        }
        let nothing = int4([0; 4]);
        if mask.is_none() {
            args.extend([Arg::Nothing, number(0), Arg::Bytes(&nothing), number(0)]);
        }
        args.extend([l, s, e, w].map(number));
        args.extend([Arg::Bytes(&stack), Arg::Float(scale), Arg::Int(causal.into()), Arg::Float(unseen), block.arg()]);
        let kind = match mask.map(Tensor::dtype) {
            None => 0,
            Some(DType::Bool) => 1,
            Some(_) => 2,
        };
        let source = || {
            let define = format!(
                "#define WIDTH {width}\n#define WIDE {wide}\n#define KEYS {keys}\n#define QUERIES {QUERIES}\n\
                 #define LANES {LANES}\n#define MASK {kind}\n"
            );
            ([include_str!("cl/math.cl"), &define, include_str!("cl/attend.cl")].concat(), String::new())
        };
        let global = [l.div_ceil(QUERIES) * QUERIES * LANES, n_matrices, 1];
        let local = Some([QUERIES * LANES, 1, 1]);
        self.launch(&format!("attend {width} {wide} {kind}"), "attend", source, &args, global, local)?;
        Ok(Some(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_memory_of_most_devices_is_enough() {
        for width in (4..=MAX_WIDTH).step_by(4) {
            assert!(plan(width, width.next_multiple_of(LANES)).1 <= 48 << 10, "{width}");
        }
        assert!(QUERIES * LANES <= crate::engine::GROUP_ITEMS);
    }
}
