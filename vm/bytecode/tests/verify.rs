//! The verifier: good modules pass, and each rule has a module that breaks it and is told where.

mod common;

use common::{accept, every, module, tiny};
use stark_bytecode::verify::limits;
use stark_bytecode::{FuncId, Handler, Line, MethodId, Module, Reg, Target, TypeDesc, TypeId, disasm, verify};

#[test]
fn good_modules_pass() {
    accept(module(""));
    accept(every());
    accept(tiny());
}

/// A function `f14` with these lines between its braces, two lines to an instruction where `|` stands.
fn with_body(ret: &str, body: &str) -> Module {
    module(&format!("func f14 = \"case\" -> {ret} out 3 {{\n{}\n}}\n", body.replace('|', "\n")))
}

fn refused(ret: &str, body: &str, pc: u32, message: &str) {
    let module = with_body(ret, body);
    let text = disasm(&module);
    let text = &text[text.find("func f14").unwrap()..];
    let error = verify(module).err().unwrap_or_else(|| panic!("{body}\nwas accepted:\n{text}"));
    assert_eq!(error.place, "function 14 (case)", "{error}");
    assert_eq!((error.pc, error.message.as_str()), (Some(pc), message), "{body}\n{text}");
}

fn accepted(ret: &str, body: &str) {
    verify(with_body(ret, body)).unwrap_or_else(|error| panic!("{body}\n{error}"));
}

#[test]
fn operands_must_exist() {
    for (instr, message) in [
        ("copy r0, r9", "copy: register 9 of 1"),
        ("arg o3, r0", "arg: outgoing slot 3 of 3"),
        ("call r0, f99", "call: function 99 of 15"),
        ("call_native r0, n9", "call_native: native 9 of 2"),
        ("load_scalar r0, c9", "load_scalar: scalar 9 of 2"),
        ("load_str r0, s9", "load_str: string 9 of 1"),
        ("load_bytes r0, b9", "load_bytes: blob 9 of 1"),
        ("load_global r0, g9", "load_global: global 9 of 2"),
        ("call_dyn r0, m9", "call_dyn: method 9 of 3"),
        ("is_type r0, r0, t99", "is_type: type 99 of 29"),
    ] {
        refused("t1", &format!("reg r0: t1|load_imm r0, 0|{instr}|return_scalar r0"), 1, message);
    }
    let mut module = with_body("t1", "reg r0: t1|jump L0|L0:|return_scalar r0");
    module.functions[14].code[0] = stark_bytecode::Instr::Jump { to: Target(2) };
    assert_eq!(verify(module).unwrap_err().message, "jump: instruction 2 of 2");
}

