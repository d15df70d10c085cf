//! How the command is linked.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let is_sanitized = var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("sanitizer"));
    let is_gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    // At a fixed address: else 60,000 addresses in it are worked out, and 1.2 MB of its pages written, each time it starts,
    // which is a quarter of what `hello` takes. Stacks, heaps, libraries and compiled code still lie where the system puts them.
    if is_gnu && is("PROFILE", "release") && !is_sanitized {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
