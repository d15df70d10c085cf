//! What becomes of each instruction, where machine code is entered, and which scalars are live where.

use super::held::Held;
use super::original;
use crate::interp::{Op, op_of};
use crate::load::{CodeSpace, Func};
use stark_bytecode::{Instr, Operand, Reg, TypeDesc};

/// A function with more instructions is not compiled: time and memory of compiling grow with them.
const MAX_INSTRS: usize = 4000;
/// Scalars that are read from the frame where the code is entered, summed over the entries. Half a second and 100 MB.
const MAX_MOVED: usize = 8_000;
/// Instructions times registers (the table of those that are live, in bits), and times handlers.
const MAX_LIVE_BITS: usize = 1 << 22;

/// How an instruction is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// By machine code, or by leaving when it cannot.
    Inline,
    /// By its handler, called from machine code.
    Step,
    /// By the interpreter: machine code is left.
    Leave,
    /// A chain of places, of so many instructions.
    Chain(usize),
    /// A number in a field of a vector's item: `vec_get`, `get_field`, `drop_ref`.
    ItemField,
    /// A group of so many instructions, by its handler.
    Group(usize),
}

pub(super) struct Plan {
    pub how: Vec<How>,
    /// Instructions that are jumped to or entered.
    pub is_target: Vec<bool>,
    /// Where machine code can be entered; the first is the function's beginning.
    pub entries: Vec<usize>,
    /// The second half of a comparison and a jump that run as one: where it leaves, the first half is done again.
    pub is_second: Vec<bool>,
    pub held: Held,
    live: Vec<u64>,
    words_a_pc: usize,
}

impl Plan {
    /// `None` when the function is not to be compiled.
    pub fn of(func: &Func, space: &CodeSpace) -> Option<Plan> {
        let code = &func.def.code;
        let words_a_pc = func.registers.len().div_ceil(64);
        let handled = code.len() * func.def.handlers.len();
        if code.len() > MAX_INSTRS || code.len() * words_a_pc * 64 > MAX_LIVE_BITS || handled > MAX_LIVE_BITS {
            return None;
        }
        let mut plan = Plan {
            how: vec![How::Inline; code.len()],
            is_target: vec![false; code.len() + 1],
            entries: vec![0],
            is_second: vec![false; code.len()],
            held: Held::of(func),
            live: vec![0; code.len() * words_a_pc],
            words_a_pc,
        };
        plan.find_seconds(func)?;
        plan.find_targets(func);
        plan.choose(func, space);
        plan.find_entries(func);
        plan.find_live(func);
        let n_moved: usize = plan.entries.iter().map(|&pc| plan.live(pc).count()).sum();
        (n_moved <= MAX_MOVED).then_some(plan)
    }

