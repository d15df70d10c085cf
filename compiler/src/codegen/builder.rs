//! One function being generated: its registers, code, labels, error handlers and what surrounds the current point.

use super::Generator;
use crate::hir::{self, Body, Expr, LocalId, ParamMode, Ty};
use stark_bytecode as bc;
use stark_bytecode::{Count, Instr, Out, Reg, Target, TypeId};
use stark_syntax::source::Span;
use std::collections::HashMap;
use std::rc::Rc;

/// Limits of a function; the format would allow more, and nothing that is read by people comes near.
const MAX_REGISTERS: usize = 4096;
const MAX_INSTRUCTIONS: usize = 1 << 24;

/// A place in the code that jumps may name before it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(u32);

/// A stretch of code whose errors go to `target`. The ranges have holes where a `finally` was written inline.
struct Region {
    depth: usize,
    ranges: Vec<(u32, u32)>,
    open: Option<u32>,
    target: Label,
    err: Reg,
}

/// What a `break`, `continue` or `return` passes on its way out.
#[derive(Clone)]
pub enum Exit<'h> {
    Loop {
        on_break: Label,
        on_continue: Label,
        n_scopes: usize,
        n_regions: usize,
    },
    /// Code to run on every way out, and the region index from which regions are left while it runs.
    Finally {
        code: Cleanup<'h>,
        region: usize,
    },
}

#[derive(Clone)]
pub enum Cleanup<'h> {
    Block(&'h Expr),
    /// Puts the value of a zone back, by this native.
    PutZone {
        zone: u32,
        register: Reg,
        ty: Ty,
        put: &'static str,
    },
    /// Waits for the tasks of a `scope`.
    JoinGroup(Reg),
}

/// After a failed call: bring `&mut` arguments home, then throw again. Written behind the function's code.
pub struct Pad {
    pub at: u32,
    pub regions: Vec<usize>,
    pub backs: Vec<super::place::Back>,
}

pub struct FnBuilder<'g, 'p> {
    pub g: &'g mut Generator<'p>,
    name: String,
    pub ret: Ty,
    /// What the function's type parameters stand for.
    pub type_args: Vec<Ty>,
    pub span: Span,
    registers: Vec<TypeId>,
    n_params: u16,
    n_captures: u16,
    inout: Vec<u16>,
    n_out: u16,
    code: Vec<Instr>,
    spans: Vec<(u32, Span)>,
    labels: Vec<Option<u32>>,
    free: HashMap<TypeId, Vec<Reg>>,
    pub locals: HashMap<LocalId, Reg>,
    pub local_types: Vec<Ty>,
    local_names: Vec<(Reg, Rc<str>)>,
    /// Locals that are never assigned: their register can be read where it is, however late.
    pub is_constant: Vec<bool>,
    /// Temporaries for values of type `()` that nobody will read: they are not written.
    pub voids: Vec<Reg>,
    /// Numbers that the loops around the current point keep in registers, by type and bits.
    pub kept_literals: HashMap<(TypeId, u64), Reg>,
    /// Locals whose only use may take the value away.
    pub single_use: Vec<bool>,
    /// Variables that stand for the value of a zone while its guard is held.
    pub guards: Vec<LocalId>,
    /// The variables of named dimensions.
    pub dims: &'p [(Rc<str>, LocalId)],
    /// Names of the type that is checked, which no signature has.
    pub own_sizes: Vec<(Rc<str>, Reg)>,
    /// Registers of parameters that are moved out again.
    pub inout_registers: Vec<Reg>,
    /// Reference registers to drop at the end of each open scope.
    scopes: Vec<Vec<Reg>>,
    pub exits: Vec<Exit<'p>>,
    regions: Vec<Region>,
    open_regions: Vec<usize>,
    pads: Vec<Pad>,
    /// The boxed error behind a `catch`'s variable.
    pub caught: HashMap<LocalId, Reg>,
}

impl<'g, 'p> FnBuilder<'g, 'p> {
    pub fn new(g: &'g mut Generator<'p>, name: &str, ret: Ty, type_args: Vec<Ty>, span: Span) -> FnBuilder<'g, 'p> {
        FnBuilder {
            g,
            name: name.to_string(),
            ret,
            type_args,
            span,
            registers: Vec::new(),
            n_params: 0,
            n_captures: 0,
            inout: Vec::new(),
            n_out: 0,
            code: Vec::new(),
            spans: Vec::new(),
            labels: Vec::new(),
            free: HashMap::new(),
            locals: HashMap::new(),
            local_types: Vec::new(),
            local_names: Vec::new(),
            is_constant: Vec::new(),
            voids: Vec::new(),
            kept_literals: HashMap::new(),
            single_use: Vec::new(),
            guards: Vec::new(),
            dims: &[],
            own_sizes: Vec::new(),
            inout_registers: Vec::new(),
            scopes: vec![Vec::new()],
            exits: Vec::new(),
            regions: Vec::new(),
            open_regions: Vec::new(),
            pads: Vec::new(),
            caught: HashMap::new(),
        }
    }

