//! In-place operators among views and plain ones: the optimiser makes plain ones of them where nobody can tell.

use stark_kernels::{DType, Device, Tensor, ops, with_device};
use stark_models::graph::Kind;
use stark_models::opt::Pass;
use stark_models::plan::operator_of;
use stark_models::{Load, Model};

use crate::common::{Random, assert_close, data, torchscript};

/// Sums in another order.
const CLOSE: f64 = 1e-4;
const SIDE: usize = 4;

fn archive(body: &str) -> Vec<u8> {
    let lines: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let code = format!("class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n{lines}");
    torchscript(&code)
}

fn load(body: &str, passes: &[Pass]) -> Model {
    Load::new().passes(passes).bytes(archive(body), "made.pt").unwrap_or_else(|e| panic!("{body}\n{e}"))
}

/// Both ways give the same. Gives how many instructions are left.
#[track_caller]
pub fn check(body: &str, shape: &[usize]) -> usize {
    let x = ops::randn(shape, 3, DType::F32).expect("x");
    let predict = |model: &Model| model.predict(std::slice::from_ref(&x)).unwrap_or_else(|e| panic!("{body}\n{e}"));
    let fused = load(body, &Pass::ALL);
    let want: Vec<Tensor> = with_device(Device::Reference, || predict(&load(body, &[])));
    for (got, want) in predict(&fused).iter().zip(&want) {
        assert_close(got, want, CLOSE, CLOSE, body);
    }
    // Each pass alone, and the first with each other.
    for pass in Pass::ALL {
        for passes in [vec![pass], vec![Pass::InPlace, pass]] {
            for (got, want) in predict(&load(body, &passes)).iter().zip(&want) {
                assert_close(got, want, CLOSE, CLOSE, &format!("{body}\nwith {passes:?}"));
            }
        }
    }
    fused.graph().body.len()
}

/// Convolutions, a residual sum, activations and dropout in place, as torchvision's classifiers have them, and a mask
/// that is filled by its parts.
#[test]
fn layers_take_up_what_follows_them_in_place() {
    let path = data().join("recorded/in_place.pt");
    let plain = Load::new().passes(&[]).file(&path).unwrap_or_else(|e| panic!("{e}"));
    let fused = Model::load(&path).unwrap_or_else(|e| panic!("{e}"));
    let is_layer = |name: &str| ["torch._convolution", "torch.linear", "torch.mean"].contains(&name);
    let names = |model: &Model| -> Vec<&str> { model.graph().body.iter().filter_map(operator_of).collect() };
    // Nothing is left between the layers.
    let (before, after) = (names(&plain), names(&fused));
    for gone in ["torch.batch_norm", "torch.hardswish", "torch.add", "torch.relu", "torch.dropout"] {
        assert!(before.contains(&gone) && !after.contains(&gone), "{gone} in {after:?}");
    }
    let layers = |names: &[&str]| names.iter().filter(|name| is_layer(name)).count();
    assert_eq!((layers(&before), layers(&after)), (4, 4), "{after:?}");
    assert!(after.contains(&"torch.fill"), "{after:?}");
}

/// Without weights, so that what is left of the chains can be counted.
#[test]
fn chains_in_place_are_plain() {
    for body in [
        "a = torch.neg(x)\nb = torch.relu_(a)\nc = torch.relu_(b)\nreturn a",
        "a = torch.mul(x, 2.)\n_0 = torch.add_(a, x)\n_1 = torch.mul_(a, 2.)\nreturn a",
        "a = torch.neg(x)\nv = torch.t(a)\nw = torch.exp(v)\n_0 = torch.relu_(a)\nreturn torch.add(w, a)",
        "a = torch.neg(x)\n_0 = torch.dropout_(a, 0.5, False)\nb = torch.sigmoid_(a)\nreturn torch.neg(a)",
    ] {
        check(body, &[SIDE, SIDE]);
        let model = load(body, &[Pass::InPlace]);
        let left = model.graph().body.iter().any(|instr| matches!(instr.kind, Kind::InPlace(_)));
        assert!(!left, "{body}\n{:?}", model.graph().body);
    }
}

