//! `stark run --memory`: what all tasks, messages and tensors take together stays within it, whoever passes it gets an error.

use std::path::Path;
use std::process::{Command, Output};

fn run(memory: &str, program: &str) -> Output {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("program.stark");
    std::fs::write(&path, program).expect("a writable folder");
    let stark = Path::new(env!("CARGO_BIN_EXE_stark"));
    Command::new(stark).args(["run", "--memory", memory]).arg(&path).output().expect("stark runs")
}

fn printed(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

const RESIDENT: &str = r#"
fn resident() -> Int:
    for line in fs.read_text("/proc/self/status").lines():
        if line.starts_with("VmHWM:"): return int(line.slice(6, len(line)).replace("kB", "").trim()) / 1024
    return 0
"#;

#[test]
fn many_tasks_that_each_would_fit_do_not_pass_the_budget_together() {
    // Fifty tasks of up to 64 MB each: 3 GB, where 200 MB may be. What is copied while it grows, and what the allocator keeps, comes on top.
    let program = format!(
        "{RESIDENT}
async fn hoard(me: Int) -> Bool:
    let mut xs = []
    try:
        for i in 0..5000000: xs.push(i)
        sleep(20ms)
        return true
    catch e: OutOfMemoryError:
        return false

async fn main():
    let kept = await gather([hoard(i) for i in 0..50])
    let n = len(kept.filter(|k| k))
    print(n > 0, n < 50, resident() < 800)
    // What was given back can be used again.
    print(await hoard(0))
"
    );
    assert_eq!(printed(&run("200M", &program)), "true true true\ntrue\n");
}

#[test]
fn messages_on_their_way_count() {
    let program = format!(
        "{RESIDENT}
async fn main():
    let ch = channel<Vec<Int>>(100000)
    let mut sent = 0
    try:
        for i in 0..1000:
            ch.send([n for n in 0..100000])
            sent += 1
    catch e: OutOfMemoryError:
        print(\"full\", sent > 10, sent < 300, resident() < 400)
    let mut sum = 0
    for _ in 0..sent: sum += len(ch.recv())
    print(sum == sent * 100000)
"
    );
    assert_eq!(printed(&run("100M", &program)), "full true true true\ntrue\n");
}

#[test]
fn tensors_and_models_count() {
    let program = "
async fn main():
    try:
        let t = zeros([1000, 1000, 100])
        print(t.shape())
    catch e: OutOfMemoryError:
        print(\"too large\")
    print(zeros([100, 100]).sum().item())
";
    assert_eq!(printed(&run("100M", program)), "too large\n0.0\n");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models/mini_embedder.pt");
    let program = format!("print(load_model(\"{}\"))\n", model.display());
    let refused = run("100K", &program);
    assert!(!refused.status.success(), "a model larger than the budget is refused");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("102400"), "the limit is told: {said}");
}

#[test]
fn sizes_have_units() {
    for (size, why) in [("5Q", "no unit"), ("M", "begins with a number"), ("0", "above 0"), ("99999999999G", "64 bits")]
    {
        let out = run(size, "print(1)\n");
        assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains(why), "{size}");
    }
}
