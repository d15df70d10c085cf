//! ONNX files whose nodes are not in the order in which they run, as converters write them that append at the end.

use std::time::{Duration, Instant};

use crate::onnx_models::*;
use stark_models::onnx::proto::*;

fn x() -> ValueInfoProto {
    value("x", FLOAT, &[-1])
}

fn y() -> ValueInfoProto {
    value("y", FLOAT, &[-1])
}

fn plus(a: &str, b: &str, to: &str) -> NodeProto {
    node("Add", &[a, b], &[to], vec![])
}

#[test]
fn nodes_run_after_those_that_give_what_they_read() {
    let nodes = vec![
        plus("c", "b", "y"),
        node("Mul", &["b", "b"], &["c"], vec![]),
        node("Cast", &["x"], &["a"], vec![int("to", FLOAT.into())]),
        plus("a", "a", "b"),
    ];
    assert_eq!(run(&model(graph(&[x()], &[y()], nodes)), &[vector(&[1.0, 2.0])]), [[6.0, 20.0]]);
}

#[test]
fn graphs_of_nodes_are_sorted_and_wait_for_what_they_read_around_them() {
    let branch = |op: &str| {
        let nodes = vec![node(op, &["own", "late"], &["out"], vec![]), plus("x", "x", "own")];
        graph(&[], &[value("out", FLOAT, &[-1])], nodes)
    };
    let choose = || vec![body("then_branch", branch("Add")), body("else_branch", branch("Sub"))];
    let nodes = |cond: &str| vec![node("If", &[cond], &["y"], choose()), node("Mul", &["x", "x"], &["late"], vec![])];
    let made = model(graph(&[x(), value("cond", BOOL, &[])], &[y()], nodes("cond")));
    for (cond, want) in [(true, 15.0), (false, -3.0)] {
        assert_eq!(run(&made, &[vector(&[3.0]), stark_kernels::Tensor::scalar(cond)]), [[want]]);
    }
    // A branch whose output is a name around it.
    let outer = || graph(&[], &[value("late", FLOAT, &[-1])], vec![]);
    let choose = vec![body("then_branch", outer()), body("else_branch", outer())];
    let nodes = vec![node("If", &["cond"], &["y"], choose), node("Mul", &["x", "x"], &["late"], vec![])];
    let made = model(graph(&[x(), value("cond", BOOL, &[])], &[y()], nodes));
    assert_eq!(run(&made, &[vector(&[3.0]), stark_kernels::Tensor::scalar(true)]), [[9.0]]);
}

#[test]
fn functions_are_sorted() {
    let by = AttributeProto { ref_attr_name: "by".into(), ..attribute("value_float", ATTR_FLOAT) };
    let made = with_function(vec![
        node("Mul", &["a", "factor"], &["b"], vec![]),
        node("Constant", &[], &["factor"], vec![by]),
    ]);
    assert_eq!(run(&made, &[vector(&[1.0, 2.0])]), [[3.0, 6.0]]);
}

/// Names in a graph may be those of a later node around it.
#[test]
fn names_that_a_graph_has_of_its_own_do_not_wait() {
    let nodes = vec![plus("x", "x", "later"), plus("later", "later", "out")];
    let inner = || graph(&[], &[value("out", FLOAT, &[-1])], nodes.clone());
    let choose = vec![body("then_branch", inner()), body("else_branch", inner())];
    let outer = vec![node("If", &["cond"], &["y"], choose), node("Neg", &["y"], &["later"], vec![])];
    let made = model(graph(&[x(), value("cond", BOOL, &[])], &[value("later", FLOAT, &[-1])], outer));
    assert_eq!(run(&made, &[vector(&[1.0]), stark_kernels::Tensor::scalar(true)]), [[-4.0]]);
}

#[test]
fn cycles_and_missing_names_are_named_with_their_places() {
    for (nodes, words) in [
        (vec![plus("x", "b", "a"), plus("a", "a", "b"), plus("b", "b", "y")], "main:1: `b`"),
        (vec![plus("x", "y", "y")], "main:1: `y`"),
        (vec![plus("a", "z", "y"), plus("x", "x", "a")], "main:1: `z`"),
    ] {
        let error = load(&model(graph(&[x()], &[y()], nodes))).expect_err(words).to_string();
        assert_eq!(error, format!("made.onnx: {words} is not given by any node before"));
    }
}

#[test]
fn long_files_in_the_worst_order_are_read_in_time() {
    let n = 100_000;
    let step = |i: usize| node("Identity", &[&format!("v{i}")], &[&format!("v{}", i + 1)], vec![]);
    let last = node("Neg", &[&format!("v{n}")], &["y"], vec![]);
    let first = node("Relu", &["x"], &["v0"], vec![]);
    let mut nodes = vec![last];
    nodes.extend((0..n).rev().map(step));
    nodes.push(first);
    let start = Instant::now();
    assert_eq!(run(&model(graph(&[x()], &[y()], nodes.clone())), &[vector(&[2.0])]), [[-2.0]]);
    // The same, in a ring.
    nodes.pop();
    nodes.push(node("Relu", &[&format!("v{n}")], &["v0"], vec![]));
    let error = load(&model(graph(&[x()], &[y()], nodes))).expect_err("a ring").to_string();
    assert!(error.contains("is not given by any node before"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
}

#[test]
fn a_graph_that_holds_itself_through_a_call_is_refused() {
    let given = AttributeProto { ref_attr_name: "g".into(), ..attribute("then_branch", ATTR_GRAPH) };
    let plain = || graph(&[], &[value("out", FLOAT, &[-1])], vec![plus("a", "a", "out")]);
    let yes = TensorProto { data_type: BOOL, int32_data: vec![1], name: "yes".into(), ..Default::default() };
    let choose = |out: &str| node("If", &["yes"], &[out], vec![given.clone(), body("else_branch", plain())]);
    let mut made = with_function(vec![
        node(
            "Constant",
            &[],
            &["yes"],
            vec![AttributeProto { t: Some(Box::new(yes)), ..attribute("value", ATTR_TENSOR) }],
        ),
        choose("b"),
    ]);
    let itself = graph(&[], &[value("out", FLOAT, &[-1])], vec![choose("out")]);
    made.graph.as_mut().expect("graph").node[0].attribute = vec![body("g", itself)];
    let error = load(&made).expect_err("endless").to_string();
    assert!(error.contains("nest deeper"), "{error}");
}
