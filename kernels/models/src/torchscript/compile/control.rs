//! Conditions and loops: what is known on every way, what becomes a slot, and how far every run gets.

use std::collections::BTreeSet;

use super::objects::same_object;
use super::*;

impl Compiler<'_> {
    pub(super) fn if_stmt(
        &mut self,
        cond: &Expr,
        then: &[Stmt],
        otherwise: &[Stmt],
        env: &mut Env,
    ) -> Done<Option<Cv>> {
        let cond = self.expr(cond, env)?;
        if self.is_warning(then, otherwise, env)? {
            return Ok(None);
        }
        if let Cv::Plain(Value::Bool(known)) = cond {
            return self.stmts(if known { then } else { otherwise }, env);
        }
        let cond = self.operand(&cond)?;
        let at = self.at;
        let mut env_else = env.clone();
        let reach = std::mem::replace(&mut self.reach, Reach::End);
        let (result_then, mut block_then) = self.in_sure_block(|this| this.stmts(then, env))?;
        let reach_then = std::mem::replace(&mut self.reach, Reach::End);
        self.at = at;
        let (result_else, mut block_else) = self.in_sure_block(|this| this.stmts(otherwise, &mut env_else))?;
        let reach_else = self.reach;
        self.at = at;
        // Where both ways end early, so does every run.
        let both = if reach_then.min(reach_else) == Reach::End { Reach::End } else { reach_then.max(reach_else) };
        self.reach = reach.max(both);

        let mut merge = Merge::default();
        let env_then = std::mem::take(env);
        // In the order of the names, so that a model compiles to the same graph each time.
        let names: BTreeSet<&String> = env_then.keys().collect();
        for name in names {
            if let (Some(a), Some(b)) = (env_then.get(name), env_else.get(name)) {
                let merged = self.merge(a, b, &mut merge)?;
                env.insert(name.clone(), merged);
            }
        }
        let result = match (result_then, result_else) {
            (None, None) => None,
            (Some(a), Some(b)) => Some(self.merge(&a, &b, &mut merge)?),
            // The other branch can only have raised.
            (Some(one), None) | (None, Some(one)) => Some(one),
        };
        self.move_at_end(&mut block_then, &merge.outs, &merge.then)?;
        self.move_at_end(&mut block_else, &merge.outs, &merge.otherwise)?;
        self.emit(Kind::If(block_then, block_else), vec![cond], Vec::new())?;
        Ok(result)
    }

    /// One binding for what is `a` after one branch and `b` after the other.
    fn merge(&mut self, a: &Cv, b: &Cv, merge: &mut Merge) -> Done<Cv> {
        match (a, b) {
            (Cv::Slot { slot: x, never_none: p }, Cv::Slot { slot: y, never_none: q }) if x == y => {
                return Ok(Cv::Slot { slot: *x, never_none: *p && *q });
            }
            (Cv::Plain(x), Cv::Plain(y)) if x.is_same_plain(y) => return Ok(a.clone()),
            (Cv::Const(x), Cv::Const(y)) if x == y => return Ok(a.clone()),
            (a, b) if same_object(a, b) => return Ok(a.clone()),
            // Two modules by the same name: only an error when it is used later.
            (Cv::Object(_) | Cv::Made(_) | Cv::Path(_), _) | (_, Cv::Object(_) | Cv::Made(_) | Cv::Path(_)) => {
                return Ok(Cv::Uninitialized);
            }
            (Cv::Uninitialized, known) | (known, Cv::Uninitialized) => return Ok(known.clone()),
            (Cv::Tuple(x), Cv::Tuple(y)) if Rc::ptr_eq(x, y) => return Ok(a.clone()),
            (Cv::Tuple(x), Cv::Tuple(y)) if x.items.len() == y.items.len() => {
                let items = x.items.iter().zip(&y.items).map(|(a, b)| self.merge(a, b, merge));
                let items = items.collect::<Done<Vec<_>>>()?;
                return self.tuple(items, x.names.clone());
            }
            _ => {}
        }
        let out = self.new_slot();
        merge.outs.push(out);
        merge.then.push(a.clone());
        merge.otherwise.push(b.clone());
        Ok(Cv::Slot { slot: out, never_none: never_none(a) && never_none(b) })
    }

    /// Appends to `block` the move of `values` into `outs`.
    fn move_at_end(&mut self, block: &mut Block, outs: &[Slot], values: &[Cv]) -> Done<()> {
        if outs.is_empty() {
            return Ok(());
        }
        let outer = std::mem::replace(&mut self.block, std::mem::take(block));
        let args = values.iter().map(|value| self.operand(value)).collect::<Done<Vec<_>>>();
        let done = args.and_then(|args| self.emit(Kind::Move, args, outs.to_vec()));
        *block = std::mem::replace(&mut self.block, outer);
        done
    }

    /// Gives each name that the loop assigns a slot which holds its value at the start of a round.
    fn enter_loop(&mut self, body: &[Stmt], env: &mut Env) -> Done<Vec<(String, Slot)>> {
        let mut assigned = BTreeSet::new();
        assigned_names(body, &mut assigned);
        let mut carried = Vec::new();
        let (mut inits, mut outs) = (Vec::new(), Vec::new());
        for name in assigned {
            let Some(init) = env.get(&name).cloned() else { continue };
            // Which it is stays known; the end of the round asks.
            if matches!(init, Cv::Object(_) | Cv::Made(_) | Cv::Path(_)) {
                continue;
            }
            let slot = self.new_slot();
            inits.push(self.operand(&init)?);
            outs.push(slot);
            env.insert(name.clone(), Cv::Slot { slot, never_none: false });
            carried.push((name, slot));
        }
        if !outs.is_empty() {
            self.emit(Kind::Move, inits, outs)?;
        }
        Ok(carried)
    }

    /// The end of a round: the new values go to the carried slots. Names born in the loop end with it.
    fn end_round(&mut self, carried: &[(String, Slot)], before: &Env, env: &Env) -> Done<()> {
        for (name, object) in before.iter().filter(|(_, cv)| matches!(cv, Cv::Object(_) | Cv::Made(_) | Cv::Path(_))) {
            if !env.get(name).is_some_and(|cv| same_object(cv, object)) {
                return self.refuse(format!("a loop gives `{name}` another module or object"));
            }
        }
        let (mut values, mut outs) = (Vec::new(), Vec::new());
        for (name, slot) in carried {
            let value = env.get(name).cloned().unwrap_or(Cv::Uninitialized);
            if !matches!(value, Cv::Slot { slot: same, .. } if same == *slot) {
                values.push(self.operand(&value)?);
                outs.push(*slot);
            }
        }
        if !outs.is_empty() {
            self.emit(Kind::Move, values, outs)?;
        }
        Ok(())
    }

    pub(super) fn while_stmt(&mut self, cond: &Expr, body: &[Stmt], env: &mut Env) -> Done<()> {
        let at = self.at;
        let carried = self.enter_loop(body, env)?;
        let (cond, test) = self.in_sure_block(|this| {
            let cond = this.expr(cond, env)?;
            this.operand(&cond)
        })?;
        let mut inner = env.clone();
        let ((), block) = self.in_block(|this| {
            if this.stmts(body, &mut inner)?.is_some() {
                return this.refuse("a return inside a loop");
            }
            this.end_round(&carried, env, &inner)
        })?;
        self.at = at;
        self.emit(Kind::While { test, cond, body: block }, Vec::new(), Vec::new())
    }

    pub(super) fn for_stmt(&mut self, name: &str, count: &Expr, body: &[Stmt], env: &mut Env) -> Done<()> {
        let at = self.at;
        let count = self.expr(count, env)?;
        let is_sure = matches!(count, Cv::Plain(Value::Int(1..)));
        let count = self.operand(&count)?;
        let carried = self.enter_loop(body, env)?;
        let index = self.new_slot();
        let mut inner = env.clone();
        inner.insert(name.to_string(), Cv::Slot { slot: index, never_none: true });
        let round = |this: &mut Self| {
            if this.stmts(body, &mut inner)?.is_some() {
                return this.refuse("a return inside a loop");
            }
            this.end_round(&carried, env, &inner)
        };
        let ((), block) = if is_sure { self.in_sure_block(round)? } else { self.in_block(round)? };
        self.at = at;
        self.emit(Kind::For(block), vec![count], vec![index])
    }

    // ---- expressions ------------------------------------------------------------------------------
}

/// Slots that a condition's branches fill, and with what.
#[derive(Default)]
struct Merge {
    outs: Vec<Slot>,
    then: Vec<Cv>,
    otherwise: Vec<Cv>,
}

fn assigned_names(body: &[Stmt], out: &mut BTreeSet<String>) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::Assign { targets, .. } | StmtKind::Unpack { targets, .. } => out.extend(targets.iter().cloned()),
            StmtKind::If { then, otherwise, .. } => {
                assigned_names(then, out);
                assigned_names(otherwise, out);
            }
            StmtKind::While { body, .. } | StmtKind::With { body, .. } => assigned_names(body, out),
            StmtKind::For { name, body, .. } => {
                out.insert(name.clone());
                assigned_names(body, out);
            }
            _ => {}
        }
    }
}
