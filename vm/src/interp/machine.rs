//! The machine: one task's stack and registers, and what happens between stretches of code.
//!
//! `start` puts a call of a function at the bottom of the stack, `run` executes until the budget is spent, a native
//! waits, or the function has ended. The heap that pays must be current (`heap::meter`) during every call into here.

use super::Exit;
use super::dispatch::enter;
use super::kept::Kept;
use super::unwind::{Calls, Failed};
use crate::conc::tasks::Aborting;
use crate::fault::{Fault, FaultKind};
use crate::heap::{self, meter};
use crate::jit;
use crate::load::{CodeSpace, Func, LINK};
use crate::observe;
use crate::panics;
use crate::program::Program;
use crate::spare::Spare;
use crate::task::{TaskCx, WaitReason};
use crate::value::Value;
use stark_bytecode::{Handler, Instr};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

/// What a task begins with is what the tasks before it needed that ran the same function, up to so many slots: half a
/// kilobyte holds the few small frames most tasks ever have, and a function that calls itself shall not make the
/// stacks of tasks large that never call it.
const MAX_FIRST_STACK: usize = 64;

thread_local! {
    /// The small stack that a task gave back last on this worker: the next to need one is often not far.
    static SPARE: Cell<Box<[u64]>> = Cell::new(Box::default());
}

/// What an error costs that is caught, in reductions: making it, its trace, finding the handler. A guess; it keeps the
/// turns of a loop that throws about as long as others.
const RAISE_COST: i64 = 50;

/// How far errors may overdraw the budget.
const MAX_DEBT: i64 = 1000 * RAISE_COST;

/// What a task's code came to.
#[derive(Debug)]
pub enum TaskEnd {
    Returned(Value),
    /// A `dyn Error` that nobody caught.
    Failed(Value),
    /// `exit(status)` was called.
    Exit(i32),
}

/// Why `run` came back.
#[derive(Debug)]
pub enum Turn {
    /// The budget is spent.
    Yield,
    /// A native waits, as `Machine::wait` says; run again after a wake-up. Nothing comes with it: what is put together in memory
    /// and read at once as a wider word, the processor waits for.
    Wait,
    Done(TaskEnd),
}

/// What a call that waits gets instead of what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// `CancelledError`: where the task waits, or as soon as it does.
    Cancel,
    /// The same, as a task of a scope has failed that it is in.
    Scope,
    /// `IoError`: where the task waits, if it still does.
    Injected,
}

impl Interrupt {
    fn fault(self) -> Fault {
        match self {
            Interrupt::Cancel => Fault::new(FaultKind::CancelledError, "the task was cancelled"),
            Interrupt::Scope => Fault::new(FaultKind::CancelledError, "another task of the scope has failed"),
            Interrupt::Injected => Fault::io("an injected failure"),
        }
    }
}

/// What went wrong at the current instruction.
pub(crate) enum Pending {
    Fault(Fault),
    /// The slot of a `dyn Error`.
    Throw {
        error: u64,
        keep_trace: bool,
    },
}

/// What a task keeps of its machine while others run: a machine is there for a turn, its frames for the task's life.
pub(crate) struct Frames {
    stack: Box<[u64]>,
    ip: *const u64,
    /// What the waiting native keeps.
    resume: Option<Kept>,
    /// The slot of the stack where the innermost frame begins.
    regs: u32,
    state: State,
}

/// So that `Frames::regs` is a small number: 32 GiB.
const MAX_STACK: usize = u32::MAX as usize;

// SAFETY: the frames own every value on their stack; they are reached only through a machine, by one thread at a time,
// and the addresses of code and types are valid everywhere.
unsafe impl Send for Frames {}

impl Default for Frames {
    fn default() -> Frames {
        Frames { stack: Box::default(), ip: std::ptr::null(), resume: None, regs: 0, state: State::Idle }
    }
}

