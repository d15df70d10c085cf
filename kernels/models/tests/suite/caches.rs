//! Caches of keys and values: joins of joins, and attention to what is joined for it, as the file stands and optimised.

use prost::Message;
use stark_kernels::{DType, Tensor, ops};
use stark_models::onnx::proto::{ATTR_INTS, AttributeProto};
use stark_models::{Load, Model};

use crate::common::{assert_close, torchscript};
use crate::onnx_models::{graph, int, ints, model, node, value};

/// A step of a model with a cache.
struct Form<'a> {
    /// Along which new keys and values are joined to those of before.
    grows: &'a str,
    /// Axes of the keys that are exchanged.
    turns: &'a str,
    /// Along which keys and values are stacked, and layers.
    stacks: [&'a str; 2],
    mask: bool,
    /// What else reads the keys.
    beside: bool,
}

const PLAIN: Form = Form { grows: "2", turns: "-1, -2", stacks: ["0", "0"], mask: false, beside: false };

impl Form<'_> {
    fn file(&self) -> Vec<u8> {
        let Form { grows, turns, stacks: [pairs, layers], mask, beside } = self;
        let scores = if *mask { "torch.add(torch.div(s, 2.), m)" } else { "torch.div(s, 2.)" };
        let other = if *beside { "torch.sum(k)" } else { "torch.sum(q)" };
        let code = format!(
            "class M(Module):
  def forward(self: __torch__.M,
    q: Tensor,
    k0: Tensor,
    v0: Tensor,
    k1: Tensor,
    v1: Tensor,
    m: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    k = torch.cat([k0, k1], {grows})
    v = torch.cat([v0, v1], {grows})
    s = torch.matmul(q, torch.transpose(k, {turns}))
    o = torch.matmul(torch.softmax({scores}, -1), v)
    a = torch.stack([k, v], {pairs})
    b = torch.stack([v, torch.cat([k0, k1], {grows})], {pairs})
    c = torch.cat([torch.unsqueeze(a, {layers}), torch.unsqueeze(b, {layers})], {layers})
    return (o, c, {other})
"
        );
        torchscript(&code)
    }

    fn models(&self) -> [Model; 2] {
        let plain = Load::new().passes(&[]).bytes(self.file(), "cache.pt").unwrap_or_else(|e| panic!("{e}"));
        [plain, Model::load_bytes(self.file(), "cache.pt").unwrap_or_else(|e| panic!("{e}"))]
    }
}

fn numbers(shape: &[usize], seed: u64) -> Tensor {
    ops::randn(shape, seed, DType::F32).unwrap()
}

/// Queries, keys and values of before and new ones, and a mask.
fn given([heads, old, new, queries]: [usize; 4]) -> Vec<Tensor> {
    let turned = numbers(&[2, old, heads, 16], 3).transpose(1, 2).unwrap();
    let new = |seed| numbers(&[2, heads, new, 16], seed);
    let mask = numbers(&[queries, old + new(1).shape()[2]], 6);
    vec![numbers(&[2, heads, queries, 16], 1), numbers(&[2, heads, old, 16], 2), turned, new(4), new(5), mask]
}

#[test]
fn what_is_kept_is_copied_once_and_results_stay() {
    let forms = [
        PLAIN,
        Form { grows: "-2", turns: "2, 3", mask: true, ..PLAIN },
        Form { turns: "-2, -1", beside: true, ..PLAIN },
        Form { stacks: ["1", "0"], ..PLAIN },
        Form { stacks: ["-1", "2"], mask: true, ..PLAIN },
    ];
    for (i, form) in forms.iter().enumerate() {
        let [plain, fused] = form.models();
        // A list and its join, attention, a sum, and the tuple; keys that somebody else reads are joined for that.
        let n = if form.beside { 10 } else { 5 };
        assert_eq!(fused.graph().body.len(), n, "form {i}: {:?}", fused.graph().body);
        for sizes in [[3, 5, 1, 1], [2, 0, 4, 4], [4, 700, 2, 2], [1, 6, 6, 6], [2, 40, 3, 70]] {
            let given = given(sizes);
            let (want, got) = (plain.predict(&given), fused.predict(&given));
            let (want, got) = (want.unwrap_or_else(|e| panic!("{e}")), got.unwrap_or_else(|e| panic!("{e}")));
            assert_close(&got[0], &want[0], 1e-5, 1e-5, &format!("attention of form {i}, {sizes:?}"));
            for (got, want) in got[1..].iter().zip(&want[1..]) {
                assert_close(got, want, 0.0, 0.0, &format!("cache of form {i}, {sizes:?}"));
            }
        }
    }
}

