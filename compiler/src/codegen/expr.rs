//! Expressions: into a given register, as an operand, or for their effect alone.

use super::Instance;
use super::builder::FnBuilder;
use super::place::{Place, may_assign};
use crate::hir::{self, BinaryOp, Coercion, Expr, ExprKind, FormatPart, Lit, Ty, UnaryOp};
use stark_bytecode::{Field, Instr, Kind, Reg, Variant};
use std::rc::Rc;

/// A value to be read once: in a variable's own register, or in a temporary.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    pub register: Reg,
    pub temp: bool,
    /// Whoever reads it may take it: a temporary, and a variable that is read for the last time.
    pub given: bool,
}

impl Operand {
    pub fn variable(register: Reg) -> Operand {
        Operand { register, temp: false, given: false }
    }

    pub fn temp(register: Reg) -> Operand {
        Operand { register, temp: true, given: true }
    }
}

impl<'p> FnBuilder<'_, 'p> {
    /// The value for reading; `done` gives it back.
    pub fn operand(&mut self, expr: &'p Expr) -> Operand {
        match &expr.kind {
            ExprKind::Local(local) => Operand::variable(self.local(*local)),
            ExprKind::Coerce { value, kind: Coercion::Same } if self.is_same(&value.ty, &expr.ty) => {
                self.operand(value)
            }
            ExprKind::Lit(lit) if !self.kept_literals.is_empty() && self.kept(lit, &expr.ty).is_some() => {
                let register = self.kept(lit, &expr.ty).unwrap_or(Reg(0));
                Operand::variable(register)
            }
            _ => {
                let register = self.temp(&expr.ty);
                self.into(expr, register);
                Operand::temp(register)
            }
        }
    }

    /// Whether a value of type `from` is one of type `to` to the VM as well, without a conversion.
    fn is_same(&mut self, from: &Ty, to: &Ty) -> bool {
        let (from, to) = (self.ty(from), self.ty(to));
        from != Ty::Never && self.g.type_id(&from) == self.g.type_id(&to)
    }

    /// The register in which a loop keeps the literal.
    fn kept(&mut self, lit: &Lit, ty: &Ty) -> Option<Reg> {
        let key = (self.type_id(ty), self.number_bits(lit, ty)?);
        self.kept_literals.get(&key).copied()
    }

    /// The bits of a literal number or truth value.
    pub fn number_bits(&self, lit: &Lit, ty: &Ty) -> Option<u64> {
        match (lit, self.ty(ty)) {
            (Lit::Int(n), Ty::Num(kind)) if kind.is_float() => Some((*n as f64).to_bits()),
            (Lit::Int(n), Ty::Num(_)) => Some(*n as u64),
            (Lit::Float(x), Ty::Num(_)) => Some(x.to_bits()),
            (Lit::Bool(b), Ty::Bool) => Some(u64::from(*b)),
            _ => None,
        }
    }

    /// Like `operand`, but safe against changes that evaluating `later` makes.
    pub fn operand_before(&mut self, expr: &'p Expr, later: &[&'p Expr]) -> Operand {
        if matches!(expr.kind, ExprKind::Local(_)) && later.iter().any(|e| may_assign(e)) {
            let register = self.temp(&expr.ty);
            self.into(expr, register);
            return Operand::temp(register);
        }
        self.operand(expr)
    }

    pub fn done(&mut self, operand: Operand) {
        if operand.temp {
            self.release(operand.register);
        }
    }

    /// The value in a temporary of its own.
    pub fn owned_temp(&mut self, expr: &'p Expr) -> Reg {
        let register = self.temp(&expr.ty);
        self.into(expr, register);
        register
    }

    /// Evaluates for the effect; the value is dropped.
    pub fn effect(&mut self, expr: &'p Expr) {
        match &expr.kind {
            ExprKind::Block { .. }
            | ExprKind::If { .. }
            | ExprKind::Match { .. }
            | ExprKind::Try { .. }
            | ExprKind::Select { .. }
                if expr.ty == Ty::Unit || expr.ty == Ty::Never =>
            {
                self.void(expr);
            }
            ExprKind::Assign { .. } | ExprKind::AssignOp { .. } | ExprKind::While { .. } | ExprKind::For { .. } => {
                self.void(expr);
            }
            _ => {
                let operand = self.operand(expr);
                self.done(operand);
            }
        }
    }

    /// Evaluates an expression of type `()` (or one that gives no value) for the effect.
    fn void(&mut self, expr: &'p Expr) {
        let unit = self.temp(&Ty::Unit);
        self.voids.push(unit);
        self.into(expr, unit);
        self.voids.pop();
        self.recycle(unit);
    }

    /// Evaluates into `dst`, which owns the value then.
    pub fn into(&mut self, expr: &'p Expr, dst: Reg) {
        let outer = self.span;
        self.span = expr.span;
        self.into_inner(expr, dst);
        self.span = outer;
    }

    fn into_inner(&mut self, expr: &'p Expr, dst: Reg) {
        match &expr.kind {
            ExprKind::Lit(lit) => self.typed_literal(lit, &expr.ty, dst),
            ExprKind::Local(local) => {
                let src = self.local(*local);
                if dst == src {
                    return;
                }
                let ty = self.ty(&expr.ty);
                if !self.is_ref(&ty) {
                    self.emit(Instr::Copy { dst, src });
                } else if self.moves_out(*local, &expr.ty) {
                    self.emit(Instr::MoveRef { dst, src });
                } else {
                    self.emit(Instr::CopyRef { dst, src });
                }
            }
            ExprKind::Const(id) => {
                let init = self.g.program.consts[id.index()].init;
                let program = self.g.program;
                match &program.func(init).body {
                    Some(body) if matches!(body.value.kind, ExprKind::Lit(_)) => self.into(&body.value, dst),
                    _ => {
                        let func = self.g.instance(Instance::Fn(init, Vec::new()));
                        self.emit(Instr::Call { dst, func });
                    }
                }
            }
            ExprKind::Global(id) => {
                let global = self.g.global_id(*id);
                self.emit(Instr::LoadGlobal { dst, global });
            }
            ExprKind::StoreGlobal { global, value } => {
                let src = self.operand(value);
                let global = self.g.global_id(*global);
                self.emit(Instr::StoreGlobal { global, src: src.register });
                self.done(src);
                self.unit(dst);
            }
            ExprKind::FnRef { func, type_args } => {
                let args = self.tys(type_args);
                let decl = self.g.program.func(*func);
                let plain = decl.native.is_none() && decl.kind == hir::FnKind::Plain;
                let func =
                    self.g.instance(if plain { Instance::Fn(*func, args) } else { Instance::Wrapper(*func, args) });
                self.emit(Instr::MakeClosure { dst, func });
            }
            ExprKind::Closure(closure) => self.closure(closure, dst),
            ExprKind::Call { callee, args } => self.call(callee, args, dst),
            ExprKind::Struct { fields, .. } => {
                self.push_all(&fields.iter().collect::<Vec<_>>());
                self.emit(Instr::Make { dst });
            }
            ExprKind::Tuple(items) => {
                if items.is_empty() {
                    return self.unit(dst);
                }
                self.push_all(&items.iter().collect::<Vec<_>>());
                self.emit(Instr::Make { dst });
            }
            ExprKind::Variant { variant, fields, .. } => {
                self.push_all(&fields.iter().collect::<Vec<_>>());
                if self.is_ref(&expr.ty) {
                    self.emit(Instr::MakeVariant { dst, variant: Variant(*variant as u16) });
                } else {
                    self.emit(Instr::LoadImm { dst, imm: *variant as i16 });
                }
            }
            ExprKind::List(items) => self.list(items, dst),
            ExprKind::Map(_) | ExprKind::Set(_) if self.outlives_error(&Place::variable(dst)) => {
                // Built beside the variable, so that an error half-way leaves what was in it.
                let ty = self.ty(&expr.ty);
                let temp = self.temp(&ty);
                self.collection(expr, temp);
                self.move_register(dst, temp, &ty);
                self.recycle(temp);
            }
            ExprKind::Map(_) | ExprKind::Set(_) => self.collection(expr, dst),
            ExprKind::Range { start, end, inclusive } => {
                let start = self.operand_before(start, &[end]);
                let end = self.operand(end);
                let flag = self.temp(&Ty::Bool);
                self.emit(Instr::LoadImm { dst: flag, imm: i16::from(*inclusive) });
                self.push_arg(0, start.register, &Ty::INT, false);
                self.push_arg(1, end.register, &Ty::INT, false);
                self.push_arg(2, flag, &Ty::Bool, false);
                self.emit(Instr::Make { dst });
                self.recycle(flag);
                self.done(end);
                self.done(start);
            }
            ExprKind::Format(parts) => self.format(parts, dst),
            ExprKind::Field { base, index } => {
                let obj = self.operand(base);
                self.emit(Instr::GetField { dst, obj: obj.register, field: Field(*index as u16) });
                self.done(obj);
            }
            ExprKind::Index { base, index } => {
                let base_ty = self.ty(&base.ty);
                let obj = self.operand_before(base, &[index]);
                let idx = self.operand(index);
                if self.is_map(&base_ty) {
                    let Ty::Adt(_, types) = &base_ty else { return };
                    let args = [(obj.register, base_ty.clone()), (idx.register, types[0].clone())];
                    let ret = self.ty(&expr.ty);
                    self.native_into("map_index", types, &args, &ret, dst);
                } else {
                    self.emit(Instr::VecGet { dst, vec: obj.register, idx: idx.register });
                }
                self.done(idx);
                self.done(obj);
            }
            ExprKind::OrInsert { .. } => {
                let place = self.place(expr);
                self.load_place(&place, dst);
                self.release_place(place);
            }
            ExprKind::Binary { op, lhs, rhs } => {
                if let Some(imm) = self.immediate(*op, &lhs.ty, rhs) {
                    let a = self.operand(lhs);
                    self.emit(Instr::AddIntImm { dst, lhs: a.register, imm });
                    return self.done(a);
                }
                let a = self.operand_before(lhs, &[rhs]);
                let b = self.operand(rhs);
                let (lt, rt) = (self.ty(&lhs.ty), self.ty(&rhs.ty));
                self.binary(*op, a.register, &lt, b.register, &rt, dst);
                self.done(b);
                self.done(a);
            }
            ExprKind::Unary { op, operand } => {
                let src = self.operand(operand);
                let ty = self.ty(&operand.ty);
                self.unary(*op, src.register, &ty, dst);
                self.done(src);
            }
            ExprKind::And(lhs, rhs) => {
                let end = self.label();
                self.into(lhs, dst);
                self.jump_if_not(dst, end);
                self.into(rhs, dst);
                self.place_label(end);
            }
            ExprKind::Or(lhs, rhs) => {
                let end = self.label();
                self.into(lhs, dst);
                self.jump_if(dst, end);
                self.into(rhs, dst);
                self.place_label(end);
            }
            ExprKind::Cast(value) => {
                let src = self.operand(value);
                let (from, to) = (self.ty(&value.ty), self.ty(&expr.ty));
                self.cast(src.register, &from, dst, &to);
                self.done(src);
            }
            ExprKind::Coerce { value, kind } => self.coerce(value, *kind, &expr.ty, dst),
            ExprKind::Assign { target, value } => {
                self.assign(target, value);
                self.unit(dst);
            }
            ExprKind::AssignOp { target, op, value } => {
                self.assign_op(target, op, value);
                self.unit(dst);
            }
            ExprKind::Await(_)
            | ExprKind::SpawnCall { .. }
            | ExprKind::SpawnBlock(_)
            | ExprKind::Scope { .. }
            | ExprKind::Select { .. }
            | ExprKind::WithZone { .. }
            | ExprKind::Message { .. } => self.task_expr(expr, dst),
            _ => self.control(expr, dst),
        }
    }

    pub fn unit(&mut self, dst: Reg) {
        // The destination may have another type when the expression never gives a value.
        if !self.is_ref_register(dst) && !self.voids.contains(&dst) {
            self.emit(Instr::LoadImm { dst, imm: 0 });
        }
    }

    /// A whole number where a float is wanted is that float.
    pub fn typed_literal(&mut self, lit: &Lit, ty: &Ty, dst: Reg) {
        match (lit, self.ty(ty)) {
            (Lit::Int(n), Ty::Num(kind)) if kind.is_float() => self.load_bits(dst, (*n as f64).to_bits()),
            _ => self.literal(lit, dst),
        }
    }

    pub fn literal(&mut self, lit: &Lit, dst: Reg) {
        match lit {
            Lit::Int(n) => self.load_bits(dst, *n as u64),
            Lit::Float(x) => self.load_bits(dst, x.to_bits()),
            Lit::Bool(b) => self.emit(Instr::LoadImm { dst, imm: i16::from(*b) }),
            Lit::Duration(ns) => self.load_bits(dst, *ns as u64),
            Lit::Unit => self.unit(dst),
            Lit::Str(text) => {
                let id = self.g.string(text);
                self.emit(Instr::LoadStr { dst, id });
            }
            Lit::Bytes(bytes) => {
                let id = stark_bytecode::BlobId(self.g.module.blobs.len() as u32);
                self.g.module.blobs.push(bytes.to_vec());
                self.emit(Instr::LoadBytes { dst, id });
            }
        }
    }

    /// Evaluates all, then fills outgoing slots 0.. with them.
    pub fn push_all(&mut self, exprs: &[&'p Expr]) {
        let mut operands = Vec::with_capacity(exprs.len());
        for (i, expr) in exprs.iter().enumerate() {
            operands.push(self.argument(expr, &exprs[i + 1..]));
        }
        for (i, (expr, operand)) in exprs.iter().zip(&operands).enumerate() {
            let ty = self.ty(&expr.ty);
            self.push_arg(i, operand.register, &ty, operand.given);
        }
        for operand in operands {
            if operand.temp {
                self.recycle(operand.register);
            }
        }
    }

    /// Whether it is a variable, not of a unique type, that nothing reads afterwards.
    pub fn is_last_read(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Local(local) => self.single_use.get(local.index()) == Some(&true) && !self.is_unique(&expr.ty),
            _ => false,
        }
    }

    /// An argument by value: a variable that is used no more is given, another is shared.
    pub fn argument(&mut self, expr: &'p Expr, later: &[&'p Expr]) -> Operand {
        if let ExprKind::Local(local) = &expr.kind {
            let ty = self.ty(&expr.ty);
            if self.is_ref(&ty) && self.moves_out(*local, &expr.ty) {
                // One of a unique type that is moved may be assigned anew before the call: then it leaves its register now.
                if later.iter().any(|e| may_assign(e)) {
                    return Operand::temp(self.owned_temp(expr));
                }
                return Operand { register: self.local(*local), temp: false, given: true };
            }
        }
        self.operand_before(expr, later)
    }

    /// A `Map` or `Set` literal, put into `dst` pair by pair.
    fn collection(&mut self, expr: &'p Expr, dst: Reg) {
        match &expr.kind {
            ExprKind::Map(pairs) => {
                let ty = self.ty(&expr.ty);
                let Ty::Adt(id, types) = &ty else { return };
                if *id == self.lang().set {
                    // `{}` where a set is wanted.
                    return self.native_into("set_new", types, &[], &ty, dst);
                }
                self.native_into("map_new", types, &[], &ty, dst);
                let ret = self.native_ret("map_insert", types);
                for (key, value) in pairs {
                    let k = self.owned_temp(key);
                    let v = self.owned_temp(value);
                    let args = [(dst, ty.clone()), (k, types[0].clone()), (v, types[1].clone())];
                    self.native_lending("map_insert", types, &args, None, &ret);
                    self.release(v);
                    self.release(k);
                }
            }
            ExprKind::Set(items) => {
                let ty = self.ty(&expr.ty);
                let Ty::Adt(_, types) = &ty else { return };
                self.native_into("set_new", types, &[], &ty, dst);
                let ret = self.native_ret("set_insert", types);
                for item in items {
                    let v = self.owned_temp(item);
                    self.native_lending("set_insert", types, &[(dst, ty.clone()), (v, types[0].clone())], None, &ret);
                    self.release(v);
                }
            }
            _ => {}
        }
    }

    fn list(&mut self, items: &'p [Expr], dst: Reg) {
        // The outgoing area is small: long lists are pushed in runs.
        const RUN: usize = 64;
        let (head, rest) = items.split_at(items.len().min(RUN));
        self.push_all(&head.iter().collect::<Vec<_>>());
        self.emit(Instr::MakeVec { dst, count: Self::count(head.len()) });
        for item in rest {
            let src = self.owned_temp(item);
            self.emit(Instr::VecPush { vec: dst, src });
            self.recycle(src);
        }
    }

    /// `dst` = the value laid out by a format. Numbers have forms of their own; what everything else shows is laid out as text.
    pub fn format_with(&mut self, src: Reg, ty: &Ty, spec: Reg, dst: Reg) {
        if matches!(ty, Ty::Num(_)) {
            let args = [(src, ty.clone()), (spec, Ty::Str)];
            return self.native_into("str_format", &[ty.clone()], &args, &Ty::Str, dst);
        }
        let shown = self.temp(&Ty::Str);
        self.show(src, ty, shown);
        self.native_into("str_format", &[Ty::Str], &[(shown, Ty::Str), (spec, Ty::Str)], &Ty::Str, dst);
        self.release(shown);
    }

    /// Joins the parts' texts.
    fn format(&mut self, parts: &'p [FormatPart], dst: Reg) {
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            let text = match part {
                FormatPart::Text(text) => self.load_text(text),
                FormatPart::Value { value, spec } => {
                    let ty = self.ty(&value.ty);
                    match spec {
                        None if ty == Ty::Str => self.owned_temp(value),
                        None => {
                            let src = self.operand(value);
                            let text = self.temp(&Ty::Str);
                            self.show(src.register, &ty, text);
                            self.done(src);
                            text
                        }
                        Some(spec) => {
                            let src = self.operand(value);
                            let spec = self.load_text(spec);
                            let text = self.temp(&Ty::Str);
                            self.format_with(src.register, &ty, spec, text);
                            self.release(spec);
                            self.done(src);
                            text
                        }
                    }
                }
            };
            texts.push(text);
        }
        match texts[..] {
            [] => {
                let id = self.g.string("");
                self.emit(Instr::LoadStr { dst, id });
            }
            [one] => {
                self.move_register(dst, one, &Ty::Str);
                self.recycle(one);
            }
            _ => self.join_texts(texts, dst),
        }
    }

    /// `dst` = the texts one after another; the registers are consumed.
    pub fn join_texts(&mut self, texts: Vec<Reg>, dst: Reg) {
        let list = Ty::Adt(self.lang().vec, Rc::from([Ty::Str]));
        let vec = self.temp(&list);
        for (i, run) in texts.chunks(64).enumerate() {
            if i == 0 {
                for (j, text) in run.iter().enumerate() {
                    self.push_arg(j, *text, &Ty::Str, true);
                }
                self.emit(Instr::MakeVec { dst: vec, count: Self::count(run.len()) });
            } else {
                for text in run {
                    self.emit(Instr::VecPush { vec, src: *text });
                }
            }
        }
        for text in texts {
            self.recycle(text);
        }
        self.native_into("str_join_parts", &[], &[(vec, list)], &Ty::Str, dst);
        self.release(vec);
    }

    fn coerce(&mut self, value: &'p Expr, kind: Coercion, to: &'p Ty, dst: Reg) {
        let (from, to) = (self.ty(&value.ty), self.ty(to));
        match kind {
            Coercion::ToDyn => {
                if from == to {
                    return self.into(value, dst);
                }
                let src = self.owned_temp(value);
                self.g.make_dynamic(&to, from);
                self.emit(Instr::MakeDyn { dst, src });
                self.recycle(src);
            }
            Coercion::TensorCheck => self.tensor_check(value, &to, dst),
            Coercion::Same => {
                if from == Ty::Never {
                    self.effect(value);
                } else if self.g.type_id(&from) == self.g.type_id(&to) {
                    self.into(value, dst);
                } else if let (Ty::Tensor(_), Ty::Tensor(_)) = (&from, &to) {
                    // Of a known element type, where any will do.
                    let src = self.operand(value);
                    self.emit(Instr::CopyRef { dst, src: src.register });
                    self.done(src);
                } else {
                    // A reference to an actor, seen by its messages: told apart by bytecode, the same to the VM.
                    let src = self.operand(value);
                    let (Ty::Adt(_, actor), Ty::Adt(_, messages)) = (&from, &to) else { return };
                    let types: Vec<Ty> = actor.iter().chain(messages.iter()).cloned().collect();
                    self.native_into("actor_ref_as", &types, &[(src.register, from.clone())], &to, dst);
                    self.done(src);
                }
            }
        }
    }

    pub fn jump_if_not_zero(&mut self, tag: Reg, label: super::builder::Label) {
        let zero = self.int_temp(0);
        let cond = self.temp(&Ty::Bool);
        self.emit(Instr::NeInt { dst: cond, lhs: tag, rhs: zero });
        self.jump_if(cond, label);
        self.recycle(cond);
        self.recycle(zero);
    }

    pub fn push_nothing_vec(&mut self, dst: Reg) {
        self.emit(Instr::MakeVec { dst, count: Self::count(0) });
    }

    /// A loop over the elements of a `Vec`; the item's register is valid in `f`.
    pub fn each(&mut self, vec: Reg, item_ty: &Ty, f: &mut dyn FnMut(&mut Self, Reg)) {
        let (head, end) = (self.label(), self.label());
        let i = self.int_temp(0);
        let n = self.temp(&Ty::INT);
        self.emit(Instr::VecLen { dst: n, vec });
        let more = self.temp(&Ty::Bool);
        let item = self.temp(item_ty);
        self.place_label(head);
        self.emit(Instr::LtInt { dst: more, lhs: i, rhs: n });
        self.jump_if_not(more, end);
        self.emit(Instr::VecGet { dst: item, vec, idx: i });
        f(self, item);
        self.emit(Instr::AddIntImm { dst: i, lhs: i, imm: 1 });
        self.jump(head);
        self.place_label(end);
        self.release(item);
        self.recycle(more);
        self.recycle(n);
        self.recycle(i);
    }

    // --- operators -----------------------------------------------------------------------------------------------------

    /// `dst = lhs op rhs` at concrete types; also for `op=`.
    pub fn binary(&mut self, op: BinaryOp, lhs: Reg, lt: &Ty, rhs: Reg, rt: &Ty, dst: Reg) {
        use BinaryOp::*;
        match op {
            Eq | Ne => return self.equality(op == Ne, lhs, rhs, lt, dst),
            Lt => return self.less(lhs, rhs, lt, false, dst),
            Le => return self.less(lhs, rhs, lt, true, dst),
            Gt => return self.less(rhs, lhs, lt, false, dst),
            Ge => return self.less(rhs, lhs, lt, true, dst),
            _ => {}
        }
        match (lt, rt) {
            (Ty::Str, _) => {
                let (name, args) = if op == Mul {
                    ("str_repeat", [(lhs, Ty::Str), (rhs, rt.clone())])
                } else {
                    ("str_concat", [(lhs, Ty::Str), (rhs, Ty::Str)])
                };
                self.native_into(name, &[], &args, &Ty::Str, dst);
            }
            (Ty::Num(kind), Ty::Num(_)) if kind.is_float() => self.float_binary(op, *kind, lhs, rhs, dst),
            (Ty::Num(kind), Ty::Num(_)) => self.int_binary(op, *kind, lhs, rhs, dst),
            // Durations and instants are nanoseconds; what mixes them with `Float` goes through a float.
            (Ty::Duration, Ty::Num(kind)) | (Ty::Num(kind), Ty::Duration) if kind.is_float() => {
                let (a, b) = (self.temp(&Ty::FLOAT), self.temp(&Ty::FLOAT));
                for (ty, from, to) in [(lt, lhs, a), (rt, rhs, b)] {
                    if matches!(ty, Ty::Duration) {
                        self.emit(Instr::IntToFloat { dst: to, src: from });
                    } else {
                        self.emit(Instr::Copy { dst: to, src: from });
                    }
                }
                self.float_binary(op, Kind::Float64, a, b, a);
                self.emit(Instr::FloatToInt { dst, src: a, kind: Kind::Int64 });
                self.recycle(b);
                self.recycle(a);
            }
            (Ty::Duration, Ty::Duration) if op == Div && self.float_register(dst) => {
                let (a, b) = (self.temp(&Ty::FLOAT), self.temp(&Ty::FLOAT));
                self.emit(Instr::IntToFloat { dst: a, src: lhs });
                self.emit(Instr::IntToFloat { dst: b, src: rhs });
                self.float_binary(op, Kind::Float64, a, b, dst);
                self.recycle(b);
                self.recycle(a);
            }
            (Ty::Bool, Ty::Bool) => self.int_binary(op, Kind::Int64, lhs, rhs, dst),
            _ => self.int_binary(op, Kind::Int64, lhs, rhs, dst),
        }
    }

    /// What adding or subtracting a small literal adds to an `Int`.
    pub fn immediate(&self, op: BinaryOp, lhs: &Ty, rhs: &Expr) -> Option<i8> {
        let ExprKind::Lit(Lit::Int(n)) = &rhs.kind else { return None };
        if self.ty(lhs) != Ty::INT || self.ty(&rhs.ty) != Ty::INT || *n < 0 {
            return None;
        }
        match op {
            BinaryOp::Add => i8::try_from(*n).ok(),
            BinaryOp::Sub => i8::try_from(-*n).ok(),
            _ => None,
        }
    }

    fn float_register(&mut self, register: Reg) -> bool {
        let float = self.g.type_id(&Ty::FLOAT);
        self.register_type(register) == float
    }

    fn float_binary(&mut self, op: BinaryOp, kind: Kind, lhs: Reg, rhs: Reg, dst: Reg) {
        use BinaryOp::*;
        self.emit(match op {
            Add => Instr::AddFloat { dst, lhs, rhs },
            Sub => Instr::SubFloat { dst, lhs, rhs },
            Mul => Instr::MulFloat { dst, lhs, rhs },
            Div => Instr::DivFloat { dst, lhs, rhs },
            Rem => Instr::RemFloat { dst, lhs, rhs },
            _ => Instr::PowFloat { dst, lhs, rhs },
        });
        if kind != Kind::Float64 {
            self.emit(Instr::RoundFloat { dst, src: dst, kind });
        }
    }

    fn int_binary(&mut self, op: BinaryOp, kind: Kind, lhs: Reg, rhs: Reg, dst: Reg) {
        use BinaryOp::*;
        if kind == Kind::UInt64 {
            return self.emit(match op {
                Add => Instr::AddU64 { dst, lhs, rhs },
                Sub => Instr::SubU64 { dst, lhs, rhs },
                Mul => Instr::MulU64 { dst, lhs, rhs },
                Div => Instr::DivU64 { dst, lhs, rhs },
                Rem => Instr::RemU64 { dst, lhs, rhs },
                Shl => Instr::ShlU64 { dst, lhs, rhs },
                Shr => Instr::ShrU64 { dst, lhs, rhs },
                BitAnd => Instr::AndInt { dst, lhs, rhs },
                BitOr => Instr::OrInt { dst, lhs, rhs },
                BitXor => Instr::XorInt { dst, lhs, rhs },
                _ => Instr::PowU64 { dst, lhs, rhs },
            });
        }
        let narrow = kind != Kind::Int64 && !matches!(op, BitAnd | BitOr | BitXor | Shr);
        // Through a temporary: a variable keeps its value when the result does not fit.
        let target = dst;
        let dst = if narrow { self.temp(&Ty::INT) } else { dst };
        self.emit(match op {
            Add => Instr::AddInt { dst, lhs, rhs },
            Sub => Instr::SubInt { dst, lhs, rhs },
            Mul => Instr::MulInt { dst, lhs, rhs },
            Div => Instr::DivInt { dst, lhs, rhs },
            Rem => Instr::RemInt { dst, lhs, rhs },
            Shl => Instr::ShlInt { dst, lhs, rhs },
            Shr => Instr::ShrInt { dst, lhs, rhs },
            BitAnd => Instr::AndInt { dst, lhs, rhs },
            BitOr => Instr::OrInt { dst, lhs, rhs },
            BitXor => Instr::XorInt { dst, lhs, rhs },
            _ => Instr::PowInt { dst, lhs, rhs },
        });
        if narrow {
            self.emit(Instr::FitInt { dst: target, src: dst, kind });
            self.recycle(dst);
        }
    }

    fn unary(&mut self, op: UnaryOp, src: Reg, ty: &Ty, dst: Reg) {
        match (op, ty) {
            (UnaryOp::Not, _) => self.emit(Instr::NotBool { dst, src }),
            (UnaryOp::Neg, Ty::Num(kind)) if kind.is_float() => self.emit(Instr::NegFloat { dst, src }),
            (UnaryOp::Neg, _) => {
                self.emit(Instr::NegInt { dst, src });
                if let Ty::Num(kind) = ty
                    && *kind != Kind::Int64
                {
                    self.emit(Instr::FitInt { dst, src: dst, kind: *kind });
                }
            }
            (UnaryOp::BitNot, ty) => {
                self.emit(Instr::NotInt { dst, src });
                if let Ty::Num(kind) = ty
                    && kind.is_unsigned()
                    && *kind != Kind::UInt64
                {
                    self.emit(Instr::WrapInt { dst, src: dst, kind: *kind });
                }
            }
        }
    }

    fn cast(&mut self, src: Reg, from: &Ty, dst: Reg, to: &Ty) {
        let to_kind = match to {
            Ty::Num(kind) => *kind,
            _ => return self.emit(Instr::Copy { dst, src }),
        };
        match from {
            Ty::Num(from) if from.is_float() && to_kind.is_float() => {
                self.emit(Instr::RoundFloat { dst, src, kind: to_kind })
            }
            Ty::Num(from) if from.is_float() => self.emit(Instr::FloatToInt { dst, src, kind: to_kind }),
            Ty::Num(Kind::UInt64) if to_kind.is_float() => {
                self.emit(Instr::U64ToFloat { dst, src });
                self.emit(Instr::RoundFloat { dst, src: dst, kind: to_kind });
            }
            _ if to_kind.is_float() => {
                self.emit(Instr::IntToFloat { dst, src });
                if to_kind != Kind::Float64 {
                    self.emit(Instr::RoundFloat { dst, src: dst, kind: to_kind });
                }
            }
            Ty::Num(Kind::UInt64) => self.emit(Instr::FitU64 { dst, src, kind: to_kind }),
            Ty::Bool => {
                let (otherwise, end) = (self.label(), self.label());
                self.jump_if_not(src, otherwise);
                self.load_bits(dst, 1);
                self.jump(end);
                self.place_label(otherwise);
                self.load_bits(dst, 0);
                self.place_label(end);
            }
            _ => self.emit(Instr::FitInt { dst, src, kind: to_kind }),
        }
    }
}
