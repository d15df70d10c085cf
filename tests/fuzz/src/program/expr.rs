//! Expressions, by the type that is asked for. Each stands for itself: in parentheses where that is needed.

use super::types::{SMALL, Ty};
use super::{Maker, Var};

const INTS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "10",
    "63",
    "64",
    "255",
    "256",
    "1000",
    "(-1)",
    "(-2)",
    "(-100)",
    "2147483647",
    "4294967296",
    "4611686018427387904",
    "9223372036854775807",
    "Int::min_value()",
    "(-9223372036854775807)",
];
const SMALL_INTS: &[&str] = &["0", "1", "2", "3", "5", "7", "31", "63", "100", "127"];
const FLOATS: &[&str] = &[
    "0.0",
    "1.0",
    "0.5",
    "2.5",
    "1e300",
    "1e-300",
    "3.0",
    "(-0.0)",
    "(-1.5)",
    "0.1",
    "1e16",
    "9.3e18",
    "(1.0 / 0.0)",
    "(0.0 / 0.0)",
];
const TEXTS: &[&str] = &["", "a", "stark", "ab,cd,ef", "héllo", "日本", " x ", "42", "-7", "2.5", "🦀 crab", "x=1"];

impl Maker {
    /// A variable or a literal.
    fn leaf(&mut self, ty: &Ty) -> String {
        let of_type: Vec<&Var> = self.place.vars.iter().filter(|var| var.ty == *ty).collect();
        if !of_type.is_empty() && !self.rng.one_in(4) {
            return self.rng.pick(&of_type).name.clone();
        }
        self.literal(ty)
    }

    pub fn literal(&mut self, ty: &Ty) -> String {
        match ty {
            Ty::Int => self.rng.pick(INTS).to_string(),
            Ty::Small(_, suffix) => format!("{}{suffix}", self.rng.pick(SMALL_INTS)),
            Ty::Float => self.rng.pick(FLOATS).to_string(),
            Ty::Float32 => format!("{}f32", self.rng.pick(&["0.0", "1.0", "0.5", "2.5", "3e38", "1e-40"])),
            Ty::Bool => self.rng.pick(&["true", "false"]).to_string(),
            Ty::Text => format!("\"{}\"", self.rng.pick(TEXTS)),
            _ => self.made(ty, 0),
        }
    }

    /// A value of the type, put together from its parts.
    fn made(&mut self, ty: &Ty, depth: u32) -> String {
        let d = depth.saturating_sub(1);
        match ty {
            Ty::List(of) => {
                let items: Vec<String> = (0..1 + self.rng.below(4)).map(|_| self.expr(of, d)).collect();
                format!("[{}]", items.join(", "))
            }
            Ty::Map(key, value) => {
                let n = 1 + self.rng.below(3);
                let items: Vec<String> =
                    (0..n).map(|_| format!("{}: {}", self.expr(key, d), self.expr(value, d))).collect();
                format!("{{{}}}", items.join(", "))
            }
            Ty::Set(of) => {
                let items: Vec<String> = (0..1 + self.rng.below(3)).map(|_| self.expr(of, d)).collect();
                format!("{{{}}}", items.join(", "))
            }
            Ty::Maybe(of) if self.rng.one_in(3) => format!("none_of({})", self.made_list(of)),
            Ty::Maybe(of) => format!("Some({})", self.expr(of, d)),
            Ty::Pair(a, b) => format!("({}, {})", self.expr(a, d), self.expr(b, d)),
            Ty::Struct(i) => {
                let fields = self.structs[*i].0.clone();
                let fields: Vec<String> = fields.iter().map(|ty| self.expr(ty, d)).collect();
                format!("S{i}({})", fields.join(", "))
            }
            Ty::Enum(i) => {
                let variant = self.rng.below(self.enums[*i].0.len());
                let payload = self.enums[*i].0[variant].clone();
                let payload: Vec<String> = payload.iter().map(|ty| self.expr(ty, d)).collect();
                let payload = if payload.is_empty() { String::new() } else { format!("({})", payload.join(", ")) };
                format!("E{i}::V{i}x{variant}{payload}")
            }
            Ty::Fn(from, to) => self.closure(from, to, d),
            _ => self.leaf(ty),
        }
    }

    fn made_list(&mut self, of: &Ty) -> String {
        self.made(&Ty::list(of.clone()), 0)
    }

    /// `|x: T| expression`.
    fn closure(&mut self, from: &Ty, to: &Ty, depth: u32) -> String {
        let x = self.name('x');
        let body = self.captured(&[(&x, from)], to, depth);
        format!("|{x}: {from}| {body}")
    }

    /// The expression of a closure with these parameters.
    fn captured(&mut self, params: &[(&str, &Ty)], ty: &Ty, depth: u32) -> String {
        let around = self.place.vars.clone();
        self.place.vars.retain(|var| !var.is_lent);
        for (name, ty) in params {
            self.var(name, ty, false);
        }
        let body = self.expr(ty, depth.min(2));
        self.place.vars = around;
        body
    }