    /// The registers with scalars, or with what is lent, that somebody may read after `pc` is reached and before they are written.
    pub fn live(&self, pc: usize) -> impl Iterator<Item = usize> + '_ {
        let words = &self.live[pc * self.words_a_pc..(pc + 1) * self.words_a_pc];
        words
            .iter()
            .enumerate()
            .flat_map(|(i, &word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| i * 64 + bit))
    }

    /// The instruction after the one at `pc` and those that belong to it.
    pub fn after(&self, pc: usize) -> usize {
        pc + match self.how[pc] {
            How::Chain(n) => n,
            How::ItemField => 3,
            How::Group(n) => n,
            _ => 1,
        }
    }

    fn find_seconds(&mut self, func: &Func) -> Option<()> {
        for pc in 1..func.def.code.len() {
            if !is_pair(op_of(original(func, pc - 1))) {
                continue;
            }
            let mut operands = func.def.code[pc - 1].operands().filter_map(Operand::reg);
            let dst = operands.next()?;
            // It is done again where the jump leaves; a compiler's comparison never writes what it reads.
            if operands.any(|reg| reg == dst) {
                return None;
            }
            self.is_second[pc] = true;
        }
        Some(())
    }

    fn find_targets(&mut self, func: &Func) {
        for (pc, instr) in func.def.code.iter().enumerate() {
            if let Some(to) = target(instr) {
                self.is_target[to] = true;
                if to <= pc && !self.entries.contains(&to) {
                    self.entries.push(to);
                }
            }
        }
        for handler in &func.def.handlers {
            self.is_target[handler.target.index()] = true;
        }
    }

    fn choose(&mut self, func: &Func, space: &CodeSpace) {
        let code = &func.def.code;
        let mut pc = 0;
        while pc < code.len() {
            let rest = &code[pc..];
            self.how[pc] = match rest[0] {
                Instr::AtReg { .. } => self.chain(func, pc),
                Instr::MakeVec { .. } | Instr::ArgCopy { .. } if let Some(n) = group_len(op_of(original(func, pc))) => {
                    How::Group(n)
                }
                Instr::VecGet { dst, .. } if func.owns(dst) && self.is_item_field(func, pc) => How::ItemField,
                ref instr => how(func, space, instr),
            };
            let end = self.after(pc);
            // A chain that is left is left whole.
            if self.how[pc] == How::Leave && matches!(rest[0], Instr::AtReg { .. }) {
                let n = chain_len(rest);
                self.how[pc..pc + n].fill(How::Leave);
                pc += n;
            } else {
                pc = end;
            }
        }
    }

    fn chain(&self, func: &Func, pc: usize) -> How {
        let n = chain_len(&func.def.code[pc..]);
        let steps = &func.def.code[pc + 1..pc + n];
        let is_simple = steps.iter().all(|step| {
            use Instr::*;
            matches!(step, AtIndex { .. } | AtField { .. } | LoadAt { .. } | StoreAt { .. } | TakeAt { .. })
        });
        // The verifier lets no jump enter a chain.
        let is_entered = self.is_target[pc + 1..pc + n].iter().any(|&is_target| is_target);
        if is_simple && !is_entered { How::Chain(n) } else { How::Leave }
    }

    fn is_item_field(&self, func: &Func, pc: usize) -> bool {
        match func.def.code[pc..] {
            [Instr::VecGet { dst: item, .. }, Instr::GetField { dst, obj, .. }, Instr::DropRef { reg }, ..] => {
                item == obj && item == reg && !func.owns(dst) && !self.is_target[pc + 1] && !self.is_target[pc + 2]
            }
            _ => false,
        }
    }

    /// After what may leave or must stop, and where the interpreter lands with an error.
    fn find_entries(&mut self, func: &Func) {
        let code = &func.def.code;
        let mut is_entry = vec![false; code.len() + 1];
        for &pc in &self.entries {
            is_entry[pc] = true;
        }
        for handler in &func.def.handlers {
            is_entry[handler.target.index()] = true;
        }
        for pc in 0..code.len() {
            // A chain's instructions run as one; behind the last of them is a place to enter.
            let is_inside = matches!(code.get(pc + 1), Some(next) if is_chain_step(next));
            let is_stop = match self.how[pc] {
                How::Step | How::Group(_) => true,
                How::Leave => !is_inside,
                _ => {
                    use Instr::*;
                    matches!(code[pc], Call { .. } | CallClosure { .. } | CallDyn { .. } | VecPush { .. })
                }
            };
            if is_stop {
                is_entry[self.after(pc)] = true;
            }
        }
        is_entry.truncate(code.len());
        self.entries = (0..code.len()).filter(|&pc| pc == 0 || is_entry[pc]).collect();
        for &pc in &self.entries {
            self.is_target[pc] = true;
        }
    }

    fn find_live(&mut self, func: &Func) {
        let code = &func.def.code;
        let n = self.words_a_pc;
        let scalar = |reg: Reg| !func.owns(reg);
        // What others read in the frame at any time: whoever catches an error takes `&mut` parameters back.
        let mut always = vec![0; n];
        for &reg in func.def.inout.iter().filter(|&&reg| !func.registers[usize::from(reg)].is_ref) {
            always[usize::from(reg) / 64] |= 1u64 << (reg % 64);
        }
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for pc in (0..code.len()).rev() {
                let mut live = always.clone();
                let mut join = |to: usize, table: &[u64]| {
                    for (word, more) in live.iter_mut().zip(&table[to * n..(to + 1) * n]) {
                        *word |= more;
                    }
                };
                if let Some(to) = target(&code[pc]) {
                    join(to, &self.live);
                }
                if !ends(&code[pc]) && pc + 1 < code.len() {
                    join(pc + 1, &self.live);
                }
                for operand in code[pc].operands() {
                    if let Operand::Def(reg) = operand
                        && scalar(reg)
                    {
                        live[reg.index() / 64] &= !(1 << (reg.index() % 64)) | always[reg.index() / 64];
                    }
                }
                for handler in &func.def.handlers {
                    if (handler.start..handler.end).contains(&(pc as u32)) {
                        let to = handler.target.index();
                        for (word, more) in live.iter_mut().zip(&self.live[to * n..(to + 1) * n]) {
                            *word |= more;
                        }
                    }
                }
                for operand in code[pc].operands() {
                    if let Operand::Use(reg) | Operand::Take(reg) | Operand::Change(reg) = operand
                        && scalar(reg)
                    {
                        live[reg.index() / 64] |= 1 << (reg.index() % 64);
                    }
                }
                let known = &mut self.live[pc * n..(pc + 1) * n];
                if known != live {
                    known.copy_from_slice(&live);
                    has_changed = true;
                }
            }
        }
    }
}

pub(super) fn target(instr: &Instr) -> Option<usize> {
    match instr {
        Instr::Jump { to } | Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. } => Some(to.index()),
        _ => None,
    }
}

/// Whether nothing goes on behind it.
pub(super) fn ends(instr: &Instr) -> bool {
    use Instr::*;
    matches!(instr, Jump { .. } | ReturnScalar { .. } | ReturnRef { .. } | Throw { .. } | Rethrow { .. })
}

/// Instructions of a group that its handler does for machine code.
fn group_len(op: Op) -> Option<usize> {
    match op {
        Op::send_scalar_to => Some(3),
        Op::join_texts => Some(4),
        Op::scalar_of | Op::ref_of => Some(8),
        _ => None,
    }
}

