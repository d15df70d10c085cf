//! Printing, and the arguments.

use super::{NativeCx, NativeResult, NativeRow, natives};
use crate::value::Value;

pub(super) const TABLE: &[NativeRow] = natives! {
    /// Writes text to standard output.
    io_print "(String) -> ()";
    /// Writes text to standard error, after everything printed before.
    io_eprint "(String) -> ()";
    /// The arguments after the program's name.
    env_args "() -> Vec<String>";
};

fn io_print(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.task.program().print(cx.str(0))?;
    cx.return_unit()
}

fn io_eprint(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.task.program().eprint(cx.str(0));
    cx.return_unit()
}

fn env_args(cx: &mut NativeCx<'_>) -> NativeResult {
    let args: Vec<Value> = cx.task.program().args.iter().map(|arg| Value::str(arg.as_str())).collect();
    cx.return_vec(args)
}