/// Axes and types that the kernel does not know run as the file has them, and what does not fit is told in both.
#[test]
fn other_joins_run_as_they_stand() {
    for form in
        [Form { grows: "1", ..PLAIN }, Form { grows: "-1", turns: "3, 2", ..PLAIN }, Form { turns: "1, 2", ..PLAIN }]
    {
        let [plain, fused] = form.models();
        let given: Vec<Tensor> = (0..6).map(|seed| numbers(&[2, 16, 16, 16], seed)).collect();
        match (plain.predict(&given), fused.predict(&given)) {
            (Ok(want), Ok(got)) => {
                want.iter().zip(&got).for_each(|(want, got)| assert_close(got, want, 1e-5, 1e-5, "another join"));
            }
            // In the words of one operator or the other.
            (Err(_), Err(_)) => {}
            (want, got) => panic!("{want:?}, optimised {got:?}"),
        }
    }
    let [plain, fused] = PLAIN.models();
    let mut given = given([2, 5, 1, 1]);
    for at in 0..given.len() - 1 {
        let right = std::mem::replace(&mut given[at], numbers(&[2, 2, 5, 15], 9));
        let [want, got] = [&plain, &fused].map(|model| model.predict(&given).map(|_| ()).unwrap_err().to_string());
        assert!(want.contains("cache.pt") && got.contains("cache.pt"), "{want}\n{got}");
        given[at] = right.to(DType::F64).unwrap();
        let [want, got] = [&plain, &fused].map(|model| model.predict(&given).map_err(|e| e.to_string()));
        match (want, got) {
            (Ok(want), Ok(got)) => {
                want.iter().zip(&got).for_each(|(want, got)| assert_close(got, want, 1e-5, 1e-5, "another type"));
            }
            (want, got) => assert!(want.is_err() && got.is_err(), "{want:?}, optimised {got:?}"),
        }
        given[at] = right;
    }
}

