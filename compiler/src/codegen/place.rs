//! Places: what can be assigned, lent or changed in place.
//!
//! A place is a root register and steps into it. The operands of the steps (indices, keys) are evaluated once, before anything moves; the walk itself
//! is a cursor chain of neighbouring instructions. To lend a place inside a value, its value is taken out, passed, and put back by a second
//! walk, also when the call fails (`Pad`).

use super::builder::FnBuilder;
use super::expr::Operand;
use crate::hir::{Body, Closure, Cond, Expr, ExprKind, FormatPart, LocalId, SelectKind, Stmt, Ty};
use stark_bytecode::{Field, Instr, Out, Reg};

#[derive(Clone, Debug)]
pub enum Step {
    Field(u16),
    Index(Reg),
    /// The value under a key.
    Key(Reg),
}

#[derive(Clone, Debug)]
pub struct Place {
    pub root: Reg,
    pub steps: Vec<Step>,
    /// Operand registers to give back afterwards.
    pub temps: Vec<Reg>,
    /// The root is a temporary: nobody sees the change.
    pub rootless: bool,
}

/// A lent place: where its final value comes back and where it goes.
#[derive(Clone, Debug)]
pub struct Back {
    pub out: Out,
    /// The variable itself, or the temporary that carries a part of it.
    pub register: Reg,
    pub place: Place,
}

impl Place {
    /// A whole variable.
    pub fn variable(root: Reg) -> Place {
        Place { root, steps: Vec::new(), temps: Vec::new(), rootless: false }
    }
}