    /// A closure that is called for each item of a list.
    fn each(&mut self, from: &Ty, to: &Ty, depth: u32) -> String {
        let before = self.times;
        self.times *= 8;
        let closure = self.closure(from, to, depth);
        self.times = before;
        closure
    }

    /// A position, mostly one that is there.
    pub fn index(&mut self, list: &str, depth: u32) -> String {
        if self.rng.one_in(12) {
            return self.expr(&Ty::Int, depth);
        }
        match self.rng.below(3) {
            0 => self.rng.pick(&["0", "0", "1"]).to_string(),
            1 => format!("(len({list}) - 1)"),
            _ => format!("({} & 3) % max(1, len({list}))", self.leaf(&Ty::Int)),
        }
    }

    /// A part of a variable that has the type: a field, an item, what an option or a map holds.
    fn part(&mut self, ty: &Ty, depth: u32) -> Option<String> {
        let d = depth.saturating_sub(1);
        let mut parts = Vec::new();
        let vars = self.place.vars.clone();
        for Var { name, ty: whole, .. } in &vars {
            match whole {
                Ty::List(of) if **of == *ty => parts.push((name, "[")),
                Ty::Map(_, value) if **value == *ty => parts.push((name, "{")),
                Ty::Maybe(of) if **of == *ty => parts.push((name, ".unwrap()")),
                Ty::Pair(a, _) if **a == *ty => parts.push((name, ".0")),
                Ty::Pair(_, b) if **b == *ty => parts.push((name, ".1")),
                Ty::Fn(_, to) if **to == *ty => parts.push((name, "(")),
                Ty::Struct(i) => {
                    let field = self.structs[*i].0.iter().position(|field| field == ty);
                    if let Some(field) = field {
                        parts.push((name, [".f0", ".f1", ".f2", ".f3"][field]));
                    }
                }
                _ => {}
            }
        }
        if parts.is_empty() {
            return None;
        }
        let (name, how) = *self.rng.pick(&parts);
        let whole = &vars.iter().find(|var| var.name == *name).expect("it was just found").ty;
        Some(match (how, whole) {
            ("[", _) => format!("{name}[{}]", self.index(name, d)),
            ("{", Ty::Map(key, _)) if self.rng.one_in(2) => format!("{name}[{}]", self.expr(key, d)),
            ("{", Ty::Map(key, _)) => format!("{name}.get_or({}, {})", self.expr(key, d), self.expr(ty, d)),
            ("(", Ty::Fn(from, _)) => format!("{name}({})", self.expr(from, d)),
            (".unwrap()", _) if self.rng.one_in(2) => format!("{name}.unwrap_or({})", self.expr(ty, d)),
            _ => format!("{name}{how}"),
        })
    }

    pub fn call(&mut self, ty: &Ty, depth: u32) -> Option<String> {
        let room = (super::MAX_COST.saturating_sub(self.cost)) / self.times;
        let fits = |func: &&super::Func| func.ret == *ty && !func.lends_first && func.cost <= room;
        let fitting: Vec<super::Func> = self.funcs.iter().filter(fits).cloned().collect();
        if fitting.is_empty() {
            return None;
        }
        let func = self.rng.pick(&fitting).clone();
        self.afford(func.cost);
        let args: Vec<String> = func.params.iter().map(|ty| self.expr(ty, depth.saturating_sub(1))).collect();
        Some(format!("{}({})", func.name, args.join(", ")))
    }

    pub fn expr(&mut self, ty: &Ty, depth: u32) -> String {
        self.cost += self.times;
        if depth == 0 || self.cost > super::MAX_COST {
            return self.leaf(ty);
        }
        let d = depth - 1;
        let found = match self.rng.below(12) {
            0 | 1 => Some(self.leaf(ty)),
            2 | 3 => self.part(ty, depth),
            4 => self.call(ty, depth),
            5 => Some(format!("(if {}: {} else: {})", self.expr(&Ty::Bool, d), self.expr(ty, d), self.expr(ty, d))),
            _ => None,
        };
        found.unwrap_or_else(|| self.operation(ty, depth))
    }

