//! What the flow of shapes knows, and what it must not claim.

use stark_compiler::{Host, Options, check};
use stark_shapes::{DType, ModelSpec, Symbolic, TensorSpec};
use stark_syntax::source::SourceMap;

/// Has one model, `digits.pt`, from `[_, 64]` to `[_, 10]`.
struct Models;

impl Host for Models {
    fn load(&self, _: &str) -> Option<(String, String)> {
        None
    }

    fn model(&self, path: &str, _: &str) -> Option<ModelSpec> {
        use stark_shapes::Dim;
        let tensor = |name: &str, n: usize| TensorSpec {
            name: name.into(),
            dtype: Some(DType::F32),
            dims: Some(vec![Symbolic::Unknown, Symbolic::from_usize(n)]),
        };
        (path == "digits.pt").then(|| ModelSpec {
            inputs: vec![tensor("x", 64)],
            outputs: vec![tensor("logits", 10)],
            ..ModelSpec::default()
        })
    }
}

fn errors(text: &str) -> Vec<(&'static str, usize, String)> {
    let mut sources = SourceMap::new();
    let root = sources.add("t.stark", text);
    let checked = check(&mut sources, root, &Models, &Options::default());
    checked
        .diagnostics
        .iter()
        .filter(|d| d.code.0.starts_with('E'))
        .map(|d| (d.code.0, sources.location(d.primary.span).1, d.message.clone()))
        .collect()
}

/// The shape that is known of an expression, as a place of another rank is told.
fn flows(setup: &str, expr: &str, shape: &str) {
    let text = format!("{setup}\nlet _y: Tensor<Float32>[7, 7, 7, 7, 7, 7, 7, 7] = {expr}");
    let found = errors(&text);
    let message = found.first().map_or("nothing", |f| f.2.as_str());
    let told = message.split("this tensor has shape ").nth(1).and_then(|m| m.split(": rank").next());
    assert_eq!(told, Some(shape), "{text}\n{found:?}");
}

/// Nothing is known of the shape: any place may be tried at run time.
fn open(setup: &str, expr: &str) {
    clean(&format!("{setup}\nlet _y: Tensor<Float32>[7, 7, 7, 7, 7, 7, 7, 7] = {expr}"));
}

fn clean(text: &str) {
    let found = errors(text);
    assert!(found.is_empty(), "{text}\n{found:?}");
}

fn refused(text: &str, code: &str, line: usize) {
    let found = errors(text);
    assert!(found.iter().any(|f| f.0 == code && f.1 == line), "wanted {code} in line {line} of\n{text}\n{found:?}");
}

#[test]
fn operations_make_shapes() {
    for (expr, shape) in [
        ("zeros([2, 3])", "[2, 3]"),
        ("full([], 1.0)", "[]"),
        ("eye(3)", "[3, 3]"),
        ("tensor([[1.0, 2.0, 3.0]])", "[1, 3]"),
        ("tensor(1.0)", "[]"),
        ("arange(0, 10, 3).to(Float32)", "[4]"),
        ("arange(5).to(Float32)", "[5]"),
        ("a @ b", "[2, 4]"),
        ("a + 1.0", "[2, 3]"),
        ("2.0 * a - v", "[2, 3]"),
        ("-a.exp()", "[2, 3]"),
        ("a.sum()", "[]"),
        ("a.sum(axis = 1)", "[2]"),
        ("a.mean(axis = [0, 1], keepdim = true)", "[1, 1]"),
        ("max(a, axis = 0)", "[3]"),
        ("a.std(axis = 0)", "[3]"),
        ("a.norm(axis = 1)", "[2]"),
        ("a.reshape([3, -1])", "[3, 2]"),
        ("a.flatten()", "[6]"),
        ("a.permute([1, 0])", "[3, 2]"),
        ("a.transpose()", "[3, 2]"),
        ("a.unsqueeze(0)", "[1, 2, 3]"),
        ("a.unsqueeze(0).squeeze()", "[2, 3]"),
        ("v.expand([5, 3])", "[5, 3]"),
        ("cat([a, a, a])", "[6, 3]"),
        ("cat([a, a], axis = -1)", "[2, 6]"),
        ("stack([a, a, a], axis = 1)", "[2, 3, 3]"),
        ("a.split(1)[0]", "[1, 3]"),
        ("a.chunk(3, axis = 1)[0]", "[2, 1]"),
        ("a[0]", "[3]"),
        ("a[.., 1]", "[2]"),
        ("a[0..1, 1..]", "[1, 2]"),
        ("a[arange(5)]", "[5, 3]"),
        ("softmax(a @ b)", "[2, 4]"),
        ("layer_norm(a)", "[2, 3]"),
        ("conv2d(image, kernel, stride = 2, padding = 1)", "[1, 6, 4, 4]"),
        ("conv2d(image, kernel, ones([6]))", "[1, 6, 6, 6]"),
        ("image.max_pool2d(2)", "[1, 3, 4, 4]"),
        ("avg_pool2d(image, 3, stride = 1, padding = 1)", "[1, 3, 8, 8]"),
        ("embedding(a, arange(4))", "[4, 3]"),
        ("one_hot(arange(4), 7).to(Float32)", "[4, 7]"),
        ("a.topk(2).0", "[2, 2]"),
        ("a.sort().0", "[2, 3]"),
        ("outer(v, v)", "[3, 3]"),
        ("where(a > 0.0, a, v)", "[2, 3]"),
        ("a.masked_fill(a > 0.0, 1.0)", "[2, 3]"),
        ("dropout(a)", "[2, 3]"),
        ("ones(a.shape())", "[2, 3]"),
        ("ones([a.shape()[1], len(a.shape())])", "[3, 2]"),
        ("Tensor::from_vec([1.0, 2.0], [2, 1]).to(Float32)", "[2, 1]"),
    ] {
        let setup = "let a = ones([2, 3])\nlet b = ones([3, 4])\nlet v = ones([3])\nlet image = ones([1, 3, 8, 8])\nlet kernel = ones([6, 3, 3, 3])";
        flows(setup, expr, shape);
    }
}

