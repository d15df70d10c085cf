//! The example programs on real models: the labels of the reference pipelines, the accuracies of the reference models.
//!
//! What needs the large files reads them from the folder that `STARK_MODELS` names, and is ignored, by name, without it.

use libtest_mimic::{Arguments, Failed, Trial};
use stark_tests::process::run;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let args = Arguments::from_args();
    let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository");
    let large =
        std::env::var_os("STARK_MODELS").map(|m| std::fs::canonicalize(&m).unwrap_or_else(|_| PathBuf::from(m)));
    let mut trials = Vec::new();
    let mut add = |name: &str, needs_large: bool, test: Box<dyn FnOnce(&Path) -> Result<(), Failed> + Send>| {
        let missing = needs_large && large.is_none();
        let name = if missing { format!("{name}: STARK_MODELS is not set") } else { name.to_string() };
        let folder = if needs_large { large.clone().unwrap_or_default() } else { root.join("tests/data/models") };
        trials.push(Trial::test(name, move || test(&folder)).with_ignored_flag(missing));
    };
    let repository = root.clone();
    add(
        "the small pipeline gives the reference labels",
        false,
        Box::new(move |models| {
            pipeline(
                &repository,
                models,
                ["mini_embedder.pt", "mini_classifier.pt", "topic_wordpiece", "mini_pipeline.json"],
            )
        }),
    );
    let repository = root.clone();
    add(
        "the large pipeline gives the reference labels",
        true,
        Box::new(move |models| {
            pipeline(&repository, models, ["embedder.pt", "classifier.pt", "minilm_wordpiece", "pipeline.json"])
        }),
    );
    let repository = root.clone();
    add(
        "digits_mlp.pt reaches its test accuracy",
        false,
        Box::new(move |models| digits(&repository, models, "digits_mlp.pt", "x", 350)),
    );
    // 97.2 % and 99.4 % of 360, as the models' manifest says.
    for (file, input, right) in [
        ("digits_mlp_script.pt", "x", 350),
        ("digits_mlp_frozen.pt", "x", 350),
        ("digits_cnn.pt", "images", 358),
        ("digits_cnn_script.pt", "images", 358),
        ("digits_cnn_frozen.pt", "images", 358),
    ] {
        let repository = root.clone();
        let name = format!("{file} reaches its test accuracy");
        add(&name, true, Box::new(move |models| digits(&repository, models, file, input, right)));
    }
    let repository = root.clone();
    add(
        "the batched service reads the digits of all its clients",
        false,
        Box::new(move |_| {
            expect(&repository, &["run", "examples/batched_service.stark"], "934 of 960 digits read correctly")
        }),
    );
    let repository = root.clone();
    add("the image classifier reads digits", false, Box::new(move |_| pictures(&repository, &[])));
    let repository = root.clone();
    add(
        "the image classifier reads digits by a convolutional model",
        true,
        Box::new(move |models| pictures(&repository, &["digits", &models.join("digits_cnn.onnx").to_string_lossy()])),
    );
    let repository = root.clone();
    add("the generator tells the reference stories", true, Box::new(move |models| stories(&repository, models)));
    libtest_mimic::run(&args, trials).exit();
}

/// Greedy decoding gives the reference texts; drawn texts follow from the seed.
fn stories(root: &Path, models: &Path) -> Result<(), Failed> {
    let path = |name: &str| models.join(name).to_string_lossy().into_owned();
    let (model, tokenizer) = (path("generator_kv.pt"), path("tokenizers/generator_bpe.json"));
    let stark = PathBuf::from(env!("CARGO_BIN_EXE_stark"));
    let tell = |rest: &[&str]| {
        let command = [&["run", "examples/generate.stark", &model, &tokenizer], rest].concat();
        let got = run(&stark, &command, root, &[("NO_COLOR", "1")], "", TIME_LIMIT);
        if got.status == Some(0) { Ok(got.stdout) } else { Err(Failed::from(got.stderr)) }
    };
    let text = std::fs::read_to_string(models.join("generator_greedy.json"))?;
    let cases: serde_json::Value = serde_json::from_str(&text)?;
    for case in cases.as_array().ok_or("a list of stories")? {
        let (prompt, want) = (case["prompt"].as_str().ok_or("a prompt")?, case["text"].as_str().ok_or("a text")?);
        let got = tell(&[prompt])?;
        if got.trim_end_matches('\n') != want {
            return Err(format!("after `{prompt}`: expected `{want}`, got `{got}`").into());
        }
    }
    let drawn = |seed| tell(&["So Tom called", "30", "1.5", seed]);
    let (first, again, other) = (drawn("1")?, drawn("1")?, drawn("2")?);
    if first != again || first == other {
        return Err(format!("seeds do not decide: `{first}`, `{again}`, `{other}`").into());
    }
    Ok(())
}

fn pipeline(root: &Path, models: &Path, [embedder, classifier, tokenizer, cases]: [&str; 4]) -> Result<(), Failed> {
    let tokenizer = format!("tokenizers/{tokenizer}.json");
    let files = [embedder, classifier, &tokenizer, cases].map(|f| models.join(f).to_string_lossy().into_owned());
    let mut command = vec!["run", "examples/inference_service.stark"];
    command.extend(files.iter().map(String::as_str));
    expect(root, &command, "50 of 50 as expected, 50 requests")
}

fn digits(root: &Path, models: &Path, file: &str, input: &str, right: usize) -> Result<(), Failed> {
    let path = models.join(file).to_string_lossy().into_owned();
    expect(root, &["run", "examples/digits.stark", &path, input], &format!("{right} of 360 digits read correctly"))
}

/// Each picture shows the digit that its name says.
fn pictures(root: &Path, given: &[&str]) -> Result<(), Failed> {
    let stark = PathBuf::from(env!("CARGO_BIN_EXE_stark"));
    let command = [&["run", "examples/image_classifier.stark"], given].concat();
    let got = run(&stark, &command, root, &[("NO_COLOR", "1")], "", TIME_LIMIT);
    let is_right = |line: &str| {
        let digit = line.split_once("digit_").and_then(|(_, rest)| rest.chars().next());
        digit.is_some_and(|digit| line.contains(&format!(": class {digit} (")))
    };
    if got.status != Some(0) || got.stdout.lines().count() != 10 || !got.stdout.lines().all(is_right) {
        return Err(format!("{}{}", got.stdout, got.stderr).into());
    }
    Ok(())
}

/// Runs in the repository's folder and looks for `line` in the last line of the output.
fn expect(root: &Path, command: &[&str], line: &str) -> Result<(), Failed> {
    let stark = PathBuf::from(env!("CARGO_BIN_EXE_stark"));
    let got = run(&stark, command, root, &[("NO_COLOR", "1")], "", TIME_LIMIT);
    if got.status == Some(0) && got.stdout.lines().last().is_some_and(|last| last.starts_with(line)) {
        return Ok(());
    }
    Err(format!("expected `{line}`, status {:?}\n{}{}", got.status, got.stdout, got.stderr).into())
}
