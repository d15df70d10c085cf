//! `Instr`: one decoded instruction, grown from the table. What code generation writes and what the loader reads.

use crate::operand::kinds::*;
use crate::operand::{Operand, Role};

/// The most operands that a row of the table has.
pub const MAX_OPERANDS: usize = 3;

macro_rules! define_instr {
    ($( $(#[doc = $doc:literal])* $snake:ident = $Camel:ident { $($field:ident : $Kind:ident),* $(,)? }; )*) => {
        /// One instruction with its operands.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Instr { $( $(#[doc = $doc])* $Camel { $($field: $Kind),* }, )* }

        /// The instruction's number in a file. Rows are only ever appended.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Opcode { $( $Camel, )* }

        impl Opcode {
            pub const ALL: &[Opcode] = &[$(Opcode::$Camel),*];
            pub fn mnemonic(self) -> &'static str { match self { $(Opcode::$Camel => stringify!($snake)),* } }
            pub fn doc(self) -> &'static str { match self { $(Opcode::$Camel => concat!($($doc, "\n"),*)),* } }
            /// The roles of its operands, in order.
            pub fn roles(self) -> &'static [Role] { match self { $(Opcode::$Camel => &[$(Role::$Kind),*]),* } }
            /// The names of its operands, in order.
            pub fn fields(self) -> &'static [&'static str] {
                match self { $(Opcode::$Camel => &[$(stringify!($field)),*]),* }
            }
            pub fn from_mnemonic(mnemonic: &str) -> Option<Opcode> {
                Opcode::ALL.iter().copied().find(|op| op.mnemonic() == mnemonic)
            }
        }

        impl Instr {
            pub fn opcode(&self) -> Opcode { match self { $(Instr::$Camel { .. } => Opcode::$Camel),* } }

            /// Its operands with their roles, in the order of the table.
            pub fn operands(&self) -> impl Iterator<Item = Operand> + use<> {
                let mut list = [None; MAX_OPERANDS];
                match *self {
                    $(Instr::$Camel { $($field),* } => {
                        let operands = [$(Operand::$Kind($field)),*];
                        for (slot, operand) in list.iter_mut().zip(operands) {
                            *slot = Some(operand);
                        }
                    })*
                }
                list.into_iter().flatten()
            }

            /// The instruction with these operands; `None` unless number and roles are those of `op`.
            pub fn from_operands(op: Opcode, operands: &[Operand]) -> Option<Instr> {
                let mut rest = operands.iter().copied();
                let instr = match op {
                    $(Opcode::$Camel => Instr::$Camel {
                        $($field: match rest.next() { Some(Operand::$Kind(value)) => value, _ => return None }),*
                    },)*
                };
                rest.next().is_none().then_some(instr)
            }
        }

        // No row may outgrow what `operands` can list.
        $( const _: () = assert!([$(stringify!($field)),*].len() <= MAX_OPERANDS); )*
    };
}
crate::for_each_op!(define_instr);