impl Frames {
    /// Those of a call of `func` that has not begun; there are as many `args` as parameters, of their types. The heap that
    /// pays must be current.
    pub fn start(func: &'static Func, args: impl IntoIterator<Item = Value>) -> Frames {
        let mut stack = new_stack(func.first_stack());
        lay_out(&mut stack, func);
        let mut n_given = 0;
        for arg in args {
            stack[LINK + n_given] = arg.into_slot(func.params()[n_given]);
            n_given += 1;
        }
        assert_eq!(n_given, func.params().len(), "arguments of {func:?}");
        Frames { stack, ip: func.entry(), resume: None, regs: LINK as u32, state: State::Ready }
    }

    /// There is no call under way, and no stack for one.
    pub fn are_none(&self) -> bool {
        self.stack.is_empty()
    }

    /// The calls under way, innermost first.
    pub fn calls(&self) -> Calls {
        if self.state == State::Idle {
            return Calls::new();
        }
        // SAFETY: they stand at an instruction of the frame at `regs`.
        unsafe { Machine::calls(self.ip, self.registers()) }
    }

    /// The calls under way.
    pub fn place(&self) -> crate::trace::Trace {
        if self.state == State::Idle {
            return crate::trace::Trace::default();
        }
        // SAFETY: they stand at an instruction of the frame at `regs`.
        unsafe { Machine::trace(self.ip, self.registers()) }
    }

    /// Of the innermost frame.
    fn registers(&self) -> *mut u64 {
        self.stack.as_ptr().wrapping_add(self.regs as usize).cast_mut()
    }
}

/// A task's interpreter state during a turn.
pub struct Machine {
    pub(crate) stack_end: *mut u64,
    /// Inside a chain of places: the slot it has come to.
    pub(crate) cursor: *mut u64,
    pub(crate) ip: *const u64,
    pub(crate) regs: *mut u64,
    pub(crate) budget: i64,
    pub(crate) result: u64,
    pub(crate) wanted: usize,
    pub(crate) code: &'static CodeSpace,
    pub(crate) globals: &'static [OnceLock<u64>],
    pub(crate) pending: Option<Pending>,
    pub(crate) wait: (WaitReason, u64),
    /// What the waiting native keeps.
    pub(crate) resume: Option<Kept>,
    cancel_delivered: bool,
    /// `ip` and `regs` say where the code stands, also while it runs: a panic can be thrown there as an error.
    pub(crate) is_saved: bool,
    /// The call is being ended by others: only what the compiler has written for that runs.
    pub(super) is_ended: bool,
    pub(crate) jit: jit::Link,
    /// The thread's that it runs on.
    pub(crate) local: *const heap::local::Local,
    pub(crate) task: TaskCx,
    stack: Box<[u64]>,
    state: State,
    /// The final value of the first function's first parameter, if that is `&mut`: an actor's state.
    pub(super) receiver: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No call is under way.
    Idle,
    /// At the start of an instruction.
    Ready,
    /// At the start of a call of a native that waits.
    Waiting,
}

impl Machine {
    fn new(program: &'static Program) -> Machine {
        heap::local::keep_cells();
        Machine {
            stack_end: std::ptr::null_mut(),
            cursor: std::ptr::null_mut(),
            ip: std::ptr::null(),
            regs: std::ptr::null_mut(),
            budget: 0,
            result: 0,
            wanted: 0,
            code: program.code,
            globals: &program.globals,
            pending: None,
            wait: (WaitReason::Nothing, 0),
            resume: None,
            cancel_delivered: false,
            is_saved: false,
            is_ended: false,
            jit: jit::Link::default(),
            local: heap::local::address(),
            task: TaskCx::new(program),
            stack: Box::default(),
            state: State::Idle,
            receiver: None,
        }
    }

    /// Calls `work` with a machine of `program` that goes on with `frames`, and leaves there what it comes to. The heap that pays
    /// must be current.
    ///
    /// Each thread keeps its machine from turn to turn.
    #[inline]
    pub(crate) fn with<R>(program: &'static Program, frames: &mut Frames, work: impl FnOnce(&mut Machine) -> R) -> R {
        thread_local! { static SPARE: Spare<Machine> = const { Spare::new() } }
        let mut machine = match SPARE.with(Spare::take) {
            Some(machine) if std::ptr::eq(machine.task.program(), program) => machine,
            _ => Box::new(Machine::new(program)),
        };
        machine.take_over(frames);
        let result = work(&mut machine);
        machine.hand_over(frames);
        machine.task.rest();
        SPARE.with(|spare| spare.put(machine));
        result
    }

