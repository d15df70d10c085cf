//! The second tier: functions that run long become machine code, by Cranelift.
//!
//! Machine code is nothing but a faster way from one instruction to another. At every instruction it may be left for the
//! interpreter, with registers, link and budget where the interpreter keeps them; so whatever is rare (a fault, a spent
//! budget, a stack that must grow, a call of what is not compiled) is one thing: *leave*, and the interpreter does that
//! instruction and goes on. It comes back at the instructions that have an *entry*: the function's first, the heads of
//! loops, landing pads, and what follows an instruction that may leave; there the opcode in the decoded words is changed to
//! `compiled`. An instruction that machine code does not do itself but that jumps nowhere is done by its handler (`step`),
//! which the `compiled` word behind it stops.
//!
//! Read in this order: `plan` (what each instruction becomes), `translate` (instructions to Cranelift's), `runtime` (what
//! machine code calls), `layout` (where it finds what), `memory`.
//!
//! - Scalars live in machine registers, and are written to the frame where the code is left, if they are live there.
//!   References are always in the frame, so unwinding and dropping need no maps.
//! - Calls between compiled functions use the native stack. When one is left the others are too, each writing its frame;
//!   so a task never holds a native stack beyond a turn. Past `MAX_NATIVE_STACK` a call is left to the interpreter.
//! - The budget is spent as the interpreter spends it, so schedules do not depend on what is compiled.
//! - What runs long is found where budgets end (`seen`): the interpreter's own code counts nothing for it.

#![allow(unsafe_code)]

mod compiler;
mod held;
mod layout;
mod memory;
mod plan;
mod runtime;
mod translate;

pub(crate) use runtime::{Came, Link, run};

use crate::interp::{Machine, Op};
use crate::load::{CodeSpace, Func};
use crate::panics;
use parking_lot::Mutex;
use stark_bytecode::Instr;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering::*};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

/// Whether functions become machine code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Jit {
    /// Never.
    Off,
    /// Those that run long.
    #[default]
    On,
    /// Each when it is first called, for tests.
    Always,
}

impl FromStr for Jit {
    type Err = String;
    fn from_str(text: &str) -> Result<Jit, String> {
        match text {
            "off" => Ok(Jit::Off),
            "on" => Ok(Jit::On),
            "always" => Ok(Jit::Always),
            _ => Err(format!("`{text}` is none of off, on, always")),
        }
    }
}

impl fmt::Display for Jit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Jit::Off => "off",
            Jit::On => "on",
            Jit::Always => "always",
        })
    }
}

/// A process has one: its programs may share code.
static MODE: AtomicU8 = AtomicU8::new(Jit::On as u8);

/// Says which functions become machine code in this process, of the programs that are loaded from now on. An error: none
/// can, and why.
pub fn set(jit: Jit) -> Result<(), String> {
    MODE.store(jit as u8, Relaxed);
    if jit == Jit::Always { compiler().as_ref().map(|_| ()).map_err(String::clone) } else { Ok(()) }
}

fn is(jit: Jit) -> bool {
    MODE.load(Relaxed) == jit as u8
}

/// Heat at which a function is compiled. A guess: two turns' worth of reductions, a fifth of a millisecond in the
/// interpreter, where compiling takes some.
const HOT: u32 = 20_000;
/// What it counts for to be seen where a budget of 10,000 was spent.
const SEEN: u32 = 10_000;
/// What a call from machine code counts for, which is left for it.
const CALLED: u32 = 400;
/// It waits for being compiled.
const QUEUED: u32 = u32::MAX - 1;
/// It was compiled, or cannot be.
const DONE: u32 = u32::MAX;

/// What a function knows of its machine code.
#[derive(Default)]
pub(crate) struct Native {
    /// Where calls from machine code go; 0 when there is none.
    pub address: AtomicUsize,
    code: AtomicPtr<Code>,
    heat: AtomicU32,
}

/// A function's machine code. Leaked like its bytecode.
pub(crate) struct Code {
    run: runtime::Run,
    /// By position in the decoded words: the number of the entry there, or `NO_ENTRY`.
    entries: Box<[u16]>,
    /// By number of the entry: the word as it was before.
    words: Box<[u64]>,
}

const NO_ENTRY: u16 = u16::MAX;

/// What was compiled since the process began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub functions: usize,
    pub bytes: usize,
    pub time: Duration,
}

/// What was compiled since the process began.
pub fn stats() -> Stats {
    match COMPILER.get() {
        Some(Ok(compiler)) => compiler.lock().stats,
        _ => Stats::default(),
    }
}

