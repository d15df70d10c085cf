//! Runs after the first take their buffers from planned places, and give the same bits.

use std::sync::Arc;

use stark_kernels::Tensor;
use stark_models::Model;

use crate::common::*;

#[test]
fn the_second_run_takes_no_memory_but_its_plan() {
    let mut n_placed = 0;
    each_model(|what, path, given| {
        let Ok(model) = Model::load(path) else { return };
        let bits = |model: &Model| -> Vec<Vec<u8>> {
            let outputs = model.predict(&given).unwrap_or_else(|e| panic!("{what}: {e}"));
            outputs.iter().map(|t| t.to_bytes().expect("bytes")).collect()
        };
        let first = bits(&model);
        let Some(plan) = model.memory_plan(&given) else { panic!("{what} has no plan") };
        for _ in 0..3 {
            assert_eq!(bits(&model), first, "{what}");
        }
        assert_eq!(plan.runs(), (3, 0), "{what}");
        let kept = model.memory_plan(&given).is_some_and(|kept| Arc::ptr_eq(&kept, &plan));
        assert!(kept, "{what} lost its plan");
        n_placed += plan.blocks().iter().filter(|block| block.offset.is_some()).count();
    });
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

/// A model that keeps what it has said runs on longer tensors with each step.
#[test]
fn of_many_shapes_those_are_planned_that_come_again() {
    let model = Model::load(small().join("digits_mlp.pt")).unwrap_or_else(|e| panic!("{e}"));
    let input = |rows| stark_kernels::ops::randn(&[rows, 64], 1, stark_kernels::DType::F32).expect("input");
    let is_planned = |rows| model.memory_plan(&[input(rows)]).is_some();
    (1..=40).for_each(|rows| drop(run(&model, &input(rows))));
    assert!((5..=40).all(|rows| !is_planned(rows)));
    let first = run(&model, &input(40));
    assert!(is_planned(40) && !is_planned(39));
    assert_eq!(run(&model, &input(40)), first);
}

fn run(model: &Model, input: &Tensor) -> Vec<u8> {
    let outputs = model.predict(std::slice::from_ref(input)).unwrap_or_else(|e| panic!("{e}"));
    outputs[0].to_bytes().expect("bytes")
}
