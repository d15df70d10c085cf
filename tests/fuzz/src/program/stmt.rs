//! Statements.

use super::types::Ty;
use super::{Maker, Var};

impl Maker {
    /// Some statements; blocks in blocks at most so deep.
    pub fn statements(&mut self, depth: u32) {
        let n = 1 + self.rng.below(if depth > 2 { 5 } else { 3 });
        for _ in 0..n {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: u32) {
        self.cost += self.times;
        let d = depth.saturating_sub(1);
        match self.rng.below(if depth == 0 { 10 } else { 24 }) {
            0..=2 => self.let_(),
            3..=5 => self.assign(),
            6 => self.change(),
            7 => self.print(),
            8 => self.leave(),
            9 => self.lend(),
            10..=12 => self.if_(d),
            13 | 14 => self.while_(d),
            15..=17 => self.for_(d),
            18 | 19 => self.match_(d),
            20..=22 => self.try_(d),
            _ => self.closure_block(d),
        }
    }

    /// A value that does not grow from one round of a loop to the next.
    pub fn kept(&mut self, ty: &Ty, depth: u32) -> String {
        let value = self.expr(ty, depth);
        match ty {
            Ty::Text => format!("cut({value})"),
            Ty::List(_) => format!("cut_list({value})"),
            _ => value,
        }
    }

    fn let_(&mut self) {
        let ty = if self.rng.one_in(10) {
            let (from, to) = (self.ty(1), self.ty(1));
            Ty::Fn(Box::new(from), Box::new(to))
        } else {
            self.ty(2)
        };
        let value = self.kept(&ty, 3);
        let is_mut = ty.is_plain() && !self.rng.one_in(3);
        let name = self.name('v');
        self.line(&format!("let {}{name}: {ty} = {value}", if is_mut { "mut " } else { "" }));
        self.var(&name, &ty, is_mut);
    }

    fn mutable(&mut self, fits: impl Fn(&Ty) -> bool) -> Option<Var> {
        let vars: Vec<&Var> = self.place.vars.iter().filter(|var| var.is_mut && fits(&var.ty)).collect();
        if vars.is_empty() { None } else { Some((*self.rng.pick(&vars)).clone()) }
    }

    /// A variable or a part of it gets a value.
    fn assign(&mut self) {
        let Some(Var { name, ty, .. }) = self.mutable(|_| true) else { return self.let_() };
        if ty.is_number() && self.rng.one_in(2) {
            let op = *self.rng.pick(&["+=", "-=", "*=", "/=", "%=", "+="]);
            let value = self.expr(&ty, 2);
            return self.line(&format!("{name} {op} {value}"));
        }
        let part = match &ty {
            Ty::List(of) if self.rng.one_in(2) => Some((format!("{name}[{}]", self.index(&name, 1)), (**of).clone())),
            Ty::Map(key, value) if self.rng.one_in(2) => {
                let key = self.expr(key, 1);
                if **value == Ty::Int && self.rng.one_in(2) {
                    return self.line(&format!("{name}.or_insert({key}, 0) += 1"));
                }
                Some((format!("{name}[{key}]"), (**value).clone()))
            }
            Ty::Struct(i) if self.rng.one_in(2) => {
                let field = self.rng.below(self.structs[*i].0.len());
                Some((format!("{name}.f{field}"), self.structs[*i].0[field].clone()))
            }
            _ => None,
        };
        let (place, ty) = part.unwrap_or((name, ty));
        let value = self.kept(&ty, 3);
        self.line(&format!("{place} = {value}"));
    }

    /// A container is changed in place.
    fn change(&mut self) {
        let Some(Var { name, ty, .. }) = self.mutable(|ty| matches!(ty, Ty::List(_) | Ty::Map(..) | Ty::Set(_))) else {
            return self.assign();
        };
        let line = match &ty {
            Ty::List(of) => match self.rng.below(9) {
                0..=2 => format!("{name}.push({})", self.expr(of, 2)),
                3 => format!("{name}.pop()"),
                4 => format!("{name}.insert({}, {})", self.index(&name, 1), self.expr(of, 2)),
                5 => format!("{name}.remove({})", self.index(&name, 1)),
                6 => format!("{name}.reverse()"),
                7 => format!("{name}.swap({}, {})", self.index(&name, 1), self.index(&name, 1)),
                _ => format!("{name}.truncate({})", self.rng.below(4)),
            },
            Ty::Map(key, value) => match self.rng.below(3) {
                0 | 1 => format!("{name}.insert({}, {})", self.expr(key, 2), self.expr(value, 2)),
                _ => format!("{name}.remove({})", self.expr(key, 2)),
            },
            Ty::Set(of) => format!("{name}.{}({})", self.rng.pick(&["insert", "remove"]), self.expr(of, 2)),
            _ => return,
        };
        self.line(&line);
    }

    fn print(&mut self) {
        // Not in the midst of loops: a long output compares no better.
        if self.times > 30 {
            return self.assign();
        }
        let values: Vec<String> = (0..1 + self.rng.below(2))
            .map(|_| {
                let ty = self.ty(2);
                self.expr(&ty, 2)
            })
            .collect();
        self.line(&format!("print({})", values.join(", ")));
    }

    /// `return`, `throw`, `break`, `continue`, on a condition.
    fn leave(&mut self) {
        let test = self.expr(&Ty::Bool, 2);
        let how = match self.rng.below(6) {
            0 => "throw ValueError(\"thrown\")".to_string(),
            1 => {
                let value = self.expr(&Ty::Int, 1);
                format!("throw Refused({value})")
            }
            2 => format!("assert {}, \"held\"", self.expr(&Ty::Bool, 2)),
            n if self.place.in_loop && n < 5 => self.rng.pick(&["break", "continue"]).to_string(),
            _ => match self.place.ret.clone() {
                Some(ty) => format!("return {}", self.kept(&ty, 2)),
                None => return self.let_(),
            },
        };
        self.line(&format!("if {test}: {how}"));
    }

    /// A call that lends a variable.
    fn lend(&mut self) {
        let room = (super::MAX_COST.saturating_sub(self.cost)) / self.times;
        let funcs: Vec<super::Func> =
            self.funcs.iter().filter(|func| func.lends_first && func.cost <= room).cloned().collect();
        let vars: Vec<Var> = self.place.vars.iter().filter(|var| var.is_mut).cloned().collect();
        let pairs: Vec<(&super::Func, &Var)> = funcs
            .iter()
            .flat_map(|func| vars.iter().map(move |var| (func, var)))
            .filter(|(func, var)| func.params[0] == var.ty)
            .collect();
        if pairs.is_empty() {
            return self.assign();
        }
        let (func, var) = *self.rng.pick(&pairs);
        self.afford(func.cost);
        // What is lent cannot be looked at meanwhile.
        let all = self.place.vars.clone();
        self.place.vars.retain(|other| other.name.split('.').next() != var.name.split('.').next());
        let args: Vec<String> = func.params[1..].iter().map(|ty| format!(", {}", self.expr(ty, 2))).collect();
        self.place.vars = all;
        self.line(&format!("{}(&mut {}{})", func.name, var.name, args.concat()));
    }

    fn if_(&mut self, depth: u32) {
        let test = self.expr(&Ty::Bool, 3);
        self.block(&format!("if {test}:"), |maker| maker.statements(depth));
        if self.rng.one_in(3) {
            let test = self.expr(&Ty::Bool, 2);
            self.block(&format!("else if {test}:"), |maker| maker.statements(depth));
        }
        if self.rng.one_in(2) {
            self.block("else:", |maker| maker.statements(depth));
        }
    }

    /// How often a loop runs: mostly few times.
    fn rounds(&mut self) -> Option<u64> {
        let rounds = *self.rng.pick(&[2u64, 3, 5, 5, 8, 20, 60]);
        self.afford(rounds * 4).then_some(rounds)
    }

    fn while_(&mut self, depth: u32) {
        let Some(rounds) = self.rounds() else { return self.assign() };
        let n = self.name('n');
        self.line(&format!("let mut {n} = 0"));
        self.var(&n, &Ty::Int, false);
        let more = if self.rng.one_in(2) { format!(" and {}", self.expr(&Ty::Bool, 2)) } else { String::new() };
        self.loop_block(&format!("while {n} < {rounds}{more}:"), rounds, |maker| {
            maker.line(&format!("{n} += 1"));
            maker.statements(depth);
        });
    }

    fn for_(&mut self, depth: u32) {
        let Some(rounds) = self.rounds() else { return self.assign() };
        let x = self.name('x');
        match self.rng.below(6) {
            0..=2 => {
                let range = match self.rng.below(3) {
                    0 => format!("0..{rounds}"),
                    1 => format!("1..={rounds}"),
                    _ => format!("({} % 7)..{rounds}", self.leaf_int()),
                };
                self.loop_block(&format!("for {x} in {range}:"), rounds + 7, |maker| {
                    maker.var(&x, &Ty::Int, false);
                    maker.statements(depth);
                });
            }
            3 | 4 => {
                let of = self.ty(1);
                let list = self.kept(&Ty::list(of.clone()), 3);
                self.loop_block(&format!("for {x} in {list}:"), 20, |maker| {
                    maker.var(&x, &of, false);
                    maker.statements(depth);
                });
            }
            _ => {
                let (key, value) = (Ty::Text, self.ty(1));
                let map = self.expr(&Ty::Map(Box::new(key.clone()), Box::new(value.clone())), 2);
                let y = self.name('y');
                self.loop_block(&format!("for ({x}, {y}) in ({map}).items():"), 5, |maker| {
                    maker.var(&x, &key, false);
                    maker.var(&y, &value, false);
                    maker.statements(depth);
                });
            }
        }
    }

    fn leaf_int(&mut self) -> String {
        self.expr(&Ty::Int, 0)
    }

    fn match_(&mut self, depth: u32) {
        match self.rng.below(5) {
            0 | 1 if !self.enums.is_empty() => {
                let i = self.rng.below(self.enums.len());
                let value = self.expr(&Ty::Enum(i), 2);
                self.block(&format!("match {value}:"), |maker| {
                    let variants = maker.enums[i].0.clone();
                    for (v, payload) in variants.iter().enumerate() {
                        let names: Vec<String> = payload.iter().map(|_| maker.name('k')).collect();
                        let pattern = if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) };
                        maker.block(&format!("V{i}x{v}{pattern} =>"), |maker| {
                            for (name, ty) in names.iter().zip(payload) {
                                maker.var(name, ty, false);
                            }
                            maker.statements(depth);
                        });
                    }
                });
            }
            2 => {
                let of = self.ty(1);
                let value = self.expr(&Ty::Maybe(Box::new(of.clone())), 2);
                let x = self.name('k');
                self.block(&format!("if let Some({x}) = {value}:"), |maker| {
                    maker.var(&x, &of, false);
                    maker.statements(depth);
                });
            }
            3 => {
                let of = self.ty(1);
                let value = self.expr(&Ty::list(of.clone()), 2);
                let (a, rest) = (self.name('k'), self.name('k'));
                self.block(&format!("match {value}:"), |maker| {
                    maker.block("[] =>", |maker| maker.statements(depth));
                    maker.block(&format!("[{a}] =>"), |maker| {
                        maker.var(&a, &of, false);
                        maker.statements(depth);
                    });
                    maker.block(&format!("[{a}, ..{rest}] =>"), |maker| {
                        maker.var(&a, &of, false);
                        maker.var(&rest, &Ty::list(of.clone()), false);
                        maker.statements(depth);
                    });
                });
            }
            _ => {
                let value = self.expr(&Ty::Int, 2);
                let k = self.name('k');
                let test = self.expr(&Ty::Bool, 1);
                self.block(&format!("match {value}:"), |maker| {
                    maker.block("0 | 1 =>", |maker| maker.statements(depth));
                    maker.block("2..=9 =>", |maker| maker.statements(depth));
                    maker.block(&format!("{k} if {k} < 0 and {test} =>"), |maker| {
                        maker.var(&k, &Ty::Int, false);
                        maker.statements(depth);
                    });
                    maker.block("_ =>", |maker| maker.statements(depth));
                });
            }
        }
    }

    fn try_(&mut self, depth: u32) {
        self.block("try:", |maker| maker.statements(depth));
        let has_finally = self.rng.one_in(2);
        let e = self.name('e');
        if self.rng.one_in(3) {
            let kind = *self.rng.pick(&["OverflowError", "ZeroDivisionError", "IndexError", "ValueError", "KeyError"]);
            self.block(&format!("catch {kind}:"), |maker| maker.statements(depth));
        }
        if self.rng.one_in(4) {
            self.block(&format!("catch {e}: Refused:"), |maker| {
                maker.var(&format!("{e}.code"), &Ty::Int, false);
                maker.statements(depth);
            });
        } else if !has_finally && self.rng.one_in(4) {
            self.block("catch:", |maker| maker.statements(depth));
        } else if !has_finally || self.rng.one_in(2) {
            self.block(&format!("catch {e}:"), |maker| {
                if maker.times <= 30 {
                    maker.line(&format!("print({e}.kind(), {e}.message())"));
                }
                if maker.rng.one_in(4) {
                    maker.line(&format!("throw {e}"));
                } else {
                    maker.statements(depth);
                }
            });
        }
        if has_finally {
            let (ret, in_loop) = (self.place.ret.take(), std::mem::take(&mut self.place.in_loop));
            self.block("finally:", |maker| maker.statements(depth));
            (self.place.ret, self.place.in_loop) = (ret, in_loop);
        }
    }

    /// A closure with a body of its own.
    fn closure_block(&mut self, depth: u32) {
        let (from, to) = (self.ty(1), self.ty(1));
        let (f, x) = (self.name('c'), self.name('x'));
        let before = self.times;
        self.times *= 8;
        self.inner_block(&format!("let {f} = |{x}: {from}| -> {to}:"), Some(to.clone()), |maker| {
            maker.var(&x, &from, false);
            maker.statements(depth.min(1));
            let value = maker.kept(&to, 2);
            maker.line(&format!("return {value}"));
        });
        self.times = before;
        self.var(&f, &Ty::Fn(Box::new(from), Box::new(to)), false);
    }
}
