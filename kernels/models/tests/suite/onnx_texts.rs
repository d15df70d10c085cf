//! Classifiers whose labels are texts: tensors do not hold those, but scores are given.

use prost::Message;

use crate::common::*;
use crate::onnx_models::*;
use stark_models::Model;
use stark_models::onnx::proto::*;

/// The recorded classifiers, each with what it was given and the scores that it gave.
fn classifiers() -> Vec<(String, ModelProto, stark_kernels::Tensor, stark_kernels::Tensor)> {
    let mut found = Vec::new();
    for path in recorded().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "onnx")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let made = ModelProto::decode(&*std::fs::read(&path).expect("a model")).expect("a model");
        let nodes = made.graph.iter().flat_map(|graph| &graph.node);
        let is_one = nodes.filter(|node| node.op_type.ends_with("Classifier")).count() == 1;
        if name.starts_with("classic_") && is_one && made.graph.as_ref().is_some_and(|graph| graph.output.len() == 2) {
            found.push((name, made, inputs_of(&path).remove(0), outputs_of(&path).remove(1)));
        }
    }
    found
}

/// With texts as labels.
fn renamed(mut made: ModelProto) -> ModelProto {
    let nodes = made.graph.iter_mut().flat_map(|graph| &mut graph.node);
    for node in nodes.filter(|node| node.op_type.ends_with("Classifier")) {
        for own in node.attribute.iter_mut().filter(|own| own.name.starts_with("classlabels_int")) {
            let strings = own.ints.iter().map(|label| format!("class {label}").into_bytes().into()).collect();
            *own = AttributeProto { strings, ..attribute("classlabels_strings", ATTR_STRINGS) };
        }
    }
    made
}

#[test]
fn scores_of_classes_with_names_are_those_of_classes_with_numbers() {
    let all = classifiers();
    let kinds: std::collections::HashSet<String> = all
        .iter()
        .flat_map(|(_, made, ..)| made.graph.iter().flat_map(|g| &g.node))
        .map(|n| n.op_type.clone())
        .collect();
    for kind in ["LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    for (name, made, x, want) in all {
        let mut made = renamed(made);
        made.graph.as_mut().expect("graph").output.remove(0);
        let model = load(&made).unwrap_or_else(|e| panic!("{name}: {e}"));
        let got = model.predict(&[x]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(got.len(), 1);
        assert_close(&got[0], &want, 1e-4, 1e-4, &name);
    }
}

#[test]
fn labels_that_are_texts_are_refused_when_the_model_is_loaded() {
    for (name, made, ..) in classifiers() {
        let error = load(&renamed(made)).expect_err(&name).to_string();
        assert!(error.starts_with("made.onnx: ") && error.contains("Classifier: its labels are texts"), "{error}");
        assert!(error.contains("or drop this output and keep the scores"), "{error}");
    }
}

/// A node gives labels and scores; `what` comes after the labels.
fn labelled(what: NodeProto, output: &str) -> Result<Model, stark_models::ModelError> {
    let strings = ["cat", "dog"].map(|text| text.to_string().into_bytes().into()).to_vec();
    let names = AttributeProto { strings, ..attribute("classlabels_strings", ATTR_STRINGS) };
    let weights = AttributeProto { floats: vec![1.0, -1.0], ..attribute("coefficients", ATTR_FLOATS) };
    let classifier = NodeProto {
        domain: "ai.onnx.ml".into(),
        ..node("LinearClassifier", &["x"], &["label", "scores"], vec![names, weights])
    };
    let nodes = vec![classifier, what, node("Neg", &["scores"], &["y"], vec![])];
    let mut graph = graph(&[value("x", FLOAT, &[-1, 1])], &[value(output, FLOAT, &[-1, 2])], nodes);
    let words = TensorProto { dims: vec![2], data_type: 8, name: "words".into(), ..Default::default() };
    graph.initializer = vec![words];
    load(&ModelProto { opset_import: vec![opset("", 17), opset("ai.onnx.ml", 3)], ..model(graph) })
}

#[test]
fn what_is_made_of_texts_is_not_computed() {
    let pick = || NodeProto {
        domain: "ai.onnx.ml".into(),
        ..node("ArrayFeatureExtractor", &["words", "x"], &["word"], vec![])
    };
    for (what, asked) in [
        (node("Identity", &["label"], &["also"], vec![]), "also"),
        (node("Equal", &["label", "words"], &["also"], vec![]), "also"),
    ] {
        let model = labelled(what.clone(), "y").unwrap_or_else(|e| panic!("{e}"));
        let x = stark_kernels::Tensor::from_slice(&[2.0f32], &[1, 1]).expect("x");
        assert_eq!(
            model.predict(&[x]).unwrap_or_else(|e| panic!("{e}"))[0].to_vec::<f32>().expect("floats"),
            [-2.0, 2.0]
        );
        let error = labelled(what, asked).expect_err("texts").to_string();
        assert!(
            error.starts_with("made.onnx: main:1: ai.onnx.ml.LinearClassifier: ") && error.contains("`also`"),
            "{error}"
        );
    }
    assert!(labelled(pick(), "y").is_ok());
    let error = labelled(pick(), "word").expect_err("texts").to_string();
    assert_eq!(error, "made.onnx: entry `words`: element type STRING is not supported, and `word` is made of it");
}
