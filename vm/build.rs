//! Decides how interpreter handlers go on to the next instruction: by a sibling call where the optimiser is sure to make one, else through a loop.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(stark_tail_calls)");
    println!("cargo::rerun-if-changed=build.rs");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // Below level 2 the optimiser may leave calls in tail position as calls, and long loops would eat the native stack.
    if matches!(level.as_str(), "2" | "3" | "s" | "z") && matches!(arch.as_str(), "x86_64" | "aarch64") {
        println!("cargo::rustc-cfg=stark_tail_calls");
    }
}
