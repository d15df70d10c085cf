//! Natives called one by one, as facts: name, arguments, result type, and what comes out as `print` shows it.

use super::cx::NativeSig;
use super::{NativeCx, find};
use crate::load::load_unverified;
use crate::program::{Options, Program};
use crate::task::TaskCx;
use crate::types::{TypeInfo, Types};
use crate::value::Value;
use stark_bytecode::{Elem, FieldDesc, FuncId, Function, Kind, Module, TypeDesc, TypeId, VariantDesc};
use stark_kernels::Tensor;

/// The types of these tests, by name.
struct World {
    task: TaskCx,
    types: &'static Types,
    names: Vec<String>,
}

fn option_of(name: &str, ty: u32) -> TypeDesc {
    let some = VariantDesc { name: "Some".into(), fields: vec![FieldDesc { name: String::new(), ty: TypeId(ty) }] };
    TypeDesc::Enum {
        name: format!("Option<{name}>"),
        variants: vec![some, VariantDesc { name: "None".into(), fields: vec![] }],
    }
}

impl World {
    fn new() -> World {
        let number = |kind| TypeDesc::Number(kind);
        let tensor = |elem| TypeDesc::Tensor { elem: Some(elem) };
        let descs = vec![
            TypeDesc::Unit,                                          // 0
            TypeDesc::Bool,                                          // 1
            number(Kind::Int64),                                     // 2
            number(Kind::Float64),                                   // 3
            TypeDesc::Str,                                           // 4
            number(Kind::UInt8),                                     // 5
            TypeDesc::Bytes,                                         // 6
            TypeDesc::Vec(TypeId(4)),                                // 7
            TypeDesc::Vec(TypeId(2)),                                // 8
            TypeDesc::Vec(TypeId(5)),                                // 9
            option_of("Int", 2),                                     // 10
            option_of("String", 4),                                  // 11
            option_of("UInt8", 5),                                   // 12
            TypeDesc::Map(TypeId(4), TypeId(2)),                     // 13
            TypeDesc::Set(TypeId(2)),                                // 14
            TypeDesc::Tuple(vec![TypeId(4), TypeId(2)]),             // 15
            TypeDesc::Vec(TypeId(15)),                               // 16
            tensor(Elem::Float32),                                   // 17
            number(Kind::Float32),                                   // 18
            TypeDesc::Vec(TypeId(18)),                               // 19
            TypeDesc::Vec(TypeId(19)),                               // 20
            TypeDesc::Duration,                                      // 21
            tensor(Elem::Int64),                                     // 22
            tensor(Elem::Bool),                                      // 23
            TypeDesc::Vec(TypeId(17)),                               // 24
            TypeDesc::Vec(TypeId(7)),                                // 25
            TypeDesc::Tuple(vec![TypeId(17), TypeId(22)]),           // 26
            option_of("(String, String)", 28),                       // 27
            TypeDesc::Tuple(vec![TypeId(4), TypeId(4)]),             // 28
            TypeDesc::Vec(TypeId(28)),                               // 29
            TypeDesc::Opaque { name: "Model".into(), args: vec![] }, // 30
            TypeDesc::Tensor { elem: None },                         // 31
            TypeDesc::Map(TypeId(4), TypeId(31)),                    // 32
        ];
        let entry = Function { name: "main".into(), ..Function::default() };
        let module = Module { types: descs, functions: vec![entry], entry: FuncId(0), ..Module::default() };
        let space = load_unverified(module).expect("the module loads");
        let types = space.types;
        let console = crate::Console { out: Box::new(std::io::sink()), ..crate::Console::process() };
        let program = Program::new(space, Options::default(), vec!["a".into(), "b".into()], console);
        let names = types.iter().map(|info| info.name()).collect();
        World { task: TaskCx::new(Box::leak(Box::new(program))), types, names }
    }

