//! Checks at run time: the element types of tensors and the sizes that a type states, also inside containers.
//!
//! Numbers are asked by the native `tensor_check`. Names are solved by `tensor_sizes`: it takes the sizes that are known so far, -1
//! for others, and gives them with what the tensor's shape says. They are in the variables of the body's signature; a name
//! that no signature around has is one size within the value that is checked.

use super::builder::FnBuilder;
use super::types;
use crate::check::{asked_names, mentions_dims, names_in};
use crate::hir::{Dim, Expr, TensorTy, Ty};
use stark_bytecode::{Field, Instr, Reg, Variant};
use std::rc::Rc;

impl<'p> FnBuilder<'_, 'p> {
    pub fn tensor_check(&mut self, value: &'p Expr, to: &Ty, dst: Reg) {
        let from = self.ty(&value.ty);
        // Of type parameters that state no sizes.
        if from == *to && !mentions_dims(to) {
            return self.into(value, dst);
        }
        let src = self.operand(value);
        self.check_tensors(src.register, &from, to, dst);
        self.done(src);
    }

    /// `dst` = the value, of which everything has been asked that the type `to` says of its tensors.
    pub fn check_tensors(&mut self, src: Reg, from: &Ty, to: &Ty, dst: Reg) {
        let outer = std::mem::take(&mut self.own_sizes);
        for name in asked_names(to) {
            if self.size_register(&name).is_none() {
                let register = self.int_temp(-1);
                self.own_sizes.push((name, register));
            }
        }
        self.check_value(src, from, to, dst);
        for (_, register) in std::mem::replace(&mut self.own_sizes, outer) {
            self.recycle(register);
        }
    }

    fn size_register(&self, name: &str) -> Option<Reg> {
        if let Some((_, register)) = self.own_sizes.iter().find(|(n, _)| &**n == name) {
            return Some(*register);
        }
        let local = self.dims.iter().find(|(n, _)| &**n == name).map(|(_, local)| *local)?;
        self.locals.get(&local).copied()
    }

    fn check_tensor(&mut self, src: Reg, from: &TensorTy, to: &TensorTy, dst: Reg) {
        let (from_ty, to_ty) = (Ty::Tensor(from.clone()), Ty::Tensor(to.clone()));
        let mut names = Vec::new();
        names_in(&to_ty, &mut names);
        names.sort();
        names.dedup();
        let sizes: Vec<(Rc<str>, Reg)> =
            names.into_iter().filter_map(|name| self.size_register(&name).map(|register| (name, register))).collect();
        if sizes.is_empty() || self.g.type_id(&from_ty) != self.g.type_id(&to_ty) {
            let code = to.elem.as_ref().and_then(|e| types::elem(e)).map_or(-1, |e| e as i64);
            let code = self.int_temp(code);
            let dims = self.ints(&match &to.dims {
                // Rank open: one dimension -2.
                None => vec![-2],
                Some(dims) => dims.iter().map(number).collect(),
            });
            let args = [(src, from_ty.clone()), (code, Ty::INT), (dims, self.ints_ty())];
            self.native_into("tensor_check", &[from_ty, to_ty.clone()], &args, &to_ty, dst);
            self.release(dims);
            self.recycle(code);
        } else {
            self.emit(Instr::CopyRef { dst, src });
        }
        if let (Some(dims), false) = (&to.dims, sizes.is_empty()) {
            self.solve_sizes(dst, &to_ty, dims, &sizes);
        }
    }

    /// Asks a tensor for the named sizes, and keeps those that it tells.
    fn solve_sizes(&mut self, tensor: Reg, ty: &Ty, dims: &[Dim], sizes: &[(Rc<str>, Reg)]) {
        let mut form = Vec::new();
        for dim in dims {
            encode(dim, sizes, &mut form);
            form.push(END);
        }
        let form = self.ints(&form);
        let (ints, known) = (self.ints_ty(), self.temp(&self.ints_ty()));
        for (i, (_, register)) in sizes.iter().enumerate() {
            self.push_arg(i, *register, &Ty::INT, false);
        }
        self.emit(Instr::MakeVec { dst: known, count: Self::count(sizes.len()) });
        let solved = self.temp(&ints);
        let elem = match ty {
            Ty::Tensor(TensorTy { elem: Some(elem), .. }) => (**elem).clone(),
            _ => Ty::Unit,
        };
        let args = [(tensor, ty.clone()), (form, ints.clone()), (known, ints.clone())];
        self.native_into("tensor_sizes", &[elem], &args, &ints, solved);
        let index = self.temp(&Ty::INT);
        for (i, (_, register)) in sizes.iter().enumerate() {
            self.load_bits(index, i as u64);
            self.emit(Instr::VecGet { dst: *register, vec: solved, idx: index });
        }
        self.recycle(index);
        for list in [solved, known, form] {
            self.release(list);
        }
    }

    fn ints_ty(&self) -> Ty {
        Ty::Adt(self.lang().vec, Rc::from([Ty::INT]))
    }

    /// A list of numbers.
    fn ints(&mut self, values: &[i64]) -> Reg {
        // The outgoing area is small.
        let (head, rest) = values.split_at(values.len().min(64));
        let list = self.temp(&self.ints_ty());
        let register = self.temp(&Ty::INT);
        for (i, value) in head.iter().enumerate() {
            self.load_bits(register, *value as u64);
            self.push_arg(i, register, &Ty::INT, false);
        }
        self.emit(Instr::MakeVec { dst: list, count: Self::count(head.len()) });
        for value in rest {
            self.load_bits(register, *value as u64);
            self.emit(Instr::VecPush { vec: list, src: register });
        }
        self.recycle(register);
        list
    }

    fn check_value(&mut self, src: Reg, from: &Ty, to: &Ty, dst: Reg) {
        match (from, to) {
            (Ty::Tensor(f), Ty::Tensor(t)) if t.elem.is_some() || t.dims.is_some() => self.check_tensor(src, f, t, dst),
            (Ty::Adt(a, fs), Ty::Adt(b, ts)) if a == b && *a == self.lang().vec => {
                let (from_item, to_item) = (fs[0].clone(), ts[0].clone());
                self.push_nothing_vec(dst);
                let out = dst;
                self.each(src, &from_item, &mut |f, item| {
                    let checked = f.temp(&to_item);
                    f.check_value(item, &from_item, &to_item, checked);
                    f.emit(Instr::VecPush { vec: out, src: checked });
                    f.recycle(checked);
                });
            }
            (Ty::Adt(a, fs), Ty::Adt(b, ts)) if a == b && *a == self.lang().option => {
                let (from_item, to_item) = (fs[0].clone(), ts[0].clone());
                let (none, end) = (self.label(), self.label());
                let tag = self.temp(&Ty::INT);
                self.emit(Instr::GetTag { dst: tag, obj: src });
                self.jump_if_not_zero(tag, none);
                let item = self.temp(&from_item);
                self.emit(Instr::GetPayload {
                    dst: item,
                    obj: src,
                    at: stark_bytecode::Payload { variant: 0, field: 0 },
                });
                let checked = self.temp(&to_item);
                self.check_value(item, &from_item, &to_item, checked);
                self.release(item);
                self.push_arg(0, checked, &to_item, true);
                self.emit(Instr::MakeVariant { dst, variant: Variant(0) });
                self.recycle(checked);
                self.jump(end);
                self.place_label(none);
                self.emit(Instr::MakeVariant { dst, variant: Variant(1) });
                self.place_label(end);
                self.recycle(tag);
            }
            (Ty::Adt(a, fs), Ty::Adt(b, ts)) if a == b && *a == self.lang().map => {
                let pairs = |args: &[Ty]| Ty::Adt(self.lang().vec, Rc::from([Ty::Tuple(args.into())]));
                let (from_pairs, to_pairs) = (pairs(fs), pairs(ts));
                let items = self.native_values("map_items", fs, &[(src, from.clone())], &from_pairs);
                let checked = self.temp(&to_pairs);
                self.check_value(items, &from_pairs, &to_pairs, checked);
                self.release(items);
                self.native_into("map_from_items", ts, &[(checked, to_pairs)], to, dst);
                self.release(checked);
            }
            (Ty::Tuple(fs), Ty::Tuple(ts)) => {
                let mut checked = Vec::new();
                for (i, (f, t)) in fs.iter().zip(ts.iter()).enumerate() {
                    let item = self.temp(f);
                    self.emit(Instr::GetField { dst: item, obj: src, field: Field(i as u16) });
                    let register = self.temp(t);
                    self.check_value(item, f, t, register);
                    self.release(item);
                    checked.push(register);
                }
                for (i, (register, t)) in checked.iter().zip(ts.iter()).enumerate() {
                    self.push_arg(i, *register, t, true);
                }
                self.emit(Instr::Make { dst });
                for register in checked {
                    self.recycle(register);
                }
            }
            _ => {
                if self.is_ref(from) {
                    self.emit(Instr::CopyRef { dst, src });
                } else {
                    self.emit(Instr::Copy { dst, src });
                }
            }
        }
    }
}

