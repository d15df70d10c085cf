//! Model files give what PyTorch gave: every case of every manifest that is there.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::*;
use serde_json::Value as Json;
use stark_kernels::{DType, Tensor};
use stark_models::{Model, ModelError, Tokenizer, Value};

/// Those that tell parameters from other tensors.
const WITH_PARAMETERS: [&str; 3] = ["torchscript_trace", "torchscript_script", "pt2"];
const FORMATS: [&str; 6] =
    ["torchscript_trace", "torchscript_script", "torchscript_frozen", "onnx", "onnx_legacy", "pt2"];

fn load(path: &Path) -> Model {
    Model::load(path).unwrap_or_else(|e| panic!("{e}"))
}

/// Name, manifest entry and files of each model of `folder` that is there.
fn manifest(folder: &Path) -> Vec<(String, Json, Vec<String>)> {
    files_of(folder, &FORMATS)
}

fn files_of(folder: &Path, formats: &[&str]) -> Vec<(String, Json, Vec<String>)> {
    let manifest = json(&folder.join("manifest.json"));
    let models = manifest["models"].as_object().expect("models").clone();
    models
        .into_iter()
        .map(|(name, entry)| {
            let files = formats.iter().filter_map(|kind| entry["files"][kind].as_str()).map(str::to_string);
            let files: Vec<String> = files.filter(|file| folder.join(file).exists()).collect();
            (name, entry, files)
        })
        .collect()
}

#[test]
fn every_case_of_the_manifests() {
    for root in folders() {
        let mut n_cases = 0;
        for folder in [root.clone(), root.join("edge")] {
            for (name, entry, files) in manifest(&folder) {
                for file in files {
                    n_cases += check_cases(&folder, &name, &entry, &file);
                }
            }
        }
        println!("{}: {n_cases} cases", root.display());
        assert!(n_cases >= 10, "{}: only {n_cases} cases", root.display());
    }
}

fn check_cases(folder: &Path, name: &str, entry: &Json, file: &str) -> usize {
    let model = load(&folder.join(file));
    let io = Tensors::read(&folder.join(entry["files"]["io"].as_str().expect("io")));
    let (inputs, outputs) = (io.metadata("inputs"), io.metadata("outputs"));
    let (inputs, outputs): (Vec<&str>, Vec<&str>) = (inputs.split(',').collect(), outputs.split(',').collect());
    let n_cases: usize = io.metadata("cases").parse().expect("cases");
    let (atol, rtol) = (entry["atol"].as_f64().expect("atol"), entry["rtol"].as_f64().expect("rtol"));
    assert_eq!(model.inputs().len(), inputs.len(), "inputs of {file}");
    assert_eq!(model.outputs().len(), outputs.len(), "outputs of {file}");
    for case in 0..n_cases {
        let given: Vec<Tensor> = inputs.iter().map(|input| io.get(&format!("case{case}.in.{input}"))).collect();
        let got = model.predict(&given).unwrap_or_else(|e| panic!("case {case}: {e}"));
        assert_eq!(got.len(), outputs.len(), "outputs of {file}");
        for (got, output) in got.iter().zip(&outputs) {
            let want = io.get(&format!("case{case}.out.{output}"));
            assert_close(got, &want, atol, rtol, &format!("case {case} of {name} ({file}), {output}"));
        }
    }
    n_cases
}

#[test]
fn models_have_the_parameters_they_had_in_pytorch() {
    for root in folders() {
        for (name, entry, files) in files_of(&root, &WITH_PARAMETERS) {
            for file in files {
                let want = entry["params"].as_u64().expect("params") as usize;
                assert_eq!(load(&root.join(&file)).n_parameters(), want, "{name} ({file})");
            }
        }
    }
}

#[test]
fn a_tuple_with_an_optional_goes_in_and_a_dict_comes_out() {
    let folder = small().join("edge");
    let model = load(&folder.join("nested.pt"));
    let io = Tensors::read(&folder.join("nested.io.safetensors"));
    for case in 0..2 {
        let get = |name: &str| Value::Tensor(io.get(&format!("case{case}.{name}")));
        let second = if io.has(&format!("case{case}.in.pair.1")) { get("in.pair.1") } else { Value::None };
        let pair = Value::tuple(vec![get("in.pair.0"), second]).expect("pair");
        let Value::Dict(got) = model.predict_values(vec![get("in.x"), pair]).expect("predict") else {
            panic!("no dict");
        };
        for name in ["prod", "sum"] {
            let Some(Value::Tensor(got)) = got.get(&Value::str(name)) else { panic!("no {name}") };
            assert_close(&got, &io.get(&format!("case{case}.out.{name}")), 1e-6, 1e-6, name);
        }
    }
    assert_eq!(model.outputs().iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["prod", "sum"]);
}

/// What share of rows the model's greatest logit is right for.
fn accuracy(logits: &Tensor, want: &[usize]) -> f64 {
    let right = best(logits).iter().zip(want).filter(|(a, b)| a == b).count();
    right as f64 / want.len() as f64
}

