//! What the tree knows and the tokens do not: the rules, one for each kind of node.
//!
//! A rule writes nothing. It marks tokens (this `-` has two operands, this `|` opens a closure) and ranges that break
//! together (a chain of methods, a sum). The document is made of the tokens with these marks, so a rule that forgets a
//! case costs beauty, never a token.

use crate::tokens::Tokens;
use stark_syntax::ast::*;
use stark_syntax::source::Span;
use stark_syntax::token::TokenKind;
use std::collections::{HashMap, HashSet};

/// Tokens by their index.
#[derive(Default)]
pub struct Marks {
    /// All tokens of an operator with two operands.
    pub operators: HashSet<usize>,
    /// A token that stays next to the one before it: the second half of `>=`, `>>`.
    pub joined: HashSet<usize>,
    pub closure_opens: HashSet<usize>,
    pub closure_closes: HashSet<usize>,
    pub attributes: HashSet<usize>,
    /// The token after the last attribute, on its line.
    pub attribute_ends: HashSet<usize>,
    /// `after (…)` in a `select`: with a blank, or it would be a call.
    pub spaced_parens: HashSet<usize>,
    /// Where a line may break, before the token: a method's `.`, an operator, a clause of a comprehension.
    pub breaks: HashSet<usize>,
    /// Ranges that break together, by their first token; the widest first.
    pub ranges: HashMap<usize, Vec<Range>>,
    /// A call's bracket whose only argument is another bracket: both break as one.
    pub hugs: HashSet<usize>,
    /// A bracket whose elements stay on lines of their own if they stood so.
    pub keeps_lines: HashSet<usize>,
    /// A bracket that never breaks.
    pub tight: HashSet<usize>,
    /// A list of numbers: several stand on a line.
    pub fills: HashSet<usize>,
    /// Types' arguments: their commas and brackets stay on the line.
    pub in_angles: HashSet<usize>,
    /// The first tokens of bodies that stand on their header's line: too long for it they become blocks.
    pub bodies: HashMap<usize, usize>,
    /// A comprehension's bracket: no comma may follow its element.
    pub comprehensions: HashSet<usize>,
}

#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub last: usize,
    pub kind: RangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeKind {
    /// `a.b(…).c(…)`; the source broke before each method.
    Chain { was_broken: bool },
    /// Operands joined by operators of one precedence.
    Operands,
    /// A header and the body on its line, or attributes and the header on theirs.
    Header,
}

pub fn mark(tokens: &Tokens<'_>, module: &Module) -> Marks {
    let mut rules = Rules { tokens, marks: Marks::default() };
    for item in &module.items {
        rules.item(item);
    }
    rules.angles();
    for ranges in rules.marks.ranges.values_mut() {
        ranges.sort_by_key(|range| std::cmp::Reverse(range.last));
    }
    rules.marks
}

struct Rules<'t, 's> {
    tokens: &'t Tokens<'s>,
    marks: Marks,
}

impl Rules<'_, '_> {
    fn kind(&self, index: usize) -> TokenKind {
        self.tokens.all[index].kind
    }

    // --- declarations --------------------------------------------------------------------------------------------

    fn item(&mut self, item: &Item) {
        self.attributes(&item.attributes, item.span);
        match &item.kind {
            ItemKind::Fn(decl) => self.function(decl),
            ItemKind::Struct(Struct { fields, methods, .. }) | ItemKind::Actor(Actor { fields, methods, .. }) => {
                for default in fields.iter().filter_map(|field| field.default.as_ref()) {
                    self.expr(default);
                }
                self.methods(methods);
            }
            ItemKind::Enum(decl) => self.methods(&decl.methods),
            ItemKind::Trait(decl) => self.methods(&decl.methods),
            ItemKind::Impl(decl) => self.methods(&decl.methods),
            ItemKind::Const { value, .. } => self.expr(value),
            ItemKind::SharedLet { value: Some(value), .. } => self.expr(value),
            ItemKind::Stmt(stmt) => self.stmt(stmt),
            ItemKind::TypeAlias { .. } | ItemKind::SharedLet { value: None, .. } | ItemKind::Import(_) => {}
        }
    }

