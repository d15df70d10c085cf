//! `torch.export` programs made here: control flow, sizes, state, and what is refused.

use serde_json::{Value as Json, json};
use stark_kernels::{DType, Tensor};
use stark_models::{Model, ModelError, Value};

use crate::common::*;

fn tensor(name: &str) -> Json {
    json!({"as_tensor": {"name": name}})
}

/// A node with arguments by name and one tensor as its result.
fn node(target: &str, inputs: &[(&str, Json)], output: &str) -> Json {
    let inputs: Vec<Json> = inputs.iter().map(|(name, arg)| json!({"name": name, "arg": arg, "kind": 1})).collect();
    json!({"target": format!("torch.ops.{target}"), "inputs": inputs, "outputs": [tensor(output)], "metadata": {}})
}

fn graph(inputs: &[&str], nodes: Vec<Json>, outputs: &[&str]) -> Json {
    let all = |names: &[&str]| names.iter().map(|name| tensor(name)).collect::<Vec<_>>();
    json!({"inputs": all(inputs), "nodes": nodes, "outputs": all(outputs), "tensor_values": {}})
}

fn sizes(dims: &[&str]) -> Json {
    let size = |dim: &&str| match dim.parse::<i64>() {
        Ok(n) => json!({"as_int": n}),
        Err(_) => json!({"as_expr": {"expr_str": format!("Symbol('{dim}', positive=True, integer=True)")}}),
    };
    dims.iter().map(size).collect()
}

/// A program that takes `x` (and `y` when it is named), both `[n, 2]` of Float32, and gives one tensor. The
/// weight `w` is the numbers 1 and 2.
fn program(inputs: &[&str], nodes: Vec<Json>, output: &str) -> Json {
    let mut names = vec!["w"];
    names.extend(inputs);
    let mut graph = graph(&names, nodes, &[output]);
    let meta = json!({"dtype": 7, "sizes": sizes(&["n", "2"]), "strides": sizes(&["2", "1"]), "storage_offset": {"as_int": 0}});
    for name in inputs {
        graph["tensor_values"][name] = meta.clone();
    }
    let mut specs = vec![json!({"parameter": {"arg": {"name": "w"}, "parameter_name": "weight"}})];
    specs.extend(inputs.iter().map(|name| json!({"user_input": {"arg": tensor(name)}})));
    json!({
        "graph_module": {
            "graph": graph,
            "signature": {"input_specs": specs, "output_specs": [{"user_output": {"arg": tensor(output)}}]},
            "module_call_graph": [],
        },
        "range_constraints": {"n": {"min_val": 1, "max_val": 4}},
        "schema_version": {"major": 8, "minor": 1},
    })
}

