//! The typing rule of every instruction, as far as it looks at one instruction alone.
//!
//! Types are equal when their numbers are. Scalars are checked by class where every bit pattern is a value (all integer
//! types, `Duration` and `Instant` are *integers*; all float types are *floats*) and exactly where it is not (`Bool`, enums).

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::{Check, ensure};
use crate::instr::Instr;
use crate::module::*;
use crate::operand::*;

/// What many instructions ask about their module, worked out once: a large type or table must not be walked for each.
pub struct Facts {
    /// By type: whether its values are references.
    refs: Vec<bool>,
    /// The methods of each trait, by the type of their dynamic value.
    methods: HashMap<TypeId, Vec<usize>>,
    /// Dynamic types and what was found to implement all their methods.
    implemented: RefCell<HashSet<(TypeId, TypeId)>>,
}

impl Facts {
    /// `module` has passed `structure`.
    pub fn new(module: &Module) -> Facts {
        let mut methods: HashMap<TypeId, Vec<usize>> = HashMap::new();
        for (i, method) in module.methods.iter().enumerate() {
            methods.entry(method.params[0]).or_default().push(i);
        }
        Facts { refs: module.types.iter().map(TypeDesc::is_ref).collect(), methods, implemented: RefCell::default() }
    }
}

/// A function's registers in their module.
#[derive(Clone, Copy)]
pub struct Typing<'m> {
    pub module: &'m Module,
    pub function: &'m Function,
    pub facts: &'m Facts,
}

impl<'m> Typing<'m> {
    /// The declared type of a register. `ranges` has been called.
    pub fn ty(&self, reg: Reg) -> TypeId {
        self.function.registers[reg.index()]
    }

