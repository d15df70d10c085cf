//! `parallel_tensor_map` of a scalar function as one kernel gives what calling the function for each element gives.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn run(args: &[&str], program: &str) -> Output {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("program.stark");
    std::fs::write(&path, program).expect("a writable folder");
    let stark = Path::new(env!("CARGO_BIN_EXE_stark"));
    Command::new(stark)
        .current_dir(scratch.path())
        .arg("run")
        .args(args)
        .arg("program.stark")
        .output()
        .expect("stark runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the program prints, and its lines of statistics on `parallel_tensor_map`.
fn mapped(program: &str) -> (String, Vec<String>) {
    let out = run(&["--stats"], program);
    assert!(out.status.success(), "{}\nof\n{program}", text(&out.stderr));
    let line = |line: &str| line.strip_prefix("stats: parallel_tensor_map of ").map(str::to_string);
    (text(&out.stdout), text(&out.stderr).lines().filter_map(line).collect())
}

/// Numbers from a seed (SplitMix64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A random expression of a float type over `x`, a captured `c` and the locals in `names`.
fn float(rng: &mut Rng, depth: u32, names: &[&str]) -> String {
    if depth == 0 {
        return match rng.below(3) {
            0 => rng.pick(&["0.5", "2.0", "1.5", "3.0", "1000.0", "0.001", "0.1"]).to_string(),
            _ => rng.pick(names).to_string(),
        };
    }
    let d = depth - 1;
    match rng.below(10) {
        0 => format!("(-{})", float(rng, d, names)),
        1 | 2 => {
            let f = rng.pick(&["abs", "sqrt", "floor", "ceil", "trunc", "sin", "atan", "log2", "cbrt", "fract"]);
            format!("({}).{f}()", float(rng, d, names))
        }
        3 => {
            let f = rng.pick(&["min", "max", "pow", "hypot"]);
            format!("({}).{f}({})", float(rng, d, names), float(rng, d, names))
        }
        4 => format!("(if {}: {} else: {})", bool(rng, d, names), float(rng, d, names), float(rng, d, names)),
        _ => {
            let op = rng.pick(&["+", "-", "*", "/", "+", "-", "*", "/", "%"]);
            format!("({} {op} {})", float(rng, d, names), float(rng, d, names))
        }
    }
}

fn bool(rng: &mut Rng, depth: u32, names: &[&str]) -> String {
    let d = depth.saturating_sub(1);
    match if depth == 0 { 0 } else { rng.below(5) } {
        0 | 1 => {
            let op = rng.pick(&["<", "<=", ">", ">=", "==", "!="]);
            format!("({} {op} {})", float(rng, d, names), float(rng, d, names))
        }
        2 => format!("(not {})", bool(rng, d, names)),
        3 => format!("({}).is_nan()", float(rng, d, names)),
        _ => format!("({} {} {})", bool(rng, d, names), rng.pick(&["and", "or"]), bool(rng, d, names)),
    }
}

/// Statements: locals, early returns, a variable that a branch changes.
fn function(rng: &mut Rng, name: &str, ty: &str) -> String {
    let mut f = format!("fn {name}(x: {ty}, c: {ty}) -> {ty}:\n");
    let all = ["x", "c", "y", "z"];
    let _ = writeln!(f, "    let y: {ty} = {}", float(rng, 2, &all[..2]));
    if rng.below(2) == 0 {
        let _ = writeln!(f, "    if {}: return {}", bool(rng, 2, &all[..3]), float(rng, 2, &all[..3]));
    }
    let _ = writeln!(f, "    let mut z: {ty} = {}", float(rng, 1, &all[..3]));
    let _ = writeln!(f, "    if {}:\n        z = {}", bool(rng, 1, &all), float(rng, 2, &all));
    let _ = writeln!(f, "    else if {}:\n        z = z + y", bool(rng, 1, &all));
    let _ = writeln!(f, "    return {}\n", float(rng, 3, &all));
    f
}

fn check_random(ty: &str, seed: u64) {
    const N: usize = 12;
    let mut rng = Rng(seed);
    let mut program = format!(
        "fn same(a: {ty}, b: {ty}) -> Bool: return (a.is_nan() and b.is_nan()) or a.to_bits() == b.to_bits()

fn compare(name: String, inputs: Vec<{ty}>, got: Vec<{ty}>, want: Vec<{ty}>):
    for i in 0..len(inputs):
        if not same(got[i], want[i]):
            print(name, \"of\", inputs[i], \"gives\", got[i], \"and called\", want[i])
            return
    print(name, \"is the same\")

"
    );
    for i in 0..N {
        program += &function(&mut rng, &format!("f{i}"), ty);
    }
    let _ = write!(
        program,
        "fn main():
    let infinity = 1.0 / 0.0
    let special = [0.0, -0.0, infinity, -infinity, infinity - infinity, 1.0, -1.0, 0.1, 1e-30, -3e38, 5e-324]
    let numbers = special + [Float(i - 700) * 0.01 for i in 0..1500]
    let inputs = numbers.map(|x| {ty}(x))
    let t = Tensor::from_vec(inputs, [len(inputs)])
    let c = {ty}(0.75)
"
    );
    for i in 0..N {
        let _ = writeln!(
            program,
            "    compare(\"f{i}\", inputs, parallel_tensor_map(|x: {ty}| f{i}(x, c), t).to_vec(), inputs.map(|x| f{i}(x, c)))"
        );
    }
    let (printed, stats) = mapped(&program);
    let want: String = (0..N).map(|i| format!("f{i} is the same\n")).collect();
    assert_eq!(printed, want, "{ty}, seed {seed}:\n{program}");
    let fused = stats.iter().filter(|line| line.contains("one kernel of") && line.ends_with("ran 1 times")).count();
    assert_eq!(fused, N, "{stats:#?}\n{program}");
}

#[test]
fn random_functions_give_the_same_bits() {
    for (ty, seeds) in [("Float32", 0..6), ("Float", 10..14), ("Float16", 20..22), ("BFloat16", 30..32)] {
        for seed in seeds {
            check_random(ty, seed);
        }
    }
}

/// `exp`, `tanh`, `sigmoid` and `erf` of `Float32` are the approximations of the tensor functions of these names; in
/// `Float` they are the same bits.
#[test]
fn approximated_functions_stay_within_nine_units_in_the_last_place() {
    let program = "
fn far(a: Float32, b: Float32) -> Bool:
    if (a.is_nan() and b.is_nan()) or a == b or (a.abs() < 1e-30 and b.abs() < 1e-30): return false
    return abs(Int(a.to_bits()) - Int(b.to_bits())) > 9

fn count(got: Vec<Float32>, want: Vec<Float32>) -> Int:
    return len([1 for i in 0..len(got) if far(got[i], want[i])])

fn main():
    let xs: Vec<Float32> = [Float32(Float(i - 4000) * 0.03) for i in 0..8000]
    let t = Tensor::from_vec(xs, [80, 100])
    print(count(parallel_tensor_map(|x: Float32| x.exp(), t).flatten().to_vec(), xs.map(|x| x.exp())))
    print(count(parallel_tensor_map(|x: Float32| x.tanh(), t).flatten().to_vec(), xs.map(|x| x.tanh())))
    print(count(parallel_tensor_map(|x: Float32| x.sigmoid(), t).flatten().to_vec(), xs.map(|x| x.sigmoid())))
    print(count(parallel_tensor_map(|x: Float32| x.erf(), t).flatten().to_vec(), xs.map(|x| x.erf())))
    let ys = xs.map(|x| Float(x))
    let wide = Tensor::from_vec(ys, [8000])
    print(parallel_tensor_map(|x: Float| x.exp() + x.tanh(), wide).to_vec() == ys.map(|x| x.exp() + x.tanh()))
";
    assert_eq!(mapped(program).0, "0\n0\n0\n0\ntrue\n");
}

#[test]
fn integers_bools_and_conversions_are_those_of_the_calls() {
    let program = "
const LIMIT: Int = 40

fn mix(n: Int) -> Int:
    if n > LIMIT or n < -LIMIT: return n / 3 + n % 7
    return abs(n) * 2 - (n & 5) + (n ^ 9)

fn guarded(n: Int) -> Int: return if n == 0: -1 else: 1000 / n
fn small(n: Int8) -> Int8: return n / 2 + max(n, 3) - 1
fn is_odd(n: Int) -> Bool: return n % 2 != 0 and n > 3
fn flip(b: Bool) -> Bool: return not b
fn to_whole(x: Float32) -> Int: return Int(x * 2.5)
fn to_float(n: Int) -> Float32: return Float32(n) * 0.1
fn half(x: Float) -> Float32: return Float32(x / 3.0)

fn main():
    let ns = [i - 100 for i in 0..200]
    let t = Tensor::from_vec(ns, [10, 20])
    print(parallel_tensor_map(mix, t).flatten().to_vec() == ns.map(mix))
    print(parallel_tensor_map(guarded, t).flatten().to_vec() == ns.map(guarded))
    print(parallel_tensor_map(is_odd, t).flatten().to_vec() == ns.map(is_odd))
    print(parallel_tensor_map(to_float, t).flatten().to_vec() == ns.map(to_float))
    let bytes = [Int8(i - 50) for i in 0..100]
    print(parallel_tensor_map(small, Tensor::from_vec(bytes, [100])).to_vec() == bytes.map(small))
    let bools = [i % 3 == 0 for i in 0..10]
    print(parallel_tensor_map(flip, Tensor::from_vec(bools, [10])).to_vec() == bools.map(flip))
    let xs = [Float32(i) * 0.3 for i in 0..50]
    print(parallel_tensor_map(to_whole, Tensor::from_vec(xs, [50])).to_vec() == xs.map(to_whole))
    let ys = [Float(i) * 0.7 for i in 0..50]
    print(parallel_tensor_map(half, Tensor::from_vec(ys, [50])).to_vec() == ys.map(half))
    // Turned, cut and empty tensors.
    print(parallel_tensor_map(mix, t.transpose()[3..7]).to_vec() == parallel_tensor_map(mix, t).transpose()[3..7].to_vec())
    print(parallel_tensor_map(mix, t[0..0]).shape())
";
    let (printed, stats) = mapped(program);
    assert_eq!(printed, format!("{}[0, 20]\n", "true\n".repeat(9)));
    assert!(stats.len() == 8 && stats.iter().all(|line| line.contains("one kernel of")), "{stats:#?}");
}

/// The error of the element that is wrong, with the place in the function: that of a call.
#[test]
fn an_element_that_fails_throws_what_its_call_throws() {
    for (body, ty, values, error, line) in [
        ("100 / n", "Int", "[1, 2, 0, 4]", "ZeroDivisionError: 100 / 0", 2),
        ("n * n", "Int", "[3, 4000000000]", "OverflowError", 2),
        ("n + 100", "Int8", "[1, 100]", "OverflowError", 2),
        ("Int(n * 1e30)", "Float", "[0.0, 2.0]", "OverflowError", 2),
        ("n.clamp(5, n)", "Int", "[9, 1]", "ValueError: clamp to 5..=1", 2),
    ] {
        let ret = if body.starts_with("Int(") { "Int" } else { ty };
        let program = format!(
            "fn f(n: {ty}) -> {ret}:\n    return {body}\n\nlet values: Vec<{ty}> = {values}\n\
             print(parallel_tensor_map(f, Tensor::from_vec(values, [len(values)])))\n"
        );
        let out = run(&["--stats"], &program);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("error: {error}")), "{body}: {said}");
        assert!(said.contains(&format!("at f (program.stark:{line}:")), "{body}: {said}");
        assert!(said.contains("1 times an element needed a call"), "{body}: {said}");
    }
}

#[test]
fn what_is_no_arithmetic_is_called_and_the_statistics_say_why() {
    let program = "
fn loud(x: Float32) -> Float32:
    print(x)
    return x

fn looped(n: Int) -> Int:
    let mut sum = 0
    for i in 0..n: sum += i
    return sum

// Only elements above 100 throw, and there are none.
fn checked(x: Float32) -> Float32:
    if x > 100.0: throw ValueError(\"too large\")
    return x * 2.0

fn twice(x: Float32) -> Float32: return checked(checked(x))

fn main():
    let t: Tensor<Float32> = tensor([1.0, 2.0])
    print(parallel_tensor_map(loud, t).to_vec(), parallel_tensor_map(looped, tensor([3, 4])).to_vec())
    print(parallel_tensor_map(twice, t).to_vec())
    try:
        print(parallel_tensor_map(twice, t * 60.0))
    catch e: ValueError:
        print(e.message())
";
    let (printed, stats) = mapped(program);
    assert_eq!(printed, "1.0\n2.0\n[1.0, 2.0] [3, 6]\n[4.0, 8.0]\ntoo large\n");
    for (name, reason) in [
        ("loud (program.stark:3): called for each element, 1 times: it calls ", "at loud (program.stark:3)"),
        ("looped (program.stark:7): called for each element, 1 times: it loops ", "at looped (program.stark:"),
        ("twice (program.stark:16): one kernel of ", "ran 1 times; 1 times an element needed a call"),
    ] {
        assert!(stats.iter().any(|line| line.starts_with(name) && line.contains(reason)), "{name}: {stats:#?}");
    }
}
