//! What stands around a place: the nodes of the tree, the variables in sight, the call whose arguments are being written.
//!
//! The text is being written, so a place may be on a line of its own that no node covers yet: it then belongs to the block that its
//! column names.

use stark_syntax::ast::*;
use stark_syntax::layout::lex;
use stark_syntax::source::{SourceId, Span};
use stark_syntax::token::{Token, TokenKind};
use stark_syntax::visit::Node;
use std::rc::Rc;

/// A variable in sight, with the place of its declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct InSight {
    pub name: Rc<str>,
    pub declared: Span,
}

/// The nodes around a place, the outermost first.
pub fn around<'a>(module: &'a Module, text: &str, offset: u32) -> Vec<Node<'a>> {
    let at = anchor(text, offset);
    let mut path = Vec::new();
    let mut roots: Vec<Node<'a>> = Vec::new();
    module.each_item(&mut |n| roots.push(n));
    let mut next = roots.into_iter().rev().find(|n| reaches(*n, at));
    while let Some(node) = next {
        path.push(node);
        let mut children = Vec::new();
        node.children(&mut |n| children.push(n));
        // Where two touch, the later one: a name that has just been written.
        next = children.into_iter().rev().find(|n| reaches(*n, at));
    }
    path
}

fn reaches(node: Node<'_>, at: u32) -> bool {
    match node.span() {
        Some(span) => span.start <= at && at <= span.end,
        None => {
            let mut found = false;
            node.children(&mut |n| found |= reaches(n, at));
            found
        }
    }
}

/// On a line with nothing before the place, a place inside the block that its column belongs to.
fn anchor(text: &str, offset: u32) -> u32 {
    let before = &text[..offset as usize];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let rest = &text[offset as usize..];
    let rest = rest.split('\n').next().unwrap_or("");
    if !before[line_start..].trim().is_empty() {
        // Behind what was written last: `v + ` and nothing yet is part of that expression.
        return before.trim_end_matches([' ', '\t']).len() as u32;
    }
    if !rest.trim().is_empty() {
        return offset;
    }
    let column = offset as usize - line_start;
    let mut end = line_start;
    for line in before[..line_start].split_inclusive('\n').rev() {
        let start = end - line.len();
        end = start;
        let indent = line.len() - line.trim_start_matches(' ').len();
        if line.trim().is_empty() || indent > column {
            continue;
        }
        // A neighbour in the same block, or the line that opens it.
        let place = if indent == column { start + indent } else { start + line.trim_end().len() };
        return place as u32;
    }
    offset
}

