//! Runs after the first take their buffers from planned places, and give the same bits.

use std::sync::Arc;

use stark_kernels::Tensor;
use stark_models::Model;

use crate::common::*;

#[test]
fn the_second_run_takes_no_memory_but_its_plan() {
    let mut n_placed = 0;
    for root in folders() {
        let manifest = json(&root.join("manifest.json"));
        for (name, entry) in manifest["models"].as_object().expect("models") {
            let files = entry["files"].as_object().expect("files");
            for (format, file) in files.iter().filter(|(format, _)| !["io", "safetensors"].contains(&format.as_str())) {
                let Some(path) = file.as_str().map(|file| root.join(file)).filter(|path| path.exists()) else {
                    continue;
                };
                let Ok(model) = Model::load(&path) else { continue };
                let io = Tensors::read(&root.join(entry["files"]["io"].as_str().expect("io")));
                let inputs = io.metadata("inputs");
                let given: Vec<Tensor> = inputs.split(',').map(|input| io.get(&format!("case0.in.{input}"))).collect();
                let bits = |model: &Model| -> Vec<Vec<u8>> {
                    let outputs = model.predict(&given).unwrap_or_else(|e| panic!("{name}: {e}"));
                    outputs.iter().map(|t| t.to_bytes().expect("bytes")).collect()
                };
                let first = bits(&model);
                let Some(plan) = model.memory_plan(&given) else { panic!("{name} ({format}) has no plan") };
                for _ in 0..3 {
                    assert_eq!(bits(&model), first, "{name} ({format})");
                }
                assert_eq!(plan.runs(), (3, 0), "{name} ({format})");
                let kept = model.memory_plan(&given).is_some_and(|kept| Arc::ptr_eq(&kept, &plan));
                assert!(kept, "{name} ({format}) lost its plan");
                n_placed += plan.blocks().iter().filter(|block| block.offset.is_some()).count();
            }
        }
    }
    assert!(n_placed >= 20, "only {n_placed} buffers were planned");
}

#[test]
fn a_model_runs_on_several_threads_in_memory_of_their_own() {
    let root = small();
    let model = Model::load(root.join("digits_mlp.pt")).unwrap_or_else(|e| panic!("{e}"));
    let input = |seed: u64| stark_kernels::ops::randn(&[4, 64], seed, stark_kernels::DType::F32).expect("input");
    let alone: Vec<Vec<u8>> = (0..4).map(|seed| run(&model, &input(seed))).collect();
    std::thread::scope(|scope| {
        for (seed, want) in alone.iter().enumerate() {
            let (model, input) = (&model, input(seed as u64));
            scope.spawn(move || (0..200).for_each(|_| assert_eq!(&run(model, &input), want)));
        }
    });
}

fn run(model: &Model, input: &Tensor) -> Vec<u8> {
    let outputs = model.predict(std::slice::from_ref(input)).unwrap_or_else(|e| panic!("{e}"));
    outputs[0].to_bytes().expect("bytes")
}