/// What must not become plain.
#[test]
fn who_sees_a_change_in_place_goes_on_seeing_it() {
    for body in [
        "a = torch.neg(x)\nv = torch.t(a)\nb = torch.relu_(a)\nreturn torch.add(v, b)",
        "a = torch.neg(x)\nv = a[0]\n_0 = torch.fill_(v, 7.)\nreturn a",
        "a = torch.neg(x)\nb = torch.contiguous(a)\n_0 = torch.relu_(b)\nreturn a",
        "a = torch.neg(x)\nl = [a]\n_0 = torch.relu_(a)\nreturn torch.cat(l)",
        "a = torch.neg(x)\nl = torch.add([a], [x])\n_0 = torch.relu_(a)\nreturn torch.cat(l)",
        "a = torch.neg(x)\nl = annotate(List[Tensor], [])\n_0 = torch.append(l, a)\n_1 = torch.relu_(a)\nreturn torch.cat(l)",
        "a = torch.neg(x)\nb, c = torch.chunk(a, 2)\n_0 = torch.relu_(b)\nreturn torch.add(a, 0.)",
        "a = torch.neg(x)\nfor i in range(2):\n  _0 = torch.add_(a, 1.)\nreturn a",
        "a = torch.neg(x)\nv = torch.t(a)\nif bool(torch.gt(torch.sum(x), 0.)):\n  _0 = torch.add_(a, 1.)\nelse:\n  pass\nreturn v",
        // The target's type and the source's storage stay.
        "a = torch.neg(x)\nb = torch.add_(a, torch.to(x, 7))\nreturn a",
        "a = torch.neg(x)\ns = torch.exp(x)\n_0 = torch.copy_(a, s)\n_1 = torch.add_(a, 1.)\nreturn (s, a)",
        "a = torch.exp(x)\nb = torch.detach(a)\n_0 = torch.mul_(a, 2.)\nreturn b",
        "a = torch.exp(x)\nb = torch.transpose_(a, 0, 1)\n_0 = torch.mul_(a, x)\nreturn a",
        "b = torch.transpose_(x, 0, 1)\n_0 = torch.mul_(x, 2.)\nreturn x",
    ] {
        check(body, &[SIDE, SIDE]);
    }
}

/// A body of random steps over square matrices, and what it gives: all values that it still knows, or some.
fn body(random: &mut Random) -> String {
    let mut text = String::from("v0 = torch.mul(x, 1.5)\n");
    let n = 2 + random.below(10);
    // Steps that give lists of matrices.
    let mut lists = Vec::new();
    for at in 1..=n {
        let pick = |random: &mut Random| match random.below(3) {
            0 => at - 1,
            _ => random.below(at),
        };
        let (a, b) = (pick(random), pick(random));
        let row = random.below(SIDE);
        let call = match random.below(20) {
            0 => format!("torch.t(v{a})"),
            1 => format!("torch.reshape(v{a}, [{SIDE}, {SIDE}])"),
            2 => format!("torch.contiguous(v{a})"),
            3 => format!("torch.detach(v{a})"),
            4 => format!("torch.dropout(v{a}, 0.5, False)"),
            5 => format!("torch.dropout_(v{a}, 0.5, False)"),
            6 => format!("torch.relu_(v{a})"),
            7 | 8 => format!("torch.add_(v{a}, v{b})"),
            9 => format!("torch.mul_(v{a}, 0.5)"),
            10 => format!("torch.fill_(v{a}, 2.)"),
            11 => format!("torch.copy_(v{a}, v{b})"),
            12 => format!("torch.add(v{a}, v{b})"),
            13 => format!("torch.sigmoid(v{a})"),
            14 => format!("torch.linear(v{a}, torch.reshape(torch.sin(torch.arange(16)), [{SIDE}, {SIDE}]))"),
            15 => format!("torch.clone(v{a})"),
            16 => {
                text += &format!("r{at} = torch.neg(v{a})\n");
                format!("torch.transpose_(r{at}, 0, 1)")
            }
            17 => {
                text += &format!("r{at} = torch.select(v{a}, {}, {row})\n_{at} = torch.neg_(r{at})\n", random.below(2));
                format!("torch.add(r{at}, v{b})")
            }
            18 => {
                text += &format!("l{at} = [v{a}, v{b}]\n");
                if let Some(other) = lists.last() {
                    text += &format!("_{at} = torch.append(l{other}, v{a})\n");
                }
                lists.push(at);
                format!("l{at}[0]")
            }
            _ => format!("torch.neg(v{a})"),
        };
        text += &format!("v{at} = {call}\n");
    }
    let mut results: Vec<String> = (0..=n).filter(|_| random.below(3) == 0).map(|at| format!("v{at}")).collect();
    results.extend(lists.iter().map(|at| format!("torch.cat(l{at})")));
    results.push(format!("v{n}"));
    text + &format!("return ({})", results.join(", "))
}

#[test]
fn random_programs_give_what_they_give_unoptimised() {
    let mut random = Random(29);
    let mut n_fewer = 0;
    for _ in 0..1500 {
        let body = body(&mut random);
        let n = check(&body, &[SIDE, SIDE]);
        n_fewer += usize::from(n < load(&body, &[]).graph().body.len());
    }
    assert!(n_fewer > 500, "{n_fewer} programs became shorter");
}
