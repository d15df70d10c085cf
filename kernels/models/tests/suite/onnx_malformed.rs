//! Nodes that the standard calls errors are refused, and what is only unusual is not.

use crate::onnx_models::*;
use stark_kernels::{DType, Tensor};
use stark_models::onnx::proto::*;

const DOUBLE: i32 = 11;

fn list(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { ints: ints.to_vec(), ..attribute(name, ATTR_INTS) }
}

/// What the node says when it meets zeros of these shapes, `c` being whole numbers of the model; nothing when it runs.
fn said(op: &str, a: &[i64], b: &[i64], c: &[i64], inputs: &[&str], n: usize, attributes: &[AttributeProto]) -> String {
    let outputs: Vec<String> = (0..n).map(|i| format!("y{i}")).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let values: Vec<ValueInfoProto> =
        outputs.iter().map(|name| ValueInfoProto { name: (*name).into(), r#type: None }).collect();
    let given = [value("a", FLOAT, a), value("b", if op == "Concat" { DOUBLE } else { FLOAT }, b)];
    let mut made = graph(&given, &values, vec![node(op, inputs, &outputs, attributes.to_vec())]);
    made.initializer = vec![ints("c", &[c.len() as i64], c), ints("last", &[2], &[3, 3])];
    made.initializer.push(ints("axes", &[2], &[0, -2]));
    let model = match load(&ModelProto { opset_import: vec![opset("", 18)], ..model(made) }) {
        Ok(model) => model,
        Err(error) => return error.to_string(),
    };
    let zeros = |dims: &[i64], dtype| {
        Tensor::zeros(&dims.iter().map(|&n| n as usize).collect::<Vec<_>>(), dtype).expect("zeros")
    };
    let of_b = if op == "Concat" { DType::F64 } else { DType::F32 };
    model.predict(&[zeros(a, DType::F32), zeros(b, of_b)]).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn convolutions_and_pools_whose_windows_do_not_fit_are_refused() {
    let weighted = |op: &str, attributes: &[AttributeProto]| {
        said(op, &[1, 1, 6, 6], &[1, 1, 3, 3], &[], &["a", "b"], 1, attributes)
    };
    for op in ["Conv", "ConvTranspose"] {
        for told in [&[2, 2][..], &[0, 0], &[3, 3, 3]] {
            let error = weighted(op, &[list("kernel_shape", told)]);
            let words = format!("kernel_shape is {told:?}, but the weight has a window of [3, 3]");
            assert!(error.contains("main:1: ") && error.contains(&words), "{op} {told:?}: {error}");
        }
        assert_eq!(weighted(op, &[list("kernel_shape", &[3, 3])]), "");
    }
    // Six places of three reach over eight, and over one more with a stride of two.
    for (stride, told, words) in [
        (1, &[100, 100][..], "output_shape is 100 on axis 2, where pads can give 1 to 8"),
        (1, &[8, 9], "output_shape is 9 on axis 3, where pads can give 1 to 8"),
        (1, &[0, 0], "output_shape is 0 on axis 2"),
        (1, &[-1, -1], "output_shape is -1 on axis 2"),
        (1, &[1, 1, 8, 8], "`output_shape` has 4 numbers, not 2"),
        (2, &[15, 15], "output_shape is 15 on axis 2, where pads can give 1 to 14"),
        (1, &[8, 1], ""),
        (2, &[14, 13], ""),
    ] {
        let error = weighted("ConvTranspose", &[list("output_shape", told), list("strides", &[stride, stride])]);
        assert!(error.contains(words) && error.is_empty() == words.is_empty(), "{told:?}: {error}");
    }
    for op in ["MaxPool", "AveragePool", "LpPool"] {
        for (kernel, dilation, pads, is_right) in [
            (2, 1, [2, 2, 2, 2], false),
            (2, 1, [2, 0, 0, 0], false),
            (2, 1, [0, 0, 0, 2], false),
            (1, 1, [1, 1, 1, 1], false),
            (2, 2, [3, 3, 3, 3], false),
            (2, 1, [1, 1, 1, 1], true),
            (3, 1, [2, 2, 2, 2], true),
            // A dilated window reaches further than its size.
            (2, 2, [2, 2, 2, 2], true),
        ] {
            let sizes = [list("kernel_shape", &[kernel; 2]), list("dilations", &[dilation; 2]), list("pads", &pads)];
            let error = said(op, &[1, 1, 6, 6], &[], &[], &["a"], 1, &sizes);
            let words = "are no less than its window, which spans";
            assert!(error.contains(words) != is_right, "{op} {kernel} {pads:?}: {error}");
        }
    }
}

#[test]
fn other_nodes_that_contradict_themselves_are_refused() {
    let axis = || int("axis", 0);
    let parts = |n: i64| int("num_outputs", n);
    for (op, c, inputs, n, attributes, words) in [
        ("Split", &[][..], &["a"][..], 2, vec![parts(3)], "num_outputs is 3, but the node has 2 outputs"),
        ("Split", &[], &["a"], 3, vec![parts(2)], "num_outputs is 2, but the node has 3 outputs"),
        ("Split", &[], &["a"], 2, vec![parts(0)], "num_outputs is 0"),
        ("Split", &[2, 2], &["a", "c"], 2, vec![parts(2)], "`split` or `num_outputs`, not both"),
        ("Split", &[], &["a"], 2, vec![parts(2)], ""),
        ("Split", &[], &["a"], 3, vec![parts(3)], ""),
        ("Split", &[1, 3], &["a", "c"], 2, vec![], ""),
        ("Concat", &[], &["a", "b"], 1, vec![axis()], "parts of Float32 and Float64: all must be of one element type"),
        ("Concat", &[], &["a", "a"], 1, vec![axis()], ""),
        ("Cast", &[], &["a"], 1, vec![int("to", 0)], "Cast to element type UNDEFINED"),
        ("Unsqueeze", &[0, 0], &["a", "c"], 1, vec![], "axis 0 is named twice"),
        ("Unsqueeze", &[-1, 3], &["a", "c"], 1, vec![], "axis 3 is named twice"),
        ("Unsqueeze", &[3, 0], &["a", "c"], 1, vec![], ""),
        ("Slice", &[0, 0], &["a", "c", "last", "axes"], 1, vec![], "axis 0 is named twice"),
        ("Slice", &[0, 0], &["a", "c", "last", "c"], 1, vec![], "axis 0 is named twice"),
        ("Slice", &[0, 1], &["a", "c", "last", "c"], 1, vec![], ""),
        ("Tile", &[1, 2, 3], &["a", "c"], 1, vec![], "3 repeats for rank 2"),
        ("Tile", &[2], &["a", "c"], 1, vec![], "1 repeats for rank 2"),
        ("Tile", &[2, 1], &["a", "c"], 1, vec![], ""),
    ] {
        let error = said(op, &[4, 2], &[4, 2], c, inputs, n, &attributes);
        assert!(error.contains(words) && error.is_empty() == words.is_empty(), "{op} {c:?} {attributes:?}: {error}");
    }
}