impl<'p> FnBuilder<'_, 'p> {
    /// Evaluates a place's operands.
    pub fn place(&mut self, expr: &'p Expr) -> Place {
        match &expr.kind {
            ExprKind::Local(local) => Place::variable(self.local(*local)),
            ExprKind::Field { base, index } => {
                let mut place = self.place(base);
                place.steps.push(Step::Field(*index as u16));
                place
            }
            ExprKind::Index { base, index } => {
                let mut place = self.place(base);
                let register = match &index.kind {
                    ExprKind::Local(local) if self.is_constant.get(local.index()) == Some(&true) => self.local(*local),
                    _ => {
                        let register = self.owned_temp(index);
                        place.temps.push(register);
                        register
                    }
                };
                let base_ty = self.ty(&base.ty);
                place.steps.push(if self.is_map(&base_ty) { Step::Key(register) } else { Step::Index(register) });
                place
            }
            ExprKind::OrInsert { map, key, default } => {
                let mut place = self.place(map);
                let key_register = self.owned_temp(key);
                let value = self.owned_temp(default);
                let (key_ty, value_ty, map_ty) = (self.ty(&key.ty), self.ty(&default.ty), self.ty(&map.ty));
                let holder = self.open_place(&place, &map_ty);
                let types = [key_ty.clone(), value_ty.clone()];
                let there = self.label();
                let found = self.native_values(
                    "map_contains",
                    &types,
                    &[(holder, map_ty.clone()), (key_register, key_ty.clone())],
                    &Ty::Bool,
                );
                self.jump_if(found, there);
                self.recycle(found);
                let args = [(holder, map_ty.clone()), (key_register, key_ty.clone()), (value, value_ty.clone())];
                let ret = self.native_ret("map_insert", &types);
                self.native_lending("map_insert", &types, &args, Some(&place), &ret);
                self.place_label(there);
                self.close_place(&place, holder);
                self.release(value);
                place.temps.push(key_register);
                place.steps.push(Step::Key(key_register));
                place
            }
            ExprKind::Coerce { value, .. } => self.place(value),
            _ => {
                let root = self.owned_temp(expr);
                Place { root, steps: Vec::new(), temps: vec![root], rootless: true }
            }
        }
    }

    pub fn is_map(&self, ty: &Ty) -> bool {
        matches!(ty, Ty::Adt(id, _) if *id == self.lang().map)
    }

    pub fn is_vec(&self, ty: &Ty) -> bool {
        matches!(ty, Ty::Adt(id, _) if *id == self.lang().vec)
    }

    pub fn release_place(&mut self, place: Place) {
        for register in place.temps {
            self.release(register);
        }
    }

    fn walk(&mut self, place: &Place) {
        self.emit(Instr::AtReg { reg: place.root });
        for step in &place.steps {
            match step {
                Step::Field(field) => self.emit(Instr::AtField { field: Field(*field) }),
                Step::Index(idx) => self.emit(Instr::AtIndex { idx: *idx }),
                Step::Key(key) => self.emit(Instr::AtKey { key: *key }),
            }
        }
    }

    /// The register that holds the place's value while it is changed: the variable itself, or a temporary with the value taken out.
    pub fn open_place(&mut self, place: &Place, ty: &Ty) -> Reg {
        if place.steps.is_empty() {
            return place.root;
        }
        let dst = self.temp(ty);
        self.walk(place);
        self.emit(Instr::TakeAt { dst });
        dst
    }

    /// The other half of `open_place`.
    pub fn close_place(&mut self, place: &Place, holder: Reg) {
        if !place.steps.is_empty() {
            self.walk(place);
            self.emit(Instr::StoreAt { src: holder });
            self.recycle(holder);
        }
    }

    /// A copy of what is in the place.
    pub fn load_place(&mut self, place: &Place, dst: Reg) {
        if place.steps.is_empty() {
            let src = place.root;
            return self.emit(if self.is_ref_register(src) {
                Instr::CopyRef { dst, src }
            } else {
                Instr::Copy { dst, src }
            });
        }
        self.walk(place);
        self.emit(Instr::LoadAt { dst });
    }

    /// Checks that the walk succeeds, before something else is taken out.
    pub fn probe_place(&mut self, place: &Place, ty: &Ty) {
        if place.steps.iter().any(|s| !matches!(s, Step::Field(_))) {
            let dst = self.temp(ty);
            self.load_place(place, dst);
            self.release(dst);
        }
    }

    /// Stores an owned register into the place.
    pub fn store_place(&mut self, place: &Place, src: Reg) {
        if place.steps.is_empty() {
            let dst = place.root;
            return self.emit(if self.is_ref_register(src) {
                Instr::MoveRef { dst, src }
            } else {
                Instr::Copy { dst, src }
            });
        }
        self.walk(place);
        self.emit(Instr::StoreAt { src });
    }

    pub fn put_back(&mut self, back: &Back) {
        if !back.place.steps.is_empty() {
            self.walk(&back.place);
            self.emit(Instr::StoreAt { src: back.register });
        }
    }

    /// Whether somebody can look at the place after an error: a handler in this function, or the caller who lent it.
    pub fn outlives_error(&self, place: &Place) -> bool {
        !place.rootless && (self.in_region() || self.inout_registers.contains(&place.root))
    }

    pub fn assign(&mut self, target: &'p Expr, value: &'p Expr) {
        let ty = self.ty(&target.ty);
        match &target.kind {
            ExprKind::Local(local) => {
                let dst = self.local(*local);
                if mentions(value, *local)
                    && !matches!(value.kind, ExprKind::Call { .. } | ExprKind::Binary { .. } | ExprKind::Lit(_))
                {
                    let temp = self.owned_temp(value);
                    self.move_register(dst, temp, &ty);
                    self.recycle(temp);
                } else {
                    self.into(value, dst);
                }
            }
            ExprKind::Index { base, index } if self.is_map(&self.ty(&base.ty)) => {
                let value_register = self.owned_temp(value);
                let place = self.place(base);
                let key = self.owned_temp(index);
                let (map_ty, key_ty) = (self.ty(&base.ty), self.ty(&index.ty));
                let holder = self.open_place(&place, &map_ty);
                let args = [(holder, map_ty), (key, key_ty.clone()), (value_register, ty.clone())];
                let decl = self.native_ret("map_insert", &[key_ty.clone(), ty.clone()]);
                self.native_lending("map_insert", &[key_ty, ty], &args, Some(&place), &decl);
                self.close_place(&place, holder);
                self.release(key);
                self.release(value_register);
                self.release_place(place);
            }
            ExprKind::Index { base, index }
                if matches!(base.kind, ExprKind::Local(_)) && self.is_vec(&self.ty(&base.ty)) =>
            {
                let ExprKind::Local(local) = base.kind else { return };
                let src = match value.kind {
                    ExprKind::Lit(_) => self.operand(value),
                    _ => Operand::temp(self.owned_temp(value)),
                };
                let vec = self.local(local);
                let idx = self.operand(index);
                self.emit(Instr::VecSet { vec, idx: idx.register, src: src.register });
                self.done(idx);
                if src.temp {
                    self.recycle(src.register);
                }
            }
            _ => {
                let src = self.owned_temp(value);
                let place = self.place(target);
                self.store_place(&place, src);
                self.recycle(src);
                self.release_place(place);
            }
        }
    }

    /// Moves an owned register into another.
    pub fn move_register(&mut self, dst: Reg, src: Reg, ty: &Ty) {
        if dst == src {
            return;
        }
        if self.is_ref(ty) {
            self.emit(Instr::MoveRef { dst, src });
        } else {
            self.emit(Instr::Copy { dst, src });
        }
    }
}

