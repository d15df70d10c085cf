//! Random programs that compile and run to an end: each number gives one.
//!
//! They are well-typed because they are made that way: an expression is asked for by its type (`expr`), and a statement
//! knows which variables there are (`stmt`). They end because each loop and recursion is counted, and what a piece costs
//! in steps is kept below a limit. They fail often, as numbers at the edges of their types are frequent, and tell each
//! error with its place.

mod decl;
mod expr;
mod stmt;
mod tasks;
mod types;

use std::fmt::Write as _;
use types::{Enum, Struct, Ty};

/// Steps that a function may take, roughly, with all that it calls.
const MAX_COST: u64 = 20_000;

/// The program of that number.
pub fn program(number: u64) -> String {
    let mut maker = Maker::new(number);
    maker.declarations();
    maker.main();
    maker.text
}

/// Numbers from a seed (SplitMix64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What an expression can name.
#[derive(Clone, Debug)]
struct Var {
    name: String,
    ty: Ty,
    /// It can be assigned to here.
    is_mut: bool,
    /// It is only lent to the function: no closure takes it along.
    is_lent: bool,
}

#[derive(Clone, Debug)]
struct Func {
    name: String,
    params: Vec<Ty>,
    /// The first parameter is lent `&mut`.
    lends_first: bool,
    ret: Ty,
    cost: u64,
}

/// What may stand where the next statement goes.
#[derive(Clone, Debug)]
struct Place {
    vars: Vec<Var>,
    /// What `return` must give; `None` where there is none.
    ret: Option<Ty>,
    in_loop: bool,
}

struct Maker {
    rng: Rng,
    text: String,
    indent: usize,
    structs: Vec<Struct>,
    enums: Vec<Enum>,
    funcs: Vec<Func>,
    /// The type of each actor's messages and answers.
    actors: Vec<(Ty, Ty)>,
    place: Place,
    n_names: usize,
    /// Steps of the function that is being made, so far.
    cost: u64,
    /// How often the next statement is run.
    times: u64,
}

impl Maker {
    fn new(number: u64) -> Maker {
        Maker {
            rng: Rng(number.wrapping_mul(0x5851_f42d_4c95_7f2d)),
            text: String::new(),
            indent: 0,
            structs: Vec::new(),
            enums: Vec::new(),
            funcs: Vec::new(),
            actors: Vec::new(),
            place: Place { vars: Vec::new(), ret: None, in_loop: false },
            n_names: 0,
            cost: 0,
            times: 1,
        }
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{:1$}{line}", "", self.indent * 4);
    }

    fn name(&mut self, letter: char) -> String {
        self.n_names += 1;
        format!("{letter}{}", self.n_names)
    }

    fn var(&mut self, name: &str, ty: &Ty, is_mut: bool) {
        self.place.vars.push(Var { name: name.to_string(), ty: ty.clone(), is_mut, is_lent: false });
    }

    /// A block, whose variables end with it.
    fn block(&mut self, head: &str, body: impl FnOnce(&mut Maker)) {
        self.line(head);
        let n_vars = self.place.vars.len();
        self.indent += 1;
        body(self);
        self.indent -= 1;
        self.place.vars.truncate(n_vars);
    }

    /// A block that is run so many times.
    fn loop_block(&mut self, head: &str, times: u64, body: impl FnOnce(&mut Maker)) {
        let (before, in_loop) = (self.times, std::mem::replace(&mut self.place.in_loop, true));
        self.times *= times.max(1);
        self.block(head, body);
        self.times = before;
        self.place.in_loop = in_loop;
    }

    /// A block of a closure or task: it takes the variables around it along, and assigns to none.
    fn inner_block(&mut self, head: &str, ret: Option<Ty>, body: impl FnOnce(&mut Maker)) {
        let outer = self.place.clone();
        self.place.vars.retain(|var| !var.is_lent);
        self.place.vars.iter_mut().for_each(|var| var.is_mut = false);
        self.place.ret = ret;
        self.place.in_loop = false;
        self.block(head, body);
        self.place = outer;
    }

    /// A block of another function, which sees no variables around it.
    fn apart_block(&mut self, head: &str, ret: Option<Ty>, body: impl FnOnce(&mut Maker)) {
        let vars = std::mem::take(&mut self.place.vars);
        self.inner_block(head, ret, body);
        self.place.vars = vars;
    }

    /// Whether there is room for something that costs so much each time; takes it.
    fn afford(&mut self, cost: u64) -> bool {
        let all = self.cost.saturating_add(self.times.saturating_mul(cost));
        if all <= MAX_COST {
            self.cost = all;
        }
        all <= MAX_COST
    }
}
