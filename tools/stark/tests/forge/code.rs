//! Changes in the code of functions.

use super::{Rng, parts};
use stark_bytecode::*;

/// One operand of one instruction.
pub fn operand(module: &mut Module, rng: &mut Rng) {
    let sizes = [
        module.functions.len(),
        module.natives.len(),
        module.types.len(),
        module.scalars.len(),
        module.strings.len(),
        module.blobs.len(),
        module.globals.len(),
        module.methods.len(),
    ];
    let Some(function) = rng.pick(&mut module.functions) else { return };
    let (n_registers, n_out, n_code) = (function.registers.len(), usize::from(function.n_out), function.code.len());
    let Some(instr) = rng.pick(&mut function.code) else { return };
    let mut operands: Vec<Operand> = instr.operands().collect();
    let Some(operand) = rng.pick(&mut operands) else { return };
    let mut reg = || Reg(rng.row(n_registers) as u16);
    *operand = match *operand {
        Operand::Def(_) => Operand::Def(reg()),
        Operand::Use(_) => Operand::Use(reg()),
        Operand::Take(_) => Operand::Take(reg()),
        Operand::Change(_) => Operand::Change(reg()),
        Operand::Imm(old) => Operand::Imm(rng.number(old as u64) as i16),
        Operand::Imm8(old) => Operand::Imm8(rng.number(old as u64) as i8),
        Operand::Out(_) => Operand::Out(Out(rng.row(n_out) as u16)),
        Operand::Target(old) if rng.one_in(2) => Operand::Target(Target(rng.number(u64::from(old.0)) as u32)),
        Operand::Target(_) => Operand::Target(Target(rng.row(n_code))),
        Operand::FuncId(_) => Operand::FuncId(FuncId(rng.row(sizes[0]))),
        Operand::NativeId(_) => Operand::NativeId(NativeId(rng.row(sizes[1]))),
        Operand::TypeId(_) => Operand::TypeId(TypeId(rng.row(sizes[2]))),
        Operand::ScalarId(_) => Operand::ScalarId(ScalarId(rng.row(sizes[3]))),
        Operand::StrId(_) => Operand::StrId(StrId(rng.row(sizes[4]))),
        Operand::BlobId(_) => Operand::BlobId(BlobId(rng.row(sizes[5]))),
        Operand::GlobalId(_) => Operand::GlobalId(GlobalId(rng.row(sizes[6]))),
        Operand::MethodId(_) => Operand::MethodId(MethodId(rng.row(sizes[7]))),
        Operand::Field(old) => Operand::Field(Field(rng.number(u64::from(old.0)) as u16)),
        Operand::Variant(old) => Operand::Variant(Variant(rng.number(u64::from(old.0)) as u16)),
        Operand::Count(old) => Operand::Count(Count(rng.number(u64::from(old.0)) as u16)),
        Operand::Payload(old) => Operand::Payload(Payload {
            variant: rng.number(u64::from(old.variant)) as u16,
            field: rng.number(u64::from(old.field)) as u16,
        }),
        Operand::Kind(_) => Operand::Kind(Kind::ALL[rng.below(Kind::ALL.len())]),
    };
    if let Some(changed) = Instr::from_operands(instr.opcode(), &operands) {
        *instr = changed;
    }
}

/// Two instructions of a function change places.
pub fn swap(module: &mut Module, rng: &mut Rng) {
    let Some(function) = rng.pick(&mut module.functions) else { return };
    let n = function.code.len();
    let (i, j) = (rng.below(n), rng.below(n));
    let j = if rng.one_in(2) { (i + 1).min(n.saturating_sub(1)) } else { j };
    if i < n && j < n {
        function.code.swap(i, j);
    }
}

/// An instruction twice, or the same from elsewhere.
pub fn duplicate(module: &mut Module, rng: &mut Rng) {
    let from = rng.below(module.functions.len());
    let instr = module.functions.get(from).and_then(|f| f.code.get(rng.below(f.code.len())).copied());
    let to = if rng.one_in(4) { rng.below(module.functions.len()) } else { from };
    if let (Some(instr), Some(function)) = (instr, module.functions.get_mut(to)) {
        let at = rng.below(function.code.len());
        insert(function, at, &[instr]);
    }
}

/// Takes a reference out of a value and leaves the hole there.
pub fn take(module: &mut Module, rng: &mut Rng) {
    let i = rng.below(module.functions.len());
    let Some(function) = module.functions.get(i) else { return };
    let mut chains: Vec<[Instr; 3]> = Vec::new();
    for (root, ty) in function.registers.iter().enumerate() {
        let root = Reg(root as u16);
        let Some(desc) = module.types.get(ty.index()) else { continue };
        let mut chain = |step: Instr, part: TypeId| {
            let is_ref = module.types.get(part.index()).is_some_and(TypeDesc::is_ref);
            for (dst, _) in function.registers.iter().enumerate().filter(|(_, ty)| is_ref && **ty == part).take(3) {
                chains.push([Instr::AtReg { reg: root }, step, Instr::TakeAt { dst: Reg(dst as u16) }]);
            }
        };
        for (field, part) in parts(desc).into_iter().enumerate() {
            chain(Instr::AtField { field: Field(field as u16) }, part);
        }
        if let TypeDesc::Enum { variants, .. } = desc {
            for (variant, row) in variants.iter().enumerate() {
                for (field, part) in row.fields.iter().enumerate() {
                    let at = Payload { variant: variant as u16, field: field as u16 };
                    chain(Instr::AtPayload { at }, part.ty);
                }
            }
        }
        let of_type = |wanted: &dyn Fn(&TypeDesc) -> bool| {
            let found = function.registers.iter().position(|ty| module.types.get(ty.index()).is_some_and(wanted));
            found.map(|reg| Reg(reg as u16))
        };
        match desc {
            TypeDesc::Vec(elem) => {
                if let Some(idx) = of_type(&|desc| matches!(desc, TypeDesc::Number(Kind::Int64))) {
                    chain(Instr::AtIndex { idx }, *elem);
                }
            }
            TypeDesc::Map(key, value) => {
                if let Some(key) = function.registers.iter().position(|ty| ty == key) {
                    chain(Instr::AtKey { key: Reg(key as u16) }, *value);
                }
            }
            _ => {}
        }
    }
    let Some(chain) = chains.get(rng.below(chains.len())).copied() else { return };
    let at = rng.below(function.code.len());
    insert(&mut module.functions[i], at, &chain);
}

/// Puts instructions before `at`; everything that names a position moves along.
fn insert(function: &mut Function, at: usize, instrs: &[Instr]) {
    let moved = |pc: u32| if pc as usize > at { pc + instrs.len() as u32 } else { pc };
    for instr in &mut function.code {
        let operands: Vec<Operand> = instr
            .operands()
            .map(|operand| match operand {
                Operand::Target(to) => Operand::Target(Target(moved(to.0))),
                other => other,
            })
            .collect();
        if let Some(changed) = Instr::from_operands(instr.opcode(), &operands) {
            *instr = changed;
        }
    }
    for handler in &mut function.handlers {
        handler.start = moved(handler.start);
        handler.end = moved(handler.end);
        handler.target = Target(moved(handler.target.0));
    }
    for line in &mut function.lines {
        line.pc = moved(line.pc);
    }
    function.code.splice(at..at, instrs.iter().copied());
}
