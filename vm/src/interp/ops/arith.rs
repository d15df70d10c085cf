//! Numbers.

use super::*;
use half::{bf16, f16};
use stark_bytecode::Kind;

/// The range of an integer kind that fits `i64`; `UInt64` is cut at `i64::MAX`.
fn range(kind: Kind) -> (i64, i64) {
    match kind {
        Kind::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        Kind::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Kind::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Kind::UInt8 => (0, i64::from(u8::MAX)),
        Kind::UInt16 => (0, i64::from(u16::MAX)),
        Kind::UInt32 => (0, i64::from(u32::MAX)),
        Kind::UInt64 => (0, i64::MAX),
        _ => (i64::MIN, i64::MAX),
    }
}

fn kind(word: u64) -> Kind {
    Kind::ALL[c(word) % Kind::ALL.len()]
}

/// The bits of `x` cut to `kind`.
pub(crate) fn wrap(x: i64, kind: Kind) -> i64 {
    match kind {
        Kind::Int8 => i64::from(x as i8),
        Kind::Int16 => i64::from(x as i16),
        Kind::Int32 => i64::from(x as i32),
        Kind::UInt8 => i64::from(x as u8),
        Kind::UInt16 => i64::from(x as u16),
        Kind::UInt32 => i64::from(x as u32),
        _ => x,
    }
}

/// `x` rounded to a float kind.
pub fn round(x: f64, kind: Kind) -> f64 {
    match kind {
        Kind::Float16 => f16::from_f64(x).to_f64(),
        Kind::BFloat16 => bf16::from_f64(x).to_f64(),
        Kind::Float32 => f64::from(x as f32),
        _ => x,
    }
}

#[cold]
#[inline(never)]
fn overflow(lhs: i64, op: &str, rhs: i64) -> Fault {
    Fault::overflow(format!("{lhs} {op} {rhs}"), "Int")
}
#[cold]
#[inline(never)]
fn overflow_u64(lhs: u64, op: &str, rhs: u64) -> Fault {
    Fault::overflow(format!("{lhs} {op} {rhs}"), "UInt64")
}
#[cold]
#[inline(never)]
fn shift_fault(by: i64) -> Fault {
    Fault::value(format!("a shift by {by}, must be 0 to 63"))
}

macro_rules! checked {
    ($( $name:ident $method:ident $sign:literal; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            let (lhs, rhs) = (int(regs, b(w)), int(regs, c(w)));
            match lhs.$method(rhs) {
                Some(x) => { set(regs, a(w), x as u64); go!(m, ip, regs, budget) }
                None => fault(m, ip, regs, budget, overflow(lhs, $sign, rhs)),
            }
        }
    } )* };
}
checked! { add_int checked_add "+"; sub_int checked_sub "-"; mul_int checked_mul "*"; }

macro_rules! checked_u64 {
    ($( $name:ident $method:ident $sign:literal; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            let (lhs, rhs) = (get(regs, b(w)), get(regs, c(w)));
            match lhs.$method(rhs) {
                Some(x) => { set(regs, a(w), x); go!(m, ip, regs, budget) }
                None => fault(m, ip, regs, budget, overflow_u64(lhs, $sign, rhs)),
            }
        }
    } )* };
}
checked_u64! { add_u64 checked_add "+"; sub_u64 checked_sub "-"; mul_u64 checked_mul "*"; }

macro_rules! infallible {
    ($( $name:ident $access:ident |$x:ident, $y:ident| $result:expr; )*) => { $( handlers! {
        $name(m, ip, regs, budget, w) {
            let ($x, $y) = ($access(regs, b(w)), $access(regs, c(w)));
            set(regs, a(w), $result);
            go!(m, ip, regs, budget)
        }
    } )* };
}
infallible! {
    and_int get |x, y| x & y;
    or_int get |x, y| x | y;
    xor_int get |x, y| x ^ y;
    add_float float |x, y| (x + y).to_bits();
    sub_float float |x, y| (x - y).to_bits();
    mul_float float |x, y| (x * y).to_bits();
    div_float float |x, y| (x / y).to_bits();
    rem_float float |x, y| (x % y).to_bits();
    pow_float float |x, y| x.powf(y).to_bits();
}

#[cold]
#[inline(never)]
fn division(lhs: i64, sign: &str, rhs: i64) -> Fault {
    if rhs == 0 { Fault::zero_division(format!("{lhs} {sign} 0")) } else { overflow(lhs, sign, rhs) }
}