/// Whether the expression reads the local (closures capture before anything is written, but count as reads).
pub fn mentions(expr: &Expr, local: LocalId) -> bool {
    let mut found = false;
    visit_locals(expr, &mut |l, _| found |= l == local, 0);
    found
}

/// Whether evaluating the expression can change a variable: then operands evaluated before it are copied first.
pub fn may_assign(expr: &Expr) -> bool {
    let mut found = false;
    walk(expr, &mut |e| {
        found |= match &e.kind {
            ExprKind::Assign { .. }
            | ExprKind::AssignOp { .. }
            | ExprKind::WithZone { .. }
            | ExprKind::OrInsert { .. } => true,
            ExprKind::Call { args, .. } => args.iter().any(|a| a.mode == crate::hir::ParamMode::RefMut),
            _ => false,
        };
    });
    found
}

/// For each local whether it is read exactly once, at the loop depth where it is made: that read may move it.
pub fn single_uses(body: &Body) -> Vec<bool> {
    let mut uses = vec![0u32; body.locals.len()];
    let mut use_depth = vec![0u32; body.locals.len()];
    let mut made_depth = vec![u32::MAX; body.locals.len()];
    for param in &body.params {
        made_depth[param.index()] = 0;
    }
    visit_locals(
        &body.value,
        &mut |local, seen| match seen {
            Seen::Read(depth) => {
                uses[local.index()] += 1;
                use_depth[local.index()] = depth;
            }
            Seen::Place => uses[local.index()] += 2,
            Seen::Made(depth) => {
                let made = &mut made_depth[local.index()];
                *made = if *made == u32::MAX { depth } else { u32::MAX - 1 };
            }
        },
        0,
    );
    (0..body.locals.len()).map(|i| uses[i] == 1 && use_depth[i] == made_depth[i]).collect()
}

#[derive(Clone, Copy)]
enum Seen {
    Read(u32),
    /// Assigned, lent or reached into.
    Place,
    Made(u32),
}

fn visit_pattern(pattern: &crate::hir::Pat, seen: &mut dyn FnMut(LocalId, Seen), depth: u32) {
    use crate::hir::PatKind::*;
    match &pattern.kind {
        Bind { local, sub } => {
            seen(*local, Seen::Made(depth));
            if let Some(sub) = sub {
                visit_pattern(sub, seen, depth);
            }
        }
        Tuple(ps) => ps.iter().for_each(|p| visit_pattern(p, seen, depth)),
        Struct { fields } | Variant { fields, .. } => fields.iter().for_each(|(_, p)| visit_pattern(p, seen, depth)),
        List { before, rest, after } => {
            before.iter().chain(after).for_each(|p| visit_pattern(p, seen, depth));
            if let Some(Some(rest)) = rest {
                seen(*rest, Seen::Made(depth));
            }
        }
        Or(ps) => ps.iter().for_each(|p| visit_pattern(p, seen, depth)),
        Wildcard | Lit(_) | Range { .. } => {}
    }
}