#[test]
fn values_carry_shapes() {
    let setup = "let a = ones([2, 3])\nlet xs = [a, a]\nlet maybe = Some(a)\nasync fn same(t: Tensor<Float32>[n, m]) -> Tensor<Float32>[n, m]: return t\nfn twice(t: Tensor<Float32>[n]) -> Tensor<Float32>[n * 2]: return cat([t, t])\nstruct Pair:\n    left: Tensor<Float32>\n    right: Int";
    for (expr, shape) in [
        ("xs[1]", "[2, 3]"),
        ("(a, 1).0", "[2, 3]"),
        ("Pair(a, 1).left", "[2, 3]"),
        ("maybe.unwrap()", "[2, 3]"),
        ("maybe.unwrap_or(ones([2, 4]))", "[2, _]"),
        ("xs.map(|x| x.sum(axis = 0))[0]", "[3]"),
        ("[x @ ones([3, 5]) for x in xs][0]", "[2, 5]"),
        ("xs.fold(a, |acc, x| acc + x)", "[2, 3]"),
        ("xs.fold(a, |acc, x| cat([acc, x]))", "[_, 3]"),
        ("parallel_map(xs, |x| x.transpose())[0]", "[3, 2]"),
        ("parallel_tensor_map(|r: Tensor<Float32>| r.sum(), a)", "[_]"),
        ("parallel_tensor_map(|x: Float32| x + 1.0, a)", "[2, 3]"),
        ("parallel_preprocess(xs, [|x| x + 1.0, |x| x * 2.0])[0]", "[2, 3]"),
        ("Dataset::from(a).batch(2, drop_last = true)[0]", "[2, 3]"),
        ("Dataset::from(xs).batch(2)[0]", "[_, 2, 3]"),
        ("(await same(a))", "[2, 3]"),
        ("(spawn a.relu()).join()", "[2, 3]"),
        ("twice(ones([4]))", "[8]"),
        ("if len(args()) > 0: ones([2, 3]) else: ones([4, 3])", "[_, 3]"),
        ("tokenize(\"text\").to(Float32)", "[1, _]"),
    ] {
        flows(setup, expr, shape);
    }
}

#[test]
fn names_stand_for_sizes() {
    let f = |ret: &str, body: &str| {
        format!("fn f(a: Tensor<Float32>[n, m], b: Tensor<Float32>[m, 2 * n]) -> Tensor<Float32>{ret}:\n    return {body}\n_ = f")
            .replace("\n_ = f", "")
    };
    for (ret, body) in [
        ("[n, 2 * n]", "a @ b"),
        ("[n * m]", "a.flatten()"),
        ("[m * n]", "a.reshape([n * m])"),
        ("[n + n, m]", "cat([a, a])"),
        ("[n, m]", "zeros([n, m]) + a"),
        ("[m]", "a.sum(axis = 0) + b[.., 0]"),
        ("[_, 7]", "a.matmul(ones([m, 7]))"),
    ] {
        clean(&f(ret, body));
    }
    for (ret, body) in [
        ("[n, 2 * n + 1]", "a @ b"),
        ("[n + 1, m]", "a"),
        ("[n]", "a"),
        ("[n, 3]", "a @ ones([m, 4])"),
        ("[2 * n]", "cat([a.sum(axis = 1), ones([n + 1])])"),
    ] {
        refused(&f(ret, body), "E0701", 2);
    }
}

