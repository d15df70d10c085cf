//! Ownership and concurrency: what the passes say about small programs, and that no program makes them slow.

use stark_compiler::{Host, Options, check};
use stark_syntax::source::SourceMap;
use std::time::{Duration, Instant};

struct NoFiles;

impl Host for NoFiles {
    fn load(&self, _module_path: &str) -> Option<(String, String)> {
        None
    }
}

/// Code and line of everything that is said.
fn findings(text: &str) -> Vec<(&'static str, usize)> {
    let mut sources = SourceMap::new();
    let root = sources.add("t.stark", text);
    let checked = check(&mut sources, root, &NoFiles, &Options::default());
    checked.diagnostics.iter().map(|d| (d.code.0, sources.location(d.primary.span).1)).collect()
}

fn check_says(text: &str, wanted: &[(&str, usize)]) {
    assert_eq!(findings(text), wanted, "{text}");
}

/// A function's body over `t: Ticket` and `f: Future<Int>`, from line 6 on.
fn in_body(body: &str) -> String {
    let lines: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "@unique\nstruct Ticket:\n    n: Int\nfn use_up(t: Ticket) -> Int: return t.n\nfn run(t: Ticket, f: Future<Int>, c: Bool):\n{lines}"
    )
}

#[test]
fn a_move_is_remembered_on_every_way() {
    for (body, wanted) in [
        ("print(use_up(t))\nprint(t.n)", &[("E0505", 7)][..]),
        ("if c: print(use_up(t))\nprint(t.n)", &[("E0505", 7)]),
        ("if c: print(use_up(t))\nelse: print(t.n)", &[]),
        ("while c: print(use_up(t))", &[("E0505", 6)]),
        ("while c:\n    print(use_up(t))\n    break", &[]),
        ("for i in 0..2:\n    if i > 0: continue\n    print(use_up(t))\n    return", &[]),
        ("try: print(use_up(t))\ncatch e: print(e.message())\nprint(t.n)", &[("E0505", 8)]),
        ("try: print(t.n)\nfinally: print(use_up(t))", &[]),
        ("let k = c and use_up(t) > 1\nprint(k, t.n)", &[("E0505", 7)]),
        ("assert c, f\"{use_up(t)}\"\nprint(t.n)", &[]),
        ("print(await f)\nprint(f.is_done())", &[("E0505", 7)]),
        ("let g = f\nprint(await g)\nf.cancel()", &[("E0505", 8)]),
        ("let pair = (t, f)\nprint(use_up(pair.0), await pair.1)", &[]),
        ("let pair = (t, f)\nprint(use_up(pair.0))\nprint(use_up(pair.0), await pair.1)", &[("E0505", 8)]),
        ("let o = Some(t)\nif let Some(x) = o: print(x.n)\nprint(o.is_some())", &[]),
        ("let o = Some(t)\nif let Some(x) = o: print(use_up(x))\nprint(o.is_some())", &[("E0505", 8)]),
        ("let x = match c:\n    true => use_up(t)\n    false => t.n\nprint(x)", &[]),
    ] {
        check_says(&in_body(body), wanted);
    }
}

#[test]
fn a_new_value_makes_a_place_whole_again() {
    check_says(&in_body("let mut u = t\nfor i in 0..3:\n    print(use_up(u))\n    u = Ticket(i)\nprint(u.n)"), &[]);
    check_says(&in_body("let mut p = (t, 1)\nprint(use_up(p.0))\np.0 = Ticket(2)\nprint(use_up(p.0), p.1)"), &[]);
}

#[test]
fn a_borrow_gives_its_value_back() {
    let wallet = "@unique\nstruct Ticket:\n    n: Int\nstruct W:\n    t: Ticket\n";
    check_says(&format!("{wallet}    fn a(&self) -> Ticket: return self.t"), &[("E0505", 6)]);
    check_says(&format!("{wallet}    fn a(&mut self) -> Ticket: return self.t"), &[("E0505", 6)]);
    check_says(&format!("{wallet}    fn a(self) -> Ticket: return self.t"), &[]);
    let swap =
        "    fn a(&mut self, t: Ticket) -> Ticket:\n        let old = self.t\n        self.t = t\n        return old";
    check_says(&format!("{wallet}{swap}"), &[]);
}