fn visit_locals(expr: &Expr, seen: &mut dyn FnMut(LocalId, Seen), depth: u32) {
    match &expr.kind {
        ExprKind::Local(local) => seen(*local, Seen::Read(depth)),
        // Reaching into a value leaves it there.
        ExprKind::Field { base, .. } => visit_base(base, seen, depth),
        ExprKind::Index { base, index } => {
            visit_base(base, seen, depth);
            visit_locals(index, seen, depth);
        }
        ExprKind::Assign { target, value } => {
            visit_locals(value, seen, depth);
            visit_base(target, seen, depth);
        }
        ExprKind::AssignOp { target, op, value } => {
            visit_locals(value, seen, depth);
            visit_base(target, seen, depth);
            if let crate::hir::AssignOp::Call { callee: crate::hir::Callee::Value(f), .. } = op {
                visit_locals(f, seen, depth);
            }
        }
        ExprKind::While { cond, body } => {
            visit_cond(cond, seen, depth + 1);
            visit_locals(body, seen, depth + 1);
        }
        ExprKind::For { pattern, iterable, body } => {
            visit_locals(iterable, seen, depth);
            visit_pattern(pattern, seen, depth + 1);
            visit_locals(body, seen, depth + 1);
        }
        ExprKind::If { cond, then, else_ } => {
            visit_cond(cond, seen, depth);
            visit_locals(then, seen, depth);
            if let Some(e) = else_ {
                visit_locals(e, seen, depth);
            }
        }
        ExprKind::Match { scrutinee, arms } => {
            // The scrutinee is looked at by every arm.
            visit_base(scrutinee, seen, depth);
            for arm in arms {
                visit_pattern(&arm.pattern, seen, depth);
                if let Some(g) = &arm.guard {
                    visit_locals(g, seen, depth);
                }
                visit_locals(&arm.body, seen, depth);
            }
        }
        ExprKind::Block { stmts, value } => {
            for stmt in stmts {
                match stmt {
                    Stmt::Let { pattern, init, else_ } => {
                        if let Some(e) = init {
                            visit_locals(e, seen, depth);
                        }
                        visit_pattern(pattern, seen, depth);
                        if let Some(e) = else_ {
                            visit_locals(e, seen, depth);
                        }
                    }
                    Stmt::Expr(e) => visit_locals(e, seen, depth),
                }
            }
            if let Some(e) = value {
                visit_locals(e, seen, depth);
            }
        }
        ExprKind::Call { callee, args } | ExprKind::SpawnCall { callee, args } => {
            if let crate::hir::Callee::Value(f) = callee {
                visit_base(f, seen, depth);
            }
            for arg in args {
                match (arg.mode, &arg.value.kind) {
                    // A variable that is lent for the last time may be given.
                    (crate::hir::ParamMode::Value, _) | (crate::hir::ParamMode::Ref, ExprKind::Local(_)) => {
                        visit_locals(&arg.value, seen, depth);
                    }
                    _ => visit_base(&arg.value, seen, depth),
                }
            }
        }
        ExprKind::Closure(c) | ExprKind::SpawnBlock(c) => visit_closure(c, seen, depth),
        ExprKind::Try { body, catches, finally } => {
            // An error may leave at any point: what the body reads, a handler may read again.
            visit_locals(body, seen, depth);
            for catch in catches {
                if let Some(local) = catch.local {
                    seen(local, Seen::Made(depth));
                }
                visit_locals(&catch.body, seen, depth);
            }
            // Written once for each way out.
            if let Some(f) = finally {
                visit_locals(
                    f,
                    &mut |l, s| {
                        if let Seen::Read(_) = s { seen(l, Seen::Place) } else { seen(l, s) }
                    },
                    depth,
                );
            }
        }
        ExprKind::Throw { value, again } => {
            visit_locals(value, seen, depth);
            if let Some(local) = again {
                seen(*local, Seen::Place);
            }
        }
        ExprKind::Scope { group, body } => {
            seen(*group, Seen::Place);
            visit_locals(body, seen, depth);
        }
        ExprKind::WithZone { local, body, .. } => {
            seen(*local, Seen::Place);
            visit_locals(body, seen, depth);
        }
        ExprKind::Select { arms } => {
            for arm in arms {
                match &arm.kind {
                    SelectKind::Recv(e) | SelectKind::After(e) => visit_base(e, seen, depth),
                    SelectKind::Await(e) => visit_base(e, seen, depth),
                    SelectKind::Send { channel, value } => {
                        visit_base(channel, seen, depth);
                        // Another arm may win: the value stays.
                        visit_base(value, seen, depth);
                    }
                    SelectKind::Else => {}
                }
                if let Some(p) = &arm.pattern {
                    visit_pattern(p, seen, depth);
                }
                visit_locals(&arm.body, seen, depth);
            }
        }
        _ => children(expr, &mut |e| visit_locals(e, seen, depth)),
    }
}

fn visit_cond(cond: &Cond, seen: &mut dyn FnMut(LocalId, Seen), depth: u32) {
    match cond {
        Cond::Expr(e) => visit_locals(e, seen, depth),
        Cond::Let { pattern, value } => {
            visit_base(value, seen, depth);
            visit_pattern(pattern, seen, depth);
        }
    }
}

