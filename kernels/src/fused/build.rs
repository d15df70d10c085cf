//! Expressions over elements: built node by node, then laid out as steps.

use std::collections::HashMap;

use stark_shapes::DType;

use super::ops::{Binary, Unary};

/// Nodes that an expression may have; past it `finish` refuses. A block's registers stay in the cache with far fewer.
pub const MAX_NODES: usize = 1024;

/// How a number is held while it is computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ty {
    F32,
    F64,
    I64,
    Bool,
}

impl Ty {
    /// That of the elements of `dtype`.
    pub fn of(dtype: DType) -> Ty {
        match dtype {
            DType::F16 | DType::BF16 | DType::F32 => Ty::F32,
            DType::F64 => Ty::F64,
            DType::Bool => Ty::Bool,
            _ => Ty::I64,
        }
    }
}

/// A value of the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(u32);

impl Node {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A step that may find a number it cannot go on with. `at`: counts only where this is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    Add(Node, Node),
    Sub(Node, Node),
    Mul(Node, Node),
    Div(Node, Node),
    Rem(Node, Node),
    Neg(Node),
    /// An `I64` in the range of an integer dtype.
    Fit(Node, DType),
    /// A float, cut toward zero, in the range of an integer dtype.
    ToInt(Node, DType),
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// The element of operand `k`.
    Input(u16),
    /// Number `k` that goes along with a run.
    Param(u16),
    /// These bits: of a `Float64` for both floats, of an `Int64`, 0 or 1.
    Const(u64),
    Unary(Unary, Node),
    Binary(Binary, Node, Node),
    /// `==`, `<` and `<=` of two nodes of one kind, IEEE for floats.
    Eq(Node, Node),
    Lt(Node, Node),
    Le(Node, Node),
    Not(Node),
    And(Node, Node),
    Or(Node, Node),
    /// The second where the first is true, else the third.
    Select(Node, Node, Node),
    IsNan(Node),
    /// Between `F32`, `F64`, `I64` and Bool; to `I64` only from Bool.
    Cast(Node),
    /// An `F32` or `F64` rounded to a half type, held as `F32`.
    Round(Node, DType),
    Check(Check, Option<Node>),
    /// Bits of integers.
    BitAnd(Node, Node),
    BitOr(Node, Node),
    BitXor(Node, Node),
    /// The low bits of an `I64`, as an integer dtype sees them.
    Wrap(Node, DType),
    /// Fails the run where it is true; it has no value.
    Fail(Node),
}

impl Op {
    /// The nodes that it reads.
    pub fn reads(self) -> impl Iterator<Item = Node> {
        let three = match self {
            Op::Input(_) | Op::Param(_) | Op::Const(_) => [None; 3],
            Op::Unary(_, a)
            | Op::Not(a)
            | Op::IsNan(a)
            | Op::Cast(a)
            | Op::Round(a, _)
            | Op::Wrap(a, _)
            | Op::Fail(a) => [Some(a), None, None],
            Op::Binary(_, a, b)
            | Op::Eq(a, b)
            | Op::Lt(a, b)
            | Op::Le(a, b)
            | Op::And(a, b)
            | Op::Or(a, b)
            | Op::BitAnd(a, b)
            | Op::BitOr(a, b)
            | Op::BitXor(a, b) => [Some(a), Some(b), None],
            Op::Select(a, b, c) => [Some(a), Some(b), Some(c)],
            Op::Check(check, at) => match check {
                Check::Add(a, b) | Check::Sub(a, b) | Check::Mul(a, b) | Check::Div(a, b) | Check::Rem(a, b) => {
                    [Some(a), Some(b), at]
                }
                Check::Neg(a) | Check::Fit(a, _) | Check::ToInt(a, _) => [Some(a), None, at],
            },
        };
        three.into_iter().flatten()
    }

    /// Whether it is one number for all elements, at hand before the run.
    pub fn is_number(self) -> bool {
        matches!(self, Op::Param(_) | Op::Const(_))
    }

    /// Whether it must be computed although nobody reads it.
    fn may_fail(self) -> bool {
        matches!(self, Op::Check(..) | Op::Fail(_))
    }
}

