//! `cl-sys` asks the linker for `-lOpenCL`. An empty archive of that name answers it on a machine that has no OpenCL:
//! the entry points are defined in this crate.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    // There it is a framework or an import library, and part of the system.
    if target == "macos" || target == "windows" {
        return;
    }
    let folder = std::env::var("OUT_DIR").expect("cargo names a folder");
    // The magic of an `ar` archive; nothing follows it.
    std::fs::write(format!("{folder}/libOpenCL.a"), b"!<arch>\n").expect("the folder can be written to");
    println!("cargo:rustc-link-search=native={folder}");
}
