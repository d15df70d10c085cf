//! Jumps, returns and throws.

use super::*;

handlers! {
    jump(m, ip, regs, budget, w) {
        go!(m, ip.offset(distance(w)), regs, budget)
    }

    jump_back(m, ip, regs, budget, w) {
        if is_spent(budget) {
            return spent(m, ip, regs);
        }
        go!(m, ip.offset(distance(w)), regs, after_one(budget))
    }

    jump_if(m, ip, regs, budget, w) {
        if get(regs, a(w)) == 0 {
            return go!(m, ip, regs, budget);
        }
        go!(m, ip.offset(distance(w)), regs, budget)
    }

    jump_if_not(m, ip, regs, budget, w) {
        if get(regs, a(w)) != 0 {
            return go!(m, ip, regs, budget);
        }
        go!(m, ip.offset(distance(w)), regs, budget)
    }

    jump_back_if(m, ip, regs, budget, w) {
        if get(regs, a(w)) == 0 {
            return go!(m, ip, regs, budget);
        }
        if is_spent(budget) {
            return spent(m, ip, regs);
        }
        go!(m, ip.offset(distance(w)), regs, after_one(budget))
    }

    jump_back_if_not(m, ip, regs, budget, w) {
        if get(regs, a(w)) != 0 {
            return go!(m, ip, regs, budget);
        }
        if is_spent(budget) {
            return spent(m, ip, regs);
        }
        go!(m, ip.offset(distance(w)), regs, after_one(budget))
    }

    return_scalar(m, ip, regs, budget, w) {
        let value = get(regs, a(w));
        let back = *regs.sub(1) as *const u64;
        if back.is_null() {
            return finish(m, ip, regs, budget, value);
        }
        let caller = regs.sub(*regs.sub(2) as usize);
        // Every call is two words; the first names the register for the result.
        let call_word = first_word(back.sub(2));
        set(caller, a(call_word), value);
        go!(m, back, caller, budget)
    }

    return_ref(m, ip, regs, budget, w) {
        let value = std::mem::take(&mut *regs.add(a(w)));
        let back = *regs.sub(1) as *const u64;
        if back.is_null() {
            return finish(m, ip, regs, budget, value);
        }
        let caller = regs.sub(*regs.sub(2) as usize);
        let call_word = first_word(back.sub(2));
        set_ref(caller, a(call_word), value);
        go!(m, back, caller, budget)
    }

    throw(m, ip, regs, budget, w) {
        let error = std::mem::take(&mut *regs.add(a(w)));
        save(m, ip, regs, budget);
        (*m).pending = Some(Pending::Throw { error, keep_trace: false });
        Exit::Fault
    }

    rethrow(m, ip, regs, budget, w) {
        let error = std::mem::take(&mut *regs.add(a(w)));
        save(m, ip, regs, budget);
        (*m).pending = Some(Pending::Throw { error, keep_trace: true });
        Exit::Fault
    }
}

/// The first frame returns.
#[cold]
#[inline(never)]
unsafe fn finish(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, value: u64) -> Exit {
    save(m, ip, regs, budget);
    (*m).result = value;
    std::hint::black_box(Exit::Return)
}
