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
    assert!(
        said.contains("weights need") && said.contains("of the 0.1 MiB for all tensors (--memory)"),
        "the limit is told: {said}"
    );
}

/// A run of a model that passes the limit is as catchable as an operation of the program's own, and the model goes on.
#[test]
fn a_models_run_that_is_too_large_is_out_of_memory() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models/digits_mlp.pt");
    let program = format!(
        "
let m = load_model(\"{}\")
let x: Tensor<Float32> = ones([150000, 64])
try: print(m.predict(x).shape())
catch e: OutOfMemoryError: print(\"full\", e.message().contains(\"are in use\"))
print(m.predict(ones([1, 64])).shape())
",
        model.display()
    );
    assert_eq!(printed(&run("80M", &program)), "full true\n[1, 10]\n");
}

#[test]
fn sizes_have_units() {
    for (size, why) in [
        ("5Q", "no unit"),
        ("M", "begins with a number"),
        ("0", "above 0"),
        ("99999999999G", "64 bits"),
        ("99999999999999999999", "64 bits"),
    ] {
        let out = run(size, "print(1)\n");
        assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains(why), "{size}");
    }
}

#[test]
fn every_way_out_of_a_function_gives_back_what_it_held() {
    // Trees, maps and texts of some 30 kB, three thousand times: what stayed would be 90 MB.
    let program = r#"
enum Tree:
    Leaf
    Node(Tree, Tree)

fn build(depth: Int) -> Tree:
    if depth == 0: return Tree::Node(Tree::Leaf, Tree::Leaf)
    return Tree::Node(build(depth - 1), build(depth - 1))

fn early(xs: Vec<String>, n: Int) -> String:
    let a = f"{n} and {xs[0]} and more text than fits inline"
    if n % 3 == 0: return a
    let b = a + xs[1]
    for x in xs:
        let c = f"{x}{b}"
        if len(c) % 2 == 0: return c
    try:
        if n % 5 == 0: throw ValueError("five")
        return b
    catch e:
        return a

fn once(n: Int) -> Int:
    let mut m: Map<String, Vec<String>> = {}
    for i in 0..200:
        let key = f"key{i % 17} with a tail that is long enough to be on the heap"
        let mut list = m.get(key).unwrap_or([])
        list.push(early(["one", "two two two"], i))
        m[key] = list
    let _t = build(6)
    return len(m)

fn main():
    let mut total = 0
    for i in 0..3000: total += once(i)
    print(total)
"#;
    assert_eq!(printed(&run("4M", program)), "51000\n");
}

#[test]
fn texts_and_maps_that_grow_without_end_throw_and_stay_whole() {
    let program = r#"
fn doubled() -> Bool:
    let mut s = "x"
    try:
        while true: s = f"{s}{s}"
        return false
    catch e: OutOfMemoryError:
        return len(s) > 100000

fn grown() -> Bool:
    let mut m: Map<Int, String> = {}
    let mut i = 0
    try:
        while true:
            m[i] = f"number {i}"
            i += 1
        return false
    catch e: OutOfMemoryError:
        return len(m) > 1000 and m.get(7) == Some("number 7")

fn main():
    print(doubled(), grown(), doubled())
"#;
    assert_eq!(printed(&run("4M", program)), "true true true\n");
}

#[test]
fn a_parked_actor_takes_little_more_than_what_it_keeps() {
    // Actors that all waited in a handler at once give back what they had for it, and go on as before.
    let program = r#"
import fs

actor Idle:
    mut total: Int = 0

    fn on_receive(n: Int) -> Int:
        if n < 0: sleep(1ms)
        total += n
        return total

fn resident() -> Int:
    return int(fs.read_text("/proc/self/statm").split(" ")[1]) * 4096

async fn main():
    let n = 100000
    let before = resident()
    let actors = [spawn_actor(Idle::new()) for _ in 0..n]
    let mut total = 0
    for a in actors: total += await a.ask(1)
    sleep(1s)
    let bytes = (resident() - before) / n
    print(if bytes < 650: "small" else: f"{bytes} bytes each")
    let asks = [a.ask(-1) for a in actors]
    for a in actors: a.send(1)
    for ask in asks: total += await ask
    for a in actors: total += await a.ask(1)
    print(total == 3 * n)
"#;
    assert_eq!(printed(&run("4G", program)), "small\ntrue\n");
}

