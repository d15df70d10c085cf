//! Types that are not written: of variables, of closures' parameters, of what functions return; tensors with their shapes.

use super::{Refusal, program};
use crate::position::Lines;
use crate::project::{Program, Project};
use crate::scope::pattern_names;
use lsp_types::{InlayHint, InlayHintKind, InlayHintLabel, InlayHintParams};
use stark_compiler::hir::Ty;
use stark_syntax::ast::*;
use stark_syntax::source::Span;
use stark_syntax::token::TokenKind;
use stark_syntax::visit::Node;

pub fn hints(project: &mut Project, p: InlayHintParams) -> Result<Option<Vec<InlayHint>>, Refusal> {
    let program = program(project, &p.text_document.uri)?;
    let lines = Lines::of(program.sources.text(program.root));
    let (from, to) = (lines.offset(p.range.start), lines.offset(p.range.end));
    let index = &program.analysis.index;
    let Some(module) = index.module_of(program.root) else { return Ok(None) };
    let mut found = Found { program: &program, from, to, hints: Vec::new() };
    index.modules[module.index()].ast.each_item(&mut |n| found.walk(n));
    found.hints.sort();
    found.hints.dedup();
    let hint = |(at, label): (u32, String)| InlayHint {
        position: lines.position(at),
        label: InlayHintLabel::String(label),
        kind: Some(InlayHintKind::TYPE),
        text_edits: None,
        tooltip: None,
        padding_left: None,
        padding_right: None,
        data: None,
    };
    Ok(Some(found.hints.into_iter().map(hint).collect()))
}

struct Found<'p> {
    program: &'p Program,
    from: u32,
    to: u32,
    hints: Vec<(u32, String)>,
}

impl Found<'_> {
    fn walk(&mut self, node: Node<'_>) {
        if let Some(span) = node.span()
            && (span.end < self.from || self.to < span.start)
        {
            return;
        }
        match node {
            Node::Stmt(Stmt { kind: StmtKind::Let { pattern, ty: None, value, .. }, .. }) => {
                if !value.as_ref().is_some_and(|v| is_plain(v)) {
                    self.pattern(pattern);
                }
            }
            Node::Stmt(Stmt { kind: StmtKind::For { pattern, .. }, .. }) => self.pattern(pattern),
            Node::Closure(c) => {
                c.params.iter().filter(|p| p.ty.is_none()).for_each(|p| self.variable(p.name.span));
                c.taken_apart.iter().for_each(|(_, p)| self.pattern(p));
            }
            Node::Fn(decl) => self.returned(decl),
            _ => {}
        }
        node.children(&mut |child| self.walk(child));
    }

    fn pattern(&mut self, pattern: &Pattern) {
        let mut names = Vec::new();
        pattern_names(pattern, &mut |n| names.push(n.span));
        names.into_iter().for_each(|at| self.variable(at));
    }

    fn variable(&mut self, at: Span) {
        let index = &self.program.analysis.index;
        // A name that begins with `_` is nobody's business.
        let Some(local) = index.local(at).filter(|l| !l.name.starts_with('_')) else { return };
        if let Some(text) = self.shown(&local.ty) {
            self.hints.push((at.end, format!(": {text}")));
        }
    }

    /// `None` where there is nothing to tell.
    fn shown(&self, ty: &Ty) -> Option<String> {
        if matches!(ty, Ty::Error | Ty::Infer(_) | Ty::Never) {
            return None;
        }
        // A guess: longer ones push the program out of sight.
        const MAX_CHARS: usize = 60;
        let text = self.program.analysis.index.show(ty);
        (!text.contains('?')).then(|| match text.char_indices().nth(MAX_CHARS) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text,
        })
    }

    fn returned(&mut self, decl: &Fn) {
        let (None, Some(body)) = (&decl.ret, &decl.body) else { return };
        let index = &self.program.analysis.index;
        let Some((_, stark_compiler::index::Entity::Fn(id))) =
            index.entity_at(decl.name.span.source, decl.name.span.start)
        else {
            return;
        };
        let ret = &index.program.func(id).ret;
        if *ret == Ty::Unit {
            return;
        }
        let head = self.program.sources.slice(Span { start: decl.name.span.end, end: body.span.start, ..body.span });
        let tokens = stark_syntax::lex(head, body.span.source).tokens;
        let closing = tokens.iter().rev().find(|t| t.kind == TokenKind::RParen);
        if let (Some(closing), Some(text)) = (closing, self.shown(ret)) {
            self.hints.push((decl.name.span.end + closing.end, format!(" -> {text}")));
        }
    }
}

/// A value whose type can be read off it.
fn is_plain(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Literal(_) | ExprKind::FString(_) | ExprKind::Closure(_) => true,
        ExprKind::Unary { operand, .. } => is_plain(operand),
        ExprKind::Call { callee, .. } => match &callee.kind {
            ExprKind::Name(name) => name.starts_with(char::is_uppercase),
            ExprKind::Scoped { name, .. } => &*name.name == "new",
            _ => false,
        },
        _ => false,
    }
}
