//! Poolings of ONNX beside plain loops: any number of axes, padding that differs from side to side.

use prost::Message;
use stark_kernels::{DType, Tensor, ops};
use stark_models::Model;
use stark_models::onnx::proto::{ATTR_INTS, AttributeProto};

use crate::common::assert_close;
use crate::onnx_models::{attribute, graph, int, model, node, value};

struct Form {
    sizes: Vec<usize>,
    kernel: Vec<usize>,
    stride: Vec<usize>,
    begin: Vec<usize>,
    end: Vec<usize>,
    count_padding: bool,
}

impl Form {
    fn model(&self, kind: &str, elem: i32) -> Model {
        let ints = |name: &str, numbers: Vec<usize>| AttributeProto {
            ints: numbers.into_iter().map(|n| n as i64).collect(),
            ..attribute(name, ATTR_INTS)
        };
        let mut attributes = vec![
            ints("kernel_shape", self.kernel.clone()),
            ints("strides", self.stride.clone()),
            ints("pads", [&self.begin[..], &self.end[..]].concat()),
        ];
        if kind == "AveragePool" {
            attributes.push(int("count_include_pad", self.count_padding.into()));
        }
        let open = vec![-1; self.sizes.len() + 2];
        let pool = node(kind, &["x"], &["y"], attributes);
        let made = graph(&[value("x", elem, &open)], &[value("y", elem, &open)], vec![pool]);
        Model::load_bytes(model(made).encode_to_vec(), "pool.onnx").unwrap_or_else(|e| panic!("{e}"))
    }

    /// The places of each window that are inside, and how many places it has.
    fn plain(&self, plane: &[f64], is_max: bool) -> Vec<f64> {
        let n = self.sizes.len();
        let outs: Vec<usize> = (0..n)
            .map(|i| (self.sizes[i] + self.begin[i] + self.end[i] - self.kernel[i]) / self.stride[i] + 1)
            .collect();
        let (places, taps): (usize, usize) = (outs.iter().product(), self.kernel.iter().product());
        let window = |out: usize| {
            let (mut top, mut sum, mut inside) = (f64::NEG_INFINITY, 0.0, 0);
            for tap in 0..taps {
                let (mut out, mut tap, mut place, mut step, mut is_inside) = (out, tap, 0, 1, true);
                for i in (0..n).rev() {
                    let at = out % outs[i] * self.stride[i] + tap % self.kernel[i];
                    is_inside &= (self.begin[i]..self.begin[i] + self.sizes[i]).contains(&at);
                    place += at.saturating_sub(self.begin[i]) * step;
                    step *= self.sizes[i];
                    (out, tap) = (out / outs[i], tap / self.kernel[i]);
                }
                if is_inside {
                    (top, sum, inside) = (top.max(plane[place]), sum + plane[place], inside + 1);
                }
            }
            if is_max { top } else { sum / f64::from(if self.count_padding { taps as i32 } else { inside }) }
        };
        (0..places).map(window).collect()
    }

    fn check(&self) {
        let shape = [&[2, 3], &self.sizes[..]].concat();
        let x = ops::randn(&shape, 3, DType::F32).unwrap();
        let n = self.sizes.iter().product::<usize>();
        for (kind, is_max) in [("MaxPool", true), ("AveragePool", false)] {
            let numbers = |x: &Tensor| x.to_scalars().into_iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
            let plain =
                |x: &Tensor| numbers(x).chunks(n).flat_map(|plane| self.plain(plane, is_max)).collect::<Vec<f64>>();
            let what = format!("{kind} of {:?} in {:?}, pads {:?} {:?}", self.kernel, self.sizes, self.begin, self.end);
            let got = self.model(kind, 1).predict(std::slice::from_ref(&x)).unwrap_or_else(|e| panic!("{what}: {e}"));
            let want = Tensor::from_vec(plain(&x), got[0].shape()).unwrap().to(DType::F32).unwrap();
            assert_close(&got[0], &want, 1e-5, 1e-5, &what);
            if is_max {
                let bytes = ops::mul(&x, 40.0).unwrap().to(DType::I8).unwrap();
                let got =
                    self.model(kind, 3).predict(std::slice::from_ref(&bytes)).unwrap_or_else(|e| panic!("{what}: {e}"));
                let want = Tensor::from_vec(plain(&bytes), got[0].shape()).unwrap().to(DType::I8).unwrap();
                assert_close(&got[0], &want, 0.0, 0.0, &what);
            }
        }
    }
}

#[test]
fn poolings_give_what_plain_loops_give() {
    let sizes: [&[usize]; 3] = [&[13], &[7, 9], &[4, 7, 6]];
    // Kernel, stride, and padding before and behind, along every axis.
    let forms = [
        (3, 2, 1, 1),
        (3, 2, 0, 1),
        (3, 2, 1, 0),
        (2, 1, 1, 0),
        (2, 2, 0, 0),
        (4, 3, 3, 2),
        (3, 1, 2, 2),
        (1, 1, 0, 0),
    ];
    for sizes in sizes {
        for (kernel, stride, begin, end) in forms {
            for count_padding in [true, false] {
                let all = |n: usize| vec![n; sizes.len()];
                let mut form = Form {
                    sizes: sizes.to_vec(),
                    kernel: all(kernel),
                    stride: all(stride),
                    begin: all(begin),
                    end: all(end),
                    count_padding,
                };
                form.check();
                // Another window along the first axis, as a sum over neighbouring channels has.
                (form.kernel[0], form.stride[0], form.begin[0], form.end[0]) = (4, 1, 1, 2);
                form.check();
            }
        }
    }
}