/// The size of a dimension without names; -1 of others.
fn number(dim: &Dim) -> i64 {
    let both = |a: &Dim, b: &Dim| (number(a) >= 0 && number(b) >= 0).then(|| (number(a), number(b)));
    let known = match dim {
        Dim::Number(n) => i64::try_from(*n).ok(),
        Dim::Sum(a, b) => both(a, b).and_then(|(a, b)| a.checked_add(b)),
        Dim::Product(a, b) => both(a, b).and_then(|(a, b)| a.checked_mul(b)),
        Dim::Name(_) | Dim::Unknown => None,
    };
    known.unwrap_or(-1)
}

// A dimension as `tensor_sizes` reads it: what is added or multiplied comes before the sign, and each ends with `END`.
const NUMBER: i64 = 0;
const NAME: i64 = 1;
const UNKNOWN: i64 = 2;
const SUM: i64 = 3;
const PRODUCT: i64 = 4;
const END: i64 = 5;

fn encode(dim: &Dim, sizes: &[(Rc<str>, Reg)], out: &mut Vec<i64>) {
    match dim {
        Dim::Number(n) => match i64::try_from(*n) {
            Ok(n) => out.extend([NUMBER, n]),
            Err(_) => out.push(UNKNOWN),
        },
        Dim::Name(name) => match sizes.iter().position(|(n, _)| n == name) {
            Some(at) => out.extend([NAME, at as i64]),
            None => out.push(UNKNOWN),
        },
        Dim::Sum(a, b) | Dim::Product(a, b) => {
            encode(a, sizes, out);
            encode(b, sizes, out);
            out.push(if matches!(dim, Dim::Sum(..)) { SUM } else { PRODUCT });
        }
        Dim::Unknown => out.push(UNKNOWN),
    }
}
