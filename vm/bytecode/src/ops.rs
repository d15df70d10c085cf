//! The instruction set, declared once.
//!
//! Registers are untyped 64-bit slots; every register of a function has one declared type (`Function::registers`),
//! and that type says its class: *scalar* (the bits are the value) or *reference* (an owning, counted pointer, null
//! when empty). Rules that hold for every row:
//!
//! - Writing a reference register drops what it held. Reference registers are null at entry; leaving a function,
//!   by return or by unwinding, drops what they still hold. So no drop has to be balanced by hand.
//! - Arguments travel in the *outgoing area* behind a function's registers: `arg*` rows fill slot `Out(i)`, and the next
//!   call, spawn or `make*` row consumes slots 0..n. Nothing that can fault, jump or suspend stands between the first `arg*` and its consumer.
//!   The area becomes the callee's first registers, which is why a call copies nothing.
//! - `&mut` parameters are moved in and out: after the call (and at the start of a landing pad when it failed) slot `Out(i)`
//!   holds the parameter's final value and `take_back` moves it home.
//! - A *lent* register (`Function::lent`) owns nothing: a parameter whose value the caller keeps in a register of its own while the call
//!   lasts, or a part of one, found by `lend_*`. It is read like any other, never moved, changed or dropped. `arg_lend` passes what a
//!   lent parameter takes, and nothing else does; only `call` runs a function that has some.
//! - A place inside a value is reached by a *cursor*: `at_reg`, then steps, then one of `load_at`, `store_at`, `take_at`. The rows of a chain
//!   are neighbours and no jump enters it. Each step makes the value it passes through unique (copy on write).
//!   A chain has at least one step. `take_at` leaves a hole (null) that the same function fills again. The verifier does not follow holes,
//!   so `load_at`, `take_at`, steps, `get_*`, `lend_*` and `vec_get` fault with `ValueError` when the reference they read is null.
//! - `Bool` is 0 or 1; small integers are kept in range by `fit_int` after 64-bit arithmetic; `Float16/BFloat16/Float32` are kept as
//!   `Float64` bits and rounded by `round_float` after each operation (exact for + - * / and sqrt, since 53 >= 2*24+2).
//!
//! Who reads the table: `Instr`, encoder, decoder, disassembler, assembler, verifier, interpreter, docs/bytecode.md.

