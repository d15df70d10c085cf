use stark_models::*;
#[test]
fn loads() {
    let root = "/work/shared/models";
    for f in ["bad/ok.pt","digits_mlp.pt","digits_cnn.pt","digits_mlp_frozen.pt","digits_cnn_frozen.pt","digits_cnn_script.pt","topic_bag.pt","topic_bag_script.pt","topic_transformer.pt","topic_transformer_script.pt","embedder.pt","classifier.pt","generator.pt","generator_kv.pt","mini_embedder.pt","mini_embedder_script.pt","edge/views.pt","edge/dtypes.pt","edge/nested.pt","edge/control_flow.pt","edge/state_dict.pth","generator.pt2","generator.onnx","generator.safetensors"] {
        let t = std::time::Instant::now();
        match Model::load(format!("{root}/{f}")) {
            Ok(m) => println!("{f}: {:?} {:?} in={:?} out={:?}", m, t.elapsed(), m.inputs(), m.outputs()),
            Err(e) => println!("{f}: ERR {e} {:?}", t.elapsed()),
        }
    }
    let mut bad: Vec<_> = std::fs::read_dir(format!("{root}/bad")).unwrap().map(|e| e.unwrap().path()).collect();
    bad.sort();
    for f in bad {
        let t = std::time::Instant::now();
        match Model::load(&f) {
            Ok(m) => println!("{f:?}: OK {:?}", m),
            Err(e) => println!("{f:?}: {e} {:?}", t.elapsed()),
        }
    }
}