fn weights() -> Json {
    let meta = json!({"dtype": 7, "sizes": sizes(&["2"]), "strides": sizes(&["1"]), "storage_offset": {"as_int": 0}});
    json!({"config": {"weight": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta": meta}}})
}

fn load_with(program: &str, weights: &Json) -> Result<Model, ModelError> {
    let numbers: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let archive = zip(&[
        ("p/archive_format", b"pt2".to_vec()),
        ("p/models/model.json", program.as_bytes().to_vec()),
        ("p/data/weights/model_weights_config.json", weights.to_string().into_bytes()),
        ("p/data/weights/weight_0", numbers),
    ]);
    Model::load_bytes(archive, "made.pt2")
}

fn load(program: &Json) -> Result<Model, ModelError> {
    load_with(&program.to_string(), &weights())
}

fn rows(numbers: &[f32]) -> Tensor {
    Tensor::from_slice(numbers, &[numbers.len() / 2, 2]).expect("rows")
}

fn run(program: &Json, inputs: &[Tensor]) -> Vec<f32> {
    let model = load(program).unwrap_or_else(|e| panic!("{e}"));
    let out = model.predict(inputs).unwrap_or_else(|e| panic!("{e}"));
    out[0].to_vec().expect("floats")
}

#[test]
fn nodes_take_weights_and_give_tensors() {
    let add = node(
        "aten.add.Tensor",
        &[("self", tensor("x")), ("other", tensor("w")), ("alpha", json!({"as_int": 10}))],
        "y",
    );
    let made = program(&["x"], vec![add], "y");
    assert_eq!(run(&made, &[rows(&[1.0, 1.0])]), [11.0, 21.0]);
    let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(model.n_parameters(), 2);
    let input = &model.inputs()[0];
    assert_eq!((input.name.as_str(), input.dtype, &input.dims), ("x", Some(DType::F32), &Some(vec![None, Some(2)])));
}

/// GELU by its tanh formula as exporters spell it, with the cube as a power and as products, behind a dropout.
#[test]
fn gelu_spelled_with_tanh_is_one_operator() {
    let number = |x: f64| json!({"as_float": x});
    let two =
        |target: &str, a: Json, b: Json, out: &str| node(&format!("aten.{target}"), &[("self", a), ("other", b)], out);
    let dropout = node(
        "aten.dropout.default",
        &[("input", tensor("x")), ("p", number(0.1)), ("train", json!({"as_bool": false}))],
        "d",
    );
    let power = node("aten.pow.Tensor_Scalar", &[("self", tensor("d")), ("exponent", json!({"as_int": 3}))], "cube");
    let square = two("mul.Tensor", tensor("d"), tensor("d"), "square");
    let product = two("mul.Tensor", tensor("square"), tensor("d"), "cube");
    for cube in [vec![power], vec![square, product]] {
        let mut nodes = vec![dropout.clone()];
        nodes.extend(cube);
        nodes.extend([
            two("mul.Tensor", tensor("cube"), number(0.044715), "c"),
            two("add.Tensor", tensor("d"), tensor("c"), "sum"),
            two("mul.Tensor", tensor("sum"), number(0.797_884_560_802_865_4), "scaled"),
            node("aten.tanh.default", &[("self", tensor("scaled"))], "t"),
            two("add.Tensor", tensor("t"), number(1.0), "gate"),
            two("mul.Tensor", tensor("d"), number(0.5), "half"),
            two("mul.Tensor", tensor("half"), tensor("gate"), "y"),
        ]);
        let made = program(&["x"], nodes, "y");
        let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(model.graph().body.len(), 1, "dropout goes, and what is left is the activation");
        let got = run(&made, &[rows(&[-2.0, -0.5, 0.0, 2.0])]);
        for (got, want) in got.iter().zip([-0.045_402_29, -0.154_285_99, 0.0, 1.954_597_7]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }
}

#[test]
fn sizes_are_values_and_python_computes_with_them() {
    let mut size = node("aten.sym_size.int", &[("self", tensor("x")), ("dim", json!({"as_int": 0}))], "");
    size["outputs"] = json!([{"as_sym_int": {"as_name": "n"}}]);
    let twice = json!({
        "target": "_operator.mul",
        "inputs": [
            {"name": "", "arg": {"as_sym_int": {"as_name": "n"}}, "kind": 1},
            {"name": "", "arg": {"as_int": 2}, "kind": 1},
        ],
        "outputs": [{"as_sym_int": {"as_name": "twice"}}],
    });
    let shape = json!({"as_sym_ints": [{"as_name": "twice"}, {"as_int": 1}]});
    let view = node("aten.view.default", &[("self", tensor("x")), ("size", shape)], "v");
    let sum = node("aten.sum.dim_IntList", &[("self", tensor("v")), ("dim", json!({"as_ints": [0]}))], "y");
    assert_eq!(run(&program(&["x"], vec![size, twice, view, sum], "y"), &[rows(&[1.0, 2.0, 3.0, 4.0])]), [10.0]);
}

/// Python's own functions take their arguments by position, whatever the file calls them.
#[test]
fn functions_of_python_take_arguments_by_position() {
    let size = |name: &str| json!({"as_sym_int": {"as_name": name}});
    let int = |i: i64| json!({"as_int": i});
    let call = |target: &str, args: Vec<(&str, Json)>, out: &str, kind: &str| {
        let inputs: Vec<Json> = args.iter().map(|(name, arg)| json!({"name": name, "arg": arg, "kind": 1})).collect();
        json!({"target": target, "inputs": inputs, "outputs": [{kind: {"as_name": out}}]})
    };
    let mut rows = node("aten.sym_size.int", &[("self", tensor("x")), ("dim", int(0))], "");
    rows["outputs"] = json!([size("n")]);
    let nodes = vec![
        rows,
        call("_operator.mul", vec![("a", size("n")), ("b", int(6))], "m", "as_sym_int"),
        call("_operator.sub", vec![("a", size("m")), ("b", int(2))], "s", "as_sym_int"),
        call("_operator.neg", vec![("a", size("s"))], "minus", "as_sym_int"),
        call("_operator.lshift", vec![("a", size("s")), ("b", int(2))], "shifted", "as_sym_int"),
        call("_operator.ge", vec![("a", size("n")), ("b", int(2))], "many", "as_sym_bool"),
        call(
            "torch.sym_ite",
            vec![("b", json!({"as_sym_bool": {"as_name": "many"}})), ("t", size("shifted")), ("f", size("minus"))],
            "chosen",
            "as_sym_int",
        ),
        node("aten.mul.Scalar", &[("self", tensor("x")), ("other", size("chosen"))], "y"),
    ];
    let made = program(&["x"], nodes, "y");
    assert_eq!(run(&made, &[rows_of(1.0, 2)]), [40.0; 4]);
    assert_eq!(run(&made, &[rows_of(1.0, 1)]), [-4.0; 2]);
}

fn rows_of(number: f32, n: usize) -> Tensor {
    Tensor::full(&[n, 2], number, DType::F32).expect("rows")
}

#[test]
fn cond_takes_one_of_its_graphs() {
    let inner = |op: &str| {
        let nodes = vec![node(op, &[("self", tensor("a")), ("other", tensor("b"))], "r")];
        json!({"as_graph": {"name": "inner", "graph": graph(&["a", "b"], nodes, &["r"])}})
    };
    let total = node("aten.sum.default", &[("self", tensor("x"))], "total");
    let test = node("aten.gt.Scalar", &[("self", tensor("total")), ("other", json!({"as_int": 0}))], "test");
    let operands = json!({"as_tensors": [{"name": "x"}, {"name": "w"}]});
    let args = [("", tensor("test")), ("", inner("aten.add.Tensor")), ("", inner("aten.sub.Tensor")), ("", operands)];
    let cond = node("higher_order.cond", &args, "y");
    let made = program(&["x"], vec![total, test, cond], "y");
    assert_eq!(run(&made, &[rows(&[1.0, 1.0])]), [2.0, 3.0]);
    assert_eq!(run(&made, &[rows(&[-1.0, -1.0])]), [-2.0, -3.0]);
}

#[test]
fn a_loop_goes_on_while_its_graph_says_so() {
    let inner = |nodes: Vec<Json>, out: &str| json!({"as_graph": {"name": "inner", "graph": graph(&["a", "b"], nodes, &[out])}});
    let total = node("aten.sum.default", &[("self", tensor("a"))], "total");
    let test = node("aten.lt.Scalar", &[("self", tensor("total")), ("other", json!({"as_int": 20}))], "test");
    let add = node("aten.add.Tensor", &[("self", tensor("a")), ("other", tensor("b"))], "r");
    let args = [
        ("", inner(vec![total, test], "test")),
        ("", inner(vec![add], "r")),
        ("", json!({"as_tensors": [{"name": "x"}]})),
        ("", json!({"as_tensors": [{"name": "w"}]})),
    ];
    let made = program(&["x"], vec![node("higher_order.while_loop", &args, "y")], "y");
    assert_eq!(run(&made, &[rows(&[1.0, 1.0])]), [7.0, 13.0]);
    assert_eq!(run(&made, &[rows(&[30.0, 1.0])]), [30.0, 1.0]);
}

#[test]
fn a_graph_without_gradients_runs_in_place_of_its_node() {
    let nodes = vec![node("aten.mul.Tensor", &[("self", tensor("a")), ("other", tensor("a"))], "r")];
    let inner = json!({"as_graph": {"name": "inner", "graph": graph(&["a"], nodes, &["r"])}});
    let args = [("", json!({"as_bool": false})), ("", inner), ("", tensor("x"))];
    let mut call = node("higher_order.wrap_with_set_grad_enabled", &args, "");
    call["outputs"] = json!([{"as_tensors": [{"name": "y"}]}]);
    assert_eq!(run(&program(&["x"], vec![call], "y"), &[rows(&[3.0, 4.0])]), [9.0, 16.0]);
}

#[test]
fn a_change_in_place_is_seen_by_views_but_not_by_callers() {
    let clone = node("aten.clone.default", &[("self", tensor("x"))], "c");
    let first = node(
        "aten.select.int",
        &[("self", tensor("c")), ("dim", json!({"as_int": 1})), ("index", json!({"as_int": 0}))],
        "s",
    );
    let add = node("aten.add_.Tensor", &[("self", tensor("s")), ("other", json!({"as_int": 5}))], "t");
    let x = rows(&[1.0, 2.0]);
    assert_eq!(run(&program(&["x"], vec![clone, first, add], "c"), &[x.clone()]), [6.0, 2.0]);
    assert_eq!(x.to_vec::<f32>().expect("floats"), [1.0, 2.0]);
    let mul = node("aten.mul_.Tensor", &[("self", tensor("w")), ("other", json!({"as_int": 5}))], "y");
    // A weight is the model's again in the next run.
    let model = load(&program(&["x"], vec![mul], "w")).unwrap_or_else(|e| panic!("{e}"));
    for _ in 0..2 {
        let out = model.predict(&[x.clone()]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(out[0].to_vec::<f32>().expect("floats"), [5.0, 10.0]);
    }
}

#[test]
fn inputs_are_held_against_the_program() {
    let add = node("aten.add.Tensor", &[("self", tensor("x")), ("other", tensor("y"))], "z");
    let model = load(&program(&["x", "y"], vec![add], "z")).unwrap_or_else(|e| panic!("{e}"));
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype).expect("zeros");
    let good = zeros(&[3, 2], DType::F32);
    for (y, words) in [
        (zeros(&[3, 2], DType::I64), "takes Float32"),
        (zeros(&[3, 3], DType::F32), "takes [_, 2]"),
        (zeros(&[2], DType::F32), "takes [_, 2]"),
        (zeros(&[5, 2], DType::F32), "0 to 4"),
        (zeros(&[2, 2], DType::F32), "`x` has 3"),
    ] {
        let error = model.predict(&[good.clone(), y]).expect_err(words).to_string();
        assert!(error.contains("input `y`") && error.contains(words), "{error}");
    }
    assert!(model.predict(&[good.clone(), good]).is_ok());
}

#[test]
fn operators_that_are_not_known_are_listed_with_their_places() {
    let x = || ("self", tensor("x"));
    let nodes = vec![
        node("aten.linalg_ldl_factor.default", &[x()], "a"),
        node("aten.relu.default", &[x(), ("surprise", json!({"as_int": 1}))], "b"),
        node("aten.linear.default", &[("input", tensor("b"))], "c"),
        node("higher_order.flex_attention", &[("", tensor("c"))], "y"),
    ];
    match load(&program(&["x"], nodes, "y")) {
        Err(ModelError::UnknownOperators { operators, .. }) => {
            let names: Vec<(&str, u32)> = operators.iter().map(|op| (op.name.as_str(), op.place.line)).collect();
            let want = [
                ("torch.ops.aten.linalg_ldl_factor.default", 1),
                ("torch.ops.aten.relu.default with argument `surprise`", 2),
                ("torch.ops.aten.linear.default without its argument `weight`", 3),
                ("torch.ops.higher_order.flex_attention", 4),
            ];
            assert_eq!(names, want);
            assert_eq!(&*operators[0].place.entry, "models/model.json");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_torch_func_leaves_says_how_to_go_on() {
    let mut left = node("x", &[], "y");
    left["target"] = json!("torch._functorch.predispatch._vmap_increment_nesting");
    let error = load(&program(&["x"], vec![left], "y")).expect_err("vmap").to_string();
    assert!(error.contains("_vmap_increment_nesting") && error.contains("run_decompositions()"), "{error}");
}

#[test]
fn what_cannot_be_imported_says_why() {
    let relu = || vec![node("aten.relu.default", &[("self", tensor("x"))], "y")];
    let good = program(&["x"], relu(), "y");
    let changed = |path: &str, to: Json| {
        let mut changed = good.clone();
        *changed.pointer_mut(path).expect(path) = to;
        changed.to_string()
    };
    let weight = |key: &str, to: Json| {
        let mut changed = weights();
        *changed.pointer_mut(&format!("/config/weight/{key}")).expect(key) = to;
        changed
    };
    for (program, weights, words) in [
        (changed("/schema_version/major", json!(7)), weights(), "version 7"),
        (changed("/graph_module/graph/nodes", json!([])), weights(), "`y`"),
        (changed("/graph_module/graph/nodes/0/outputs", json!([tensor("x")])), weights(), "twice"),
        (changed("/graph_module/graph/nodes/0/inputs/0/arg", json!({"as_what": 1})), weights(), "as_what"),
        (changed("/graph_module/graph/nodes/0/inputs/0/arg", json!({"as_int": 1.5})), weights(), "models/model.json"),
        (changed("/graph_module/signature/output_specs", json!([])), weights(), "signature"),
        (
            changed("/graph_module/signature/input_specs/0/parameter/parameter_name", json!("other")),
            weights(),
            "`other`",
        ),
        (
            good.to_string().replacen("\"range_constraints\":{", "\"range_constraints\":{\"n\":{},", 1),
            weights(),
            "twice",
        ),
        (good.to_string(), weight("use_pickle", json!(true)), "pickle"),
        (good.to_string(), weight("path_name", json!("weight_9")), "weight_9"),
        (good.to_string(), weight("tensor_meta/sizes", sizes(&["3"])), "`weight`"),
        (good.to_string(), weight("tensor_meta/sizes", sizes(&["-1"])), "-1"),
        (good.to_string(), weight("tensor_meta/dtype", json!(9)), "complex"),
        (good.to_string(), weight("tensor_meta/dtype", json!(10)), "`weight`"),
        (good.to_string(), weight("tensor_meta/storage_offset", json!({"as_int": i64::MAX})), "`weight`"),
        ("[".repeat(100_000), weights(), "models/model.json"),
    ] {
        let error = load_with(&program, &weights).expect_err(words).to_string();
        assert!(error.starts_with("made.pt2: ") && error.contains(words), "{words}: {error}");
    }
    let mut state = good;
    let written = json!({"buffer_mutation": {"arg": {"name": "y"}, "buffer_name": "count"}});
    state["graph_module"]["signature"]["output_specs"] = json!([written]);
    let model = load(&state).unwrap_or_else(|e| panic!("{e}"));
    assert!(model.outputs().is_empty(), "what a run leaves in the model is no output");
}

/// The call that a program says it has: arguments by place, one by name, and its result.
fn called(made: &mut Json, arguments: &[Json], keyword: Option<&str>, result: Json) {
    let tree = |class: &str, context: Json, children: Vec<Json>| json!({"type": class, "context": context.to_string(), "children_spec": children});
    let keys: Vec<&str> = keyword.into_iter().collect();
    let named = tree("builtins.dict", json!(keys), keys.iter().map(|_| leaf()).collect());
    let spec = tree("builtins.tuple", Json::Null, vec![tree("builtins.tuple", Json::Null, arguments.to_vec()), named]);
    let signature = json!({"in_spec": json!([1, spec]).to_string(), "out_spec": json!([1, result]).to_string()});
    made["graph_module"]["module_call_graph"] = json!([{"fqn": "", "signature": signature}]);
}

fn leaf() -> Json {
    json!({"type": null, "context": null, "children_spec": []})
}

fn list(children: Vec<Json>) -> Json {
    json!({"type": "builtins.list", "context": "null", "children_spec": children})
}

#[test]
fn arguments_have_the_structure_that_the_program_says() {
    let add = node("aten.add.Tensor", &[("self", tensor("x")), ("other", tensor("y"))], "z");
    let mut made = program(&["x", "y"], vec![add], "z");
    let flat = load(&made).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(flat.arguments(), [("x".to_string(), None), ("y".to_string(), None)]);
    called(&mut made, &[list(vec![leaf()])], Some("y"), list(vec![leaf()]));
    let model = load(&made).unwrap_or_else(|e| panic!("{e}"));
    let named = |name: &str, form: Option<&str>| (name.to_string(), form.map(String::from));
    assert_eq!(model.arguments(), [named("argument_0", Some("[Tensor]")), named("y", None)]);
    let names: Vec<String> = model.inputs().into_iter().map(|input| input.name).collect();
    assert_eq!(names, ["argument_0.0", "y"]);
    let x = || Value::Tensor(rows(&[1.0, 2.0]));
    let list_of = |items: Vec<Value>| Value::list(items).expect("list");
    let Ok(Value::List(got)) = model.predict_values(vec![list_of(vec![x()]), x()]) else { panic!("no list") };
    assert_eq!(got.items()[0].to_tensor().and_then(|t| t.to_vec::<f32>().ok()), Some(vec![2.0, 4.0]));
    let tell = |given: Result<Vec<Option<Value>>, ModelError>| given.expect_err("another form").to_string();
    assert_eq!(tell(model.given(vec![x(), x()])), "made.pt2: input `argument_0`: is a tensor, not a list of 1");
    assert_eq!(tell(model.given(vec![list_of(vec![x(), x()])])), "made.pt2: input `argument_0`: has 2 items, not 1");
    let odd = model.given_by_name(vec![("argument_0.0", x())]);
    assert_eq!(tell(odd), "made.pt2: input `argument_0.0`: the model has no such input; it takes argument_0, y");
    let error = model.predict_values(vec![list_of(vec![x()])]).expect_err("one is left out").to_string();
    assert_eq!(error, "made.pt2: input `y`: is not given");

    for (arguments, keyword, result, words) in [
        (vec![leaf()], None, leaf(), "`in_spec` is of 1 values, the program takes 2"),
        (vec![leaf(), leaf()], None, list(vec![leaf(), leaf()]), "`out_spec` is of 2 values, the program gives 1"),
        (
            vec![leaf(), leaf()],
            None,
            json!({"type": "builtins.dict", "context": "[]", "children_spec": [leaf()]}),
            "`out_spec`: a `builtins.dict` of 1 without",
        ),
    ] {
        called(&mut made, &arguments, keyword, result);
        let error = load(&made).expect_err(words).to_string();
        assert!(error.starts_with("made.pt2: entry `models/model.json`: ") && error.contains(words), "{error}");
    }
    made["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json!("[1, 2]");
    assert!(load(&made).expect_err("no tree").to_string().contains("`in_spec` is no tree"));
}

#[test]
fn what_was_settled_is_left_out_or_repeated_inside() {
    let model = Model::load(data().join("recorded/structures.pt2")).unwrap_or_else(|e| panic!("{e}"));
    let forms: Vec<String> = model.arguments().into_iter().filter_map(|(_, form)| form).collect();
    assert_eq!(forms, ["(Tensor, 2, None)", "[Tensor, (Tensor,)]", r#"{"b": Tensor, "a": Tensor}"#]);
    let outputs: Vec<&str> = model.outputs().iter().map(|output| &*output.name).collect();
    assert_eq!(outputs, ["output_0", "output_1.scaled", "output_1.parts.0", "output_1.parts.1"]);
    let x = || Value::Tensor(Tensor::from_slice(&[1.0f32, 2.0], &[2]).expect("x"));
    let tuple = |items: Vec<Value>| Value::tuple(items).expect("tuple");
    for (pair, words) in [
        (vec![x(), Value::Int(3), Value::None], "[1] must be 2, which the model was exported with"),
        (vec![x(), Value::Int(2), x()], "[2] must be None"),
        (vec![x(), Value::Int(2)], "has 2 items, not 3"),
    ] {
        let error = model.given(vec![x(), tuple(pair)]).expect_err(words).to_string();
        assert!(error.contains("input `pair`: ") && error.contains(words), "{error}");
    }
    let given = model.given(vec![x(), tuple(vec![x(), Value::Float(2.0), Value::None])]).expect("that fits");
    assert_eq!(given.iter().filter(|value| value.is_some()).count(), 2);
}
