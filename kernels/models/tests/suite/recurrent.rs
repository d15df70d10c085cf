//! Recurrent layers of ONNX on the processor beside the reference, which runs them operator by operator.

use prost::Message;
use stark_kernels::{DType, Device, Tensor, ops, with_device};
use stark_models::Model;
use stark_models::onnx::proto::{ATTR_STRING, ATTR_STRINGS, AttributeProto};

use crate::common::assert_close;
use crate::onnx_models::{attribute, floats, graph, int, model, node, value};

fn numbers(shape: &[usize], seed: u64) -> Tensor {
    ops::mul(&ops::randn(shape, seed, DType::F32).unwrap(), 0.25).unwrap()
}

/// A layer's kind, what else it says, and whether its weights are constants.
struct Form<'a> {
    kind: &'a str,
    direction: &'a str,
    more: Vec<AttributeProto>,
    are_constant: bool,
}

const INPUT: usize = 5;
const HIDDEN: usize = 19;

impl Form<'_> {
    fn names(&self) -> [&'static str; 6] {
        ["x", "w", "r", "b", "lengths", "h"]
    }

    fn weights(&self) -> Vec<(&'static str, Tensor)> {
        let n = if self.direction == "bidirectional" { 2 } else { 1 };
        let gates = match self.kind {
            "LSTM" => 4,
            "GRU" => 3,
            _ => 1,
        };
        let rows = gates * HIDDEN;
        vec![
            ("w", numbers(&[n, rows, INPUT], 1)),
            ("r", numbers(&[n, rows, HIDDEN], 2)),
            ("b", numbers(&[n, 2 * rows], 3)),
        ]
    }

    fn model(&self) -> Model {
        let text =
            |name: &str, s: &str| AttributeProto { s: s.as_bytes().to_vec().into(), ..attribute(name, ATTR_STRING) };
        let mut attributes = vec![text("direction", self.direction), int("hidden_size", HIDDEN as i64)];
        attributes.extend(self.more.iter().cloned());
        let layer = node(self.kind, &self.names(), &["y", "last"], attributes);
        let open = |name: &str, elem: i32, rank: usize| value(name, elem, &vec![-1; rank]);
        let mut inputs = vec![open("x", 1, 3), open("lengths", 6, 1), open("h", 1, 3)];
        let weights = self.weights();
        if !self.are_constant {
            inputs.extend(weights.iter().map(|(name, w)| open(name, 1, w.rank())));
        }
        let mut made = graph(&inputs, &[open("y", 1, 4), open("last", 1, 3)], vec![layer]);
        if self.are_constant {
            let constant = |(name, w): &(&str, Tensor)| {
                let dims: Vec<i64> = w.shape().iter().map(|&n| n as i64).collect();
                floats(name, &dims, &w.to_vec::<f32>().unwrap())
            };
            made.initializer = weights.iter().map(constant).collect();
        }
        Model::load_bytes(model(made).encode_to_vec(), "recurrent.onnx").unwrap_or_else(|e| panic!("{e}"))
    }

    /// Of this many steps of sequences that are so long.
    fn given(&self, length: usize, lengths: &[i32]) -> Vec<Tensor> {
        let (n, batch) = (if self.direction == "bidirectional" { 2 } else { 1 }, lengths.len());
        let lengths = Tensor::from_slice(lengths, &[batch]).unwrap();
        let mut all = vec![numbers(&[length, batch, INPUT], 7), lengths, numbers(&[n, batch, HIDDEN], 8)];
        if !self.are_constant {
            all.extend(self.weights().into_iter().map(|(_, w)| w));
        }
        all
    }
}

#[test]
fn layers_give_what_their_operators_give() {
    let strings = |names: &[&str]| AttributeProto {
        strings: names.iter().map(|name| name.as_bytes().to_vec().into()).collect(),
        ..attribute("activations", ATTR_STRINGS)
    };
    let clip = AttributeProto { f: 0.3, ..attribute("clip", stark_models::onnx::proto::ATTR_FLOAT) };
    for (kind, more) in [
        ("LSTM", vec![]),
        ("LSTM", vec![clip]),
        ("LSTM", vec![int("input_forget", 1)]),
        ("LSTM", vec![strings(&["Sigmoid", "Tanh", "Softsign"])]),
        ("GRU", vec![int("linear_before_reset", 1)]),
        ("GRU", vec![]),
        ("RNN", vec![]),
        ("RNN", vec![strings(&["Relu"])]),
    ] {
        for direction in ["forward", "reverse", "bidirectional"] {
            for are_constant in [true, false] {
                let twice = |mut attribute: AttributeProto| {
                    if direction == "bidirectional" {
                        attribute.strings = [&attribute.strings[..], &attribute.strings[..]].concat();
                    }
                    attribute
                };
                let form = Form { kind, direction, more: more.iter().cloned().map(twice).collect(), are_constant };
                let model = form.model();
                for (length, lengths) in
                    [(6, &[6, 6, 6][..]), (6, &[2, 6, 0]), (1, &[1]), (40, &[40]), (3, &[]), (0, &[0, 0])]
                {
                    let given = form.given(length, lengths);
                    let what = format!("{kind} {direction}, {length} steps {lengths:?}, constant: {are_constant}");
                    let run = |device| {
                        with_device(device, || model.predict(&given)).unwrap_or_else(|e| panic!("{what}: {e}"))
                    };
                    // Twice: what was kept is used again.
                    let (want, _, got) = (run(Device::Reference), run(Device::Cpu), run(Device::Cpu));
                    for (got, want) in got.iter().zip(&want) {
                        assert_close(got, want, 1e-5, 1e-5, &what);
                    }
                }
            }
        }
    }
}
