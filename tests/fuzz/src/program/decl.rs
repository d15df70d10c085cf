//! Declarations: types, functions that call the ones before them, actors, and `main`.

use super::types::{Enum, Struct, Ty};
use super::{Func, Maker};

/// What every program has: an error of its own, and functions that keep values from growing.
const ALWAYS: &str = "\
struct Refused:
    code: Int

impl Error for Refused:
    fn message(&self) -> String: return f\"refused with {self.code}\"

fn cut(text: String) -> String: return if len(text) > 60: text[0..60] else: text
fn cut_list<T>(xs: Vec<T>) -> Vec<T>: return if len(xs) > 20: xs[0..20] else: xs
fn none_of<T>(_xs: Vec<T>) -> Option<T>: return None

trait Weighed:
    fn weigh(&self, by: Int) -> Int
    fn twice(&self, by: Int) -> Int: return self.weigh(by) + self.weigh(by + 1)

";

impl Maker {
    pub fn declarations(&mut self) {
        self.text.push_str(ALWAYS);
        for i in 0..1 + self.rng.below(2) {
            self.struct_(i);
        }
        self.enum_(0);
        for _ in 0..1 + self.rng.below(3) {
            match self.rng.below(5) {
                0 => self.recursive(),
                _ => self.function(),
            }
        }
        self.implementation(0);
        self.actor(0);
    }

    fn struct_(&mut self, i: usize) {
        let fields: Vec<Ty> = (0..2 + self.rng.below(3)).map(|_| self.ty(1)).collect();
        self.block(&format!("struct S{i}:"), |maker| {
            for (n, ty) in fields.iter().enumerate() {
                maker.line(&format!("f{n}: {ty}"));
            }
        });
        self.line("");
        self.structs.push(Struct(fields));
    }

    fn enum_(&mut self, i: usize) {
        let variants: Vec<Vec<Ty>> =
            (0..3).map(|v| (0..v.min(1 + self.rng.below(2))).map(|_| self.ty(1)).collect()).collect();
        self.block(&format!("enum E{i}:"), |maker| {
            for (v, payload) in variants.iter().enumerate() {
                let payload: Vec<String> = payload.iter().map(Ty::to_string).collect();
                let payload = if payload.is_empty() { String::new() } else { format!("({})", payload.join(", ")) };
                maker.line(&format!("V{i}x{v}{payload}"));
            }
        });
        self.line("");
        self.enums.push(Enum(variants));
    }

    /// Makes the body of a function; what it costs.
    fn body(&mut self, head: &str, ret: Option<Ty>, params: &[(String, Ty, bool)], is_lent: bool, depth: u32) -> u64 {
        self.cost = 0;
        self.times = 1;
        self.apart_block(head, ret.clone(), |maker| {
            for (name, ty, is_mut) in params {
                maker.var(name, ty, *is_mut);
                if let Some(var) = maker.place.vars.last_mut() {
                    var.is_lent = is_lent && (*is_mut || name.starts_with("self."));
                }
            }
            maker.statements(depth);
            match ret {
                Some(ty) => {
                    let value = maker.kept(&ty, 3);
                    maker.line(&format!("return {value}"));
                }
                None => maker.line("pass"),
            }
        });
        self.line("");
        std::mem::take(&mut self.cost)
    }

    fn function(&mut self) {
        let name = self.name('f');
        let params: Vec<Ty> = (0..1 + self.rng.below(3)).map(|_| self.ty(2)).collect();
        let lends_first = self.rng.one_in(4);
        let ret = self.ty(2);
        let params: Vec<(String, Ty, bool)> =
            params.into_iter().enumerate().map(|(i, ty)| (format!("p{i}"), ty, lends_first && i == 0)).collect();
        let list: Vec<String> = params
            .iter()
            .map(|(name, ty, is_mut)| format!("{name}: {}{ty}", if *is_mut { "&mut " } else { "" }))
            .collect();
        let cost = self.body(&format!("fn {name}({}) -> {ret}:", list.join(", ")), Some(ret.clone()), &params, true, 3);
        let params = params.into_iter().map(|(_, ty, _)| ty).collect();
        self.funcs.push(Func { name, params, lends_first, ret, cost });
    }