    fn operation(&mut self, ty: &Ty, depth: u32) -> String {
        let d = depth - 1;
        match ty {
            Ty::Int => self.int(d),
            Ty::Small(name, suffix) => match self.rng.below(8) {
                0 => format!("({} as {name})", self.expr(&Ty::Int, d)),
                1 => {
                    let f = *self.rng.pick(&["wrapping_add", "wrapping_mul", "saturating_sub", "min", "max"]);
                    format!("({}).{f}({})", self.expr(ty, d), self.expr(ty, d))
                }
                2 => {
                    format!("({} {} {}{suffix})", self.expr(ty, d), self.rng.pick(&["<<", ">>"]), self.rng.below(8))
                }
                _ => self.binary(ty, &["+", "-", "*", "/", "%", "&", "|", "^"], d),
            },
            Ty::Float | Ty::Float32 => match self.rng.below(9) {
                0 => {
                    let f = *self.rng.pick(&["sqrt", "abs", "floor", "ceil", "trunc", "fract", "sin", "exp", "round"]);
                    format!("({}).{f}()", self.expr(ty, d))
                }
                1 => {
                    let f = *self.rng.pick(&["min", "max", "hypot", "pow"]);
                    format!("({}).{f}({})", self.expr(ty, d), self.expr(ty, d))
                }
                2 => format!("{ty}({})", self.expr(&Ty::Int, d)),
                3 => format!("(-{})", self.expr(ty, d)),
                4 if *ty == Ty::Float => format!("Float({})", self.expr(&Ty::Float32, d)),
                4 => format!("Float32({})", self.expr(&Ty::Float, d)),
                _ => self.binary(ty, &["+", "-", "*", "/", "%", "+", "*"], d),
            },
            Ty::Bool => self.bool(d),
            Ty::Text => self.text(d),
            Ty::List(of) => self.list(ty, of, d),
            Ty::Map(key, value) => match self.rng.below(3) {
                0 => {
                    let before = self.times;
                    self.times *= 4;
                    let (i, n_vars) = (self.name('i'), self.place.vars.len());
                    self.var(&i, &Ty::Int, false);
                    let item = format!("{}: {}", self.expr(key, d), self.expr(value, d));
                    self.place.vars.truncate(n_vars);
                    self.times = before;
                    format!("{{{item} for {i} in 0..{}}}", self.rng.below(5))
                }
                1 => format!("{}.merge({})", self.leaf(ty), self.expr(ty, d)),
                _ => self.made(ty, depth),
            },
            Ty::Set(of) => match self.rng.below(3) {
                0 => format!("set({})", self.expr(&Ty::list((**of).clone()), d)),
                1 => {
                    let f = *self.rng.pick(&["union", "intersection", "difference"]);
                    format!("({}).{f}({})", self.expr(ty, d), self.expr(ty, d))
                }
                _ => self.made(ty, depth),
            },
            Ty::Maybe(of) => match self.rng.below(3) {
                0 => format!("({}).first()", self.expr(&Ty::list((**of).clone()), d)),
                1 if **of == Ty::Int => format!("({}).checked_mul({})", self.expr(of, d), self.expr(of, d)),
                _ => self.made(ty, depth),
            },
            Ty::Struct(i) if self.rng.one_in(2) => {
                let field = self.rng.below(self.structs[*i].0.len());
                let of = self.structs[*i].0[field].clone();
                format!("({}).with(f{field} = {})", self.expr(ty, d), self.expr(&of, d))
            }
            _ => self.made(ty, depth),
        }
    }

    fn binary(&mut self, ty: &Ty, ops: &[&str], d: u32) -> String {
        let op = *self.rng.pick(ops);
        format!("({} {op} {})", self.expr(ty, d), self.expr(ty, d))
    }

    fn int(&mut self, d: u32) -> String {
        let ty = &Ty::Int;
        match self.rng.below(18) {
            0 => {
                let list = self.ty(1);
                format!("len({})", self.expr(&Ty::list(list), d))
            }
            1 => format!("len({})", self.expr(&Ty::Text, d)),
            2 => {
                let small = self.rng.pick(&SMALL).clone();
                format!("({} as Int)", self.expr(&small, d))
            }
            3 => format!("({} as Int)", self.expr(&Ty::Float, d)),
            4 => format!("sum({})", self.expr(&Ty::list(Ty::Int), d)),
            5 => {
                let f = *self.rng.pick(&["wrapping_add", "wrapping_mul", "wrapping_sub", "min", "max", "div_floor"]);
                format!("({}).{f}({})", self.expr(ty, d), self.expr(ty, d))
            }
            6 => {
                let list = self.expr(&Ty::list(Ty::Int), d);
                let (a, x) = (self.name('a'), self.name('x'));
                let init = self.expr(ty, d);
                let before = self.times;
                self.times *= 8;
                let body = self.captured(&[(&a, ty), (&x, ty)], ty, d);
                self.times = before;
                format!("({list}).fold({init}, |{a}: Int, {x}: Int| {body})")
            }
            7 => format!("int({})", self.expr(&Ty::Text, d)),
            8 => format!("({}{})", self.rng.pick(&["-", "~"]), self.expr(ty, d)),
            9 => format!("({} {} ({} & 63))", self.expr(ty, d), self.rng.pick(&["<<", ">>"]), self.expr(ty, d)),
            10 => format!("({} ** {})", self.expr(ty, d), self.rng.below(5)),
            11 => format!("({} % {})", self.expr(ty, d), 1 + self.rng.below(100)),
            _ => self.binary(ty, &["+", "-", "*", "/", "%", "&", "|", "^", "+", "-", "*"], d),
        }
    }

