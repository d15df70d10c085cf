//! Element by element: one table of expressions, from which a kernel is written for the types and strides at hand.

use std::fmt::Write;
use std::sync::Arc;

use stark_kernels::{DType, Tensor, TensorError};

use crate::driver::Arg;
use crate::engine::{Family, GROUP_ITEMS, OpenCl, int};

/// Which element types an expression is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum For {
    Floats,
    Ints,
    Numbers,
    /// 0 and 1, held as bytes.
    Bools,
    /// Words that are moved and not looked into.
    Words,
    /// An expression of statements, whose operands may be of several types.
    Fused,
}

/// `a`, `b` and `c` are the elements, `p0`, `p1` and `p2` the numbers, `T` the type they are computed in, `U` the type
/// without sign; capitals are functions in the width of `T`.
const TABLE: &[(&str, For, &str)] = &[
    ("copy", For::Words, "a"),
    ("where", For::Words, "c ? a : b"),
    ("add", For::Floats, "a + b"),
    ("sub", For::Floats, "a - b"),
    ("mul", For::Floats, "a * b"),
    ("add", For::Ints, "(T)((U)a + (U)b)"),
    ("sub", For::Ints, "(T)((U)a - (U)b)"),
    ("mul", For::Ints, "(T)((U)a * (U)b)"),
    ("div", For::Floats, "a / b"),
    ("maximum", For::Floats, "a > b || isnan(a) ? a : b"),
    ("minimum", For::Floats, "a < b || isnan(a) ? a : b"),
    ("maximum", For::Ints, "a > b ? a : b"),
    ("minimum", For::Ints, "a < b ? a : b"),
    ("trunc_divide_unchecked", For::Floats, "trunc(a / b)"),
    ("fmod_unchecked", For::Floats, "fmod(a, b)"),
    ("remainder_unchecked", For::Floats, "modulo(a, b)"),
    ("floor_divide_unchecked", For::Floats, "floor_div(a, b)"),
    ("pow_unchecked", For::Floats, "pow(a, b)"),
    ("eq", For::Numbers, "a == b"),
    ("ne", For::Numbers, "a != b"),
    ("lt", For::Numbers, "a < b"),
    ("le", For::Numbers, "a <= b"),
    ("gt", For::Numbers, "a > b"),
    ("ge", For::Numbers, "a >= b"),
    ("logical_and", For::Bools, "a && b"),
    ("logical_or", For::Bools, "a || b"),
    ("logical_xor", For::Bools, "(a != 0) != (b != 0)"),
    ("logical_not", For::Bools, "!a"),
    ("neg", For::Floats, "-a"),
    ("neg", For::Ints, "(T)(0 - (U)a)"),
    ("abs", For::Floats, "fabs(a)"),
    ("abs", For::Ints, "a < 0 ? (T)(0 - (U)a) : a"),
    ("sign", For::Numbers, "(T)((a > 0) - (a < 0))"),
    ("relu", For::Numbers, "a < 0 ? (T)0 : a"),
    ("square", For::Floats, "a * a"),
    ("square", For::Ints, "(T)((U)a * (U)a)"),
    ("floor", For::Floats, "floor(a)"),
    ("ceil", For::Floats, "ceil(a)"),
    ("trunc", For::Floats, "trunc(a)"),
    ("round", For::Floats, "rint(a)"),
    ("exp", For::Floats, "EXP(a)"),
    ("exp2", For::Floats, "exp2(a)"),
    ("expm1", For::Floats, "expm1(a)"),
    ("log", For::Floats, "log(a)"),
    ("log2", For::Floats, "log2(a)"),
    ("log10", For::Floats, "log10(a)"),
    ("log1p", For::Floats, "log1p(a)"),
    ("sqrt", For::Floats, "sqrt(a)"),
    ("rsqrt", For::Floats, "1 / sqrt(a)"),
    ("reciprocal", For::Floats, "1 / a"),
    ("sin", For::Floats, "sin(a)"),
    ("cos", For::Floats, "cos(a)"),
    ("tan", For::Floats, "tan(a)"),
    ("asin", For::Floats, "asin(a)"),
    ("acos", For::Floats, "acos(a)"),
    ("atan", For::Floats, "atan(a)"),
    ("sinh", For::Floats, "sinh(a)"),
    ("cosh", For::Floats, "cosh(a)"),
    ("tanh", For::Floats, "TANH(a)"),
    ("sigmoid", For::Floats, "1 / (1 + EXP(-a))"),
    ("erf", For::Floats, "ERF(a)"),
    (
        "gelu",
        For::Floats,
        "(T)0.5 * (a < (T)-40 ? (T)-40 : a) * (1 + ERF((a < (T)-40 ? (T)-40 : a) * (T)0.70710678118654752))",
    ),
    (
        "gelu_tanh",
        For::Floats,
        "(T)0.5 * (a < (T)-40 ? (T)-40 : a) * (1 + TANH((T)0.79788456080286536 * ((a < (T)-40 ? (T)-40 : a) + (T)0.044715 * (a < (T)-40 ? (T)-40 : a) * (a < (T)-40 ? (T)-40 : a) * (a < (T)-40 ? (T)-40 : a))))",
    ),
    ("silu", For::Floats, "a / (1 + EXP(-a))"),
    ("mish", For::Floats, "a * tanh(a > 20 ? a : log1p(exp(a)))"),
    ("hardsigmoid", For::Floats, "CLIP(a + 3, 0, 6) / 6"),
    ("hardswish", For::Floats, "a * CLIP(a + 3, 0, 6) / 6"),
    ("relu6", For::Floats, "CLIP(a, 0, 6)"),
    ("log_sigmoid", For::Floats, "(a > 0 ? (T)0 : a) - log1p(exp(-fabs(a)))"),
    ("selu", For::Floats, "(T)1.0507009873554805 * (a > 0 ? a : (T)1.6732632423543772 * expm1(a))"),
    ("softsign", For::Floats, "a / (1 + fabs(a))"),
    ("leaky_relu", For::Floats, "a > 0 ? a : a * p0"),
    ("elu", For::Floats, "a > 0 ? a : p0 * expm1(a)"),
    ("celu", For::Floats, "a > 0 ? a : p0 * expm1(a / p0)"),
    ("softplus", For::Floats, "a * p0 > p1 ? a : log1p(exp(a * p0)) / p0"),
    ("softshrink", For::Floats, "a > p0 ? a - p0 : a < -p0 ? a + p0 : a * 0"),
    ("hardshrink", For::Floats, "a >= -p0 && a <= p0 ? (T)0 : a"),
    ("threshold", For::Floats, "a <= p0 ? p1 : a"),
    ("hardtanh", For::Floats, "CLIP(a, p0, p1)"),
    ("nan_to_num", For::Floats, "isnan(a) ? p0 : isinf(a) ? (a > 0 ? p1 : p2) : a"),
    ("isnan", For::Floats, "isnan(a)"),
    ("isinf", For::Floats, "isinf(a)"),
    ("isfinite", For::Floats, "isfinite(a)"),
    ("affine", For::Floats, "a * b + c"),
];

