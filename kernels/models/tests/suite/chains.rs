//! The optimiser over random chains of convolutions and what may follow them, against the file as it stands on the
//! reference device. Real models hold few of the orders in which these operators can come.

use prost::Message;
use stark_kernels::{DType, Device, Tensor, ops, with_device};
use stark_models::onnx::proto::{ATTR_FLOAT, ATTR_INTS, AttributeProto, GraphProto, NodeProto, TensorProto};
use stark_models::opt::Pass;
use stark_models::{Load, Model};

use crate::common::{Random, assert_close, torchscript};
use crate::onnx_models::{attribute, floats, graph, model, node, value};

const CHANNELS: usize = 8;
/// Sums in another order, over a dozen operators.
const CLOSE: f64 = 1e-3;

/// What gives the next value, from values by their places in the chain.
enum Step {
    /// Side of the window.
    Conv(usize, usize),
    BatchNorm(usize),
    Add(usize, usize),
    /// The greatest of each two by two positions.
    Pool(usize),
    /// A name in TorchScript, with arguments, and one in ONNX.
    Activation(usize, &'static str, &'static str, &'static str),
}

const ACTIVATIONS: [(&str, &str, &str); 5] = [
    ("relu", "", "Relu"),
    ("tanh", "", "Tanh"),
    ("sigmoid", "", "Sigmoid"),
    ("leaky_relu", ", 0.25", "LeakyRelu"),
    ("hardswish", "", "HardSwish"),
];

/// Poolings that a value may have behind it.
const MAX_POOLINGS: usize = 2;

fn chain(random: &mut Random, n_axes: usize) -> Vec<Step> {
    // How often each value was halved: values of unequal sizes are not added.
    let mut halvings = vec![0];
    (0..2 + random.below(8))
        .map(|last| {
            // Mostly what was made last; values that are read twice, or never, are kept or dropped.
            let any = |random: &mut Random| if random.below(4) > 0 { last } else { random.below(last + 1) };
            let from = any(random);
            let other = random.below(last + 1);
            let (n, is_equal) = (halvings[from], halvings[other] == halvings[from]);
            halvings.push(n);
            match random.below(7) {
                _ if last == 0 => Step::Conv(from, 1),
                0 => Step::Conv(from, 1),
                1 => Step::Conv(from, 3),
                2 => Step::BatchNorm(from),
                3 if is_equal => Step::Add(from, other),
                4 if n_axes == 2 && n < MAX_POOLINGS => {
                    halvings[last + 1] = n + 1;
                    Step::Pool(from)
                }
                _ => {
                    let (script, more, onnx) = ACTIVATIONS[random.below(ACTIVATIONS.len())];
                    Step::Activation(from, script, more, onnx)
                }
            }
        })
        .collect()
}

/// The weights of step `at`: all numbers differ, and variances are positive.
fn weights(at: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7 + at * 3) as f32).sin() * 0.3 + 0.05).collect()
}

/// `n_axes` of the image beside batch and channels; without the second `torch.conv2d` is written as traces do.
fn script(steps: &[Step], n_axes: usize, is_traced: bool) -> Vec<u8> {
    let list = |n: usize| format!("{:?}", vec![n; n_axes]);
    let mut code = String::from("class M(Module):\n  def forward(self: __torch__.M,\n    v0: Tensor) -> Tensor:\n");
    let mut line = |text: String| code.push_str(&format!("    {text}\n"));
    for (at, step) in steps.iter().enumerate() {
        let numbers = |n: usize, add: f64| {
            format!("torch.add(torch.mul(torch.sin(torch.arange({}, {}, 7)), 0.3), {add})", at * 3, at * 3 + n * 7)
        };
        let call = match *step {
            Step::Conv(x, side) => {
                let (weight, bias) =
                    (numbers(CHANNELS * CHANNELS * side.pow(n_axes as u32), 0.05), numbers(CHANNELS, 0.05));
                let shape = [vec![CHANNELS; 2], vec![side; n_axes]].concat();
                line(format!("w{at} = torch.reshape({weight}, {shape:?})"));
                let places = format!("{}, {}, {}", list(1), list(side / 2), list(1));
                match is_traced || n_axes != 2 {
                    true => format!(
                        "_convolution(v{x}, w{at}, {bias}, {places}, False, {}, 1, False, False, True, True)",
                        list(0)
                    ),
                    false => format!("conv2d(v{x}, w{at}, {bias}, {places}, 1)"),
                }
            }
            Step::BatchNorm(x) => {
                let (row, var) = (numbers(CHANNELS, 0.05), numbers(CHANNELS, 1.0));
                format!("batch_norm(v{x}, {var}, {row}, {row}, {var}, False, 0.1, 1e-5, True)")
            }
            Step::Add(a, b) => format!("add(v{a}, v{b})"),
            Step::Pool(x) => format!("max_pool2d(v{x}, [2, 2], [2, 2], [0, 0], [1, 1], False)"),
            Step::Activation(x, name, more, _) => format!("{name}(v{x}{more})"),
        };
        line(format!("v{} = torch.{call}", at + 1));
    }
    line(format!("return v{}", steps.len()));
    torchscript(&code)
}