/// Calls `$table!` with every row of the instruction set.
#[macro_export]
macro_rules! for_each_op {
    ($table:ident) => {
        $table! {
            // --- moving values -------------------------------------------------------------------------------
            /// `dst = src`, scalars.
            copy = Copy { dst: Def, src: Use };
            /// `dst = src`, references: one more owner.
            copy_ref = CopyRef { dst: Def, src: Use };
            /// `dst = src`, references: `src` becomes null.
            move_ref = MoveRef { dst: Def, src: Take };
            /// Drops what `reg` holds; it becomes null.
            drop_ref = DropRef { reg: Take };
            /// `dst = imm`, a scalar of any type.
            load_imm = LoadImm { dst: Def, imm: Imm };
            /// `dst = scalars[id]`, the 64 bits of a scalar of any type.
            load_scalar = LoadScalar { dst: Def, id: ScalarId };
            /// `dst = strings[id]`.
            load_str = LoadStr { dst: Def, id: StrId };
            /// `dst = blobs[id]`, a `Bytes`.
            load_bytes = LoadBytes { dst: Def, id: BlobId };

            // --- integers ------------------------------------------------------------------------------------
            /// `dst = lhs + rhs`. Faults with `OverflowError` outside `Int64`.
            add_int = AddInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs + imm`. Faults with `OverflowError`.
            add_int_imm = AddIntImm { dst: Def, lhs: Use, imm: Imm8 };
            /// `dst = lhs - rhs`. Faults with `OverflowError`.
            sub_int = SubInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs * rhs`. Faults with `OverflowError`.
            mul_int = MulInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs / rhs`, toward zero. Faults with `ZeroDivisionError`, `OverflowError`.
            div_int = DivInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs % rhs`, the sign of `lhs`. Faults with `ZeroDivisionError`.
            rem_int = RemInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs ** rhs`. Faults with `OverflowError`, and `ValueError` for a negative exponent.
            pow_int = PowInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = -src`. Faults with `OverflowError`.
            neg_int = NegInt { dst: Def, src: Use };
            /// `dst = lhs & rhs`, all integer types.
            and_int = AndInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs | rhs`, all integer types.
            or_int = OrInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs ^ rhs`, all integer types.
            xor_int = XorInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = ~src`; unsigned types are masked by a following `wrap_int`.
            not_int = NotInt { dst: Def, src: Use };
            /// `dst = lhs << rhs`. Faults with `OverflowError` when bits are lost, `ValueError` unless 0 <= rhs < 64.
            shl_int = ShlInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs >> rhs`, arithmetic. Faults with `ValueError` unless 0 <= rhs < 64.
            shr_int = ShrInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = src` when it fits `kind`, from an `Int64`. Faults with `OverflowError`.
            fit_int = FitInt { dst: Def, src: Use, kind: Kind };
            /// `dst = src` cut to the bits of `kind` and sign-extended for signed ones.
            wrap_int = WrapInt { dst: Def, src: Use, kind: Kind };
            /// `dst = lhs + rhs` on `UInt64`. Faults with `OverflowError`.
            add_u64 = AddU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs - rhs` on `UInt64`. Faults with `OverflowError`.
            sub_u64 = SubU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs * rhs` on `UInt64`. Faults with `OverflowError`.
            mul_u64 = MulU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs / rhs` on `UInt64`. Faults with `ZeroDivisionError`.
            div_u64 = DivU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs % rhs` on `UInt64`. Faults with `ZeroDivisionError`.
            rem_u64 = RemU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs ** rhs` on `UInt64`. Faults with `OverflowError`.
            pow_u64 = PowU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs << rhs` on `UInt64`. Faults like `shl_int`.
            shl_u64 = ShlU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs >> rhs`, logical. Faults with `ValueError` unless 0 <= rhs < 64.
            shr_u64 = ShrU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = src` when the `UInt64` fits `kind`. Faults with `OverflowError`.
            fit_u64 = FitU64 { dst: Def, src: Use, kind: Kind };

            // --- floats (all kinds are kept as Float64 bits) ---------------------------------------------------
            /// `dst = lhs + rhs`.
            add_float = AddFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs - rhs`.
            sub_float = SubFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs * rhs`.
            mul_float = MulFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs / rhs`, IEEE.
            div_float = DivFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs % rhs`, the sign of `lhs`, IEEE `fmod`.
            rem_float = RemFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs ** rhs`.
            pow_float = PowFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = -src`.
            neg_float = NegFloat { dst: Def, src: Use };
            /// `dst = src` rounded to the float type `kind`.
            round_float = RoundFloat { dst: Def, src: Use, kind: Kind };
            /// `dst` = the `Int64` as a `Float64`.
            int_to_float = IntToFloat { dst: Def, src: Use };
            /// `dst` = the `UInt64` as a `Float64`.
            u64_to_float = U64ToFloat { dst: Def, src: Use };
            /// `dst` = `src` cut toward zero, as integer `kind`. Faults with `OverflowError` when it does not fit, `ValueError` for NaN.
            float_to_int = FloatToInt { dst: Def, src: Use, kind: Kind };

            // --- comparing scalars ---------------------------------------------------------------------------
            /// `dst = lhs == rhs` on the bits of any non-float scalar.
            eq_int = EqInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs != rhs` on the bits of any non-float scalar.
            ne_int = NeInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs < rhs`, signed.
            lt_int = LtInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs <= rhs`, signed.
            le_int = LeInt { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs < rhs`, unsigned.
            lt_u64 = LtU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs <= rhs`, unsigned.
            le_u64 = LeU64 { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs == rhs`, IEEE.
            eq_float = EqFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs != rhs`, IEEE.
            ne_float = NeFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs < rhs`, IEEE.
            lt_float = LtFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = lhs <= rhs`, IEEE.
            le_float = LeFloat { dst: Def, lhs: Use, rhs: Use };
            /// `dst = not src`.
            not_bool = NotBool { dst: Def, src: Use };

            // --- control -------------------------------------------------------------------------------------
            /// Goes on at `to`. A backward jump spends one reduction.
            jump = Jump { to: Target };
            /// Goes on at `to` when `cond` is true. A backward jump spends one reduction.
            jump_if = JumpIf { cond: Use, to: Target };
            /// Goes on at `to` when `cond` is false. A backward jump spends one reduction.
            jump_if_not = JumpIfNot { cond: Use, to: Target };
            /// Returns the scalar `src`.
            return_scalar = ReturnScalar { src: Use };
            /// Returns the reference `src`.
            return_ref = ReturnRef { src: Take };
            /// Throws `err`, a `dyn Error`; the trace starts here.
            throw = Throw { err: Take };
            /// Throws `err` again; its first trace is kept.
            rethrow = Rethrow { err: Take };

            // --- calls ---------------------------------------------------------------------------------------
            /// Outgoing slot `out` = the scalar `src`.
            arg = Arg { out: Out, src: Use };
            /// Outgoing slot `out` = one more owner of the reference `src`.
            arg_copy = ArgCopy { out: Out, src: Use };
            /// Outgoing slot `out` = the reference `src`, which becomes null.
            arg_move = ArgMove { out: Out, src: Take };
            /// `dst = func(outgoing…)`. Spends one reduction.
            call = Call { dst: Def, func: FuncId };
            /// `dst = native(outgoing…)`; may suspend when the native's row says so.
            call_native = CallNative { dst: Def, native: NativeId };
            /// `dst = closure(outgoing…)`; the captured values follow the arguments.
            call_closure = CallClosure { dst: Def, closure: Use };
            /// `dst = method(outgoing…)`; slot 0 holds the dynamic value that chooses the implementation.
            call_dyn = CallDyn { dst: Def, method: MethodId };
            /// After a call with `&mut` parameter number `out` (or first in its landing pad): `dst` = its final value.
            take_back = TakeBack { dst: Def, out: Out };

            // --- making and reading values ---------------------------------------------------------------------
            /// `dst` = a tuple, struct or actor state of `dst`'s type from the outgoing slots.
            make = Make { dst: Def };
            /// `dst` = variant number `variant` of `dst`'s enum type, its fields from the outgoing slots.
            make_variant = MakeVariant { dst: Def, variant: Variant };
            /// `dst` = a `Vec` of `dst`'s type with `count` elements from the outgoing slots.
            make_vec = MakeVec { dst: Def, count: Count };
            /// `dst` = a closure over `func`; the outgoing slots become its captured values (the last parameters of `func`).
            make_closure = MakeClosure { dst: Def, func: FuncId };
            /// `dst` = a dynamic value holding `src` (consumed), of `src`'s type.
            make_dyn = MakeDyn { dst: Def, src: Take };
            /// `dst` = whether the dynamic value `src` holds a value of type `ty`.
            is_type = IsType { dst: Def, src: Use, ty: TypeId };
            /// `dst` = the value in the dynamic value `src`, of `dst`'s type. Faults with `ValueError` when it holds another type.
            unbox = Unbox { dst: Def, src: Use };
            /// `dst` = field `field` of a tuple, struct or actor state.
            get_field = GetField { dst: Def, obj: Use, field: Field };
            /// `dst` = the variant's number.
            get_tag = GetTag { dst: Def, obj: Use };
            /// `dst` = payload `field` of variant `variant`. Faults with `ValueError` when `obj` is another variant.
            get_payload = GetPayload { dst: Def, obj: Use, at: Payload };
            /// `dst` = the number of elements of a `Vec`.
            vec_len = VecLen { dst: Def, vec: Use };
            /// `dst = vec[idx]`. Faults with `IndexError`.
            vec_get = VecGet { dst: Def, vec: Use, idx: Use };
            /// `vec[idx] = src` (a reference is consumed), after making `vec` unique. Faults with `IndexError`.
            vec_set = VecSet { vec: Change, idx: Use, src: Take };
            /// Appends `src` (a reference is consumed), after making `vec` unique.
            vec_push = VecPush { vec: Change, src: Take };

            // --- places ----------------------------------------------------------------------------------------
            /// Starts a chain at the value in `reg`.
            at_reg = AtReg { reg: Change };
            /// Steps to a field of a tuple, struct or actor state.
            at_field = AtField { field: Field };
            /// Steps to a payload field of an enum value. Faults with `ValueError` when it is another variant.
            at_payload = AtPayload { at: Payload };
            /// Steps to an element of a `Vec`. Faults with `IndexError`.
            at_index = AtIndex { idx: Use };
            /// Steps to the value under a key of a `Map`. Faults with `KeyError`.
            at_key = AtKey { key: Use };
            /// Ends a chain: `dst` = a copy of what is there.
            load_at = LoadAt { dst: Def };
            /// Ends a chain: what is there = `src` (a reference is consumed); the old value is dropped.
            store_at = StoreAt { src: Take };
            /// Ends a chain: `dst` = what is there; a reference leaves a hole, and whoever reads a hole gets `ValueError`.
            take_at = TakeAt { dst: Def };

            // --- tasks and globals ----------------------------------------------------------------------------
            /// `dst` = a `Future` or `JoinHandle` of a new task that runs `func(outgoing…)`.
            spawn = Spawn { dst: Def, func: FuncId };
            /// `dst` = a `Future` or `JoinHandle` of a new task that runs `closure()`.
            spawn_closure = SpawnClosure { dst: Def, closure: Use };
            /// `dst` = the result of the future or handle `src` (consumed); suspends until it is there; throws its error.
            await_task = AwaitTask { dst: Def, src: Take };
            /// `dst` = the global; faults with `ValueError` before its `let` has run.
            load_global = LoadGlobal { dst: Def, global: GlobalId };
            /// The global = `src` (a reference is copied).
            store_global = StoreGlobal { global: GlobalId, src: Use };

            // --- lending -------------------------------------------------------------------------------------
            /// Outgoing slot `out` = the reference `src`, which stays the caller's: for a lent parameter.
            arg_lend = ArgLend { out: Out, src: Use };
            /// `dst` = field `field` of the lent `obj`, lent as that is.
            lend_field = LendField { dst: Def, obj: Use, field: Field };
            /// `dst` = payload `field` of a variant of the lent `obj`, lent as that is. Faults with `ValueError` when it is another.
            lend_payload = LendPayload { dst: Def, obj: Use, at: Payload };
        }
    };
}
