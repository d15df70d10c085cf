//! Instructions as 32-bit words: the form they have in a file.
//!
//! The low byte of a word is the opcode, the other 24 bits are its operands, cut by how many numbers they are:
//!
//! | numbers | bits, from bit 8 up |
//! |---|---|
//! | 1 | 24 |
//! | 2 | 8, 16 |
//! | 3 | 8, 8, 8 |
//! | 4 | 8, 8, 4, 4 |
//!
//! (A payload operand is two numbers, every other operand one.) A number that needs more bits gets them from `ext` words
//! in front, which have the opcode [`EXT`] and the same cut: each holds the next higher bits of every number. There is
//! exactly one encoding of an instruction, since the first `ext` word must hold at least one bit.

use std::fmt;

use crate::instr::{Instr, MAX_OPERANDS, Opcode};
use crate::operand::Operand;

/// The opcode of a prefix word. No row of the table may get this number.
pub const EXT: u8 = 0xFF;
/// 32 bits in fields of 8, or 16 in fields of 4: three more words at most.
pub const MAX_EXT: usize = 3;

const MAX_PARTS: usize = 4;

const _: () = assert!(Opcode::ALL.len() < EXT as usize);

/// Why words are no code, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeError {
    /// The instruction's position in its function.
    pub pc: u32,
    /// The word's position in the function's code.
    pub word: u32,
    pub reason: CodeErrorReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeErrorReason {
    UnknownOpcode(u8),
    OperandOutOfRange {
        op: Opcode,
        field: &'static str,
    },
    /// The code ends after an `ext` word.
    EndsInPrefix,
    TooManyPrefixes,
    /// An `ext` word that adds no bit.
    EmptyPrefix,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {} (word {}): ", self.pc, self.word)?;
        match self.reason {
            CodeErrorReason::UnknownOpcode(byte) => write!(f, "unknown opcode {byte}"),
            CodeErrorReason::OperandOutOfRange { op, field } => {
                write!(f, "operand `{field}` of `{}` is out of range", op.mnemonic())
            }
            CodeErrorReason::EndsInPrefix => write!(f, "the code ends after a prefix word"),
            CodeErrorReason::TooManyPrefixes => write!(f, "more than {MAX_EXT} prefix words"),
            CodeErrorReason::EmptyPrefix => write!(f, "a prefix word adds nothing"),
        }
    }
}

impl std::error::Error for CodeError {}

/// How the 24 operand bits are cut for `n_parts` numbers.
fn layout(n_parts: usize) -> &'static [u32] {
    match n_parts {
        0 => &[],
        1 => &[24],
        2 => &[8, 16],
        3 => &[8, 8, 8],
        _ => &[8, 8, 4, 4],
    }
}

/// Appends the words of `instr`.
pub fn encode_instr(instr: &Instr, words: &mut Vec<u32>) {
    let mut parts = [0u128; MAX_PARTS];
    let mut n_parts = 0;
    for operand in instr.operands() {
        let split = operand.split();
        for &part in &split[..operand.role().bits().len()] {
            parts[n_parts] = u128::from(part);
            n_parts += 1;
        }
    }
    let layout = layout(n_parts);
    let mut n_ext = 0;
    while parts.iter().zip(layout).any(|(&part, width)| part >> (width * (n_ext + 1)) != 0) {
        n_ext += 1;
    }
    for level in (0..=n_ext).rev() {
        let op = if level == 0 { instr.opcode() as u8 } else { EXT };
        let mut word = u32::from(op);
        let mut at = 8;
        for (&part, &width) in parts.iter().zip(layout) {
            let bits = (part >> (width * level)) & ((1 << width) - 1);
            word |= (bits as u32) << at;
            at += width;
        }
        words.push(word);
    }
}

/// The words of a function's code.
pub fn encode_code(code: &[Instr]) -> Vec<u32> {
    let mut words = Vec::with_capacity(code.len());
    for instr in code {
        encode_instr(instr, &mut words);
    }
    words
}

/// The instructions in `words`; any words give instructions or an error.
pub fn decode_code(words: &[u32]) -> Result<Vec<Instr>, CodeError> {
    let mut code = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let (instr, n_words) = decode_instr(&words[at..]).map_err(|(skipped, reason)| CodeError {
            pc: code.len() as u32,
            word: (at + skipped) as u32,
            reason,
        })?;
        code.push(instr);
        at += n_words;
    }
    Ok(code)
}

/// The first instruction of `words` and how many words it has, or which word is wrong.
fn decode_instr(words: &[u32]) -> Result<(Instr, usize), (usize, CodeErrorReason)> {
    let n_ext = words.iter().take_while(|&&word| word as u8 == EXT).count();
    if n_ext > MAX_EXT {
        return Err((MAX_EXT, CodeErrorReason::TooManyPrefixes));
    }
    if n_ext > 0 && words[0] >> 8 == 0 {
        return Err((0, CodeErrorReason::EmptyPrefix));
    }
    let Some(&last) = words.get(n_ext) else {
        return Err((n_ext - 1, CodeErrorReason::EndsInPrefix));
    };
    let Some(&op) = Opcode::ALL.get(usize::from(last as u8)) else {
        return Err((n_ext, CodeErrorReason::UnknownOpcode(last as u8)));
    };

    let n_parts = op.roles().iter().map(|role| role.bits().len()).sum();
    let mut widths = layout(n_parts).iter();
    let mut at = 8;
    let mut operands = [Operand::Imm8(0); MAX_OPERANDS];
    for (i, role) in op.roles().iter().enumerate() {
        let out_of_range = (n_ext, CodeErrorReason::OperandOutOfRange { op, field: op.fields()[i] });
        let mut parts = [0; 2];
        for part in parts.iter_mut().take(role.bits().len()) {
            let width = *widths.next().ok_or(out_of_range)?;
            let mut value = 0u128;
            for &word in &words[..=n_ext] {
                value = value << width | u128::from(word >> at & ((1 << width) - 1));
            }
            *part = u32::try_from(value).map_err(|_| out_of_range)?;
            at += width;
        }
        operands[i] = role.join(parts).ok_or(out_of_range)?;
    }
    let instr = Instr::from_operands(op, &operands[..op.roles().len()])
        .ok_or((n_ext, CodeErrorReason::UnknownOpcode(op as u8)))?;
    Ok((instr, n_ext + 1))
}