fn onnx(steps: &[Step], n_axes: usize) -> Vec<u8> {
    let (mut nodes, mut initializer): (Vec<NodeProto>, Vec<TensorProto>) = (Vec::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        let mut weight = |tag: &str, shape: &[usize], add: f32| {
            let name = format!("{tag}{at}");
            let numbers: Vec<f32> = weights(at, shape.iter().product()).iter().map(|x| x + add).collect();
            let dims: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
            initializer.push(floats(&name, &dims, &numbers));
            name
        };
        let v = |place: usize| format!("v{place}");
        let (op, inputs, attributes) = match *step {
            Step::Conv(x, side) => {
                let shape = [vec![CHANNELS; 2], vec![side; n_axes]].concat();
                let ints = vec![side as i64 / 2; 2 * n_axes];
                let pads = AttributeProto { ints, ..attribute("pads", ATTR_INTS) };
                ("Conv", vec![v(x), weight("w", &shape, 0.0), weight("b", &[CHANNELS], 0.0)], vec![pads])
            }
            Step::BatchNorm(x) => {
                let [scale, bias, mean] = ["g", "b", "m"].map(|tag| weight(tag, &[CHANNELS], 0.0));
                ("BatchNormalization", vec![v(x), scale, bias, mean, weight("var", &[CHANNELS], 1.0)], vec![])
            }
            Step::Add(a, b) => ("Add", vec![v(a), v(b)], vec![]),
            Step::Pool(x) => {
                let two = |name: &str| AttributeProto { ints: vec![2, 2], ..attribute(name, ATTR_INTS) };
                ("MaxPool", vec![v(x)], vec![two("kernel_shape"), two("strides")])
            }
            Step::Activation(x, _, _, name @ "LeakyRelu") => {
                (name, vec![v(x)], vec![AttributeProto { f: 0.25, ..attribute("alpha", ATTR_FLOAT) }])
            }
            Step::Activation(x, _, _, name) => (name, vec![v(x)], vec![]),
        };
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        nodes.push(node(op, &inputs, &[&v(at + 1)], attributes));
    }
    let dims = [&[-1, CHANNELS as i64][..], &vec![-2; n_axes]].concat();
    let last = format!("v{}", steps.len());
    let graph = graph(&[value("v0", 1, &dims)], &[value(&last, 1, &dims)], nodes);
    model(GraphProto { initializer, ..graph }).encode_to_vec()
}

#[test]
fn what_follows_a_convolution_is_taken_up_once() {
    let mut random = Random(11);
    let mut n_fewer = 0;
    for round in 0..150 {
        let n_axes = 1 + random.below(2);
        let steps = chain(&mut random, n_axes);
        // Large enough for all poolings.
        let least = if n_axes == 2 { 1 << MAX_POOLINGS } else { 1 };
        let shape: Vec<usize> =
            [1 + random.below(3), CHANNELS].into_iter().chain((0..n_axes).map(|_| least + random.below(5))).collect();
        let x = ops::randn(&shape, round, DType::F32).expect("x");
        let files = [
            ("made.pt", script(&steps, n_axes, false)),
            ("made.pt", script(&steps, n_axes, true)),
            ("made.onnx", onnx(&steps, n_axes)),
        ];
        for (name, bytes) in files {
            let what = format!("round {round}, {name}");
            let load = |passes: &[Pass]| {
                Load::new().passes(passes).bytes(bytes.clone(), name).unwrap_or_else(|e| panic!("{what}: {e}"))
            };
            let predict = |model: &Model| {
                model.predict(std::slice::from_ref(&x)).unwrap_or_else(|e| panic!("{what}: {e}")).remove(0)
            };
            let (plain, fused) = (load(&[]), load(&Pass::ALL));
            n_fewer += usize::from(fused.graph().body.len() < steps.len());
            let want: Tensor = with_device(Device::Reference, || predict(&plain));
            assert_close(&predict(&fused), &want, CLOSE, CLOSE, &what);
            assert_close(&with_device(Device::Reference, || predict(&fused)), &want, CLOSE, CLOSE, &what);
        }
    }
    // Otherwise nothing was fused anywhere, and the comparison says nothing.
    assert!(n_fewer > 100, "{n_fewer} graphs became shorter than their chain");
}