    #[inline]
    fn take_over(&mut self, frames: &mut Frames) {
        debug_assert!(self.state == State::Idle && self.pending.is_none() && self.resume.is_none());
        self.stack = std::mem::take(&mut frames.stack);
        self.regs = match self.stack.is_empty() {
            true => std::ptr::null_mut(),
            false => self.stack[frames.regs as usize..].as_mut_ptr(),
        };
        self.stack_end = self.stack.as_mut_ptr_range().end;
        self.ip = frames.ip;
        self.resume = frames.resume.take();
        self.state = std::mem::replace(&mut frames.state, State::Idle);
    }

    /// The task keeps its frames; the machine has no call under way any more.
    #[inline]
    fn hand_over(&mut self, frames: &mut Frames) {
        // Of a stack that was given back there is none.
        frames.regs = if self.regs.is_null() { 0 } else { self.offset() as u32 };
        self.stack_end = std::ptr::null_mut();
        self.regs = std::ptr::null_mut();
        frames.stack = std::mem::take(&mut self.stack);
        frames.ip = self.ip;
        frames.resume = self.resume.take();
        frames.state = std::mem::replace(&mut self.state, State::Idle);
        self.receiver = None;
        self.pending = None;
        self.is_saved = false;
    }

    /// What an error that nobody caught says of itself: `message()` of its type, run here and now.
    pub(crate) fn message_of(&mut self, error: Value) -> Option<String> {
        /// A message is made in few steps, without waiting.
        const BUDGET: u32 = 1_000_000;
        let method = self.code.methods[self.code.error_message?.index()];
        let func = method.find(error.info().id)?;
        self.start(func, [error]);
        match self.run(BUDGET, None) {
            Turn::Done(TaskEnd::Returned(text)) => Some(text.as_str().to_string()),
            _ => {
                self.abandon();
                None
            }
        }
    }

    /// The next call is one of another program's functions. No call may be under way.
    pub(crate) fn go_on_with(&mut self, program: &'static Program) {
        assert_eq!(self.state, State::Idle, "one program at a time");
        self.code = program.code;
        self.globals = &program.globals;
        self.task.set_program(program);
    }

    /// What the native that waits now waits for, with a number that says which.
    #[inline]
    pub fn wait(&self) -> (WaitReason, u64) {
        self.wait
    }

    pub fn task(&mut self) -> &mut TaskCx {
        &mut self.task
    }

    /// Whether a call is under way.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Begins a call of `func`. No call may be under way; there are as many `args` as parameters, of their types.
    pub(crate) fn start(&mut self, func: &'static Func, args: impl IntoIterator<Item = Value>) {
        let mut call = self.begin(func);
        args.into_iter().for_each(|arg| call.give(arg));
        call.go();
    }