#[test]
fn operands_must_have_the_right_type() {
    // One register of each class, then the instruction under test at position 0.
    let registers = "param r0: t1|param r1: t2|param r2: t3|param r3: t4|param r4: t5|param r5: t7|param r6: t8|param r7: t9|\
                     param r8: t10|param r9: t11|param r10: t12|param r11: t18|param r12: t13|param r13: t17|param r14: t15|\
                     param r15: t0|param r16: t6|param r17: t22|param r18: t20|param r19: t21|param r20: t16";
    for (instr, message) in [
        ("copy r0, r1", "copy: r0 is Int, not Float"),
        ("copy r3, r3", "copy: r3 is String, not a scalar"),
        ("copy r2, r0", "copy: r2 is Bool, not Int"),
        ("copy_ref r0, r0", "copy_ref: r0 is Int, not a reference"),
        ("copy_ref r3, r4", "copy_ref: r3 is String, not Vec<Int>"),
        ("move_ref r4, r3", "move_ref: r4 is Vec<Int>, not String"),
        ("drop_ref r0", "drop_ref: r0 is Int, not a reference"),
        ("load_imm r3, 0", "load_imm: r3 is String, not a scalar"),
        ("load_imm r2, 2", "load_imm: r2 is Bool, which has no value 2"),
        ("load_imm r7, 2", "load_imm: r7 is Color, which has no value 2"),
        ("load_imm r15, 1", "load_imm: r15 is (), which has no value 1"),
        ("load_scalar r2, c1", "load_scalar: r2 is Bool, which has no value 18446744073709551615"),
        ("load_str r14, s0", "load_str: r14 is Bytes, not a String"),
        ("load_bytes r3, b0", "load_bytes: r3 is String, not Bytes"),
        ("add_int r0, r0, r1", "add_int: r1 is Float, not an integer"),
        ("add_int r2, r0, r0", "add_int: r2 is Bool, not an integer"),
        ("add_int_imm r0, r3, 1", "add_int_imm: r3 is String, not an integer"),
        ("and_int r2, r2, r0", "and_int: r0 is Int, not a Bool"),
        ("neg_int r1, r0", "neg_int: r1 is Float, not an integer"),
        ("fit_int r0, r0, Float", "fit_int: Float is no integer type"),
        ("wrap_int r0, r1, Int8", "wrap_int: r1 is Float, not an integer"),
        ("fit_u64 r0, r3, Int8", "fit_u64: r3 is String, not an integer"),
        ("add_u64 r18, r18, r1", "add_u64: r1 is Float, not an integer"),
        ("add_float r1, r1, r0", "add_float: r0 is Int, not a float"),
        ("neg_float r1, r0", "neg_float: r0 is Int, not a float"),
        ("round_float r1, r1, Int8", "round_float: Int8 is no float type"),
        ("int_to_float r0, r0", "int_to_float: r0 is Int, not a float"),
        ("u64_to_float r1, r1", "u64_to_float: r1 is Float, not an integer"),
        ("float_to_int r0, r1, Float", "float_to_int: Float is no integer type"),
        ("float_to_int r0, r0, Int", "float_to_int: r0 is Int, not a float"),
        ("eq_int r0, r0, r0", "eq_int: r0 is Int, not a Bool"),
        ("eq_int r2, r1, r1", "eq_int: r1 is Float, not a scalar that is no float"),
        ("eq_int r2, r0, r7", "eq_int: r0 is Int but r7 is Color"),
        ("lt_u64 r2, r18, r2", "lt_u64: r2 is Bool, not an integer"),
        ("eq_float r2, r1, r0", "eq_float: r0 is Int, not a float"),
        ("not_bool r2, r0", "not_bool: r0 is Int, not a Bool"),
        ("jump_if r0, L0", "jump_if: r0 is Int, not a Bool"),
        ("jump_if_not r7, L0", "jump_if_not: r7 is Color, not a Bool"),
        ("return_scalar r1", "return_scalar: r1 is Float, not Int"),
        ("return_ref r3", "return_ref: r3 is String, not Int"),
        ("throw r3", "throw: r3 is String, not a dyn Error"),
        ("rethrow r11", "rethrow: r11 is dyn Shape, not a dyn Error"),
        ("arg o0, r3", "arg: r3 is String, not a scalar"),
        ("arg_copy o0, r0", "arg_copy: r0 is Int, not a reference"),
        ("arg_move o0, r0", "arg_move: r0 is Int, not a reference"),
        ("call r1, @answer", "call: r1 is Float, not Int"),
        ("call_native r1, @len", "call_native: r1 is Float, not Int"),
        ("call_closure r0, r3", "call_closure: r3 is String, not a function"),
        ("call_closure r1, r9", "call_closure: r1 is Float, not Int"),
        ("call_dyn r1, @Shape.area", "call_dyn: r1 is Float, not Int"),
        ("make r4", "make: r4 is Vec<Int>, not a tuple, struct or actor"),
        ("make_variant r6, 2", "make_variant: variant 2 of Option<String>, which has 2"),
        ("make_variant r7, 0", "make_variant: r7 is Color, whose variants are plain numbers or which is no enum"),
        ("make_variant r5, 0", "make_variant: a variant of Point, which is no enum"),
        ("make_vec r3, 0", "make_vec: r3 is String, not a Vec"),
        ("make_vec r4, 4", "make_vec: 4 elements in 3 slots"),
        ("make_closure r13, @inc", "make_closure: r13 is fn() -> Int, which is not the signature of inc"),
        ("make_closure r9, @push", "make_closure: push has a `&mut` parameter, a closure cannot"),
        ("make_dyn r3, r5", "make_dyn: r3 is String, not a dynamic value"),
        ("make_dyn r11, r3", "make_dyn: r3 is String, for which Shape.area is not implemented"),
        ("is_type r2, r3, t4", "is_type: r3 is String, not a dynamic value"),
        ("is_type r0, r8, t4", "is_type: r0 is Int, not a Bool"),
        ("unbox r3, r3", "unbox: r3 is String, not a dynamic value"),
        ("get_field r0, r5, 2", "get_field: field 2 of Point, which has 2"),
        ("get_field r3, r5, 0", "get_field: r3 is String, not Int"),
        ("get_field r0, r4, 0", "get_field: a field of Vec<Int>, which has none"),
        ("get_field r3, r20, 0", "get_field: r3 is String, not Int"),
        ("get_tag r0, r5", "get_tag: r5 is Point, not an enum"),
        ("get_tag r1, r6", "get_tag: r1 is Float, not an integer"),
        ("get_payload r3, r6, 2.0", "get_payload: variant 2 of Option<String>, which has 2"),
        ("get_payload r3, r6, 0.0", "get_payload: payload 0 of Option<String>.None, which has 0"),
        ("get_payload r0, r6, 1.0", "get_payload: r0 is Int, not String"),
        ("vec_len r0, r3", "vec_len: r3 is String, not a Vec"),
        ("vec_len r2, r4", "vec_len: r2 is Bool, not an integer"),
        ("vec_get r3, r4, r0", "vec_get: r3 is String, not Int"),
        ("vec_get r0, r4, r1", "vec_get: r1 is Float, not an integer"),
        ("vec_set r4, r0, r1", "vec_set: r1 is Float, not Int"),
        ("vec_push r4, r3", "vec_push: r3 is String, not Int"),
        ("vec_push r17, r17", "vec_push: r17 is moved and read at once"),
        ("at_reg r0", "at_reg: r0 is Int, not a reference"),
        ("spawn r3, @answer", "spawn: r3 is String, not a Future or JoinHandle of Int"),
        ("spawn r10, @push", "spawn: a task cannot run push, which has a `&mut` parameter"),
        ("spawn_closure r10, r9", "spawn_closure: r9 is fn(Int) -> Int, a task needs one without parameters"),
        ("await_task r1, r10", "await_task: r10 is Future<Int>, not a Future or JoinHandle of Float"),
        ("load_global r1, @hits", "load_global: r1 is Float, not Int"),
        ("load_global r4, g1", "load_global: shared hits is a shared zone, only natives reach it"),
        ("store_global @hits, r3", "store_global: r3 is String, not Int"),
    ] {
        refused("t1", &format!("{registers}|{instr}|L0:|return_scalar r0"), 0, message);
    }
    for instr in [
        "copy r0, r7",
        "copy r0, r2",
        "and_int r2, r2, r2",
        "eq_int r2, r7, r7",
        "lt_int r2, r0, r18",
        "make_dyn r11, r0",
    ] {
        accepted("t1", &format!("{registers}|{instr}|L0:|return_scalar r0"));
    }
}

