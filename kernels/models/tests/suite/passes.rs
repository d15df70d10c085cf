//! The optimiser keeps results: every model with each pass alone, with all, and with none.

use stark_kernels::DType;
use stark_models::opt::Pass;
use stark_models::{Load, Model};

use crate::common::*;

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