    /// Begins a call of `func`, whose arguments follow one by one. No call may be under way. Inlined, so that the call lies in
    /// registers.
    #[inline(always)]
    pub(crate) fn begin(&mut self, func: &'static Func) -> Begin<'_> {
        self.make_room(func);
        Begin { machine: self, func, n_given: 0 }
    }

    #[inline(never)]
    fn make_room(&mut self, func: &'static Func) {
        assert_eq!(self.state, State::Idle, "one call at a time");
        self.receiver = None;
        if self.stack.len() < LINK + func.frame_size {
            self.resize(func.first_stack());
        }
        lay_out(&mut self.stack, func);
    }

    /// No call is under way and none will be for a while: the stack is for others. The next call gets another.
    pub(crate) fn give_back_stack(&mut self) {
        if self.state == State::Idle && !self.stack.is_empty() {
            self.regs = std::ptr::null_mut();
            self.stack_end = std::ptr::null_mut();
            meter::resize_stack(self.stack.len() * 8, 0);
            let stack = std::mem::take(&mut self.stack);
            if stack.len() <= MAX_FIRST_STACK {
                SPARE.set(stack);
            }
        }
    }

    fn resize(&mut self, n: usize) {
        if self.stack.is_empty() {
            self.stack = new_stack(n);
            self.regs = self.stack.as_mut_ptr();
            self.stack_end = self.stack.as_mut_ptr_range().end;
            return;
        }
        let offset = if self.regs.is_null() { 0 } else { self.offset() };
        let mut stack = vec![0; n].into_boxed_slice();
        stack[..self.stack.len()].copy_from_slice(&self.stack);
        meter::resize_stack(self.stack.len() * 8, n * 8);
        self.stack = stack;
        // SAFETY: the offset was inside the old stack, and the new one is longer.
        unsafe {
            self.regs = self.stack.as_mut_ptr().add(offset);
            self.stack_end = self.stack.as_mut_ptr().add(n);
        }
    }

    pub(super) fn first_register(&mut self) -> *mut u64 {
        // SAFETY: a stack that a call was started on begins with a link and a frame.
        unsafe { self.stack.as_mut_ptr().add(LINK) }
    }

    fn offset(&self) -> usize {
        (self.regs as usize - self.stack.as_ptr() as usize) / 8
    }

    /// Makes room for `wanted` slots behind the current frame; `false` at the limit.
    fn grow(&mut self) -> bool {
        // SAFETY: the link in front of a frame names its function.
        let func = unsafe { &*(*self.regs.sub(3) as *const Func) };
        let needed = self.offset() + func.frame_size + self.wanted + LINK;
        let limit = (self.task.program().options.stack_limit / 8).min(MAX_STACK);
        if needed > limit {
            return false;
        }
        // Small ones grow to the size that a later task of this function begins with: by no more than is used.
        let doubled = if self.stack.len() < MAX_FIRST_STACK { 0 } else { self.stack.len() * 2 };
        let wanted = doubled.max(needed).min(limit);
        self.resize(wanted);
        // SAFETY: the stack begins with the link of the first frame.
        let first = unsafe { &*(self.stack[0] as *const Func) };
        first.first_stack.fetch_max(wanted.min(MAX_FIRST_STACK), Relaxed);
        true
    }

    /// Runs for at most `budget` reductions.
    pub fn run(&mut self, budget: u32, interrupt: Option<Interrupt>) -> Turn {
        assert_ne!(self.state, State::Idle, "a call has been started");
        self.budget = i64::from(budget);
        self.cancel_delivered = false;
        if let Some(interrupt) = interrupt
            && self.state == State::Waiting
            && self.is_due(interrupt)
            && let Some(turn) = self.interrupt_here(interrupt)
        {
            return turn;
        }
        self.run_on(interrupt)
    }

    /// Inlined, as what it calls: turns of most tasks are short.
    #[inline(always)]
    fn run_on(&mut self, interrupt: Option<Interrupt>) -> Turn {
        loop {
            let exit = self.stretch();
            if let Some(turn) = self.after(exit, interrupt) {
                return turn;
            }
        }
    }

    /// Runs until something is to be done about it.
    #[inline(always)]
    fn stretch(&mut self) -> Result<Exit, String> {
        self.state = State::Ready;
        // SAFETY: `start` or an earlier stretch left the machine at an instruction of the frame at `regs`.
        let exit = panics::catch(|| unsafe { enter(self) });
        crate::actor::end_gathering();
        if observe::is_due() {
            self.look(&exit);
        }
        exit
    }

    /// What a stretch has come to; `None`: it goes on.
    #[inline(always)]
    fn after(&mut self, exit: Result<Exit, String>, interrupt: Option<Interrupt>) -> Option<Turn> {
        match exit {
            Ok(Exit::Yield) => {
                jit::seen(self);
                if !meter::is_over() {
                    return Some(Turn::Yield);
                }
                self.fault_before(Fault::out_of_memory())
            }
            Ok(Exit::Grow) => match self.grow() {
                true => None,
                false => {
                    let limit = self.task.program().options.stack_limit;
                    let message = format!("calls are nested too deep: the stack limit of {limit} bytes is reached");
                    self.fault_before(Fault::new(FaultKind::StackOverflowError, message))
                }
            },
            Ok(Exit::Suspend) => {
                self.state = State::Waiting;
                // Once: a `finally` that cleans up may wait in the same turn.
                match interrupt {
                    Some(Interrupt::Cancel) if !self.cancel_delivered && self.is_due(Interrupt::Cancel) => {
                        self.interrupt_here(Interrupt::Cancel)
                    }
                    Some(Interrupt::Scope) if self.is_due(Interrupt::Scope) => self.interrupt_here(Interrupt::Scope),
                    _ => Some(Turn::Wait),
                }
            }
            Ok(Exit::Return) => {
                // SAFETY: the frame at `regs` is the first one and has dropped all but its `&mut` parameters.
                let func: &'static Func = unsafe { &*(*self.regs.sub(3) as *const Func) };
                self.state = State::Idle;
                // SAFETY: as above.
                unsafe { self.keep_receiver(func) };
                Some(Turn::Done(TaskEnd::Returned(Value::from_raw(self.result, func.ret))))
            }
            Ok(Exit::Fault) => self.raise_pending(),
            Ok(Exit::Next) => unreachable!("`enter` goes on by itself"),
            Err(panic) => {
                heap::after_panic();
                let fault = Fault::internal(panic);
                if std::mem::take(&mut self.is_saved) {
                    // Whoever said so stood behind the first word of its instruction.
                    // SAFETY: so this is that word.
                    self.ip = unsafe { self.ip.sub(1) };
                    self.fault_before(fault)
                } else {
                    // Nobody knows what the frames hold: they are left as they are, their values leak.
                    self.forget_frames();
                    return Some(Turn::Done(TaskEnd::Failed(self.code.error_value(fault))));
                }
            }
        }
    }

    #[inline(never)]
    fn run_after(&mut self, exit: Result<Exit, String>, interrupt: Option<Interrupt>) -> Turn {
        self.after(exit, interrupt).unwrap_or_else(|| self.run_on(interrupt))
    }

    /// Calls `func`, whose parameters are a `&mut` reference and one of the type of `message`, and which gives nothing; `state` is
    /// the first, and is there again afterwards. What is rare, a stretch that did not end in a return, is given as it would be by `run`;
    /// boxed, so that nothing is moved where there is nothing.
    /// No call may be under way.
    #[inline(always)]
    pub(crate) fn handle(
        &mut self,
        func: &'static Func,
        state: &mut Option<Value>,
        message: Value,
        budget: i64,
        interrupt: Option<Interrupt>,
    ) -> Option<Box<Turn>> {
        self.make_room(func);
        let ([state_type, message_type], [_, _, _, first, second, ..]) = (func.params(), &mut self.stack[..]) else {
            unreachable!("the caller has looked at the parameters, and there is room for them")
        };
        *first = state.take().expect("a state is there unless a call has it").into_slot(state_type);
        *second = message.into_slot(message_type);
        Begin { machine: self, func, n_given: 2 }.go();
        self.budget = budget;
        self.cancel_delivered = false;
        let exit = self.stretch();
        if !matches!(exit, Ok(Exit::Return)) {
            return Some(Box::new(self.run_after(exit, interrupt)));
        }
        self.state = State::Idle;
        // SAFETY: the function has returned, and its first register holds the final value of its first parameter.
        let bits = unsafe { std::mem::take(&mut *self.first_register()) };
        *state = Some(Value::from_raw(bits, state_type));
        None
    }

    /// Tells a profiler where the machine stands.
    #[cold]
    fn look(&mut self, exit: &Result<Exit, String>) {
        let word = match exit {
            Ok(Exit::Yield | Exit::Grow | Exit::Suspend) => self.ip,
            // SAFETY: they leave `ip` behind the first word of their instruction.
            Ok(Exit::Return | Exit::Fault) => unsafe { self.ip.sub(1) },
            // After a panic nobody knows what the frames hold.
            Ok(Exit::Next) | Err(_) => return,
        };
        // SAFETY: the machine stands at that word in the frame at `regs`, whose link is there until the next call.
        let calls = unsafe { Machine::calls(word, self.regs) };
        observe::look(&mut self.task, calls, None);
    }

    /// Whether the last `run` delivered the cancelling it was asked to deliver.
    pub fn has_delivered_cancel(&self) -> bool {
        self.cancel_delivered
    }

    /// Whether the call that waits is to end with `interrupt` now.
    fn is_due(&self, interrupt: Interrupt) -> bool {
        let is_shielded = || self.resume.as_ref().is_some_and(Kept::is::<Aborting>);
        match interrupt {
            Interrupt::Injected => true,
            Interrupt::Cancel => !is_shielded(),
            // The scope may have ended since the turn began.
            Interrupt::Scope => {
                let scheduler = self.task.program().scheduler();
                !is_shielded()
                    && scheduler
                        .and_then(|scheduler| scheduler.with_current(|me| me.shared().hear_of_scopes()))
                        .unwrap_or(false)
            }
        }
    }

    /// Raises at the call that waits, whose native is not called again.
    fn interrupt_here(&mut self, interrupt: Interrupt) -> Option<Turn> {
        self.cancel_delivered |= interrupt == Interrupt::Cancel;
        self.task.hears_cancel &= interrupt != Interrupt::Cancel;
        self.fault_before(interrupt.fault())
    }

    /// Raises at an instruction that has not begun; its arguments are dropped.
    fn fault_before(&mut self, fault: Fault) -> Option<Turn> {
        self.resume = None;
        // SAFETY: the machine stands at the start of an instruction of the frame at `regs`.
        unsafe {
            let func = &*(*self.regs.sub(3) as *const Func);
            self.drop_args(func, func.pc_of(self.ip), self.regs);
            self.ip = self.ip.add(1);
        }
        self.pending = Some(Pending::Fault(fault));
        self.raise_pending()
    }

    fn raise_pending(&mut self) -> Option<Turn> {
        let pending = self.pending.take().expect("a fault says what it is");
        // SAFETY: `ip` is just behind the first word of the instruction that failed, in the frame at `regs`.
        match unsafe { self.raise(pending) } {
            // A loop of errors has a jump or a call in it, where it stops when the budget is spent. Not so a handler that
            // a module made to catch its own errors: it stops here.
            None => {
                self.budget -= RAISE_COST;
                (self.budget < -MAX_DEBT).then_some(Turn::Yield)
            }
            Some(failed) => {
                self.state = State::Idle;
                Some(Turn::Done(match failed {
                    Failed::Error(error) => TaskEnd::Failed(error),
                    Failed::Exit(status) => TaskEnd::Exit(status),
                }))
            }
        }
    }

    /// After the end: the final value of the first function's first parameter, if that is `&mut`.
    #[inline]
    pub fn take_receiver(&mut self) -> Option<Value> {
        self.receiver.take()
    }

    /// After a panic: no call is under way any more, and what its frames held is leaked.
    pub(crate) fn forget_frames(&mut self) {
        self.resume = None;
        self.pending = None;
        self.is_saved = false;
        self.state = State::Idle;
        self.receiver = None;
    }

    /// Ends a call that is under way, in the turn of its own task: what it holds of zones goes back as it is, and nothing else of
    /// it runs any more.
    pub fn end_call(&mut self) {
        /// A guard's end is some ten instructions.
        const BUDGET: i64 = 10_000;
        if self.state != State::Idle && self.holds_zone() {
            self.is_ended = true;
            self.budget = BUDGET;
            let fault = Fault::new(FaultKind::CancelledError, "the call was ended");
            if self.fault_before(fault).is_none() {
                drop(self.run_on(None));
            }
            self.is_ended = false;
        }
        self.abandon();
        self.receiver = None;
    }

    fn holds_zone(&self) -> bool {
        let mut holds = false;
        let mut see = |func: &'static Func, pc: usize| {
            let covers = |handler: &&Handler| (handler.start..handler.end).contains(&(pc as u32));
            let mut handlers = func.def.handlers.iter().filter(covers);
            holds |= handlers.any(|handler| self.pad(func, handler) == Some(Pad::EndsGuard));
            !holds
        };
        // SAFETY: the machine stands at the start of an instruction of the frame at `regs`.
        unsafe { Machine::walk(self.ip, self.regs, &mut see) };
        holds
    }

