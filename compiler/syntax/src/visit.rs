//! One way to walk the tree: what stands directly inside a node, in the order of the text.

use crate::ast::*;
use crate::source::Span;

#[derive(Clone, Copy)]
pub enum Node<'a> {
    Item(&'a Item),
    Method(&'a Method),
    Fn(&'a Fn),
    Field(&'a FieldDef),
    Variant(&'a VariantDef),
    Param(&'a Param),
    Block(&'a Block),
    Stmt(&'a Stmt),
    Catch(&'a Catch),
    Expr(&'a Expr),
    Closure(&'a Closure),
    Arm(&'a Arm),
    SelectArm(&'a SelectArm),
    /// The clauses of a comprehension, with the expressions that see their names.
    Comprehension(&'a [CompClause], [Option<&'a Expr>; 2]),
    Pattern(&'a Pattern),
    Type(&'a Type),
}

impl Module {
    pub fn each_item<'a>(&'a self, f: &mut dyn FnMut(Node<'a>)) {
        self.items.iter().for_each(|i| f(Node::Item(i)));
    }
}

impl<'a> Node<'a> {
    /// `None` for what has no place of its own: its children have.
    pub fn span(self) -> Option<Span> {
        Some(match self {
            Node::Item(n) => n.span,
            Node::Method(n) => n.span,
            Node::Field(n) => n.span,
            Node::Variant(n) => n.span,
            Node::Param(n) => n.span,
            Node::Block(n) => n.span,
            Node::Stmt(n) => n.span,
            Node::Catch(n) => n.span,
            Node::Expr(n) => n.span,
            Node::Arm(n) => n.span,
            Node::SelectArm(n) => n.span,
            Node::Pattern(n) => n.span,
            Node::Type(n) => n.span,
            Node::Fn(_) | Node::Closure(_) | Node::Comprehension(..) => return None,
        })
    }

    pub fn children(self, f: &mut dyn FnMut(Node<'a>)) {
        match self {
            Node::Item(item) => item_children(item, f),
            Node::Method(m) => {
                attributes(&m.attributes, f);
                f(Node::Fn(&m.decl));
            }
            Node::Fn(decl) => {
                generics(&decl.generics, f);
                decl.params.iter().for_each(|p| f(Node::Param(p)));
                types(&decl.ret, f);
                decl.body.iter().for_each(|b| f(Node::Block(b)));
            }
            Node::Field(field) => {
                f(Node::Type(&field.ty));
                exprs(&field.default, f);
            }
            Node::Variant(v) => v.fields.iter().for_each(|x| f(Node::Type(&x.ty))),
            Node::Param(p) => {
                types(&p.ty, f);
                exprs(p.default.as_deref(), f);
            }
            Node::Block(b) => b.stmts.iter().for_each(|s| f(Node::Stmt(s))),
            Node::Stmt(s) => stmt_children(s, f),
            Node::Catch(c) => {
                types(&c.types, f);
                f(Node::Block(&c.body));
            }
            Node::Expr(e) => expr_children(e, f),
            Node::Closure(c) => {
                c.params.iter().for_each(|p| f(Node::Param(p)));
                c.taken_apart.iter().for_each(|(_, p)| f(Node::Pattern(p)));
                types(&c.ret, f);
                match &c.body {
                    ClosureBody::Expr(e) => f(Node::Expr(e)),
                    ClosureBody::Block(b) => f(Node::Block(b)),
                }
            }
            Node::Arm(arm) => {
                f(Node::Pattern(&arm.pattern));
                exprs(&arm.guard, f);
                f(Node::Expr(&arm.body));
            }
            Node::SelectArm(arm) => {
                match &arm.kind {
                    SelectKind::Operation { pattern, value } => {
                        pattern.iter().for_each(|p| f(Node::Pattern(p)));
                        f(Node::Expr(value));
                    }
                    SelectKind::After(e) => f(Node::Expr(e)),
                    SelectKind::Else => {}
                }
                f(Node::Expr(&arm.body));
            }
            Node::Comprehension(clauses, values) => {
                values.into_iter().flatten().for_each(|e| f(Node::Expr(e)));
                for clause in clauses {
                    match clause {
                        CompClause::For { pattern, iterable } => {
                            f(Node::Pattern(pattern));
                            f(Node::Expr(iterable));
                        }
                        CompClause::If(e) => f(Node::Expr(e)),
                    }
                }
            }
            Node::Pattern(p) => pattern_children(p, f),
            Node::Type(t) => match &t.kind {
                TypeKind::Path { args, .. } => types(args, f),
                TypeKind::Tuple(items) => types(items, f),
                TypeKind::Fn { params, ret } => {
                    params.iter().for_each(|(_, t)| f(Node::Type(t)));
                    ret.iter().for_each(|t| f(Node::Type(t)));
                }
                TypeKind::Ref { inner, .. } => f(Node::Type(inner)),
                TypeKind::Infer | TypeKind::Error => {}
            },
        }
    }
}

fn types<'a>(list: impl IntoIterator<Item = &'a Type>, f: &mut dyn FnMut(Node<'a>)) {
    list.into_iter().for_each(|t| f(Node::Type(t)));
}

fn exprs<'a>(list: impl IntoIterator<Item = &'a Expr>, f: &mut dyn FnMut(Node<'a>)) {
    list.into_iter().for_each(|e| f(Node::Expr(e)));
}

fn blocks<'a>(list: impl IntoIterator<Item = &'a Block>, f: &mut dyn FnMut(Node<'a>)) {
    list.into_iter().for_each(|b| f(Node::Block(b)));
}

fn generics<'a>(g: &'a Generics, f: &mut dyn FnMut(Node<'a>)) {
    g.params.iter().for_each(|p| types(&p.bounds, f));
}

fn attributes<'a>(list: &'a [Attribute], f: &mut dyn FnMut(Node<'a>)) {
    list.iter().flat_map(|a| &a.args).for_each(|a| f(Node::Expr(&a.value)));
}

fn condition<'a>(c: &'a Condition, f: &mut dyn FnMut(Node<'a>)) {
    match c {
        Condition::Expr(e) => f(Node::Expr(e)),
        Condition::Let { pattern, value } => {
            f(Node::Pattern(pattern));
            f(Node::Expr(value));
        }
    }
}

fn item_children<'a>(item: &'a Item, f: &mut dyn FnMut(Node<'a>)) {
    attributes(&item.attributes, f);
    match &item.kind {
        ItemKind::Fn(decl) => f(Node::Fn(decl)),
        ItemKind::Struct(s) => {
            generics(&s.generics, f);
            s.fields.iter().for_each(|x| f(Node::Field(x)));
            s.methods.iter().for_each(|m| f(Node::Method(m)));
        }
        ItemKind::Enum(e) => {
            generics(&e.generics, f);
            e.variants.iter().for_each(|v| f(Node::Variant(v)));
            e.methods.iter().for_each(|m| f(Node::Method(m)));
        }
        ItemKind::Trait(t) => {
            generics(&t.generics, f);
            types(&t.supertraits, f);
            t.methods.iter().for_each(|m| f(Node::Method(m)));
        }
        ItemKind::Impl(i) => {
            generics(&i.generics, f);
            types(&i.trait_, f);
            f(Node::Type(&i.target));
            i.methods.iter().for_each(|m| f(Node::Method(m)));
        }
        ItemKind::Actor(a) => {
            generics(&a.generics, f);
            a.fields.iter().for_each(|x| f(Node::Field(x)));
            a.methods.iter().for_each(|m| f(Node::Method(m)));
        }
        ItemKind::TypeAlias { generics: g, ty, .. } => {
            generics(g, f);
            f(Node::Type(ty));
        }
        ItemKind::Const { ty, value, .. } => {
            types(ty, f);
            f(Node::Expr(value));
        }
        ItemKind::SharedLet { ty, value, .. } => {
            f(Node::Type(ty));
            exprs(value, f);
        }
        ItemKind::Import(_) => {}
        ItemKind::Stmt(s) => f(Node::Stmt(s)),
    }
}

fn stmt_children<'a>(s: &'a Stmt, f: &mut dyn FnMut(Node<'a>)) {
    match &s.kind {
        StmtKind::Pass | StmtKind::Break | StmtKind::Continue | StmtKind::Error => {}
        StmtKind::Let { pattern, ty, value, else_block, .. } => {
            f(Node::Pattern(pattern));
            types(ty.as_deref(), f);
            exprs(value, f);
            blocks(else_block.as_deref(), f);
        }
        StmtKind::Assign { target, value, .. } => exprs([target, value], f),
        StmtKind::Expr(e) | StmtKind::Throw(e) => f(Node::Expr(e)),
        StmtKind::While { cond, body } => {
            condition(cond, f);
            f(Node::Block(body));
        }
        StmtKind::For { pattern, iterable, body } => {
            f(Node::Pattern(pattern));
            f(Node::Expr(iterable));
            f(Node::Block(body));
        }
        StmtKind::Return(value) => exprs(value, f),
        StmtKind::Assert { cond, message } => {
            f(Node::Expr(cond));
            exprs(message.as_deref(), f);
        }
        StmtKind::Try { body, catches, finally } => {
            f(Node::Block(body));
            catches.iter().for_each(|c| f(Node::Catch(c)));
            blocks(finally.as_deref(), f);
        }
        StmtKind::With { items, body } => {
            items.iter().for_each(|i| f(Node::Expr(&i.value)));
            f(Node::Block(body));
        }
        StmtKind::Scope { body, .. } => f(Node::Block(body)),
        StmtKind::SpawnFn(decl) => f(Node::Fn(decl)),
        StmtKind::Item(item) => f(Node::Item(item)),
    }
}

fn expr_children<'a>(e: &'a Expr, f: &mut dyn FnMut(Node<'a>)) {
    match &e.kind {
        ExprKind::Literal(_) | ExprKind::Name(_) | ExprKind::SelfValue | ExprKind::Error => {}
        ExprKind::FString(parts) => format_children(parts, f),
        ExprKind::Scoped { type_args, .. } => types(type_args, f),
        ExprKind::Instantiate { base, type_args } => {
            f(Node::Expr(base));
            types(type_args, f);
        }
        ExprKind::Unary { operand: e, .. }
        | ExprKind::Field { base: e, .. }
        | ExprKind::TupleField { base: e, .. }
        | ExprKind::Await(e)
        | ExprKind::Try(e)
        | ExprKind::SpawnCall(e) => f(Node::Expr(e)),
        ExprKind::Binary { lhs, rhs, .. } => {
            f(Node::Expr(lhs));
            f(Node::Expr(rhs));
        }
        ExprKind::Call { callee, args } => {
            f(Node::Expr(callee));
            args.iter().for_each(|a| f(Node::Expr(&a.value)));
        }
        ExprKind::Index { base, indices } => {
            f(Node::Expr(base));
            for index in indices {
                match index {
                    Index::At(e) => f(Node::Expr(e)),
                    Index::Range { start, end, .. } => exprs(start.iter().chain(end), f),
                }
            }
        }
        ExprKind::Range { start, end, .. } => start.iter().chain(end).for_each(|e| f(Node::Expr(e))),
        ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::Set(items) => exprs(items, f),
        ExprKind::Map(entries) => entries.iter().for_each(|(k, v)| exprs([k, v], f)),
        ExprKind::ListComp { element, clauses } | ExprKind::SetComp { element, clauses } => {
            f(Node::Comprehension(clauses, [Some(element), None]));
        }
        ExprKind::MapComp { key, value, clauses } => f(Node::Comprehension(clauses, [Some(key), Some(value)])),
        ExprKind::Closure(c) => f(Node::Closure(c)),
        ExprKind::If { branches, else_block } => {
            for (cond, block) in branches {
                condition(cond, f);
                f(Node::Block(block));
            }
            blocks(else_block, f);
        }
        ExprKind::Match { scrutinee, arms } => {
            f(Node::Expr(scrutinee));
            arms.iter().for_each(|a| f(Node::Arm(a)));
        }
        ExprKind::Select { arms } => arms.iter().for_each(|a| f(Node::SelectArm(a))),
        ExprKind::Cast { value, ty } => {
            f(Node::Expr(value));
            f(Node::Type(ty));
        }
        ExprKind::AsyncBlock(b) | ExprKind::SpawnBlock(b) | ExprKind::Block(b) => f(Node::Block(b)),
        ExprKind::AsyncFn(decl) => f(Node::Fn(decl)),
        ExprKind::Diverge(s) => f(Node::Stmt(s)),
    }
}

fn format_children<'a>(parts: &'a [FPart], f: &mut dyn FnMut(Node<'a>)) {
    for part in parts {
        if let FPart::Value { expr, nested, .. } = part {
            f(Node::Expr(expr));
            format_children(nested, f);
        }
    }
}

fn pattern_children<'a>(p: &'a Pattern, f: &mut dyn FnMut(Node<'a>)) {
    match &p.kind {
        PatternKind::Wildcard | PatternKind::Name { .. } | PatternKind::Error => {}
        PatternKind::Literal(e) => f(Node::Expr(e)),
        PatternKind::Range { start, end, .. } => exprs(start.as_deref().into_iter().chain(end.as_deref()), f),
        PatternKind::Constructor { fields, .. } => fields.iter().for_each(|x| f(Node::Pattern(&x.pattern))),
        PatternKind::Tuple(items) | PatternKind::Or(items) => items.iter().for_each(|p| f(Node::Pattern(p))),
        PatternKind::List { before, after, .. } => {
            before.iter().chain(after).for_each(|p| f(Node::Pattern(p)));
        }
        PatternKind::Bind { pattern, .. } => f(Node::Pattern(pattern)),
    }
}
