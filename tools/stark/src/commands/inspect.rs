//! `stark inspect FILE`

use crate::load;
use std::path::{Path, PathBuf};

/// Show what is in a .starkbc file or a model
#[derive(clap::Args)]
#[command(after_help = "Example:\n  stark inspect service.starkbc\n  stark inspect classifier.pt\n  stark inspect classifier.pt --shape x=8x64 --steps\n  stark inspect classifier.pt --dot > graph.dot")]
pub struct Args {
    /// A .starkbc, .stark or model file
    file: PathBuf,
    #[command(flatten)]
    model: super::inspect_model::Options,
}

pub fn main(args: &Args) -> i32 {
    let is_source = args.file.extension().is_some_and(|e| e == "stark");
    match load::is_bytecode(&args.file) {
        Ok(is_bytecode) if is_bytecode || is_source => bytecode(&args.file),
        Ok(_) => model(args),
        Err(message) => super::refuse(message),
    }
}

fn bytecode(path: &Path) -> i32 {
    let module = match load::verified(path) {
        Ok(module) => module,
        Err(status) => return status,
    };
    let n_instructions: usize = module.functions.iter().map(|f| f.code.len()).sum();
    println!("{}: STARK bytecode", path.display());
    println!("  functions     {:>8}   ({n_instructions} instructions)", module.functions.len());
    println!("  types         {:>8}", module.types.len());
    println!("  strings       {:>8}", module.strings.len());
    println!("  globals       {:>8}", module.globals.len());
    println!("  entry         {}", module.functions[module.entry.index()].name);
    println!("  sources       {}", module.files.join(", "));
    let mut natives: Vec<&str> = module.natives.iter().map(|n| n.name.as_str()).collect();
    natives.sort_unstable();
    natives.dedup();
    println!("  natives       {}", natives.join(" "));
    0
}

fn model(args: &Args) -> i32 {
    match super::inspect_model::show(&args.file, &args.model) {
        Ok(text) => {
            print!("{text}");
            0
        }
        Err(message) => super::refuse(message),
    }
}