    fn methods(&mut self, methods: &[Method]) {
        for method in methods {
            self.attributes(&method.attributes, method.span);
            self.function(&method.decl);
        }
    }

    /// Attributes stand on the line of what they mark, or on the line above.
    fn attributes(&mut self, attributes: &[Attribute], whole: Span) {
        for attribute in attributes {
            let at = self.tokens.at_or_after(attribute.span.start);
            self.marks.attributes.insert(at);
            let after = self.tokens.ending_by(attribute.span.end) + 1;
            // The arguments are names and texts: too short to break.
            self.marks.tight.extend(at..after);
        }
        if let (Some(first), Some(last)) = (attributes.first(), attributes.last()) {
            let after = self.tokens.ending_by(last.span.end) + 1;
            if !self.tokens.all[after].has_layout() {
                self.marks.attribute_ends.insert(after);
            }
            let first = self.tokens.at_or_after(first.span.start);
            self.header(first, self.tokens.ending_by(whole.end));
        }
    }

    /// A range that breaks together up to the first line that ends for other reasons.
    fn header(&mut self, first: usize, last: usize) {
        let layout = (first + 1..=last).find(|index| self.tokens.all[*index].has_layout());
        let last = layout.map_or(last, |layout| layout - 1);
        self.marks.ranges.entry(first).or_default().push(Range { last, kind: RangeKind::Header });
    }

    /// A body on its header's line; `first` is the header's first token.
    fn body(&mut self, first: usize, block: &Block) {
        self.block(block);
        let (Some(start), Some(end)) = (block.stmts.first(), block.stmts.last()) else { return };
        let (start, last) = (self.tokens.at_or_after(start.span.start), self.tokens.ending_by(end.span.end));
        let after = &self.tokens.all[last + 1];
        // It ends with its line and begins no other; in a bracket the line could not end before it.
        let is_short = !self.tokens.all[start].has_layout() && !self.tokens.holds_block(first, last);
        let ends_line = after.has_layout() || after.kind == TokenKind::Eof;
        if is_short && ends_line && self.tokens.all[start].bracket.is_none() {
            self.marks.bodies.insert(start, last);
            self.header(first, last);
        }
    }

    fn function(&mut self, decl: &Fn) {
        for default in decl.params.iter().filter_map(|param| param.default.as_ref()) {
            self.expr(default);
        }
        if let Some(body) = &decl.body {
            let name = self.tokens.at_or_after(decl.name.span.start);
            let is_marked = name > 1 && matches!(self.kind(name - 2), TokenKind::Async | TokenKind::Spawn);
            self.body(name.saturating_sub(if is_marked { 2 } else { 1 }), body);
        }
    }

    // --- statements ----------------------------------------------------------------------------------------------

