//! `Instr`: one decoded instruction, grown from the table. What code generation writes and what the loader reads.

use crate::operand::kinds::*;

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
        }

        impl Instr {
            pub fn opcode(&self) -> Opcode { match self { $(Instr::$Camel { .. } => Opcode::$Camel),* } }
        }
    };
}
crate::for_each_op!(define_instr);