fn visit_closure(closure: &Closure, seen: &mut dyn FnMut(LocalId, Seen), depth: u32) {
    for (outer, _) in &closure.captures {
        seen(*outer, Seen::Read(depth));
    }
}

/// The expression is borrowed or changed, not consumed.
fn visit_base(expr: &Expr, seen: &mut dyn FnMut(LocalId, Seen), depth: u32) {
    match &expr.kind {
        ExprKind::Local(local) => seen(*local, Seen::Place),
        _ => visit_locals(expr, seen, depth),
    }
}

/// Every expression below, this one first; closures' bodies are not entered.
fn walk(expr: &Expr, f: &mut dyn FnMut(&Expr)) {
    f(expr);
    children(expr, &mut |e| walk(e, f));
}

/// The expressions directly below; closures' bodies are not entered.
pub fn children<'e>(expr: &'e Expr, f: &mut dyn FnMut(&'e Expr)) {
    use ExprKind::*;
    let cond = |c: &'e Cond, f: &mut dyn FnMut(&'e Expr)| match c {
        Cond::Expr(e) | Cond::Let { value: e, .. } => f(e),
    };
    match &expr.kind {
        Lit(_)
        | Local(_)
        | Const(_)
        | Global(_)
        | FnRef { .. }
        | Closure(_)
        | SpawnBlock(_)
        | Break
        | Continue
        | Return(None)
        | Error => {}
        StoreGlobal { value, .. }
        | Field { base: value, .. }
        | Unary { operand: value, .. }
        | Cast(value)
        | Coerce { value, .. }
        | Return(Some(value))
        | Throw { value, .. }
        | Question(value)
        | Await(value)
        | Scope { body: value, .. }
        | WithZone { body: value, .. } => f(value),
        Call { callee, args } | SpawnCall { callee, args } => {
            if let crate::hir::Callee::Value(e) = callee {
                f(e);
            }
            args.iter().for_each(|a| f(&a.value));
        }
        Struct { fields, .. } | Variant { fields, .. } | Tuple(fields) | List(fields) | Set(fields) => {
            fields.iter().for_each(f)
        }
        Map(pairs) => pairs.iter().for_each(|(k, v)| {
            f(k);
            f(v);
        }),
        Range { start, end, .. } => {
            f(start);
            f(end);
        }
        Format(parts) => parts.iter().for_each(|p| {
            if let FormatPart::Value { value, .. } = p {
                f(value);
            }
        }),
        Index { base, index } => {
            f(base);
            f(index);
        }
        OrInsert { map, key, default } => {
            f(map);
            f(key);
            f(default);
        }
        Binary { lhs, rhs, .. } | And(lhs, rhs) | Or(lhs, rhs) => {
            f(lhs);
            f(rhs);
        }
        Block { stmts, value } => {
            for stmt in stmts {
                match stmt {
                    Stmt::Let { init, else_, .. } => init.iter().chain(else_).for_each(&mut *f),
                    Stmt::Expr(e) => f(e),
                }
            }
            if let Some(e) = value {
                f(e);
            }
        }
        If { cond: c, then, else_ } => {
            cond(c, f);
            f(then);
            if let Some(e) = else_ {
                f(e);
            }
        }
        Match { scrutinee, arms } => {
            f(scrutinee);
            for arm in arms {
                arm.guard.iter().for_each(&mut *f);
                f(&arm.body);
            }
        }
        While { cond: c, body } => {
            cond(c, f);
            f(body);
        }
        For { iterable, body, .. } => {
            f(iterable);
            f(body);
        }
        Assign { target, value } | AssignOp { target, value, .. } => {
            f(target);
            f(value);
        }
        Try { body, catches, finally } => {
            f(body);
            catches.iter().for_each(|c| f(&c.body));
            if let Some(e) = finally {
                f(e);
            }
        }
        Assert { cond, message, .. } => {
            f(cond);
            if let Some(e) = message {
                f(e);
            }
        }
        Select { arms } => {
            for arm in arms {
                match &arm.kind {
                    SelectKind::Recv(e) | SelectKind::Await(e) | SelectKind::After(e) => f(e),
                    SelectKind::Send { channel, value } => {
                        f(channel);
                        f(value);
                    }
                    SelectKind::Else => {}
                }
                f(&arm.body);
            }
        }
        Message { actor, args, timeout, .. } => {
            f(actor);
            args.iter().for_each(&mut *f);
            if let Some(e) = timeout {
                f(e);
            }
        }
    }
}