const HELPERS: &str = "
static T modulo(T a, T b) { T r = fmod(a, b); return r != 0 && (r < 0) != (b < 0) ? r + b : r; }
static T floor_div(T a, T b) {
    if (b == 0) return a / b;
    T r = fmod(a, b), q = (a - r) / b;
    if (r != 0 && (r < 0) != (b < 0)) q -= 1;
    T whole = floor(q);
    return q - whole > (T)0.5 ? whole + 1 : whole;
}
#define CLIP(x, low, high) ((x) < (low) ? (T)(low) : (x) > (high) ? (T)(high) : (x))
";

/// Elements a work item of a processor goes through.
const CHUNK: usize = 4096;
/// The most axes that remain after those that lie together were merged.
const MAX_AXES: usize = 8;

/// The type of OpenCL C that an element is held as.
fn stored(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "half",
        DType::BF16 => "ushort",
        DType::F32 => "float",
        DType::F64 => "double",
        DType::I8 => "char",
        DType::U8 | DType::Bool => "uchar",
        DType::I16 => "short",
        DType::I32 => "int",
        DType::I64 => "long",
    }
}

/// The type that it is computed in.
fn computed(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 | DType::BF16 => "float",
        other => stored(other),
    }
}

pub(crate) fn word(dtype: DType) -> &'static str {
    match dtype.size() {
        1 => "uchar",
        2 => "ushort",
        4 => "uint",
        _ => "ulong",
    }
}

/// `buffer[index]` as a number.
fn load(dtype: DType, buffer: &str, index: &str) -> String {
    match dtype {
        DType::F16 => format!("vload_half({index}, {buffer})"),
        DType::BF16 => format!("as_float((uint){buffer}[{index}] << 16)"),
        _ => format!("{buffer}[{index}]"),
    }
}