#[test]
fn test_sets_reach_their_accuracy() {
    for root in folders() {
        for (name, entry, files) in manifest(&root) {
            let Some(set) = entry["test_set"].as_str() else { continue };
            let stated = entry["test_accuracy"].as_f64().expect("test_accuracy");
            for file in files {
                let model = load(&root.join(&file));
                let reached = if set.ends_with(".safetensors") {
                    let set = Tensors::read(&root.join(set));
                    let x = set.get(entry["test_input"].as_str().expect("test_input"));
                    let want: Vec<usize> = set.get("y").to_scalars().iter().map(|y| y.to_i64() as usize).collect();
                    accuracy(&model.predict(&[x]).unwrap_or_else(|e| panic!("{e}"))[0], &want)
                } else {
                    topic_accuracy(&root, &entry, &model, set)
                };
                assert!((reached - stated).abs() <= 0.003, "{name} ({file}) reaches {reached}, stated is {stated}");
            }
        }
    }
}

fn topic_accuracy(root: &Path, entry: &Json, model: &Model, set: &str) -> f64 {
    let tokenizer = Tokenizer::load(root.join(entry["tokenizer"].as_str().expect("tokenizer"))).expect("tokenizer");
    let rows = json(&root.join(set));
    let rows = rows.as_array().expect("rows");
    let texts: Vec<&str> = rows.iter().filter_map(|row| row["text"].as_str()).collect();
    let want: Vec<usize> = rows.iter().filter_map(|row| row["label"].as_u64()).map(|l| l as usize).collect();
    let (ids, mask) = encode(&tokenizer, &texts);
    let inputs = if model.inputs().len() == 1 { vec![ids] } else { vec![ids, mask] };
    accuracy(&model.predict(&inputs).unwrap_or_else(|e| panic!("{e}"))[0], &want)
}

fn encode(tokenizer: &Tokenizer, texts: &[&str]) -> (Tensor, Tensor) {
    let batch = tokenizer.encode_batch(texts, true, usize::MAX).expect("encode");
    let shape = [batch.rows.len(), batch.length];
    let matrix = |numbers: Vec<i64>| Tensor::from_vec(numbers, &shape).expect("matrix");
    (matrix(batch.ids()), matrix(batch.attention_mask()))
}

#[test]
fn pipelines_agree_at_every_stage() {
    for root in folders() {
        for file in ["mini_pipeline.json", "pipeline.json"] {
            if root.join(file).exists() {
                check_pipeline(&root, &json(&root.join(file)));
            }
        }
    }
}

fn check_pipeline(root: &Path, pipeline: &Json) {
    let stages = texts(&pipeline["stages"]);
    let tokenizer = Tokenizer::load(root.join(&stages[0])).expect("tokenizer");
    let (embedder, classifier) = (load(&root.join(&stages[1])), load(&root.join(&stages[2])));
    let want = Tensors::read(&root.join(pipeline["tensors"].as_str().expect("tensors")));
    let rows = pipeline["rows"].as_array().expect("rows");
    let labels = texts(&pipeline["labels"]);
    let lines: Vec<&str> = rows.iter().filter_map(|row| row["text"].as_str()).collect();
    for row in rows {
        let encoding = tokenizer.encode(row["text"].as_str().expect("text"), true).expect("encode");
        assert_eq!(encoding.ids, ints(&row["ids"]), "{}", row["text"]);
    }
    let (ids, mask) = encode(&tokenizer, &lines);
    assert_close(&ids, &want.get("input_ids"), 0.0, 0.0, "input_ids");
    assert_close(&mask, &want.get("attention_mask"), 0.0, 0.0, "attention_mask");
    let embedding = embedder.predict(&[ids, mask]).unwrap_or_else(|e| panic!("{e}")).remove(0);
    assert_close(&embedding, &want.get("embedding"), 5e-5, 1e-4, "embedding");
    let last = classifier.predict(&[embedding]).unwrap_or_else(|e| panic!("{e}")).remove(0);
    let name = if want.has("logits") { "logits" } else { "probs" };
    assert_close(&last, &want.get(name), 5e-4, 1e-4, name);
    for (row, label) in rows.iter().zip(best(&last)) {
        assert_eq!(row["label"].as_str(), Some(&*labels[label]), "{}", row["text"]);
    }
}

#[test]
fn greedy_decoding_gives_the_same_story() {
    let Some(root) = large() else { return };
    let tokenizer = Tokenizer::load(root.join("tokenizers/generator_bpe.json")).expect("tokenizer");
    let (model, cached) = (load(&root.join("generator.pt")), load(&root.join("generator_kv.pt")));
    for story in json(&root.join("generator_greedy.json")).as_array().expect("stories") {
        let (prompt, want) = (ints(&story["prompt_ids"]), ints(&story["new_ids"]));
        let mut ids = prompt.clone();
        let mut new = Vec::new();
        while new.len() < want.len() {
            let input = Tensor::from_vec(ids.clone(), &[1, ids.len()]).expect("ids");
            let logits = model.predict(&[input]).unwrap_or_else(|e| panic!("{e}")).remove(0);
            let next = best(&logits).pop().expect("logits") as i64;
            ids.push(next);
            new.push(next);
        }
        assert_eq!(new, want, "{}", story["prompt"]);
        assert_eq!(tokenizer.decode(&new, true).expect("decode"), story["text"].as_str().expect("text"));

        let mut past = Tensor::zeros(&[2, 2, 1, 4, 0, 16], DType::F32).expect("past");
        let (mut step, mut with_cache) = (prompt, Vec::new());
        while with_cache.len() < want.len() {
            let input = Tensor::from_vec(step.clone(), &[1, step.len()]).expect("ids");
            let mut out = cached.predict(&[input, past]).unwrap_or_else(|e| panic!("{e}"));
            past = out.remove(1);
            let next = best(&out[0]).pop().expect("logits") as i64;
            with_cache.push(next);
            step = vec![next];
        }
        assert_eq!(with_cache, want, "{} with a cache", story["prompt"]);
    }
}

