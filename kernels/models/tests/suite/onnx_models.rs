//! ONNX models made here: control flow, functions, weights beside the model, and what is refused.

use prost::Message;
use stark_kernels::{DType, Tensor};
use stark_models::onnx::proto::*;
use stark_models::{Model, ModelError, Value};

pub const FLOAT: i32 = 1;
pub const INT64: i32 = 7;
pub const BOOL: i32 = 9;

pub fn node(op_type: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    let own = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    NodeProto { op_type: op_type.into(), input: own(inputs), output: own(outputs), attribute, ..Default::default() }
}

pub fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type, ..Default::default() }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, ..attribute(name, ATTR_INT) }
}

pub fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { s: s.to_string().into_bytes().into(), ..attribute(name, ATTR_STRING) }
}

pub fn body(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(Box::new(graph)), ..attribute(name, ATTR_GRAPH) }
}

/// A value of this type; a negative dimension may vary.
pub fn value(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dim =
        |&n: &i64| DimensionProto { value: Some(if n < 0 { Dimension::Name("n".into()) } else { Dimension::Size(n) }) };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let ty = TypeProto { tensor_type: Some(TensorTypeProto { elem_type, shape }), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty) }
}

pub fn floats(name: &str, dims: &[i64], float_data: &[f32]) -> TensorProto {
    let (name, dims, float_data) = (name.to_string(), dims.to_vec(), float_data.to_vec());
    TensorProto { name, dims, float_data, data_type: FLOAT, ..Default::default() }
}

pub fn ints(name: &str, dims: &[i64], int64_data: &[i64]) -> TensorProto {
    let (name, dims, int64_data) = (name.to_string(), dims.to_vec(), int64_data.to_vec());
    TensorProto { name, dims, int64_data, data_type: INT64, ..Default::default() }
}

pub fn graph(inputs: &[ValueInfoProto], outputs: &[ValueInfoProto], node: Vec<NodeProto>) -> GraphProto {
    GraphProto { name: "main".into(), node, input: inputs.to_vec(), output: outputs.to_vec(), ..Default::default() }
}

pub fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: domain.into(), version }
}

pub fn model(graph: GraphProto) -> ModelProto {
    ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset("", 17)], ..Default::default() }
}

pub fn load(model: &ModelProto) -> Result<Model, ModelError> {
    Model::load_bytes(model.encode_to_vec(), "made.onnx")
}

pub fn vector(x: &[f32]) -> Tensor {
    Tensor::from_slice(x, &[x.len()]).expect("vector")
}

pub fn run(model: &ModelProto, inputs: &[Tensor]) -> Vec<Vec<f64>> {
    let model = load(model).unwrap_or_else(|e| panic!("{e}"));
    let outputs = model.predict(inputs).unwrap_or_else(|e| panic!("{e}"));
    outputs.iter().map(|t| t.to_scalars().iter().map(|x| x.to_f64()).collect()).collect()
}

#[test]
fn a_branch_sees_the_names_around_it() {
    let branch =
        |op: &str, out: &str| graph(&[], &[value(out, FLOAT, &[-1])], vec![node(op, &["x", "x"], &[out], vec![])]);
    let choose = vec![body("then_branch", branch("Add", "a")), body("else_branch", branch("Sub", "b"))];
    let made = model(graph(
        &[value("x", FLOAT, &[-1]), value("cond", BOOL, &[])],
        &[value("y", FLOAT, &[-1])],
        vec![node("If", &["cond"], &["y"], choose)],
    ));
    for (cond, want) in [(true, 6.0), (false, 0.0)] {
        assert_eq!(run(&made, &[vector(&[3.0]), Tensor::scalar(cond)]), [[want]]);
    }
}