fn is_chain_step(instr: &Instr) -> bool {
    use Instr::*;
    matches!(
        instr,
        AtField { .. }
            | AtPayload { .. }
            | AtIndex { .. }
            | AtKey { .. }
            | LoadAt { .. }
            | StoreAt { .. }
            | TakeAt { .. }
    )
}

/// How many instructions the chain that begins `code` has.
fn chain_len(code: &[Instr]) -> usize {
    1 + code[1..].iter().take_while(|instr| is_chain_step(instr)).count()
}

fn is_pair(op: Op) -> bool {
    use Op::*;
    matches!(
        op,
        lt_int_jump_if
            | lt_int_jump_if_not
            | le_int_jump_if
            | le_int_jump_if_not
            | eq_int_jump_if
            | eq_int_jump_if_not
            | lt_float_jump_if
            | lt_float_jump_if_not
            | le_float_jump_if
            | le_float_jump_if_not
            | lt_int_jump_back_if
            | le_int_jump_back_if
            | lt_float_jump_back_if
            | le_float_jump_back_if
    )
}

/// Whether a call of this native is done by machine code: the square root of a `Float`.
pub(super) fn is_sqrt(space: &CodeSpace, native: stark_bytecode::NativeId) -> bool {
    let bound = space.natives[native.index()];
    bound.row.name == "float_sqrt" && bound.sig.ret.desc == TypeDesc::Number(stark_bytecode::Kind::Float64)
}

fn how(func: &Func, space: &CodeSpace, instr: &Instr) -> How {
    use Instr::*;
    use stark_bytecode::Kind;
    match *instr {
        Copy { .. } | CopyRef { .. } | MoveRef { .. } | DropRef { .. } | LoadImm { .. } | LoadScalar { .. } => {
            How::Inline
        }
        LoadStr { .. } | LoadBytes { .. } => How::Inline,
        AddInt { .. } | AddIntImm { .. } | SubInt { .. } | MulInt { .. } | DivInt { .. } | RemInt { .. } => How::Inline,
        NegInt { .. } | AndInt { .. } | OrInt { .. } | XorInt { .. } | NotInt { .. } | ShlInt { .. } => How::Inline,
        ShrInt { .. } | WrapInt { .. } | FitInt { .. } => How::Inline,
        AddU64 { .. } | SubU64 { .. } | MulU64 { .. } | DivU64 { .. } | RemU64 { .. } | ShrU64 { .. } => How::Inline,
        AddFloat { .. } | SubFloat { .. } | MulFloat { .. } | DivFloat { .. } | NegFloat { .. } => How::Inline,
        IntToFloat { .. } | U64ToFloat { .. } => How::Inline,
        RoundFloat { kind, .. } if matches!(kind, Kind::Float32 | Kind::Float64) => How::Inline,
        FloatToInt { kind: Kind::Int64, .. } => How::Inline,
        EqInt { .. } | NeInt { .. } | LtInt { .. } | LeInt { .. } | LtU64 { .. } | LeU64 { .. } => How::Inline,
        EqFloat { .. } | NeFloat { .. } | LtFloat { .. } | LeFloat { .. } | NotBool { .. } => How::Inline,
        Jump { .. } | JumpIf { .. } | JumpIfNot { .. } | ReturnScalar { .. } | ReturnRef { .. } => How::Inline,
        Arg { .. } | ArgCopy { .. } | ArgMove { .. } | ArgLend { .. } | Call { .. } => How::Inline,
        CallClosure { .. } | CallDyn { .. } => How::Inline,
        TakeBack { dst, out } => {
            let boxes = matches!(func.registers[dst.index()].desc, TypeDesc::Dyn { .. }) && func.hidden.is_some();
            if boxes && out.index() == 0 { How::Step } else { How::Inline }
        }
        CallNative { native, .. } if is_sqrt(space, native) => How::Inline,
        GetField { .. } | GetTag { .. } | GetPayload { .. } | LendField { .. } | LendPayload { .. } => How::Inline,
        VecLen { .. } | VecGet { .. } | VecSet { .. } | VecPush { .. } => How::Inline,
        Make { .. } | MakeVariant { .. } => How::Inline,
        Throw { .. } | Rethrow { .. } => How::Leave,
        // Chains are dealt with whole.
        AtReg { .. } | AtField { .. } | AtPayload { .. } | AtIndex { .. } | AtKey { .. } => How::Leave,
        LoadAt { .. } | StoreAt { .. } | TakeAt { .. } => How::Leave,
        PowInt { .. } | PowU64 { .. } | ShlU64 { .. } | FitU64 { .. } | RemFloat { .. } | PowFloat { .. } => How::Step,
        RoundFloat { .. } | FloatToInt { .. } | CallNative { .. } => How::Step,
        MakeVec { .. } | MakeClosure { .. } | MakeDyn { .. } | IsType { .. } | Unbox { .. } => How::Step,
        Spawn { .. } | SpawnClosure { .. } | AwaitTask { .. } | LoadGlobal { .. } | StoreGlobal { .. } => How::Step,
    }
}