#[test]
fn outgoing_slots_are_filled_in_one_stretch() {
    let registers = "param r0: t1|param r1: t4|param r2: t3|reg r3: t11|reg r4: t6|reg r5: t14|reg r6: t8|reg r7: t0";
    for (body, pc, message) in [
        ("call r0, @inc", 0, "call: 0 outgoing slots are filled, 1 are wanted"),
        ("arg o1, r0|call r0, @inc", 1, "call: outgoing slot 0 is not filled"),
        ("arg_copy o0, r1|call r0, @inc", 1, "call: outgoing slot 0 holds String, not Int"),
        ("arg o0, r0|arg o1, r0|call r0, @inc", 2, "call: 2 outgoing slots are filled, 1 are wanted"),
        ("arg o0, r0|arg o0, r0|call r0, @inc", 1, "arg: slot 0 is filled already"),
        ("arg o0, r0|call_native r0, @len", 1, "call_native: outgoing slot 0 holds Int, not String"),
        ("call_dyn r0, @Shape.area", 0, "call_dyn: 0 outgoing slots are filled, 1 are wanted"),
        ("make_closure r3, @\"closure in main\"", 0, "make_closure: 0 outgoing slots are filled, 1 are wanted"),
        ("arg o0, r0|make_vec r4, 1", 1, "make_vec: outgoing slot 0 holds Int, not String"),
        ("arg_copy o0, r1|make r5", 1, "make: outgoing slot 0 holds String, not Int"),
        ("arg_copy o0, r1|make_variant r6, 0", 1, "make_variant: 1 outgoing slots are filled, 0 are wanted"),
        ("arg o0, r0|add_int r0, r0, r0|call r0, @inc", 1, "add_int: it may fail while outgoing slots are filled"),
        ("arg o0, r0|jump L0|L0:|call r0, @inc", 1, "jump: it may fail while outgoing slots are filled"),
        ("arg o0, r0|return_scalar r0", 1, "return_scalar: it may fail while outgoing slots are filled"),
        (
            "jump_if r2, L0|arg o0, r0|L0:|arg o0, r0|call r0, @inc",
            2,
            "arg: a jump enters where outgoing slots are filled",
        ),
        ("arg o0, r0|at_reg r1", 1, "at_reg: outgoing slots are filled"),
    ] {
        refused("t1", &format!("{registers}|{body}|return_scalar r0"), pc, message);
    }
    accepted("t1", &format!("{registers}|arg o0, r0|copy r0, r0|call r0, @inc|return_scalar r0"));
}

