//! The peers: how each language's program is prepared and run.

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Peer {
    pub name: &'static str,
    /// The program that must be installed.
    pub command: Shown,
    args: &'static [&'static str],
    /// The ending of its sources.
    ext: &'static str,
    folder: PathBuf,
    /// A compiler run that makes what is started: (arguments before the source, the result's path).
    build: Option<fn(&Path, &Path) -> Command>,
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

pub fn all(stark: &Path, home: &Path) -> Vec<Peer> {
    let compare = home.join("compare");
    let peer = |name, command: &str, args, ext, build| Peer {
        name,
        command: Shown(PathBuf::from(command)),
        args,
        ext,
        folder: compare.clone(),
        build,
    };
    vec![
        Peer {
            name: "STARK",
            command: Shown(stark.to_path_buf()),
            args: &["run"],
            ext: "stark",
            folder: home.join("programs"),
            build: None,
        },
        peer("luajit -joff", "luajit", &["-joff"], "lua", None),
        peer("Lua 5.4", "lua5.4", &[], "lua", None),
        peer("CPython", "python3", &[], "py", None),
        peer("Erlang", "escript", &[], "erl", None),
        peer("Go", "go", &[], "go", Some(build_go)),
    ]
}

fn build_go(source: &Path, result: &Path) -> Command {
    let mut command = Command::new("go");
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
        if !source.exists() {
            return Outcome::Absent;
        }
        let mut command = Command::new(&self.command.0);
        command.args(self.args).arg(&source);
        let folder = std::env::temp_dir().join(format!("stark-bench-{}", std::process::id()));
        if let Some(build) = self.build {
            if let Err(error) = std::fs::create_dir_all(&folder) {
                return Outcome::Failed(error.to_string());
            }
            let result = folder.join(program);
            match build(&source, &result).output() {
                Ok(done) if done.status.success() => command = Command::new(result),
                Ok(done) => return Outcome::Failed(String::from_utf8_lossy(&done.stderr).into_owned()),
                Err(error) => return Outcome::Failed(error.to_string()),
            }
        }
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs.max(1) {
            match command.output() {
                Ok(done) if done.status.success() => {
                    let text = String::from_utf8_lossy(&done.stdout);
                    let last = text.lines().last().and_then(figure);
                    match last {
                        Some(ms) => times.push(ms),
                        None => {
                            return Outcome::Failed(format!("the last line is neither `ms N` nor `bytes N`: {text}"));
                        }
                    }
                }
                Ok(done) => return Outcome::Failed(String::from_utf8_lossy(&done.stderr).into_owned()),
                Err(error) => return Outcome::Failed(error.to_string()),
            }
        }
        // Nothing is lost when the folder stays.
        let _ = std::fs::remove_dir_all(&folder);
        times.sort_by(f64::total_cmp);
        Outcome::Time { ms: times[times.len() / 2] }
    }
}

/// The figure in a program's last line: milliseconds, or bytes.
fn figure(line: &str) -> Option<f64> {
    let (unit, figure) = line.split_once(char::is_whitespace)?;
    matches!(unit, "ms" | "bytes").then(|| figure.trim().parse().ok())?
}