    // --- registers ---------------------------------------------------------------------------------------------------

    fn new_register(&mut self, ty: TypeId) -> Reg {
        let register = Reg(self.registers.len().min(u16::MAX as usize) as u16);
        self.registers.push(ty);
        register
    }

    /// A register for a value that lives until `release`.
    pub fn temp(&mut self, ty: &Ty) -> Reg {
        let ty = self.type_id(ty);
        match self.free.get_mut(&ty).and_then(Vec::pop) {
            Some(register) => register,
            None => self.new_register(ty),
        }
    }

    /// Gives a temporary back; a reference that it still holds is dropped.
    pub fn release(&mut self, register: Reg) {
        if self.is_ref_register(register) {
            self.emit(Instr::DropRef { reg: register });
        }
        self.recycle(register);
    }

    /// Gives back a temporary that holds nothing any more (its value was moved), or a scalar.
    pub fn recycle(&mut self, register: Reg) {
        let ty = self.registers[register.index()];
        self.free.entry(ty).or_default().push(register);
    }

    pub fn is_ref_register(&self, register: Reg) -> bool {
        self.registers.get(register.index()).is_some_and(|t| self.g.module.is_ref(*t))
    }

    pub fn register_type(&self, register: Reg) -> TypeId {
        self.registers[register.index()]
    }

    pub fn int_temp(&mut self, value: i64) -> Reg {
        let register = self.temp(&Ty::INT);
        self.load_bits(register, value as u64);
        register
    }

    pub fn load_bits(&mut self, dst: Reg, bits: u64) {
        match i16::try_from(bits as i64) {
            Ok(imm) => self.emit(Instr::LoadImm { dst, imm }),
            Err(_) => {
                let id = self.g.scalar(bits);
                self.emit(Instr::LoadScalar { dst, id });
            }
        }
    }

    pub fn load_text(&mut self, text: &str) -> Reg {
        let dst = self.temp(&Ty::Str);
        let id = self.g.string(text);
        self.emit(Instr::LoadStr { dst, id });
        dst
    }

    /// The concrete type.
    pub fn ty(&self, ty: &Ty) -> Ty {
        if self.type_args.is_empty() { ty.clone() } else { ty.subst(&self.type_args) }
    }

    pub fn tys(&self, tys: &[Ty]) -> Vec<Ty> {
        tys.iter().map(|t| self.ty(t)).collect()
    }

    pub fn type_id(&mut self, ty: &Ty) -> TypeId {
        let ty = self.ty(ty);
        self.g.type_id(&ty)
    }

    pub fn is_ref(&mut self, ty: &Ty) -> bool {
        let id = self.type_id(ty);
        self.g.module.is_ref(id)
    }

    // --- parameters and locals -----------------------------------------------------------------------------------------

    pub fn plain_parameter(&mut self, ty: &Ty, inout: bool) -> Reg {
        let id = self.type_id(ty);
        let register = self.new_register(id);
        if inout {
            self.inout.push(self.n_params);
            self.inout_registers.push(register);
        }
        self.n_params += 1;
        register
    }

    pub fn parameter(&mut self, body: &Body, local: LocalId, mode: ParamMode) {
        let decl = &body.locals[local.index()];
        let register = self.plain_parameter(&decl.ty, mode == ParamMode::RefMut);
        self.locals.insert(local, register);
        self.local_names.push((register, decl.name.clone()));
    }

    pub fn captured_parameter(&mut self, body: &Body, local: LocalId) {
        self.parameter(body, local, ParamMode::Value);
        self.n_captures += 1;
    }