#[test]
fn what_is_not_known_is_no_error() {
    let setup = "fn make(shape: Vec<Int>) -> Tensor<Float32>: return ones(shape)\nlet n = len(args())\nlet open = make([2])\nlet xs = [ones([2]), make([3])]";
    for expr in [
        "open",
        "make([n])",
        "open + ones([3])",
        "open @ ones([3, 4])",
        "xs[1]",
        "open.reshape([n, 3]).squeeze()",
        "ones([2, 3]).squeeze(n)",
        "load_tensors(\"x\")[\"y\"]",
        "xs.fold(open, |acc, x| acc + x)",
    ] {
        open(setup, expr);
    }
    for text in [
        "let mut t = ones([1, 2])\nfor _ in 0..3: t = cat([t, t])\nlet _u: Tensor<Float32>[8, 2] = t",
        "let mut t = ones([1, 2])\nt = ones([3, 4])\nprint(t @ ones([4, 1]))",
        "let mut t = ones([2])\nif len(args()) > 1: t = ones([3])\nprint(t + ones([3]))",
        "fn f(a: Tensor<Float32>[n], b: Tensor<Float32>[m]): print(a + b)",
        "fn f(a: Tensor<Float32>[n], b: Tensor<Float32>[n + 1]): print(a + b)",
        "fn f(a: Tensor<Float32>[n, 1], b: Tensor<Float32>[3]): print((a + b).shape(), a @ b.reshape([1, 3]))",
        "let hidden: Tensor<Float32> = ones([2, 3])\nlet _t: Tensor<Float32>[5] = hidden",
        "fn f(t: Tensor<Float32>[2, 3]):\n    let u = t\n    let mut v = u\n    v = ones([9])\n    print(v)",
        "let mut xs = [ones([2])]\nxs.push(ones([3]))\nprint(xs[1] + ones([3]))",
        "let t = ones([3])\nprint(t[7])",
        "fn step<T>(x: T, f: fn(T) -> T) -> T: return f(x)\nprint(step(ones([1, 2]), |t| t.reshape([2])) + ones([2]))",
        "let x = ones([2, 3])\ntry:\n    print(x)\ncatch e: ShapeError:\n    print(e)\nfinally:\n    print(x @ ones([3, 1]))",
    ] {
        clean(text);
    }
}