static COMPILER: OnceLock<Result<Mutex<compiler::Compiler>, String>> = OnceLock::new();

/// Made when the first function is compiled: programs that end before never pay for it.
fn compiler() -> &'static Result<Mutex<compiler::Compiler>, String> {
    COMPILER.get_or_init(|| compiler::Compiler::new().map(Mutex::new))
}

/// The machine stands where its budget was spent.
#[cold]
#[inline(never)]
pub(crate) fn seen(machine: &mut Machine) {
    if is(Jit::Off) {
        return;
    }
    // SAFETY: the machine stands at an instruction of the frame at `regs`, whose link names its function.
    let func = unsafe { &*(*machine.regs.sub(3) as *const Func) };
    heat(func, machine.code, SEEN);
    // A short function without loops is never seen by itself.
    if let Instr::Call { func: callee, .. } = func.def.code[func.pc_of(machine.ip)] {
        heat(machine.code.funcs[callee.index()], machine.code, SEEN);
    }
}

fn heat(func: &'static Func, space: &'static CodeSpace, by: u32) {
    let heat = func.native.heat.load(Relaxed);
    if heat >= QUEUED {
        return;
    }
    let hotter = if heat + by < HOT { heat + by } else { QUEUED };
    // When another worker was faster its count stands, and this one is lost: it does not matter.
    let is_ours = func.native.heat.compare_exchange(heat, hotter, Relaxed, Relaxed).is_ok();
    if hotter == QUEUED
        && is_ours
        && let Some(queue) = queue()
    {
        // The thread ends with the process.
        let _ = queue.send((func, space));
    }
}

/// To the thread that compiles: no worker, whose tasks would wait, ever does. `None` when the system gives no thread.
fn queue() -> Option<&'static Sender<(&'static Func, &'static CodeSpace)>> {
    type Queue = OnceLock<Option<Sender<(&'static Func, &'static CodeSpace)>>>;
    static QUEUE: Queue = OnceLock::new();
    let begin = || {
        let (sender, hot) = mpsc::channel();
        let compile_all = move || {
            for (func, space) in hot {
                compile(func, space);
            }
        };
        std::thread::Builder::new().name("stark-jit".into()).spawn(compile_all).ok().map(|_| sender)
    };
    QUEUE.get_or_init(begin).as_ref()
}

/// Compiles `func`, unless that was tried before.
#[cold]
#[inline(never)]
fn compile(func: &'static Func, space: &'static CodeSpace) -> Option<&'static Code> {
    let compiler = compiler().as_ref().ok()?;
    let mut compiler = compiler.lock();
    if func.native.heat.swap(DONE, Relaxed) == DONE {
        return code_of(func);
    }
    let began = Instant::now();
    let compiled = panics::catch(|| compiler.compile(func, space));
    compiler.stats.time += began.elapsed();
    if compiled.is_err() {
        // A bug: the function stays in the interpreter, and the next is compiled by a compiler in a known state.
        compiler.reset();
    }
    let (run, entry_pcs) = compiled.ok().flatten()?;
    let code = func.code();
    let mut entries = vec![NO_ENTRY; code.words.len()];
    let mut words = Vec::new();
    for (number, &pc) in entry_pcs.iter().enumerate() {
        entries[code.starts[pc] as usize] = number as u16;
        words.push(original(func, pc));
    }
    let made: &'static Code = Box::leak(Box::new(Code { run, entries: entries.into(), words: words.into() }));
    func.native.code.store(std::ptr::from_ref(made).cast_mut(), Release);
    for pc in entry_pcs {
        mark(func, pc);
    }
    func.native.address.store(run as usize, Release);
    Some(made)
}

fn code_of(func: &Func) -> Option<&'static Code> {
    // SAFETY: code is leaked, and published whole.
    unsafe { func.native.code.load(Acquire).as_ref() }
}

/// Has the interpreter enter machine code at `pc`.
fn mark(func: &Func, pc: usize) {
    let word = func.word_of(pc);
    // Release: whoever sees the mark sees the code.
    word.store(word.load(Relaxed) & !0xffff | Op::compiled as u64, Release);
}

/// The first word at `pc` of a function without machine code, as it was decoded.
fn original(func: &Func, pc: usize) -> u64 {
    let word = func.word_of(pc).load(Relaxed);
    if pc == 0 { word & !0xffff | func.code().first_op as u64 } else { word }
}

/// A function was decoded.
pub(crate) fn loaded(func: &Func) {
    if is(Jit::Always) {
        mark(func, 0);
    }
}
