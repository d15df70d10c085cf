//! Neighbours that run as one.
//!
//! The loader only changes the first word of such a group (`load::fuse`): the others stay behind it as they were, and a
//! fault names the instruction it belongs to. Every register that the group
//! writes is written, in the same order.

use super::object::{hole, out_of_range};
use super::*;
use crate::heap::object::VecObj;
use crate::heap::{fields_slots, is_object};

macro_rules! float_pairs {
    ($( $name:ident $first:tt $second:tt; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            let second = *ip;
            set(regs, a(w), (float(regs, b(w)) $first float(regs, c(w))).to_bits());
            set(regs, a(second), (float(regs, b(second)) $second float(regs, c(second))).to_bits());
            go!(m, ip.add(1), regs, budget)
        }
    } )* };
}
float_pairs! {
    mul_float_mul * *;
    mul_float_add * +;
    mul_float_sub * -;
}

/// The slot behind `at_reg`, `at_index`; or how the machine leaves. `ip` is behind the first word.
macro_rules! at_index {
    ($m:ident, $ip:ident, $regs:ident, $budget:ident, $w:ident) => {{
        let root = $regs.add(a($w));
        if !is_object(*root) {
            return fault($m, $ip.add(1), $regs, $budget, hole());
        }
        let vec = unique($m, $ip.add(1), $regs, root) as *mut VecObj;
        let idx = int($regs, a(*$ip));
        match (&mut (*vec).items).get_mut(idx as usize) {
            Some(slot) => slot as *mut u64,
            None => return fault($m, $ip.add(1), $regs, $budget, out_of_range(idx, vec)),
        }
    }};
}

/// The slot behind `at_field`, whose word is at `word`, of the object in `slot`.
macro_rules! at_field {
    ($m:ident, $word:expr, $regs:ident, $budget:ident, $slot:expr) => {{
        let (word, slot): (*const u64, *mut u64) = ($word, $slot);
        if !is_object(*slot) {
            return fault($m, word.add(1), $regs, $budget, hole());
        }
        fields_slots(unique($m, word.add(1), $regs, slot)).add(a(*word))
    }};
}

/// `add_int_imm`, `lt_int` of the sum, and a jump back: the end of a counting loop.
macro_rules! steps {
    ($( $name:ident $counts:literal; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            let compare = *ip;
            let Some(sum) = int(regs, b(w)).checked_add(i64::from(c(w) as i16)) else {
                return super::arith::add_int_imm(m, ip, regs, budget, w);
            };
            let result = sum < int(regs, c(compare));
            // Before anything is written: after a pause all of it runs again.
            if $counts && result && is_spent(budget) {
                return spent(m, ip, regs);
            }
            set(regs, a(w), sum as u64);
            set(regs, a(compare), u64::from(result));
            let target = *ip.add(1);
            let after = ip.add(2);
            if !result {
                return go!(m, after, regs, budget);
            }
            go!(m, after.offset(distance(target)), regs, if $counts { after_one(budget) } else { budget })
        }
    } )* };
}
steps! {
    step_lt_int_jump_back_if true;
    step_lt_int_jump_uncounted_if false;
}

handlers! {
    /// `load_imm`, `lt_int` with it on the right, and a jump forward.
    imm_lt_int_jump_if_not(m, ip, regs, budget, w) {
        let compare = *ip;
        let imm = distance(w) as i64;
        set(regs, a(w), imm as u64);
        let result = int(regs, b(compare)) < imm;
        set(regs, a(compare), u64::from(result));
        let target = *ip.add(1);
        let ip = ip.add(2);
        if result {
            return go!(m, ip, regs, budget);
        }
        go!(m, ip.offset(distance(target)), regs, budget)
    }

    /// The test of one arm of a `match`: `get_tag`, `load_imm`, `eq_int` of the two, and a jump forward.
    tag_jump_if_not(m, ip, regs, budget, w) {
        let (imm, compare, target) = (*ip, *ip.add(1), *ip.add(2));
        let tag = super::object::tag_of(get(regs, b(w)));
        let wanted = distance(imm) as u64;
        set(regs, a(w), tag);
        set(regs, a(imm), wanted);
        set(regs, a(compare), u64::from(tag == wanted));
        let ip = ip.add(3);
        if tag == wanted {
            return go!(m, ip, regs, budget);
        }
        go!(m, ip.offset(distance(target)), regs, budget)
    }

    /// `add_int_imm` and `arg` with the sum.
    add_int_imm_arg(m, ip, regs, budget, w) {
        let Some(sum) = int(regs, b(w)).checked_add(i64::from(c(w) as i16)) else {
            return super::arith::add_int_imm(m, ip, regs, budget, w);
        };
        set(regs, a(w), sum as u64);
        set(regs, a(*ip), sum as u64);
        go!(m, ip.add(1), regs, budget)
    }

    /// A number in a field of an item: `vec_get`, `get_field`, `drop_ref`, without counting the item.
    vec_get_field(m, ip, regs, budget, w) {
        let vec = get(regs, b(w)) as *const VecObj;
        let idx = int(regs, c(w));
        match (&(*vec).items).get(idx as usize) {
            Some(&0) => fault(m, ip, regs, budget, hole()),
            Some(&item) => {
                let field = *ip;
                set(regs, a(field), *fields_slots(item as *mut Header).add(c(field)));
                let old = get(regs, a(w));
                if old != 0 {
                    set_ref(regs, a(w), 0);
                }
                go!(m, ip.add(2), regs, budget)
            }
            None => fault(m, ip, regs, budget, out_of_range(idx, vec)),
        }
    }

    at_reg_index_field(m, ip, regs, budget, w) {
        let item = at_index!(m, ip, regs, budget, w);
        (*m).cursor = at_field!(m, ip.add(1), regs, budget, item);
        go!(m, ip.add(2), regs, budget)
    }

    at_index_field_load(m, ip, regs, budget, w) {
        let item = at_index!(m, ip, regs, budget, w);
        let slot = at_field!(m, ip.add(1), regs, budget, item);
        set(regs, a(*ip.add(2)), *slot);
        go!(m, ip.add(3), regs, budget)
    }

    at_index_field_store(m, ip, regs, budget, w) {
        let item = at_index!(m, ip, regs, budget, w);
        let slot = at_field!(m, ip.add(1), regs, budget, item);
        *slot = get(regs, a(*ip.add(2)));
        go!(m, ip.add(3), regs, budget)
    }

    at_index_load(m, ip, regs, budget, w) {
        let slot = at_index!(m, ip, regs, budget, w);
        set(regs, a(*ip.add(1)), *slot);
        go!(m, ip.add(2), regs, budget)
    }

    at_index_store(m, ip, regs, budget, w) {
        let slot = at_index!(m, ip, regs, budget, w);
        *slot = get(regs, a(*ip.add(1)));
        go!(m, ip.add(2), regs, budget)
    }

    at_field_load(m, ip, regs, budget, w) {
        let slot = at_field!(m, ip, regs, budget, regs.add(a(w)));
        set(regs, a(*ip.add(1)), *slot);
        go!(m, ip.add(2), regs, budget)
    }

    at_field_store(m, ip, regs, budget, w) {
        let slot = at_field!(m, ip, regs, budget, regs.add(a(w)));
        *slot = get(regs, a(*ip.add(1)));
        go!(m, ip.add(2), regs, budget)
    }
}
