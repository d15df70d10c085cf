//! Comparing scalars, alone and fused with the jump that follows.

use super::*;

macro_rules! comparisons {
    ($( $name:ident $access:ident $op:tt; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            set(regs, a(w), u64::from($access(regs, b(w)) $op $access(regs, c(w))));
            go!(m, ip, regs, budget)
        }
    } )* };
}
comparisons! {
    eq_int get ==;
    ne_int get !=;
    lt_int int <;
    le_int int <=;
    lt_u64 get <;
    le_u64 get <=;
    eq_float float ==;
    ne_float float !=;
    lt_float float <;
    le_float float <=;
}

macro_rules! compare_and_jump {
    ($( $name:ident $access:ident $op:tt $when:literal; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            let result = $access(regs, b(w)) $op $access(regs, c(w));
            set(regs, a(w), u64::from(result));
            let target = *ip;
            let ip = ip.add(1);
            if result != $when {
                return go!(m, ip, regs, budget);
            }
            go!(m, ip.offset(distance(target)), regs, budget)
        }
    } )* };
}
compare_and_jump! {
    lt_int_jump_if int < true;
    lt_int_jump_if_not int < false;
    le_int_jump_if int <= true;
    le_int_jump_if_not int <= false;
    eq_int_jump_if int == true;
    eq_int_jump_if_not int == false;
    lt_float_jump_if float < true;
    lt_float_jump_if_not float < false;
    le_float_jump_if float <= true;
    le_float_jump_if_not float <= false;
}

macro_rules! compare_and_jump_back {
    ($( $name:ident $access:ident $op:tt; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            let result = $access(regs, b(w)) $op $access(regs, c(w));
            set(regs, a(w), u64::from(result));
            let target = *ip;
            let after = ip.add(1);
            if !result {
                return go!(m, after, regs, budget);
            }
            if is_spent(budget) {
                return spent(m, ip, regs);
            }
            go!(m, after.offset(distance(target)), regs, after_one(budget))
        }
    } )* };
}
compare_and_jump_back! {
    lt_int_jump_back_if int <;
    le_int_jump_back_if int <=;
    lt_float_jump_back_if float <;
    le_float_jump_back_if float <=;
}

handlers! {
    not_bool(m, ip, regs, budget, w) {
        set(regs, a(w), get(regs, b(w)) ^ 1);
        go!(m, ip, regs, budget)
    }
}
