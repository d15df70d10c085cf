//! Caches of keys and values: joins of joins, and attention to what is joined for it, as the file stands and optimised.

use stark_kernels::{DType, Tensor, ops};
use stark_models::{Load, Model};

use crate::common::{assert_close, zip};

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
        zip(&[
            ("m/data.pkl", b"\x80\x02c__torch__\nM\n)\x81}b.".to_vec()),
            ("m/constants.pkl", b"\x80\x02).".to_vec()),
            ("m/version", b"3\n".to_vec()),
            ("m/code/__torch__.py", code.into_bytes()),
        ])
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
    let file = zip(&[
        ("m/data.pkl", b"\x80\x02c__torch__\nM\n)\x81}b.".to_vec()),
        ("m/constants.pkl", b"\x80\x02).".to_vec()),
        ("m/version", b"3\n".to_vec()),
        ("m/code/__torch__.py", code.into_bytes()),
    ]);
    let model = Model::load_bytes(file, "joins.pt").unwrap_or_else(|e| panic!("{e}"));
    let out = model.predict(&[Tensor::zeros(&[0, 1], DType::F32).unwrap()]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(out[0].shape(), [0, 1]);
}