#[test]
fn parameters_are_taken_back_after_their_call() {
    let registers = "param r0: t6|param r1: t4|reg r2: t0|reg r3: t10";
    let call = "arg_move o0, r0|arg_copy o1, r1";
    for (body, pc, message) in [
        ("take_back r0, o0".to_owned(), 0, "take_back: slot 0 holds no `&mut` parameter of a call just before"),
        (format!("{call}|call r2, @push"), 3, "return_scalar: the `&mut` parameter in slot 0 was not taken back"),
        (
            format!("{call}|call r2, @push|take_back r1, o1"),
            3,
            "take_back: slot 1 holds no `&mut` parameter of a call just before",
        ),
        (format!("{call}|call r2, @push|take_back r1, o0"), 3, "take_back: r1 is String, not Vec<String>"),
        (
            format!("{call}|call r2, @push|take_back r0, o0|take_back r0, o0"),
            4,
            "take_back: slot 0 holds no `&mut` parameter of a call just before",
        ),
        (
            format!("{call}|call r2, @push|copy r2, r2|take_back r0, o0"),
            3,
            "copy: the `&mut` parameter in slot 0 was not taken back",
        ),
        (
            format!("handler L0 .. L1 -> L2 r3|{call}|L0:|call r2, @push|L1:|take_back r0, o0|L2:|take_back r0, o0"),
            4,
            "take_back: a landing pad is entered without an error",
        ),
        (
            format!(
                "handler L0 .. L1 -> L2 r3|load_str r1, s0|L0:|load_str r1, s0|{call}|call r2, @push|L1:|take_back r0, o0|return_scalar r2|L2:|take_back r0, o0"
            ),
            7,
            "take_back: 4 and others that fail into this pad have not the same `&mut` parameters",
        ),
    ] {
        refused("t0", &format!("{registers}|{body}|return_scalar r2"), pc, message);
    }
    accepted(
        "t0",
        &format!(
            "{registers}|handler L0 .. L1 -> L2 r3|{call}|L0:|call r2, @push|L1:|take_back r0, o0|return_scalar r2|L2:|take_back r0, o0|rethrow r3"
        ),
    );
    // A pad that takes nothing back lets the value go.
    accepted(
        "t0",
        &format!(
            "{registers}|handler L0 .. L1 -> L2 r3|{call}|L0:|call r2, @push|L1:|take_back r0, o0|return_scalar r2|L2:|rethrow r3"
        ),
    );
}

