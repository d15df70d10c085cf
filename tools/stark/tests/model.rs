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
    let odd = saved(folder.path(), "odd.safetensors", &[("in.0", x.clone()), ("in.2", x)]).display().to_string();
    let (model, cases) = (fixture("digits_mlp.pt"), fixture("digits_mlp.io.safetensors"));
    for (args, reason) in [
        (&["verify", &model, &narrow][..], "there are no cases"),
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
