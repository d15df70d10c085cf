//! From one instruction to the next.

use super::Exit;
use super::machine::Machine;
use super::ops::{arith, call, compare, compiled, control, fused, map, message, object, place, task};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A handler. `ip` points behind `word`.
pub(crate) type Handler =
    unsafe extern "C-unwind" fn(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, word: u64) -> Exit;

macro_rules! define_ops {
    ($( $group:ident { $($name:ident)* } )*) => {
        /// The VM's own instructions: the public ones, split by class, and fused pairs.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub(crate) enum Op { $($($name,)*)* }

        pub(crate) static HANDLERS: &[Handler] = &[$($($group::$name,)*)*];
    };
}
define_ops! {
    object { copy copy_ref move_ref drop_ref drop_list load_imm load_scalar load_ref arg_copy arg_move }
    arith {
        add_int add_int_imm sub_int mul_int div_int rem_int pow_int neg_int and_int or_int xor_int not_int shl_int shr_int
        fit_int wrap_int add_u64 sub_u64 mul_u64 div_u64 rem_u64 pow_u64 shl_u64 shr_u64 fit_u64
        add_float sub_float mul_float div_float rem_float pow_float neg_float round_float sqrt_float
        int_to_float u64_to_float float_to_int
    }
    compare {
        eq_int ne_int lt_int le_int lt_u64 le_u64 eq_float ne_float lt_float le_float not_bool
        lt_int_jump_if lt_int_jump_if_not le_int_jump_if le_int_jump_if_not eq_int_jump_if eq_int_jump_if_not
        lt_float_jump_if lt_float_jump_if_not le_float_jump_if le_float_jump_if_not
        lt_int_jump_back_if le_int_jump_back_if lt_float_jump_back_if le_float_jump_back_if
    }
    fused {
        imm_lt_int_jump_if_not tag_jump_if_not step_lt_int_jump_back_if step_lt_int_jump_uncounted_if add_int_imm_arg
        mul_float_mul mul_float_add mul_float_sub
        vec_get_field
        at_reg_index_field at_index_field_load at_index_field_store at_index_load at_index_store at_field_load at_field_store
    }
    control { jump jump_back jump_if jump_if_not jump_back_if jump_back_if_not return_scalar return_ref throw rethrow }
    call { call call_native call_native_ref call_closure call_dyn take_back_dyn }
    map { map_get map_insert join_texts }
    message { send_message tell recv_scalar recv_ref next_message send_scalar_to scalar_of ref_of }
    object {
        make make_vec make_closure make_dyn make_dyn_ref is_type unbox unbox_ref get_field get_field_ref get_tag
        get_payload get_payload_ref lend_field lend_payload vec_len vec_get vec_get_ref vec_set vec_set_ref vec_push vec_push_ref
    }
    place {
        at_reg at_field at_payload at_index at_key load_at load_at_ref store_at store_at_ref take_at_ref
    }
    task { spawn spawn_closure load_global load_global_ref store_global }
    compiled { compiled }
}

/// The opcode in a first word.
pub(crate) fn op_of(word: u64) -> Op {
    debug_assert!(((word & 0xffff) as usize) < HANDLERS.len());
    // SAFETY: the decoder and the JIT compiler write only `Op` numbers into the low 16 bits of a first word.
    unsafe { std::mem::transmute::<u16, Op>(word as u16) }
}

/// The first word of an instruction, which compiling its function may change at any time.
///
/// # Safety
/// `ip` points at one.
#[inline(always)]
pub(crate) unsafe fn first_word(ip: *const u64) -> u64 {
    // SAFETY: the words of a function are atomic and never freed.
    unsafe { AtomicU64::from_ptr(ip.cast_mut()).load(Relaxed) }
}

/// Goes on at `ip`.
///
/// # Safety
/// `ip` points at a word that `decode` wrote, `regs` at the registers of the function it belongs to.
#[cfg(stark_tail_calls)]
#[inline(always)]
pub(crate) unsafe fn next(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64) -> Exit {
    // SAFETY: the decoder writes only `Op` numbers into the low 16 bits of a first word.
    unsafe {
        let word = first_word(ip);
        let handler = *HANDLERS.as_ptr().add((word & 0xffff) as usize);
        handler(m, ip.add(1), regs, budget, word)
    }
}

/// Goes on at `ip`, through the loop in `enter`.
///
/// # Safety
/// As above.
#[cfg(not(stark_tail_calls))]
#[inline(always)]
pub(crate) unsafe fn next(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64) -> Exit {
    // SAFETY: the machine outlives the code it runs.
    unsafe { save(m, ip, regs, budget) };
    Exit::Next
}

/// Keeps the state in the machine, before leaving the code.
///
/// # Safety
/// `m` is the running machine.
#[inline(always)]
pub(crate) unsafe fn save(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64) {
    // SAFETY: nobody else reaches the machine while it runs.
    unsafe {
        (*m).ip = ip;
        (*m).regs = regs;
        (*m).budget = budget;
    }
}

/// Runs from where the machine stands until something makes it leave.
///
/// # Safety
/// The machine stands at a decoded instruction with a frame of its function.
pub(crate) unsafe fn enter(m: *mut Machine) -> Exit {
    // SAFETY: the caller's promise, kept by every handler.
    unsafe {
        #[cfg(stark_tail_calls)]
        {
            next(m, (*m).ip, (*m).regs, (*m).budget)
        }
        #[cfg(not(stark_tail_calls))]
        loop {
            let (ip, regs, budget) = ((*m).ip, (*m).regs, (*m).budget);
            let word = first_word(ip);
            let exit = HANDLERS[(word & 0xffff) as usize](m, ip.add(1), regs, budget, word);
            if exit != Exit::Next {
                return exit;
            }
        }
    }
}
