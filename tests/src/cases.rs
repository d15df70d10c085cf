//! Finding cases, running one, saying what differs.

use crate::diagnostics;
use crate::process::{Finished, run};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A case may take this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A program with its expectations beside it.
#[derive(Clone, Debug)]
pub struct Case {
    pub path: PathBuf,
    /// `AREA/NAME`
    pub name: String,
}

/// How a case's program reaches the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `stark run NAME.stark`
    Run,
    /// `stark build`, then `stark run NAME.starkbc`
    Build,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Run => "run",
            Mode::Build => "build",
        }
    }
}

/// Every case under `root`, sorted by name.
pub fn find(root: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for area in folders(root) {
        let Ok(entries) = std::fs::read_dir(&area) else { continue };
        for path in entries.flatten().map(|e| e.path()) {
            let has = |ext: &str| path.with_extension(ext).exists();
            if path.extension().is_some_and(|e| e == "stark") && (has("stdout") || has("errors")) {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let area = area.file_name().unwrap_or_default().to_string_lossy().into_owned();
                cases.push(Case { name: format!("{area}/{stem}"), path });
            }
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|e| panic!("no cases at {}: {e}", root.display()));
    entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect()
}

impl Case {
    fn side(&self, ext: &str) -> Option<String> {
        std::fs::read_to_string(self.path.with_extension(ext)).ok()
    }

    /// Whether it compares output (and so has a program to run).
    pub fn runs(&self) -> bool {
        self.path.with_extension("stdout").exists()
    }

    /// Model files that the case needs and that are not there.
    pub fn missing(&self, models: Option<&Path>) -> Option<String> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default() + &self.side("files").unwrap_or_default();
        let needs_models = text.contains("../../models/");
        match models {
            None if needs_models => Some("STARK_MODELS is not set".to_string()),
            _ => None,
        }
    }

    /// What is wrong; empty when the case passes.
    pub fn run(&self, stark: &Path, mode: Mode, models: Option<&Path>, url: &str) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The layout that the paths in the cases expect: ROOT/conformance/AREA beside ROOT/models.
        let area = self.path.parent().unwrap_or(Path::new("."));
        let area_name = area.file_name().unwrap_or_default();
        let cwd = folder.path().join("conformance").join(area_name);
        copy_tree(area, &cwd);
        if let Some(models) = models {
            #[cfg(unix)]
            std::os::unix::fs::symlink(models, folder.path().join("models")).expect("a link to the models");
        }
        let program = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut run_in = cwd.clone();
        if let Some(rows) = self.side("files") {
            run_in = folder.path().join("case");
            std::fs::create_dir_all(&run_in).expect("a folder for the case");
            std::fs::copy(&self.path, run_in.join(&program)).expect("the program is there");
            for row in rows.lines().filter(|r| !r.trim().is_empty()) {
                let Some((dest, source)) = row.split_once(char::is_whitespace) else { continue };
                let source = cwd.join(source.trim());
                if let Err(error) = std::fs::copy(&source, run_in.join(dest)) {
                    return vec![format!("the fixture {} cannot be copied: {error}", source.display())];
                }
            }
        }
        let mut bad = Vec::new();
        let env = [("STARK_TEST_URL", url), ("NO_COLOR", "1")];
        if let Some(rows) = self.side("errors") {
            let got = run(stark, &["check", &program], &run_in, &env, "", TIME_LIMIT);
            bad.extend(diagnostics::compare(&rows, &got));
        }
        let Some(want) = self.side("stdout") else { return bad };
        let mut target = program.clone();
        if mode == Mode::Build {
            target = "built.starkbc".to_string();
            let built = run(stark, &["build", &program, "-o", &target], &run_in, &env, "", TIME_LIMIT);
            if built.status != Some(0) {
                bad.push(format!("build: status {:?}\n{}", built.status, built.stderr));
                return bad;
            }
            // The source must not be needed any more.
            std::fs::remove_file(run_in.join(&program)).expect("the program was there");
        }
        let args = self.side("args").unwrap_or_default().replace("{url}", url);
        let mut command = vec!["run", &target];
        command.extend(args.split_whitespace());
        let got = run(stark, &command, &run_in, &env, &self.side("stdin").unwrap_or_default(), TIME_LIMIT);
        bad.extend(self.compare(&want, &got));
        bad
    }

    fn compare(&self, want: &str, got: &Finished) -> Vec<String> {
        let mut bad = Vec::new();
        let status = self.side("status").and_then(|s| s.trim().parse().ok()).unwrap_or(0);
        match got.status {
            None => bad.push(format!("ran longer than {TIME_LIMIT:?}")),
            Some(s) if s != status => bad.push(format!("status {s}, expected {status}")),
            Some(_) => {}
        }
        if got.stdout != want {
            bad.push(format!("stdout differs\n--- expected\n{want}--- got\n{}", got.stdout));
        }
        let stderr = got.stderr.to_lowercase();
        for line in self.side("stderr").unwrap_or_default().lines().map(str::trim).filter(|l| !l.is_empty()) {
            if !stderr.contains(&line.to_lowercase()) {
                bad.push(format!("stderr lacks: {line}"));
            }
        }
        if !bad.is_empty() && !got.stderr.trim().is_empty() {
            bad.push(format!("stderr:\n{}", got.stderr));
        }
        bad
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder for the area");
    for entry in std::fs::read_dir(from).expect("the area is there").flatten() {
        let (source, dest) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &dest);
        } else {
            std::fs::copy(&source, &dest).expect("a case's file can be copied");
        }
    }
}
