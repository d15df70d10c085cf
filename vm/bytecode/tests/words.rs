//! Instructions as words: every instruction comes back, and any words give instructions or an error.

mod common;

use common::instr;
use proptest::prelude::*;
use stark_bytecode::words::{CodeErrorReason, EXT, decode_code, encode_code};
use stark_bytecode::{Field, Instr, Opcode, Reg, Target};

#[test]
fn every_opcode_comes_back_at_its_smallest_and_largest() {
    for &op in Opcode::ALL {
        for bits in [0, 1, 0xFF, 0x100, 0xFFFF, 0x1_0000, u32::MAX] {
            let code = [instr(op, std::iter::repeat(bits))];
            assert_eq!(decode_code(&encode_code(&code)), Ok(code.to_vec()), "{} {bits:#x}", op.mnemonic());
        }
    }
}

#[test]
fn mnemonics_name_one_opcode() {
    for &op in Opcode::ALL {
        assert_eq!(Opcode::from_mnemonic(op.mnemonic()), Some(op));
        assert_eq!(op.roles().len(), op.fields().len());
    }
    assert_eq!(Opcode::from_mnemonic("nop"), None);
}

#[test]
fn usual_instructions_take_one_word() {
    let usual = [
        Instr::AddInt { dst: Reg(1), lhs: Reg(255), rhs: Reg(3) },
        Instr::LoadImm { dst: Reg(1), imm: -1 },
        Instr::JumpIf { cond: Reg(9), to: Target(0xFFFF) },
        Instr::Jump { to: Target(0xFF_FFFF) },
    ];
    assert_eq!(encode_code(&usual).len(), 4);
    assert_eq!(encode_code(&[Instr::AtField { field: Field(u16::MAX) }]).len(), 1);
    assert_eq!(encode_code(&[Instr::AddInt { dst: Reg(256), lhs: Reg(0), rhs: Reg(0) }]).len(), 2);
}

#[test]
fn wrong_words_are_refused_with_their_place() {
    let ext = u32::from(EXT);
    let copy = Opcode::Copy as u32;
    let fit = Opcode::FitInt as u32;
    let first_unknown = Opcode::ALL.len() as u32;
    let out_of_range = |op: Opcode, field| CodeErrorReason::OperandOutOfRange { op, field };
    for (words, pc, word, reason) in [
        (vec![first_unknown], 0, 0, CodeErrorReason::UnknownOpcode(first_unknown as u8)),
        (vec![copy, 0xFE], 1, 1, CodeErrorReason::UnknownOpcode(0xFE)),
        (vec![copy, ext | 0x100], 1, 1, CodeErrorReason::EndsInPrefix),
        (vec![copy, ext, copy], 1, 1, CodeErrorReason::EmptyPrefix),
        (vec![ext | 0x100, ext, ext, ext, copy], 0, 3, CodeErrorReason::TooManyPrefixes),
        (vec![fit | 12 << 24], 0, 0, out_of_range(Opcode::FitInt, "kind")),
        (vec![ext | 0x100 << 8, ext, copy], 0, 2, out_of_range(Opcode::Copy, "src")),
        (vec![ext | 0x100, ext, copy], 0, 2, out_of_range(Opcode::Copy, "dst")),
    ] {
        let error = decode_code(&words).unwrap_err();
        assert_eq!((error.pc, error.word, error.reason), (pc, word, reason), "{words:x?}: {error}");
    }
}

proptest! {
    #[test]
    fn random_code_comes_back(rows in prop::collection::vec((0..Opcode::ALL.len(), any::<[u32; 4]>(), 0u32..32), 0..40)) {
        let code: Vec<Instr> =
            rows.iter().map(|&(op, bits, shift)| instr(Opcode::ALL[op], bits.into_iter().map(|bits| bits >> shift))).collect();
        prop_assert_eq!(decode_code(&encode_code(&code)), Ok(code));
    }

    #[test]
    fn random_words_decode_to_what_encodes_to_them(words in prop::collection::vec(any::<u32>(), 0..40)) {
        // Low opcodes are met more often than chance would have it.
        let words: Vec<u32> = words.into_iter().map(|word| if word >> 31 == 0 { word & !0x80 } else { word }).collect();
        if let Ok(code) = decode_code(&words) {
            prop_assert_eq!(encode_code(&code), words);
        }
    }
}