    /// Generates a body whose parameters are already bound, and the return at its end.
    pub fn body(&mut self, body: &'p Body) {
        self.local_types = body.locals.iter().map(|l| self.ty(&l.ty)).collect();
        self.dims = &body.dims;
        self.single_use = super::place::single_uses(body);
        for (local, register) in &self.locals {
            // What was lent must still be there at the end.
            if self.inout_registers.contains(register) {
                self.single_use[local.index()] = false;
            }
        }
        self.is_constant = body.locals.iter().map(|l| !l.mutable).collect();
        let names: Vec<Rc<str>> = body.locals.iter().map(|l| l.name.clone()).collect();
        let ret = self.ret.clone();
        if ret == Ty::Unit || ret == Ty::Never {
            self.effect(&body.value);
            let unit = self.temp(&Ty::Unit);
            self.emit(Instr::LoadImm { dst: unit, imm: 0 });
            self.emit(Instr::ReturnScalar { src: unit });
        } else {
            let dst = self.temp(&ret);
            self.into(&body.value, dst);
            self.return_register(dst, &ret);
        }
        let mut named: Vec<_> = self.locals.iter().map(|(l, r)| (*r, names[l.index()].clone())).collect();
        named.sort();
        self.local_names = named;
    }

    pub fn local(&mut self, local: LocalId) -> Reg {
        if let Some(register) = self.locals.get(&local) {
            return *register;
        }
        let ty = self.local_types[local.index()].clone();
        let id = self.g.type_id(&ty);
        let register = self.new_register(id);
        self.locals.insert(local, register);
        if self.g.module.is_ref(id) {
            self.scopes.last_mut().expect("a scope is open").push(register);
        }
        register
    }

    pub fn return_register(&mut self, register: Reg, ty: &Ty) {
        if self.is_ref(ty) {
            self.emit(Instr::ReturnRef { src: register });
        } else {
            self.emit(Instr::ReturnScalar { src: register });
        }
    }

    // --- scopes --------------------------------------------------------------------------------------------------------

    pub fn open_scope(&mut self) {
        self.scopes.push(Vec::new());
    }

    /// Values of the scope's variables end here.
    pub fn close_scope(&mut self) {
        let registers = self.scopes.pop().unwrap_or_default();
        for register in registers.into_iter().rev() {
            self.emit(Instr::DropRef { reg: register });
        }
    }

    pub fn n_scopes(&self) -> usize {
        self.scopes.len()
    }

    /// Drops what scopes deeper than `n_scopes` hold, without closing them (a jump leaves them).
    pub fn leave_scopes(&mut self, n_scopes: usize) {
        let registers: Vec<Reg> = self.scopes[n_scopes..].iter().flatten().rev().copied().collect();
        for register in registers {
            self.emit(Instr::DropRef { reg: register });
        }
    }

    // --- code ----------------------------------------------------------------------------------------------------------

    pub fn emit(&mut self, instr: Instr) {
        let at = self.code.len() as u32;
        if self.spans.last().is_none_or(|(_, s)| *s != self.span) {
            self.spans.push((at, self.span));
        }
        self.code.push(instr);
    }

