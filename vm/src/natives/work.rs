//! What a call of a native takes from its task's budget beside the one that a call costs: natives that look at or make very much
//! at once would otherwise hold their worker for as long as ten thousand calls of them take.
//!
//! It follows from the sizes of the arguments and from what was allocated alone, so a schedule under a seed stays the same on any
//! machine. A reduction is some fifteen nanoseconds of the interpreter; the numbers below are what the natives do in that time,
//! roughly.

use super::NativeCx;
use crate::value::ValueRef;
use stark_bytecode::TypeDesc;
use stark_kernels::Tensor;

/// Bytes of new objects for one reduction.
const MADE: usize = 128;
/// Bytes of text that are searched or compared for one,
const SEARCHED: usize = 256;
/// and that are parsed.
const PARSED: usize = 4;
/// Items of a collection that are looked at.
const LOOKED_AT: usize = 8;
/// Items that are moved by a place.
const MOVED: usize = 256;
/// Numbers of a tensor that are computed with one by one,
const COMPUTED: usize = 32;
/// and products that are added up.
const MULTIPLIED: usize = 512;

/// From here on it is long: as a turn.
const LONG: usize = 10_000;
/// No call costs more: a turn ends after it in any case.
const MOST: usize = 1 << 24;

/// Which of its arguments a native works through, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// None, or so little that the call is the more of it. What it makes counts anyway.
    Little,
    /// All of them, once.
    Scan,
    /// All of them, byte by byte.
    Parse,
    /// The first, as sorting does.
    Sort,
    /// Of the first what is behind the place that the second names.
    Behind,
    /// The first two are multiplied.
    Multiply,
    /// The first is multiplied with the second everywhere.
    Convolve,
    /// A model runs: each of its parameters is multiplied with something for each row at least. With loops it may take long.
    Model,
}

impl Work {
    pub fn of(native: &str) -> Work {
        match native {
            "value_equal" | "value_compare" | "value_hash" | "vec_contains" | "vec_reverse" | "map_from_items"
            | "set_from_vec" | "str_contains" | "str_find" | "str_rfind" | "str_count" | "str_equal"
            | "str_is_digit" | "str_is_alpha" | "str_is_alnum" | "str_is_space" | "str_is_upper" | "str_is_lower"
            | "str_replace" | "str_split" | "bytes_contains" | "bytes_decode" | "image_resize" => Work::Scan,
            "json_decode"
            | "csv_rows"
            | "regex_is_match"
            | "regex_captures"
            | "regex_replace"
            | "image_decode"
            | "tokenize"
            | "tokenizer_encode"
            | "tokenizer_encode_batch"
            | "tokenizer_decode_vec" => Work::Parse,
            "vec_sort" => Work::Sort,
            "vec_insert" | "vec_remove" => Work::Behind,
            "tensor_matmul" | "tensor_outer" => Work::Multiply,
            "tensor_conv1d" | "tensor_conv2d" => Work::Convolve,
            "model_predict" | "model_predict_named" => Work::Model,
            "tensor_shape" | "tensor_rank" | "tensor_numel" | "tensor_dtype" | "tensor_len" | "tensor_device"
            | "tensor_item" | "tensor_at" | "tensor_reshape" | "tensor_permute" | "tensor_t" | "tensor_transpose"
            | "tensor_squeeze_all" | "tensor_squeeze" | "tensor_unsqueeze" | "tensor_expand" | "tensor_flatten"
            | "tensor_split" | "tensor_chunk" | "tensor_index" | "tensor_index_set" | "tensor_index_fill"
            | "tensor_row" | "tensor_rows" | "tensor_check" | "tensor_sizes" => Work::Little,
            name if name.starts_with("tensor_") => Work::Scan,
            _ => Work::Little,
        }
    }

    /// Reductions for what it is about to do with these arguments. Before what takes longer than a turn the others get what waits for
    /// this worker.
    #[cold]
    #[inline(never)]
    pub fn begin(self, cx: &NativeCx<'_>) -> usize {
        let cost = self.cost(cx);
        if cost >= LONG
            && let Some(scheduler) = cx.task.program().scheduler()
        {
            scheduler.hand_over();
        }
        cost
    }

