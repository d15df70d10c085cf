//! Parses the library when STARK is built: a mistake in it fails the build, and no program that is compiled pays for reading it.

use stark_syntax::source::SourceMap;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

/// Every file, in the order in which they are declared to programs.
const MODULES: &[&str] = &[
    "prelude/traits",
    "prelude/option",
    "prelude/errors",
    "prelude/number",
    "prelude/string",
    "prelude/vec",
    "prelude/map",
    "prelude/range",
    "prelude/functions",
    "prelude/io",
    "prelude/clock",
    "prelude/tasks",
    "prelude/channels",
    "prelude/actors",
    "prelude/zones",
    "prelude/internals",
    "prelude/tensors",
    "prelude/models",
    "prelude/datasets",
    "prelude/web",
    "math",
    "time",
    "fs",
    "os",
    "random",
    "http",
    "json",
    "csv",
    "regex",
    "encoding",
    "image",
    "path",
    "deque",
    "heap",
    "log",
    "testing",
];

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| format!("{name}: {e}"))
}

/// Writes the tables that `lib.rs` includes, and the tree of each module.
fn embed() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    let sources = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("src");
    let out = Path::new(&variable("OUT_DIR")?).to_path_buf();
    let mut texts = String::from("&[\n");
    let mut trees = String::from("&[\n");
    for module in MODULES {
        let path = sources.join(format!("{module}.stark"));
        println!("cargo::rerun-if-changed={}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let tree_path = out.join(format!("{}.tree", module.replace('/', ".")));
        let tree = tree(module, &text)?;
        std::fs::write(&tree_path, tree).map_err(|e| format!("{}: {e}", tree_path.display()))?;
        // Writing to a String cannot fail.
        let _ = writeln!(texts, "({module:?}, include_str!({path:?})),");
        let _ = writeln!(trees, "({module:?}, include_bytes!({tree_path:?})),");
    }
    for (name, table) in [("sources.rs", texts), ("trees.rs", trees)] {
        let path = out.join(name);
        std::fs::write(&path, table + "]").map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn tree(module: &str, text: &str) -> Result<Vec<u8>, String> {
    let mut map = SourceMap::new();
    let source = map.add(format!("std/{module}.stark"), text);
    let parsed = stark_syntax::parse(text, source);
    if let Some(diagnostic) = parsed.diagnostics.first() {
        let (path, line, column) = map.location(diagnostic.primary.span);
        return Err(format!("{path}:{line}:{column}: {}", diagnostic.message));
    }
    stark_syntax::stored::write(&parsed).map_err(|e| format!("std/{module}.stark: {e}"))
}