#[test]
fn lent_values_stay_with_the_caller() {
    // The function under test calls itself.
    let registers = "lent r0: t8|reg r1: t1|reg r2: t4|reg r3: t8|reg r4: t14|part r5: t4|load_imm r1, 0";
    for (body, pc, message) in [
        ("move_ref r3, r0", 1, "move_ref: r0 is lent"),
        ("drop_ref r0", 1, "drop_ref: r0 is lent"),
        ("make_variant r0, 0", 1, "make_variant: r0 is lent"),
        ("at_reg r0", 1, "at_reg: r0 is lent"),
        ("load_str r5, s0", 1, "load_str: r5 is lent"),
        ("get_payload r5, r0, 1.0", 1, "get_payload: r5 is lent"),
        ("copy_ref r2, r5", 1, "copy_ref: r5 may be empty here"),
        ("lend_payload r2, r0, 1.0", 1, "lend_payload: r2 is not lent"),
        ("make_variant r3, 0|lend_payload r5, r3, 1.0", 2, "lend_payload: a part of r3, which is not lent"),
        ("lend_payload r5, r0, 0.0", 1, "lend_payload: payload 0 of Option<String>.None, which has 0"),
        ("arg_copy o0, r0|call r1, f14", 2, "call: outgoing slot 0 is not lent, and is to be lent"),
        (
            "lend_payload r5, r0, 1.0|arg_lend o0, r5|make_variant r3, 1",
            3,
            "make_variant: outgoing slot 0 is lent, and is to be owned",
        ),
        (
            "lend_payload r5, r0, 1.0|arg_lend o0, r5|call_native r1, @len",
            3,
            "call_native: outgoing slot 0 is lent, and is to be owned",
        ),
        ("make_variant r3, 0|arg_lend o0, r3|drop_ref r3", 3, "drop_ref: r3 is lent to the call that follows"),
        ("make_variant r3, 0|arg_lend o0, r3|copy_ref r3, r0", 3, "copy_ref: r3 is lent to the call that follows"),
        ("arg_lend o0, r0|spawn r4, f14", 2, "spawn: a task cannot run case, which has a lent parameter"),
    ] {
        refused("t1", &format!("{registers}|{body}|return_scalar r1"), pc, message);
    }
    let body = "make_variant r3, 0|arg_lend o0, r3|call r1, f14|arg_lend o0, r0|call r1, f14";
    let parts = "lend_payload r5, r0, 1.0|copy_ref r2, r5|arg_copy o0, r5|make_variant r3, 1";
    accepted("t1", &format!("{registers}|{body}|{parts}|return_scalar r1"));
}

#[test]
fn chains_of_places_hold_together() {
    let registers =
        "param r0: t7|param r1: t1|param r2: t4|param r3: t13|param r4: t21|param r5: t6|param r6: t3|reg r7: t10";
    for (body, pc, message) in [
        ("at_field 0", 0, "at_field: no chain was begun with at_reg"),
        ("load_at r1", 0, "load_at: no chain was begun with at_reg"),
        ("at_reg r0|load_at r1", 1, "load_at: a chain without a step"),
        ("at_reg r0|at_field 2", 1, "at_field: field 2 of Point, which has 2"),
        ("at_reg r0|at_field 0|load_at r2", 2, "load_at: r2 is String, not Int"),
        ("at_reg r0|at_field 0|copy r1, r1", 2, "copy: it stands in a chain of places"),
        ("at_reg r0|at_reg r0", 1, "at_reg: the chain before it has no end"),
        ("at_reg r0|at_index r1", 1, "at_index: an element of Point"),
        ("at_reg r5|at_index r2", 1, "at_index: r2 is String, not an integer"),
        ("at_reg r0|at_key r2", 1, "at_key: a value of Point"),
        ("at_reg r3|at_key r1", 1, "at_key: r1 is Int, not String"),
        ("at_reg r0|at_payload 1.0", 1, "at_payload: a variant of Point, which is no enum"),
        ("at_reg r4|at_payload 1.1|store_at r4", 2, "store_at: r4 is stored into itself"),
        ("at_reg r0|at_field 0|L0:|load_at r1|jump L0", 2, "load_at: a jump enters a chain of places"),
        (
            "handler L0 .. L1 -> L1 r7|L0:|at_reg r0|at_field 0|L1:|load_at r1",
            2,
            "load_at: a jump enters a chain of places",
        ),
    ] {
        refused("t1", &format!("{registers}|{body}|return_scalar r1"), pc, message);
    }
    accepted(
        "t1",
        &format!(
            "{registers}|at_reg r4|at_payload 1.1|take_at r4|at_reg r3|at_key r2|at_index r1|store_at r2|return_scalar r1"
        ),
    );
}