/// The variables in sight, the nearest first; one that another hides is left out.
pub fn variables(path: &[Node<'_>], module: &Module, offset: u32) -> Vec<InSight> {
    let mut seen: Vec<InSight> = Vec::new();
    let mut add = |name: &Ident| {
        if !name.name.is_empty() && !seen.iter().any(|s| s.name == name.name) {
            seen.push(InSight { name: name.name.clone(), declared: name.span });
        }
    };
    for (i, node) in path.iter().enumerate().rev() {
        // Behind a block, its loop's variables are gone.
        let is_in = |body: &Block| matches!(path.get(i + 1), Some(Node::Block(inner)) if inner.span == body.span);
        match node {
            Node::Block(block) => block_names(&block.stmts, offset, &mut add),
            Node::Fn(decl) => decl.params.iter().for_each(|p| add(&p.name)),
            Node::Closure(c) => {
                c.taken_apart.iter().for_each(|(_, p)| pattern_names(p, &mut add));
                c.params.iter().for_each(|p| add(&p.name));
            }
            Node::Arm(arm) => pattern_names(&arm.pattern, &mut add),
            Node::SelectArm(SelectArm { kind: SelectKind::Operation { pattern: Some(p), .. }, .. }) => {
                pattern_names(p, &mut add);
            }
            Node::Catch(c) => c.name.iter().for_each(&mut add),
            Node::Comprehension(clauses, _) => {
                for clause in *clauses {
                    if let CompClause::For { pattern, .. } = clause {
                        pattern_names(pattern, &mut add);
                    }
                }
            }
            Node::Stmt(stmt) => match &stmt.kind {
                StmtKind::For { pattern, body, .. } if is_in(body) => pattern_names(pattern, &mut add),
                StmtKind::While { cond: Condition::Let { pattern, .. }, .. } => pattern_names(pattern, &mut add),
                StmtKind::With { items, .. } => items.iter().filter_map(|i| i.name.as_ref()).for_each(&mut add),
                StmtKind::Scope { name, .. } => add(name),
                _ => {}
            },
            Node::Expr(Expr { kind: ExprKind::If { branches, .. }, .. }) => {
                for (cond, block) in branches {
                    if let Condition::Let { pattern, .. } = cond
                        && block.span.start <= offset
                        && offset <= block.span.end.max(block.span.start)
                    {
                        pattern_names(pattern, &mut add);
                    }
                }
            }
            _ => {}
        }
    }
    let in_function = path.iter().any(|n| matches!(n, Node::Fn(_)));
    for item in &module.items {
        // Functions see the script's variables above them, statements those before.
        if let ItemKind::Stmt(stmt) = &item.kind
            && stmt.span.end < offset
            && !(in_function && matches!(stmt.kind, StmtKind::Let { mutable: true, .. }))
        {
            block_names(std::slice::from_ref(stmt), offset, &mut add);
        }
    }
    seen
}

fn block_names(stmts: &[Stmt], offset: u32, add: &mut impl FnMut(&Ident)) {
    let before = stmts.iter().rev().filter(|stmt| stmt.span.end < offset);
    for (i, stmt) in before.enumerate() {
        match &stmt.kind {
            // `let b = ` and nothing yet: its value is what is being written.
            StmtKind::Let { value: Some(Expr { kind: ExprKind::Error, .. }), .. } if i == 0 => {}
            StmtKind::Let { pattern, .. } => pattern_names(pattern, add),
            StmtKind::SpawnFn(f) => add(&f.name),
            _ => {}
        }
    }
}

pub fn pattern_names(pattern: &Pattern, add: &mut impl FnMut(&Ident)) {
    match &pattern.kind {
        PatternKind::Name { name, .. } => add(name),
        PatternKind::Bind { name, pattern } => {
            add(name);
            pattern_names(pattern, add);
        }
        PatternKind::Constructor { fields, .. } => fields.iter().for_each(|f| pattern_names(&f.pattern, add)),
        PatternKind::Tuple(items) => items.iter().for_each(|p| pattern_names(p, add)),
        PatternKind::List { before, rest, after } => {
            before.iter().chain(after).for_each(|p| pattern_names(p, add));
            rest.iter().filter_map(|r| r.name.as_ref()).for_each(add);
        }
        PatternKind::Or(items) => items.iter().take(1).for_each(|p| pattern_names(p, add)),
        PatternKind::Wildcard | PatternKind::Literal(_) | PatternKind::Range { .. } | PatternKind::Error => {}
    }
}

/// A call whose closing bracket is still to come.
#[derive(Debug, PartialEq)]
pub struct OpenCall {
    /// Where the callee's last name begins.
    pub callee: u32,
    /// Which argument the place is in.
    pub argument: usize,
    /// Its name, when it has one.
    pub name: Option<String>,
    /// Names that are given already.
    pub named: Vec<String>,
}

/// The innermost call around a place, by its tokens alone.
pub fn open_call(text: &str, offset: u32) -> Option<OpenCall> {
    let lexed = lex(text, SourceId(0));
    let tokens: Vec<Token> = lexed.tokens.into_iter().filter(|t| !t.kind.is_layout() && t.start < offset).collect();
    let mut depth = 0;
    let open = tokens.iter().enumerate().rev().find_map(|(i, t)| {
        if t.kind.closes() && t.end <= offset {
            depth += 1;
        } else if t.kind.opens() {
            if depth == 0 {
                return Some(i);
            }
            depth -= 1;
        }
        None
    })?;
    if tokens[open].kind != TokenKind::LParen || open == 0 {
        return None;
    }
    let mut callee = open - 1;
    // `name<Int>(`
    if tokens[callee].kind == TokenKind::Gt {
        callee = tokens[..callee].iter().rposition(|t| t.kind == TokenKind::Lt)?.checked_sub(1)?;
    }
    let is_declared = callee > 0 && tokens[callee - 1].kind == TokenKind::Fn;
    let is_name = tokens[callee].kind == TokenKind::Ident || tokens[callee].kind.is_keyword();
    if !is_name || is_declared {
        return None;
    }
    let (mut argument, mut depth) = (0, 0);
    let (mut name, mut named) = (None, Vec::new());
    let mut begins = true;
    for (i, t) in tokens.iter().enumerate().skip(open + 1) {
        if t.kind.opens() {
            depth += 1;
        } else if t.kind.closes() {
            depth -= 1;
        }
        if depth == 0 && t.kind == TokenKind::Comma {
            argument += 1;
            name = None;
            begins = true;
            continue;
        }
        if depth == 0 && begins && tokens.get(i + 1).is_some_and(|n| n.kind == TokenKind::Eq) {
            let text = text[t.start as usize..t.end as usize].to_string();
            named.push(text.clone());
            name = Some(text);
        }
        begins = false;
    }
    Some(OpenCall { callee: tokens[callee].start, argument, name, named })
}

/// Whether a place is inside a comment or a plain text, where nothing can be named.
pub fn is_prose(text: &str, offset: u32) -> bool {
    let lexed = lex(text, SourceId(0));
    let inside = |start: u32, end: u32| start < offset && offset <= end;
    let in_comment = lexed.comments.iter().any(|c| inside(c.span.start, c.span.end));
    let in_text = lexed
        .tokens
        .iter()
        .any(|t| matches!(t.kind, TokenKind::Text | TokenKind::BrokenText) && t.start < offset && offset < t.end);
    in_comment || in_text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in sight where the text says `§`.
    fn names_at(marked: &str) -> String {
        let offset = marked.find('§').expect("a place") as u32;
        let text = marked.replace('§', "");
        let module = stark_syntax::parse(&text, SourceId(0)).module;
        let path = around(&module, &text, offset);
        let mut names: Vec<String> = variables(&path, &module, offset).iter().map(|v| v.name.to_string()).collect();
        names.sort();
        names.join(" ")
    }

    #[test]
    fn what_is_in_sight_depends_on_the_place() {
        let cases = [
            ("let a = 1\nlet b = §\n", "a"),
            ("fn f(x: Int, y: Int):\n    let z = 1\n    §\nlet later = 2\n", "x y z"),
            ("fn f(x: Int):\n    §\n", "x"),
            ("fn f(x: Int):\n    for i in 0..x:\n        let q = i\n        §\n", "i q x"),
            ("fn f(x: Int):\n    for i in 0..x:\n        let q = i\n    §\n", "x"),
            ("let xs = [1]\nlet ys = xs.map(|v| v + §)\n", "v xs"),
            ("let xs = [1]\nlet ys = [w§ for w in xs]\n", "w xs"),
            ("fn f(o: Option<Int>):\n    match o:\n        Some(n) => §n\n        None => 0\n", "n o"),
            ("let mut m = 1\nlet c = 2\nfn f():\n    §pass\n", "c"),
            ("try:\n    pass\ncatch e:\n    §e\n", "e"),
            ("scope s:\n    §s\n", "s"),
        ];
        for (text, names) in cases {
            assert_eq!(names_at(text), names, "{text}");
        }
    }

    #[test]
    fn the_open_call_is_the_innermost_one() {
        let at = |marked: &str| {
            let offset = marked.find('§').expect("a place") as u32;
            open_call(&marked.replace('§', ""), offset)
                .map(|c| (marked[c.callee as usize..].chars().take(1).collect::<String>(), c.argument, c.name))
        };
        let call =
            |name: &str, argument, named: Option<&str>| Some((name.to_string(), argument, named.map(String::from)));
        assert_eq!(at("f(1, g(2), §"), call("f", 2, None));
        assert_eq!(at("f(1, g(2§"), call("g", 0, None));
        assert_eq!(at("a.m(x = §1)"), call("m", 0, Some("x")));
        assert_eq!(at("f(1)§"), None);
        assert_eq!(at("f([1, §"), None);
        assert_eq!(at("fn f(§"), None);
        assert_eq!(at("f<Int>(1, §"), call("f", 1, None));
    }
}
