//! The verifier: everything that the interpreter will not check again.
//!
//! `structure` looks at the module's tables (types, methods, natives, globals, entry), then each function is walked once: `typing` has the rule of
//! every instruction, `flow` the rules between instructions (outgoing area, `take_back`, cursor chains, jumps), `definite` the
//! dataflow that keeps null references out of reach. Time is linear in the module but for `definite`, which has a stated
//! budget; memory is bounded by [`limits`].
//!
//! What a verified module promises: every id, register, slot, field, variant and jump target exists; every register holds a value of its declared
//! type, a reference register that is read is not null, callees get what their signature says. What it does not promise:
//! small integers may be out of their type's range (code generation puts `fit_int`), a field or element that `take_at` took is null
//! until it is stored again, so `load_at`, `take_at`, `get_field`, `get_payload` and `vec_get` check references they read, and a native's scheme is checked
//! when the module is loaded.

mod definite;
mod flow;
mod structure;
mod typing;

use std::fmt;
use std::ops::Deref;

use crate::module::Module;

/// Sizes above which a module is refused. They keep verification, loading and a frame small enough to be planned.
pub mod limits {
    /// Registers of a function; a window of them is 32 KiB.
    pub const MAX_REGISTERS: usize = 4096;
    /// Slots of the outgoing area.
    pub const MAX_OUT: u16 = 255;
    /// Instructions of a function.
    pub const MAX_CODE: usize = 1 << 24;
    /// Rows of any table of a module.
    pub const MAX_ROWS: usize = 1 << 24;
    /// Fields of a type, variants of an enum, handlers of an actor.
    pub const MAX_MEMBERS: usize = 1 << 16;
    /// Parts of a tuple or signature.
    pub const MAX_PARAMS: usize = MAX_OUT as usize;
    /// Rows of a function's handler table.
    pub const MAX_HANDLERS: usize = 1 << 16;
    /// 64-bit words of register sets kept at once while a function is checked: 32 MiB.
    pub const MAX_FLOW_WORDS: usize = 1 << 22;
    /// Words of register sets that may be looked at for one module: about a second. Loops nested ten deep need a handful of rounds.
    pub const MAX_FLOW_STEPS: usize = 1 << 29;
}

/// A module that passed `verify`. The interpreter takes nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedModule(Module);

impl VerifiedModule {
    pub fn into_inner(self) -> Module {
        self.0
    }
}

impl Deref for VerifiedModule {
    type Target = Module;
    fn deref(&self) -> &Module {
        &self.0
    }
}

/// Why a module was refused: where, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// A function's name and number, or a table's row: `function 3 (pick)`, `type 7`.
    pub place: String,
    /// The instruction, when it is about one.
    pub pc: Option<u32>,
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pc {
            Some(pc) => write!(f, "{} at {pc}: {}", self.place, self.message),
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Checks `module` and says the first thing that is wrong with it.
pub fn verify(module: Module) -> Result<VerifiedModule, VerifyError> {
    structure::check(&module)?;
    let facts = typing::Facts::new(&module);
    let mut steps_left = limits::MAX_FLOW_STEPS;
    for (i, function) in module.functions.iter().enumerate() {
        let typing = typing::Typing { module: &module, function, facts: &facts };
        flow::check(typing).and_then(|()| definite::check(typing, &mut steps_left)).map_err(|(pc, message)| {
            VerifyError { place: structure::function_place(&module, i), pc: Some(pc), message }
        })?;
    }
    Ok(VerifiedModule(module))
}

/// A sentence about what is wrong; the caller knows where.
type Check<T = ()> = Result<T, String>;

/// `Err` of a formatted sentence unless the condition holds.
macro_rules! ensure {
    ($cond:expr, $($message:tt)*) => { if !$cond { return Err(format!($($message)*)); } };
}
use ensure;