#[test]
fn contradictions_name_their_place() {
    refused("let a = ones([2, 3])\nprint(a @ a)", "E0701", 2);
    refused("fn f(a: Tensor<Float32>[n], b: Tensor<Float32>[n]): print(a, b)\nf(ones([2]),\n  ones([3]))", "E0701", 3);
    refused("let xs = [ones([2])]\nprint(xs.map(|x|\n  x @ ones([3])))", "E0701", 3);
    refused("let a = ones([2, 3])\nlet mut b = a\nb += ones([4])", "E0701", 3);
    refused("let mut b = ones([2, 3])\nb[0] = ones([4])", "E0701", 2);
    refused("struct S:\n    w: Tensor<Float32>[2]\nlet mut s = S(ones([2]))\ns.w = ones([3])\nprint(s)", "E0701", 4);
    let found = errors("let a = ones([2, 3])\nprint(a @ a)");
    assert_eq!(found[0].2, "shapes [2, 3] and [2, 3] do not multiply: axis 1 is 3, axis 0 is 2");
    // One contradiction is one error, however often a closure is followed.
    let found = errors("print([ones([2, 3])].map(|x| [x].map(|y| [y].map(|z| z @ z))))");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn models_are_compared_with_their_files() {
    let load = |ty: &str| format!("let m: {ty} = load_model(\"digits.pt\")\nprint(m.inputs())");
    for ty in [
        "Model",
        "Model<Tensor<Float32>, Tensor<Float32>>",
        "Model<Tensor<Float32>[b, 64], Tensor<Float32>[b, 10]>",
        "Model<Tensor<Float32>[8, 64], Tensor<Float32>[_, _]>",
    ] {
        clean(&load(ty));
    }
    for ty in [
        "Model<Tensor<Float32>[_, 63], Tensor<Float32>[_, 10]>",
        "Model<Tensor<Float32>[_, 64], Tensor<Float32>[_, 11]>",
        "Model<Tensor<Float32>[64], Tensor<Float32>[10]>",
        "Model<Tensor<Int64>[_, 64], Tensor<Float32>[_, 10]>",
        "Model<(Tensor<Float32>, Tensor<Float32>), Tensor<Float32>>",
        "Model<Tensor<Float32>, (Tensor<Float32>, Tensor<Float32>)>",
    ] {
        refused(&load(ty), "E0703", 1);
    }
    clean(
        "let m: Model<Tensor<Float32>[_, 63], Tensor<Float32>[_, 10]> = load_model(\"absent.pt\")\nprint(m.inputs())",
    );
    let used = |x: &str| {
        format!(
            "let m: Model<Tensor<Float32>[b, 64], Tensor<Float32>[b, 10]> = load_model(\"digits.pt\")\nprint(m.predict({x}))"
        )
    };
    clean(&used("ones([3, 64])"));
    refused(&used("ones([3, 65])"), "E0701", 2);
    refused(&used("ones([64])"), "E0701", 2);
}

#[test]
fn batches_take_single_rows() {
    let asked = |x: &str| {
        format!(
            "actor Server:\n    n: Int = 0\n    @batch(max_size = 8)\n    fn on_receive(x: Tensor<Float32>[n, 64]) -> Tensor<Float32>[n, 10]:\n        return x @ ones([64, 10])\nlet s = spawn_actor(Server::new())\nlet _y: Tensor<Float32>[10] = (await s.ask({x})).flatten()[0..10]"
        )
    };
    clean(&asked("ones([64])"));
    clean(&asked("ones([3, 64])"));
    refused(&asked("ones([63])"), "E0701", 7);
    refused(&asked("ones([3, 63])"), "E0701", 7);
    refused(&asked("ones([1, 3, 64])"), "E0701", 7);
}

#[test]
fn op_assign_is_judged_as_an_assignment() {
    let typed = |place: &str, more: &str| {
        format!(
            "{place}\nlet mut a: Tensor<Float32>[1, 3] = zeros([1, 3])\nlet mut s = S(a)\nlet mut v = [s.t]\n{more}\nprint(a, s, v)"
        )
    };
    let field = "struct S:\n    t: Tensor<Float32>[1, 3]";
    clean(&typed(field, "a += ones([1, 3])\ns.t *= ones([3])\nv[0] += ones([2, 3])"));
    refused(&typed(field, "a += ones([2, 3])"), "E0701", 6);
    refused(&typed(field, "s.t -= ones([2, 3])"), "E0701", 6);
    refused("fn f(x: &mut Tensor<Float32>[n, 3]):\n    x += ones([2, n, 3])", "E0701", 2);
    clean("fn f(x: &mut Tensor<Float32>[n, 3]):\n    x += ones([3])\n    x *= x");
}

#[test]
fn a_name_is_one_size_where_it_is_known() {
    refused("fn f() -> Tensor<Float32>[k, k]:\n    return zeros([2, 3])", "E0701", 2);
    clean("fn f() -> Tensor<Float32>[k, k]:\n    return zeros([3, 3])");
    refused("fn f() -> (Tensor<Float32>[k], Tensor<Float32>[k]):\n    return (zeros([2]), zeros([3]))", "E0701", 2);
    refused("let f = |x: Tensor<Float32>[k, k]| x\nprint(f(zeros([2, 3])))", "E0701", 2);
    clean("let f = |x: Tensor<Float32>[k, k]| k\nprint(f(zeros([3, 3])))");
    clean("fn f(a: Tensor<Float32>[n + m], b: Tensor<Float32>[n]) -> Int: return m * n");
    refused("fn f(a: Tensor<Float32>[n + m]) -> Int:\n    return m", "E0201", 2);
    // Closures do not know each other's names.
    clean("let f = |x: Tensor<Float32>[k]| x\nlet g = |x: Tensor<Float32>[k]| x\nprint(f(ones([2])), g(ones([3])))");
}

#[test]
fn what_is_lent_keeps_its_type() {
    let grow = "fn grow(t: &mut Tensor<Float32>): t = cat([t, t])\nfn rows(t: &mut Tensor<Float32>[n, 2]): t *= 2.0";
    refused(&format!("{grow}\nlet mut t: Tensor<Float32>[1, 2] = ones([1, 2])\ngrow(&mut t)"), "E0301", 4);
    clean(&format!("{grow}\nlet mut t: Tensor<Float32>[1, 2] = ones([1, 2])\nrows(&mut t)"));
    clean(&format!("{grow}\nlet mut t = ones([1, 2])\ngrow(&mut t)\nrows(&mut t)"));
    refused(&format!("{grow}\nlet mut t: Tensor<Float32>[1, 3] = ones([1, 3])\nrows(&mut t)"), "E0701", 4);
}