    /// A function that calls itself, at most so often as its wrapper says.
    fn recursive(&mut self) {
        let (name, ret, other) = (self.name('r'), self.ty(1), self.ty(1));
        let (rounds, branches) = *self.rng.pick(&[(5, 2), (30, 1), (300, 1), (9, 2)]);
        let params = [("n".to_string(), Ty::Int, false), ("p".to_string(), other.clone(), false)];
        self.cost = 0;
        self.times = 1;
        self.apart_block(&format!("fn {name}(n: Int, p: {other}) -> {ret}:"), Some(ret.clone()), |maker| {
            for (name, ty, is_mut) in &params {
                maker.var(name, ty, *is_mut);
            }
            let end = maker.kept(&ret, 2);
            maker.line(&format!("if n <= 0: return {end}"));
            // What is made here runs in every call.
            maker.times = if branches == 1 { rounds } else { 1 << rounds };
            maker.statements(1);
            for i in 0..branches {
                let next = maker.kept(&other, 2);
                let got = maker.name('v');
                maker.line(&format!("let mut {got}: {ret} = {name}(n - {}, {next})", i + 1));
                maker.var(&got, &ret, true);
            }
            maker.statements(1);
            let value = maker.kept(&ret, 2);
            maker.line(&format!("return {value}"));
        });
        self.line("");
        let cost = std::mem::take(&mut self.cost);
        self.times = 1;
        let outer = self.name('f');
        self.block(&format!("fn {outer}(p: {other}) -> {ret}:"), |maker| {
            maker.line(&format!("return {name}({rounds}, p)"));
        });
        self.line("");
        self.funcs.push(Func { name: outer, params: vec![other], lends_first: false, ret, cost });
    }

    /// A trait's method of a struct, and a function that calls it without knowing of which.
    fn implementation(&mut self, i: usize) {
        let fields: Vec<(String, Ty, bool)> =
            self.structs[i].0.iter().enumerate().map(|(n, ty)| (format!("self.f{n}"), ty.clone(), false)).collect();
        let mut params = vec![("by".to_string(), Ty::Int, false)];
        params.extend(fields);
        let mut cost = 0;
        self.block(&format!("impl Weighed for S{i}:"), |maker| {
            cost = maker.body("fn weigh(&self, by: Int) -> Int:", Some(Ty::Int), &params, true, 2);
        });
        let name = self.name('f');
        self.block(&format!("fn {name}(x: S{i}, by: Int) -> Int:"), |maker| {
            maker.line("let things: Vec<Weighed> = [x, x]");
            maker.line("return things[0].twice(by % 1000) - things[1].weigh(by)");
        });
        self.line("");
        let params = vec![Ty::Struct(i), Ty::Int];
        self.funcs.push(Func { name, params, lends_first: false, ret: Ty::Int, cost: 3 * cost });
    }

    fn actor(&mut self, i: usize) {
        let (from, to, state) = (self.ty(1), self.ty(1), self.ty(2));
        let first = self.literal(&state);
        self.block(&format!("actor A{i}:"), |maker| {
            maker.line(&format!("mut state{i}: {state} = {first}"));
            maker.line(&format!("mut count{i}: Int = 0"));
            maker.line("");
            let params = [
                ("message".to_string(), from.clone(), false),
                (format!("state{i}"), state.clone(), true),
                (format!("count{i}"), Ty::Int, true),
            ];
            maker.body(&format!("fn on_receive(message: {from}) -> {to}:"), Some(to.clone()), &params, false, 2);
        });
        self.actors.push((from, to));
    }

    pub fn main(&mut self) {
        self.cost = 0;
        self.times = 1;
        self.apart_block("fn main():", None, |maker| {
            for func in maker.funcs.clone() {
                maker.cost = 0;
                maker.try_call(&func);
            }
            maker.cost = 0;
            maker.concurrent();
            maker.cost = 0;
            maker.statements(3);
            // What is thrown here nobody catches.
            let funcs: Vec<Func> = maker.funcs.iter().filter(|func| !func.lends_first).cloned().collect();
            if !funcs.is_empty() {
                let func = maker.rng.pick(&funcs).clone();
                let args: Vec<String> = func.params.iter().map(|ty| maker.expr(ty, 2)).collect();
                maker.line(&format!("print({}({}))", func.name, args.join(", ")));
            }
        });
    }

    fn try_call(&mut self, func: &Func) {
        let mut args = Vec::new();
        let first = self.name('m');
        self.block("try:", |maker| {
            for (i, ty) in func.params.iter().enumerate() {
                let value = maker.expr(ty, 2);
                if i == 0 && func.lends_first {
                    maker.line(&format!("let mut {first}: {ty} = {value}"));
                    args.push(format!("&mut {first}"));
                } else {
                    args.push(value);
                }
            }
            let shown = if func.lends_first { format!(", {first}") } else { String::new() };
            maker.line(&format!("print({}({}){shown})", func.name, args.join(", ")));
        });
        let e = self.name('e');
        self.block(&format!("catch {e}:"), |maker| {
            maker.line(&format!("print({e}.kind(), {e}.message(), {e}.trace())"))
        });
    }
}
