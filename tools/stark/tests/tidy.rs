//! What the source promises about itself: who imports whom, where unsafe stands, what may not be mentioned where.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for path in std::fs::read_dir(&folder).expect("a source folder").flatten().map(|e| e.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                pending.push(path);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Paths (relative) and lines that hold `needle` outside comments.
fn lines_with(folder: &str, needle: &str) -> Vec<(String, String)> {
    let root = root();
    let mut hits = Vec::new();
    for path in rust_files(&root.join(folder)) {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        for line in text.lines().filter(|l| !l.trim_start().starts_with("//") && l.contains(needle)) {
            hits.push((name.clone(), line.trim().to_string()));
        }
    }
    hits
}

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let allowed: &[(&str, &[&str])] = &[
        ("compiler/syntax", &[]),
        ("compiler", &["stark-syntax", "stark-bytecode", "stark-shapes", "stark-std"]),
        ("vm/bytecode", &[]),
        ("vm/bundle", &["stark-bytecode", "stark-models"]),
        ("scheduler", &[]),
        ("kernels/shapes", &[]),
        ("kernels", &["stark-shapes"]),
        ("kernels/models", &["stark-kernels", "stark-shapes"]),
        ("kernels/images", &["stark-kernels"]),
        ("kernels/opencl-late", &[]),
        ("kernels/opencl", &["stark-kernels", "stark-opencl-late", "stark-shapes"]),
        ("std", &[]),
        ("tools/project", &["stark-syntax"]),
        ("tools/lsp", &["stark-syntax", "stark-compiler", "stark-fmt", "stark-project", "stark-shapes", "stark-std"]),
        ("tools/fmt", &["stark-syntax"]),
        ("vm/profile", &[]),
        ("tools/prof", &["stark-profile"]),
        ("tests/loom", &[]),
        (
            "vm",
            &[
                "stark-bytecode",
                "stark-bundle",
                "stark-profile",
                "stark-scheduler",
                "stark-kernels",
                "stark-models",
                "stark-images",
                "stark-opencl",
                "stark-shapes",
            ],
        ),
    ];
    for (folder, allowed) in allowed {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines().filter(|l| l.starts_with("stark-")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(allowed.contains(&name), "{folder} may not depend on {name}");
        }
    }
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let rooms = [
        "vm/src/value.rs",
        "vm/src/heap/",
        "vm/src/structural/mod.rs",
        "vm/src/interp/",
        "vm/src/jit/",
        "scheduler/src/",
        "kernels/src/cpu/",
        "kernels/models/src/mapped.rs",
        "kernels/opencl-late/src/lib.rs",
        "kernels/opencl/src/driver.rs",
        "vm/src/conc/wait.rs",
        "tools/stark/src/alloc.rs",
    ];
    for folder in ["compiler", "vm", "scheduler", "kernels", "std", "tools", "bench"] {
        for (path, line) in lines_with(folder, "allow(unsafe_code)") {
            let is_tidy = path.ends_with("tests/tidy.rs");
            assert!(is_tidy || rooms.iter().any(|room| path.starts_with(room)), "{path}: {line}");
        }
    }
}

#[test]
fn the_compiler_reads_no_file_and_no_clock() {
    for needle in ["std::fs", "std::env", "std::time", "std::net", "std::process"] {
        let hits: Vec<_> =
            lines_with("compiler", needle).into_iter().filter(|(path, _)| path.contains("/src/")).collect();
        assert!(hits.is_empty(), "{needle}: {hits:?}");
    }
}

#[test]
fn opcodes_are_matched_only_where_instructions_live() {
    for folder in ["compiler", "scheduler", "kernels", "tools", "std"] {
        let hits: Vec<_> = lines_with(folder, "match")
            .into_iter()
            .filter(|(path, line)| line.contains("opcode()") && !path.ends_with("tidy.rs"))
            .collect();
        assert!(hits.is_empty(), "{hits:?}");
    }
}

#[test]
fn nothing_promises_instead_of_doing() {
    for needle in ["todo!(", "unimplemented!(", "FIXME", "#[ignore"] {
        for folder in ["compiler", "vm", "scheduler", "kernels", "tools", "bench", "tests"] {
            let hits: Vec<_> =
                lines_with(folder, needle).into_iter().filter(|(path, _)| !path.ends_with("tidy.rs")).collect();
            assert!(hits.is_empty(), "{needle}: {hits:?}");
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = root();
    let mut pages = vec![root.join("README.md"), root.join("ARCHITECTURE.md"), root.join("bench/README.md")];
    for folder in ["docs", "docs/language", "docs/decisions"] {
        pages.extend(
            std::fs::read_dir(root.join(folder))
                .expect("a docs folder")
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "md")),
        );
    }
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page");
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let path = page.parent().expect("a page has a folder").join(target);
            assert!(path.exists(), "{}: {target} is not there", page.display());
        }
    }
}
