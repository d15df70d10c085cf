//! How fast the compiler is: reading text, checking a large program, and getting a small one to run.
//!
//!     cargo run --release -p stark-bench --bin compile
//!
//! Every figure is a median. The large program is made here: modules of a service with structs, enums, methods, matches,
//! closures, tasks and format texts, so that no part of the compiler is left out.

use clap::Parser;
use stark_compiler::{Host, Options};
use stark_syntax::source::SourceMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

// The command's own allocator, so that the figures are the command's.
#[path = "../../../tools/stark/src/alloc.rs"]
mod alloc;

#[global_allocator]
static ALLOCATOR: alloc::Allocator = alloc::Allocator;

/// Measure the compiler: lexing and parsing in MB/s, `check` of a large program, the start of a small one
#[derive(Parser)]
struct Args {
    /// The stark command whose start is measured
    #[arg(long, default_value = "target/release/stark")]
    stark: PathBuf,
    /// Lines of the generated program
    #[arg(long, default_value_t = 100_000)]
    lines: usize,
    /// Runs of each measurement; the median counts
    #[arg(long, default_value_t = 11)]
    runs: usize,
    /// Only write the generated program to standard output
    #[arg(long)]
    print: bool,
}

/// One account of the generated service; `@` stands for its number.
const MODULE: &str = r#"
# Account number @: what a small module of a service looks like.
struct Account@:
    id: Int
    owner: String
    balance: Float = 0.0
    tags: Vec<String> = []

impl Account@:
    fn label(self) -> String: return "{self.owner}#{self.id}"

    fn deposit(&mut self, amount: Float) -> Float:
        if amount <= 0.0:
            throw ValueError("amount must be positive, not {amount}")
        self.balance += amount
        return self.balance

    fn has_tag(self, tag: String) -> Bool: return self.tags.contains(tag)

enum Event@:
    Opened(Int)
    Paid(Int, Float)
    Closed

fn apply@(account: &mut Account@, event: Event@) -> Float:
    match event:
        Opened(_) => return account.balance
        Paid(id, amount) =>
            if id != account.id:
                return 0.0
            return account.deposit(amount)
        Closed => return 0.0

fn total@(amounts: Vec<Float>, limit: Int) -> Float:
    let mut sum = 0.0
    let mut seen: Map<String, Int> = {}
    for (i, amount) in amounts.enumerate():
        if i >= limit:
            break
        let name = "item {i}"
        seen[name] = seen.get_or(name, 0) + 1
        sum += amount * 1.5 - 0.25
    let parts = amounts.filter(|x| x > 0.5).map(|x| x * 2.0)
    for p in parts:
        sum += p
    return sum

async fn worker@(base: Int) -> Int:
    let mut n = base
    while n < 100:
        n = n * 2 + 1
    return n

fn use@() -> Float:
    let mut account = Account@(id = @, owner = "owner @")
    let first = apply@(&mut account, Paid(@, 10.0))
    return first + total@([1.0, 2.0, 3.0], 2)
"#;

/// A program of about `lines` lines that checks without a word and runs.
fn generate(lines: usize) -> String {
    let n_modules = lines.div_ceil(MODULE.lines().count() + 2).max(1);
    let mut text = String::new();
    for i in 0..n_modules {
        text.push_str(&MODULE.replace('@', &i.to_string()));
    }
    text.push_str("\nasync fn main():\n    let mut sum = 0.0\n");
    for i in 0..n_modules {
        text.push_str(&format!("    sum += use{i}()\n    sum += (await worker{i}({i})).to_float()\n"));
    }
    text.push_str("    print(sum)\n");
    text
}

/// A program of one file.
struct NoFiles;

impl Host for NoFiles {
    fn load(&self, _module_path: &str) -> Option<(String, String)> {
        None
    }
}

/// What the work gives is dropped after the clock was read: nobody waits for a tree to be freed.
fn median_ms<R>(runs: usize, mut work: impl FnMut() -> R) -> f64 {
    let mut times: Vec<f64> = (0..runs.max(1))
        .map(|_| {
            let start = Instant::now();
            let result = std::hint::black_box(work());
            let ms = start.elapsed().as_secs_f64() * 1e3;
            drop(result);
            ms
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn check(text: &str) -> stark_compiler::Checked {
    let mut sources = SourceMap::new();
    let root = sources.add("generated.stark", text);
    stark_compiler::check(&mut sources, root, &NoFiles, &Options::default())
}

fn main() {
    let args = Args::parse();
    let text = generate(args.lines);
    if args.print {
        print!("{text}");
        return;
    }
    let megabytes = text.len() as f64 / 1e6;
    let n_lines = text.lines().count();
    let checked = check(&text);
    if let Some(first) = checked.diagnostics.first() {
        eprintln!("error: the generated program does not check: {}", first.message);
        std::process::exit(1);
    }
    println!("generated program: {n_lines} lines, {megabytes:.2} MB; median of {} runs", args.runs);

    let mut sources = SourceMap::new();
    let root = sources.add("generated.stark", text.as_str());
    let lex = median_ms(args.runs, || stark_syntax::layout::lex(&text, root));
    println!("{:<34}{:>9.1} ms {:>9.1} MB/s", "lex and layout", lex, megabytes / lex * 1e3);
    let parse = median_ms(args.runs, || stark_syntax::parser::parse(&text, root));
    println!("{:<34}{:>9.1} ms {:>9.1} MB/s", "lex, layout and parse", parse, megabytes / parse * 1e3);
    let whole = median_ms(args.runs.min(5), || check(&text));
    println!("{:<34}{:>9.1} ms {:>9.0} lines/s", "check, library included", whole, n_lines as f64 / whole * 1e3);
    let empty = median_ms(args.runs, || check("print(\"hello\")\n"));
    println!("{:<34}{:>9.1} ms", "check of hello, library included", empty);

    let folder = std::env::temp_dir().join(format!("stark-bench-compile-{}", std::process::id()));
    let prepared = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("hello.stark"), "print(\"hello\")\n"));
    if let Err(error) = prepared {
        eprintln!("error: cannot write to {}: {error}", folder.display());
        std::process::exit(1);
    }
    let source = folder.join("hello.stark");
    let bytecode = folder.join("hello.starkbc");
    let stark = |what: &str, files: &[&std::ffi::OsStr]| {
        let done = Command::new(&args.stark).arg(what).args(files).stdout(Stdio::null()).status();
        match done {
            Ok(status) if status.success() => {}
            Ok(status) => {
                eprintln!("error: `stark {what}` failed: {status}");
                std::process::exit(1);
            }
            Err(error) => {
                eprintln!(
                    "error: cannot start {}: {error}; build it with `cargo build --release -p stark`",
                    args.stark.display()
                );
                std::process::exit(2);
            }
        }
    };
    stark("build", &[source.as_os_str(), "-o".as_ref(), bytecode.as_os_str()]);
    for (name, file) in [("stark run hello.stark (process)", &source), ("stark run hello.starkbc (process)", &bytecode)]
    {
        let wall = median_ms(args.runs * 3, || stark("run", &[file.as_os_str()]));
        println!("{name:<34}{wall:>9.1} ms");
    }
    let _ = std::fs::remove_dir_all(&folder);
}
