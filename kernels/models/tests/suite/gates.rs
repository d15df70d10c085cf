//! Numbers times gates of themselves are one operator, and what only looks so stays what it is.

use crate::in_place::check;

const SHAPE: [usize; 2] = [4, 4];

#[test]
fn gated_numbers_are_one_operator() {
    for gate in [
        "a = torch.sigmoid(x)\nreturn torch.mul(x, a)",
        "a = torch.sigmoid(x)\nreturn torch.mul(a, x)",
        "a = torch.hardsigmoid(x)\nreturn torch.mul(x, a)",
        "a = torch.softplus(x)\nb = torch.tanh(a)\nreturn torch.mul(x, b)",
        "a = torch.add(x, 3.)\nb = torch.relu6(a)\nc = torch.div(b, 6.)\nreturn torch.mul(x, c)",
        "a = torch.add(x, 3.)\nb = torch.relu6(a)\nc = torch.mul(x, b)\nreturn torch.div(c, 6.)",
        "a = torch.add(x, 3.)\nb = torch.relu6(a)\nc = torch.mul(b, x)\nreturn torch.mul(c, 0.16666667)",
    ] {
        assert_eq!(check(gate, &SHAPE), 1, "{gate}");
        // Of a value that is computed, too.
        let of_sum = format!("y = torch.sub(x, 1.)\n{}", gate.replace("(x", "(y").replace(", x)", ", y)"));
        assert_eq!(check(&of_sum, &SHAPE), 2, "{of_sum}");
    }
}

#[test]
fn what_only_looks_like_a_gate_stays() {
    for (body, n) in [
        // The gate is another number's.
        ("y = torch.neg(x)\na = torch.sigmoid(y)\nreturn torch.mul(x, a)", 3),
        // Somebody else reads the gate.
        ("a = torch.sigmoid(x)\nb = torch.mul(x, a)\nreturn torch.add(a, b)", 3),
        // Other numbers.
        ("a = torch.add(x, 2.)\nb = torch.relu6(a)\nc = torch.div(b, 6.)\nreturn torch.mul(x, c)", 4),
        ("a = torch.add(x, 3.)\nb = torch.relu6(a)\nc = torch.div(b, 5.)\nreturn torch.mul(x, c)", 4),
        ("a = torch.softplus(x, 2.)\nb = torch.tanh(a)\nreturn torch.mul(x, b)", 3),
        // The argument changes between the gate and the product.
        ("y = torch.neg(x)\na = torch.sigmoid(y)\nv = torch.t(y)\n_0 = torch.add_(v, 1.)\nreturn torch.mul(y, a)", 5),
    ] {
        assert_eq!(check(body, &SHAPE), n, "{body}");
    }
}
