//! The limits of a run: each by its option, by the environment and by `stark.toml`, in this order; and a service that gets ten
//! times more than it can answer (`tests/overload`).
//!
//! The overload in full: `target/release/stark run tests/overload/overload.stark 300000`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A package in a folder of its own.
struct Package(PathBuf);

impl Package {
    fn new(name: &str, toml: &str, program: &str) -> Package {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("limits-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a writable folder");
        std::fs::write(folder.join("stark.toml"), format!("[package]\nname = \"p\"\n{toml}")).expect("a file");
        std::fs::write(folder.join("main.stark"), program).expect("a file");
        Package(folder)
    }

    fn run(&self, variable: Option<(&str, &str)>, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
        command.arg("run").args(options).arg(&self.0);
        if let Some((name, value)) = variable {
            command.env(name, value);
        }
        command.output().expect("stark runs")
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        // Whatever is left of it lies in the build's folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn printed(out: &Output) -> &str {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    std::str::from_utf8(&out.stdout).expect("text")
}

const TASKS: &str = r#"
async fn wait() -> Int:
    sleep(10ms)
    return 1

actor Idle:
    fn on_receive(n: Int) -> Int: return n

async fn main():
    let mut tasks = []
    try:
        for _ in 0..100000: tasks.push(wait())
    catch e: OutOfMemoryError:
        print(len(tasks), e.message())
        try:
            spawn_actor(Idle::new())
        catch e: OutOfMemoryError: print("no actor either")
    for t in tasks: await t
    // When some have ended there is room again.
    print(await wait())
"#;

#[test]
fn more_tasks_than_may_be_are_refused_where_they_begin() {
    let package = Package::new("tasks", "[limits]\nmax-tasks = 300\n", TASKS);
    let expected = |limit: usize| {
        let before = limit - 1;
        format!("{before} {limit} tasks are under way, the limit (max-tasks) is {limit}\nno actor either\n1\n")
    };
    assert_eq!(printed(&package.run(None, &["--seed", "1"])), expected(300));
    assert_eq!(printed(&package.run(Some(("STARK_MAX_TASKS", "200")), &["--seed", "1"])), expected(200));
    let both = package.run(Some(("STARK_MAX_TASKS", "200")), &["--seed", "1", "--max-tasks", "100"]);
    assert_eq!(printed(&both), expected(100));
    let threads = package.run(None, &["--workers", "1"]);
    assert_eq!(printed(&threads), expected(300));
}

/// Eight tasks that begin and join one after the other: some twenty are alive at any time.
const FEW_TASKS: &str = r#"
fn nothing(i: Int) -> Int: return i

fn begins_many() -> Int:
    let mut n = 0
    for i in 0..20000: n += (spawn nothing(i)).join() % 2
    return n

fn main():
    let all = [spawn begins_many() for _ in 0..8]
    let mut sum = 0
    for each in all: sum += each.join()
    print(sum)
"#;

#[test]
fn tasks_that_have_ended_do_not_count_however_many_begin() {
    let package = Package::new("few", "[limits]\nmax-tasks = 40\n", FEW_TASKS);
    for workers in ["1", "2", "4", "8"] {
        assert_eq!(printed(&package.run(None, &["--workers", workers])), "80000\n");
    }
}

/// Tasks that ask actors all the time and write down what went wrong, until another ends the program.
const ENDS: &str = r#"
import fs
import os

actor Adder:
    mut n: Int = 0
    fn on_receive(x: Int) -> Int:
        n += x
        return n

fn asks(k: Int, of: Vec<ActorRef<Adder>>, folder: String):
    let mut i = 0
    while true:
        i += 1
        try:
            for j in 0..3: of[(k + i * 7 + j) % 40].send(j)
            await of[(k + i) % 40].ask(1)
        catch e: fs.write_text(f"{folder}/{k}-{i}", e.message())

fn main():
    let actors = [spawn_actor(Adder::new()) for _ in 0..40]
    for k in 0..24: spawn asks(k, actors, os.env("SEEN").unwrap())
    sleep(2ms)
    exit(0)
"#;

#[test]
fn nobody_sees_the_end_of_the_program_as_a_failure() {
    let package = Package::new("ends", "", ENDS);
    let seen = tempfile::tempdir().expect("a folder");
    let folder = seen.path().to_str().expect("a name");
    for round in 0..20 {
        let out = package.run(Some(("SEEN", folder)), &["--workers", ["2", "4", "8"][round % 3]]);
        assert!(out.status.success(), "{out:?}");
    }
    let files: Vec<_> = std::fs::read_dir(seen.path()).expect("the folder").collect();
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn heap_and_stack_are_limited_by_the_package_too() {
    let program = "
fn deep(n: Int) -> Int: return if n == 0: 0 else: 1 + deep(n - 1)

fn main():
    try: print(deep(100000))
    catch e: StackOverflowError: print(e.message())
    let mut xs = []
    try:
        for i in 0..10000000: xs.push(i)
    catch e: OutOfMemoryError: print(\"too much\")
";
    let package = Package::new("bytes", "[limits]\nheap-limit = \"4M\"\nstack-limit = 100000\n", program);
    let expected = "calls are nested too deep: the stack limit of 100000 bytes is reached\ntoo much\n";
    assert_eq!(printed(&package.run(None, &[])), expected);
    let enough = package.run(Some(("STARK_HEAP_LIMIT", "1G")), &["--stack-limit", "64M"]);
    assert_eq!(printed(&enough), "100000\n");
}

#[test]
fn whatever_grows_without_end_ends_its_own_task() {
    let program = "
async fn lists() -> Int:
    let mut xs = [[0]]
    while len(xs) > 0: xs.push([i for i in 0..1000])
    return 0

async fn texts() -> Int:
    let mut s = \"x\"
    while len(s) > 0: s = s + s
    return 0

async fn maps() -> Int:
    let mut m: Map<Int, String> = {}
    while true: m[len(m)] = f\"{len(m)} and more text to hold\"
    return 0

async fn at_once() -> Int: return len([0 for _ in 0..10000000000])

async fn repeated() -> Int: return len(\"ab\".repeat(100000000000))

async fn queued() -> Int:
    let ch: Channel<Int> = channel(unbounded = true)
    while true: ch.send(1)
    return 0

async fn main():
    for job in [lists(), texts(), maps(), at_once(), repeated(), queued()]:
        try: print(await job)
        catch e: OutOfMemoryError: print(\"too much\")
";
    let package = Package::new("grows", "", program);
    assert_eq!(printed(&package.run(None, &["--heap-limit", "20M"])), "too much\n".repeat(6));
}

#[test]
fn what_is_no_limit_is_refused_with_its_place() {
    let program = "print(1)\n";
    let fails = |package: &Package, variable, options: &[&str], why: &str| {
        let out = package.run(variable, options);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(why), "{said}");
    };
    let plain = Package::new("plain", "", program);
    fails(&plain, Some(("STARK_MAX_TASKS", "many")), &[], "STARK_MAX_TASKS: `many` is no whole number above 0");
    fails(&plain, Some(("STARK_MEMORY", "5Q")), &[], "STARK_MEMORY: `Q` is no unit of memory");
    fails(&plain, None, &["--blocking-threads", "0"], "`0` is no whole number above 0");
    let wrong = Package::new("wrong", "[limits]\nmax-task = 5\nmemory = \"lots\"\nheap-limit = true\n", program);
    fails(&wrong, None, &[], "[limits] has no key `max-task`");
    fails(&wrong, None, &[], "did you mean `max-tasks`?");
    fails(&wrong, None, &[], "`memory`: a size begins with a number, as in 512M");
    fails(&wrong, None, &[], "stark.toml:6:14");
    let odd = Package::new("odd", "[limits]\nmemory = -16\nheap-limit = 1.5\nmax-tasks = 0x0\n", program);
    fails(&odd, None, &[], "this is a fraction");
    fails(&odd, None, &[], "`max-tasks`: `0` is no whole number above 0");
    let hexadecimal = Package::new("hexadecimal", "[limits]\nmemory = 0x8000_0000\n", program);
    assert_eq!(printed(&hexadecimal.run(None, &[])), "1\n");
}

#[test]
fn under_ten_times_the_load_the_rest_is_refused_at_once() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/overload/overload.stark");
    // In virtual time also how long each takes; on threads counts and memory.
    for options in [&["--seed", "1"][..], &[]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
        let out = command.arg("run").args(options).arg(&program).arg("10000").output().expect("stark runs");
        assert_eq!(printed(&out).lines().count(), 4, "{}", String::from_utf8_lossy(&out.stderr));
    }
}