#[test]
fn references_are_there_when_they_are_read() {
    for (ret, body, pc, message) in [
        ("t4", "reg r0: t4|return_ref r0", 0, "return_ref: r0 may be empty here"),
        ("t4", "param r0: t4|reg r1: t4|move_ref r1, r0|return_ref r0", 1, "return_ref: r0 may be empty here"),
        ("t4", "param r0: t4|drop_ref r0|return_ref r0", 1, "return_ref: r0 may be empty here"),
        // On one of two paths.
        (
            "t4",
            "param r0: t3|reg r1: t4|jump_if r0, L0|load_str r1, s0|L0:|return_ref r1",
            2,
            "return_ref: r1 may be empty here",
        ),
        // In the second round of a loop.
        (
            "t4",
            "param r0: t3|param r1: t4|reg r2: t4|L0:|move_ref r2, r1|jump_if r0, L0|return_ref r2",
            0,
            "move_ref: r1 may be empty here",
        ),
        // What an instruction in the range may not have written yet.
        (
            "t4",
            "reg r0: t4|reg r1: t10|handler L0 .. L1 -> L1 r1|L0:|load_str r0, s0|load_str r0, s0|L1:|return_ref r0",
            2,
            "return_ref: r0 may be empty here",
        ),
        // What an instruction in the range takes, even when it is put back.
        (
            "t4",
            "param r0: t6|param r1: t4|reg r2: t10|handler L0 .. L1 -> L2 r2|L0:|vec_push r0, r1|load_str r1, s0|L1:|return_ref r1|L2:|return_ref r1",
            3,
            "return_ref: r1 may be empty here",
        ),
        ("t4", "param r0: t4|reg r1: t6|vec_push r1, r0|return_ref r0", 0, "vec_push: r1 may be empty here"),
        // A `&mut` parameter belongs to the caller.
        (
            "t0",
            "inout r0: t4|reg r1: t4|reg r2: t0|move_ref r1, r0|return_scalar r2",
            1,
            "the `&mut` parameter r0 may be empty where the function returns",
        ),
        (
            "t0",
            "inout r0: t4|reg r1: t4|reg r2: t0|move_ref r1, r0|load_str r0, s0|return_scalar r2",
            1,
            "the `&mut` parameter r0 may be empty where an error leaves the function",
        ),
    ] {
        refused(ret, body, pc, message);
    }
    for (ret, body) in [
        (
            "t4",
            "param r0: t3|reg r1: t4|jump_if r0, L0|load_str r1, s0|return_ref r1|L0:|load_str r1, s0|return_ref r1",
        ),
        // Scalars are 0 at entry.
        ("t1", "reg r0: t1|return_scalar r0"),
        // Dropping what may be gone already.
        ("t0", "param r0: t3|param r1: t4|reg r2: t0|jump_if r0, L0|drop_ref r1|L0:|drop_ref r1|return_scalar r2"),
        // The error register holds the error.
        (
            "t0",
            "reg r0: t10|reg r1: t4|reg r2: t0|handler L0 .. L1 -> L2 r0|L0:|load_str r1, s0|L1:|return_scalar r2|L2:|drop_ref r1|throw r0",
        ),
        // The inner handler takes the errors, the outer one sees only what the inner one left.
        (
            "t4",
            "param r0: t4|reg r1: t10|reg r2: t4|handler L0 .. L1 -> L3 r1|handler L0 .. L2 -> L4 r1|L0:|load_str r2, s0|L1:|load_str r2, s0|L2:|return_ref r0|L3:|return_ref r0|L4:|return_ref r2",
        ),
        ("t0", "inout r0: t4|reg r1: t4|reg r2: t0|move_ref r1, r0|move_ref r0, r1|return_scalar r2"),
    ] {
        accepted(ret, body);
    }
}

