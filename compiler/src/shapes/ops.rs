//! The shapes that the library's natives make of the shapes they are given. The rules themselves are `stark_shapes::rules`.

use super::value::{Dims, Val};
use crate::hir::Lang;
use stark_shapes::rules::{self, Size};
use stark_shapes::{Conv, Dim as _, Pool, ShapeError, Symbolic};

type Answer = Result<Val, ShapeError>;

/// The arguments of an operation.
struct Args<'v> {
    vals: &'v [Val],
    lang: &'v Lang,
}

/// The result of a native, or of a function of the library that goes by its own name; `None` where only its signature speaks.
pub fn apply(name: &str, vals: &[Val], lang: &Lang) -> Option<Answer> {
    let args = Args { vals, lang };
    let op = name.strip_prefix("tensor_int_").or(name.strip_prefix("tensor_")).unwrap_or(name);
    Some(match op {
        "zeros" | "ones" | "full" | "rand" | "randn" => args.made(0),
        "randint" => args.made(2),
        "from_vec" => args.made(1),
        "eye" => Ok(Val::tensor(vec![args.size(0), args.size(0)])),
        "linspace" => Ok(Val::tensor(vec![args.size(2)])),
        "arange" => args.arange(),
        "tokenize" | "tokenizer_encode" => Ok(Val::tensor(vec![Symbolic::from_usize(1), Symbolic::Unknown])),
        "tokenizer_encode_batch" => {
            let both = Val::tensor(vec![Symbolic::Unknown, Symbolic::Unknown]);
            Ok(Val::Tuple(vec![both.clone(), both]))
        }
        "shape" => match args.dims(0) {
            Some(dims) => Ok(Val::List(dims.iter().cloned().map(Val::Size).collect())),
            None => return None,
        },
        "rank" => Ok(args.dims(0).map_or(Val::Any, |d| Val::Int(d.len() as i64))),
        "numel" => Ok(args.dims(0).map_or(Val::Any, |d| Val::Size(product(d)))),
        "len" => Ok(args.dims(0).and_then(|d| d.first()).map_or(Val::Any, |d| Val::Size(d.clone()))),
        "vec_len" => match &vals[0] {
            Val::List(items) => Ok(Val::Int(items.len() as i64)),
            _ => Ok(Val::Any),
        },
        "add" | "sub" | "mul" | "div" | "rem" | "pow" | "equal" | "not_equal" | "less" | "less_equal" | "greater"
        | "greater_equal" | "and" | "or" | "xor" | "maximum" | "minimum"
            if name.starts_with("tensor_") =>
        {
            args.two(|a, b| rules::broadcast(a, b).map(|s| s.to_vec()))
        }
        "matmul" => args.two(|a, b| rules::matmul(a, b).map(|s| s.to_vec())),
        "outer" => match (args.dims(0), args.dims(1)) {
            (Some([n]), Some([m])) => Ok(Val::tensor(vec![n.clone(), m.clone()])),
            _ => Ok(Val::tensor(vec![Symbolic::Unknown; 2])),
        },
        "where" => args.two(|a, b| rules::broadcast(a, b).map(|s| s.to_vec())).and_then(|ab| {
            let third = Args { vals: &[ab, vals.get(2).cloned().unwrap_or_default()], lang };
            third.two(|a, b| rules::broadcast(a, b).map(|s| s.to_vec()))
        }),
        "neg" | "not" | "abs" | "relu" | "floor" | "ceil" | "round" | "sign" | "square" | "exp" | "log" | "log2"
        | "log1p" | "expm1" | "sqrt" | "rsqrt" | "reciprocal" | "tanh" | "sigmoid" | "silu" | "erf" | "sin" | "cos"
        | "tan" | "softplus" | "gelu" | "clamp" | "to" | "to_device" | "contiguous" | "tril" | "triu" | "rms_norm"
        | "batch_norm"
            if name.starts_with("tensor_") =>
        {
            Ok(args.same())
        }
        _ if name.starts_with("tensor_") && name.ends_with("_scalar") => Ok(args.same()),
        "cumsum" | "softmax" | "log_softmax" | "flip" if name.starts_with("tensor_") => args.along(1),
        "sort" if name.starts_with("tensor_") => args.along(1).map(|t| Val::Tuple(vec![t.clone(), t])),
        "topk" => args.topk(),
        "layer_norm" if name.starts_with("tensor_") => args.layer_norm(),
        "sum" | "mean" | "prod" | "max" | "min" | "any" | "all" | "argmax" | "argmin" | "var" | "std" | "norm"
            if name.starts_with("tensor_") =>
        {
            Ok(Val::tensor(Vec::new()))
        }
        "sum_axis" | "mean_axis" | "prod_axis" | "max_axis" | "min_axis" | "any_axis" | "all_axis" | "argmax_axis"
        | "argmin_axis" | "var_axis" | "std_axis" | "norm_axis" => args.reduce(args.int(1).map(|a| vec![a]), 1),
        "sum_axes" | "mean_axes" | "prod_axes" | "max_axes" | "min_axes" | "any_axes" | "all_axes" => {
            let n = match vals.get(1) {
                Some(Val::List(items)) => items.len(),
                _ => return Some(Ok(Val::Tensor(None))),
            };
            args.reduce(args.ints(1), n)
        }
        "cat" => args.cat(),
        "stack" => args.stack(),
        "rows" => Ok(Val::Adt(lang.vec, vec![args.dims(0).map_or(Val::Tensor(None), |d| row(d))])),
        "reshape" => args.reshape(),
        "permute" => args.permute(),
        "t" => args.one(|d| match d {
            [] | [_] => Ok(Some(d.to_vec())),
            [rest @ .., a, b] => Ok(Some([rest, &[b.clone(), a.clone()]].concat())),
        }),
        "transpose" => match (args.int(1), args.int(2)) {
            (Some(a), Some(b)) => args.one(|d| Ok(Some(rules::transpose(d, a, b)?.to_vec()))),
            _ => Ok(args.forgotten(0)),
        },
        "squeeze_all" => args.one(|d| {
            let known = d.iter().all(|d| d.known().is_some());
            Ok(known.then(|| d.iter().filter(|d| !d.is(1)).cloned().collect()))
        }),
        "squeeze" => args.squeeze(),
        "unsqueeze" => match args.int(1) {
            Some(at) => args.one(|d| Ok(Some(rules::unsqueeze(d, at)?.to_vec()))),
            None => Ok(args.forgotten(1)),
        },
        "expand" => args.expand(),
        "flatten" if name.starts_with("tensor_") => match (args.int(1), args.int(2)) {
            (Some(start), Some(end)) => args.one(|d| Ok(Some(rules::flatten(d, start, end)?.to_vec()))),
            _ => Ok(Val::Tensor(None)),
        },
        "split" if name.starts_with("tensor_") => args.parts(|n, size| if n % size == 0 { Some(size) } else { None }),
        "chunk" if name.starts_with("tensor_") => args.parts(|n, parts| (n % parts == 0).then(|| n / parts)),
        "gather" if name.starts_with("tensor_") => args.gather(),
        "index_select" => match (args.dims(0), args.int(1), args.dims(2)) {
            (Some(x), Some(at), Some(index)) => rules::index_select(x, at, index).map(|s| Val::tensor(s.to_vec())),
            _ => Ok(args.forgotten(0)),
        },
        "embedding" if name.starts_with("tensor_") => {
            args.two(|table, ids| rules::embedding(table, ids).map(|s| s.to_vec()))
        }
        "one_hot" => args.one(|d| Ok(Some(d.iter().cloned().chain([args.size(1)]).collect()))),
        "index" if name.starts_with("tensor_") => args.index(),
        "index_set" => args.index_set(),
        "conv1d" => args.conv(1),
        "conv2d" => args.conv(2),
        "max_pool2d" | "avg_pool2d" if name.starts_with("tensor_") => args.pool(),
        _ => return None,
    })
}