/// A graph that grows. Nodes read only earlier ones.
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<(Op, Ty)>,
    known: HashMap<(Op, Ty), Node>,
    n_params: u16,
}

impl Builder {
    pub fn new() -> Builder {
        Builder::default()
    }

    pub fn ty(&self, node: Node) -> Ty {
        self.nodes[node.index()].1
    }

    pub fn op(&self, node: Node) -> Op {
        self.nodes[node.index()].0
    }

    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    fn add(&mut self, op: Op, ty: Ty) -> Node {
        let next = Node(self.nodes.len() as u32);
        *self.known.entry((op, ty)).or_insert_with(|| {
            self.nodes.push((op, ty));
            next
        })
    }

    /// The element of operand `k`, whose dtype is held as `ty`.
    pub fn input(&mut self, k: u16, ty: Ty) -> Node {
        self.add(Op::Input(k), ty)
    }

    /// One more number that goes along with a run.
    pub fn param(&mut self, ty: Ty) -> Node {
        let k = self.n_params;
        self.n_params += 1;
        self.add(Op::Param(k), ty)
    }

    /// A float; in `F32` only where it is one.
    pub fn float(&mut self, x: f64, ty: Ty) -> Node {
        self.add(Op::Const(x.to_bits()), ty)
    }

    pub fn int(&mut self, x: i64) -> Node {
        self.add(Op::Const(x as u64), Ty::I64)
    }

    pub fn bool(&mut self, x: bool) -> Node {
        self.add(Op::Const(x.into()), Ty::Bool)
    }

    pub fn unary(&mut self, f: Unary, a: Node) -> Node {
        let ty = self.ty(a);
        self.add(Op::Unary(f, a), ty)
    }

    /// Both of one kind.
    pub fn binary(&mut self, f: Binary, a: Node, b: Node) -> Node {
        debug_assert_eq!(self.ty(a), self.ty(b));
        let ty = self.ty(a);
        self.add(Op::Binary(f, a, b), ty)
    }

    pub fn eq(&mut self, a: Node, b: Node) -> Node {
        self.add(Op::Eq(a, b), Ty::Bool)
    }

    pub fn lt(&mut self, a: Node, b: Node) -> Node {
        self.add(Op::Lt(a, b), Ty::Bool)
    }

    pub fn le(&mut self, a: Node, b: Node) -> Node {
        self.add(Op::Le(a, b), Ty::Bool)
    }

    pub fn is_nan(&mut self, a: Node) -> Node {
        self.add(Op::IsNan(a), Ty::Bool)
    }

    pub fn not(&mut self, a: Node) -> Node {
        match self.op(a) {
            Op::Not(inner) => inner,
            Op::Const(x) => self.bool(x == 0),
            _ => self.add(Op::Not(a), Ty::Bool),
        }
    }

    pub fn and(&mut self, a: Node, b: Node) -> Node {
        match (self.op(a), self.op(b)) {
            _ if a == b => a,
            (Op::Const(0), _) | (_, Op::Const(1)) => a,
            (Op::Const(1), _) | (_, Op::Const(0)) => b,
            _ => self.add(Op::And(a, b), Ty::Bool),
        }
    }

    /// `c or not c` is true, and so `p and c or p and not c` is `p`: what two ways that meet again come to.
    pub fn or(&mut self, a: Node, b: Node) -> Node {
        let opposite = |this: &Builder, x: Node, y: Node| this.op(x) == Op::Not(y) || this.op(y) == Op::Not(x);
        match (self.op(a), self.op(b)) {
            _ if a == b => a,
            (Op::Const(1), _) | (_, Op::Const(0)) => a,
            (Op::Const(0), _) | (_, Op::Const(1)) => b,
            _ if opposite(self, a, b) => self.bool(true),
            (Op::And(p, c), Op::And(q, d)) if p == q && opposite(self, c, d) => p,
            _ => self.add(Op::Or(a, b), Ty::Bool),
        }
    }

    /// Both of one kind.
    pub fn select(&mut self, condition: Node, a: Node, b: Node) -> Node {
        debug_assert_eq!(self.ty(a), self.ty(b));
        match self.op(condition) {
            _ if a == b => a,
            Op::Const(1) => a,
            Op::Const(0) => b,
            _ => {
                let ty = self.ty(a);
                self.add(Op::Select(condition, a, b), ty)
            }
        }
    }