#[test]
fn the_effect_of_a_function_value_is_that_of_the_one_given() {
    let zone = "shared let z: Shared<Int> = 0\nfn pause() -> Int:\n    sleep(1ms)\n    return 1\nfn call(f: fn() -> Int) -> Int: return f()\nfn twice(f: fn() -> Int) -> Int: return call(f) + call(f)\n";
    check_says(&format!("{zone}with z.write() as v: v += twice(pause)\n"), &[("E0603", 7)]);
    check_says(&format!("{zone}print(twice(pause))\nwith z.write() as v: v += twice(|| 2)\n"), &[]);
    check_says(&format!("{zone}let g = || pause()\nwith z.write() as v: v += g()\n"), &[("E0603", 8)]);
    check_says(&format!("{zone}let fs = [pause]\nwith z.write() as v: v += fs[0]()\n"), &[("E0603", 8)]);
}

/// A program checks in seconds whatever it looks like.
fn check_is_fast(name: &str, text: &str) {
    let started = Instant::now();
    findings(text);
    assert!(started.elapsed() < Duration::from_secs(20), "{name} took {:?}", started.elapsed());
}

#[test]
fn hostile_shapes_are_checked_fast() {
    let head = "@unique\nstruct T:\n    n: Int\nfn u(t: T) -> Int: return t.n\n";
    let nested = |open: &str, depth: usize, inner: &str| {
        let mut out = String::new();
        for i in 0..depth {
            out += &format!("{}{open}\n", "  ".repeat(i + 1));
        }
        out + &format!("{}{inner}\n", "  ".repeat(depth + 1))
    };
    let loops = nested("while true:", 100, "print(u(t))");
    check_is_fast("nested loops", &format!("{head}fn f(t: T):\n{loops}"));
    let mut finals = String::from("  print(u(t))\n");
    for _ in 0..40 {
        let inner: String = finals.lines().map(|l| format!("  {l}\n")).collect();
        finals = format!("  try:\n    print(1)\n  finally:\n{inner}");
    }
    check_is_fast("nested finally", &format!("{head}fn f(t: T):\n{finals}"));
    let many: String = (0..2000).map(|i| format!("  let t{i} = T({i})\n  if t{i}.n > 1: print(u(t{i}))\n")).collect();
    check_is_fast("many values", &format!("{head}fn f():\n{many}"));
    let chain: String = (0..2000).map(|i| format!("fn f{i}(n: Int) -> Int: return f{}(n)\n", i + 1)).collect();
    let last = "fn f2000(n: Int) -> Int:\n    sleep(1ms)\n    return n\n";
    let zone = "shared let z: Shared<Int> = 0\nwith z.write() as v: v += f0(1)\n";
    check_is_fast("a chain of calls", &format!("{chain}{last}{zone}"));
    let given: String = (0..500).map(|i| format!("fn g{i}(f: fn() -> Int) -> Int: return g{}(f)\n", i + 1)).collect();
    check_is_fast(
        "a function handed on",
        &format!("{given}fn g500(f: fn() -> Int) -> Int: return f()\nprint(g0(|| 1))\n"),
    );
    let zones: String = (0..60).map(|i| format!("shared let z{i}: Shared<Int> = 0\n")).collect();
    let pairs: String = (0..60)
        .flat_map(|i| (0..60).filter(move |j| *j != i).map(move |j| (i, j)))
        .map(|(i, j)| format!("fn p{i}_{j}():\n  with z{i}.write() as a:\n    with z{j}.write() as b: a += b\n"))
        .collect();
    check_is_fast("zones in every order", &format!("{zones}{pairs}"));
    let grow = "fn f<A>(x: A, n: Int) -> Int:\n  if n == 0: return 0\n  return f((x, x), n - 1)\nprint(f(1, 3))\n";
    check_is_fast("types that grow", grow);
}