/// A single place counts from the end once.
#[test]
fn one_place_is_gathered_from_either_end_or_refused() {
    let made = model(graph(
        &[value("x", FLOAT, &[-1]), value("at", INT64, &[])],
        &[value("y", FLOAT, &[])],
        vec![node("Gather", &["x", "at"], &["y"], vec![])],
    ));
    let x = vector(&[1.0, 2.0, 3.0, 4.0]);
    for (at, want) in [(0i64, 1.0), (3, 4.0), (-1, 4.0), (-4, 1.0)] {
        assert_eq!(run(&made, &[x.clone(), Tensor::scalar(at)]), [[want]]);
    }
    for at in [4i64, -5, i64::MIN] {
        let refused = load(&made).expect("a model").predict(&[x.clone(), Tensor::scalar(at)]);
        assert!(refused.is_err(), "place {at} of four");
    }
}

/// Doubles `total` each round while it is below 50 and gives the totals of all rounds.
fn doubling() -> ModelProto {
    let mut inner = graph(
        &[value("round", INT64, &[]), value("going", BOOL, &[]), value("total", FLOAT, &[1])],
        &[value("goes", BOOL, &[]), value("doubled", FLOAT, &[1]), value("seen", FLOAT, &[1])],
        vec![
            node("Add", &["total", "total"], &["doubled"], vec![]),
            node("Less", &["doubled", "fifty"], &["small"], vec![]),
            node("Squeeze", &["small"], &["goes"], vec![]),
            node("Identity", &["doubled"], &["seen"], vec![]),
        ],
    );
    inner.initializer = vec![floats("fifty", &[1], &[50.0])];
    model(graph(
        &[value("x", FLOAT, &[1]), value("times", INT64, &[])],
        &[value("last", FLOAT, &[1]), value("all", FLOAT, &[-1, 1])],
        vec![node("Loop", &["times", "", "x"], &["last", "all"], vec![body("body", inner)])],
    ))
}

#[test]
fn a_loop_ends_by_its_count_or_its_condition() {
    for (times, last, all) in
        [(3i64, 8.0, vec![2.0, 4.0, 8.0]), (100, 64.0, vec![2.0, 4.0, 8.0, 16.0, 32.0, 64.0]), (0, 1.0, vec![])]
    {
        assert_eq!(run(&doubling(), &[vector(&[1.0]), Tensor::scalar(times)]), [vec![last], all]);
    }
}

#[test]
fn a_loop_without_end_runs_out_of_steps() {
    let model = load(&doubling()).unwrap_or_else(|e| panic!("{e}"));
    let inputs = [vector(&[0.0]), Tensor::scalar(i64::MAX)].map(stark_models::Value::Tensor).to_vec();
    assert!(matches!(model.predict_within(inputs, 1_000), Err(ModelError::OutOfSteps { .. })));
}

#[test]
fn a_scan_goes_along_an_axis_in_both_directions() {
    let inner = graph(
        &[value("sum", FLOAT, &[]), value("x", FLOAT, &[])],
        &[value("more", FLOAT, &[]), value("out", FLOAT, &[])],
        vec![node("Add", &["sum", "x"], &["more"], vec![]), node("Identity", &["more"], &["out"], vec![])],
    );
    let ints = |name: &str, ints: &[i64]| AttributeProto { ints: ints.to_vec(), ..attribute(name, ATTR_INTS) };
    for (direction, want) in [(0, [1.0, 3.0, 6.0]), (1, [3.0, 5.0, 6.0])] {
        let scan =
            vec![body("body", inner.clone()), int("num_scan_inputs", 1), ints("scan_input_directions", &[direction])];
        let made = model(graph(
            &[value("zero", FLOAT, &[]), value("x", FLOAT, &[-1])],
            &[value("sum", FLOAT, &[]), value("sums", FLOAT, &[-1])],
            vec![node("Scan", &["zero", "x"], &["sum", "sums"], scan)],
        ));
        assert_eq!(run(&made, &[Tensor::scalar(0f32), vector(&[1.0, 2.0, 3.0])]), [vec![6.0], want.to_vec()]);
    }
}