    fn block(&mut self, block: &Block) {
        block.stmts.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Let { value, else_block, .. } => {
                value.iter().for_each(|value| self.expr(value));
                else_block.iter().for_each(|block| self.block(block));
            }
            StmtKind::Assign { target, value, .. } => {
                self.expr(target);
                self.expr(value);
            }
            // As a statement, and without another branch: its block can stand below it.
            StmtKind::Expr(Expr { kind: ExprKind::If { branches, else_block: None }, .. })
                if let [(condition, body)] = &branches[..] =>
            {
                self.condition(condition);
                self.body(self.tokens.at_or_after(stmt.span.start), body);
            }
            StmtKind::Expr(value) | StmtKind::Throw(value) | StmtKind::Return(Some(value)) => self.expr(value),
            StmtKind::While { cond, body } => {
                self.condition(cond);
                self.body(self.tokens.at_or_after(stmt.span.start), body);
            }
            StmtKind::For { iterable, body, .. } => {
                self.expr(iterable);
                self.body(self.tokens.at_or_after(stmt.span.start), body);
            }
            StmtKind::Assert { cond, message } => {
                self.expr(cond);
                message.iter().for_each(|message| self.expr(message));
            }
            StmtKind::Try { body, catches, finally } => {
                self.block(body);
                catches.iter().for_each(|catch| self.block(&catch.body));
                finally.iter().for_each(|block| self.block(block));
            }
            StmtKind::With { items, body } => {
                items.iter().for_each(|item| self.expr(&item.value));
                self.block(body);
            }
            StmtKind::Scope { body, .. } => self.block(body),
            StmtKind::SpawnFn(decl) => self.function(decl),
            StmtKind::Item(item) => self.item(item),
            StmtKind::Pass | StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) | StmtKind::Error => {}
        }
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Expr(value) | Condition::Let { value, .. } => self.expr(value),
        }
    }

    /// Signs that are no operators enclose type arguments, save for the `>`s of `>>=`, which close none.
    fn angles(&mut self) {
        let mut open = 0usize;
        for index in 0..self.tokens.all.len() {
            if self.marks.operators.contains(&index) {
                continue;
            }
            match self.kind(index) {
                TokenKind::Lt => open += 1,
                TokenKind::Gt if open > 0 => open -= 1,
                _ if open > 0 => {
                    self.marks.in_angles.insert(index);
                }
                TokenKind::Gt => {
                    self.marks.operators.insert(index);
                    let touches = self.tokens.all[index].end == self.tokens.all[index + 1].start;
                    if touches && matches!(self.kind(index + 1), TokenKind::Gt | TokenKind::Eq) {
                        self.marks.joined.insert(index + 1);
                    }
                }
                _ => {}
            }
        }
    }

    // --- expressions ---------------------------------------------------------------------------------------------

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Unary { operand: value, .. } | ExprKind::SpawnCall(value) | ExprKind::Cast { value, .. } => {
                self.expr(value);
            }
            ExprKind::Binary { .. } => self.operands(expr),
            ExprKind::Call { .. }
            | ExprKind::Field { .. }
            | ExprKind::TupleField { .. }
            | ExprKind::Index { .. }
            | ExprKind::Instantiate { .. }
            | ExprKind::Await(_)
            | ExprKind::Try(_) => self.chain(expr),
            ExprKind::Range { start, end, .. } => {
                start.iter().for_each(|start| self.expr(start));
                end.iter().for_each(|end| self.expr(end));
            }
            ExprKind::Tuple(parts) | ExprKind::Set(parts) => parts.iter().for_each(|part| self.expr(part)),
            ExprKind::List(elements) => {
                let opener = self.innermost(expr.span).0;
                let is_rows = elements.len() > 1 && elements.iter().all(|e| matches!(e.kind, ExprKind::List(_)));
                if elements.len() > 1 && elements.iter().all(is_number) {
                    self.marks.fills.insert(opener);
                } else if is_rows {
                    self.marks.keeps_lines.insert(opener);
                }
                elements.iter().for_each(|element| self.expr(element));
            }
            ExprKind::Map(entries) => {
                let opener = self.innermost(expr.span).0;
                self.marks.keeps_lines.insert(opener);
                for (key, value) in entries {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::ListComp { element, clauses } | ExprKind::SetComp { element, clauses } => {
                self.expr(element);
                self.clauses(expr, clauses);
            }
            ExprKind::MapComp { key, value, clauses } => {
                self.expr(key);
                self.expr(value);
                self.clauses(expr, clauses);
            }
            ExprKind::Closure(closure) => self.closure(expr, closure),
            ExprKind::If { branches, else_block } => {
                for (condition, block) in branches {
                    self.condition(condition);
                    self.block(block);
                }
                else_block.iter().for_each(|block| self.block(block));
            }
            ExprKind::Match { scrutinee, arms } => {
                self.expr(scrutinee);
                for arm in arms {
                    arm.guard.iter().for_each(|guard| self.expr(guard));
                    self.expr(&arm.body);
                }
            }
            ExprKind::Select { arms } => arms.iter().for_each(|arm| self.select_arm(arm)),
            ExprKind::AsyncBlock(block) | ExprKind::SpawnBlock(block) | ExprKind::Block(block) => self.block(block),
            ExprKind::AsyncFn(decl) => self.function(decl),
            ExprKind::Diverge(stmt) => self.stmt(stmt),
            // The values in a format text are a part of one token.
            ExprKind::FString(_)
            | ExprKind::Literal(_)
            | ExprKind::Name(_)
            | ExprKind::SelfValue
            | ExprKind::Scoped { .. }
            | ExprKind::Error => {}
        }
    }

    fn select_arm(&mut self, arm: &SelectArm) {
        match &arm.kind {
            SelectKind::Operation { value, .. } => self.expr(value),
            SelectKind::After(value) => {
                let at = self.tokens.at_or_after(value.span.start);
                self.marks.spaced_parens.insert(at);
                self.expr(value);
            }
            SelectKind::Else => {}
        }
        self.expr(&arm.body);
    }

    fn closure(&mut self, expr: &Expr, closure: &Closure) {
        let opener = self.innermost(expr.span).0;
        if self.kind(opener) == TokenKind::Pipe {
            self.marks.closure_opens.insert(opener);
            let params_end = closure.params.last().map(|param| param.span.end);
            let from = params_end.map_or(opener + 1, |end| self.tokens.at_or_after(end));
            let close = (from..self.tokens.all.len()).find(|index| self.kind(*index) == TokenKind::Pipe);
            self.marks.closure_closes.extend(close);
        }
        match &closure.body {
            ClosureBody::Expr(value) => self.expr(value),
            ClosureBody::Block(block) => self.block(block),
        }
    }

    fn clauses(&mut self, expr: &Expr, clauses: &[CompClause]) {
        let opener = self.innermost(expr.span).0;
        self.marks.comprehensions.insert(opener);
        for clause in clauses {
            let (word, value) = match clause {
                CompClause::For { pattern, iterable } => (pattern.span.start, iterable),
                CompClause::If(value) => (value.span.start, value),
            };
            // The token before the pattern or condition is the clause's word.
            let word = self.tokens.at_or_after(word).saturating_sub(1);
            self.marks.breaks.insert(word);
            self.expr(value);
        }
    }

    /// The first and last token of an expression without the parentheses around it.
    fn innermost(&self, span: Span) -> (usize, usize) {
        self.strip(span, false)
    }

    /// `is_tuple`: one pair of parentheses is the expression's own.
    fn strip(&self, span: Span, is_tuple: bool) -> (usize, usize) {
        let (mut first, mut last) = (self.tokens.at_or_after(span.start), self.tokens.ending_by(span.end));
        let around = |first: usize, last: usize| {
            self.kind(first) == TokenKind::LParen && self.tokens.all[first].partner == Some(last)
        };
        while around(first, last) && first + 1 < last && (!is_tuple || around(first + 1, last - 1)) {
            (first, last) = (first + 1, last - 1);
        }
        (first, last)
    }

    /// Whether parentheses stand around an expression that has none of its own.
    fn in_parens(&self, span: Span) -> bool {
        self.innermost(span).0 != self.tokens.at_or_after(span.start)
    }

    /// A chain of operators of one precedence: all its lines break, or none.
    fn operands(&mut self, expr: &Expr) {
        let mut node = expr;
        let mut level = None;
        loop {
            let ExprKind::Binary { op, op_span, lhs, rhs } = &node.kind else { break };
            if level.is_some_and(|level| level != precedence(*op)) || (level.is_some() && self.in_parens(node.span)) {
                break;
            }
            level = Some(precedence(*op));
            self.operator(*op_span);
            self.expr(rhs);
            node = lhs;
        }
        self.expr(node);
        let (first, last) = self.innermost(expr.span);
        self.marks.ranges.entry(first).or_default().push(Range { last, kind: RangeKind::Operands });
    }

    fn operator(&mut self, span: Span) {
        let first = self.tokens.at_or_after(span.start);
        self.marks.breaks.insert(first);
        self.marks.operators.insert(first);
        let second = first + 1;
        if self.tokens.all[second].start < span.end {
            self.marks.operators.insert(second);
            // `not in` is two words, `>=` and `>>` are two signs.
            if !self.kind(second).is_keyword() {
                self.marks.joined.insert(second);
            }
        }
    }

    /// `a.b(…).c(…)?.await`: from two methods on, each may stand on a line of its own.
    fn chain(&mut self, expr: &Expr) {
        let mut dots = Vec::new();
        let mut node = expr;
        // What was called last, on the way down.
        let mut called = false;
        loop {
            if !std::ptr::eq(node, expr) && self.in_parens(node.span) {
                break;
            }
            match &node.kind {
                ExprKind::Call { callee, args } => {
                    let args_opener = self.args_opener(callee);
                    self.call(args_opener, args);
                    node = callee;
                    called = true;
                    continue;
                }
                ExprKind::Instantiate { base, .. } => {
                    node = base;
                    continue;
                }
                ExprKind::Index { base, indices } => {
                    for index in indices {
                        match index {
                            Index::At(value) => self.expr(value),
                            Index::Range { start, end, .. } => {
                                start.iter().chain(end).for_each(|value| self.expr(value));
                            }
                        }
                    }
                    node = base;
                }
                ExprKind::Try(base) | ExprKind::TupleField { base, .. } => node = base,
                ExprKind::Field { base, .. } => {
                    if called {
                        dots.push(self.tokens.at_or_after(base.span.end));
                    }
                    node = base;
                }
                ExprKind::Await(base) => {
                    let dot = self.tokens.at_or_after(base.span.end);
                    let is_postfix = self.kind(dot) == TokenKind::Dot
                        && self.kind(dot + 1) == TokenKind::Await
                        && self.tokens.all[dot].end <= expr.span.end;
                    if !is_postfix {
                        return self.expr(base);
                    }
                    dots.push(dot);
                    node = base;
                }
                _ => break,
            }
            called = false;
        }
        self.expr(node);
        self.chain_range(expr, &dots);
    }

    fn chain_range(&mut self, expr: &Expr, dots: &[usize]) {
        if dots.len() < 2 {
            return;
        }
        let (first, last) = self.innermost(expr.span);
        let was_broken = dots.iter().all(|dot| self.tokens.begins_line(*dot));
        // With a block in it the chain has several lines anyway: it stays as it was.
        if self.tokens.holds_block(first, last) && !was_broken {
            return;
        }
        self.marks.breaks.extend(dots);
        let range = Range { last, kind: RangeKind::Chain { was_broken } };
        self.marks.ranges.entry(first).or_default().push(range);
    }

    /// The bracket of a call's arguments: the first one after what is called and its type arguments.
    fn args_opener(&self, callee: &Expr) -> usize {
        self.tokens.at_or_after(callee.span.end)
    }

    fn call(&mut self, opener: usize, args: &[Arg]) {
        if let [arg] = args
            && arg.name.is_none()
            && arg.mode == ParamMode::Value
            && is_bracketed(&arg.value)
            && !self.in_parens_of_its_own(&arg.value)
        {
            self.marks.hugs.insert(opener);
        }
        args.iter().for_each(|arg| self.expr(&arg.value));
    }

    fn in_parens_of_its_own(&self, value: &Expr) -> bool {
        !matches!(value.kind, ExprKind::Tuple(_)) && self.in_parens(value.span)
    }
}