    pub fn position(&self) -> u32 {
        self.code.len() as u32
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    pub fn place_label(&mut self, label: Label) {
        self.labels[label.0 as usize] = Some(self.position());
    }

    // Targets hold label numbers until `finish`.
    pub fn jump(&mut self, label: Label) {
        self.emit(Instr::Jump { to: Target(label.0) });
    }

    pub fn jump_if(&mut self, cond: Reg, label: Label) {
        self.emit(Instr::JumpIf { cond, to: Target(label.0) });
    }

    pub fn jump_if_not(&mut self, cond: Reg, label: Label) {
        self.emit(Instr::JumpIfNot { cond, to: Target(label.0) });
    }

    /// Puts a register into an outgoing slot; `consume` moves a reference instead of sharing it.
    pub fn push_arg(&mut self, index: usize, src: Reg, ty: &Ty, consume: bool) {
        let out = Out(index as u16);
        self.n_out = self.n_out.max(index as u16 + 1);
        if !self.is_ref(ty) {
            self.emit(Instr::Arg { out, src });
        } else if consume {
            self.emit(Instr::ArgMove { out, src });
        } else {
            self.emit(Instr::ArgCopy { out, src });
        }
    }

    pub fn count(n: usize) -> Count {
        Count(n as u16)
    }

    // --- errors --------------------------------------------------------------------------------------------------------

    /// From here on errors go to `target` with the error in `err`.
    pub fn open_region(&mut self, target: Label, err: Reg) -> usize {
        let id = self.regions.len();
        let open = Some(self.position());
        self.regions.push(Region { depth: self.open_regions.len(), ranges: Vec::new(), open, target, err });
        self.open_regions.push(id);
        id
    }

    pub fn close_region(&mut self) {
        if let Some(id) = self.open_regions.pop() {
            self.pause(id);
        }
    }

    fn pause(&mut self, id: usize) {
        let at = self.position();
        let region = &mut self.regions[id];
        if let Some(start) = region.open.take()
            && start < at
        {
            region.ranges.push((start, at));
        }
    }

    pub fn n_regions(&self) -> usize {
        self.open_regions.len()
    }

    pub fn in_region(&self) -> bool {
        !self.open_regions.is_empty()
    }

    /// Runs `f` outside the innermost regions down to `keep`: code of a `finally` is not guarded by its own `try`.
    pub fn outside_regions(&mut self, keep: usize, f: impl FnOnce(&mut Self)) {
        let left = self.open_regions.split_off(keep);
        for id in &left {
            self.pause(*id);
        }
        f(self);
        let at = self.position();
        for id in &left {
            self.regions[*id].open = Some(at);
        }
        self.open_regions.extend(left);
    }

    pub fn add_pad(&mut self, at: u32, backs: Vec<super::place::Back>) {
        let regions = self.open_regions.clone();
        self.pads.push(Pad { at, regions, backs });
    }

    fn write_pads(&mut self, handlers: &mut Vec<bc::Handler>) {
        let error = self.error_ty();
        // Registers of their own: what is free here, behind the code, was in use at some of the calls that lead here.
        self.free.clear();
        for pad in std::mem::take(&mut self.pads) {
            let err = self.temp(&error);
            let start = self.position();
            for back in &pad.backs {
                self.emit(Instr::TakeBack { dst: back.register, out: back.out });
            }
            for back in &pad.backs {
                self.put_back(back);
            }
            self.emit(Instr::Rethrow { err });
            let end = self.position();
            self.recycle(err);
            for id in pad.regions {
                self.regions[id].ranges.push((start, end));
            }
            handlers.push(bc::Handler { start: pad.at, end: pad.at + 1, target: Target(start), err });
        }
    }

    /// The finished function.
    pub fn finish(mut self) -> bc::Function {
        let mut handlers = Vec::new();
        self.write_pads(&mut handlers);
        let labels = std::mem::take(&mut self.labels);
        let resolve = |to: &mut Target| to.0 = labels.get(to.0 as usize).copied().flatten().unwrap_or(0);
        for instr in &mut self.code {
            if let Instr::Jump { to } | Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. } = instr {
                resolve(to);
            }
        }
        let mut regions = std::mem::take(&mut self.regions);
        regions.sort_by_key(|r| std::cmp::Reverse(r.depth));
        for region in &regions {
            for (start, end) in &region.ranges {
                let target = Target(labels[region.target.0 as usize].unwrap_or(0));
                handlers.push(bc::Handler { start: *start, end: *end, target, err: region.err });
            }
        }
        let mut lines = Vec::with_capacity(self.spans.len());
        for (pc, span) in &self.spans {
            let (_, line, col) = self.g.sources.location(*span);
            let file = self.g.file(span.source);
            lines.push(bc::Line { pc: *pc, file, line: line as u32, col: col as u32 });
        }
        let sizes =
            [("registers", self.registers.len(), MAX_REGISTERS), ("instructions", self.code.len(), MAX_INSTRUCTIONS)];
        if let Some((what, n, limit)) = sizes.into_iter().find(|(_, n, limit)| n > limit) {
            let what =
                format!("`{}` is too large: {n} {what}, and the limit is {limit}; split it into functions", self.name);
            self.g.unsupported(self.span, what);
        }
        let ret = self.ret.clone();
        let mut function = bc::Function {
            name: self.name.clone(),
            n_params: self.n_params,
            n_captures: self.n_captures,
            inout: std::mem::take(&mut self.inout),
            lent: Vec::new(),
            ret: self.type_id(&ret),
            registers: std::mem::take(&mut self.registers),
            n_out: self.n_out,
            code: std::mem::take(&mut self.code),
            handlers,
            lines,
            debug_names: self.local_names.iter().map(|(r, n)| (*r, n.to_string())).collect(),
        };
        super::tidy::tidy(&mut function, |ty| self.g.module.is_ref(ty));
        function
    }

    /// Whether values of the type move instead of being copied. Of a type as it is written: generic code copies its `T`,
    /// whatever that is.
    pub fn is_unique(&self, written: &Ty) -> bool {
        self.g.unique.is(written)
    }

    /// Whether reading a variable empties its register. Not that of one that is lent: there is a value in it whenever an error
    /// may leave the function, also between the move and the assignment of another value.
    pub fn moves_out(&mut self, local: LocalId, written: &Ty) -> bool {
        if self.single_use.get(local.index()) == Some(&true) {
            return true;
        }
        let register = self.local(local);
        let is_lent = self.guards.contains(&local) || self.inout_registers.contains(&register);
        self.is_unique(written) && !is_lent
    }

    pub fn lang(&self) -> &'p hir::Lang {
        &self.g.program.lang
    }
}
