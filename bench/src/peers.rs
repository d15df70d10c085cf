//! The peers: how each language's program is prepared and run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

pub struct Peer {
    pub name: &'static str,
    /// The program that must be installed.
    pub command: Shown,
    args: &'static [&'static str],
    /// The ending of its sources.
    ext: &'static str,
    folder: PathBuf,
    /// A compiler run that makes what is started: (the compiler, the source, the result's path).
    build: Option<fn(&Path, &Path, &Path) -> Command>,
    /// Runs only these programs.
    only: Option<&'static [&'static str]>,
}

/// A command's name or path, for printing.
pub struct Shown(pub PathBuf);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

pub enum Outcome {
    Time {
        ms: f64,
    },
    /// The peer has no such program.
    Absent,
    Failed(String),
}

/// STARK without machine code.
pub const INTERPRETED: &str = "STARK --jit off";

/// Of these the whole process counts, from a compiled file where there is one.
const STARTS: &[&str] = &["hello"];
/// A start takes milliseconds: the median of so many is one figure.
const N_STARTS: usize = 21;

pub fn all(stark: &Path, home: &Path) -> Vec<Peer> {
    let compare = home.join("compare");
    let peer = |name, command: &str, args, ext, build| Peer {
        name,
        command: Shown(PathBuf::from(command)),
        args,
        ext,
        folder: compare.clone(),
        build,
        only: None,
    };
    vec![
        Peer {
            name: "STARK",
            command: Shown(stark.to_path_buf()),
            args: &["run"],
            ext: "stark",
            folder: home.join("programs"),
            build: Some(build_stark),
            only: None,
        },
        Peer {
            name: INTERPRETED,
            command: Shown(stark.to_path_buf()),
            args: &["run", "--jit", "off"],
            ext: "stark",
            folder: home.join("programs"),
            build: Some(build_stark),
            only: Some(crate::goals::SINGLE),
        },
        Peer {
            name: "STARK uncounted",
            command: Shown(stark.to_path_buf()),
            // What runs long is found where budgets end, and here none does.
            args: &["run", "--uncounted", "--jit", "always"],
            ext: "stark",
            folder: home.join("programs"),
            build: Some(build_stark),
            only: Some(&["loop"]),
        },
        peer("luajit -joff", "luajit", &["-joff"], "lua", None),
        peer("Lua 5.4", "lua5.4", &[], "lua", None),
        peer("CPython", "python3", &[], "py", None),
        peer("Node", "node", &[], "js", None),
        peer("Erlang", "escript", &[], "erl", None),
        peer("Go", "go", &[], "go", Some(build_go)),
        Peer { folder: home.join("tokio/src/bin"), ..peer("Tokio", "cargo", &[], "rs", Some(build_tokio)) },
    ]
}

/// A `.starkbc`, so that compiling is not part of a start.
fn build_stark(stark: &Path, source: &Path, result: &Path) -> Command {
    let mut command = Command::new(stark);
    command.arg("build").arg(source).arg("-o").arg(result);
    command
}

/// A crate of its own, so that its features of tokio do not become those of the main build.
fn build_tokio(cargo: &Path, source: &Path, result: &Path) -> Command {
    let folder = source.ancestors().nth(3).unwrap_or(source);
    let (Some(into), Some(name)) = (result.parent(), result.file_name()) else { unreachable!("a file in a folder") };
    let mut command = Command::new("sh");
    // `sh`, as two commands make the file: cargo keeps its results where it likes.
    command.args(["-c", "\"$1\" build --quiet --release --manifest-path \"$2/Cargo.toml\" --target-dir \"$2/target\" --bin \"$3\" && cp \"$2/target/release/$3\" \"$4/\"", "sh"]);
    command.arg(cargo).arg(folder).arg(name).arg(into);
    command
}

fn build_go(go: &Path, source: &Path, result: &Path) -> Command {
    let mut command = Command::new(go);
    command.arg("build").arg("-o").arg(result).arg(source).env("GO111MODULE", "off");
    command
}

impl Peer {
    pub fn is_there(&self) -> bool {
        let path = &self.command.0;
        if path.components().count() > 1 {
            return path.exists();
        }
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(path).exists())
    }

    pub fn measure(&self, program: &str, runs: usize) -> Outcome {
        let source = self.folder.join(format!("{program}.{}", self.ext));
        if !source.exists() || self.only.is_some_and(|only| !only.contains(&program)) {
            return Outcome::Absent;
        }
        self.figures(program, &source, runs.max(1)).map_or_else(Outcome::Failed, |mut figures| {
            figures.sort_by(f64::total_cmp);
            Outcome::Time { ms: figures[figures.len() / 2] }
        })
    }

    /// One figure a run.
    fn figures(&self, program: &str, source: &Path, runs: usize) -> Result<Vec<f64>, String> {
        let folder = tempfile::tempdir().map_err(|e| format!("no folder for what is built: {e}"))?;
        let mut command = Command::new(&self.command.0);
        if STARTS.contains(&program) && self.command.0.components().count() > 1 {
            // As it is installed, and as the peers are: a file written from front to back, which the kernel maps in large
            // pieces. A linker writes here and there.
            let installed = folder.path().join("installed");
            std::fs::copy(&self.command.0, &installed)
                .map_err(|e| format!("no copy of {}: {e}", self.command.0.display()))?;
            command = Command::new(installed);
        }
        command.args(self.args);
        match self.build {
            Some(build) => {
                let result = folder.path().join(program);
                let done = build(&self.command.0, source, &result).output().map_err(|e| e.to_string())?;
                if !done.status.success() {
                    return Err(String::from_utf8_lossy(&done.stderr).into_owned());
                }
                // A compiled program is run by itself, or by what the arguments say.
                match self.args {
                    [] => command = Command::new(result),
                    _ => _ = command.arg(result),
                }
            }
            None => _ = command.arg(source),
        }
        if STARTS.contains(&program) {
            return (0..runs).map(|_| start(&mut command)).collect();
        }
        (0..runs).map(|_| run(&mut command)).collect()
    }
}

/// What a program says of itself.
fn run(command: &mut Command) -> Result<f64, String> {
    let done = command.output().map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&done.stdout);
    let figure = text.lines().last().and_then(figure);
    figure.ok_or_else(|| format!("the last line is none of `ms N`, `us N` and `bytes N`: {text}"))
}

/// The wall time of the whole process, the median of several.
fn start(command: &mut Command) -> Result<f64, String> {
    let mut times = Vec::with_capacity(N_STARTS);
    for _ in 0..N_STARTS {
        let begun = Instant::now();
        let done = command.output().map_err(|e| e.to_string())?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[N_STARTS / 2])
}

/// The figure in a program's last line: milliseconds, microseconds or bytes.
fn figure(line: &str) -> Option<f64> {
    let (unit, figure) = line.split_once(char::is_whitespace)?;
    matches!(unit, "ms" | "us" | "bytes").then(|| figure.trim().parse().ok())?
}