#[test]
fn weights_that_are_packed_meanwhile_change_no_result() {
    let Some(root) = large() else { return };
    let model = load(&root.join("embedder.pt"));
    let ids = |rows: usize, n: usize| {
        Tensor::from_vec((0..rows * n).map(|i| i as i64 % 700).collect(), &[rows, n]).expect("ids")
    };
    let inputs = [ids(1, 1), ids(1, 4), ids(3, 9), ids(2, 120)];
    let run = |ids: &Tensor| model.predict(std::slice::from_ref(ids)).unwrap_or_else(|e| panic!("{e}")).remove(0);
    // The first of them while the weights are still in the file, the last long after.
    let first = inputs.each_ref().map(run);
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        assert!(inputs.each_ref().map(run) == first, "all bits are the same");
    }
}

#[test]
fn a_mask_that_is_left_out_is_ones() {
    let model = load(&small().join("mini_embedder.pt"));
    let ids = Tensor::from_vec(vec![2i64, 77, 229, 506, 3], &[1, 5]).expect("ids");
    let mask = Tensor::ones(&[1, 5], DType::I64).expect("mask");
    let alone = model.predict(&[ids.clone()]).unwrap_or_else(|e| panic!("{e}"));
    let named = model.predict_named(&[("attention_mask", mask), ("input_ids", ids)]).unwrap_or_else(|e| panic!("{e}"));
    assert_close(&alone[0], &named[0], 0.0, 0.0, "embedding");
}

#[test]
fn signatures_tell_what_the_first_layers_fix() {
    let model = load(&small().join("digits_mlp.pt"));
    let (inputs, outputs) = (model.inputs(), model.outputs());
    assert_eq!((inputs[0].name.as_str(), inputs[0].dtype), ("x", Some(DType::F32)));
    assert_eq!(inputs[0].dims, Some(vec![None, Some(64)]));
    assert_eq!(outputs[0].dims, Some(vec![None, Some(10)]));
    let model = load(&small().join("mini_embedder.pt"));
    assert_eq!(model.inputs()[0].dtype, Some(DType::I64));
}

#[test]
fn wrong_inputs_are_errors_with_a_place() {
    let model = load(&small().join("digits_mlp.pt"));
    let x = Tensor::zeros(&[2, 63], DType::F32).expect("x");
    let error = model.predict(&[x.clone()]).expect_err("63 numbers");
    assert!(
        matches!(&error, ModelError::Run { operator, place, .. } if operator == "torch.linear" && place.line > 0),
        "{error}"
    );
    assert!(matches!(model.predict(&[]), Err(ModelError::Input { .. })));
    assert!(matches!(model.predict(&[x.clone(), x]), Err(ModelError::Input { .. })));
    let embedder = load(&small().join("mini_embedder.pt"));
    let ids = Tensor::from_vec(vec![2i64, 1_000_000], &[1, 2]).expect("ids");
    assert!(matches!(embedder.predict(&[ids]), Err(ModelError::Run { .. })));
}

#[test]
fn exceptions_and_budgets_end_a_run_with_an_error() {
    let model = load(&small().join("edge/control_flow.pt"));
    let n = || Value::Tensor(Tensor::scalar(3i64));
    let wide = Value::Tensor(Tensor::zeros(&[2, 5], DType::F32).expect("x"));
    let error = model.predict_values(vec![wide, n()]).expect_err("last dim must be 4");
    assert!(matches!(&error, ModelError::Raised { message, .. } if message.contains("last dim must be 4")), "{error}");
    let x = Value::Tensor(Tensor::ones(&[2, 4], DType::F32).expect("x"));
    let error = model.predict_within(vec![x, n()], 3).expect_err("3 steps");
    assert!(matches!(error, ModelError::OutOfSteps { budget: 3, .. }), "{error}");
}

#[test]
fn a_model_is_shared_by_threads() {
    let model = load(&small().join("digits_mlp.pt"));
    let x = Tensor::ones(&[1, 64], DType::F32).expect("x");
    let want = model.predict(&[x.clone()]).unwrap_or_else(|e| panic!("{e}"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (model, x, want) = (model.clone(), x.clone(), want.clone());
            scope.spawn(move || assert!(model.predict(&[x]).is_ok_and(|got| got == want)));
        }
    });
}
