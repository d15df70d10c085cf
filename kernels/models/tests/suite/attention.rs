//! Attention as files spell it out, as it stands and as one operator.

use stark_kernels::{DType, Tensor, ops};
use stark_models::{Load, Model};

use crate::common::{assert_close, zip};

/// A module of queries, keys, values and a mask, whose scores and weights are these lines.
fn models(lines: &[&str]) -> [Model; 2] {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let code = format!(
        "class M(Module):\n  def forward(self: __torch__.M,\n    q: Tensor,\n    k: Tensor,\n    v: Tensor,\n    m: Tensor) -> Tensor:\n\
         {lines}    return torch.matmul(w, v)\n"
    );
    let file = || {
        zip(&[
            ("m/data.pkl", b"\x80\x02c__torch__\nM\n)\x81}b.".to_vec()),
            ("m/constants.pkl", b"\x80\x02).".to_vec()),
            ("m/version", b"3\n".to_vec()),
            ("m/code/__torch__.py", code.clone().into_bytes()),
        ])
    };
    let plain = Load::new().passes(&[]).bytes(file(), "attention.pt").unwrap_or_else(|e| panic!("{e}"));
    [plain, Model::load_bytes(file(), "attention.pt").unwrap_or_else(|e| panic!("{e}"))]
}

const TURNED: &str = "t = torch.transpose(k, -1, -2)";
const HIDDEN: [&str; 2] = ["p = torch.softmax(s, -1)", "w = torch.where(torch.isnan(p), 0., p)"];

fn numbers(shape: &[usize], seed: u64) -> Tensor {
    ops::randn(shape, seed, DType::F32).unwrap()
}

/// Queries, keys, values, and a mask that hides every key from the second query.
fn given(l: usize) -> Vec<Tensor> {
    let mut mask = numbers(&[l, 9], 4);
    for key in 0..9 {
        mask.set(&[1, key], f64::NEG_INFINITY).unwrap();
    }
    vec![numbers(&[2, 3, l, 8], 1), numbers(&[2, 3, 9, 8], 2), numbers(&[2, 3, 9, 8], 3), mask]
}

fn compare(models: &[Model; 2], given: &[Tensor], what: &str) {
    let [want, got] = [0, 1].map(|i| models[i].predict(given).unwrap_or_else(|e| panic!("{what}: {e}")));
    assert_close(&got[0], &want[0], 1e-5, 1e-5, what);
}

#[test]
fn queries_and_keys_may_be_scaled_before_and_nan_hidden() {
    let forms: [&[&str]; 6] = [
        &[TURNED, "s = torch.matmul(torch.mul(q, 0.5), torch.mul(t, 0.25))", HIDDEN[0], HIDDEN[1]],
        &[TURNED, "s = torch.add(torch.matmul(torch.mul(q, 0.5), torch.mul(t, 0.25)), m)", HIDDEN[0], HIDDEN[1]],
        &[TURNED, "s = torch.add(m, torch.matmul(torch.div(q, 3.), t))", HIDDEN[0], HIDDEN[1]],
        &[TURNED, "s = torch.add(torch.mul(torch.matmul(q, torch.div(t, 2.)), 0.5), m)", "w = torch.softmax(s, -1)"],
        &[TURNED, "s = torch.add(torch.matmul(torch.mul(q, 0.5), t), m)", "w = torch.softmax(s, -1)"],
        &[TURNED, "s = torch.matmul(q, t)", "w = torch.softmax(s, -1)"],
    ];
    for (i, lines) in forms.iter().enumerate() {
        let models = models(lines);
        assert_eq!(models[1].graph().body.len(), 2, "form {i}: {:?}", models[1].graph().body);
        for l in [2, 7] {
            let plain = given(l);
            compare(&models, &plain, &format!("form {i}, {l} queries"));
            // NaN among queries, keys and values goes where it went.
            for at in 0..3 {
                let mut given = plain.clone();
                given[at].set(&[1, 2, 0, 5], f64::NAN).unwrap();
                compare(&models, &given, &format!("form {i}, {l} queries, NaN in input {at}"));
            }
            let halves: Vec<Tensor> = plain.iter().map(|t| t.to(DType::F64).unwrap()).collect();
            compare(&models, &halves, &format!("form {i}, {l} queries of Float64"));
        }
    }
}

#[test]
fn what_only_looks_like_hidden_nan_stays() {
    let forms: [&[&str]; 4] = [
        &[TURNED, "s = torch.add(torch.matmul(q, t), m)", HIDDEN[0], "w = torch.where(torch.isnan(p), 1., p)"],
        &[TURNED, "s = torch.add(torch.matmul(q, t), m)", HIDDEN[0], "w = torch.where(torch.isnan(s), 0., p)"],
        &[TURNED, "s = torch.add(torch.matmul(q, t), m)", HIDDEN[0], "w = torch.where(torch.isnan(p), p, p)"],
        &[TURNED, "s = torch.matmul(q, torch.mul(t, q))", HIDDEN[0], HIDDEN[1]],
    ];
    for (i, lines) in forms.iter().enumerate() {
        let models = models(lines);
        let given = if i == 3 { (0..4).map(|seed| numbers(&[2, 3, 8, 8], seed)).collect() } else { given(3) };
        compare(&models, &given, &format!("form {i}"));
    }
}