fn product(dims: &[Symbolic]) -> Symbolic {
    dims.iter().try_fold(Symbolic::from_usize(1), |n, d| n.mul(d)).unwrap_or(Symbolic::Unknown)
}

/// What is left of each slice of axis 0.
fn row(dims: &[Symbolic]) -> Val {
    if dims.is_empty() { Val::Tensor(None) } else { Val::tensor(dims[1..].to_vec()) }
}

impl Args<'_> {
    fn dims(&self, i: usize) -> Option<&[Symbolic]> {
        self.vals.get(i)?.dims()
    }

    fn int(&self, i: usize) -> Option<i64> {
        self.vals.get(i)?.int()
    }

    fn size(&self, i: usize) -> Symbolic {
        self.vals.get(i).map_or(Symbolic::Unknown, Val::size)
    }

    fn keepdim(&self, i: usize) -> Option<bool> {
        match self.vals.get(i) {
            Some(Val::Bool(b)) => Some(*b),
            _ => None,
        }
    }

    /// A list of numbers that all stand in the program.
    fn ints(&self, i: usize) -> Option<Vec<i64>> {
        match self.vals.get(i) {
            Some(Val::List(items)) => items.iter().map(Val::int).collect(),
            _ => None,
        }
    }

    /// The first argument's shape.
    fn same(&self) -> Val {
        match self.vals.first() {
            Some(t @ Val::Tensor(_)) => t.clone(),
            _ => Val::Tensor(None),
        }
    }

    /// The first argument's rank and `more`, of unknown sizes.
    fn forgotten(&self, more: usize) -> Val {
        Val::Tensor(self.dims(0).map(|d| vec![Symbolic::Unknown; d.len() + more]))
    }

    /// A tensor made with the shape that argument `i` lists.
    fn made(&self, i: usize) -> Answer {
        Ok(match self.vals.get(i) {
            Some(Val::List(items)) => Val::tensor(items.iter().map(Val::size).collect()),
            _ => Val::Tensor(None),
        })
    }

    fn one(&self, rule: impl FnOnce(&[Symbolic]) -> Result<Option<Dims>, ShapeError>) -> Answer {
        match self.dims(0) {
            Some(dims) => rule(dims).map(Val::Tensor),
            None => Ok(Val::Tensor(None)),
        }
    }

    fn two(&self, rule: impl FnOnce(&[Symbolic], &[Symbolic]) -> Result<Dims, ShapeError>) -> Answer {
        match (self.dims(0), self.dims(1)) {
            (Some(a), Some(b)) => rule(a, b).map(Val::tensor),
            _ => Ok(Val::Tensor(None)),
        }
    }

    /// The same shape, by an axis that must be there.
    fn along(&self, i: usize) -> Answer {
        if let (Some(dims), Some(axis)) = (self.dims(0), self.int(i)) {
            rules::axis(axis, dims.len())?;
        }
        Ok(self.same())
    }

    /// `arange(end)`, `arange(start, end)`, `arange(start, end, step)` of whole numbers.
    fn arange(&self) -> Answer {
        let count = match (self.vals, self.int(0), self.int(1), self.int(2)) {
            ([end], ..) => end.size(),
            ([_, _], Some(start), Some(end), _) => Val::Int(end.saturating_sub(start).max(0)).size(),
            ([_, _, _], Some(start), Some(end), Some(step)) if step != 0 => {
                let (way, step) = (i128::from(end) - i128::from(start), i128::from(step));
                let n = (way / step + i128::from(way % step != 0)).max(0);
                if (way < 0) == (step < 0) {
                    i64::try_from(n).map_or(Symbolic::Unknown, |n| Val::Int(n).size())
                } else {
                    Symbolic::from_usize(0)
                }
            }
            _ => Symbolic::Unknown,
        };
        Ok(Val::tensor(vec![count]))
    }

    /// A reduction over `n` axes, which may not be known.
    fn reduce(&self, axes: Option<Vec<i64>>, n: usize) -> Answer {
        let Some(dims) = self.dims(0) else { return Ok(Val::Tensor(None)) };
        let keepdim = self.keepdim(2);
        Ok(match (axes, keepdim) {
            (Some(axes), Some(keepdim)) => Val::tensor(rules::reduce(dims, &axes, keepdim)?.to_vec()),
            (None, Some(true)) => self.forgotten(0),
            (None, Some(false)) if n <= dims.len() => Val::tensor(vec![Symbolic::Unknown; dims.len() - n]),
            (Some(axes), None) => {
                rules::reduce(dims, &axes, false)?;
                Val::Tensor(None)
            }
            _ => Val::Tensor(None),
        })
    }

    fn topk(&self) -> Answer {
        let (Some(dims), Some(axis)) = (self.dims(0), self.int(2)) else {
            let t = self.forgotten(0);
            return Ok(Val::Tuple(vec![t.clone(), t]));
        };
        let at = rules::axis(axis, dims.len())?;
        let mut out = dims.to_vec();
        if let Some(k) = self.int(1).and_then(|k| usize::try_from(k).ok()) {
            rules::topk(dims, k, axis)?;
        }
        if let Some(d) = out.get_mut(at) {
            *d = self.size(1);
        }
        Ok(Val::Tuple(vec![Val::tensor(out.clone()), Val::tensor(out)]))
    }

    fn layer_norm(&self) -> Answer {
        if let (Some(dims), Some(Val::List(shape))) = (self.dims(0), self.vals.get(1)) {
            rules::layer_norm(dims, &shape.iter().map(Val::size).collect::<Vec<_>>())?;
        }
        Ok(self.same())
    }

    /// The shapes of a list of tensors, when all are known.
    fn shapes(&self) -> Option<Vec<&[Symbolic]>> {
        match self.vals.first() {
            Some(Val::List(items)) if !items.is_empty() => items.iter().map(Val::dims).collect(),
            _ => None,
        }
    }

    fn cat(&self) -> Answer {
        let Some(axis) = self.int(1) else { return Ok(Val::Tensor(None)) };
        if let Some(shapes) = self.shapes() {
            return Ok(Val::tensor(rules::cat(&shapes, axis)?.to_vec()));
        }
        let item = self.vals[0].item(self.lang);
        let Some(dims) = item.dims() else { return Ok(Val::Tensor(None)) };
        let at = rules::axis(axis, dims.len())?;
        let mut out = dims.to_vec();
        if let Some(d) = out.get_mut(at) {
            *d = Symbolic::Unknown;
        }
        Ok(Val::tensor(out))
    }

    fn stack(&self) -> Answer {
        let Some(axis) = self.int(1) else { return Ok(Val::Tensor(None)) };
        if let Some(shapes) = self.shapes() {
            return Ok(Val::tensor(rules::stack(&shapes, axis)?.to_vec()));
        }
        let item = self.vals[0].item(self.lang);
        let Some(dims) = item.dims() else { return Ok(Val::Tensor(None)) };
        let mut out = dims.to_vec();
        out.insert(rules::insert_axis(axis, dims.len())?, Symbolic::Unknown);
        Ok(Val::tensor(out))
    }

    fn reshape(&self) -> Answer {
        let Some(Val::List(items)) = self.vals.get(1) else { return Ok(Val::Tensor(None)) };
        let sizes: Vec<Size<Symbolic>> =
            items.iter().map(|v| if v.int() == Some(-1) { Size::Rest } else { Size::Is(v.size()) }).collect();
        // What is not known may be -1: it could stand for anything.
        let open = items.iter().any(|v| v.int().is_none() && v.size() == Symbolic::Unknown);
        match self.dims(0) {
            Some(dims) if !open => Ok(Val::tensor(rules::reshape(dims, &sizes)?.to_vec())),
            _ => Ok(Val::tensor(
                sizes.into_iter().map(|s| if let Size::Is(d) = s { d } else { Symbolic::Unknown }).collect(),
            )),
        }
    }

    fn permute(&self) -> Answer {
        match (self.dims(0), self.ints(1)) {
            (Some(dims), Some(order)) => Ok(Val::tensor(rules::permute(dims, &order)?.to_vec())),
            _ => Ok(self.forgotten(0)),
        }
    }

    fn squeeze(&self) -> Answer {
        let (Some(dims), Some(axis)) = (self.dims(0), self.int(1)) else { return Ok(Val::Tensor(None)) };
        let at = rules::axis(axis, dims.len())?;
        let mut out = dims.to_vec();
        match dims.get(at).map(|d| d.known()) {
            Some(Some(1)) => drop(out.remove(at)),
            // It stays, as in PyTorch.
            Some(Some(_)) | None => {}
            Some(None) => return Ok(Val::Tensor(None)),
        }
        Ok(Val::tensor(out))
    }

    fn expand(&self) -> Answer {
        let Some(Val::List(items)) = self.vals.get(1) else { return Ok(Val::Tensor(None)) };
        let Some(dims) = self.dims(0) else { return Ok(Val::Tensor(None)) };
        let lead = items.len().saturating_sub(dims.len());
        let to: Dims = items
            .iter()
            .enumerate()
            .map(|(i, v)| match v.int() {
                Some(-1) => i.checked_sub(lead).and_then(|j| dims.get(j)).cloned().unwrap_or(Symbolic::Unknown),
                _ => v.size(),
            })
            .collect();
        rules::broadcast_to(dims, &to)?;
        Ok(Val::tensor(to))
    }

    /// `split` and `chunk`: the last part may be smaller, unless `part` says that all are equal.
    fn parts(&self, part: impl FnOnce(usize, usize) -> Option<usize>) -> Answer {
        let item = match (self.dims(0), self.int(2)) {
            (Some(dims), Some(axis)) => {
                let at = rules::axis(axis, dims.len())?;
                let mut out = dims.to_vec();
                let by = self.int(1).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
                if let Some(d) = out.get_mut(at) {
                    let equal = d.known().zip(by).and_then(|(n, by)| part(n, by));
                    *d = equal.map_or(Symbolic::Unknown, Symbolic::from_usize);
                }
                Val::tensor(out)
            }
            _ => self.forgotten(0),
        };
        Ok(Val::Adt(self.lang.vec, vec![item]))
    }

    fn gather(&self) -> Answer {
        match (self.dims(0), self.int(1), self.dims(2)) {
            (Some(x), Some(at), Some(index)) => Ok(Val::tensor(rules::gather(x, at, index)?.to_vec())),
            (_, _, index) => Ok(Val::Tensor(index.map(<[_]>::to_vec))),
        }
    }

    /// The shape of what an index names; `parts` are as `_tensor_index` has them.
    fn view(&self) -> Result<Option<Dims>, ShapeError> {
        let (Some(dims), Some(Val::List(parts))) = (self.dims(0), self.vals.get(1)) else { return Ok(None) };
        let mut out = dims.to_vec();
        let mut axis = 0;
        for part in parts.chunks_exact(3) {
            if axis >= out.len() {
                let n = parts.len() / 3;
                return Err(ShapeError(format!("{n} indices into shape {}", stark_shapes::show(dims))));
            }
            match part[0].int() {
                // An index that is out of range is an `IndexError` of the running program.
                Some(0) => drop(out.remove(axis)),
                Some(1) => {
                    out[axis] = match (part[1].int(), part[2].int()) {
                        (Some(0), Some(i64::MAX)) => out[axis].clone(),
                        (Some(a), Some(b)) => rules::slice(&out, axis as i64, a, b, 1)?[axis].clone(),
                        (Some(0), None) if out[axis].same(&part[2].size()) => out[axis].clone(),
                        _ => Symbolic::Unknown,
                    };
                    axis += 1;
                }
                Some(_) => axis += 1,
                None => return Ok(None),
            }
        }
        Ok(Some(out))
    }

    fn index(&self) -> Answer {
        self.view().map(Val::Tensor)
    }

    fn index_set(&self) -> Answer {
        if let (Some(place), Some(value)) = (self.view()?, self.dims(2)) {
            rules::broadcast_to(value, &place)?;
        }
        Ok(Val::Any)
    }

    fn conv(&self, spatial: usize) -> Answer {
        let (Some(x), Some(weight)) = (self.dims(0), self.dims(1)) else { return Ok(Val::Tensor(None)) };
        let number = |i: usize| self.int(i).and_then(|n| usize::try_from(n).ok());
        let (Some(stride), Some(padding), Some(dilation), Some(groups)) = (number(3), number(4), number(5), number(6))
        else {
            return Ok(self.forgotten(0));
        };
        let bias = match self.vals.get(2) {
            Some(Val::Adt(_, inner)) => inner.first().and_then(Val::dims),
            _ => None,
        };
        let windows = vec![Conv { stride, padding, dilation }; spatial];
        // A single image is a batch of one.
        let single = x.len() == spatial + 1;
        let mut lifted = x.to_vec();
        if single {
            lifted.insert(0, Symbolic::from_usize(1));
        }
        let out = rules::conv(&lifted, weight, bias, &windows, groups)?;
        Ok(Val::tensor(out[usize::from(single)..].to_vec()))
    }

    fn pool(&self) -> Answer {
        let number = |i: usize| self.int(i).and_then(|n| usize::try_from(n).ok());
        let (Some(kernel), Some(stride), Some(padding)) = (number(1), number(2), number(3)) else {
            return Ok(self.forgotten(0));
        };
        let window = Pool { stride: if stride == 0 { kernel } else { stride }, padding, ..Pool::new(kernel) };
        self.one(|x| Ok(Some(rules::pool(x, &[window, window])?.to_vec())))
    }
}