/// `scale(x; by)` multiplies by an attribute of the call.
pub fn with_function(inner: Vec<NodeProto>) -> ModelProto {
    let function = FunctionProto {
        name: "scale".into(),
        domain: "own".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: inner,
        opset_import: vec![opset("", 17), opset("own", 1)],
        ..Default::default()
    };
    let by = AttributeProto { f: 3.0, ..attribute("by", ATTR_FLOAT) };
    let call = NodeProto { domain: "own".into(), ..node("scale", &["x"], &["y"], vec![by]) };
    let graph = graph(&[value("x", FLOAT, &[-1])], &[value("y", FLOAT, &[-1])], vec![call]);
    ModelProto { functions: vec![function], opset_import: vec![opset("", 17), opset("own", 1)], ..model(graph) }
}

#[test]
fn a_function_takes_attributes_of_its_call() {
    let by = AttributeProto { ref_attr_name: "by".into(), ..attribute("value_float", ATTR_FLOAT) };
    let made = with_function(vec![
        node("Constant", &[], &["factor"], vec![by]),
        node("Mul", &["a", "factor"], &["b"], vec![]),
    ]);
    assert_eq!(run(&made, &[vector(&[1.0, 2.0])]), [[3.0, 6.0]]);
}

#[test]
fn a_function_that_calls_itself_is_refused() {
    let call = NodeProto { domain: "own".into(), ..node("scale", &["a"], &["b"], vec![]) };
    let error = load(&with_function(vec![call])).expect_err("endless").to_string();
    assert!(error.contains("nest deeper"), "{error}");
}

