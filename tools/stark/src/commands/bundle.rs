//! `stark bundle [FILE|FOLDER] -o OUT`

use crate::bundle::{Settings, make, write_whole};
use crate::load::{self, Target};
use stark_bundle::SecretKey;
use stark_bytecode::Manifest;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Make one .starkbc file of a package with all its models, tokenizers and data
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stark bundle service              service/service.starkbc, with what [assets] of stark.toml names\n  \
    stark run service/service.starkbc   needs nothing else\n  \
    stark keygen release && stark bundle service --sign release.key\n\n\
    The same package gives the same bytes on every machine. `stark inspect` lists what is in a bundle."
)]
pub struct Args {
    /// A folder with a stark.toml, or a program
    #[arg(value_name = "FILE|FOLDER", default_value = ".")]
    file: PathBuf,
    /// Where to write; by default the package's name with .starkbc, in its folder
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Pack all assets (Zstandard); `compress = true` in stark.toml packs one
    #[arg(long)]
    compress: bool,
    /// Sign with this secret key, made by `stark keygen`
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Refuse when a dependency is not as stark.lock says
    #[arg(long)]
    locked: bool,
}

pub fn main(args: &Args) -> i32 {
    bundle(args).err().unwrap_or(0)
}

fn bundle(args: &Args) -> Result<(), i32> {
    let key = args.sign.as_deref().map(secret_key).transpose()?;
    let target = Target::find(&args.file, args.locked)?;
    let output = args.output.clone().unwrap_or_else(|| output(&target, &args.file));
    if output == target.file {
        return Err(super::refuse(format!("{} would be overwritten; name another file with -o", output.display())));
    }
    let settings = Settings { compress: args.compress, key: key.as_ref(), except: Some(&output) };
    let mut manifest = Manifest::default();
    write_whole(&output, false, |file| {
        manifest = make(&target, &settings, &mut BufWriter::new(file))?;
        Ok(())
    })?;
    println!("bundled {}: {}", output.display(), describe(&manifest));
    Ok(())
}

/// Beside the program; of a folder, in it by the package's name.
pub fn output(target: &Target, path: &Path) -> PathBuf {
    match &target.project {
        Some(project) if path.is_dir() => path.join(project.root().name()).with_extension("starkbc"),
        _ => target.file.with_extension("starkbc"),
    }
}

fn describe(manifest: &Manifest) -> String {
    let bytes: u64 = manifest.assets.iter().map(|asset| asset.stored).sum();
    let assets = match manifest.assets.len() {
        0 => "no assets".to_string(),
        1 => format!("1 asset of {bytes} bytes"),
        n => format!("{n} assets of {bytes} bytes"),
    };
    match &*manifest.capabilities {
        [] => format!("{assets}, needs nothing of its host"),
        needs => format!("{assets}, needs {}", needs.join(", ")),
    }
}

pub fn secret_key(path: &Path) -> Result<SecretKey, i32> {
    let text = load::text(path).map_err(super::refuse)?;
    SecretKey::parse(&text).map_err(|error| super::refuse(format!("{}: {error}", path.display())))
}