handlers! {
    add_int_imm(m, ip, regs, budget, w) {
        let (lhs, imm) = (int(regs, b(w)), i64::from(c(w) as i16));
        match lhs.checked_add(imm) {
            Some(x) => { set(regs, a(w), x as u64); go!(m, ip, regs, budget) }
            // `x - 1` is written as adding -1.
            None if imm < 0 => fault(m, ip, regs, budget, overflow(lhs, "-", -imm)),
            None => fault(m, ip, regs, budget, overflow(lhs, "+", imm)),
        }
    }

    div_int(m, ip, regs, budget, w) {
        let (lhs, rhs) = (int(regs, b(w)), int(regs, c(w)));
        match lhs.checked_div(rhs) {
            Some(x) => { set(regs, a(w), x as u64); go!(m, ip, regs, budget) }
            None => fault(m, ip, regs, budget, division(lhs, "/", rhs)),
        }
    }

    rem_int(m, ip, regs, budget, w) {
        let (lhs, rhs) = (int(regs, b(w)), int(regs, c(w)));
        if rhs == 0 {
            return fault(m, ip, regs, budget, division(lhs, "%", rhs));
        }
        // Wrapping: the smallest `Int` by -1 leaves 0, which is right.
        set(regs, a(w), lhs.wrapping_rem(rhs) as u64);
        go!(m, ip, regs, budget)
    }

    pow_int(m, ip, regs, budget, w) {
        let (lhs, rhs) = (int(regs, b(w)), int(regs, c(w)));
        match pow_i64(lhs, rhs) {
            Ok(x) => { set(regs, a(w), x as u64); go!(m, ip, regs, budget) }
            Err(error) => fault(m, ip, regs, budget, error),
        }
    }

    neg_int(m, ip, regs, budget, w) {
        let x = int(regs, b(w));
        match x.checked_neg() {
            Some(x) => { set(regs, a(w), x as u64); go!(m, ip, regs, budget) }
            None => fault(m, ip, regs, budget, Fault::overflow(format!("-({x})"), "Int")),
        }
    }

    not_int(m, ip, regs, budget, w) {
        set(regs, a(w), !get(regs, b(w)));
        go!(m, ip, regs, budget)
    }

    shl_int(m, ip, regs, budget, w) {
        let (lhs, rhs) = (int(regs, b(w)), int(regs, c(w)));
        if !(0..64).contains(&rhs) {
            return fault(m, ip, regs, budget, shift_fault(rhs));
        }
        let x = lhs << rhs;
        if x >> rhs != lhs {
            return fault(m, ip, regs, budget, overflow(lhs, "<<", rhs));
        }
        set(regs, a(w), x as u64);
        go!(m, ip, regs, budget)
    }

    shr_int(m, ip, regs, budget, w) {
        let (lhs, rhs) = (int(regs, b(w)), int(regs, c(w)));
        if !(0..64).contains(&rhs) {
            return fault(m, ip, regs, budget, shift_fault(rhs));
        }
        set(regs, a(w), (lhs >> rhs) as u64);
        go!(m, ip, regs, budget)
    }

    fit_int(m, ip, regs, budget, w) {
        let x = int(regs, b(w));
        let (low, high) = range(kind(w));
        if x < low || x > high {
            return fault(m, ip, regs, budget, Fault::overflow(x.to_string(), kind(w).name()));
        }
        set(regs, a(w), x as u64);
        go!(m, ip, regs, budget)
    }

    wrap_int(m, ip, regs, budget, w) {
        set(regs, a(w), wrap(int(regs, b(w)), kind(w)) as u64);
        go!(m, ip, regs, budget)
    }

    div_u64(m, ip, regs, budget, w) {
        let (lhs, rhs) = (get(regs, b(w)), get(regs, c(w)));
        match lhs.checked_div(rhs) {
            Some(x) => { set(regs, a(w), x); go!(m, ip, regs, budget) }
            None => fault(m, ip, regs, budget, Fault::zero_division(format!("{lhs} / 0"))),
        }
    }

    rem_u64(m, ip, regs, budget, w) {
        let (lhs, rhs) = (get(regs, b(w)), get(regs, c(w)));
        match lhs.checked_rem(rhs) {
            Some(x) => { set(regs, a(w), x); go!(m, ip, regs, budget) }
            None => fault(m, ip, regs, budget, Fault::zero_division(format!("{lhs} % 0"))),
        }
    }

    pow_u64(m, ip, regs, budget, w) {
        let (lhs, rhs) = (get(regs, b(w)), get(regs, c(w)));
        match pow_unsigned(lhs, rhs) {
            Ok(x) => { set(regs, a(w), x); go!(m, ip, regs, budget) }
            Err(error) => fault(m, ip, regs, budget, error),
        }
    }

    shl_u64(m, ip, regs, budget, w) {
        let (lhs, rhs) = (get(regs, b(w)), get(regs, c(w)));
        if rhs >= 64 {
            return fault(m, ip, regs, budget, shift_fault(rhs as i64));
        }
        let x = lhs << rhs;
        if x >> rhs != lhs {
            return fault(m, ip, regs, budget, overflow_u64(lhs, "<<", rhs));
        }
        set(regs, a(w), x);
        go!(m, ip, regs, budget)
    }

    shr_u64(m, ip, regs, budget, w) {
        let (lhs, rhs) = (get(regs, b(w)), get(regs, c(w)));
        if rhs >= 64 {
            return fault(m, ip, regs, budget, shift_fault(rhs as i64));
        }
        set(regs, a(w), lhs >> rhs);
        go!(m, ip, regs, budget)
    }

    fit_u64(m, ip, regs, budget, w) {
        let x = get(regs, b(w));
        // `UInt64` itself takes everything; the others end at or below the largest `Int`.
        if kind(w) != Kind::UInt64 && x > range(kind(w)).1 as u64 {
            return fault(m, ip, regs, budget, Fault::overflow(x.to_string(), kind(w).name()));
        }
        set(regs, a(w), x);
        go!(m, ip, regs, budget)
    }

    neg_float(m, ip, regs, budget, w) {
        set(regs, a(w), (-float(regs, b(w))).to_bits());
        go!(m, ip, regs, budget)
    }

    /// A call of `float_sqrt`, of a `Float`.
    sqrt_float(m, ip, regs, budget, w) {
        set(regs, a(w), float(regs, b(w)).sqrt().to_bits());
        go!(m, ip, regs, budget)
    }

    round_float(m, ip, regs, budget, w) {
        set(regs, a(w), round(float(regs, b(w)), kind(w)).to_bits());
        go!(m, ip, regs, budget)
    }

    int_to_float(m, ip, regs, budget, w) {
        set(regs, a(w), (int(regs, b(w)) as f64).to_bits());
        go!(m, ip, regs, budget)
    }

    u64_to_float(m, ip, regs, budget, w) {
        set(regs, a(w), (get(regs, b(w)) as f64).to_bits());
        go!(m, ip, regs, budget)
    }

    float_to_int(m, ip, regs, budget, w) {
        match to_int(float(regs, b(w)), kind(w)) {
            Ok(bits) => { set(regs, a(w), bits); go!(m, ip, regs, budget) }
            Err(error) => fault(m, ip, regs, budget, error),
        }
    }
}