#[test]
fn who_only_sends_is_held_to_the_budget_too() {
    // A sender that keeps nothing, and messages that are large: each of these took ten times the budget in one turn.
    let program = |send: &str| {
        format!(
            "{RESIDENT}
actor Slow:
    fn on_receive(text: String) -> Int:
        sleep(1h)
        return len(text)

async fn main():
    let slow = spawn_actor(Slow::new(), mailbox = 1000000)
    let news = broadcast<String>(capacity = 1000000)
    let _reader = news.subscribe()
    let kept = \"k\" * 1000000
    let mut n = 0
    try:
        while n < 3000:
            n += 1
            {send}
        print(\"never refused\")
    catch e: OutOfMemoryError:
        print(e.kind(), n > 50, resident() < 800)
    exit(0)
"
        )
    };
    let refused = "OutOfMemoryError true true\n";
    assert_eq!(printed(&run("200M", &program("slow.send(\"z\" * 1000000)"))), refused);
    assert_eq!(printed(&run("200M", &program("slow.ask(\"z\" * 1000000).detach()"))), refused);
}

#[test]
fn a_text_that_many_hold_counts_once_and_in_each_heap() {
    // One text of 20 MB that 100 tasks hold is no 2 GB; but each holder's own limit counts it.
    let program = "
fn hold(text: String) -> Int:
    sleep(10ms)
    return len(text)

let text = \"t\" * 20000000
let tasks = [spawn hold(text) for _ in 0..100]
let mut sum = 0
for task in tasks: sum += task.join()
print(sum)
let ch = channel<String>(unbounded = true)
let mut kept: Vec<String> = []
try:
    for i in 0..1000:
        let one = \"x\" * 1000000
        ch.send(one)
        kept.push(one)
    print(\"never refused\")
catch e: OutOfMemoryError: print(len(kept) < 200, e.kind())
";
    assert_eq!(printed(&run("200M", program)), "2000000000\ntrue OutOfMemoryError\n");
}

#[test]
fn tasks_and_actors_themselves_count() {
    let program = format!(
        "{RESIDENT}
actor Idle:
    fn on_receive(n: Int) -> Int: return n

async fn main():
    let mut n = 0
    try:
        while n < 3000000:
            spawn_actor(Idle::new())
            n += 1
        print(\"never refused\")
    catch e: OutOfMemoryError:
        // What deals with the error has room for that, in its next turns too.
        sleep(1ms)
        let text = f\"{{e.kind()}} {{n > 100000}} {{resident() < 400}}\"
        sleep(1ms)
        print(text)
    exit(0)
"
    );
    assert_eq!(printed(&run("200M", &program)), "OutOfMemoryError true true\n");
}

#[test]
fn whoever_watches_an_actor_again_and_again_leaves_nothing_behind() {
    // Each watch takes some 128 bytes: 300,000 would pass the budget together.
    let program = "
actor A:
    fn on_receive(x: Int) -> Int: return x

async fn main():
    let a = spawn_actor(A::new())
    let kept = [monitor(a) for _ in 0..100]
    for i in 0..300000:
        let m = monitor(a)
        if i % 1000 == 0: await a.ask(i)
    a.stop()
    print(len(await gather(kept)))
";
    assert_eq!(printed(&run("16M", program)), "100\n");
}

#[test]
fn rows_of_a_tensor_and_what_is_found_in_it_are_asked_for_before_they_are_made() {
    // 4 MB of tensor, whose rows as a list take 1.3 GB.
    let program = format!(
        "{RESIDENT}
fn refused(what: String, f: fn() -> Int):
    try: print(what, f())
    catch e: OutOfMemoryError: print(what, \"refused\", resident() < 150)

let a: Tensor<Int8> = ones([4000000])
refused(\"rows\", || a.rows().len())
refused(\"split\", || a.split(1).len())
refused(\"chunk\", || a.chunk(4000000).len())
refused(\"split in few\", || a.split(1000000).len())
refused(\"nonzero\", || a.nonzero().len())
refused(\"nonzero of few\", || (a - 1i8).nonzero().len())
let mut n = 0
for row in a[0..300000]: n += 1
for row in Dataset::from(a).take(300000): n += 1
print(n, resident() < 150)
"
    );
    let want = "rows refused true\nsplit refused true\nchunk refused true\nsplit in few 4\nnonzero refused true\n\
                nonzero of few 0\n600000 true\n";
    assert_eq!(printed(&run("100M", &program)), want);
}

#[test]
fn a_text_is_encoded_where_there_is_room_for_it() {
    let tokenizer = r#"{"version": "1.0", "truncation": null, "padding": {"strategy": {"Fixed": 60000}, "direction": "Right",
        "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[U]"}, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"[U]": 0, "a": 1, "b": 2}, "unk_token": "[U]"}}"#;
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("tokenizer.json");
    std::fs::write(&path, tokenizer).expect("a writable folder");
    let program = format!(
        "{RESIDENT}
let t = Tokenizer::load(\"{}\")
print(t.encode(\"a b c\").to_vec(), t.encode_batch([\"a\", \"b\"]).ids.shape())
fn refused(f: fn() -> Vec<Int>):
    try: print(f())
    catch e: OutOfMemoryError: print(\"refused\", resident() < 150)
let text = \"a b \" * 500000
refused(|| t.encode(text).shape())
refused(|| t.encode_batch([\"a\", text]).ids.shape())
refused(|| t.encode_batch([\"a\" for _ in 0..1000]).ids.shape())
print(t.encode_batch([\"a b\" for _ in 0..5]).mask.sum())
",
        path.display()
    );
    let want = "[1, 2, 0] [2, 60000]\nrefused true\nrefused true\nrefused true\ntensor(10)\n";
    assert_eq!(printed(&run("100M", &program)), want);
}

#[test]
fn what_tells_no_size_is_read_as_far_as_there_is_room() {
    let program = format!(
        "{RESIDENT}
fn refused(what: String, f: fn() -> Int):
    try: print(what, f())
    catch e: OutOfMemoryError: print(what, \"no memory\", resident() < 400)
    catch e: IoError: print(what, e.message(), resident() < 400)
    catch e: ModelError: print(what, e.message(), resident() < 400)

refused(\"bytes\", || fs.read_bytes(\"/dev/zero\").len())
refused(\"text\", || fs.read_text(\"/dev/zero\").len())
refused(\"image\", || image.load(\"/dev/zero\").numel())
refused(\"tensors\", || load_tensors(\"/dev/zero\").len())
refused(\"npy\", || load_npy(\"/dev/zero\").shape().len())
refused(\"model\", || load_model(\"/dev/zero\").inputs().len())
refused(\"tokenizer\", || Tokenizer::load(\"/dev/zero\").vocab_size())
refused(\"lines\", || stdin.read().len())
refused(\"line\", || input().unwrap().len())
"
    );
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("program.stark");
    std::fs::write(&path, program).expect("a writable folder");
    let zeros = std::fs::File::open("/dev/zero").expect("a device");
    let mut stark = Command::new(env!("CARGO_BIN_EXE_stark"));
    let out = stark.args(["run", "--memory", "100M"]).arg(&path).stdin(zeros).output().expect("stark runs");
    let too_long = |what: &str, colon: &str| {
        format!("{what} {colon}/dev/zero: it has more than 104857600 bytes and does not say how many true\n")
    };
    let want = "bytes no memory true\ntext no memory true\nimage no memory true\n".to_string()
        + &too_long("tensors", "cannot read ")
        + &too_long("npy", "cannot read ")
        + &too_long("model", "")
        + &too_long("tokenizer", "cannot read ")
        + "lines no memory true\nline no memory true\n";
    assert_eq!(printed(&out), want);
}
