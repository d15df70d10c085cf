//! What every type can do without being told: be shown, compared, ordered and hashed by its structure.
//!
//! Where nothing inside a type has an `impl` of its own, one native does it from the type's description. Where something has, a function is generated for
//! the type that goes through its parts and calls what they bring.

use super::builder::FnBuilder;
use super::{Generator, Instance, Resolved};
use crate::hir::{AdtKind, Program, TraitId, Ty};
use stark_bytecode as bc;
use stark_bytecode::{Field, Instr, Payload, Reg};
use stark_syntax::source::Span;
use std::rc::Rc;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Derived {
    Show,
    Eq,
    Ord,
    Hash,
}

impl Derived {
    pub fn of(program: &Program, trait_: TraitId) -> Option<Derived> {
        let lang = &program.lang;
        [(lang.show, Derived::Show), (lang.eq, Derived::Eq), (lang.ord, Derived::Ord), (lang.hash, Derived::Hash)]
            .into_iter()
            .find(|(t, _)| *t == trait_)
            .map(|(_, d)| d)
    }

    fn trait_(self, program: &Program) -> TraitId {
        let lang = &program.lang;
        match self {
            Derived::Show => lang.show,
            Derived::Eq => lang.eq,
            Derived::Ord => lang.ord,
            Derived::Hash => lang.hash,
        }
    }
}

impl Generator<'_> {
    /// Whether the type or a part of it has its own impl.
    fn has_own(&mut self, derived: Derived, ty: &Ty) -> bool {
        let trait_ = derived.trait_(self.program);
        if let Some(known) = self.own_impl.get(&(trait_, ty.clone())) {
            return *known;
        }
        // A type that contains itself has its own when another part has.
        self.own_impl.insert((trait_, ty.clone()), false);
        let found = match ty {
            Ty::Tuple(ts) => ts.iter().any(|t| self.has_own(derived, t)),
            // Any implementor may be behind it. The other traits compare two values, of which a dynamic call knows one.
            Ty::Dyn(..) => derived == Derived::Show && self.program.impls.iter().any(|i| i.trait_ == Some(trait_)),
            Ty::Adt(id, args) => {
                self.program.find_impl(trait_, ty).is_some()
                    || match &self.program.adt(*id).kind {
                        AdtKind::Struct(fields) => fields.iter().any(|f| self.has_own(derived, &f.ty.subst(args))),
                        AdtKind::Enum(variants) => {
                            variants.iter().flat_map(|v| &v.fields).any(|f| self.has_own(derived, &f.ty.subst(args)))
                        }
                        AdtKind::Actor(_) => false,
                        AdtKind::Opaque => args.iter().any(|t| self.has_own(derived, t)),
                    }
            }
            _ => false,
        };
        self.own_impl.insert((trait_, ty.clone()), found);
        found
    }
}

/// The function for a type with something of its own inside.
pub fn generate(g: &mut Generator<'_>, derived: Derived, ty: &Ty) -> bc::Function {
    let lang = &g.program.lang;
    let (name, ret) = match derived {
        Derived::Show => ("show", Ty::Str),
        Derived::Eq => ("eq", Ty::Bool),
        Derived::Ord => ("cmp", Ty::Adt(lang.ordering, Rc::from([]))),
        Derived::Hash => ("hash", Ty::INT),
    };
    let mut f = FnBuilder::new(g, name, ret.clone(), Vec::new(), Span::default());
    let a = f.plain_parameter(ty, false);
    match derived {
        Derived::Show => {
            let dst = f.temp(&Ty::Str);
            if f.g.has_own(derived, ty) {
                f.show_parts(a, ty, dst)
            } else {
                f.show(a, ty, dst)
            }
            f.return_register(dst, &Ty::Str);
        }
        Derived::Eq => {
            let b = f.plain_parameter(ty, false);
            let dst = f.temp(&Ty::Bool);
            if f.g.has_own(derived, ty) {
                let differs = f.label();
                f.equal_parts(a, b, ty, differs);
                f.emit(Instr::LoadImm { dst, imm: 1 });
                f.emit(Instr::ReturnScalar { src: dst });
                f.place_label(differs);
                f.emit(Instr::LoadImm { dst, imm: 0 });
            } else {
                f.equality(false, a, b, ty, dst);
            }
            f.emit(Instr::ReturnScalar { src: dst });
        }
        Derived::Ord => {
            let b = f.plain_parameter(ty, false);
            let dst = f.temp(&ret);
            if f.g.has_own(derived, ty) {
                let decided = f.label();
                f.emit(Instr::LoadImm { dst, imm: 1 });
                f.order_parts(a, b, ty, dst, decided);
                f.place_label(decided);
            } else {
                f.ordering(a, b, ty, dst);
            }
            f.emit(Instr::ReturnScalar { src: dst });
        }
        Derived::Hash => {
            let dst = f.temp(&Ty::INT);
            f.hash(a, ty, dst);
            f.emit(Instr::ReturnScalar { src: dst });
        }
    }
    f.finish()
}