#[inline(never)]
fn pow_i64(base: i64, exponent: i64) -> Result<i64, Fault> {
    if exponent < 0 {
        return Err(Fault::value(format!("{base} ** {exponent}: an integer power needs an exponent of 0 or more")));
    }
    // Beyond 32 bits only 0, 1 and -1 fit, and those depend on the exponent's parity alone.
    let short = u32::try_from(exponent).unwrap_or(u32::MAX - 1 + (exponent & 1) as u32);
    base.checked_pow(short).ok_or_else(|| overflow(base, "**", exponent))
}

#[inline(never)]
fn pow_unsigned(base: u64, exponent: u64) -> Result<u64, Fault> {
    let short = u32::try_from(exponent).unwrap_or(u32::MAX);
    base.checked_pow(short).ok_or_else(|| overflow_u64(base, "**", exponent))
}

#[inline(never)]
fn to_int(x: f64, kind: Kind) -> Result<u64, Fault> {
    if x.is_nan() {
        return Err(Fault::value(format!("nan has no {} value", kind.name())));
    }
    let whole = x.trunc();
    let misfit = || {
        let mut text = String::new();
        crate::structural::show_float(x, Kind::Float64, &mut text);
        Fault::overflow(text, kind.name())
    };
    if kind == Kind::UInt64 {
        // 2^64 itself is the first that does not fit.
        return if (0.0..18_446_744_073_709_551_616.0).contains(&whole) { Ok(whole as u64) } else { Err(misfit()) };
    }
    let (low, high) = range(kind);
    // 2^63 is exact; `high` may not be.
    if whole < low as f64 || whole >= high as f64 + 1.0 {
        return Err(misfit());
    }
    Ok(whole as i64 as u64)
}