    fn ty(&self, name: &str) -> &'static TypeInfo {
        let at =
            self.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("{name} is not among the test types"));
        self.types.get(TypeId(at as u32))
    }

    fn strs(&self, items: &[&str]) -> Value {
        Value::vec(self.ty("Vec<String>"), items.iter().map(|s| Value::str(*s)))
    }

    fn ints(&self, items: &[i64]) -> Value {
        Value::vec_of_scalars(self.ty("Vec<Int>"), items.iter().map(|&x| x as u64).collect())
    }

    fn tensor(&self, values: &[f32], shape: &[usize]) -> Value {
        let t = Tensor::from_slice(values, shape).expect("the shape fits");
        Value::opaque(self.ty("Tensor<Float32>"), t)
    }

    /// The result, and the arguments as the native left them.
    fn call(
        &mut self,
        name: &str,
        type_args: &[&str],
        args: Vec<Value>,
        ret: &str,
    ) -> Result<(Value, Vec<Value>), String> {
        let row = find(name).unwrap_or_else(|| panic!("no native {name}"));
        let ret_type = self.ty(ret);
        let sig: &'static NativeSig = Box::leak(Box::new(NativeSig {
            some: ret_type.variant_named("Some"),
            none: ret_type.variant_named("None"),
            type_args: type_args.iter().map(|t| self.ty(t)).collect(),
            params: args.iter().map(Value::info).collect(),
            inout: args.iter().map(|_| false).collect(),
            ret: self.ty(ret),
        }));
        let mut slots: Vec<u64> = args.into_iter().map(|arg| arg.into_raw().0).collect();
        let mut resume = None;
        let mut cx = NativeCx { task: &mut self.task, args: &mut slots, sig, ret: 0, waits: None, resume: &mut resume };
        let outcome = (row.func)(&mut cx);
        let (bits, waits) = (cx.ret, cx.waits);
        let left = slots.iter().zip(&sig.params).map(|(&bits, info)| Value::from_raw(bits, info)).collect();
        match outcome {
            Ok(_) if waits.is_some() => Err(format!("{waits:?}")),
            Ok(_) => Ok((Value::from_raw(bits, sig.ret), left)),
            Err(fault) => {
                let kind = fault.kind().map_or("", |kind| kind.name());
                Err(format!("{kind}: {fault:?}"))
            }
        }
    }

    #[track_caller]
    fn gives(&mut self, name: &str, args: Vec<Value>, ret: &str, want: &str) {
        let (value, _) = self.call(name, &[], args, ret).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(value.as_ref().display(), want, "{name}");
    }

    #[track_caller]
    fn throws(&mut self, name: &str, args: Vec<Value>, ret: &str, want: &str) {
        match self.call(name, &[], args, ret) {
            Ok((value, _)) => panic!("{name} gave {value:?}"),
            Err(e) => assert!(e.starts_with(want) || e.contains(want), "{name}: {e}"),
        }
    }
}

fn s(text: &str) -> Value {
    Value::str(text)
}

fn n(x: i64) -> Value {
    Value::int(x)
}

