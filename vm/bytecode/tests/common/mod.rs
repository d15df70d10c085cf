//! Modules for the tests, written in assembly.
#![allow(dead_code)]

use stark_bytecode::{Function, Instr, Module, Opcode, assemble, verify};

pub const PRELUDE: &str = include_str!("prelude.starkasm");
pub const EVERY: &str = include_str!("every.starkasm");

/// The prelude and some more rows.
pub fn module(more: &str) -> Module {
    assemble(&format!("{PRELUDE}{more}")).unwrap_or_else(|error| panic!("{error}"))
}

/// A module that has a row in every table and every instruction.
pub fn every() -> Module {
    module(EVERY)
}

/// The smallest module that verifies.
pub fn tiny() -> Module {
    assemble("type t0 = Unit\nentry @main\nfunc f0 = \"main\" -> t0 out 0 {\n reg r0: t0\n return_scalar r0\n}\n")
        .unwrap()
}

pub fn accept(module: Module) {
    verify(module).unwrap_or_else(|error| panic!("{error}"));
}

/// An instruction whose operands are cut from `bits`: any bits give one.
pub fn instr(op: Opcode, mut bits: impl Iterator<Item = u32>) -> Instr {
    use stark_bytecode::*;
    let mut bits = || bits.next().unwrap_or_default();
    let operands: Vec<Operand> = op
        .roles()
        .iter()
        .map(|role| match role {
            Role::Def => Operand::Def(Reg(bits() as u16)),
            Role::Use => Operand::Use(Reg(bits() as u16)),
            Role::Take => Operand::Take(Reg(bits() as u16)),
            Role::Change => Operand::Change(Reg(bits() as u16)),
            Role::Imm => Operand::Imm(bits() as i16),
            Role::Imm8 => Operand::Imm8(bits() as i8),
            Role::Out => Operand::Out(Out(bits() as u16)),
            Role::Target => Operand::Target(Target(bits())),
            Role::FuncId => Operand::FuncId(FuncId(bits())),
            Role::NativeId => Operand::NativeId(NativeId(bits())),
            Role::TypeId => Operand::TypeId(TypeId(bits())),
            Role::ScalarId => Operand::ScalarId(ScalarId(bits())),
            Role::StrId => Operand::StrId(StrId(bits())),
            Role::BlobId => Operand::BlobId(BlobId(bits())),
            Role::GlobalId => Operand::GlobalId(GlobalId(bits())),
            Role::MethodId => Operand::MethodId(MethodId(bits())),
            Role::Field => Operand::Field(Field(bits() as u16)),
            Role::Variant => Operand::Variant(Variant(bits() as u16)),
            Role::Count => Operand::Count(Count(bits() as u16)),
            Role::Payload => Operand::Payload(Payload { variant: bits() as u16, field: bits() as u16 }),
            Role::Kind => Operand::Kind(Kind::ALL[bits() as usize % Kind::ALL.len()]),
        })
        .collect();
    Instr::from_operands(op, &operands).unwrap()
}

/// Which instructions a module uses.
pub fn opcodes(functions: &[Function]) -> Vec<Opcode> {
    functions.iter().flat_map(|function| &function.code).map(Instr::opcode).collect()
}

/// A small generator with a seed, so that a failing case can be run again.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}