    fn bool(&mut self, d: u32) -> String {
        match self.rng.below(8) {
            0 => format!("(not {})", self.expr(&Ty::Bool, d)),
            1 => self.binary(&Ty::Bool, &["and", "or", "==", "!="], d),
            2 => {
                let ty = self.ty(2);
                let op = *self.rng.pick(&["==", "!="]);
                format!("({} {op} {})", self.expr(&ty, d), self.expr(&ty, d))
            }
            3 => {
                let ty = self.scalar();
                let list = Ty::list(ty.clone());
                format!("({} {} {})", self.expr(&ty, d), self.rng.pick(&["in", "not in"]), self.expr(&list, d))
            }
            4 => {
                let ty = self.scalar();
                let list = self.expr(&Ty::list(ty.clone()), d);
                let f = *self.rng.pick(&["any", "all"]);
                format!("({list}).{f}({})", self.each(&ty, &Ty::Bool, d))
            }
            _ => {
                let ty = loop {
                    let ty = self.scalar();
                    if ty != Ty::Bool {
                        break ty;
                    }
                };
                self.binary(&ty, &["<", "<=", ">", ">=", "==", "!="], d)
            }
        }
    }

    fn text(&mut self, d: u32) -> String {
        let ty = &Ty::Text;
        match self.rng.below(9) {
            0 => format!("({} + {})", self.expr(ty, d), self.expr(ty, d)),
            1 => format!("({} * {})", self.expr(ty, d), self.rng.below(4)),
            2 => {
                let f = *self.rng.pick(&["upper", "lower", "strip", "reversed"]);
                format!("({}).{f}()", self.expr(ty, d))
            }
            3 => {
                let text = self.leaf(ty);
                format!("{text}[{}]", self.index(&text, d))
            }
            4 => {
                let text = self.leaf(ty);
                format!("{text}[{}..{}]", self.rng.below(3), 1 + self.rng.below(5))
            }
            5 => format!("\"-\".join({})", self.expr(&Ty::list(Ty::Text), d)),
            6 => {
                let of = self.ty(2);
                format!("str({})", self.expr(&of, d))
            }
            _ => {
                let mut text = String::from("f\"");
                for _ in 0..1 + self.rng.below(3) {
                    let (ty, format) = self
                        .rng
                        .pick(&[
                            (Ty::Int, ""),
                            (Ty::Int, ":>6"),
                            (Ty::Int, ":04"),
                            (Ty::Float, ":.3"),
                            (Ty::Float, ""),
                            (Ty::Text, ":<5"),
                            (Ty::Text, ""),
                            (Ty::Bool, ""),
                        ])
                        .clone();
                    let of = if format.is_empty() && self.rng.one_in(3) { self.ty(2) } else { ty };
                    text += &format!("{}{{({}){format}}}", self.rng.pick(&["", " ", "é ", "="]), self.leaf(&of));
                }
                text + "\""
            }
        }
    }

    fn list(&mut self, ty: &Ty, of: &Ty, d: u32) -> String {
        match self.rng.below(9) {
            0 => {
                let before = self.times;
                self.times *= 4;
                let (i, n_vars) = (self.name('i'), self.place.vars.len());
                self.var(&i, &Ty::Int, false);
                let item = self.expr(of, d);
                let test = if self.rng.one_in(2) { format!(" if {}", self.expr(&Ty::Bool, d)) } else { String::new() };
                self.place.vars.truncate(n_vars);
                self.times = before;
                format!("[{item} for {i} in 0..{}{test}]", self.rng.below(6))
            }
            1 => format!("({} + {})", self.expr(ty, d), self.expr(ty, d)),
            2 => {
                let from = self.ty(1);
                format!("({}).map({})", self.expr(&Ty::list(from.clone()), d), self.each(&from, of, d))
            }
            3 => format!("({}).filter({})", self.expr(ty, d), self.each(of, &Ty::Bool, d)),
            4 => format!("({}).reversed()", self.expr(ty, d)),
            5 => {
                let list = self.leaf(ty);
                format!("{list}[{}..{}]", self.rng.below(2), self.rng.below(4))
            }
            6 if matches!(of, Ty::Int | Ty::Text | Ty::Small(..) | Ty::Bool) => format!("sorted({})", self.expr(ty, d)),
            6 | 7 if *of == Ty::Text => format!("({}).split(\",\")", self.expr(&Ty::Text, d)),
            7 => format!("({}).skip({})", self.expr(ty, d), self.rng.below(3)),
            _ => self.made(ty, d),
        }
    }
}
