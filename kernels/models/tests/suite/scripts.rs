//! TorchScript written here: what the code of archives may say, and what each piece of it gives.

use stark_kernels::{DType, Device, Tensor, with_device};
use stark_models::{Model, ModelError, Value};

use crate::common::{data, ints, json, torchscript};

/// An archive of one module without attributes; `body` is what its `forward(self, x)` does.
fn load(body: &str) -> Result<Model, ModelError> {
    let lines: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let code = format!("class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n{lines}");
    Model::load_bytes(torchscript(&code), "made.pt")
}

/// All numbers that `body` gives for an `x` of these numbers and this shape.
fn run(body: &str, numbers: &[f32], shape: &[usize]) -> Vec<f64> {
    let model = load(body).unwrap_or_else(|e| panic!("{body}\n{e}"));
    let x = Tensor::from_slice(numbers, shape).expect("x");
    let out = model.predict(&[x]).unwrap_or_else(|e| panic!("{body}\n{e}"));
    out.iter().flat_map(|t| t.to_scalars()).map(|x| x.to_f64()).collect()
}

#[track_caller]
fn check(body: &str, numbers: &[f32], shape: &[usize], want: &[f64]) {
    let got = run(body, numbers, shape);
    let same = got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= 1e-5 + 1e-5 * w.abs());
    assert!(same, "{body}\ngot {got:?}\nwant {want:?}");
}

