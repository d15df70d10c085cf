//! Elements moved and not looked into: picking along an axis, joining.

use std::sync::Arc;

use stark_kernels::{DType, Tensor, TensorError};

use crate::engine::{Family, OpenCl, int};
use crate::map::word;
use crate::product::number;

type Tried<T> = Result<T, TensorError>;

/// Words a work item moves.
const CHUNK: usize = 4096;

fn source(w: &'static str) -> impl FnOnce() -> (String, String) {
    move || (format!("#define W {w}\n{}", include_str!("cl/moves.cl")), String::new())
}

impl OpenCl {
    fn chunk(&self) -> usize {
        if self.family == Family::Tile { CHUNK } else { 1 }
    }

    /// `x` is row-major.
    pub(crate) fn take(
        self: &Arc<Self>,
        x: &Tensor,
        axis: usize,
        places: &[usize],
        shape: &[usize],
    ) -> Tried<Option<Tensor>> {
        let places: Option<Vec<i32>> = places.iter().map(|&place| int(place)).collect();
        let (Some(places), Some(_)) = (places, int(x.storage_bytes())) else { return Ok(None) };
        let inner: usize = x.shape()[axis + 1..].iter().product();
        let outer: usize = x.shape()[..axis].iter().product();
        if !self.fits([1, places.len(), outer]) {
            return Ok(None);
        }
        let Some((out, block)) = self.make(shape, x.dtype())? else { return Ok(None) };
        if out.numel() == 0 {
            return Ok(Some(out));
        }
        let size = x.shape()[axis];
        let (from, chosen) = (self.of(x)?, self.numbers(&places)?);
        let chunk = self.chunk();
        let args =
            [from.arg(), number(x.offset()), number(size), number(inner), number(chunk), chosen.arg(), block.arg()];
        let w = word(x.dtype());
        let global = [inner.div_ceil(chunk), places.len(), outer];
        self.launch(&format!("moves {w}"), "take", source(w), &args, global, None)?;
        Ok(Some(out))
    }

    pub(crate) fn cat(
        self: &Arc<Self>,
        parts: &[Tensor],
        axis: usize,
        shape: &[usize],
        dtype: DType,
    ) -> Tried<Option<Tensor>> {
        if parts.iter().any(|t| int(t.storage_bytes()).is_none()) {
            return Ok(None);
        }
        let pitch: usize = shape[axis..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        if !self.fits([1, outer, 1]) {
            return Ok(None);
        }
        let Some((out, block)) = self.make(shape, dtype)? else { return Ok(None) };
        let w = word(dtype);
        let chunk = self.chunk();
        let mut shift = 0;
        for part in parts {
            let part = part.contiguous()?;
            let inner: usize = part.shape()[axis..].iter().product();
            if inner > 0 && outer > 0 {
                let from = self.of(&part)?;
                let args = [
                    from.arg(),
                    number(part.offset()),
                    number(inner),
                    number(chunk),
                    number(pitch),
                    number(shift),
                    block.arg(),
                ];
                let global = [inner.div_ceil(chunk), outer, 1];
                self.launch(&format!("moves {w}"), "lay", source(w), &args, global, None)?;
            }
            shift += inner;
        }
        Ok(Some(out))
    }
}