    /// `a` held as `ty`.
    pub fn cast(&mut self, a: Node, ty: Ty) -> Node {
        match (self.op(a), self.ty(a)) {
            (_, from) if from == ty => a,
            (Op::Const(bits), Ty::F32) if ty == Ty::F64 => self.float(f64::from_bits(bits), ty),
            // Into the wider kind and back.
            (Op::Cast(inner), Ty::F64) if ty == Ty::F32 && self.ty(inner) == Ty::F32 => inner,
            _ => self.add(Op::Cast(a), ty),
        }
    }

    pub fn round(&mut self, a: Node, dtype: DType) -> Node {
        self.add(Op::Round(a, dtype), Ty::F32)
    }

    /// Integer arithmetic that fails the run where its result does not fit, if `at` is true there.
    pub fn check(&mut self, check: Check, at: Option<Node>) -> Node {
        self.add(Op::Check(check, at), Ty::I64)
    }

    pub fn wrap(&mut self, a: Node, dtype: DType) -> Node {
        self.add(Op::Wrap(a, dtype), Ty::I64)
    }

    pub fn bits(&mut self, op: fn(Node, Node) -> Op, a: Node, b: Node) -> Node {
        self.add(op(a, b), Ty::I64)
    }

    pub fn fail(&mut self, condition: Node) {
        self.add(Op::Fail(condition), Ty::Bool);
    }

    /// The program that computes `root`. `None` when the expression is too large.
    pub fn finish(self, root: Node) -> Option<Program> {
        if self.nodes.len() > MAX_NODES {
            return None;
        }
        let mut used = vec![false; self.nodes.len()];
        for i in (0..self.nodes.len()).rev() {
            used[i] |= i == root.index() || self.nodes[i].0.may_fail();
            if used[i] {
                self.nodes[i].0.reads().for_each(|node| used[node.index()] = true);
            }
        }
        let mut last_read = vec![0; self.nodes.len()];
        for (i, (op, _)) in self.nodes.iter().enumerate().filter(|(i, _)| used[*i]) {
            op.reads().for_each(|node| last_read[node.index()] = i);
        }
        last_read[root.index()] = usize::MAX;
        // A register is free again after the last step that reads it; a step never writes one that it reads.
        let mut registers: Vec<(Ty, usize)> = Vec::new();
        let mut steps = Vec::new();
        for (i, &(op, ty)) in self.nodes.iter().enumerate() {
            let register = if !used[i] || op.is_number() {
                0
            } else {
                let free = registers.iter().position(|&(held, until)| held == ty && until < i);
                let at = free.unwrap_or_else(|| {
                    registers.push((ty, 0));
                    registers.len() - 1
                });
                registers[at].1 = last_read[i].max(i);
                at
            };
            steps.push(Step { op, ty, register: register as u32, used: used[i] });
        }
        let registers = registers.into_iter().map(|(ty, _)| ty).collect();
        Some(Program { steps, registers, root, n_params: self.n_params })
    }
}

/// One node with the register that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub op: Op,
    pub ty: Ty,
    pub(super) register: u32,
    pub used: bool,
}

/// An expression, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// By node.
    pub(super) steps: Vec<Step>,
    pub(super) registers: Vec<Ty>,
    pub(super) root: Node,
    pub(super) n_params: u16,
}

impl Program {
    /// All nodes in order; those that are not `used` need not be computed.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub fn root(&self) -> Node {
        self.root
    }

    pub fn n_params(&self) -> usize {
        self.n_params.into()
    }

    /// Whether a run may end without a result.
    pub fn may_fail(&self) -> bool {
        self.steps.iter().any(|step| step.op.may_fail())
    }

    /// Steps that compute something: no operands and numbers.
    pub fn n_operations(&self) -> usize {
        let counts = |step: &&Step| step.used && !step.op.is_number() && !matches!(step.op, Op::Input(_) | Op::Fail(_));
        self.steps.iter().filter(counts).count()
    }
}
