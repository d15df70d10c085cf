//! Text assembly: what is printed assembles to the same module, and mistakes are told with their place.

mod common;

use common::{every, tiny};
use stark_bytecode::{Opcode, assemble, disasm};

#[test]
fn text_comes_back_as_the_same_module() {
    for module in [every(), tiny()] {
        let text = disasm(&module);
        let again = assemble(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again, module, "{text}");
    }
}

#[test]
fn every_opcode_is_in_the_example() {
    let used = common::opcodes(&every().functions);
    let unused: Vec<&str> = Opcode::ALL.iter().filter(|op| !used.contains(op)).map(|op| op.mnemonic()).collect();
    assert_eq!(unused, [""; 0]);
}

#[test]
fn the_text_shows_names_and_places() {
    let text = disasm(&every());
    for expected in [
        "    call r7, @inc\n",
        "    load_str r10, \"hello\"\n",
        "    make_closure r18, @\"closure in main\"\n",
        "  .line 0:3:1 ; main.stark:3:1\n",
        "  param r3: t6 \"words\" ; Vec<String>\n",
        "    load_scalar r8, c0 ; 1.5\n",
        "    get_field r10, r4, 1 ; name\n",
        "L2:\n    take_back r11, o0\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn odd_names_and_lines_come_back() {
    let mut module = every();
    module.functions[14].name = "\u{7f}; \"\\\n{".to_owned();
    module.functions[0].name = "main".to_owned();
    module.files[0] = "a\nb.stark".to_owned();
    module.functions[14].debug_names.reverse();
    assert_eq!(assemble(&disasm(&module)), Ok(module));
}

#[test]
fn mistakes_have_a_place() {
    let body =
        |line: &str| format!("type t0 = Unit\nentry @f\nfunc f0 = \"f\" -> t0 out 0 {{\n  reg r0: t0\n  {line}\n}}\n");
    for (text, line, col, message) in [
        (body("nop r0"), 5, 3, "there is no instruction `nop`"),
        (body("copy r0"), 5, 3, "`copy` has 2 operands: dst, src"),
        (body("copy r0, x0"), 5, 12, "`x0` is no register, which looks like r0"),
        (body("copy r0, r65536"), 5, 12, "`r65536` is no register, which looks like r0"),
        (body("jump L9"), 5, 8, "there is no label L9 in this function"),
        (body("call r0, @g"), 5, 12, "there is no function \"g\""),
        (body("load_imm r0, 32768"), 5, 16, "32768 is out of range"),
        (body("reg r2: t0"), 5, 7, "the next register is r1, not r2"),
        (body("param r1: t0"), 5, 3, "parameters come first, then captured values, then other registers"),
        ("type t1 = Unit".to_owned(), 1, 6, "the next type is t0, not t1"),
        ("type t0 = Nat".to_owned(), 1, 11, "`Nat` is no number type"),
        ("string s0 = \"\\u{D800}\"".to_owned(), 1, 14, "\\u{D800} is no character"),
    ] {
        let error = assemble(&text).unwrap_err();
        assert_eq!((error.line, error.col, error.message.as_str()), (line, col, message), "{text}");
    }
    let error = assemble("type t0 =\nentry @f").unwrap_err();
    assert_eq!((error.line, error.col), (1, 10), "{error}");
}

#[test]
fn damaged_text_is_read_or_refused() {
    let text = disasm(&every());
    for seed in 0..150 {
        let mut random = common::Random(seed);
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = b" \n\"{}@;:,-0f"[random.below(12)];
        }
        let _ = assemble(&String::from_utf8_lossy(&bytes));
    }
}