/// Whether it ends with its only bracket, so that the lines of a call around it can be the lines of that bracket.
fn is_bracketed(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::List(parts) | ExprKind::Set(parts) | ExprKind::Tuple(parts) => !parts.is_empty(),
        ExprKind::Map(entries) => !entries.is_empty(),
        ExprKind::ListComp { .. } | ExprKind::SetComp { .. } | ExprKind::MapComp { .. } => true,
        ExprKind::Call { callee, args } => {
            !args.is_empty() && matches!(callee.kind, ExprKind::Name(_) | ExprKind::Scoped { .. })
        }
        _ => false,
    }
}

/// A number, perhaps with a sign.
fn is_number(value: &Expr) -> bool {
    let unsigned = match &value.kind {
        ExprKind::Unary { operand, .. } => operand,
        _ => value,
    };
    matches!(unsigned.kind, ExprKind::Literal(Literal::Int(..) | Literal::Float(..)))
}

/// Operators of one level break together.
fn precedence(op: BinaryOp) -> u8 {
    use BinaryOp::*;
    match op {
        Or => 0,
        And => 1,
        Eq | Ne | Lt | Le | Gt | Ge | In | NotIn => 2,
        BitOr => 3,
        BitXor => 4,
        BitAnd => 5,
        Shl | Shr => 6,
        Add | Sub => 7,
        Mul | Div | Rem | MatMul => 8,
        Pow => 9,
    }
}