/// `value`, of the type computed in, to `o[index]`, converted as `Tensor::to` does.
fn store(from: DType, to: DType, value: &str, index: &str) -> String {
    match to {
        // There is none for whole numbers; those that a half can hold are exact as `float`.
        DType::F16 if !from.is_float() => format!("vstore_half_rte((float)({value}), {index}, o);"),
        DType::F16 => format!("vstore_half_rte({value}, {index}, o);"),
        DType::BF16 => format!("o[{index}] = to_bf16({value});"),
        DType::Bool => format!("o[{index}] = ({value}) != 0;"),
        // Through 64 bits and held to them, as the processor converts.
        to if from.is_float() && !to.is_float() => format!("o[{index}] = ({})convert_long_sat({value});", stored(to)),
        to => format!("o[{index}] = ({})({value});", stored(to)),
    }
}

/// How a kernel meets one operand.
enum Operand {
    /// A number that goes along with the launch: its bytes.
    Number(Vec<u8>),
    /// Strides of the merged axes.
    Strided { offset: usize, strides: Vec<usize> },
}

/// Sizes, and strides of each operand, with neighbouring axes merged where they lie together in all.
pub(crate) fn merge(shape: &[usize], strides: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut sizes: Vec<usize> = Vec::new();
    let mut merged: Vec<Vec<usize>> = vec![Vec::new(); strides.len()];
    for (axis, &n) in shape.iter().enumerate().filter(|(_, n)| **n != 1) {
        let joins = !sizes.is_empty()
            && strides.iter().zip(&merged).all(|(s, m)| m.last().is_some_and(|&outer| outer == s[axis] * n));
        if joins {
            if let Some(last) = sizes.last_mut() {
                *last *= n;
            }
            merged.iter_mut().zip(strides).for_each(|(m, s)| {
                m.pop();
                m.push(s[axis]);
            });
        } else {
            sizes.push(n);
            merged.iter_mut().zip(strides).for_each(|(m, s)| m.push(s[axis]));
        }
    }
    if sizes.is_empty() {
        sizes.push(1);
        merged.iter_mut().for_each(|m| m.push(1));
    }
    (sizes, merged)
}

impl OpenCl {
    pub(crate) fn map(
        self: &Arc<Self>,
        name: &'static str,
        inputs: &[&Tensor],
        params: &[f64],
        shape: &[usize],
        dtype: DType,
    ) -> Result<Option<Tensor>, TensorError> {
        let from = inputs[0].dtype();
        let Some((class, expression)) = expression(name, from) else { return Ok(None) };
        let kind = if class == For::Words { word(from) } else { computed(from) };
        let form = Form { name, class, statements: "", expression, params: &vec![kind; params.len()] };
        let params: Vec<Arg<'_>> =
            params.iter().map(|&p| if from == DType::F64 { Arg::Double(p) } else { Arg::Float(p as f32) }).collect();
        self.each(&form, inputs, &params, shape, dtype)
    }

