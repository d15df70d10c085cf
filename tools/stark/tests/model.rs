//! `stark model verify` and `stark model bench`, from the outside.

use std::path::{Path, PathBuf};
use std::process::Command;

use stark_kernels::{Tensor, safetensors};

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models").join(name).display().to_string()
}

/// Exit status, standard output and standard error.
fn stark(args: &[&str]) -> (Option<i32>, String, String) {
    stark_with(args, &[])
}

fn stark_with(args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
    let out = command.args(args).envs(environment.iter().copied()).output().expect("stark runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

fn saved(folder: &Path, name: &str, tensors: &[(&str, Tensor)]) -> PathBuf {
    let bytes = safetensors::write(tensors.iter().map(|(name, t)| (*name, t)), &[]).expect("bytes");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file");
    path
}

#[test]
fn recorded_outputs_are_compared() {
    let (model, cases) = (fixture("digits_mlp.pt"), fixture("digits_mlp.io.safetensors"));
    for device in ["cpu", "reference"] {
        let (status, out, _) = stark(&["model", "verify", &model, &cases, "--device", device]);
        assert_eq!(status, Some(0), "{out}");
        assert!(out.contains("logits") && out.contains("all within tolerance"), "{out}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let x = Tensor::zeros(&[1, 64], stark_kernels::DType::F32).expect("x");
    let wrong = Tensor::full(&[1, 10], 1e3, stark_kernels::DType::F32).expect("wrong");
    let cases = saved(folder.path(), "wrong.safetensors", &[("case0.in.x", x), ("case0.out.logits", wrong)]);
    let (status, out, _) = stark(&["model", "verify", &model, &cases.display().to_string()]);
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("`logits` is wrong: case 0, element 0") && out.contains("10 elements outside"), "{out}");
}

#[test]
fn what_cannot_be_used_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let x = Tensor::zeros(&[1, 63], stark_kernels::DType::F32).expect("x");
    let narrow = saved(folder.path(), "x.safetensors", &[("in.0", x.clone())]).display().to_string();
    let two =
        saved(folder.path(), "two.safetensors", &[("in.0", x.clone()), ("in.1", x.clone())]).display().to_string();
    let odd =
        saved(folder.path(), "odd.safetensors", &[("in.0", x.clone()), ("in.2", x.clone())]).display().to_string();
    let case = [("case0.in.x", x.clone()), ("case0.out.logits", x.clone()), ("case0.in.z", x)];
    let extra = saved(folder.path(), "extra.safetensors", &case).display().to_string();
    let bytes = safetensors::write(case[..2].iter().map(|(name, t)| (*name, t)), &[("cases", "5")]).expect("bytes");
    let cut = folder.path().join("cut.safetensors");
    std::fs::write(&cut, bytes).expect("a file");
    let cut = cut.display().to_string();
    let (model, cases) = (fixture("digits_mlp.pt"), fixture("digits_mlp.io.safetensors"));
    for (args, reason) in [
        (&["verify", &model, &narrow][..], "there are no cases"),
        (&["verify", &cases, &model], "the order is `stark model verify MODEL CASES`"),
        (&["verify", &model, &model], "this is a model, not a safetensors file of cases"),
        (&["verify", &model, &extra], "the cases give the input `z`; the model takes x"),
        (&["verify", &model, &cut], "its notes say that there are 5 cases, but there are 1"),
        (&["verify", &model, &cases, "--device", "gpu:x"], "is not `gpu` or `gpu:N`"),
        (&["bench", &model], "the model takes x: give them with --inputs FILE"),
        (&["bench", &model, "--inputs", &two], "the model takes 1 inputs, 2 are given"),
        (&["verify", &cases, &cases], "safetensors file"),
        (&["verify", &model, &cases, "--device", "tpu"], "there is no device `tpu`"),
        (&["verify", &model, &cases, "--atol", "NaN"], "--atol is NaN"),
        (&["bench", &model, "--inputs", &cases], "there is no tensor `in.0`"),
        (&["bench", &model, "--inputs", &narrow], "63"),
        (&["bench", &model, "--inputs", &odd], "`in.2` does not follow `in.0`"),
        (&["bench", &model, "--inputs", &narrow, "--threads", "0"], "--threads is 0"),
        (&["bench", &model, "--inputs", &narrow, "--seconds", "-1"], "--seconds is -1"),
        (&["bench", "absent.pt", "--inputs", &narrow], "absent.pt"),
    ] {
        let args: Vec<&str> = std::iter::once("model").chain(args.iter().copied()).collect();
        let (status, out, err) = stark(&args);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(reason), "{args:?}: {err}");
    }
}

/// A list, a number, and no input at all.
#[test]
fn what_is_no_tensor_is_given_by_names() {
    use stark_kernels::DType::{F32, I64};
    let folder = tempfile::tempdir().expect("a folder");
    let full = |x: f64, dtype| Tensor::full(&[2], x, dtype).expect("a tensor");
    let n = Tensor::full(&[], 3, I64).expect("a number");
    let (listed, table) = (fixture("listed.pt"), fixture("table.pt"));
    let items = [("case0.in.xs.0", full(1.0, F32)), ("case0.in.xs.1", full(2.0, F32)), ("case0.in.n", n.clone())];
    let mut cases = items.to_vec();
    cases.push(("case0.out.0", full(9.0, F32)));
    let cases = saved(folder.path(), "cases.safetensors", &cases).display().to_string();
    let (status, out, err) = stark(&["model", "verify", &listed, &cases]);
    assert_eq!(status, Some(0), "{out}{err}");
    let gap = [("case0.in.xs.0", full(1.0, F32)), ("case0.in.xs.2", full(2.0, F32)), ("case0.out.0", full(9.0, F32))];
    let gap = saved(folder.path(), "gap.safetensors", &gap).display().to_string();
    let (status, _, err) = stark(&["model", "verify", &listed, &gap]);
    assert!(status == Some(2) && err.contains("item `2` does not follow the others"), "{err}");
    let none = [("case0.in.n", n.clone()), ("case0.out.0", full(9.0, F32))];
    let none = saved(folder.path(), "none.safetensors", &none).display().to_string();
    let (status, _, err) = stark(&["model", "verify", &listed, &none]);
    assert!(status == Some(2) && err.contains("the items of a list are called `NAME.0`"), "{err}");

    let inputs = [("in.0.0", full(1.0, F32)), ("in.0.1", full(2.0, F32)), ("in.1", n)];
    let inputs = saved(folder.path(), "inputs.safetensors", &inputs).display().to_string();
    let (status, _, err) = stark(&["model", "bench", &listed, "--inputs", &inputs, "--seconds", "0.01"]);
    assert_eq!(status, Some(0), "{err}");
    // A `U16`, which no tensor has, is the number of the next wider type.
    let header = r#"{"in.0.0":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"in.1":{"dtype":"U16","shape":[],"data_offsets":[4,6]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &1f32.to_le_bytes(), &3u16.to_le_bytes()]
        .concat();
    let unsigned = folder.path().join("unsigned.safetensors");
    std::fs::write(&unsigned, file).expect("a file");
    let unsigned = unsigned.display().to_string();
    let (status, _, err) = stark(&["model", "bench", &listed, "--inputs", &unsigned, "--seconds", "0.01"]);
    assert_eq!(status, Some(0), "{err}");
    let (status, _, err) = stark(&["model", "bench", &table, "--seconds", "0.01"]);
    assert_eq!(status, Some(0), "{err}");
    let wanted = Tensor::from_slice(&[0.0f32, 2.0, 4.0, 6.0], &[4]).expect("a tensor");
    let wanted = saved(folder.path(), "wanted.safetensors", &[("case0.out.0", wanted)]).display().to_string();
    let (status, out, err) = stark(&["model", "verify", &table, &wanted, "--device", "gpu"]);
    assert_eq!(status, Some(0), "{out}{err}");
}

#[test]
fn a_model_is_described_in_json() {
    let (status, out, err) = stark(&["inspect", &fixture("digits_mlp.pt"), "--shape", "x=3x64", "--json"]);
    assert_eq!(status, Some(0), "{err}");
    let all: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(all["inputs"][0]["name"], "x", "{out}");
    assert!(all["run"]["peak_bytes"].as_u64().is_some_and(|n| n > 0), "{out}");
    assert!(all["operators"].as_object().is_some_and(|rows| !rows.is_empty()), "{out}");
    // Ids are asked for by their type; without it the rest is told.
    let model = fixture("mini_embedder.pt");
    for (shape, says) in [("input_ids=1x4:Int64", "\"peak_bytes\""), ("input_ids=1x4:Float32", "\"error\"")] {
        let (status, out, err) = stark(&["inspect", &model, "--shape", shape, "--json"]);
        assert!(status == Some(0) && out.contains(says), "{shape}: {out}{err}");
    }
    let (status, _, err) = stark(&["inspect", &model, "--shape", "input_ids=1x4:Real"]);
    assert!(status == Some(2) && err.contains("`Real` is no element type"), "{err}");
    let (status, _, err) = stark(&["inspect", &model, "--verify"]);
    assert!(status == Some(2) && err.contains("stark model verify MODEL CASES"), "{err}");
}

#[test]
fn a_measurement_ends_in_json_and_writes_the_outputs() {
    let folder = tempfile::tempdir().expect("a folder");
    let x = Tensor::zeros(&[3, 64], stark_kernels::DType::F32).expect("x");
    let inputs = saved(folder.path(), "x.safetensors", &[("in.0", x)]).display().to_string();
    let output = folder.path().join("y.safetensors");
    let (model, to) = (fixture("digits_mlp.pt"), output.display().to_string());
    let (status, out, err) =
        stark(&["model", "bench", &model, "--inputs", &inputs, "--output", &to, "--seconds", "0.05", "--threads", "2"]);
    assert_eq!(status, Some(0), "{err}");
    let last: serde_json::Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
    for key in ["median_ms", "p99_ms", "load_ms"] {
        assert!(last[key].as_f64().is_some_and(|ms| ms > 0.0), "{key} in {out}");
    }
    let bytes = std::fs::read(output).expect("the outputs");
    let outputs = safetensors::SafeTensors::parse(&bytes).expect("safetensors");
    assert_eq!(outputs.get("out.0").expect("out.0").shape(), [3, 10]);
}

#[test]
fn a_device_computes_or_is_said_to_be_absent() {
    let (model, cases) = (fixture("digits_mlp.pt"), fixture("digits_mlp.io.safetensors"));
    let verify = ["model", "verify", &model, &cases, "--device", "opencl"];
    let (_, devices, _) = stark(&["devices"]);
    if devices.lines().any(|l| l.starts_with("opencl") && l.contains("none: ")) {
        println!("skipped: {devices}");
    } else {
        let (status, out, err) = stark(&verify);
        assert_eq!(status, Some(0), "{out}{err}");
        assert!(out.contains("cases on opencl") && out.contains("all within tolerance"), "{out}");
        let (status, _, err) = stark(&["model", "verify", &model, &cases, "--device", "opencl:99"]);
        assert_eq!(status, Some(2));
        assert!(err.contains("there is no OpenCL device 99"), "{err}");
    }
    let off = [("STARK_OPENCL", "off")];
    let start = std::time::Instant::now();
    let (status, _, err) = stark_with(&verify, &off);
    assert_eq!(status, Some(2));
    assert_eq!(err, "error: OpenCL is switched off by STARK_OPENCL=off\n");
    let (status, out, _) = stark_with(&["devices"], &off);
    assert_eq!(status, Some(0));
    assert!(out.contains("none: OpenCL is switched off"), "{out}");
    // An absent OpenCL costs nothing; `ocl` alone would look for 10 seconds.
    assert!(start.elapsed().as_secs() < 5);
    let (status, _, err) = stark(&["model", "verify", &model, &cases, "--device", "opencl:x"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("is not `opencl` or `opencl:N`"), "{err}");
}

/// Inputs of zeros, of tiny values and of one sign among them: each chooses another scale and zero point.
#[test]
fn linear_layers_of_int8_give_pytorchs_results() {
    let (model, cases) = (fixture("quantised_linear.pt"), fixture("quantised_linear.io.safetensors"));
    for device in ["cpu", "reference"] {
        let (status, out, err) =
            stark(&["model", "verify", &model, &cases, "--atol", "1e-5", "--rtol", "1e-4", "--device", device]);
        assert_eq!(status, Some(0), "{out}{err}");
        assert!(out.contains("4 cases"), "{out}");
    }
}

#[test]
fn devices_are_listed() {
    let (status, out, _) = stark(&["devices"]);
    assert_eq!(status, Some(0));
    assert!(out.lines().any(|l| l.starts_with("cpu ")) && out.lines().any(|l| l.starts_with("reference ")), "{out}");
}

#[test]
fn a_model_is_looked_into() {
    let (status, out, _) = stark(&["inspect", &fixture("digits_mlp.pt")]);
    assert_eq!(status, Some(0));
    for want in ["input       x                    Float32 [_, 64]", "50,826 trained", "torch.linear", "--shape x=1x64"]
    {
        assert!(out.contains(want), "{want}\n{out}");
    }
    let (status, out, _) = stark(&["inspect", &fixture("digits_mlp.pt"), "--shape", "x=8x64", "--steps"]);
    assert_eq!(status, Some(0));
    assert!(out.contains("tensors at most, in step") && out.contains("Float32 [8, 10]"), "{out}");
    let (status, out, _) = stark(&["inspect", &fixture("digits_mlp.pt"), "--shape", "x=8x64", "--dot"]);
    assert_eq!(status, Some(0));
    assert!(out.starts_with("digraph ") && out.contains("torch.linear\\nFloat32 [8, 10]"), "{out}");
    let edges: Vec<(&str, &str)> =
        out.lines().filter_map(|l| l.trim().trim_end_matches(';').split_once(" -> ")).collect();
    let has_node = |node: &str| out.contains(&format!("  {node} ["));
    assert!(edges.len() >= 3 && edges.iter().all(|(from, to)| has_node(from) && has_node(to)), "{out}");

    for (shape, why) in [
        ("y=1", "the model has no input `y`"),
        ("x", "write NAME=1x64"),
        ("x=ax1", "write sizes"),
        ("x=1x1", "digits_mlp.pt"),
    ] {
        let (status, _, said) = stark(&["inspect", &fixture("digits_mlp.pt"), "--shape", shape]);
        assert!(status != Some(0) && said.contains(why), "{said}");
    }
    // A model that zeros are no input of is shown all the same.
    let range = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/models/tests/data/range.onnx");
    let (status, out, _) = stark(&["inspect", &range.display().to_string()]);
    assert_eq!(status, Some(0), "{out}");
    assert!(
        out.contains("input       start") && out.contains("the run on zeros failed: ") && out.contains("Range"),
        "{out}"
    );
}