    /// What a landing pad does for the compiler's sake alone; `None`: it is of the program, or not known.
    pub(super) fn pad(&self, func: &'static Func, handler: &Handler) -> Option<Pad> {
        let mut found = Pad::GivesBack;
        for instr in &func.def.code[handler.target.index()..] {
            use Instr::*;
            match *instr {
                CallNative { native, .. } => match self.code.natives[native.index()].row.name {
                    "zone_read_end" | "zone_write_end" => found = Pad::EndsGuard,
                    _ => return None,
                },
                LoadImm { .. } | LoadScalar { .. } | Arg { .. } | ArgCopy { .. } | ArgMove { .. } => {}
                TakeBack { .. } | Copy { .. } | CopyRef { .. } | MoveRef { .. } | DropRef { .. } => {}
                AtReg { .. } | AtField { .. } | AtPayload { .. } | AtIndex { .. } | AtKey { .. } | StoreAt { .. } => {}
                Rethrow { .. } => return Some(found),
                _ => return None,
            }
        }
        None
    }

    /// Ends a call that is under way, dropping what its frames hold.
    pub fn abandon(&mut self) {
        if self.state == State::Idle {
            return;
        }
        self.resume = None;
        // SAFETY: the machine stands at the start of an instruction of the frame at `regs`.
        unsafe {
            let func = &*(*self.regs.sub(3) as *const Func);
            self.drop_args(func, func.pc_of(self.ip), self.regs);
            self.ip = self.ip.add(1);
            drop(self.raise(Pending::Fault(Fault::exit(0))));
        }
        self.state = State::Idle;
        self.receiver = None;
    }
}

