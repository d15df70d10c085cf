//! A fused expression as a kernel of its own: one statement a node.

use std::fmt::Write;
use std::sync::Arc;

use stark_kernels::fused::{Node, Op, Program, Ty};
use stark_kernels::{DType, Scalar, Tensor, TensorError};

use crate::driver::Arg;
use crate::engine::OpenCl;
use crate::map::{For, Form};

/// The type of OpenCL C that a node is held as.
fn held(ty: Ty) -> &'static str {
    match ty {
        Ty::F32 => "float",
        Ty::F64 => "double",
        Ty::I64 => "long",
        Ty::Bool => "int",
    }
}

fn name(node: Node) -> String {
    format!("n{}", node.index())
}

/// The statements that compute all nodes; `None` when there is one that the device has no text for.
fn statements(program: &Program) -> Option<String> {
    let mut text = String::new();
    for (i, step) in program.steps().iter().enumerate().filter(|(_, step)| step.used) {
        let ty = held(step.ty);
        let in_width = |text: &str| {
            let prefix = if step.ty == Ty::F64 { "" } else { "f_" };
            [("EXP", "exp"), ("TANH", "tanh"), ("ERF", "erf")]
                .iter()
                .fold(text.to_string(), |text, (from, to)| text.replace(from, &format!("{prefix}{to}")))
        };
        let value = match step.op {
            // What is held as 0 or something else is 0 or 1.
            Op::Input(k) if step.ty == Ty::Bool => format!("a{k} != 0"),
            Op::Input(k) => format!("a{k}"),
            Op::Const(bits) => match step.ty {
                Ty::F32 => format!("as_float({:#x}u)", (f64::from_bits(bits) as f32).to_bits()),
                Ty::F64 => format!("as_double({bits:#x}ul)"),
                Ty::I64 => format!("as_long({bits:#x}ul)"),
                Ty::Bool => bits.to_string(),
            },
            Op::Param(k) => format!("p{k}"),
            Op::Unary(f, a) => {
                let f = in_width(f.text());
                let _ = writeln!(text, "            {ty} n{i}; {{ const {ty} a = {}; n{i} = {f}; }}", name(a));
                continue;
            }
            Op::Binary(f, a, b) => {
                let (a, b, f) = (name(a), name(b), f.text());
                let _ = writeln!(text, "            {ty} n{i}; {{ const {ty} a = {a}, b = {b}; n{i} = {f}; }}");
                continue;
            }
            Op::Eq(a, b) => format!("{} == {}", name(a), name(b)),
            Op::Lt(a, b) => format!("{} < {}", name(a), name(b)),
            Op::Le(a, b) => format!("{} <= {}", name(a), name(b)),
            Op::Not(a) => format!("!{}", name(a)),
            Op::And(a, b) => format!("{} && {}", name(a), name(b)),
            Op::Or(a, b) => format!("{} || {}", name(a), name(b)),
            Op::Select(c, a, b) => format!("{} ? {} : {}", name(c), name(a), name(b)),
            Op::IsNan(a) => format!("isnan({})", name(a)),
            Op::Cast(a) => format!("({ty}){}", name(a)),
            Op::BitAnd(a, b) => format!("{} & {}", name(a), name(b)),
            Op::BitOr(a, b) => format!("{} | {}", name(a), name(b)),
            Op::BitXor(a, b) => format!("{} ^ {}", name(a), name(b)),
            // Checks would need an answer from the device; halves are rounded by the processor.
            Op::Round(..) | Op::Wrap(..) | Op::Check(..) | Op::Fail(_) => return None,
        };
        let _ = writeln!(text, "            const {ty} n{i} = {value};");
    }
    Some(text)
}

impl OpenCl {
    pub(crate) fn fused(
        self: &Arc<Self>,
        program: &Program,
        inputs: &[&Tensor],
        params: &[Scalar],
        shape: &[usize],
        dtype: DType,
    ) -> Result<Option<Tensor>, TensorError> {
        let needs_f64 = program.steps().iter().any(|step| step.used && step.ty == Ty::F64);
        if needs_f64 && !self.info().has_f64 {
            return Ok(None);
        }
        let Some(statements) = statements(program) else { return Ok(None) };
        let kinds: Vec<Ty> = (0..program.n_params())
            .map(|k| {
                let is_it = |op: Op| matches!(op, Op::Param(at) if usize::from(at) == k);
                program.steps().iter().find(|step| is_it(step.op)).map_or(Ty::I64, |step| step.ty)
            })
            .collect();
        let bytes: Vec<Vec<u8>> = kinds
            .iter()
            .zip(params)
            .map(|(ty, x)| match ty {
                Ty::F32 => (x.to_f64() as f32).to_ne_bytes().to_vec(),
                Ty::F64 => x.to_f64().to_ne_bytes().to_vec(),
                Ty::I64 => x.to_i64().to_ne_bytes().to_vec(),
                Ty::Bool => i32::from(x.to_i64() != 0).to_ne_bytes().to_vec(),
            })
            .collect();
        let args: Vec<Arg<'_>> = bytes.iter().map(|bytes| Arg::Bytes(bytes)).collect();
        let types: Vec<&str> = kinds.iter().map(|&ty| held(ty)).collect();
        let root = name(program.root());
        let key = format!("fused {root} {types:?}\n{statements}");
        let form = Form { name: &key, class: For::Fused, statements: &statements, expression: &root, params: &types };
        self.each(&form, inputs, &args, shape, dtype)
    }
}