#[test]
fn code_ends_with_its_block() {
    refused("t1", "param r0: t1|copy r0, r0", 0, "the code may run past its end");
    refused("t1", "param r0: t1|param r1: t3|L0:|jump_if r1, L0", 0, "the code may run past its end");
}

#[test]
fn tables_fit_together() {
    type Change = fn(&mut Module);
    let cases: &[(&str, Change, &str)] = &[
        ("entry", |m| m.entry = FuncId(99), "function 99 of 14"),
        ("entry", |m| m.entry = FuncId(1), "the function has 1 parameters"),
        ("entry", |m| m.entry = FuncId(13), "the function returns type 1, not ()"),
        ("type 5", |m| m.types[5] = TypeDesc::Vec(TypeId(99)), "type 99 of 29"),
        ("type 16", |m| actor(m).handlers.clear(), "`on_receive` is missing"),
        ("type 16", |m| actor(m).on_error = Some(FuncId(7)), "on_error: 0 parameters behind the state, not 1"),
        (
            "type 16",
            |m| actor(m).on_start = Some(FuncId(1)),
            "on_start: the first parameter of function 1 is not the actor's state",
        ),
        (
            "type 16",
            |m| actor(m).handlers[0].ret = TypeId(2),
            "handler on_receive: its function returns type 1, the handler states 2",
        ),
        (
            "type 16",
            |m| actor(m).handlers[0].message = TypeId(1),
            "handler on_receive: its message, type 1, is no tuple",
        ),
        (
            "type 16",
            |m| m.functions[9].inout.clear(),
            "handler on_receive: function 9 must take its state, and only that, as `&mut`",
        ),
        ("function 1 (inc)", |m| m.functions[1].registers[0] = TypeId(99), "type 99 of 29"),
        ("function 1 (inc)", |m| m.functions[1].n_params = 2, "2 parameters in 1 registers"),
        ("function 1 (inc)", |m| m.functions[1].n_captures = 2, "2 captured values of 1 parameters"),
        ("function 1 (inc)", |m| m.functions[1].inout = vec![1], "`&mut` parameter 1 of 1"),
        ("function 1 (inc)", |m| m.functions[1].inout = vec![0, 0], "`&mut` positions [0, 0] are not ascending"),
        ("function 1 (inc)", |m| m.functions[1].code.clear(), "there is no code"),
        ("function 1 (inc)", |m| m.functions[1].n_out = 256, "256 outgoing slots, the limit is 255"),
        ("function 1 (inc)", |m| m.functions[1].registers = vec![TypeId(1); 4097], "4097 registers, the limit is 4096"),
        (
            "function 1 (inc)",
            |m| m.functions[1].handlers.push(handler(0, 3, 1, 0)),
            "handler 0 covers 0..3 of 2 instructions",
        ),
        (
            "function 1 (inc)",
            |m| m.functions[1].handlers.push(handler(0, 0, 1, 0)),
            "handler 0 covers 0..0 of 2 instructions",
        ),
        ("function 1 (inc)", |m| m.functions[1].handlers.push(handler(0, 1, 2, 0)), "handler 0 goes to 2 of 2"),
        (
            "function 1 (inc)",
            |m| m.functions[1].handlers.push(handler(0, 1, 1, 7)),
            "handler 0 puts the error into register 7 of 1",
        ),
        (
            "function 1 (inc)",
            |m| m.functions[1].handlers.push(handler(0, 1, 1, 0)),
            "handler 0 puts the error into r0, which is no dyn Error",
        ),
        ("function 1 (inc)", |m| m.functions[1].lent = vec![0], "r0 is lent, and Int cannot be"),
        ("function 1 (inc)", |m| m.functions[1].lent = vec![7], "lent register 7 of 1"),
        ("function 1 (inc)", |m| m.functions[1].lent = vec![1, 0], "lent registers [1, 0] are not ascending"),
        ("function 1 (inc)", |m| m.functions[1].lines.reverse(), "the line table is not ascending"),
        ("function 1 (inc)", |m| m.functions[1].lines = vec![line(2, 0, 1)], "a line at instruction 2 of 2"),
        ("function 1 (inc)", |m| m.functions[1].lines = vec![line(0, 1, 1)], "a line in file 1 of 1"),
        ("function 1 (inc)", |m| m.functions[1].lines = vec![line(0, 0, 0)], "a line numbered 0:1, they count from 1"),
        ("function 1 (inc)", |m| m.functions[1].debug_names[0].0 = Reg(1), "the name \"n\" is for register 1 of 1"),
        ("native 0 (len)", |m| m.natives[0].ret = TypeId(99), "type 99 of 29"),
        ("global 0 (hits)", |m| m.globals[0].ty = TypeId(99), "type 99 of 29"),
        (
            "method 0 (Shape.area)",
            |m| m.methods[0].params.clear(),
            "there is no parameter to choose the implementation by",
        ),
        ("method 0 (Shape.area)", |m| m.methods[0].params[0] = TypeId(1), "the first parameter, type 1, is no dyn"),
        ("method 0 (Shape.area)", |m| m.methods[0].impls.reverse(), "implementations are not sorted by type"),
        (
            "method 0 (Shape.area)",
            |m| m.methods[0].impls[0].1 = FuncId(3),
            "function 3 has not the signature of an implementation for type 1",
        ),
        ("fault IndexError", |m| m.faults[0].1 = TypeId(7), "type 7 is no struct that begins with a message"),
        ("error_message", |m| m.error_message = Some(MethodId(9)), "method 9 of 3"),
        (
            "error_message",
            |m| m.error_message = Some(MethodId(0)),
            "method Shape.area takes something else than a dyn Error",
        ),
    ];
    for (place, change, message) in cases {
        let mut module = module("");
        change(&mut module);
        let error = verify(module).unwrap_err();
        assert_eq!((error.place.as_str(), error.pc, error.message.as_str()), (*place, None, *message));
    }
}