    pub fn desc(&self, reg: Reg) -> &'m TypeDesc {
        self.module.type_desc(self.ty(reg))
    }

    pub fn is_ref(&self, reg: Reg) -> bool {
        self.facts.refs[self.ty(reg).index()]
    }

    /// `r3: Vec<Int>`
    fn show(&self, reg: Reg) -> String {
        format!("r{} is {}", reg.0, self.module.type_name(self.ty(reg)))
    }

    /// Every id, register, slot and target exists.
    pub fn ranges(&self, instr: &Instr) -> Check {
        let in_range = |what: &str, index: usize, len: usize| -> Check {
            ensure!(index < len, "{what} {index} of {len}");
            Ok(())
        };
        for operand in instr.operands() {
            match operand {
                Operand::Def(reg) | Operand::Use(reg) | Operand::Take(reg) | Operand::Change(reg) => {
                    in_range("register", reg.index(), self.function.registers.len())?;
                }
                Operand::Out(out) => in_range("outgoing slot", out.index(), usize::from(self.function.n_out))?,
                Operand::Target(to) => in_range("instruction", to.index(), self.function.code.len())?,
                Operand::FuncId(id) => in_range("function", id.index(), self.module.functions.len())?,
                Operand::NativeId(id) => in_range("native", id.index(), self.module.natives.len())?,
                Operand::TypeId(id) => in_range("type", id.index(), self.module.types.len())?,
                Operand::ScalarId(id) => in_range("scalar", id.index(), self.module.scalars.len())?,
                Operand::StrId(id) => in_range("string", id.index(), self.module.strings.len())?,
                Operand::BlobId(id) => in_range("blob", id.index(), self.module.blobs.len())?,
                Operand::GlobalId(id) => in_range("global", id.index(), self.module.globals.len())?,
                Operand::MethodId(id) => in_range("method", id.index(), self.module.methods.len())?,
                // Checked with the type they belong to.
                Operand::Field(_) | Operand::Variant(_) | Operand::Payload(_) | Operand::Count(_) => {}
                Operand::Imm(_) | Operand::Imm8(_) | Operand::Kind(_) => {}
            }
        }
        Ok(())
    }

    /// A reference that is moved out of a register is not also read or changed by the same instruction.
    fn no_alias(&self, instr: &Instr) -> Check {
        let read = |operand| match operand {
            Operand::Use(reg) | Operand::Change(reg) | Operand::Take(reg) => Some(reg),
            _ => None,
        };
        for (i, operand) in instr.operands().enumerate() {
            let Operand::Take(taken) = operand else { continue };
            let again = instr.operands().enumerate().any(|(j, other)| i != j && read(other) == Some(taken));
            ensure!(!again || !self.is_ref(taken), "r{} is moved and read at once", taken.0);
        }
        Ok(())
    }

    /// A lent register is a part of what is lent, and otherwise only read.
    fn lent(&self, instr: &Instr) -> Check {
        let is_lent = |reg| self.function.is_lent(reg);
        if let Instr::LendField { dst, obj, .. } | Instr::LendPayload { dst, obj, .. } = *instr {
            ensure!(is_lent(dst), "r{} is not lent", dst.0);
            ensure!(is_lent(obj), "a part of r{}, which is not lent", obj.0);
            // Its own part must not stand in its place: others may be parts of it.
            ensure!(usize::from(dst.0) >= usize::from(self.function.n_params), "r{} is a parameter", dst.0);
            return Ok(());
        }
        for operand in instr.operands() {
            if let Operand::Def(reg) | Operand::Take(reg) | Operand::Change(reg) = operand {
                ensure!(!is_lent(reg), "r{} is lent", reg.0);
            }
        }
        Ok(())
    }

    /// The rule of an instruction; those that look at the outgoing area or a cursor are in `flow`.
    pub fn check(&self, instr: &Instr) -> Check {
        self.no_alias(instr)?;
        self.lent(instr)?;
        match *instr {
            Instr::Copy { dst, src } => self.copy(dst, src),
            Instr::CopyRef { dst, src } | Instr::MoveRef { dst, src } => {
                self.reference(src)?;
                if is_any_tensor(self.module, self.ty(src), self.ty(dst)) {
                    return Ok(());
                }
                self.same(dst, self.ty(src))
            }
            Instr::DropRef { reg } => self.reference(reg),
            Instr::LoadImm { dst, imm } => self.constant(dst, i64::from(imm).cast_unsigned()),
            Instr::LoadScalar { dst, id } => self.constant(dst, self.module.scalars[id.index()]),
            Instr::LoadStr { dst, .. } => self.is(dst, "a String", |desc| matches!(desc, TypeDesc::Str)),
            Instr::LoadBytes { dst, .. } => self.is(dst, "Bytes", |desc| matches!(desc, TypeDesc::Bytes)),

            Instr::AddInt { dst, lhs, rhs }
            | Instr::SubInt { dst, lhs, rhs }
            | Instr::MulInt { dst, lhs, rhs }
            | Instr::DivInt { dst, lhs, rhs }
            | Instr::RemInt { dst, lhs, rhs }
            | Instr::PowInt { dst, lhs, rhs }
            | Instr::ShlInt { dst, lhs, rhs }
            | Instr::ShrInt { dst, lhs, rhs }
            | Instr::AddU64 { dst, lhs, rhs }
            | Instr::SubU64 { dst, lhs, rhs }
            | Instr::MulU64 { dst, lhs, rhs }
            | Instr::DivU64 { dst, lhs, rhs }
            | Instr::RemU64 { dst, lhs, rhs }
            | Instr::PowU64 { dst, lhs, rhs }
            | Instr::ShlU64 { dst, lhs, rhs }
            | Instr::ShrU64 { dst, lhs, rhs } => self.ints(&[dst, lhs, rhs]),
            Instr::AndInt { dst, lhs, rhs } | Instr::OrInt { dst, lhs, rhs } | Instr::XorInt { dst, lhs, rhs } => {
                if self.is_bool(dst) {
                    self.boolean(lhs).and(self.boolean(rhs))
                } else {
                    self.ints(&[dst, lhs, rhs])
                }
            }
            Instr::AddIntImm { dst, lhs, .. } => self.ints(&[dst, lhs]),
            Instr::NegInt { dst, src } | Instr::NotInt { dst, src } => self.ints(&[dst, src]),
            Instr::FitInt { dst, src, kind } | Instr::WrapInt { dst, src, kind } | Instr::FitU64 { dst, src, kind } => {
                ensure!(!kind.is_float(), "{} is no integer type", kind.name());
                self.ints(&[dst, src])
            }

            Instr::AddFloat { dst, lhs, rhs }
            | Instr::SubFloat { dst, lhs, rhs }
            | Instr::MulFloat { dst, lhs, rhs }
            | Instr::DivFloat { dst, lhs, rhs }
            | Instr::RemFloat { dst, lhs, rhs }
            | Instr::PowFloat { dst, lhs, rhs } => self.floats(&[dst, lhs, rhs]),
            Instr::NegFloat { dst, src } => self.floats(&[dst, src]),
            Instr::RoundFloat { dst, src, kind } => {
                ensure!(kind.is_float(), "{} is no float type", kind.name());
                self.floats(&[dst, src])
            }
            Instr::IntToFloat { dst, src } | Instr::U64ToFloat { dst, src } => {
                self.ints(&[src])?;
                self.floats(&[dst])
            }
            Instr::FloatToInt { dst, src, kind } => {
                ensure!(!kind.is_float(), "{} is no integer type", kind.name());
                self.floats(&[src])?;
                self.ints(&[dst])
            }

            Instr::EqInt { dst, lhs, rhs }
            | Instr::NeInt { dst, lhs, rhs }
            | Instr::LtInt { dst, lhs, rhs }
            | Instr::LeInt { dst, lhs, rhs } => {
                self.boolean(dst)?;
                self.comparable(lhs, rhs)
            }
            Instr::LtU64 { dst, lhs, rhs } | Instr::LeU64 { dst, lhs, rhs } => {
                self.boolean(dst)?;
                self.ints(&[lhs, rhs])
            }
            Instr::EqFloat { dst, lhs, rhs }
            | Instr::NeFloat { dst, lhs, rhs }
            | Instr::LtFloat { dst, lhs, rhs }
            | Instr::LeFloat { dst, lhs, rhs } => {
                self.boolean(dst)?;
                self.floats(&[lhs, rhs])
            }
            Instr::NotBool { dst, src } => self.boolean(dst).and(self.boolean(src)),

            Instr::Jump { .. } => Ok(()),
            Instr::JumpIf { cond, .. } | Instr::JumpIfNot { cond, .. } => self.boolean(cond),
            Instr::ReturnScalar { src } => {
                self.scalar(src)?;
                self.same(src, self.function.ret)
            }
            Instr::ReturnRef { src } => {
                self.reference(src)?;
                self.same(src, self.function.ret)
            }
            Instr::Throw { err } | Instr::Rethrow { err } => self.is(
                err,
                "a dyn Error",
                |desc| matches!(desc, TypeDesc::Dyn { trait_name } if trait_name == "Error"),
            ),

            Instr::Arg { src, .. } => self.scalar(src),
            Instr::ArgCopy { src, .. } | Instr::ArgMove { src, .. } | Instr::ArgLend { src, .. } => self.reference(src),
            Instr::Call { dst, func } => self.same(dst, self.module.functions[func.index()].ret),
            Instr::CallNative { dst, native } => self.same(dst, self.module.natives[native.index()].ret),
            Instr::CallClosure { dst, closure } => self.same(dst, self.signature(closure)?.1),
            Instr::CallDyn { dst, method } => self.same(dst, self.module.methods[method.index()].ret),
            Instr::TakeBack { .. } => Ok(()),

            Instr::Make { dst } => self.parts(dst).map(|_| ()),
            Instr::MakeVariant { dst, variant } => self.variant(dst, variant.0).map(|_| ()),
            Instr::MakeVec { dst, .. } => self.elem(dst).map(|_| ()),
            Instr::MakeClosure { dst, func } => self.closure(dst, func),
            Instr::MakeDyn { dst, src } => self.make_dyn(dst, src),
            Instr::IsType { dst, src, .. } => self.boolean(dst).and(self.dynamic(src)),
            Instr::Unbox { src, .. } => self.dynamic(src),
            Instr::GetField { dst, obj, field } | Instr::LendField { dst, obj, field } => {
                self.same(dst, self.field(self.ty(obj), field)?)
            }
            Instr::GetTag { dst, obj } => {
                self.ints(&[dst])?;
                self.is(obj, "an enum", |desc| matches!(desc, TypeDesc::Enum { .. }))
            }
            Instr::GetPayload { dst, obj, at } | Instr::LendPayload { dst, obj, at } => {
                self.same(dst, self.payload(self.ty(obj), at)?)
            }
            Instr::VecLen { dst, vec } => {
                self.elem(vec)?;
                self.ints(&[dst])
            }
            Instr::VecGet { dst, vec, idx } => {
                self.ints(&[idx])?;
                self.same(dst, self.elem(vec)?)
            }
            Instr::VecSet { vec, idx, src } => {
                self.ints(&[idx])?;
                self.same(src, self.elem(vec)?)
            }
            Instr::VecPush { vec, src } => self.same(src, self.elem(vec)?),

            Instr::AtReg { reg } => self.reference(reg),
            Instr::AtIndex { idx } => self.ints(&[idx]),
            Instr::AtField { .. } | Instr::AtPayload { .. } | Instr::AtKey { .. } => Ok(()),
            Instr::LoadAt { .. } | Instr::StoreAt { .. } | Instr::TakeAt { .. } => Ok(()),

            Instr::Spawn { dst, func } => {
                let function = &self.module.functions[func.index()];
                ensure!(function.inout.is_empty(), "a task cannot run {}, which has a `&mut` parameter", function.name);
                ensure!(!function.borrows(), "a task cannot run {}, which has a lent parameter", function.name);
                self.future_of(dst, function.ret)
            }
            Instr::SpawnClosure { dst, closure } => {
                let (params, ret) = self.signature(closure)?;
                ensure!(params.is_empty(), "{}, a task needs one without parameters", self.show(closure));
                self.future_of(dst, ret)
            }
            Instr::AwaitTask { dst, src } => self.future_of(src, self.ty(dst)),
            Instr::LoadGlobal { dst: reg, global } | Instr::StoreGlobal { global, src: reg } => {
                let global = &self.module.globals[global.index()];
                ensure!(!global.zone, "{} is a shared zone, only natives reach it", global.name);
                self.same(reg, global.ty)
            }
        }
    }

    // --- classes of types ---

    fn is(&self, reg: Reg, what: &str, test: impl FnOnce(&TypeDesc) -> bool) -> Check {
        ensure!(test(self.desc(reg)), "{}, not {what}", self.show(reg));
        Ok(())
    }

    pub fn same(&self, reg: Reg, ty: TypeId) -> Check {
        ensure!(self.ty(reg) == ty, "{}, not {}", self.show(reg), self.module.type_name(ty));
        Ok(())
    }

    fn scalar(&self, reg: Reg) -> Check {
        self.is(reg, "a scalar", |_| !self.is_ref(reg))
    }

    fn reference(&self, reg: Reg) -> Check {
        self.is(reg, "a reference", |_| self.is_ref(reg))
    }

    fn ints(&self, regs: &[Reg]) -> Check {
        regs.iter().try_for_each(|&reg| self.is(reg, "an integer", is_int))
    }

    fn floats(&self, regs: &[Reg]) -> Check {
        regs.iter().try_for_each(|&reg| self.is(reg, "a float", is_float))
    }

    fn is_bool(&self, reg: Reg) -> bool {
        matches!(self.desc(reg), TypeDesc::Bool)
    }

    fn boolean(&self, reg: Reg) -> Check {
        self.is(reg, "a Bool", |desc| matches!(desc, TypeDesc::Bool))
    }

    fn dynamic(&self, reg: Reg) -> Check {
        self.is(reg, "a dynamic value", |desc| matches!(desc, TypeDesc::Dyn { .. }))
    }

    fn comparable(&self, lhs: Reg, rhs: Reg) -> Check {
        for reg in [lhs, rhs] {
            self.is(reg, "a scalar that is no float", |desc| !self.is_ref(reg) && !is_float(desc))?;
        }
        ensure!(
            self.ty(lhs) == self.ty(rhs) || is_int(self.desc(lhs)) && is_int(self.desc(rhs)),
            "{} but {}",
            self.show(lhs),
            self.show(rhs)
        );
        Ok(())
    }

    /// Also widens: a `Bool` or a plain enum is an integer when it is copied into one, and all floats have one form.
    fn copy(&self, dst: Reg, src: Reg) -> Check {
        self.scalar(src)?;
        let (to, from) = (self.desc(dst), self.desc(src));
        if is_int(to) && !is_float(from) && !matches!(from, TypeDesc::Unit) || is_float(to) && is_float(from) {
            return Ok(());
        }
        self.same(dst, self.ty(src))
    }

    fn constant(&self, dst: Reg, bits: u64) -> Check {
        self.scalar(dst)?;
        let n_values = match self.desc(dst) {
            TypeDesc::Unit => 1,
            TypeDesc::Bool => 2,
            TypeDesc::Enum { variants, .. } => variants.len() as u64,
            _ => return Ok(()),
        };
        ensure!(bits < n_values, "{}, which has no value {bits}", self.show(dst));
        Ok(())
    }

    // --- parts of types ---

    /// The parameters and the result of a function value.
    pub fn signature(&self, reg: Reg) -> Check<(&'m [TypeId], TypeId)> {
        match self.desc(reg) {
            TypeDesc::Fn { params, ret } => Ok((params, *ret)),
            _ => Err(format!("{}, not a function", self.show(reg))),
        }
    }

    /// What `make` builds `reg` from.
    pub fn parts(&self, reg: Reg) -> Check<Vec<TypeId>> {
        match self.desc(reg) {
            TypeDesc::Tuple(types) => Ok(types.clone()),
            TypeDesc::Struct { fields, .. } => Ok(fields.iter().map(|field| field.ty).collect()),
            TypeDesc::Actor(actor) => Ok(actor.fields.iter().map(|field| field.ty).collect()),
            _ => Err(format!("{}, not a tuple, struct or actor", self.show(reg))),
        }
    }

    pub fn variant(&self, reg: Reg, variant: u16) -> Check<&'m VariantDesc> {
        let ty = self.ty(reg);
        ensure!(self.is_ref(reg), "{}, whose variants are plain numbers or which is no enum", self.show(reg));
        self.variant_of(ty, variant)
    }

    fn variant_of(&self, ty: TypeId, variant: u16) -> Check<&'m VariantDesc> {
        let name = || self.module.type_name(ty);
        match self.module.type_desc(ty) {
            TypeDesc::Enum { variants, .. } => {
                let found = variants.get(usize::from(variant));
                found.ok_or_else(|| format!("variant {variant} of {}, which has {}", name(), variants.len()))
            }
            _ => Err(format!("a variant of {}, which is no enum", name())),
        }
    }

    /// The type of a field of `ty`.
    pub fn field(&self, ty: TypeId, field: Field) -> Check<TypeId> {
        let (found, len) = match self.module.type_desc(ty) {
            TypeDesc::Tuple(types) => (types.get(field.index()).copied(), types.len()),
            TypeDesc::Struct { fields, .. } => (fields.get(field.index()).map(|field| field.ty), fields.len()),
            TypeDesc::Actor(actor) => (actor.fields.get(field.index()).map(|field| field.ty), actor.fields.len()),
            _ => return Err(format!("a field of {}, which has none", self.module.type_name(ty))),
        };
        found.ok_or_else(|| format!("field {} of {}, which has {len}", field.0, self.module.type_name(ty)))
    }

    /// The type of a payload field of `ty`.
    pub fn payload(&self, ty: TypeId, at: Payload) -> Check<TypeId> {
        let variant = self.variant_of(ty, at.variant)?;
        match variant.fields.get(usize::from(at.field)) {
            Some(field) => Ok(field.ty),
            None => {
                let name = self.module.type_name(ty);
                Err(format!("payload {} of {name}.{}, which has {}", at.field, variant.name, variant.fields.len()))
            }
        }
    }

    pub fn elem(&self, reg: Reg) -> Check<TypeId> {
        match self.desc(reg) {
            TypeDesc::Vec(elem) => Ok(*elem),
            _ => Err(format!("{}, not a Vec", self.show(reg))),
        }
    }

    fn closure(&self, dst: Reg, func: FuncId) -> Check {
        let (params, ret) = self.signature(dst)?;
        let function = &self.module.functions[func.index()];
        let (own, _) = captures(function);
        ensure!(function.inout.is_empty(), "{} has a `&mut` parameter, a closure cannot", function.name);
        ensure!(!function.borrows(), "{} has a lent parameter, a closure cannot", function.name);
        ensure!(
            own == params && function.ret == ret,
            "{}, which is not the signature of {}",
            self.show(dst),
            function.name
        );
        Ok(())
    }

    /// Every method of the trait must have an implementation for what goes into the dynamic value.
    fn make_dyn(&self, dst: Reg, src: Reg) -> Check {
        self.dynamic(dst)?;
        let (dyn_ty, ty) = (self.ty(dst), self.ty(src));
        if self.facts.implemented.borrow().contains(&(dyn_ty, ty)) {
            return Ok(());
        }
        for &method in self.facts.methods.get(&dyn_ty).into_iter().flatten() {
            let method = &self.module.methods[method];
            let found = method.impls.binary_search_by_key(&ty, |&(ty, _)| ty);
            ensure!(found.is_ok(), "{}, for which {} is not implemented", self.show(src), method.name);
        }
        self.facts.implemented.borrow_mut().insert((dyn_ty, ty));
        Ok(())
    }

    fn future_of(&self, reg: Reg, result: TypeId) -> Check {
        let is_future = match self.desc(reg) {
            TypeDesc::Opaque { name, args } => {
                (name == "Future" || name == "JoinHandle") && args.first() == Some(&result)
            }
            _ => false,
        };
        ensure!(is_future, "{}, not a Future or JoinHandle of {}", self.show(reg), self.module.type_name(result));
        Ok(())
    }
}

