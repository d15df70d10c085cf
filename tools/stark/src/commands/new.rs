//! `stark new FOLDER`

use std::path::{Path, PathBuf};

/// Make a package: a folder with a stark.toml, a program and a test
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark new greeter\n  stark run greeter\n  stark test greeter\n\nThe folder's name is the package's name: small letters, digits and `_`."
)]
pub struct Args {
    /// The folder to make; it may be there when it is empty
    folder: PathBuf,
}

const MAIN: &str = "/// What to say to somebody.
fn greeting(name: String) -> String:
    return f\"Hello, {name}!\"

fn main():
    print(greeting(\"world\"))
";

const TEST: &str = "from main import greeting

@test
fn greets_by_name():
    assert greeting(\"Ada\") == \"Hello, Ada!\"
";

const IGNORED: &str = "*.starkbc\n";

pub fn main(args: &Args) -> i32 {
    let folder = &args.folder;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if !stark_project::is_package_name(&name) {
        return super::refuse(format!(
            "`{name}` cannot be a package's name: it begins with a small letter, goes on with small letters, digits and `_`, \
             has at most 64 of them and is no keyword"
        ));
    }
    if folder.exists() {
        match folder.read_dir().map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => return super::refuse(format!("{} is there already and is not empty", folder.display())),
            Err(error) => return super::refuse(format!("{}: {error}", folder.display())),
        }
    }
    let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
    let files =
        [("stark.toml", &*manifest), ("main.stark", MAIN), ("tests/main_test.stark", TEST), (".gitignore", IGNORED)];
    for (file, text) in files {
        if let Err(error) = write(&folder.join(file), text) {
            return super::refuse(format!("cannot write {}: {error}", folder.join(file).display()));
        }
    }
    println!("made package `{name}`: stark run {0}, stark test {0}", folder.display());
    0
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    std::fs::write(path, text)
}