fn actor(module: &mut Module) -> &mut stark_bytecode::ActorDesc {
    match &mut module.types[16] {
        TypeDesc::Actor(actor) => actor,
        _ => unreachable!("the prelude's type 16 is an actor"),
    }
}

fn handler(start: u32, end: u32, target: u32, err: u16) -> Handler {
    Handler { start, end, target: Target(target), err: Reg(err) }
}

fn line(pc: u32, file: u32, line: u32) -> Line {
    Line { pc, file, line, col: 1 }
}

#[test]
fn large_functions_take_little_time() {
    // Every block reads every register, and each jump goes back: the worst shape for a dataflow.
    let n = 1000;
    let mut text = "func f14 = \"case\" -> t0 out 0 {\nparam r0: t3\nreg r1: t0\n".to_owned();
    for reg in 2..500 {
        text += &format!("reg r{reg}: t4\n");
    }
    for label in 0..n {
        text += &format!("L{label}:\nload_str r{}, s0\njump_if r0, L{}\n", 2 + label % 498, n - 1 - label);
    }
    text += "return_scalar r1\n}\n";
    accept(module(&text));
}

#[test]
fn too_many_states_are_refused() {
    let n_blocks = limits::MAX_FLOW_WORDS / 64 + 64;
    let mut module = module("func f14 = \"case\" -> t0 out 0 {\nreg r0: t0\nreturn_scalar r0\n}\n");
    let function = &mut module.functions[14];
    function.registers.extend(vec![TypeId(4); limits::MAX_REGISTERS - 1]);
    let back = stark_bytecode::Instr::Jump { to: Target(0) };
    function.code.splice(0..0, vec![back; n_blocks]);
    let error = verify(module).unwrap_err();
    assert!(error.message.ends_with("are too many to check"), "{error}");
}
