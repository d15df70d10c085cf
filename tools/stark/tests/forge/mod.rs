//! Forging modules: a compiled program changed in one to three places, as no compiler would.
//!
//! Most changes keep the tables in shape, so that many mutants pass the verifier and what runs is what it let through.

mod bytes;
mod code;
mod tables;

use stark_bytecode::{FieldDesc, FuncId, Module, TypeDesc, TypeId};

/// SplitMix64: the same mutants for the same seed.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A row of a table of `len`, rarely one just outside.
    fn row(&mut self, len: usize) -> u32 {
        if self.one_in(40) { len as u32 } else { self.below(len) as u32 }
    }

    fn ty(&mut self, module: &Module) -> TypeId {
        TypeId(self.row(module.types.len()))
    }

    fn func(&mut self, module: &Module) -> FuncId {
        FuncId(self.row(module.functions.len()))
    }

    /// A small change, or anything.
    fn number(&mut self, old: u64) -> u64 {
        match self.below(6) {
            0 => self.next(),
            1 => 0,
            2 => old.wrapping_sub(1),
            3 => old ^ 1 << self.below(16),
            _ => old.wrapping_add(1),
        }
    }

    fn pick<'a, T>(&mut self, list: &'a mut [T]) -> Option<&'a mut T> {
        let i = self.below(list.len());
        list.get_mut(i)
    }
}

/// The file of a forged module.
pub fn forge(good: &Module, natives: &[&'static str], rng: &mut Rng) -> Vec<u8> {
    if rng.one_in(5) {
        return bytes::change(stark_bytecode::encode(good), rng);
    }
    let mut module = good.clone();
    for _ in 0..=rng.below(3) {
        match rng.below(20) {
            0..=4 => code::operand(&mut module, rng),
            5 => code::swap(&mut module, rng),
            6 | 7 => code::take(&mut module, rng),
            8 => code::duplicate(&mut module, rng),
            9 => tables::register(&mut module, rng),
            10 => tables::signature(&mut module, rng),
            11 => tables::handler(&mut module, rng),
            12 | 13 => tables::native(&mut module, natives, rng),
            14 | 15 => tables::twin(&mut module, rng),
            16 => tables::type_desc(&mut module, rng),
            17 => tables::actor(&mut module, rng),
            18 => tables::dispatch(&mut module, rng),
            _ => tables::constant(&mut module, rng),
        }
    }
    stark_bytecode::encode(&module)
}

/// The fields of a tuple, struct or actor.
fn parts(desc: &TypeDesc) -> Vec<TypeId> {
    let types = |fields: &[FieldDesc]| fields.iter().map(|field| field.ty).collect();
    match desc {
        TypeDesc::Tuple(types) => types.clone(),
        TypeDesc::Struct { fields, .. } => types(fields),
        TypeDesc::Actor(actor) => types(&actor.fields),
        _ => Vec::new(),
    }
}