/// What the compiler has written for an error on its way out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pad {
    /// Puts the value of a zone back.
    EndsGuard,
    /// Brings `&mut` arguments home.
    GivesBack,
}

/// One of at least `n` slots, charged to the current heap.
fn new_stack(n: usize) -> Box<[u64]> {
    let spare = SPARE.take();
    let stack = if spare.len() >= n { spare } else { vec![0; n].into_boxed_slice() };
    meter::resize_stack(0, stack.len() * 8);
    stack
}

/// The first frame, of a call of `func`: its link, and null where references will be. What it is given is written behind that.
fn lay_out(stack: &mut [u64], func: &'static Func) {
    let (link, frame) = stack.split_at_mut(LINK);
    link.copy_from_slice(&[func as *const Func as u64, 0, 0]);
    frame[func.zero.clone()].fill(0);
}

/// A call that has not all of its arguments yet.
pub(crate) struct Begin<'a> {
    machine: &'a mut Machine,
    func: &'static Func,
    n_given: usize,
}

impl Begin<'_> {
    /// The next argument, which is of its parameter's type.
    #[inline(always)]
    pub fn give(&mut self, arg: Value) {
        let info = self.func.params()[self.n_given];
        self.machine.stack[LINK + self.n_given] = arg.into_slot(info);
        self.n_given += 1;
    }

    /// How many arguments are still to come.
    #[inline]
    pub fn n_missing(&self) -> usize {
        self.func.params().len() - self.n_given
    }

    /// All of them are there.
    #[inline]
    pub fn go(self) {
        let Begin { machine, func, n_given } = self;
        assert_eq!(n_given, func.params().len(), "arguments of {func:?}");
        // SAFETY: the stack has `LINK` slots and a frame behind them.
        machine.regs = unsafe { machine.stack.as_mut_ptr().add(LINK) };
        machine.ip = func.entry();
        machine.state = State::Ready;
    }
}

impl Drop for Machine {
    /// The heap that pays must be current.
    fn drop(&mut self) {
        self.abandon();
        self.receiver = None;
        self.give_back_stack();
        heap::local::drop_cells();
    }
}
