//! Cranelift, set up for this machine.

use super::Stats;
use super::layout::VecLayout;
use super::memory::Memory;
use super::plan::Plan;
use super::runtime::Run;
use super::translate;
use crate::load::{CodeSpace, Func};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;

/// Bytes of machine code of one function at most.
const MAX_CODE: usize = 4 << 20;

pub(super) struct Compiler {
    isa: OwnedTargetIsa,
    context: Context,
    frontend: FunctionBuilderContext,
    vec: VecLayout,
    memory: Memory,
    pub stats: Stats,
}

impl Compiler {
    /// An error says why nothing can be compiled here.
    pub fn new() -> Result<Compiler, String> {
        // Elsewhere another core would have to be told before it may run what this one wrote.
        if !cfg!(all(target_arch = "x86_64", unix)) {
            return Err("machine code is made for x86-64 on Unix alone".to_string());
        }
        let mut flags = settings::builder();
        let wanted = [
            ("opt_level", "speed"),
            ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
            // Nothing unwinds through it, and calls are checked against the end of the stack.
            ("unwind_info", "false"),
            ("enable_probestack", "false"),
        ];
        for (name, value) in wanted {
            flags.set(name, value).map_err(|error| format!("Cranelift's setting {name}: {error}"))?;
        }
        let isa = cranelift_native::builder()?
            .finish(settings::Flags::new(flags))
            .map_err(|error| format!("Cranelift on this processor: {error}"))?;
        let vec = VecLayout::find().ok_or("Rust's vectors are not three words here")?;
        let mut memory = Memory::default();
        // Asked once: where the system refuses, functions would be compiled in vain.
        memory.publish(&[0xc3])?;
        Ok(Compiler {
            isa,
            context: Context::new(),
            frontend: FunctionBuilderContext::new(),
            vec,
            memory,
            stats: Stats::default(),
        })
    }

    /// Forgets what a compilation that failed has left.
    pub fn reset(&mut self) {
        self.context = Context::new();
        self.frontend = FunctionBuilderContext::new();
    }

    /// The machine code of `func`, and the instructions at which it is entered, by number; `None` when there cannot be any.
    pub fn compile(&mut self, func: &'static Func, space: &'static CodeSpace) -> Option<(Run, Vec<usize>)> {
        let plan = Plan::of(func, space)?;
        self.context.clear();
        self.context.func.signature = translate::run_signature(CallConv::SystemV);
        let config = self.isa.frontend_config();
        translate::translate(&mut self.context.func, &mut self.frontend, config, func, space, &plan, self.vec);
        let compiled = self.context.compile(&*self.isa, &mut ControlPlane::default()).ok()?;
        let code = compiled.code_buffer();
        // All calls go through addresses; a library call of Cranelift's own would need one.
        if !compiled.buffer.relocs().is_empty() || code.len() > MAX_CODE {
            return None;
        }
        let address = self.memory.publish(code).ok()?;
        self.stats.functions += 1;
        self.stats.bytes += code.len();
        // SAFETY: the code was made with the signature that `Run` states, and is never freed or changed.
        let run = unsafe { std::mem::transmute::<*const u8, Run>(address) };
        Some((run, plan.entries))
    }
}