/// Each of a join's parts is the join before it, so that there are more ways through them than could ever be looked at.
#[test]
fn joins_that_name_one_another_many_times_are_loaded_in_time() {
    let mut code = String::from("class M(Module):\n  def forward(self: __torch__.M,\n    a0: Tensor) -> Tensor:\n");
    for i in 0..40 {
        code.push_str(&format!("    a{} = torch.cat([{}], 0)\n", i + 1, vec![format!("a{i}"); 20].join(", ")));
    }
    code.push_str("    return a40\n");
    let file = torchscript(&code);
    let model = Model::load_bytes(file, "joins.pt").unwrap_or_else(|e| panic!("{e}"));
    let out = model.predict(&[Tensor::zeros(&[0, 1], DType::F32).unwrap()]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(out[0].shape(), [0, 1]);
}

/// PyTorch's own attention reads what is joined for it where it lies, whatever its mask, heads and scale.
#[test]
fn attention_of_pytorch_takes_keys_and_values_in_parts() {
    // The mask, whether it is causal, the scale, whether heads are shared; and along which axis keys and values are joined.
    let forms = [
        ("m, 0., False", "None, False", "2"),
        ("None, 0., False", "0.3, False", "-2"),
        ("None, 0., True", "None, False", "2"),
        ("None, 0., False", "None, True", "2"),
        ("m, 0., False", "None, False", "1"),
        ("m, 0.5, False", "None, False", "2"),
    ];
    for (i, (mask, scale, grows)) in forms.into_iter().enumerate() {
        // As transformers lay out what is joined.
        let (k, v) = if i % 2 == 0 { ("k", "v") } else { ("torch.contiguous(k)", "torch.contiguous(v)") };
        let code = format!(
            "class M(Module):
  def forward(self: __torch__.M,
    q: Tensor,
    k0: Tensor,
    v0: Tensor,
    k1: Tensor,
    v1: Tensor,
    m: Tensor) -> Tuple[Tensor, Tensor]:
    k = torch.cat([k0, k1], {grows})
    v = torch.cat([v0, v1], {grows})
    o = torch.scaled_dot_product_attention(q, {k}, {v}, {mask}, {scale})
    return (o, torch.stack([torch.cat([k0, k1], {grows}), v]))
"
        );
        let file = || torchscript(&code);
        let plain = Load::new().passes(&[]).bytes(file(), "cache.pt").unwrap_or_else(|e| panic!("{e}"));
        let fused = Model::load_bytes(file(), "cache.pt").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(fused.graph().body.len(), 4, "form {i}: {:?}", fused.graph().body);
        for sizes in [[4, 5, 1, 1], [4, 7, 4, 4], [4, 33, 6, 6], [4, 700, 2, 2]] {
            let mut given = given(sizes);
            if scale.ends_with("True") {
                (1..5).for_each(|at| given[at] = given[at].narrow(1, 1, 2).unwrap());
            }
            match (plain.predict(&given), fused.predict(&given)) {
                (Ok(want), Ok(got)) => {
                    assert!((4..6).all(|wrong| wrong != i), "form {i} runs");
                    assert_close(&got[0], &want[0], 1e-5, 1e-5, &format!("form {i}, {sizes:?}"));
                    assert_close(&got[1], &want[1], 0.0, 0.0, &format!("cache of form {i}, {sizes:?}"));
                    let wide: Vec<Tensor> = given.iter().map(|t| t.to(DType::F64).unwrap()).collect();
                    let [want, got] = [&plain, &fused].map(|m| m.predict(&wide).unwrap_or_else(|e| panic!("{e}")));
                    assert_close(&got[0], &want[0], 1e-12, 1e-12, &format!("form {i}, {sizes:?} of Float64"));
                }
                (Err(want), Err(got)) => {
                    assert!(i >= 4, "form {i}: {want}");
                    assert!(i == 4 || want.to_string() == got.to_string(), "{want}\n{got}");
                }
                (want, got) => panic!("form {i}: {want:?}, optimised {got:?}"),
            }
        }
    }
}

/// Attention with a cache as PyTorch's exporter writes it for ONNX: keys are transposed by way of other shapes, whose sizes come
/// from their own. `order`: how the flat keys are transposed; `last`: which of their sizes (0 those in front, 1 the second
/// last, 2 the last) their last shape has.
fn exported(order: [i64; 3], flat: [usize; 2], last: [usize; 3], of: &str) -> Vec<u8> {
    let perm = |ints: &[i64]| AttributeProto {
        name: "perm".into(),
        r#type: ATTR_INTS,
        ints: ints.to_vec(),
        ..Default::default()
    };
    let sizes = ["lead", "second", "last"];
    let axis = |axis| vec![int("axis", axis)];
    let nodes = vec![
        node("Concat", &["k0", "k1"], &["k"], axis(-2)),
        node("Concat", &["v0", "v1"], &["v"], axis(-2)),
        node("Shape", &[of], &["shape"], vec![]),
        node("Slice", &["shape", "least", "-2"], &["lead"], vec![]),
        node("Slice", &["shape", "-2", "-1"], &["second"], vec![]),
        node("Slice", &["shape", "-1", "most"], &["last"], vec![]),
        node("Concat", &["-1", sizes[flat[0]], sizes[flat[1]]], &["before"], axis(0)),
        node("Reshape", &["k", "before"], &["flat"], vec![]),
        node("Transpose", &["flat"], &["turned"], vec![perm(&order)]),
        node("Concat", &last.map(|at| sizes[at]), &["after"], axis(0)),
        node("Reshape", &["turned", "after"], &["kt"], vec![]),
        node("MatMul", &["q", "kt"], &["scores"], vec![]),
        node("Add", &["scores", "m"], &["masked"], vec![]),
        node("Softmax", &["masked"], &["weights"], axis(-1)),
        node("MatMul", &["weights", "v"], &["o"], vec![]),
        node("Concat", &["k", "v"], &["cache"], axis(0)),
    ];
    let dims = &[-1, -1, -1, -1];
    let inputs: Vec<_> = ["q", "k0", "v0", "k1", "v1"]
        .iter()
        .map(|name| value(name, 1, dims))
        .chain([value("m", 1, &[-1, -1])])
        .collect();
    let mut made = graph(&inputs, &[value("o", 1, dims), value("cache", 1, dims)], nodes);
    made.initializer = [("-1", -1), ("-2", -2), ("least", i64::MIN), ("most", i64::MAX)]
        .iter()
        .map(|&(name, x)| ints(name, &[1], &[x]))
        .collect();
    model(made).encode_to_vec()
}

#[test]
fn keys_transposed_by_way_of_other_shapes_are_read_where_they_lie() {
    let forms = [
        ([0, 2, 1], [1, 2], [0, 2, 1], "k"),
        // Not the exchange: other sizes, another order, the shape of another tensor.
        ([0, 2, 1], [1, 2], [0, 1, 2], "k"),
        ([0, 2, 1], [2, 1], [0, 2, 1], "k"),
        ([0, 1, 2], [1, 2], [0, 2, 1], "k"),
        ([0, 2, 1], [1, 2], [0, 2, 1], "v"),
    ];
    for (i, (order, flat, last, of)) in forms.into_iter().enumerate() {
        let file = || exported(order, flat, last, of);
        let plain = Load::new().passes(&[]).bytes(file(), "cache.onnx").unwrap_or_else(|e| panic!("{e}"));
        let fused = Model::load_bytes(file(), "cache.onnx").unwrap_or_else(|e| panic!("{e}"));
        if i == 0 {
            // Attention, the list of the cache and its join, and the outputs.
            assert_eq!(fused.graph().body.len(), 4, "{:?}", fused.graph().body);
        }
        // As long as wide, so that other orders are of one shape.
        for sizes in [[3, 15, 1, 1], [2, 10, 6, 6], [1, 12, 4, 4]] {
            let given = given(sizes);
            let [want, got] =
                [&plain, &fused].map(|model| model.predict(&given).unwrap_or_else(|e| panic!("{i}: {e}")));
            assert_close(&got[0], &want[0], 1e-5, 1e-5, &format!("form {i}, {sizes:?}"));
            assert_close(&got[1], &want[1], 0.0, 0.0, &format!("cache of form {i}, {sizes:?}"));
        }
        if i == 0 {
            for sizes in [[3, 5, 1, 1], [2, 500, 2, 2], [2, 9, 3, 3]] {
                let given = given(sizes);
                let [want, got] = [&plain, &fused].map(|model| model.predict(&given).unwrap_or_else(|e| panic!("{e}")));
                assert_close(&got[0], &want[0], 1e-5, 1e-5, &format!("{sizes:?}"));
            }
        }
    }
}
