//! Places: what can be assigned or lent `&mut`, and what two borrows of one call may not share.

use super::*;

/// Where a place begins and the way from there.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacePath {
    pub root: Root,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    Local(LocalId),
    Global(GlobalId),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Field(u32),
    Index,
}

pub fn place_path(e: &Expr) -> Option<PlacePath> {
    match &e.kind {
        ExprKind::Local(l) => Some(PlacePath { root: Root::Local(*l), steps: Vec::new() }),
        ExprKind::Global(g) => Some(PlacePath { root: Root::Global(*g), steps: Vec::new() }),
        ExprKind::Field { base, index } => {
            let mut path = place_path(base)?;
            path.steps.push(Step::Field(*index));
            Some(path)
        }
        ExprKind::Index { base, .. } => {
            let mut path = place_path(base)?;
            path.steps.push(Step::Index);
            Some(path)
        }
        ExprKind::OrInsert { map, .. } => {
            let mut path = place_path(map)?;
            path.steps.push(Step::Index);
            Some(path)
        }
        _ => None,
    }
}

/// Whether one place holds the other.
fn overlap(a: &PlacePath, b: &PlacePath) -> bool {
    a.root == b.root && a.steps.iter().zip(&b.steps).all(|(x, y)| x == y)
}

/// Every place an expression reads.
fn reads(e: &Expr, out: &mut Vec<(PlacePath, Span)>) {
    if let Some(path) = place_path(e) {
        out.push((path, e.span));
        if let ExprKind::Index { index, .. } = &e.kind {
            reads(index, out);
        }
        return;
    }
    zonk::each_child(e, &mut |child| reads(child, out));
}

impl<'a> Checker<'a> {
    /// The place must be one that can change: E0502, E0503, E0601, E0506. `temporary` places may be lent (a method's receiver).
    pub fn require_mutable(&mut self, place: &Expr, span: Span, temporary: bool) {
        if place.ty == Ty::Error {
            return;
        }
        if let ExprKind::Coerce { value, .. } = &place.kind {
            return self.require_mutable(value, span, temporary);
        }
        let Some(path) = place_path(place) else {
            let place_like = matches!(place.kind, ExprKind::Const(_));
            if place_like {
                self.error(codes::ASSIGN_IMMUTABLE, "a constant cannot be changed", span, "declared with `const`");
            } else if !temporary && !matches!(place.kind, ExprKind::Error) {
                self.error(
                    codes::NOT_A_PLACE,
                    "this is a value, not a place that can change",
                    span,
                    "not a variable, field or element",
                );
            }
            return;
        };
        match path.root {
            Root::Global(g) => {
                let (name, at) = {
                    let g = &self.program.globals[g.index()];
                    (g.name.clone(), g.span)
                };
                self.report(
                    Diagnostic::error(
                        codes::ASSIGN_IMMUTABLE,
                        format!("`{name}` belongs to the script; a function has its value only"),
                        span,
                        "cannot be changed here",
                    )
                    .because(at, "declared here"),
                );
            }
            Root::Local(local) => self.require_mutable_local(local, &path, span),
        }
    }

