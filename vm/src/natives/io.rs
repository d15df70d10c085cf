//! Printing, and ending the program.

use super::{NativeCx, NativeResult, NativeRow, natives};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[NativeRow] = natives! {
    /// Writes text to standard output.
    io_print "(String) -> ()";
    /// Writes text to standard error, after everything printed before.
    io_eprint "(String) -> ()";
    /// What `print` shows of a value.
    show_text "<T>(T) -> String";
    /// The arguments after the program's name.
    env_args "() -> Vec<String>";
    /// Ends the program.
    exit "(Int) -> ()";
};

fn io_print(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.task.program().print(cx.str(0))?;
    cx.return_unit()
}

fn io_eprint(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.task.program().eprint(cx.str(0));
    cx.return_unit()
}

fn show_text(cx: &mut NativeCx<'_>) -> NativeResult {
    let text = cx.arg(0).display();
    cx.return_str(text)
}

fn env_args(cx: &mut NativeCx<'_>) -> NativeResult {
    let args: Vec<Value> = cx.task.program().args.iter().map(|arg| Value::str(arg.as_str())).collect();
    cx.return_vec(args)
}

fn exit(cx: &mut NativeCx<'_>) -> NativeResult {
    // What the operating system keeps of a status.
    Err(Fault::exit((cx.int(0) & 0xff) as i32))
}