#[test]
fn batches_of_nothing_keep_their_other_axes() {
    let target = TensorProto { name: "to".into(), ..ints("to", &[4], &[0, 2, 4, -1]) };
    let nodes = vec![
        node("Reshape", &["x", "to"], &["y"], vec![int("allowzero", 1)]),
        node("DynamicQuantizeLinear", &["x"], &["q", "scale", "zero"], vec![]),
    ];
    let outputs = [value("y", FLOAT, &[-1]), value("scale", FLOAT, &[]), value("q", 2, &[-1])];
    let made =
        model(GraphProto { initializer: vec![target], ..graph(&[value("x", FLOAT, &[-1, 2, 32])], &outputs, nodes) });
    let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
    let out = model.predict(&[Tensor::zeros(&[0, 2, 32], DType::F32).expect("x")]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((out[0].shape(), out[2].shape()), (&[0, 2, 4, 8][..], &[0, 2, 32][..]));
    assert_eq!(out[1].item().expect("scale").to_f64(), 1.0);
}

#[test]
fn operators_that_are_not_known_are_listed_with_their_places() {
    let strange =
        NodeProto { domain: "com.example".into(), name: "n1".into(), ..node("Magic", &["x"], &["a"], vec![]) };
    let made = model(graph(
        &[value("x", FLOAT, &[-1])],
        &[value("y", FLOAT, &[-1])],
        vec![
            strange,
            node("Relu", &["a"], &["b"], vec![int("surprise", 1)]),
            node("Cast", &["b"], &["c"], vec![int("to", 17)]),
            node("ImageDecoder", &["c"], &["y"], vec![]),
        ],
    ));
    match load(&made) {
        Err(ModelError::UnknownOperators { operators, .. }) => {
            let names: Vec<(&str, u32)> = operators.iter().map(|op| (op.name.as_str(), op.place.line)).collect();
            let want = [
                ("com.example.Magic (node `n1`)", 1),
                ("Relu with attribute `surprise`", 2),
                ("Cast to element type FLOAT8E4M3FN", 3),
                ("ImageDecoder", 4),
            ];
            assert_eq!(names, want);
            assert_eq!(&*operators[0].place.entry, "main");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_signature_states_is_checked_before_the_run() {
    let made = model(graph(
        &[value("x", FLOAT, &[-1, 3])],
        &[value("y", FLOAT, &[-1, 3])],
        vec![node("Relu", &["x"], &["y"], vec![])],
    ));
    let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(model.inputs()[0].dims, Some(vec![None, Some(3)]));
    assert_eq!((model.outputs()[0].name.as_str(), model.outputs()[0].dtype), ("y", Some(DType::F32)));
    for (shape, dtype, words) in [
        (&[2, 4][..], DType::F32, "takes [_, 3]"),
        (&[3], DType::F32, "takes [_, 3]"),
        (&[2, 3], DType::F64, "takes Float32"),
    ] {
        let error = model.predict(&[Tensor::zeros(shape, dtype).expect("x")]).expect_err(words).to_string();
        assert!(error.contains("input `x`") && error.contains(words), "{error}");
    }
}

#[test]
fn softmax_means_what_its_version_says() {
    let x = Tensor::zeros(&[2, 2, 2], DType::F32).expect("x");
    for (version, want) in [(11, 0.25), (13, 0.5)] {
        let softmax = vec![node("Softmax", &["x"], &["y"], vec![])];
        let made = ModelProto {
            opset_import: vec![opset("", version)],
            ..model(graph(&[value("x", FLOAT, &[2, 2, 2])], &[value("y", FLOAT, &[2, 2, 2])], softmax))
        };
        assert_eq!(run(&made, &[x.clone()]), [[want; 8]], "version {version}");
    }
}

#[test]
fn graphs_that_do_not_hang_together_are_errors() {
    let x = value("x", FLOAT, &[-1]);
    let y = value("y", FLOAT, &[-1]);
    let relu = |from: &str, to: &str| node("Relu", &[from], &[to], vec![]);
    let big = TensorProto { dims: vec![1 << 40], data_type: FLOAT, name: "w".into(), ..Default::default() };
    let mut with_big = graph(&[x.clone()], &[y.clone()], vec![relu("x", "y")]);
    with_big.initializer = vec![big];
    let mut twice = graph(&[x.clone()], &[y.clone()], vec![relu("x", "y")]);
    twice.initializer = vec![ints("w", &[1], &[1]), ints("w", &[1], &[1])];
    for (made, words) in [
        (model(graph(&[x.clone()], &[y.clone()], vec![relu("z", "y")])), "`z`"),
        (model(graph(&[x.clone()], &[y.clone()], vec![])), "`y`"),
        (model(graph(&[x.clone()], &[], vec![])), "no outputs"),
        (model(graph(&[x.clone()], &[y.clone()], vec![relu("x", "y"), relu("x", "y")])), "twice"),
        (model(graph(&[x.clone()], &[y.clone()], vec![node("Loop", &[], &["y"], vec![])])), "body"),
        (model(graph(&[x.clone()], &[y.clone()], vec![node("Constant", &[], &["y"], vec![])])), "value"),
        (model(with_big), "w"),
        (model(twice), "twice"),
        (ModelProto { ir_version: 8, ..Default::default() }, "no graph"),
        (
            ModelProto {
                opset_import: vec![opset("", 99)],
                ..model(graph(&[x.clone()], &[y.clone()], vec![relu("x", "y")]))
            },
            "99",
        ),
        (ModelProto { opset_import: vec![], ..model(graph(&[x], &[y], vec![relu("x", "y")])) }, "no version"),
    ] {
        let error = load(&made).expect_err(words).to_string();
        assert!(error.starts_with("made.onnx: ") && error.contains(words), "{error}");
    }
}

#[test]
fn messages_without_content_do_not_cost_memory() {
    // A graph of ten million empty nodes: two bytes each in the file, some hundred in memory.
    let n = 10_000_000;
    let mut nodes: Vec<u8> = [0x0a, 0x00].repeat(n);
    let mut bytes = vec![0x08, 0x08, 0x3a];
    prost::encoding::encode_varint(nodes.len() as u64, &mut bytes);
    bytes.append(&mut nodes);
    let error = Model::load_bytes(bytes, "made.onnx").expect_err("refused").to_string();
    assert!(error.contains("memory"), "{error}");
    // Graphs in graphs: a node's attribute holds the next.
    let mut deep: Vec<u8> = Vec::new();
    for _ in 0..10_000 {
        for tag in [0x32, 0x2a, 0x0a] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(deep.len() as u64, &mut outer);
            outer.append(&mut deep);
            deep = outer;
        }
    }
    let mut bytes = vec![0x3a];
    prost::encoding::encode_varint(deep.len() as u64, &mut bytes);
    bytes.append(&mut deep);
    let error = Model::load_bytes(bytes, "made.onnx").expect_err("refused").to_string();
    assert!(error.contains("nest deeper"), "{error}");
}

#[test]
fn weights_may_lie_beside_the_model_and_nowhere_else() {
    let folder = std::env::temp_dir().join(format!("stark-onnx-{}", std::process::id()));
    let inside = folder.join("inside");
    std::fs::create_dir_all(&inside).expect("folder");
    let numbers: Vec<u8> = [9.0f32, 1.0, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(inside.join("weights.bin"), &numbers).expect("weights");
    std::fs::write(folder.join("secret.bin"), &numbers).expect("secret");
    let made = |location: &str, offset: &str| {
        let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
        let w = TensorProto {
            external_data: vec![entry("location", location), entry("offset", offset), entry("length", "8")],
            data_location: 1,
            float_data: vec![],
            ..floats("w", &[2], &[])
        };
        let mut graph = graph(
            &[value("x", FLOAT, &[2])],
            &[value("y", FLOAT, &[2])],
            vec![node("Add", &["x", "w"], &["y"], vec![])],
        );
        graph.initializer = vec![w];
        let path = inside.join("model.onnx");
        std::fs::write(&path, model(graph).encode_to_vec()).expect("model");
        path
    };
    let good = Model::load(made("weights.bin", "4")).unwrap_or_else(|e| panic!("{e}"));
    let got = good.predict(&[vector(&[1.0, 1.0])]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(got[0].to_vec::<f32>().expect("floats"), [2.0, 3.0]);
    for (location, offset, words) in [
        ("../secret.bin", "4", "outside"),
        ("/etc/hostname", "0", "outside"),
        ("weights.bin", "8", "past the end"),
        ("weights.bin", "many", "`many`"),
        ("missing.bin", "0", "missing.bin"),
        (".", "0", "no file"),
    ] {
        let error = Model::load(made(location, offset)).expect_err(words).to_string();
        assert!(error.contains("entry `w`") && error.contains(words), "{error}");
    }
    assert!(Model::load_bytes(std::fs::read(made("weights.bin", "4")).expect("model"), "bytes").is_err());
    std::fs::remove_dir_all(folder).expect("remove");
}

#[test]
fn attributes_became_inputs_and_both_are_read() {
    let reduce = |version: i64| {
        let axes = AttributeProto { ints: vec![0], ..attribute("axes", ATTR_INTS) };
        let (inputs, attributes) = if version < 13 { (vec!["x"], vec![axes]) } else { (vec!["x", "axes"], vec![]) };
        let mut graph = graph(
            &[value("x", FLOAT, &[-1])],
            &[value("y", FLOAT, &[1])],
            vec![node("ReduceSum", &inputs, &["y"], attributes)],
        );
        graph.initializer = vec![ints("axes", &[1], &[0])];
        ModelProto { opset_import: vec![opset("", version)], ..model(graph) }
    };
    for version in [11, 13] {
        assert_eq!(run(&reduce(version), &[vector(&[1.0, 2.0])]), [[3.0]], "version {version}");
    }
}

#[test]
fn einsum_multiplies_transposes_sums_and_takes_diagonals() {
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]).expect("x");
    for (equation, want) in [
        ("ij,jk->ik", vec![7.0, 10.0, 15.0, 22.0]),
        ("ij,kj->ik", vec![5.0, 11.0, 11.0, 25.0]),
        ("ij,jk", vec![7.0, 10.0, 15.0, 22.0]),
        ("ij,ij->", vec![30.0]),
        ("ii,jj->ij", vec![1.0, 4.0, 4.0, 16.0]),
        ("...j,...j->...", vec![5.0, 25.0]),
    ] {
        let made = model(graph(
            &[value("x", FLOAT, &[2, 2])],
            &[value("y", FLOAT, &[])],
            vec![node("Einsum", &["x", "x"], &["y"], vec![text("equation", equation)])],
        ));
        assert_eq!(run(&made, &[x.clone()]), [want], "{equation}");
    }
}

/// Where it is wider than the axis it goes round several times, and what is cut off does not come back.
#[test]
fn padding_that_wraps_goes_round_as_often_as_it_takes() {
    let mode = text("mode", "wrap");
    let made = model(graph(
        &[value("x", FLOAT, &[-1]), value("pads", INT64, &[2])],
        &[value("y", FLOAT, &[-1])],
        vec![node("Pad", &["x", "pads"], &["y"], vec![mode])],
    ));
    let pads = |pads: [i64; 2]| Tensor::from_slice(&pads, &[2]).expect("pads");
    for (sides, want) in [
        ([0, 0], "1234"),
        ([1, 2], "4123412"),
        ([4, 4], "123412341234"),
        ([9, 9], "4123412341234123412341"),
        ([-1, 6], "234234234"),
        ([6, -1], "123123123"),
        ([-1, -1], "23"),
        ([-3, 3], "4444"),
        ([9, -3], "1111111111"),
        ([0, -4], ""),
    ] {
        let want: Vec<f64> = want.chars().map(|c| f64::from(c.to_digit(10).unwrap_or(0))).collect();
        assert_eq!(run(&made, &[vector(&[1.0, 2.0, 3.0, 4.0]), pads(sides)]), [want], "{sides:?}");
    }
    let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
    for sides in [[-4, 2], [-5, 2], [i64::MIN, 3], [i64::MIN, i64::MIN], [i64::MAX, 0], [i64::MAX, i64::MAX], [3, -4]] {
        let error = model.predict(&[vector(&[1.0, 2.0, 3.0, 4.0]), pads(sides)]).expect_err("pads").to_string();
        assert!(error.starts_with("made.onnx: main:1: "), "{error}");
    }
}

/// Layer norm as exporters spelled it before version 17, with the difference computed once or twice.
#[test]
fn layer_norm_spelled_with_means_is_one_operator() {
    let mean = |x: &str, out: &str| {
        let axes = AttributeProto { ints: vec![-1], ..attribute("axes", ATTR_INTS) };
        node("ReduceMean", &[x], &[out], vec![axes, int("keepdims", 1)])
    };
    for again in ["d", "e"] {
        let mut nodes = vec![mean("x", "m"), node("Sub", &["x", "m"], &["d"], vec![])];
        if again == "e" {
            nodes.push(node("Sub", &["x", "m"], &["e"], vec![]));
        }
        nodes.extend([
            node("Pow", &[again, "two"], &["square"], vec![]),
            mean("square", "var"),
            node("Add", &["var", "eps"], &["sum"], vec![]),
            node("Sqrt", &["sum"], &["root"], vec![]),
            node("Div", &["d", "root"], &["normal"], vec![]),
            node("Mul", &["weight", "normal"], &["scaled"], vec![]),
            node("Add", &["scaled", "bias"], &["y"], vec![]),
        ]);
        let mut norm = graph(&[value("x", FLOAT, &[-1, -1])], &[value("y", FLOAT, &[-1, 3])], nodes);
        norm.initializer = vec![
            floats("two", &[], &[2.0]),
            floats("eps", &[], &[0.5]),
            floats("weight", &[3], &[1.0, 2.0, 3.0]),
            floats("bias", &[3], &[0.0, 0.5, 1.0]),
        ];
        let made = model(norm);
        assert_eq!(load(&made).unwrap_or_else(|e| panic!("{e}")).graph().body.len(), 1);
        // Rows of three numbers, and rows of one, over which the weight is spread.
        let rows = Tensor::from_slice(&[1.0f32, 2.0, 8.0], &[1, 3]).expect("a row");
        let ones = Tensor::from_slice(&[7.0f32], &[1, 1]).expect("a row");
        // The mean is 11/3, the variance 86/9.
        let deviation = (86.0f64 / 9.0 + 0.5).sqrt();
        let want = [1.0, 2.0, 8.0].map(|x| (x - 11.0 / 3.0) / deviation);
        let want = [want[0], 2.0 * want[1] + 0.5, 3.0 * want[2] + 1.0];
        for (x, want) in [(rows, want), (ones, [0.0, 0.5, 1.0])] {
            for (got, want) in run(&made, &[x])[0].iter().zip(want) {
                assert!((got - want).abs() < 1e-6, "{got} is not {want}");
            }
        }
    }
}

/// `x * w + bias`, where both initialisers may be listed among the inputs.
fn with_defaults(ir_version: i64, listed: &[&str]) -> ModelProto {
    let mut inputs: Vec<ValueInfoProto> = listed.iter().map(|name| value(name, FLOAT, &[-1])).collect();
    inputs.push(value("x", FLOAT, &[-1]));
    let nodes = vec![node("Mul", &["x", "w"], &["m"], vec![]), node("Add", &["m", "bias"], &["y"], vec![])];
    let initializer = vec![floats("w", &[1], &[2.0]), floats("bias", &[1], &[0.5])];
    let graph = GraphProto { initializer, ..graph(&inputs, &[value("y", FLOAT, &[-1])], nodes) };
    ModelProto { ir_version, ..model(graph) }
}

#[test]
fn an_initialiser_among_the_inputs_is_a_default() {
    let model = load(&with_defaults(4, &["bias"])).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<String> = model.inputs().into_iter().map(|input| input.name).collect();
    assert_eq!(names, ["x", "bias"], "what must be given comes first");
    assert_eq!(model.declared().iter().map(|own| own.may_be_left_out).collect::<Vec<_>>(), [false, true]);
    let sum = |got: Vec<Tensor>| got[0].to_vec::<f32>().expect("floats");
    assert_eq!(sum(model.predict(&[vector(&[1.0, 2.0])]).expect("run")), [2.5, 4.5]);
    assert_eq!(sum(model.predict(&[vector(&[1.0, 2.0]), vector(&[10.0])]).expect("run")), [12.0, 14.0]);
    let named = [("bias", vector(&[0.0, 1.0])), ("x", vector(&[1.0, 2.0]))];
    assert_eq!(sum(model.predict_named(&named).expect("run")), [2.0, 5.0]);
    let wrong = Tensor::zeros(&[1], DType::I64).expect("bias");
    let error = model.predict(&[vector(&[1.0]), wrong]).expect_err("ints").to_string();
    assert!(error.contains("input `bias`: is of Int64 elements, the model takes Float32"), "{error}");
}

#[test]
fn weights_that_are_listed_among_the_inputs_stay_weights() {
    // By version 3, where they had to be, and where all of them are.
    for made in [with_defaults(3, &["bias"]), with_defaults(8, &["w", "bias"])] {
        let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(model.inputs().len(), 1);
        let named = [("bias", vector(&[0.0])), ("x", vector(&[1.0]))];
        let error = model.predict_named(&named).expect_err("a weight").to_string();
        assert_eq!(error, "made.onnx: input `bias`: this is a weight of the model, no input; it takes x");
        assert_eq!(run(&made, &[vector(&[1.0])]), [[2.5]]);
    }
    let mut twice = with_defaults(8, &["bias"]);
    twice.graph.as_mut().expect("graph").initializer.push(floats("bias", &[1], &[1.0]));
    assert!(load(&twice).expect_err("twice").to_string().contains("`bias` is given twice"));
}

fn holder(of: TypeProto) -> HolderTypeProto {
    HolderTypeProto { elem_type: Some(Box::new(of)) }
}

fn sequence(of: TypeProto) -> TypeProto {
    TypeProto { sequence_type: Some(holder(of)), ..Default::default() }
}

fn option(of: TypeProto) -> TypeProto {
    TypeProto { optional_type: Some(holder(of)), ..Default::default() }
}

#[test]
fn sequences_and_options_go_in_and_come_out() {
    let tensor = || value("", FLOAT, &[-1, 2]).r#type.expect("type");
    let typed = |name: &str, ty: TypeProto| ValueInfoProto { name: name.into(), r#type: Some(ty) };
    let inputs = [typed("xs", sequence(tensor())), typed("rest", option(sequence(tensor())))];
    let nodes = vec![
        node("SequenceAt", &["xs", "at"], &["first"], vec![]),
        node("SequenceInsert", &["xs", "first"], &["more"], vec![]),
        node("OptionalHasElement", &["rest"], &["has"], vec![]),
    ];
    let outputs = [typed("more", sequence(tensor())), value("has", BOOL, &[])];
    let made = model(GraphProto { initializer: vec![ints("at", &[], &[0])], ..graph(&inputs, &outputs, nodes) });
    let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
    let declared: Vec<Option<String>> = model.declared().into_iter().map(|own| own.other).collect();
    assert_eq!(declared, [Some("List[Tensor]".into()), Some("Optional[List[Tensor]]".into())]);
    let rows = |n: usize, dtype| Value::Tensor(Tensor::ones(&[n, 2], dtype).expect("rows"));
    let list = |items: Vec<Value>| Value::list(items).expect("list");
    for (rest, has) in [(Value::None, 0.0), (list(vec![rows(1, DType::F32)]), 1.0)] {
        let got = model.predict_flat(vec![list(vec![rows(1, DType::F32), rows(3, DType::F32)]), rest]).expect("run");
        let shapes: Vec<&[usize]> = got.iter().map(|t| t.shape()).collect();
        assert_eq!(shapes, [&[1, 2][..], &[3, 2], &[1, 2], &[]]);
        assert_eq!(got[3].item().expect("has").to_f64(), has);
    }
    let wide = Value::Tensor(Tensor::ones(&[1, 3], DType::F32).expect("rows"));
    for (xs, words) in [
        (rows(1, DType::F32), "is a tensor, not a list"),
        (list(vec![rows(1, DType::F32), rows(1, DType::I64)]), "[1] is of Int64 elements, the model takes Float32"),
        (list(vec![wide]), "[0] has shape [1, 3], the model takes [_, 2]"),
        (Value::None, "is None, not a list"),
    ] {
        let error = model.predict_values(vec![xs, Value::None]).expect_err(words).to_string();
        assert_eq!(error, format!("made.onnx: input `xs`: {words}"));
    }
}

#[test]
fn inputs_that_no_value_can_be_are_refused_by_name() {
    let typed = |ty: TypeProto| ValueInfoProto { name: "a".into(), r#type: Some(ty) };
    let text = || value("", 8, &[-1]).r#type.expect("type");
    let deep = (0..200).fold(text(), |ty, _| sequence(ty));
    for (ty, words) in [
        (text(), "entry `input a`: element type STRING is not supported"),
        (sequence(text()), "entry `input a`: element type STRING is not supported"),
        // A map is what is none of the known kinds.
        (TypeProto::default(), "entry `input a`: only tensors, sequences and options of them can be given to a model"),
        (option(TypeProto::default()), "entry `input a`: only tensors"),
        (deep, "nest deeper"),
    ] {
        let made = model(graph(&[typed(ty)], &[value("a", FLOAT, &[])], vec![]));
        let error = load(&made).expect_err(words).to_string();
        assert!(error.starts_with("made.onnx: ") && error.contains(words), "{error}");
    }
}
