//! ONNX's own tests of single operators, when `STARK_ONNX_NODES` names a folder of them: for each a folder with
//! `model.onnx` and `io.safetensors` (`in.0`, `out.0` …, tolerances in its metadata), as `tests/onnx_nodes.py`
//! writes them. `STARK_ONNX_ONLY` is part of the names to run. Operators that are refused by name are listed.

use crate::common::*;
use stark_models::{Model, ModelError, Value};

#[test]
fn operators_give_what_the_standard_says() {
    let Some(root) = std::env::var_os("STARK_ONNX_NODES") else {
        println!("skipped: STARK_ONNX_NODES is not set");
        return;
    };
    let only = std::env::var("STARK_ONNX_ONLY").ok();
    let mut folders: Vec<_> = std::fs::read_dir(root).expect("folder").map(|e| e.expect("entry").path()).collect();
    folders.sort();
    let (mut n_right, mut wrong, mut refused) = (0, Vec::new(), Vec::new());
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        match std::panic::catch_unwind(|| check(&folder)) {
            Ok(Ok(())) => n_right += 1,
            Ok(Err(ModelError::UnknownOperators { operators, .. })) => {
                refused.push(format!("{name}: {}", operators[0].name))
            }
            Ok(Err(error @ (ModelError::Archive { .. } | ModelError::NotAModel { .. }))) => {
                refused.push(format!("{name}: {error}"))
            }
            Ok(Err(error @ ModelError::Run { .. })) if error.to_string().ends_with("not supported") => {
                refused.push(format!("{name}: {error}"));
            }
            Ok(Err(error)) => wrong.push(format!("{name}: {error}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                wrong.push(format!("{name}: {text}"));
            }
        }
    }
    println!("{n_right} right, {} wrong, {} refused", wrong.len(), refused.len());
    refused.iter().for_each(|line| println!("refused {line}"));
    wrong.iter().for_each(|line| println!("WRONG {line}"));
    assert!(wrong.is_empty());
}

fn check(folder: &std::path::Path) -> Result<(), ModelError> {
    let io = Tensors::read(&folder.join("io.safetensors"));
    let number = |key: &str| io.metadata(key).parse::<f64>().expect("number");
    let model = Model::load(folder.join("model.onnx"))?;
    let inputs = (0..number("inputs") as usize).map(|i| Value::Tensor(io.get(&format!("in.{i}")))).collect();
    let got = match model.predict_values(inputs)? {
        Value::Tuple(tuple) => tuple.items.clone(),
        one => vec![one],
    };
    for (i, got) in got.iter().enumerate() {
        let got = got.to_tensor().expect("tensor");
        let want = io.get(&format!("out.{i}"));
        // Halves are computed in Float32 here, so the last bit may differ.
        let rtol = if want.dtype().size() == 2 && want.dtype().is_float() { 2e-2 } else { 1e-3 };
        assert_close(&got, &want, number("atol").max(1e-5), number("rtol").max(rtol), &format!("output {i}"));
    }
    Ok(())
}