impl<'p> FnBuilder<'_, 'p> {
    pub fn is_structural(&mut self, ty: &Ty) -> bool {
        !self.g.has_own(Derived::Eq, ty) && !self.g.has_own(Derived::Ord, ty) && !self.g.has_own(Derived::Hash, ty)
    }

    /// Calls the type's own function for the trait, or the derived one. The arguments are shared.
    fn call_own(&mut self, derived: Derived, ty: &Ty, args: &[Reg], dst: Reg) {
        let trait_ = derived.trait_(self.g.program);
        for (i, arg) in args.iter().enumerate() {
            self.push_arg(i, *arg, ty, false);
        }
        let own = match self.g.program.find_impl(trait_, ty) {
            Some(_) => match self.g.resolve_trait(trait_, 0, ty, &[]) {
                Resolved::Fn(func, type_args) => Some((func, type_args)),
                _ => None,
            },
            None => None,
        };
        match own {
            Some((func, type_args)) => self.emit_call(func, &type_args, dst),
            None => {
                let func = self.g.instance(Instance::Derived(derived, ty.clone()));
                self.emit(Instr::Call { dst, func });
            }
        }
    }

    /// `dst` = the text of a value, as `print` shows it.
    pub fn show(&mut self, src: Reg, ty: &Ty, dst: Reg) {
        if *ty == Ty::Str {
            self.copy_register(dst, src, ty);
        } else if matches!(ty, Ty::Dyn(..)) && self.g.has_own(Derived::Show, ty) {
            let method = self.g.dyn_method(ty, self.lang().show, 0);
            self.push_arg(0, src, ty, false);
            self.emit(Instr::CallDyn { dst, method });
        } else if self.g.has_own(Derived::Show, ty) {
            self.call_own(Derived::Show, ty, &[src], dst);
        } else {
            self.native_into("value_show", &[ty.clone()], &[(src, ty.clone())], &Ty::Str, dst);
        }
    }

    /// As inside a container: text is quoted.
    pub fn show_nested(&mut self, src: Reg, ty: &Ty, dst: Reg) {
        if *ty == Ty::Str {
            self.native_into("value_repr", &[Ty::Str], &[(src, Ty::Str)], &Ty::Str, dst);
        } else {
            self.show(src, ty, dst);
        }
    }

    fn show_parts(&mut self, src: Reg, ty: &Ty, dst: Reg) {
        match ty {
            Ty::Tuple(ts) => {
                let fields: Vec<(Rc<str>, Ty)> = ts.iter().map(|t| (Rc::from(""), t.clone())).collect();
                let close = if ts.len() == 1 { ",)" } else { ")" };
                self.show_fields("(", &fields, close, dst, |f, i, part| {
                    f.emit(Instr::GetField { dst: part, obj: src, field: Field(i as u16) });
                });
            }
            Ty::Adt(id, args) => {
                let program = self.g.program;
                let adt = program.adt(*id);
                match &adt.kind {
                    AdtKind::Struct(fields) => {
                        let fields: Vec<(Rc<str>, Ty)> =
                            fields.iter().map(|f| (f.name.clone(), f.ty.subst(args))).collect();
                        self.show_fields(&format!("{}(", adt.name), &fields, ")", dst, |f, i, part| {
                            f.emit(Instr::GetField { dst: part, obj: src, field: Field(i as u16) });
                        });
                    }
                    AdtKind::Enum(variants) => {
                        let tag = self.temp(&Ty::INT);
                        self.emit(Instr::GetTag { dst: tag, obj: src });
                        let end = self.label();
                        for (v, variant) in variants.iter().enumerate() {
                            let next = self.label();
                            self.unless_tag(tag, v, next);
                            let fields: Vec<(Rc<str>, Ty)> =
                                variant.fields.iter().map(|f| (f.name.clone(), f.ty.subst(args))).collect();
                            if fields.is_empty() {
                                let id = self.g.string(&variant.name);
                                self.emit(Instr::LoadStr { dst, id });
                            } else {
                                self.show_fields(&format!("{}(", variant.name), &fields, ")", dst, |f, i, part| {
                                    let at = Payload { variant: v as u16, field: i as u16 };
                                    f.emit(Instr::GetPayload { dst: part, obj: src, at });
                                });
                            }
                            self.jump(end);
                            self.place_label(next);
                        }
                        let id = self.g.string("");
                        self.emit(Instr::LoadStr { dst, id });
                        self.place_label(end);
                    }
                    _ => self.show_container(src, ty, dst),
                }
            }
            _ => self.show(src, ty, dst),
        }
    }

    fn show_fields(
        &mut self,
        open: &str,
        fields: &[(Rc<str>, Ty)],
        close: &str,
        dst: Reg,
        get: impl Fn(&mut Self, usize, Reg),
    ) {
        let mut texts = vec![self.load_text(open)];
        for (i, (name, ty)) in fields.iter().enumerate() {
            let lead = match (i, name.is_empty()) {
                (0, true) => String::new(),
                (0, false) => format!("{name}="),
                (_, true) => ", ".to_string(),
                (_, false) => format!(", {name}="),
            };
            if !lead.is_empty() {
                texts.push(self.load_text(&lead));
            }
            let part = self.temp(ty);
            get(self, i, part);
            let text = self.temp(&Ty::Str);
            self.show_nested(part, ty, text);
            self.release(part);
            texts.push(text);
        }
        texts.push(self.load_text(close));
        self.join_texts(texts, dst);
    }

    /// `Vec`, `Set` and `Map` whose items show themselves.
    fn show_container(&mut self, src: Reg, ty: &Ty, dst: Reg) {
        let Ty::Adt(id, args) = ty else { return };
        let lang = self.lang();
        let (items_ty, open, close, native) = if *id == lang.vec {
            (args[0].clone(), "[", "]", None)
        } else if *id == lang.set {
            (args[0].clone(), "{", "}", Some("set_to_vec"))
        } else if *id == lang.map {
            (Ty::Tuple(args.clone()), "{", "}", Some("map_items"))
        } else {
            return self.native_into("value_show", &[ty.clone()], &[(src, ty.clone())], &Ty::Str, dst);
        };
        let list_ty = Ty::Adt(lang.vec, Rc::from([items_ty.clone()]));
        let list = match native {
            Some(native) => self.native_values(native, args, &[(src, ty.clone())], &list_ty),
            None => {
                let list = self.temp(&list_ty);
                self.emit(Instr::CopyRef { dst: list, src });
                list
            }
        };
        let texts_ty = Ty::Adt(lang.vec, Rc::from([Ty::Str]));
        let texts = self.temp(&texts_ty);
        self.push_nothing_vec(texts);
        let is_map = *id == lang.map;
        let pair = args.clone();
        self.each(list, &items_ty, &mut |f, item| {
            let text = f.temp(&Ty::Str);
            if is_map {
                let mut parts = Vec::new();
                for i in 0..2 {
                    let part = f.temp(&pair[i]);
                    f.emit(Instr::GetField { dst: part, obj: item, field: Field(i as u16) });
                    let shown = f.temp(&Ty::Str);
                    f.show_nested(part, &pair[i], shown);
                    f.release(part);
                    parts.push(shown);
                    if i == 0 {
                        parts.push(f.load_text(": "));
                    }
                }
                f.join_texts(parts, text);
            } else {
                f.show_nested(item, &items_ty, text);
            }
            f.emit(Instr::VecPush { vec: texts, src: text });
            f.recycle(text);
        });
        self.release(list);
        let sep = self.load_text(", ");
        let middle = self.native_values("str_join", &[], &[(sep, Ty::Str), (texts, texts_ty)], &Ty::Str);
        self.release(sep);
        self.release(texts);
        let whole = vec![self.load_text(open), middle, self.load_text(close)];
        self.join_texts(whole, dst);
    }

    fn unless_tag(&mut self, tag: Reg, variant: usize, next: super::builder::Label) {
        let wanted = self.int_temp(variant as i64);
        let same = self.temp(&Ty::Bool);
        self.emit(Instr::EqInt { dst: same, lhs: tag, rhs: wanted });
        self.jump_if_not(same, next);
        self.recycle(same);
        self.recycle(wanted);
    }

    /// `dst = a == b` (or `!=`).
    pub fn equality(&mut self, negate: bool, a: Reg, b: Reg, ty: &Ty, dst: Reg) {
        match ty {
            Ty::Num(kind) if kind.is_float() => {
                return self.emit(if negate {
                    Instr::NeFloat { dst, lhs: a, rhs: b }
                } else {
                    Instr::EqFloat { dst, lhs: a, rhs: b }
                });
            }
            Ty::Num(_) | Ty::Bool | Ty::Duration | Ty::Instant | Ty::Unit => {
                return self.emit(if negate {
                    Instr::NeInt { dst, lhs: a, rhs: b }
                } else {
                    Instr::EqInt { dst, lhs: a, rhs: b }
                });
            }
            _ if self.g.has_own(Derived::Eq, ty) => self.call_own(Derived::Eq, ty, &[a, b], dst),
            _ if !self.is_ref(ty) => self.emit(Instr::EqInt { dst, lhs: a, rhs: b }),
            _ => self.native_into("value_equal", &[ty.clone()], &[(a, ty.clone()), (b, ty.clone())], &Ty::Bool, dst),
        }
        if negate {
            self.emit(Instr::NotBool { dst, src: dst });
        }
    }

    /// Goes to `differs` unless all parts are equal.
    fn equal_parts(&mut self, a: Reg, b: Reg, ty: &Ty, differs: super::builder::Label) {
        let program = self.g.program;
        match ty {
            Ty::Tuple(ts) => {
                for (i, t) in ts.iter().enumerate() {
                    self.equal_part(
                        t,
                        differs,
                        |f, dst, obj| f.emit(Instr::GetField { dst, obj, field: Field(i as u16) }),
                        a,
                        b,
                    );
                }
            }
            Ty::Adt(id, args) => match &program.adt(*id).kind {
                AdtKind::Struct(fields) => {
                    for (i, field) in fields.iter().enumerate() {
                        let t = field.ty.subst(args);
                        self.equal_part(
                            &t,
                            differs,
                            |f, dst, obj| f.emit(Instr::GetField { dst, obj, field: Field(i as u16) }),
                            a,
                            b,
                        );
                    }
                }
                AdtKind::Enum(variants) => {
                    let (ta, tb) = (self.temp(&Ty::INT), self.temp(&Ty::INT));
                    self.emit(Instr::GetTag { dst: ta, obj: a });
                    self.emit(Instr::GetTag { dst: tb, obj: b });
                    let same = self.temp(&Ty::Bool);
                    self.emit(Instr::EqInt { dst: same, lhs: ta, rhs: tb });
                    self.jump_if_not(same, differs);
                    let end = self.label();
                    for (v, variant) in variants.iter().enumerate() {
                        let next = self.label();
                        self.unless_tag(ta, v, next);
                        for (i, field) in variant.fields.iter().enumerate() {
                            let t = field.ty.subst(args);
                            let at = Payload { variant: v as u16, field: i as u16 };
                            self.equal_part(
                                &t,
                                differs,
                                |f, dst, obj| f.emit(Instr::GetPayload { dst, obj, at }),
                                a,
                                b,
                            );
                        }
                        self.jump(end);
                        self.place_label(next);
                    }
                    self.place_label(end);
                }
                AdtKind::Opaque if *id == program.lang.vec => {
                    let (na, nb) = (self.temp(&Ty::INT), self.temp(&Ty::INT));
                    self.emit(Instr::VecLen { dst: na, vec: a });
                    self.emit(Instr::VecLen { dst: nb, vec: b });
                    let same = self.temp(&Ty::Bool);
                    self.emit(Instr::EqInt { dst: same, lhs: na, rhs: nb });
                    self.jump_if_not(same, differs);
                    let i = self.int_temp(0);
                    let item = args[0].clone();
                    self.each(a, &item.clone(), &mut |f, left| {
                        let right = f.temp(&item);
                        f.emit(Instr::VecGet { dst: right, vec: b, idx: i });
                        let same = f.temp(&Ty::Bool);
                        f.equality(false, left, right, &item, same);
                        f.jump_if_not(same, differs);
                        f.recycle(same);
                        f.release(right);
                        f.emit(Instr::AddIntImm { dst: i, lhs: i, imm: 1 });
                    });
                }
                _ => {
                    let what = "maps and sets of values with their own `Eq` cannot be compared".to_string();
                    self.g.unsupported(self.span, what);
                }
            },
            _ => {}
        }
    }

    fn equal_part(
        &mut self,
        ty: &Ty,
        differs: super::builder::Label,
        get: impl Fn(&mut Self, Reg, Reg),
        a: Reg,
        b: Reg,
    ) {
        let (x, y) = (self.temp(ty), self.temp(ty));
        get(self, x, a);
        get(self, y, b);
        let same = self.temp(&Ty::Bool);
        self.equality(false, x, y, ty, same);
        self.jump_if_not(same, differs);
        self.recycle(same);
        self.release(y);
        self.release(x);
    }

    /// `dst = a < b` (or `<=`).
    pub fn less(&mut self, a: Reg, b: Reg, ty: &Ty, or_equal: bool, dst: Reg) {
        let (lhs, rhs) = (a, b);
        match ty {
            Ty::Num(kind) if kind.is_float() => {
                self.emit(if or_equal { Instr::LeFloat { dst, lhs, rhs } } else { Instr::LtFloat { dst, lhs, rhs } })
            }
            Ty::Num(stark_bytecode::Kind::UInt64) => {
                self.emit(if or_equal { Instr::LeU64 { dst, lhs, rhs } } else { Instr::LtU64 { dst, lhs, rhs } })
            }
            Ty::Num(_) | Ty::Bool | Ty::Duration | Ty::Instant | Ty::Unit => {
                self.emit(if or_equal { Instr::LeInt { dst, lhs, rhs } } else { Instr::LtInt { dst, lhs, rhs } })
            }
            _ => {
                let ordering = Ty::Adt(self.lang().ordering, Rc::from([]));
                let order = self.temp(&ordering);
                self.ordering(a, b, ty, order);
                let tag = self.temp(&Ty::INT);
                self.emit(Instr::GetTag { dst: tag, obj: order });
                let limit = self.int_temp(i64::from(or_equal));
                self.emit(Instr::LeInt { dst, lhs: tag, rhs: limit });
                self.recycle(limit);
                self.recycle(tag);
                self.recycle(order);
            }
        }
    }

    /// `dst` = the `Ordering` of two values: 0 less, 1 equal, 2 greater.
    pub fn ordering(&mut self, a: Reg, b: Reg, ty: &Ty, dst: Reg) {
        let ordering = Ty::Adt(self.lang().ordering, Rc::from([]));
        if self.g.has_own(Derived::Ord, ty) {
            return self.call_own(Derived::Ord, ty, &[a, b], dst);
        }
        self.native_into("value_compare", &[ty.clone()], &[(a, ty.clone()), (b, ty.clone())], &ordering, dst);
    }

    fn order_parts(&mut self, a: Reg, b: Reg, ty: &Ty, dst: Reg, decided: super::builder::Label) {
        let program = self.g.program;
        match ty {
            Ty::Tuple(ts) => {
                for (i, t) in ts.iter().enumerate() {
                    self.order_part(
                        t,
                        dst,
                        decided,
                        |f, part, obj| f.emit(Instr::GetField { dst: part, obj, field: Field(i as u16) }),
                        a,
                        b,
                    );
                }
            }
            Ty::Adt(id, args) => match &program.adt(*id).kind {
                AdtKind::Struct(fields) => {
                    for (i, field) in fields.iter().enumerate() {
                        let t = field.ty.subst(args);
                        self.order_part(
                            &t,
                            dst,
                            decided,
                            |f, part, obj| f.emit(Instr::GetField { dst: part, obj, field: Field(i as u16) }),
                            a,
                            b,
                        );
                    }
                }
                AdtKind::Enum(variants) => {
                    let (ta, tb) = (self.temp(&Ty::INT), self.temp(&Ty::INT));
                    self.emit(Instr::GetTag { dst: ta, obj: a });
                    self.emit(Instr::GetTag { dst: tb, obj: b });
                    self.ordering(ta, tb, &Ty::INT, dst);
                    self.jump_unless_equal(dst, decided);
                    for (v, variant) in variants.iter().enumerate() {
                        let next = self.label();
                        self.unless_tag(ta, v, next);
                        for (i, field) in variant.fields.iter().enumerate() {
                            let t = field.ty.subst(args);
                            let at = Payload { variant: v as u16, field: i as u16 };
                            self.order_part(
                                &t,
                                dst,
                                decided,
                                |f, part, obj| f.emit(Instr::GetPayload { dst: part, obj, at }),
                                a,
                                b,
                            );
                        }
                        self.jump(decided);
                        self.place_label(next);
                    }
                }
                AdtKind::Opaque if *id == program.lang.vec => {
                    let (na, nb) = (self.temp(&Ty::INT), self.temp(&Ty::INT));
                    self.emit(Instr::VecLen { dst: na, vec: a });
                    self.emit(Instr::VecLen { dst: nb, vec: b });
                    let i = self.int_temp(0);
                    let item = args[0].clone();
                    let shorter = self.label();
                    self.each(a, &item.clone(), &mut |f, left| {
                        let more = f.temp(&Ty::Bool);
                        f.emit(Instr::LtInt { dst: more, lhs: i, rhs: nb });
                        f.jump_if_not(more, shorter);
                        f.recycle(more);
                        let right = f.temp(&item);
                        f.emit(Instr::VecGet { dst: right, vec: b, idx: i });
                        f.ordering(left, right, &item, dst);
                        f.release(right);
                        f.jump_unless_equal(dst, decided);
                        f.emit(Instr::AddIntImm { dst: i, lhs: i, imm: 1 });
                    });
                    self.place_label(shorter);
                    self.ordering(na, nb, &Ty::INT, dst);
                }
                _ => {
                    let what = "values with their own `Ord` inside a map or set cannot be ordered".to_string();
                    self.g.unsupported(self.span, what);
                }
            },
            _ => {}
        }
    }

    fn order_part(
        &mut self,
        ty: &Ty,
        dst: Reg,
        decided: super::builder::Label,
        get: impl Fn(&mut Self, Reg, Reg),
        a: Reg,
        b: Reg,
    ) {
        let (x, y) = (self.temp(ty), self.temp(ty));
        get(self, x, a);
        get(self, y, b);
        self.ordering(x, y, ty, dst);
        self.release(y);
        self.release(x);
        self.jump_unless_equal(dst, decided);
    }

    fn jump_unless_equal(&mut self, order: Reg, decided: super::builder::Label) {
        let (tag, one, differs) = (self.temp(&Ty::INT), self.int_temp(1), self.temp(&Ty::Bool));
        self.emit(Instr::GetTag { dst: tag, obj: order });
        self.emit(Instr::NeInt { dst: differs, lhs: tag, rhs: one });
        self.jump_if(differs, decided);
        self.recycle(differs);
        self.recycle(one);
        self.recycle(tag);
    }

    /// `dst` = a hash; equal values have equal hashes.
    pub fn hash(&mut self, src: Reg, ty: &Ty, dst: Reg) {
        let trait_ = self.lang().hash;
        if self.g.program.find_impl(trait_, ty).is_some() {
            return self.call_own(Derived::Hash, ty, &[src], dst);
        }
        self.native_into("value_hash", &[ty.clone()], &[(src, ty.clone())], &Ty::INT, dst);
    }
}
