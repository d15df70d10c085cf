//! Work on runs of elements: softmax, normalisations, reductions.

use std::sync::Arc;

use stark_kernels::{DType, Tensor, TensorError};

use crate::driver::Arg;
use crate::engine::{Family, OpenCl, int};
use crate::product::number;

type Tried<T> = Result<T, TensorError>;

/// The shortest run that a group of items goes through together; an item does shorter ones alone.
const SHARED_FROM: usize = 32;
/// From so many numbers on a run has a large group.
const LARGE_FROM: usize = 1024;

const REDUCTIONS: [&str; 13] =
    ["sum", "mean", "prod", "var", "std", "norm2", "amax", "amin", "argmax", "argmin", "logsumexp", "any", "all"];

impl OpenCl {
    /// The type of the elements, the type of sums, and the program over both.
    fn rows_program(&self, dtype: DType) -> Option<(&'static str, bool)> {
        match dtype {
            DType::F32 => Some(("float", self.info().has_f64)),
            DType::F64 if self.info().has_f64 => Some(("double", true)),
            _ => None,
        }
    }

    fn rows_source(&self, t: &str, items: Option<usize>) -> (String, String) {
        let exp = if t == "float" {
            "#define EXP f_exp\n#define EXP16 v_exp\n"
        } else {
            "#define EXP exp\n#define EXP16 exp\n"
        };
        let define = format!("#define T {t}\n#define A {}\n{exp}", self.sums());
        match items {
            None => ([include_str!("cl/math.cl"), &define, include_str!("cl/rows.cl")].concat(), String::new()),
            Some(items) => {
                let define = format!("{define}#define ITEMS {items}\n");
                ([include_str!("cl/math.cl"), &define, include_str!("cl/rows_local.cl")].concat(), String::new())
            }
        }
    }

    /// Queues `kernel` for `runs` runs of `n` numbers of type `t`.
    fn launch_rows(&self, t: &str, kernel: &str, args: &[Arg<'_>], n: usize, runs: usize) -> crate::Result<()> {
        let items = match self.family {
            Family::Local if n >= LARGE_FROM => Some(256),
            Family::Local if n >= SHARED_FROM => Some(64),
            _ => None,
        };
        let key = format!("rows {t} {items:?}");
        let (global, local) = ([runs * items.unwrap_or(1), 1, 1], items.map(|items| [items, 1, 1]));
        self.launch(&key, kernel, || self.rows_source(t, items), args, global, local)
    }

    fn sum_arg(&self, x: f64) -> Arg<'static> {
        if self.info().has_f64 { Arg::Double(x) } else { Arg::Float(x as f32) }
    }

    pub(crate) fn rows(
        self: &Arc<Self>,
        name: &str,
        x: &Tensor,
        n: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Tried<Option<Tensor>> {
        let Some((t, _)) = self.rows_program(x.dtype()) else { return Ok(None) };
        // A kernel starts at the first number of a block.
        let whole = |t: &Tensor| if t.offset() == 0 { Ok(t.clone()) } else { t.copied() };
        if int(x.storage_bytes()).is_none() {
            return Ok(None);
        }
        let Some((out, block)) = self.make(x.shape(), x.dtype())? else { return Ok(None) };
        if out.numel() == 0 {
            return Ok(Some(out));
        }
        let x = whole(x)?;
        let (weight, bias) = (weight.map(whole).transpose()?, bias.map(whole).transpose()?);
        let from = self.of(&x)?;
        let weight = weight.as_ref().map(|w| self.of(w)).transpose()?;
        let bias = bias.as_ref().map(|b| self.of(b)).transpose()?;
        let mut args = vec![from.arg(), block.arg(), number(n)];
        let kernel = match name {
            "softmax" => "softmax",
            "log_softmax" => "log_softmax",
            "layer_norm" | "rms_norm" => {
                args.extend([Arg::Int((name == "layer_norm").into()), self.sum_arg(eps)]);
                for parameter in [&weight, &bias] {
                    args.push(parameter.as_ref().map_or(Arg::Nothing, |p| p.arg()));
                }
                "norm"
            }
            _ => return Ok(None),
        };
        self.launch_rows(t, kernel, &args, n, out.numel() / n)?;
        Ok(Some(out))
    }

    pub(crate) fn reduce(
        self: &Arc<Self>,
        name: &str,
        x: &Tensor,
        n: usize,
        params: &[f64],
        shape: &[usize],
        dtype: DType,
    ) -> Tried<Option<Tensor>> {
        if !REDUCTIONS.contains(&name) || int(x.storage_bytes()).is_none() {
            return Ok(None);
        }
        let is_bits = x.dtype() == DType::Bool && matches!(name, "any" | "all");
        let program = self.rows_program(x.dtype());
        if program.is_none() && !is_bits {
            return Ok(None);
        }
        let Some((out, block)) = self.make(shape, dtype)? else { return Ok(None) };
        let x = if x.offset() == 0 { x.clone() } else { x.copied()? };
        let from = self.of(&x)?;
        let param = params.first().copied().unwrap_or(0.0);
        let mut args = vec![from.arg(), block.arg(), number(n)];
        let kernel = format!("reduce_{name}");
        match program {
            Some((t, _)) => {
                args.push(self.sum_arg(param));
                self.launch_rows(t, &kernel, &args, n, out.numel())?;
            }
            None => {
                args.push(Arg::Float(param as f32));
                let source = || (include_str!("cl/bits.cl").to_string(), String::new());
                self.launch("bits", &kernel, source, &args, [out.numel(), 1, 1], None)?;
            }
        }
        Ok(Some(out))
    }
}