    fn cost(self, cx: &NativeCx<'_>) -> usize {
        let args = || (0..cx.n_args()).map(|i| cx.arg(i));
        match self {
            Work::Little => 0,
            Work::Scan => args().map(scanned).sum(),
            Work::Parse => args().map(parsed).sum(),
            Work::Sort => {
                let n = items(cx.arg(0));
                n.saturating_mul(n.max(1).ilog2() as usize) / LOOKED_AT
            }
            Work::Behind => items(cx.arg(0)).saturating_sub(usize::try_from(cx.int(1)).unwrap_or(0)) / MOVED,
            Work::Multiply => products(cx.arg(0), cx.arg(1)) / MULTIPLIED,
            Work::Convolve => convolved(cx.arg(0), cx.arg(1)) / MULTIPLIED,
            Work::Model => {
                let first = super::model_values::first_tensor(cx.arg(1));
                let rows = first.and_then(|input| input.shape().first().copied()).unwrap_or(1);
                let model = super::model::model(cx);
                let least = if model.has_loops() { LONG } else { 0 };
                least.max(model.n_parameters().saturating_mul(rows) / MULTIPLIED)
            }
        }
    }
}

/// Reductions for `work` of a native and for having made so many bytes of objects.
#[inline(always)]
pub(crate) fn spent(work: usize, made: usize) -> i64 {
    (work.saturating_add(made / MADE)).min(MOST) as i64
}

fn tensor<'a>(value: ValueRef<'a>) -> Option<&'a Tensor> {
    let is_one = matches!(value.info().desc, TypeDesc::Tensor { .. }) && !value.is_hole();
    is_one.then(|| value.opaque::<Tensor>())
}

/// Of a collection or tensor.
fn items(value: ValueRef<'_>) -> usize {
    match value.info().desc {
        _ if value.is_hole() => 0,
        TypeDesc::Vec(_) => value.vec().len(),
        TypeDesc::Map(..) | TypeDesc::Set(_) => value.map().len(),
        TypeDesc::Tensor { .. } => tensor(value).map_or(0, Tensor::numel),
        _ => 0,
    }
}

fn text(value: ValueRef<'_>) -> usize {
    match value.info().desc {
        _ if value.is_hole() => 0,
        TypeDesc::Str => value.str().len(),
        TypeDesc::Bytes => value.bytes().len(),
        _ => 0,
    }
}

fn scanned(value: ValueRef<'_>) -> usize {
    match tensor(value) {
        Some(tensor) => tensor.numel() / COMPUTED,
        None => text(value) / SEARCHED + items(value) / LOOKED_AT,
    }
}

fn parsed(value: ValueRef<'_>) -> usize {
    text(value) / PARSED + items(value)
}

/// Of a product of vectors or matrices.
fn products(a: ValueRef<'_>, b: ValueRef<'_>) -> usize {
    let (Some(a), Some(b)) = (tensor(a), tensor(b)) else { return 0 };
    match b.shape() {
        [.., n] if b.rank() > 1 || a.rank() == 1 => a.numel().saturating_mul(*n),
        _ => a.numel(),
    }
}

/// Of a convolution whose result is as large as what it is of.
fn convolved(x: ValueRef<'_>, weight: ValueRef<'_>) -> usize {
    let (Some(x), Some(weight)) = (tensor(x), tensor(weight)) else { return 0 };
    let n_in = weight.shape().get(1).copied().unwrap_or(1).max(1);
    x.numel().saturating_mul(weight.numel() / n_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_of_a_native() {
        let names: Vec<&str> = crate::natives::all().map(|row| row.name).collect();
        let source = include_str!("work.rs");
        let body = &source[source.find("match native").unwrap()..source.find("name if name.starts_with").unwrap()];
        let named: Vec<&str> = body.split('"').skip(1).step_by(2).collect();
        assert!(named.len() > 40);
        for name in named {
            assert!(names.contains(&name), "{name} is no native");
        }
    }

    #[test]
    fn what_a_call_costs_has_a_bound() {
        assert_eq!(spent(0, 100), 0);
        assert_eq!(spent(3, 1280), 13);
        assert_eq!(spent(usize::MAX, usize::MAX), MOST as i64);
    }
}
