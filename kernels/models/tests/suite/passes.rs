//! The optimiser keeps results: every model with each pass alone, with all, and with none.

use stark_kernels::Tensor;
use stark_models::Model;
use stark_models::opt::Pass;

use crate::common::*;

/// What fusing may change: sums in another order.
const CLOSE: f64 = 1e-4;

#[test]
fn every_pass_alone_and_all_together_keep_the_results() {
    let mut n_fewer = 0;
    for root in folders() {
        let manifest = json(&root.join("manifest.json"));
        for (name, entry) in manifest["models"].as_object().expect("models") {
            let files = entry["files"].as_object().expect("files");
            for (format, file) in files.iter().filter(|(format, _)| !["io", "safetensors"].contains(&format.as_str())) {
                let Some(path) = file.as_str().map(|file| root.join(file)).filter(|path| path.exists()) else {
                    continue;
                };
                let Ok(plain) = Model::load_with(&path, &[]) else { continue };
                let io = Tensors::read(&root.join(entry["files"]["io"].as_str().expect("io")));
                let inputs = io.metadata("inputs");
                let given: Vec<Tensor> = inputs.split(',').map(|input| io.get(&format!("case0.in.{input}"))).collect();
                let want = plain.predict(&given).unwrap_or_else(|e| panic!("{e}"));
                let alone = Pass::ALL.map(|pass| vec![pass]);
                for passes in alone.into_iter().chain([Pass::ALL.to_vec()]) {
                    let model = Model::load_with(&path, &passes).unwrap_or_else(|e| panic!("{e}"));
                    let names: Vec<&str> = passes.iter().map(|pass| pass.name()).collect();
                    let what = format!("{name} ({format}) with {}", names.join(", "));
                    let got = model.predict(&given).unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_eq!(got.len(), want.len(), "{what}");
                    got.iter().zip(&want).for_each(|(got, want)| assert_close(got, want, CLOSE, CLOSE, &what));
                    n_fewer += usize::from(model.graph().body.len() < plain.graph().body.len());
                }
            }
        }
    }
    // Otherwise nothing was fused anywhere, and the comparison says nothing.
    assert!(n_fewer >= 10, "only {n_fewer} graphs became shorter");
}
