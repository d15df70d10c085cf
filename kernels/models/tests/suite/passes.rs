//! The optimiser keeps results: every model with each pass alone, with all, and with none.

use prost::Message;
use stark_kernels::DType;
use stark_models::graph::{Instr, Kind};
use stark_models::opt::Pass;
use stark_models::{Load, Model};

use crate::common::*;
use crate::onnx_models::{floats, graph, int, model, node, value};

/// What fusing may change: sums in another order.
const CLOSE: f64 = 1e-4;

#[test]
fn every_pass_alone_and_all_together_keep_the_results() {
    let mut n_fewer = 0;
    each_model(|what, path, given| {
        let Ok(plain) = Load::new().passes(&[]).file(path) else { return };
        let want = plain.predict(&given).unwrap_or_else(|e| panic!("{e}"));
        let alone = Pass::ALL.map(|pass| vec![pass]);
        for passes in alone.into_iter().chain([Pass::ALL.to_vec()]) {
            let model = Load::new().passes(&passes).file(path).unwrap_or_else(|e| panic!("{e}"));
            let names: Vec<&str> = passes.iter().map(|pass| pass.name()).collect();
            let what = format!("{what} with {}", names.join(", "));
            let got = model.predict(&given).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(got.len(), want.len(), "{what}");
            got.iter().zip(&want).for_each(|(got, want)| assert_close(got, want, CLOSE, CLOSE, &what));
            n_fewer += usize::from(model.graph().body.len() < plain.graph().body.len());
        }
    });
    // Otherwise nothing was fused anywhere, and the comparison says nothing.
    assert!(n_fewer > 0, "no graph became shorter");
}

#[test]
fn norms_that_are_spelled_out_are_one_operator_each() {
    let path = data().join("norms.onnx");
    let plain = Load::new().passes(&[]).file(&path).unwrap_or_else(|e| panic!("{e}"));
    let fused = Model::load(&path).unwrap_or_else(|e| panic!("{e}"));
    // Five norms and the tuple of their results. The two over the last axis have it under two names.
    assert_eq!(fused.graph().body.len(), 6, "{:?}", fused.graph().body);
    for (a, b) in [(2, 3), (1, 1), (0, 4), (5, 0), (3, 6)] {
        let x = stark_kernels::ops::randn(&[a, b, 6], 7, DType::F32).unwrap_or_else(|e| panic!("{e}"));
        let given = [x];
        let (want, got) = (plain.predict(&given).unwrap(), fused.predict(&given).unwrap());
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_close(got, want, CLOSE, CLOSE, &format!("output {i} of [{a}, {b}, 6]"));
        }
    }
}

/// Layers whose weights are `[inputs, outputs]`, as GPT-2 has them, are packed as those that are `[outputs, inputs]` are.
#[test]
fn layers_have_their_weights_either_way_round() {
    let gemm = |trans_b: i64| {
        let numbers: Vec<f32> = (0..35).map(|i| i as f32 * 0.1 - 1.0).collect();
        let dims: &[i64] = if trans_b == 1 { &[7, 5] } else { &[5, 7] };
        let nodes = vec![
            node("Gemm", &["x", "w", "b"], &["sum"], vec![int("transB", trans_b)]),
            node("Relu", &["sum"], &["y"], vec![]),
        ];
        let mut made = graph(&[value("x", 1, &[-1, 5])], &[value("y", 1, &[-1, 7])], nodes);
        made.initializer = vec![floats("w", dims, &numbers), floats("b", &[7], &numbers[..7])];
        model(made).encode_to_vec()
    };
    let traced = std::fs::read(data().join("recorded/turned_layer.pt")).expect("a recorded model");
    for (file, name) in [(traced, "layer.pt"), (gemm(0), "plain.onnx"), (gemm(1), "turned.onnx")] {
        let plain = Load::new().passes(&[]).bytes(file.clone(), name).unwrap_or_else(|e| panic!("{e}"));
        let fused = Model::load_bytes(file, name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(fused.graph().body.len(), 1, "{name}: {:?}", fused.graph().body);
        for rows in [0, 1, 2, 20] {
            let x = [stark_kernels::ops::randn(&[rows, 5], 3, DType::F32).unwrap()];
            let (want, got) = (plain.predict(&x).unwrap(), fused.predict(&x).unwrap());
            assert_close(&got[0], &want[0], CLOSE, CLOSE, name);
        }
        let wrong = [stark_kernels::ops::randn(&[2, 4], 3, DType::F32).unwrap()];
        assert!(plain.predict(&wrong).is_err() && fused.predict(&wrong).is_err(), "{name}");
    }
}

/// No join of keys or values is left but the stack of both.
#[test]
fn caches_that_begin_with_nothing_are_read_where_they_lie() {
    let fused = Model::load(data().join("recorded/begun_cache.pt")).unwrap_or_else(|e| panic!("{e}"));
    let name = |instr: &Instr| if let Kind::Op(row) = instr.kind { Some(row.name) } else { None };
    let names: Vec<&str> = fused.graph().body.iter().filter_map(name).collect();
    assert!(names.contains(&"torch.scaled_dot_product_attention") && !names.contains(&"torch.cat"), "{names:?}");
}