    /// `form` of the elements at each place of `shape`.
    pub(crate) fn each(
        self: &Arc<Self>,
        form: &Form<'_>,
        inputs: &[&Tensor],
        params: &[Arg<'_>],
        shape: &[usize],
        dtype: DType,
    ) -> Result<Option<Tensor>, TensorError> {
        let needs_f64 = inputs.iter().any(|t| t.dtype() == DType::F64) || dtype == DType::F64;
        if needs_f64 && !self.info().has_f64 {
            return Ok(None);
        }
        // Places that a kernel counts to must fit its numbers.
        if inputs.iter().any(|t| int(t.storage_bytes()).is_none()) {
            return Ok(None);
        }
        let mut wide = Vec::new();
        for input in inputs {
            wide.push(input.expand(shape)?);
        }
        let strides: Vec<Vec<usize>> = wide.iter().map(|t| t.strides().to_vec()).collect();
        let (sizes, merged) = merge(shape, &strides);
        if sizes.len() > MAX_AXES {
            return Ok(None);
        }
        let number = |t: &Tensor| t.memory().is_none() && t.numel() == 1 && !is_half(t.dtype());
        let mut operands = Vec::new();
        for (input, strides) in inputs.iter().zip(merged) {
            operands.push(match number(input) {
                true => Operand::Number(input.to_bytes()?),
                false => Operand::Strided { offset: input.offset(), strides },
            });
        }
        let Some((out, block)) = self.make(shape, dtype)? else { return Ok(None) };
        let n = out.numel();
        let chunk = if self.family == Family::Tile { CHUNK } else { 1 };
        let dtypes: Vec<DType> = inputs.iter().map(|t| t.dtype()).collect();
        let plan = Plan { form, dtypes: &dtypes, operands: &operands, axes: sizes.len(), dtype };

        let mut blocks = Vec::new();
        for (input, operand) in inputs.iter().zip(&operands) {
            blocks.push(match operand {
                Operand::Number(_) => None,
                Operand::Strided { .. } => Some(self.of(input)?),
            });
        }
        let places = |n: usize| Arg::Int(int(n).unwrap_or(i32::MAX));
        let mut args = vec![places(n), places(chunk), block.arg()];
        args.extend(sizes.iter().map(|&n| places(n)));
        for (operand, block) in operands.iter().zip(&blocks) {
            match (operand, block) {
                (Operand::Strided { offset, strides }, Some(block)) => {
                    args.extend([block.arg(), places(*offset)]);
                    args.extend(strides.iter().map(|&s| places(s)));
                }
                (Operand::Number(bytes), _) => args.push(Arg::Bytes(bytes)),
                (Operand::Strided { .. }, None) => {}
            }
        }
        args.extend(params.iter().map(Arg::again));
        let source = || (plan.source(), String::new());
        // Groups must divide the items, whose number may be a prime; what is past the end does nothing.
        let (items, local) = match self.family {
            // An item's number must fit, too.
            Family::Local if int(n.next_multiple_of(GROUP_ITEMS)).is_some() => {
                (n.next_multiple_of(GROUP_ITEMS), Some([GROUP_ITEMS, 1, 1]))
            }
            Family::Local | Family::Tile => (n.div_ceil(chunk), None),
        };
        self.launch(&plan.key(), "run", source, &args, [items, 1, 1], local)?;
        Ok(Some(out))
    }
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

fn expression(name: &str, dtype: DType) -> Option<(For, &'static str)> {
    if name == "cast" {
        return Some((For::Numbers, "a"));
    }
    let fits = |class: For| match class {
        For::Floats => dtype.is_float(),
        For::Ints => dtype.is_int(),
        For::Numbers => dtype != DType::Bool,
        For::Bools => dtype == DType::Bool,
        For::Words => true,
        For::Fused => false,
    };
    TABLE.iter().find(|(n, class, _)| *n == name && fits(*class)).map(|(_, class, text)| (*class, *text))
}

/// What is computed at each place.
pub(crate) struct Form<'a> {
    /// Tells it from all others, together with the kinds of its numbers.
    pub name: &'a str,
    pub class: For,
    /// What comes before `expression`. A fused form's operands are `a0`, `a1` and so on.
    pub statements: &'a str,
    pub expression: &'a str,
    /// The types of the numbers.
    pub params: &'a [&'a str],
}

/// What a kernel depends on.
struct Plan<'a> {
    form: &'a Form<'a>,
    dtypes: &'a [DType],
    operands: &'a [Operand],
    axes: usize,
    dtype: DType,
}

/// The step along the last axis as it is written into the kernel.
fn step(operand: &Operand) -> char {
    match operand {
        Operand::Number(_) => 'n',
        Operand::Strided { strides, .. } => match strides.last() {
            Some(0) => '0',
            Some(1) => '1',
            _ => 's',
        },
    }
}

