//! `stark build FILE|FOLDER -o OUT`

use crate::bundle::{Settings, make, write_whole};
use crate::load::{self, Target};
use std::path::PathBuf;

/// Compile a program and all it imports into one .starkbc file, or into one executable
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  stark build service.stark -o service.starkbc\n  stark run service.starkbc\n  \
    stark build --standalone service -o serve   an executable that carries the program and its assets\n  ./serve")]
pub struct Args {
    /// The program, or a folder with a stark.toml; with --standalone also a .starkbc file
    #[arg(value_name = "FILE|FOLDER")]
    file: PathBuf,
    /// Refuse to build when a dependency is not as stark.lock says
    #[arg(long)]
    locked: bool,
    /// Make an executable that carries the bundle and needs nothing else
    #[arg(long)]
    standalone: bool,
    /// Where to write; by default the program's or package's name, beside it, with .starkbc unless it is an executable
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn main(args: &Args) -> i32 {
    build(args).err().unwrap_or(0)
}

fn build(args: &Args) -> Result<(), i32> {
    let target = Target::find(&args.file, args.locked)?;
    let output = args.output.clone().unwrap_or_else(|| {
        let output = super::bundle::output(&target, &args.file);
        if args.standalone { output.with_extension(std::env::consts::EXE_EXTENSION) } else { output }
    });
    if output == target.file {
        return Err(super::refuse(format!("{} would be overwritten; name another file with -o", output.display())));
    }
    if args.standalone {
        return standalone(&target, &output);
    }
    let module = target.verified()?;
    std::fs::write(&output, stark_bytecode::encode(&module))
        .map_err(|error| super::refuse(format!("cannot write {}: {error}", output.display())))
}

fn standalone(target: &Target, output: &std::path::Path) -> Result<(), i32> {
    let own = std::env::current_exe().map_err(|e| super::refuse(format!("this executable cannot be found: {e}")))?;
    let fail = |error: stark_bundle::BundleError| super::refuse(error.to_string());
    if target.project.is_none() {
        // A bundle goes in as it is, with its signature; one that would not run is told now.
        load::verify(load::open(&target.file)?.module, &target.file)?;
        return write_whole(output, true, |out| stark_bundle::standalone::write(&own, &target.file, out).map_err(fail));
    }
    let mut bundle = tempfile::NamedTempFile::new().map_err(|e| super::refuse(format!("no temporary file: {e}")))?;
    let settings = Settings { compress: false, key: None, except: Some(output) };
    make(target, &settings, &mut std::io::BufWriter::new(bundle.as_file_mut()))?;
    write_whole(output, true, |out| stark_bundle::standalone::write(&own, bundle.path(), out).map_err(fail))
}