    fn require_mutable_local(&mut self, local: LocalId, path: &PlacePath, span: Span) {
        let cx = self.body();
        let row = cx.locals[local.index()].clone();
        let meta = cx.meta[local.index()].clone();
        // An actor's fields: only those declared `mut`.
        if let Some(adt) = self.f.actor
            && self.f.bodies.len() == 1
            && local == LocalId(0)
        {
            if let AdtKind::Actor(def) = &self.program.adts[adt.index()].kind
                && let Some(Step::Field(i)) = path.steps.first()
                && let Some(field) = def.fields.get(*i as usize)
                && !field.mutable
            {
                let (name, at) = (field.name.clone(), field.span);
                self.report(
                    Diagnostic::error(
                        codes::ASSIGN_IMMUTABLE,
                        format!("field `{name}` of this actor cannot change"),
                        span,
                        "changed here",
                    )
                    .because(at, "declared without `mut`")
                    .fix("declare it `mut`", vec![(Span { end: at.start, ..at }, "mut ".to_string())]),
                );
            }
            return;
        }
        if meta.captured {
            if self.crosses_task(local) {
                self.report(
                    Diagnostic::error(
                        codes::TASK_MUTATES,
                        format!("a task cannot change `{}` of the task around it", row.name),
                        span,
                        "changed inside the task",
                    )
                    .because(row.span, "belongs to the surrounding task")
                    .help("let the task give its result, send it through a channel, or use a `shared let`"),
                );
            } else {
                self.report(
                    Diagnostic::error(
                        codes::ASSIGN_CAPTURED,
                        format!("a closure has its own copy of `{}` and cannot change it", row.name),
                        span,
                        "changed inside the closure",
                    )
                    .because(row.span, "captured by value")
                    .help(format!("return the new value, or copy it first: `let mut mine = {}`", row.name)),
                );
            }
            return;
        }
        if meta.mode == Some(ParamMode::RefMut) || row.mutable {
            return;
        }
        if meta.guard {
            self.report(
                Diagnostic::error(
                    codes::ASSIGN_IMMUTABLE,
                    "a zone's value cannot change while it is only read",
                    span,
                    "changed here",
                )
                .because(row.span, "taken with `read()`")
                .help("take the zone with `write()`"),
            );
            return;
        }
        let d = Diagnostic::error(
            codes::ASSIGN_IMMUTABLE,
            format!("`{}` cannot change", row.name),
            span,
            if path.steps.is_empty() { "changed here" } else { "changed through here" },
        );
        let d = match meta.mode {
            Some(ParamMode::Ref) if &*row.name == "self" => {
                d.because(row.span, "lent as `&self`").help("take `&mut self`")
            }
            Some(ParamMode::Ref) => d.because(row.span, "lent as `&`").help("take it as `&mut`"),
            Some(_) => d.because(row.span, "a parameter").help(format!("copy it first: `let mut {0} = {0}`", row.name)),
            None => d
                .because(row.span, "declared without `mut`")
                .fix("declare it `mut`", vec![(Span { end: row.span.start, ..row.span }, "mut ".to_string())]),
        };
        self.report(d);
    }

    /// E0504: arguments that are kept after the call, in a field, a list or a message, cannot be borrows.
    pub fn refuse_kept_borrows(&mut self, args: &'a [ast::Arg], keeper: &str) {
        for arg in args.iter().filter(|a| a.mode != ParamMode::Value) {
            let text = self.text(arg.value.span).to_string();
            let sign = if arg.mode == ParamMode::RefMut { "&mut" } else { "&" };
            self.report(
                Diagnostic::error(
                    codes::BORROW_ESCAPES,
                    format!("`{keeper}` keeps what it is given, and `{sign}` lends it for one call only"),
                    arg.span,
                    "would outlive the call",
                )
                .fix("give it the value", vec![(arg.span, text)]),
            );
        }
    }

    /// Whether a captured variable belongs to another task: a task's body, or a closure run in one, lies between.
    fn crosses_task(&self, local: LocalId) -> bool {
        let mut current = local;
        for body in self.f.bodies.iter().rev() {
            if !body.meta[current.index()].captured {
                return false;
            }
            if body.in_task {
                return true;
            }
            match body.captures.iter().find(|(_, inner)| *inner == current) {
                Some((outer, _)) => current = *outer,
                None => return false,
            }
        }
        false
    }

    /// During a call nothing else may reach what is lent `&mut`.
    pub fn check_exclusive(&mut self, args: &[Arg], has_receiver: bool) {
        for (i, arg) in args.iter().enumerate() {
            if arg.mode != ParamMode::RefMut {
                continue;
            }
            let Some(lent) = place_path(&arg.value) else { continue };
            for (j, other) in args.iter().enumerate() {
                if i == j || (other.mode == ParamMode::RefMut && j < i) {
                    continue;
                }
                let mut found = Vec::new();
                match other.mode {
                    ParamMode::RefMut | ParamMode::Ref => match place_path(&other.value) {
                        Some(path) => found.push((path, other.value.span)),
                        // A method's receiver is made before the borrow begins, as its arguments are.
                        None if has_receiver && (i == 0 || j == 0) => {}
                        None => reads(&other.value, &mut found),
                    },
                    // A method's receiver is borrowed after its arguments have been evaluated.
                    ParamMode::Value if i == 0 && has_receiver => {}
                    ParamMode::Value => reads(&other.value, &mut found),
                }
                if let Some((_, at)) = found.iter().find(|(path, _)| overlap(&lent, path)) {
                    let text = self.text(arg.value.span).to_string();
                    self.report(
                        Diagnostic::error(
                            codes::EXCLUSIVE_ACCESS,
                            format!("`{text}` is lent `&mut` and reached another way in the same call"),
                            *at,
                            "reached again here",
                        )
                        .because(arg.value.span, "lent `&mut` here")
                        .help("copy the value into a variable first"),
                    );
                    break;
                }
            }
        }
    }
}