impl Plan<'_> {
    fn key(&self) -> String {
        let params = self.form.params.join(",");
        let mut key = format!("{}({params}) {} {}", self.form.name, self.axes, self.dtype);
        for (dtype, operand) in self.dtypes.iter().zip(self.operands) {
            let _ = write!(key, " {dtype}{}", step(operand));
        }
        key
    }

    /// The types of operand `i`: as it is held, and as it is computed with.
    fn types(&self, i: usize) -> (&'static str, &'static str) {
        match self.form.class {
            // The third operand of `where` is the condition.
            For::Words => (word(self.dtypes[i]), word(self.dtypes[i])),
            _ => (stored(self.dtypes[i]), computed(self.dtypes[i])),
        }
    }

    fn source(&self) -> String {
        let is_words = self.form.class == For::Words;
        let is_fused = self.form.class == For::Fused;
        let held = if is_words { word(self.dtype) } else { stored(self.dtype) };
        let compute = self.types(0).1;
        let mut text = String::new();
        if is_fused || (self.dtypes[0].is_float() && !is_words) {
            text.push_str(include_str!("cl/math.cl"));
        }
        if is_fused {
            // Each operation rounds by itself, as the processor's do.
            text.push_str("#pragma OPENCL FP_CONTRACT OFF\n");
        }
        let _ = writeln!(text, "#define T {compute}");
        if self.dtypes[0].is_int() && !is_words {
            let _ = writeln!(text, "#define U u{}", compute.trim_start_matches('u'));
        }
        if self.dtypes[0].is_float() && !is_words {
            text.push_str(HELPERS);
            text.push_str(match self.dtypes[0] {
                DType::F64 => "#define EXP exp\n#define TANH tanh\n#define ERF erf\n",
                _ => "#define EXP f_exp\n#define TANH f_tanh\n#define ERF f_erf\n",
            });
        }
        if self.dtype == DType::BF16 && !is_words {
            text.push_str(
                "static ushort to_bf16(float x) {\n    uint u = as_uint(x);\n    \
                 return isnan(x) ? (ushort)((u >> 16) | 64) : (ushort)((u + 0x7FFF + ((u >> 16) & 1)) >> 16);\n}\n",
            );
        }
        let _ = write!(text, "kernel void run(int n, int chunk, global {held} *restrict o");
        for axis in 0..self.axes {
            let _ = write!(text, ", int n{axis}");
        }
        for (i, operand) in self.operands.iter().enumerate() {
            let (held, computed) = self.types(i);
            match operand {
                Operand::Number(_) => {
                    let _ = write!(text, ", {computed} v{i}");
                }
                Operand::Strided { .. } => {
                    let _ = write!(text, ", global const {held} *restrict x{i}, int f{i}");
                    for axis in 0..self.axes {
                        let _ = write!(text, ", int x{i}_{axis}");
                    }
                }
            }
        }
        for (p, kind) in self.form.params.iter().enumerate() {
            let _ = write!(text, ", {kind} p{p}");
        }
        let last = self.axes - 1;
        let _ = writeln!(
            text,
            ")\n{{\n    int i = get_global_id(0) * chunk, end = min(i + chunk, n);\n    while (i < end) {{\n        \
             int row = i / n{last}, column = i - row * n{last}, length = min(n{last} - column, end - i);"
        );
        let strided = || self.operands.iter().enumerate().filter(|(_, o)| matches!(o, Operand::Strided { .. }));
        for (i, _) in strided() {
            let _ = writeln!(
                text,
                "        global const {} *restrict y{i} = x{i} + f{i} + column * x{i}_{last};",
                self.types(i).0
            );
        }
        for axis in (0..last).rev() {
            let _ = writeln!(text, "        int c{axis} = row % n{axis};\n        row /= n{axis};");
            for (i, _) in strided() {
                let _ = writeln!(text, "        y{i} += c{axis} * x{i}_{axis};");
            }
        }
        let name_of = |i: usize| match is_fused {
            true => format!("a{i}"),
            false => ["a", "b", "c"][i].to_string(),
        };
        let mut inside = String::new();
        for (i, operand) in self.operands.iter().enumerate() {
            let name = name_of(i);
            let computed = self.types(i).1;
            let dtype = self.dtypes[i];
            let at =
                |index: &str| if is_words { format!("y{i}[{index}]") } else { load(dtype, &format!("y{i}"), index) };
            match step(operand) {
                'n' => {
                    let _ = writeln!(text, "        const {computed} {name} = v{i};");
                }
                '0' => {
                    let _ = writeln!(text, "        const {computed} {name} = {};", at("0"));
                }
                '1' => {
                    let _ = writeln!(inside, "            {computed} {name} = {};", at("k"));
                }
                _ => {
                    let _ = writeln!(inside, "            {computed} {name} = {};", at(&format!("k * x{i}_{last}")));
                }
            }
        }
        inside.push_str(self.form.statements);
        let value = self.form.expression;
        let stored = match is_words {
            true => format!("o[i + k] = {value};"),
            false => {
                // A comparison gives 0 or 1, whatever was compared.
                let from = if self.form.name == "cast" { self.dtypes[0] } else { self.dtype };
                store(from, self.dtype, value, "i + k")
            }
        };
        let _ = writeln!(
            text,
            "        for (int k = 0; k < length; k++) {{\n{inside}            {stored}\n        }}\n        i += length;\n    }}\n}}"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_merge_where_all_operands_lie_together() {
        assert_eq!(merge(&[2, 3, 4], &[vec![12, 4, 1]]), (vec![24], vec![vec![1]]));
        assert_eq!(merge(&[2, 3, 4], &[vec![12, 4, 1], vec![0, 0, 1]]), (vec![6, 4], vec![vec![4, 1], vec![0, 1]]));
        assert_eq!(merge(&[1, 1], &[vec![1, 1]]), (vec![1], vec![vec![1]]));
    }
}
