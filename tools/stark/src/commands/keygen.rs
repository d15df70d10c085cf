//! `stark keygen NAME`

use stark_bundle::SecretKey;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Make a pair of keys to sign bundles with
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark keygen release              writes release.key (keep it secret) and release.pub\n  \
    stark bundle service --sign release.key -o service.starkbc\n  \
    stark run --require-signature release.pub service.starkbc"
)]
pub struct Args {
    /// The files to write, without their endings
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

pub fn main(args: &Args) -> i32 {
    match generate(&args.name) {
        Ok((secret, public)) => {
            println!("wrote {} (keep it secret) and {}", secret.display(), public.display());
            0
        }
        Err(message) => super::refuse(message),
    }
}

fn generate(name: &Path) -> Result<(PathBuf, PathBuf), String> {
    if name.file_name().is_none() {
        return Err(format!("{} is no name for a file", name.display()));
    }
    let with = |ending: &str| {
        let mut path = name.as_os_str().to_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let (secret, public) = (with(".key"), with(".pub"));
    // Neither is written when one is there: a lost key cannot be made again.
    if let Some(there) = [&secret, &public].into_iter().find(|path| path.exists()) {
        return Err(format!("{} is there already", there.display()));
    }
    let key = SecretKey::generate().map_err(|e| e.to_string())?;
    write(&secret, &key.to_text(), 0o600)?;
    write(&public, &format!("{}\n", key.public()), 0o644)?;
    Ok((secret, public))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| format!("cannot write {}: {e}", path.display()))
}