#[test]
fn the_layout_of_convolutions_does_not_show() {
    let model = load(
        "w = torch.ones([16, 3, 1, 1])\n\
         y = torch.conv2d(x, w)\n\
         strides = torch.stride(y)\n\
         one = torch.tensor(torch.stride(y, 1))\n\
         flat = torch.view(y, [torch.size(x, 0), -1])\n\
         return (torch.tensor(strides), one, flat)",
    );
    let x = Tensor::from_slice(&(0..96).map(|i| i as f32).collect::<Vec<_>>(), &[2, 3, 4, 4]).expect("x");
    let out = model.unwrap_or_else(|e| panic!("{e}")).predict(&[x]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(out[0].to_vec::<i64>().expect("ints"), [256, 16, 4, 1]);
    assert_eq!((out[1].item().expect("int").to_i64(), out[2].shape()), (16, &[2, 256][..]));
    let row = out[2].to_scalars();
    assert_eq!((row[0].to_f64(), row[17].to_f64(), row[256].to_f64()), (48.0, 51.0, 192.0));
}

#[test]
fn ranges_have_starts_and_steps() {
    for (start, stop, step, want) in
        [(1, 4, 1, "1 2 3"), (0, 7, 3, "0 3 6"), (5, 0, -2, "5 3 1"), (3, 3, 1, ""), (4, 1, 1, "")]
    {
        let body = format!(
            "out = annotate(List[int], [])\n\
             n = torch.add(torch.size(x, 0), {start})\n\
             for i in range(torch.__range_length(torch.sub(n, 1), {stop}, {step})):\n\
             \x20 j = torch.__derive_index(i, {start}, {step})\n\
             \x20 _0 = torch.append(out, j)\n\
             return torch.tensor(out, dtype=4)"
        );
        let want: Vec<f64> = want.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        check(&body, &[0.0], &[1], &want);
    }
}

#[test]
fn lists_dicts_and_texts_are_pythons() {
    for (body, want) in [
        ("o = [x]\no0 = torch.add_(o, [x, x])\nreturn torch.cat(o0)", &[2.0, 2.0, 2.0][..]),
        ("o = [3, 1, 2]\ntorch.sort(o)\nreturn torch.tensor(torch.add(o, sorted([5, 4])))", &[1.0, 2.0, 3.0, 4.0, 5.0]),
        ("d = {\"a\": x}\ntorch.update(d, {\"b\": torch.neg(x)})\ntorch.Delete(d, \"a\")\nreturn d[\"b\"]", &[-2.0]),
        ("d = {\"a\": 1, \"b\": 2}\nr = torch.pop(d, \"a\")\nreturn torch.tensor([r, torch.len(d)])", &[1.0, 1.0]),
        ("r = [7, 8, 7]\ntorch.remove(r, 7)\nreturn torch.tensor([torch.count(r, 7), torch.len(r)])", &[1.0, 2.0]),
        ("a, b = torch.divmod(-7, 2)\nreturn torch.tensor([a, b])", &[-4.0, 1.0]),
        ("return torch.tensor([torch.__lshift__(3, 2), torch.__rshift__(-8, 1)])", &[12.0, -4.0]),
        ("s = torch.percentFormat(\"%d-%s%%\", 3, \"b\")\nreturn torch.tensor([torch.eq(s, \"3-b%\")])", &[1.0]),
        ("s = torch.join(\", \", [\"a\", \"b\"])\nreturn torch.tensor([torch.eq(s, \"a, b\")])", &[1.0]),
        ("a = annotate(List[float], x.tolist())\nreturn torch.mul(torch.tensor(a), a[0])", &[4.0]),
        ("a = isinstance(x, Tensor)\nb = isinstance([1], (List[str], int))\nreturn torch.tensor([a, b])", &[1.0, 0.0]),
        (
            "_0 = __torch__.torch.autograd.grad_mode.no_grad.__new__(__torch__.torch.autograd.grad_mode.no_grad)\n\
             _1 = (_0).__init__()\nwith _0:\n  y = torch.mul(x, 2)\nreturn y",
            &[4.0],
        ),
        ("v, i = torch.sort(torch.cat([x, x]), stable=True, dim=0, descending=False)\nreturn i", &[0.0, 1.0]),
        ("return torch.frobenius_norm(torch.cat([x, x]), [0], False)", &[8f64.sqrt()]),
    ] {
        check(body, &[2.0], &[1], want);
    }
}

/// As the generators of anchors of torchvision's detectors.
#[test]
fn what_a_model_assigns_to_itself_is_kept_for_the_run() {
    let code = "class M(Module):\n  n : Final[int] = 3\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    \
                a = self.n\n    for i in range(2):\n      self.n = torch.add(self.n, 1)\n    return torch.tensor([a, self.n])\n";
    let model = Model::load_bytes(torchscript(code), "made.pt").unwrap_or_else(|e| panic!("{e}"));
    for _ in 0..2 {
        let out = model.predict(&[Tensor::zeros(&[1], DType::F32).expect("x")]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(out[0].to_vec::<i64>().expect("numbers"), [3, 5]);
    }
}

/// As decoders and beam searches are written.
#[test]
fn lists_in_lists_dicts_and_tuples_change() {
    for (body, want) in [
        (
            "h = [[1], [2]]\n_0 = torch.append(h[1], 5)\nreturn torch.tensor(torch.add(h[0], h[1]))",
            &[1.0, 2.0, 5.0][..],
        ),
        (
            "h = annotate(List[List[int]], [])\n_0 = torch.append(h, annotate(List[int], []))\n\
             for i in range(3):\n  _1 = torch.append(h[0], i)\nreturn torch.tensor(h[0])",
            &[0.0, 1.0, 2.0],
        ),
        (
            "g = {1: [0]}\n_0 = torch.append(g[1], 4)\n_1 = torch._set_item(g, 2, [7])\n_2 = torch.append(g[2], 8)\n\
          return torch.tensor(torch.add(g[1], g[2]))",
            &[0.0, 4.0, 7.0, 8.0],
        ),
        ("a = [[1, 2], [3]]\n_0 = torch._set_item(a[0], 1, 9)\nreturn torch.tensor(a[0])", &[1.0, 9.0]),
        ("t = ([1], 2)\nl = [t]\na, b = l[0]\n_0 = torch.append(a, b)\nreturn torch.tensor(a)", &[1.0, 2.0]),
        ("o = [{\"a\": x}]\n_0 = torch._set_item(o[0], \"b\", torch.neg(x))\nd = o[0]\nreturn d[\"b\"]", &[-2.0]),
        ("d = {\"a\": 1, \"b\": 2}\nk, v = torch.popitem(d)\nreturn torch.tensor([v, torch.len(d)])", &[1.0, 1.0]),
        ("return torch.tensor([torch.ord(\"a\"), torch.len(torch.rsplit(\"a.b.c\", \".\", 1))])", &[97.0, 2.0]),
    ] {
        check(body, &[2.0], &[1], want);
    }
}

/// Operators that exporters write when they take changes in place apart, and forms of known ones. What PyTorch gives.
#[test]
fn forms_of_operators_give_what_pytorch_gives() {
    for (body, want) in [
        ("return torch.slice_scatter(x, torch.zeros([1, 2]), 0, 1, 2)", &[1.0, 2.0, 0.0, 0.0][..]),
        ("return torch.select_scatter(x, torch.zeros([2]), 1, 0)", &[0.0, 2.0, 0.0, 4.0]),
        ("return torch.diagonal_scatter(x, torch.zeros([2]))", &[0.0, 2.0, 3.0, 0.0]),
        ("return torch.movedim(torch.reshape(x, [1, 2, 2]), [0, 2], [1, 0])", &[1.0, 3.0, 2.0, 4.0]),
        ("a, b = torch.hsplit(x, 2)\nreturn a", &[1.0, 3.0]),
        ("a, b = torch.vsplit(x, [1])\nreturn b", &[3.0, 4.0]),
        ("return torch.positive(x)", &[1.0, 2.0, 3.0, 4.0]),
        ("return torch.narrow_copy(x, 1, 1, 1)", &[2.0, 4.0]),
        ("return torch.addmv(x[0], x, x[1], beta=2, alpha=1)", &[13.0, 29.0]),
        (
            "return torch.addbmm(x, torch.stack([x, x]), torch.stack([x, x]), beta=1, alpha=1)",
            &[15.0, 22.0, 33.0, 48.0],
        ),
        ("return torch.add(torch.tensor(7), 3, alpha=2)", &[13.0]),
        ("return torch.sub(torch.tensor(7), 3, alpha=2)", &[1.0]),
        ("return torch.rsub(torch.tensor(7), 3, 2)", &[-11.0]),
        ("return torch.cov(x)", &[0.5, 0.5, 0.5, 0.5]),
        ("return torch.corrcoef(x)", &[1.0, 1.0, 1.0, 1.0]),
        (
            "return torch._grouped_mm(x, torch.stack([x, torch.mul(x, 2)]), torch.tensor([1, 2], dtype=3))",
            &[7.0, 10.0, 30.0, 44.0],
        ),
        ("return torch._grouped_mm(x, torch.stack([x, x]), torch.tensor([0, 1], dtype=3))", &[7.0, 10.0, 0.0, 0.0]),
        (
            "m = torch.tensor([True, False])\nreturn torch.masked_scatter(x[0], torch.stack([m, m]), x[1])",
            &[3.0, 2.0, 4.0, 2.0],
        ),
        ("return torch.pad(x, [-1, 1], \"circular\")", &[2.0, 2.0, 4.0, 4.0]),
        ("return torch.diff(x, 0, 1, x)", &[1.0, 2.0, 3.0, 4.0]),
        ("v, i = torch.mode(x[0][1])\nreturn torch.tensor([torch.dim(v), torch.dim(i)])", &[0.0, 0.0]),
        ("return torch.tensor(torch.dim(torch.prelu(x[0][1], torch.ones([1]))))", &[0.0]),
    ] {
        check(body, &[1.0, 2.0, 3.0, 4.0], &[2, 2], want);
    }
    let half = load("return torch.mul(torch.sum(torch.to(x, 4)), 0.5)").unwrap_or_else(|e| panic!("{e}"));
    let x = Tensor::from_slice(&[3.0f32, 4.0], &[2]).expect("x");
    let out = half.predict(&[x]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((out[0].dtype(), out[0].item().expect("one").to_f64()), (DType::F32, 3.5));
    // Types by their numbers: whole numbers stay such, and a plain number widens nothing.
    for (call, want) in [
        ("relu6(i)", 4.0),
        ("hardtanh(i, -1, 3)", 4.0),
        ("threshold(i, 1, 0)", 4.0),
        ("heaviside(i, i)", 4.0),
        ("copysign(x, -1.0)", 6.0),
    ] {
        let body = format!("i = torch.to(x, 4)\nreturn torch.tensor(ops.prim.dtype(torch.{call}))");
        check(&body, &[1.0, 2.0, 3.0, 4.0], &[2, 2], &[want]);
    }
}

#[test]
fn complex_numbers_and_their_pairs_change_together() {
    for (body, want) in [
        ("r = torch.view_as_real(z)\n_0 = torch.mul_(r, 2.0)\nreturn torch.view_as_real(z)", [2.0, 4.0, 6.0, 8.0]),
        ("_0 = torch.mul_(z, 2.0)\nreturn x", [2.0, 4.0, 6.0, 8.0]),
        // What is made of parts has numbers of its own.
        (
            "y = torch.complex(torch.real(z), torch.imag(z))\n_0 = torch.mul_(y, 2.0)\nreturn torch.view_as_real(z)",
            [1.0, 2.0, 3.0, 4.0],
        ),
    ] {
        // Not the argument itself, which stays as the caller's.
        let body = format!("x = torch.add(x, 0.0)\nz = torch.view_as_complex(x)\n{body}");
        check(&body, &[1.0, 2.0, 3.0, 4.0], &[2, 2], &want);
    }
}

/// Lists and dicts may grow by lists and dicts, which then stay as they are.
#[test]
fn slices_go_back_and_lists_are_compared_with_themselves() {
    let list = "l = torch.list([0, 1, 2, 3, 4, 5])\n";
    for (start, end, step, want) in [
        ("None", "None", -1, &[5.0, 4.0, 3.0, 2.0, 1.0, 0.0][..]),
        ("4", "1", -1, &[4.0, 3.0, 2.0]),
        ("-1", "0", -2, &[5.0, 3.0, 1.0]),
        ("100", "-100", -3, &[5.0, 2.0]),
        ("1", "4", -1, &[]),
        ("1", "None", 2, &[1.0, 3.0, 5.0]),
        ("-100", "100", 4, &[0.0, 4.0]),
    ] {
        check(
            &format!("{list}return torch.tensor(torch.slice(l, {start}, {end}, {step}), dtype=6)"),
            &[0.0],
            &[1],
            want,
        );
    }
    let refused = load(&format!("{list}return torch.tensor(torch.slice(l, None, None, 0))"));
    let error =
        refused.and_then(|model| model.predict(&[Tensor::zeros(&[1], DType::F32).expect("x")])).expect_err("no step");
    assert!(error.to_string().contains("a slice of step 0"), "{error}");
    // One list on both sides, by itself and inside another.
    let same = "l = torch.list([torch.size(x, 0)])\nm = [l, l]\n\
                return torch.tensor([int(torch.eq(l, l)), int(torch.eq(m[0], m[1]))], dtype=6)";
    check(same, &[0.0], &[1], &[1.0, 1.0]);
    let builtins = "l = [x, x]\nt = (x, l)\n\
                    return torch.tensor([int(isinstance(l, (list, tuple))), int(isinstance(t, list)), int(isinstance(t, tuple))], dtype=6)";
    check(builtins, &[0.0], &[1], &[1.0, 0.0, 1.0]);
}

#[test]
fn an_item_of_a_list_may_be_a_list() {
    let rows = "rows = annotate(List[List[int]], [])\nfor i in range(3):\n  row = [i]\n  _0 = torch.append(row, torch.add(i, 1))\n  \
                _1 = torch.append(rows, row)\nlast = rows[-1]\nreturn torch.tensor([torch.len(rows), last[0], last[1]])";
    check(rows, &[2.0], &[1], &[3.0, 2.0, 3.0]);
    let dicts = "out = annotate(List[Dict[str, Tensor]], [])\n_0 = torch.append(out, {\"a\": x})\n_1 = torch.append(out, {\"a\": torch.neg(x)})\n\
                 first = out[0]\nsecond = out[1]\nreturn torch.sub(first[\"a\"], second[\"a\"])";
    check(dicts, &[2.0], &[1], &[4.0]);
    for (body, words) in [
        ("a = [[1]]\n_0 = torch.append(a, a)\nreturn x", "nests as deep"),
        ("a = [[1]]\nb = [[[0]], a]\n_0 = torch.append(b, a)\n_1 = torch.append(a[0], b)\nreturn x", "nests as deep"),
        ("d = {\"a\": [x]}\ntorch.update(d, {\"b\": d})\nreturn x", "nests as deep"),
        ("a = [1]\nfor i in range(9):\n  b = [[0]]\n  _0 = torch.append(b, a)\n  a = b\nreturn x", "is the limit"),
        ("a = [[0]]\nt = (a, a)\nfor i in range(40):\n  t = (t, t)\nreturn x", "nest"),
    ] {
        let error = load(body).and_then(|model| model.predict(&[Tensor::zeros(&[1], DType::F32).expect("x")]));
        let error = error.expect_err(body).to_string();
        assert!(error.contains(words), "{body}\n{error}");
    }
}

#[test]
fn texts_have_pythons_methods() {
    for (text, call, want) in [
        (" a  b c ", "torch.split(s)", "a|b|c"),
        (" a  b c ", "torch.split(s, None, 1)", "a|b c "),
        ("", "torch.split(s)", ""),
        ("a,b,,c", "torch.split(s, \",\")", "a|b||c"),
        ("a,b,,c", "torch.split(s, \",\", 1)", "a|b,,c"),
        ("a,b", "torch.split(s, \",\", 0)", "a,b"),
        ("Ab", "[torch.lower(s), torch.upper(s)]", "ab|AB"),
        (" Ab ", "[torch.strip(s), torch.strip(\"xxaxx\", \"x\")]", "Ab|a"),
        ("banana", "[torch.replace(s, \"an\", \"x\"), torch.replace(s, \"an\", \"x\", 1)]", "bxxa|bxana"),
        (
            "häh",
            "[str(torch.startswith(s, \"h\")), str(torch.startswith(s, \"ä\", 1)), str(torch.endswith(s, \"ä\", 0, -1))]",
            "True|True|True",
        ),
        ("h", "[str(torch.startswith(s, \"h\", 5)), str(torch.endswith(s, \"x\"))]", "False|False"),
    ] {
        let body = format!(
            "s = \"{text}\"\nparts = {call}\nt = torch.join(\"|\", parts)\nreturn torch.tensor([torch.eq(t, \"{want}\")])"
        );
        check(&body, &[0.0], &[1], &[1.0]);
    }
}

/// Libraries choose among operators by what an input is like; the ones that are not here matter where they are reached.
#[test]
fn an_unknown_operator_is_an_error_where_every_run_comes() {
    let chosen = "if torch.gt(torch.size(x, 0), 1):\n  y = torch.no_such(x)\nelse:\n  y = torch.neg(x)\nreturn y";
    check(chosen, &[2.0], &[1], &[-2.0]);
    let model = load(chosen).unwrap_or_else(|e| panic!("{e}"));
    let error = model.predict(&[Tensor::zeros(&[2], DType::F32).expect("x")]).expect_err("an unknown operator");
    assert!(error.to_string().contains("1 unknown operator(s):\n  torch.no_such at code/__torch__.py:"), "{error}");
    for certain in [
        "if torch.gt(torch.size(x, 0), 1):\n  y = torch.no_such(x)\nelse:\n  y = torch.nor_this(x)\nreturn y",
        "if torch.gt(torch.size(x, 0), 1):\n  y = torch.no_such(x)\nelse:\n  y = x\nreturn torch.nor_this(y)",
        "if torch.gt(torch.size(x, 0), 1):\n  y = torch.no_such(x)\nelse:\n  ops.prim.RaiseException(\"no\")\n  y = x\nz = torch.nor_this(x)\nreturn y",
        "y = x\nfor i in range(2):\n  y = torch.no_such(y)\nz = torch.nor_this(x)\nreturn y",
    ] {
        match load(certain) {
            Err(ModelError::UnknownOperators { operators, .. }) => {
                let names: Vec<&str> = operators.iter().map(|op| op.name.as_str()).collect();
                assert_eq!(names, ["torch.no_such", "torch.nor_this"], "{certain}");
            }
            other => panic!("{certain}: {other:?}"),
        }
    }
}

#[test]
fn axes_change_in_place_for_the_tensor_alone() {
    check(
        "row = torch.select(x, 0, 0)\n\
         _0 = torch.transpose_(x, 0, 1)\n\
         _1 = torch.unsqueeze_(x, 0)\n\
         flat = torch.reshape(x, [-1])\n\
         _2 = torch.mul_(row, 10)\n\
         return torch.cat([flat, torch.tensor(torch.size(x)), torch.reshape(x, [-1])])",
        &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        &[2, 3],
        &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0, 1.0, 3.0, 2.0, 10.0, 4.0, 20.0, 5.0, 30.0, 6.0],
    );
}

#[test]
fn objects_hold_what_their_methods_assign() {
    let code = "class M(Module):\n\
        \x20 def forward(self: __torch__.M,\n\
        \x20   x: Tensor) -> Tensor:\n\
        \x20   a = __torch__.Acc.__new__(__torch__.Acc)\n\
        \x20   _0 = (a).__init__(0, )\n\
        \x20   self.seen = [x]\n\
        \x20   for i in range(torch.size(x, 0)):\n\
        \x20     _1 = (a).add(float(torch.select(x, 0, i)), )\n\
        \x20   if torch.gt(a.n, 2):\n\
        \x20     a.sum = 100.0\n\
        \x20   else:\n\
        \x20     pass\n\
        \x20   kept = self.seen\n\
        \x20   return torch.tensor([a.sum, float(a.n), float(torch.len(kept))])\n\
        class Acc:\n\
        \x20 n : int\n\
        \x20 sum : float\n\
        \x20 def __init__(self: __torch__.Acc,\n\
        \x20   n: int) -> NoneType:\n\
        \x20   self.n = n\n\
        \x20   self.sum = 0.\n\
        \x20   return None\n\
        \x20 def add(self: __torch__.Acc,\n\
        \x20   x: float) -> __torch__.Acc:\n\
        \x20   before = self.sum\n\
        \x20   self.sum = torch.add(before, x)\n\
        \x20   n = self.n\n\
        \x20   self.n = torch.add(n, 1)\n\
        \x20   return self\n";
    let model = Model::load_bytes(torchscript(code), "made.pt").unwrap_or_else(|e| panic!("{e}"));
    for (numbers, want) in [(vec![1.5f32, 2.0], [3.5, 2.0, 1.0]), (vec![1.0; 4], [100.0, 4.0, 1.0])] {
        let x = Tensor::from_slice(&numbers, &[numbers.len()]).expect("x");
        let out = model.predict(&[x]).unwrap_or_else(|e| panic!("{e}"));
        let got: Vec<f64> = out[0].to_scalars().iter().map(|x| x.to_f64()).collect();
        assert_eq!(got, want);
    }
    // What a run reads before it assigns is the model's own.
    let counts = code.replace("self.seen = [x]", "self.n = torch.add(self.n, 1)");
    let error = Model::load_bytes(torchscript(&counts), "made.pt").expect_err("state").to_string();
    assert!(error.contains("no attribute `n`") || error.contains("immutable"), "{error}");
}

/// Types of inputs and results are opened however a hostile file has them.
#[test]
fn named_tuples_without_end_are_refused() {
    let mut chain = String::new();
    for i in 0..20 {
        chain += &format!("class N{i}(NamedTuple):\n  a : __torch__.N{0}\n  b : __torch__.N{0}\n", i + 1);
    }
    chain += "class N20(NamedTuple):\n  a : Tensor\n";
    for (classes, words) in [
        ("class N0(NamedTuple):\n  a : __torch__.N0\n", "nests deeper than 32"),
        ("class N0(NamedTuple):\n  a : Optional[List[__torch__.N0]]\n", "nests deeper than 32"),
        (&chain, "more than 10000 fields"),
    ] {
        for signature in ["x: __torch__.N0) -> Tensor", "x: Tensor) -> __torch__.N0"] {
            let code = format!(
                "{classes}class M(Module):\n  def forward(self: __torch__.M,\n    {signature}:\n    return torch.ones([1])\n"
            );
            let error = Model::load_bytes(torchscript(&code), "made.pt").expect_err("without end").to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}

#[test]
fn texts_and_dicts_have_pythons_methods() {
    check(
        "d = {1: 10}\n\
         a = torch.setdefault(d, 1, 5)\n\
         b = torch.setdefault(d, 2, 7)\n\
         print(\"seen\", a)\n\
         lines = torch.splitlines(\"one\\ntwo\\r\\n\\nfour\")\n\
         text = torch.percentFormat(\"%d-%s %s%%\", (3, \"x\", 1.5))\n\
         same = torch.eq(text, \"3-x 1.5%\")\n\
         return torch.tensor([a, b, d[2], torch.len(lines), torch.len(lines[1]), int(same)])",
        &[1.0],
        &[1],
        &[10.0, 7.0, 7.0, 4.0, 3.0, 1.0],
    );
    check(
        "a, b = torch.nonzero_numpy(x)\nreturn torch.cat([a, b])",
        &[0.0, 1.0, 2.0, 0.0],
        &[2, 2],
        &[0.0, 1.0, 1.0, 0.0],
    );
}

/// A trace does not tell which tensors have their channels side by side, once it has laid one out so.
#[test]
fn places_in_an_unknown_layout_are_refused() {
    let body = "y = torch.contiguous(x, memory_format=2)\nreturn torch.as_strided(y, [2, 2], [4, 1], 0)";
    let x = Tensor::zeros(&[1, 2, 2, 2], DType::F32).expect("x");
    let error = load(body).and_then(|model| model.predict(&[x])).expect_err("places").to_string();
    assert!(error.contains("torch.as_strided") && error.contains(".contiguous()"), "{error}");
}

#[test]
fn what_is_forked_runs_in_its_place() {
    check(
        "fs = annotate(List[Future[Tensor]], [])\n\
         for i in range(3):\n\
         \x20 def __forked_function():\n\
         \x20   y = torch.mul(x, i)\n\
         \x20   return torch.add(y, 1.)\n\
         \x20 _0 = fork(__forked_function)\n\
         \x20 _1 = torch.append(fs, _0)\n\
         y = x\n\
         for j in range(torch.len(fs)):\n\
         \x20 y = torch.add(y, torch.wait(fs[j]))\n\
         return y",
        &[2.0],
        &[1],
        &[11.0],
    );
}

/// Each run begins with the same numbers, each call draws others.
#[test]
fn random_operators_draw_the_same_in_each_run() {
    let body = "a = torch.rand([1000])\n\
                b = torch.rand([1000])\n\
                c = torch.normal_(torch.clone(a), 3., 0.5)\n\
                d = torch.uniform_(torch.zeros([1000]), -2., -1.)\n\
                e = torch.exponential_(torch.zeros([1000]), 4.)\n\
                f = torch.bernoulli(torch.full([1000], 0.25))\n\
                g = torch.randint(3, 7, [1000], dtype=6)\n\
                h = torch.multinomial(torch.tensor([0., 1., 3.]), 1000, True)\n\
                i = torch.randperm(1000, dtype=6)\n\
                return torch.stack([a, b, c, d, e, f, g, torch.to(h, 6), i])";
    let first = run(body, &[0.0], &[1]);
    assert_eq!(first, run(body, &[0.0], &[1]));
    let rows: Vec<&[f64]> = first.chunks(1000).collect();
    assert_ne!(rows[0], rows[1]);
    let mean = |row: &[f64]| row.iter().sum::<f64>() / 1000.0;
    for (row, (want, near)) in rows.iter().zip([
        (0.5, 0.05),
        (0.5, 0.05),
        (3.0, 0.1),
        (-1.5, 0.05),
        (0.25, 0.05),
        (0.25, 0.07),
        (4.5, 0.2),
        (1.75, 0.07),
        (499.5, 0.1),
    ]) {
        assert!((mean(row) - want).abs() < near, "the mean {} is not {want}", mean(row));
    }
    assert!(rows[6].iter().all(|x| (3.0..=6.0).contains(x) && x.fract() == 0.0));
    let mut order = rows[8].to_vec();
    order.sort_by(f64::total_cmp);
    assert!(order.iter().enumerate().all(|(i, x)| *x == i as f64));
}

/// What `tests/torch_ops.py` had PyTorch compute.
#[test]
fn operators_give_what_pytorch_gives() {
    let cases = json(&data().join("torch_ops.json"));
    let mut wrong = Vec::new();
    for case in cases.as_array().expect("cases") {
        let code = case["code"].as_str().expect("code");
        let shape: Vec<usize> = ints(&case["shape"]).iter().map(|&n| n as usize).collect();
        let n: usize = shape.iter().product();
        let numbers: Vec<f32> = (0..n).map(|i| (i * 5 % 7) as f32 / 7.0).collect();
        let x = Tensor::from_slice(&numbers, &shape).expect("x");
        let want: Vec<f64> = case["want"].as_array().expect("want").iter().filter_map(|n| n.as_f64()).collect();
        for device in [Device::Cpu, Device::Reference] {
            let model = load(&format!("return {code}"));
            let out = model.and_then(|model| with_device(device, || model.predict(std::slice::from_ref(&x))));
            let got = out.map(|out| out.iter().flat_map(|t| t.to_scalars()).map(|x| x.to_f64()).collect::<Vec<f64>>());
            let close = |(g, w): (&f64, &f64)| (g - w).abs() <= 1e-5 + 1e-4 * w.abs();
            match got {
                Ok(got) if got.len() == want.len() && got.iter().zip(&want).all(close) => {}
                Ok(got) => wrong.push(format!("{device:?} {code}\n  got {got:?}\n  want {want:?}")),
                Err(e) => wrong.push(format!("{device:?} {code}: {e}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    for body in [
        "return torch.upsample_linear1d(x, [4, 4], False)",
        "return torch.upsample_bicubic2d(x, [4], False)",
        "return torch.max_pool3d(x, [2, 2, 2])",
        "return torch.conv3d(x, torch.ones([1, 1, 9, 1, 1]))",
        "return torch.im2col(x, [9, 9], [1, 1], [0, 0], [1, 1])",
        "return torch.im2col(x, [2, 2], [1, 1], [0, 0], [0, 1])",
        "return torch.col2im(x, [4, 4], [2, 2], [1, 1], [0, 0], [1, 1])",
        "return torch.pixel_unshuffle(x, 0)",
        "return torch.channel_shuffle(x, 0)",
        "return torch.index_add(x, 0, torch.tensor([7]), x)",
        "return torch.index_fill(x, 0, torch.tensor([-7]), 1.0)",
        "return torch.scatter_reduce(x, 0, torch.tensor([[[5]]]), x, \"amax\")",
        "return torch.take_along_dim(x, torch.tensor([9]))",
        "return torch.kthvalue(x, 0)",
        "return torch.tensor_split(x, 0)",
        "return torch.diag(x)",
        "return torch.bilinear(x, x, torch.ones([2, 2]))",
        "return torch.outer(x, x)",
        "return torch.max_unpool2d(x, torch.tensor([[[99, 0], [1, 2]]]), [2, 2])",
        "n = torch.__range_length(0, 3, 0)\nreturn torch.tensor([n, torch.size(x, 0)])",
        "return torch.tensor([torch.__lshift__(torch.size(x, 0), 64)])",
        "return torch.stride(x, 5)",
        "return torch.real(torch.fft_fft(x, 0))",
        "return torch.real(torch.fft_fft(x, -1))",
        "return torch.real(torch.fft_rfft(x, 9223372036854775807))",
        "return torch.real(torch.fft_fft(x, 2, 5))",
        "return torch.real(torch.fft_fft(x, 2, 0, \"sideways\"))",
        "return torch.real(torch.fft_fftn(x, [2, 2], [0]))",
        "return torch.real(torch.fft_fft2(x, None, [1, -2]))",
        "return torch.real(torch.fft_rfft(torch.view_as_complex(x)))",
        "return torch.fft_irfft(torch.view_as_complex(torch.slice(x, 1, 0, 0)))",
        "return torch.real(torch.stft(x, 2, 1, 2, None, False, True, True))",
        "return torch.real(torch.stft(torch.flatten(x), 9, 1, 9, None, False, True, True))",
        "return torch.real(torch.stft(torch.flatten(x), 2, 0, 2, None, False, True, True))",
        "return torch.real(torch.stft(torch.flatten(x), 2, 1, 3, None, False, True, True))",
        "return torch.real(torch.stft(torch.flatten(x), 2, 1, 2, torch.ones([3]), False, True, True))",
        "return torch.istft(x, 2)",
        "return torch.istft(torch.view_as_complex(x), 2, 1, 2, torch.zeros([2]))",
        "return torch.istft(torch.view_as_complex(x), 2, 1, 2, None, True, False, None, 9223372036854775807)",
        "return torch.istft(torch.view_as_complex(x), 6, 1)",
        "return torch.hann_window(-1)",
        "return torch.hann_window(9223372036854775807)",
        "return torch.quantile(x, 1.5)",
        "return torch.cross(x, x)",
        "return torch.diag_embed(x, 9223372036854775807)",
        "return torch.diag_embed(x, 0, 1, 1)",
        "return torch.bincount(torch.tensor([-1]))",
        "return torch.bincount(torch.tensor([9223372036854775807]))",
        "return torch.bincount(torch.tensor([1]), torch.ones([2]))",
        "return torch.take(x, torch.tensor([4]))",
        "return torch.masked_scatter(x, torch.eq(x, 0.0), torch.ones([3]))",
        "return torch.repeat_interleave(x, torch.tensor([1, -2]), 1)",
        "return torch.repeat_interleave(x, torch.tensor([1, 9223372036854775807]), 1)",
        "return torch.repeat_interleave(x, torch.tensor([1, 1, 1]), 1)",
        "return torch.rot90(x, 1, [1, 1])",
        "return torch.triu_indices(9223372036854775807, 2)",
        "return torch.real(torch.constant_pad_nd(torch.view_as_complex(x), [1, 1], 2.0))",
    ] {
        let model = load(body).unwrap_or_else(|e| panic!("{body}\n{e}"));
        let x = Tensor::zeros(&[1, 2, 2], DType::F32).expect("x");
        assert!(model.predict(&[x]).is_err(), "{body}");
    }
}

#[test]
fn a_nan_is_the_middle_and_the_extreme() {
    let numbers = [1.0, f32::NAN, 3.0, 4.0, 6.0, 5.0];
    let of = |body: &str| run(body, &numbers, &[2, 3]);
    let middles = of("return (torch.median(x, 1))[0]");
    assert!(middles[0].is_nan() && middles[1] == 5.0, "{middles:?}");
    assert_eq!(of("return torch.mul((torch.median(x, 1))[1], 1.0)"), [1.0, 2.0]);
    let greatest = of("return torch.scatter_reduce(torch.zeros([2, 1]), 1, torch.zeros([2, 3], dtype=4), x, \"amax\")");
    assert!(greatest[0].is_nan() && greatest[1] == 6.0, "{greatest:?}");
}

#[test]
fn members_of_enums_are_their_values() {
    let model = |members: &str, body: &str| {
        let code = format!(
            "class E(Enum):\n{members}class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor,\n    e: __torch__.E) -> Tensor:\n    {body}\n"
        );
        Model::load_bytes(torchscript(&code), "made.pt")
    };
    let members = "  A = -1\n  B = 3\n";
    let loaded = model(members, "return torch.mul(x, (e).value)").unwrap_or_else(|e| panic!("{e}"));
    let x = Value::Tensor(Tensor::ones(&[2], DType::F32).expect("x"));
    let out = loaded.predict_flat(vec![x, Value::Int(3)]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(out[0].to_vec::<f32>().expect("numbers"), [3.0, 3.0]);
    for (members, body, words) in [
        (members, "return torch.mul(x, torch.len((e).name))", "only their values"),
        (members, "return torch.mul(x, __torch__.E.C)", "`__torch__.E.C` is used as a value"),
        // One that stands for others could be worked out without end.
        ("  A = __torch__.E.A\n", "return torch.mul(x, __torch__.E.A)", "`__torch__.E.A` is used as a value"),
    ] {
        let error = model(members, body).expect_err(body).to_string();
        assert!(error.contains(words), "{error}");
    }
}
