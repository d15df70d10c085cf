//! Attention as files spell it out, as it stands and as one operator.

use stark_kernels::{DType, Tensor, ops};
use stark_models::{Load, Model};

use crate::common::{assert_close, torchscript};

/// A module of queries, keys, values and a mask, whose scores and weights are these lines.
fn models(lines: &[&str]) -> [Model; 2] {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let code = format!(
        "class M(Module):\n  def forward(self: __torch__.M,\n    q: Tensor,\n    k: Tensor,\n    v: Tensor,\n    m: Tensor) -> Tensor:\n\
         {lines}    return torch.matmul(w, v)\n"
    );
    let file = || torchscript(&code);
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

/// Scores, and weights of them as models of few bits make them: in `Float32`, and of the scores' type again.
#[test]
fn a_softmax_may_be_wider_than_its_scores() {
    const SCORES: &str = "s = torch.add(torch.matmul(torch.mul(q, 0.5), t), m)";
    let forms: [&[&str]; 7] = [
        &["w = torch.softmax(s, -1, 6)"],
        &["w = torch.to(torch.softmax(s, -1, 6), 6)"],
        &["w = torch.to(torch.softmax(s, -1, 6), dtype=6)"],
        &["w = torch.to(torch.softmax(torch.to(s, 6), -1), torch.device(\"cpu\"), 6, False, False)"],
        &["w = torch.type_as(torch.softmax(torch.to(s, 6), -1), s)"],
        &["w = torch.type_as(torch.softmax(torch.float(s), -1), s)"],
        &["w = torch.type_as(torch.softmax(s, -1, 6), s)"],
    ];
    for (i, form) in forms.iter().enumerate() {
        let lines: Vec<&str> = [TURNED, SCORES].into_iter().chain(form.iter().copied()).collect();
        let models = models(&lines);
        assert_eq!(models[1].graph().body.len(), 2, "form {i}: {:?}", models[1].graph().body);
        let plain = given(3);
        compare(&models, &plain, &format!("form {i}"));
        // A mask of another type makes the scores of that type.
        let mut mixed = plain.clone();
        mixed[3] = mixed[3].to(DType::F64).unwrap();
        if i >= 4 {
            mixed[2] = mixed[2].to(DType::F64).unwrap();
        }
        compare(&models, &mixed, &format!("form {i}, a mask of Float64"));
        let wide: Vec<Tensor> = plain.iter().map(|t| t.to(DType::F64).unwrap()).collect();
        let fails = [0, 1].map(|at| models[at].predict(&wide).err().map(|e| e.to_string()));
        assert_eq!(fails[0].is_some(), fails[1].is_some(), "form {i}: {fails:?}");
        assert_eq!(fails[0].is_some(), i < 4, "form {i}: {fails:?}");
    }
    let narrower: [&str; 3] = [
        // Weights of Float32 times values of another type, weights like another tensor, another type than Float32.
        "w = torch.to(torch.softmax(s, -1), 6)",
        "w = torch.type_as(torch.softmax(s, -1, 6), q)",
        "w = torch.to(torch.softmax(s, -1, 7), 6)",
    ];
    for line in narrower {
        let models = models(&[TURNED, SCORES, line]);
        assert!(models[1].graph().body.len() > 2, "{line}: {:?}", models[1].graph().body);
        compare(&models, &given(3), line);
    }
}

#[test]
fn scores_may_be_hidden_by_a_mask_of_booleans() {
    let forms: [(&str, &str); 4] = [
        ("torch.masked_fill(s, m, -inf)", "w = torch.softmax(h, -1)"),
        ("torch.where(m, -inf, s)", "w = torch.softmax(h, -1)"),
        ("torch.where(m, s, -inf)", "w = torch.softmax(h, -1, 6)"),
        ("torch.masked_fill(s, m, -inf)", "w = torch.type_as(torch.softmax(torch.float(h), -1), h)"),
    ];
    for (i, (hidden, weights)) in forms.into_iter().enumerate() {
        let hidden = format!("h = {hidden}");
        let lines = [TURNED, "s = torch.div(torch.matmul(q, t), 3.)", &hidden, weights];
        let models = models(&lines);
        assert_eq!(models[1].graph().body.len(), 2, "form {i}: {:?}", models[1].graph().body);
        for l in [2, 3, 9] {
            let mut plain = given(l);
            // The second query sees nothing, by the first two forms.
            plain[3] = ops::lt(&plain[3], 0.2).unwrap();
            compare(&models, &plain, &format!("form {i}, {l} queries"));
            for at in 0..3 {
                let mut given = plain.clone();
                given[at].set(&[1, 2, 0, 5], f64::NAN).unwrap();
                compare(&models, &given, &format!("form {i}, {l} queries, NaN in input {at}"));
            }
            let wide: Vec<Tensor> =
                (0..4).map(|at| if at < 3 { plain[at].to(DType::F64).unwrap() } else { plain[at].clone() }).collect();
            if i < 2 {
                compare(&models, &wide, &format!("form {i}, {l} queries of Float64"));
            }
            let mut numbers = plain.clone();
            numbers[3] = numbers[3].to(DType::U8).unwrap();
            let fails = [0, 1].map(|at| models[at].predict(&numbers).err().map(|e| e.to_string()));
            assert!(fails[0].is_some() || fails[1].is_none(), "form {i}: {fails:?}");
        }
    }
    // A number is not -∞ where every score of a query is hidden.
    let models =
        models(&[TURNED, "s = torch.matmul(q, t)", "h = torch.masked_fill(s, m, -1.0e9)", "w = torch.softmax(h, -1)"]);
    assert!(models[1].graph().body.len() > 2);
}
