//! Standard output that cannot be written: a reader that has gone ends a command without a word, lost output is an error.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::process::{Command, Stdio};

/// Every command that prints by itself, and what it needs.
const COMMANDS: &[&[&str]] = &[
    &["devices"],
    &["explain", "E0301"],
    &["man"],
    &["completions", "bash"],
    &["inspect", "tests/data/models/digits_mlp.pt"],
    &["disasm", "examples/hello.stark"],
    &["check", "--help"],
    &["model", "verify", "tests/data/models/digits_mlp.pt", "tests/data/models/digits_mlp.io.safetensors"],
];

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
    command.args(args).stdin(Stdio::null()).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command
}

#[test]
fn a_full_disk_is_an_error() {
    for args in COMMANDS.iter().filter(|args| args.last() != Some(&"--help")) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let out = command(args).stdout(full).output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains("cannot write to standard output: No space left"), "{args:?}: {told}");
    }
}

#[test]
fn a_reader_that_has_gone_ends_a_command_without_a_word() {
    for args in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = command(args).stdout(writer).output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!told.contains("panicked"), "{args:?}: {told}");
        assert!(matches!(out.status.code(), Some(141 | 0)), "{args:?}: {:?} {told}", out.status);
    }
}

#[test]
fn a_program_whose_output_is_lost_has_failed() {
    let program = std::env::temp_dir().join(format!("stark-output-{}.stark", std::process::id()));
    std::fs::write(&program, "print(1)\n").unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let out = command(&["run", "--no-attach"]).arg(&program).stdout(full).output().unwrap();
    let _ = std::fs::remove_file(&program);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("standard output cannot be written"));
}
