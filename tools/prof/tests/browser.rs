//! The pictures in a real browser: headless Chromium, where one is installed; else each test is ignored, by name.

mod built;

use built::{prof, root, stark};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// What one command draws of the example service.
fn pictures() -> &'static Path {
    static PICTURES: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = PICTURES.get_or_init(|| {
        stark();
        let folder = tempfile::tempdir().expect("a folder");
        let mut run = Command::new(prof());
        run.args(["run", "--trace", "--rate", "1999", "--pictures"])
            .arg(folder.path())
            .arg("-o")
            .arg(folder.path().join("x.starkprof"));
        let out = run.arg("examples/batched_service.stark").current_dir(root()).output().expect("stark-prof starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        folder
    });
    folder.path()
}

/// The document as the browser has it after everything has run, and what its console said.
fn open(browser: &Path, picture: &str) -> Result<(String, String), Failed> {
    let profile = tempfile::tempdir()?;
    let out = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("file://{}", pictures().join(picture).display()))
        .output()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    if !out.status.success() {
        return Err(format!("the browser failed: {said}").into());
    }
    Ok((String::from_utf8_lossy(&out.stdout).into_owned(), said))
}

/// Opens a picture and looks for elements: a selector and words that one of its matches must have.
fn look(browser: &Path, picture: &str, wanted: &[(&str, &str)]) -> Result<(), Failed> {
    let (document, said) = open(browser, picture)?;
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    if !complaints.is_empty() {
        return Err(format!("the console said: {complaints:?}").into());
    }
    // What Chromium puts into a document that is not well-formed.
    if document.contains("parsererror") {
        return Err(format!("{picture} is not well-formed: {document}").into());
    }
    let parsed = scraper::Html::parse_document(&document);
    for (selector, words) in wanted {
        let parsed_selector = scraper::Selector::parse(selector).map_err(|e| format!("{selector}: {e}"))?;
        if !parsed.select(&parsed_selector).any(|found| found.text().collect::<String>().contains(words)) {
            return Err(format!("no `{selector}` with {words:?} in {picture}: {document}").into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let found = browser();
    if found.is_none() {
        eprintln!("skipped: the pictures are not looked at, no browser is installed ({})", NAMES.join(", "));
    }
    let trial = |name: &'static str, picture: &'static str, wanted: &'static [(&'static str, &'static str)]| {
        let browser = found.clone().unwrap_or_default();
        Trial::test(name, move || look(&browser, picture, wanted)).with_ignored_flag(found.is_none())
    };
    // Nothing that depends on which calls the few samples of a short run have met.
    let trials = vec![
        trial(
            "the_report_has_its_parts",
            "report.html",
            &[
                ("h1", "batched_service.stark"),
                ("h2", "Where the time went"),
                ("h2", "Where memory was allocated"),
                ("h2", "Model "),
                ("h2", "Device cpu"),
                ("h2", "Batches of classifier"),
                ("h2", "Memory of tensors"),
                ("svg g title", "all of "),
                ("svg text", "simulated p95 latency by mean batch size"),
                ("td.name", "batched_service.stark:"),
            ],
        ),
        trial("the_flame_graph_has_calls", "flame.svg", &[("svg g title", "ticks"), ("svg g title", "all of ")]),
        trial("the_allocations_have_calls", "allocations.svg", &[("svg g title", "all of "), ("svg g title", "iB of")]),
        trial("the_batch_plot_names_the_best", "batch.svg", &[("svg polyline", ""), ("svg text", "best: size ")]),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
