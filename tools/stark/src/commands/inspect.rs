//! `stark inspect FILE`

use crate::load;
use stark_bytecode::Module;
use std::path::{Path, PathBuf};

/// Show what is in a .starkbc file or a model
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark inspect service.starkbc\n  stark inspect classifier.pt\n  stark inspect classifier.pt --shape x=8x64 --steps\n  stark inspect embedder.pt --shape ids=1x12:Int64 --json\n  stark inspect classifier.pt --dot > graph.dot"
)]
pub struct Args {
    /// A .starkbc, .stark or model file
    file: PathBuf,
    #[command(flatten)]
    model: super::inspect_model::Options,
    /// Hold every asset of a bundle against its hash
    #[arg(long)]
    verify: bool,
}

pub fn main(args: &Args) -> i32 {
    let is_source = args.file.extension().is_some_and(|e| e == "stark");
    match load::is_bytecode(&args.file) {
        Ok(true) => bundle(&args.file, args.verify),
        Ok(false) if is_source => bytecode(&args.file),
        Ok(_) => model(args),
        Err(message) => super::refuse(message),
    }
}

/// A `.starkbc` file, with assets or without.
fn bundle(path: &Path, verify: bool) -> i32 {
    let bundle = match load::open(path) {
        Ok(bundle) => bundle,
        Err(status) => return status,
    };
    let module = match load::verify(bundle.module.clone(), path) {
        Ok(module) => module,
        Err(status) => return status,
    };
    match &bundle.manifest {
        Some(manifest) => print!("{}", super::inspect_bundle::show(path, &bundle, manifest)),
        None => module_alone(path, &module),
    }
    if verify {
        if let Err(error) = bundle.assets.verify() {
            return super::refuse(format!("{}: {error}", path.display()));
        }
        println!("  verified      {} assets are as they were bundled", bundle.assets.rows().len());
    }
    0
}

fn bytecode(path: &Path) -> i32 {
    match load::verified(path) {
        Ok(module) => {
            module_alone(path, &module);
            0
        }
        Err(status) => status,
    }
}

fn module_alone(path: &Path, module: &Module) {
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
    print!("{}", super::inspect_bundle::capabilities(module, false));
}

fn model(args: &Args) -> i32 {
    if args.verify {
        let instead = "`stark model verify MODEL CASES` holds a model against recorded outputs";
        return super::refuse(format!("--verify is for the assets of a bundle; {instead}"));
    }
    match super::inspect_model::show(&args.file, &args.model) {
        Ok((text, failed)) => {
            print!("{text}");
            failed.map_or(0, super::refuse)
        }
        Err(message) => super::refuse(message),
    }
}