/// The types of a function's own parameters and of its captured values.
pub fn captures(function: &Function) -> (&[TypeId], &[TypeId]) {
    let params = &function.registers[..usize::from(function.n_params)];
    params.split_at(usize::from(function.n_params - function.n_captures))
}

fn is_int(desc: &TypeDesc) -> bool {
    match desc {
        TypeDesc::Number(kind) => !kind.is_float(),
        TypeDesc::Duration | TypeDesc::Instant => true,
        _ => false,
    }
}

fn is_float(desc: &TypeDesc) -> bool {
    matches!(desc, TypeDesc::Number(kind) if kind.is_float())
}

/// Whether an instruction always completes: it allocates nothing, checks nothing and cannot be a place to stop at.
pub fn is_quiet(instr: &Instr, pc: u32) -> bool {
    match instr {
        Instr::Copy { .. } | Instr::CopyRef { .. } | Instr::MoveRef { .. } | Instr::DropRef { .. } => true,
        Instr::LoadImm { .. } | Instr::LoadScalar { .. } => true,
        Instr::AndInt { .. } | Instr::OrInt { .. } | Instr::XorInt { .. } | Instr::NotInt { .. } => true,
        Instr::WrapInt { .. } | Instr::RoundFloat { .. } => true,
        Instr::IntToFloat { .. } | Instr::U64ToFloat { .. } => true,
        Instr::AddFloat { .. } | Instr::SubFloat { .. } | Instr::MulFloat { .. } | Instr::DivFloat { .. } => true,
        Instr::RemFloat { .. } | Instr::PowFloat { .. } | Instr::NegFloat { .. } => true,
        Instr::EqInt { .. } | Instr::NeInt { .. } | Instr::LtInt { .. } | Instr::LeInt { .. } => true,
        Instr::LtU64 { .. } | Instr::LeU64 { .. } | Instr::NotBool { .. } => true,
        Instr::EqFloat { .. } | Instr::NeFloat { .. } | Instr::LtFloat { .. } | Instr::LeFloat { .. } => true,
        // A backward jump is where a task may be stopped.
        Instr::Jump { to } | Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. } => to.0 > pc,
        Instr::ReturnScalar { .. } | Instr::ReturnRef { .. } => true,
        Instr::Arg { .. } | Instr::ArgCopy { .. } | Instr::ArgMove { .. } | Instr::ArgLend { .. } => true,
        Instr::TakeBack { .. } => true,
        Instr::GetTag { .. } | Instr::VecLen { .. } | Instr::IsType { .. } => true,
        _ => false,
    }
}

/// Where an instruction may go on but to the next one, and whether it goes there.
pub fn successors(instr: &Instr) -> (Option<Target>, bool) {
    match *instr {
        Instr::Jump { to } => (Some(to), false),
        Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. } => (Some(to), true),
        Instr::ReturnScalar { .. } | Instr::ReturnRef { .. } | Instr::Throw { .. } | Instr::Rethrow { .. } => {
            (None, false)
        }
        _ => (None, true),
    }
}

/// A tensor goes where one of any element type is wanted.
pub fn is_any_tensor(module: &crate::Module, found: TypeId, wanted: TypeId) -> bool {
    use crate::TypeDesc::Tensor;
    matches!((module.type_desc(found), module.type_desc(wanted)), (Tensor { .. }, Tensor { elem: None }))
}