#[test]
fn text_counts_characters() {
    let mut w = World::new();
    w.gives("str_len", vec![s("héllo")], "Int", "5");
    w.gives("str_byte_len", vec![s("héllo")], "Int", "6");
    w.gives("str_index", vec![s("héllo"), n(1)], "String", "é");
    w.gives("str_slice", vec![s("héllo"), n(1), n(3)], "String", "él");
    w.gives("str_slice", vec![s("héllo"), n(2), n(i64::MAX)], "String", "llo");
    w.gives("str_find", vec![s("añb"), s("b")], "Option<Int>", "Some(2)");
    w.gives("str_find", vec![s("añb"), s("x")], "Option<Int>", "None");
    w.gives("str_split", vec![s("a,b,,c"), s(",")], "Vec<String>", r#"["a", "b", "", "c"]"#);
    w.gives("str_split_once", vec![s("k=v=w"), s("=")], "Option<(String, String)>", r#"Some(("k", "v=w"))"#);
    let parts = w.strs(&["x", "y"]);
    w.gives("str_join", vec![s(", "), parts], "String", "x, y");
    w.gives("str_concat", vec![s("ab"), s("cd")], "String", "abcd");
    w.gives("str_replace", vec![s("banana"), s("an"), s("AN")], "String", "bANANa");
    w.gives("str_center", vec![s("ada"), n(7), s("*")], "String", "**ada**");
    w.gives("str_quote", vec![s("a\"b")], "String", r#""a\"b""#);
    w.gives("str_parse_int", vec![s("42"), n(10)], "Option<Int>", "Some(42)");
    w.gives("str_format", vec![n(255), s("08x")], "String", "000000ff");
    w.throws("str_index", vec![s("abc"), n(3)], "String", "IndexError");
    w.throws("str_index", vec![s("abc"), n(-1)], "String", "IndexError");
    w.throws("str_split", vec![s("abc"), s("")], "Vec<String>", "ValueError");
    w.throws("str_repeat", vec![s("abc"), n(i64::MAX)], "String", "OutOfMemoryError");
}

#[test]
fn numbers_keep_to_their_kind() {
    let mut w = World::new();
    let byte = |x: u64| Value::scalar(TypeInfo::builtin(&TypeDesc::Number(Kind::UInt8)), x);
    w.gives("int_wrapping_add", vec![byte(250), byte(10)], "UInt8", "4");
    w.gives("int_wrapping_add", vec![n(i64::MAX), n(1)], "Int", "-9223372036854775808");
    w.gives("int_checked_add", vec![byte(250), byte(10)], "Option<UInt8>", "None");
    w.gives("int_saturating_sub", vec![byte(3), byte(10)], "UInt8", "0");
    w.gives("int_pow", vec![n(-1), n(i64::MAX)], "Int", "-1");
    w.gives("int_pow", vec![n(2), n(62)], "Int", "4611686018427387904");
    w.gives("int_pow", vec![n(0), n(0)], "Int", "1");
    w.gives("int_mod_floor", vec![n(-5), n(3)], "Int", "1");
    w.gives("int_leading_zeros", vec![byte(1)], "Int", "7");
    w.gives("float_sqrt", vec![Value::float(2.25)], "Float", "1.5");
    w.gives("float_round", vec![Value::float(2.675), n(2)], "Float", "2.67");
    w.gives("number_clamp", vec![n(7), n(0), n(5)], "Int", "5");
    w.throws("number_abs", vec![n(i64::MIN)], "Int", "OverflowError");
    w.throws("int_pow", vec![n(2), n(63)], "Int", "OverflowError");
    w.throws("number_to_int", vec![Value::float(1e300)], "Int", "OverflowError");
    w.throws("int_div_floor", vec![n(1), n(0)], "Int", "ZeroDivisionError");
}

#[test]
fn collections_change_in_place() {
    let mut w = World::new();
    let v = w.ints(&[5, 3, 8]);
    let (_, left) = w.call("vec_insert", &["Int"], vec![v, n(1), n(42)], "()").unwrap();
    assert_eq!(left[0].as_ref().display(), "[5, 42, 3, 8]");
    let v = w.ints(&[5, 3, 8]);
    let (_, left) = w.call("vec_sort", &["Int"], vec![v], "()").unwrap();
    assert_eq!(left[0].as_ref().display(), "[3, 5, 8]");
    let v = w.strs(&["a"]);
    let (more, kept) = (w.strs(&["b", "c"]), w.strs(&["b", "c"]));
    let shared = more.clone();
    let (_, left) = w.call("vec_extend", &["String"], vec![v, more], "()").unwrap();
    assert_eq!(left[0].as_ref().display(), r#"["a", "b", "c"]"#);
    assert!(shared.as_ref().equal(kept.as_ref()), "what was added is still whole elsewhere");
    let m = Value::map(w.ty("Map<String, Int>"));
    let (_, left) = w.call("map_insert", &["String", "Int"], vec![m, s("k"), n(1)], "Option<Int>").unwrap();
    let m = left.into_iter().next().unwrap();
    let copy = m.clone();
    w.gives("map_get", vec![m.clone(), s("k")], "Option<Int>", "Some(1)");
    w.gives("map_items", vec![m.clone()], "Vec<(String, Int)>", r#"[("k", 1)]"#);
    let (_, left) = w.call("map_remove", &["String", "Int"], vec![m, s("k")], "Option<Int>").unwrap();
    assert_eq!((left[0].as_ref().display(), copy.as_ref().display()), ("{}".into(), r#"{"k": 1}"#.into()));
    let v = w.ints(&[1, 2, 3]);
    w.gives("vec_slice", vec![v, n(1), n(i64::MAX)], "Vec<Int>", "[2, 3]");
    let v = w.ints(&[3, 1, 3]);
    w.gives("set_from_vec", vec![v], "Set<Int>", "{3, 1}");
    let v = w.ints(&[1]);
    w.throws("vec_remove", vec![v, n(1)], "Int", "IndexError");
    w.throws("map_index", vec![copy, s("x")], "Int", "KeyError");
}

#[test]
fn tensors_are_made_read_and_written() {
    let mut w = World::new();
    let f = |x: f64| Value::scalar(TypeInfo::builtin(&TypeDesc::Number(Kind::Float32)), x.to_bits());
    let row =
        |w: &World, xs: &[f64]| Value::vec_of_scalars(w.ty("Vec<Float32>"), xs.iter().map(|x| x.to_bits()).collect());
    let rows = Value::vec(w.ty("Vec<Vec<Float32>>"), [row(&w, &[1.0, 2.0]), row(&w, &[3.0, 4.5])]);
    w.gives(
        "tensor_from_nested",
        vec![rows],
        "Tensor<Float32>",
        "tensor([[1.0000, 2.0000],\n        [3.0000, 4.5000]])",
    );
    let t = w.tensor(&[1.0, 2.0, 3.0, 4.0], &[2, 2]);
    let copy = t.clone();
    let parts = w.ints(&[1, 0, 2, 0, 1, 0]);
    w.gives("tensor_index", vec![t.clone(), parts], "Tensor<Float32>", "tensor([2.0000, 4.0000])");
    let parts = w.ints(&[0, 0, 0, 0, 1, 0]);
    let (_, left) = w.call("tensor_index_fill", &["Float32"], vec![t.clone(), parts, f(9.0)], "()").unwrap();
    w.gives("tensor_to_vec", vec![left[0].clone()], "Vec<Float32>", "[1.0, 9.0, 3.0, 4.0]");
    w.gives("tensor_to_vec", vec![copy], "Vec<Float32>", "[1.0, 2.0, 3.0, 4.0]");
    w.gives("tensor_shape", vec![t.clone()], "Vec<Int>", "[2, 2]");
    w.gives("tensor_sum", vec![t.clone()], "Tensor<Float32>", "tensor(10.0000)");
    w.gives(
        "tensor_sum_axis",
        vec![t.clone(), n(0), Value::bool(false)],
        "Tensor<Float32>",
        "tensor([4.0000, 6.0000])",
    );
    w.gives(
        "tensor_rsub_scalar",
        vec![t.clone(), f(1.0)],
        "Tensor<Float32>",
        "tensor([[ 0.0000, -1.0000],\n        [-2.0000, -3.0000]])",
    );
    w.gives(
        "tensor_greater_scalar",
        vec![t.clone(), f(2.0)],
        "Tensor<Bool>",
        "tensor([[false, false],\n        [ true,  true]])",
    );
    w.gives("tensor_rows", vec![t.clone()], "Vec<Tensor<Float32>>", "[Tensor<Float32>[2], Tensor<Float32>[2]]");
    let dims = w.ints(&[2, -1]);
    assert!(w.call("tensor_check", &[], vec![t.clone(), n(Elem::Float32 as i64), dims], "Tensor<Float32>").is_ok());
    let dims = w.ints(&[3, -1]);
    w.throws("tensor_check", vec![t.clone(), n(-1), dims], "Tensor<Float32>", "ShapeError");
    let wrong = w.tensor(&[0.0; 3], &[3, 1]);
    w.throws("tensor_matmul", vec![t, wrong], "Tensor<Float32>", "ShapeError");
}

#[test]
fn json_and_files_come_and_go() {
    let mut w = World::new();
    let mut decode = |text: &str, line| w.call("json_decode", &["Vec<Int>"], vec![s(text), n(line)], "Vec<Int>");
    let (read, _) = decode("[1, 2]", 0).expect("a list of numbers");
    assert_eq!(read.as_ref().show(), "[1, 2]");
    let wrong = decode("[1, true]", 0).expect_err("a Bool is no number");
    assert!(wrong.contains("expected a whole number, found true at [1]"), "{wrong}");
    let wrong = decode("[1, true]", 7).expect_err("a Bool is no number");
    assert!(wrong.contains("line 7: expected a whole number, found true at [1]"), "{wrong}");
    let wrong = decode("[1 2]", 7).expect_err("a comma is missing");
    assert!(wrong.contains("line 7, column 4: `,` or the end of `[` is missing"), "{wrong}");
    let dir = std::env::temp_dir().join(format!("stark-natives-{}", std::process::id()));
    let path = dir.join("a.txt").display().to_string();
    w.gives("fs_make_dir", vec![s(&dir.display().to_string())], "()", "()");
    w.gives("fs_write_text", vec![s(&path), s("x\n")], "()", "()");
    w.gives("fs_append_text", vec![s(&path), s("y")], "()", "()");
    w.gives("fs_read_text", vec![s(&path)], "String", "x\ny");
    w.gives("fs_list", vec![s(&dir.display().to_string())], "Vec<String>", r#"["a.txt"]"#);
    let t = w.tensor(&[1.5, -2.0], &[2]);
    let mut tensors = Value::map(w.ty("Map<String, Tensor>"));
    tensors.map_mut().insert(s("w"), t);
    let file = dir.join("t.safetensors").display().to_string();
    w.gives("tensors_save", vec![s(&file), tensors], "()", "()");
    w.gives("tensors_load", vec![s(&file)], "Map<String, Tensor>", r#"{"w": Tensor<Float32>[2]}"#);
    w.gives("fs_remove", vec![s(&dir.display().to_string())], "()", "()");
    w.throws("fs_read_text", vec![s(&path)], "String", "IoError");
}
