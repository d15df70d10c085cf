//! A task that is long in one operation keeps nobody waiting but itself, also on the only worker.

use std::path::Path;
use std::process::Command;

fn printed(args: &[&str], program: &str) -> String {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("program.stark");
    std::fs::write(&path, program).expect("a writable folder");
    let out = Command::new(env!("CARGO_BIN_EXE_stark")).arg("run").args(args).arg(&path).output().expect("stark runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// How often another task sleeps for a millisecond while one computes. Were it to wait for the end of each of the eight products it
/// would be eight times.
const BESIDE: &str = "
fn work():
    let a: Tensor<Float32> = ones([1500, 1500])
    for _ in 0..8: assert (a @ a).numel() > 0
async fn main():
    let h = spawn work()
    let mut n = 0
    while not h.is_done():
        sleep(1ms)
        n += 1
    h.join()
";

#[test]
fn timers_go_on_beside_a_product_on_one_worker_and_on_two() {
    for workers in ["1", "2"] {
        let program = format!("{BESIDE}    print(n > 16)\n");
        assert_eq!(printed(&["--workers", workers], &program), "true\n", "{workers} workers");
    }
}

#[test]
fn under_a_seed_a_long_operation_is_one_step() {
    let program = format!("{BESIDE}    print(n)\n");
    let once = printed(&["--seed", "7"], &program);
    assert_eq!(printed(&["--seed", "7"], &program), once);
}

/// More predictions than workers, each of more operators than one turn has time for: results are those of one after the other.
#[test]
fn models_on_all_workers_give_what_they_give_alone() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models/digits_mlp.pt");
    let program = format!(
        "
let m = load_model(\"{}\")
fn sum_of(i: Int) -> Float32:
    let x: Tensor<Float32> = full([4000 + i, 64], 0.01)
    return m.predict(x).sum().item()
async fn main():
    let alone = [sum_of(i) for i in 0..12]
    let together = [h.join() for h in [spawn sum_of(i) for i in 0..12]]
    print(alone == together)
",
        model.display()
    );
    for workers in ["1", "2", "4"] {
        assert_eq!(printed(&["--workers", workers], &program), "true\n", "{workers} workers");
    }
}

/// More predictions that never end than there are workers and reliefs, in two waves: the timers that end them are not held up.
#[test]
fn models_on_all_workers_leave_the_timers_alone() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/13-models/endless.pt");
    let program = format!(
        "
let m = load_model(\"{}\")
async fn forever() -> String: return f\"{{m.predict(ones([4])).shape()}}\"
async fn main():
    let mut n = 0
    for _ in 0..2:
        let asked = [timeout(100ms, forever()) for _ in 0..8]
        for answer in asked:
            try: print(await answer)
            catch e: TimeoutError: n += 1
            catch e: ModelError: print(e.message())
    print(n)
",
        model.display()
    );
    for workers in ["1", "2"] {
        assert_eq!(printed(&["--workers", workers], &program), "16\n", "{workers} workers");
    }
}
