//! Source text to tree: layout by hand, each logical line by the pest grammar, or by [`super::quick`] where it is plain.
//!
//! A logical line is a physical one, joined with those that follow while a bracket is open. Its bracket
//! depth and its indentation are bounded before the grammar sees it, because both become native stack.

use pest::Parser;
use pest::iterators::Pair;

use super::ast::*;
use super::quick;

/// How deep brackets may nest in one line.
pub const MAX_BRACKETS: usize = 64;
/// How deep blocks may nest.
pub const MAX_BLOCKS: usize = 64;
/// How many links (`.x`, `[i]`, `(…)`) one expression may have.
pub const MAX_LINKS: usize = 256;

#[derive(pest_derive::Parser)]
#[grammar = "torchscript/grammar.pest"]
struct Grammar;

/// What is wrong with the source, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub line: u32,
    pub reason: String,
}

type Parsed<T> = Result<T, ParseError>;

fn error<T>(line: u32, reason: impl Into<String>) -> Parsed<T> {
    Err(ParseError { line, reason: reason.into() })
}

/// Parses one code file.
pub fn parse_file(source: &str) -> Parsed<File> {
    let lines = logical_lines(source)?;
    let mut cursor = Cursor { lines: &lines, at: 0 };
    let mut file = File::default();
    while let Some(line) = cursor.peek() {
        if line.indent != 0 {
            return error(line.number, "unexpected indentation");
        }
        match cursor.next_line()?.1 {
            Head::Class(class) => {
                let class = cursor.class(class)?;
                file.classes.push(class);
            }
            Head::Def(function) => {
                let function = cursor.function(function, 0)?;
                file.functions.push(function);
            }
            _ => return error(line.number, "only classes and functions stand at the top of a code file"),
        }
    }
    Ok(file)
}

struct LogicalLine {
    number: u32,
    indent: usize,
    text: String,
}

fn logical_lines(source: &str) -> Parsed<Vec<LogicalLine>> {
    let mut lines: Vec<LogicalLine> = Vec::new();
    let mut open = 0usize;
    for (idx, physical) in source.lines().enumerate() {
        let number = u32::try_from(idx + 1).unwrap_or(u32::MAX);
        let text = physical.trim_start_matches(' ');
        if text.trim().is_empty() || (open == 0 && text.starts_with('#')) {
            continue;
        }
        let continued = open > 0;
        open = bracket_depth(text, open).map_err(|reason| ParseError { line: number, reason })?;
        match lines.last_mut() {
            Some(last) if continued => {
                last.text.push(' ');
                last.text.push_str(text);
            }
            _ => lines.push(LogicalLine { number, indent: physical.len() - text.len(), text: text.to_string() }),
        }
    }
    match lines.last() {
        Some(last) if open > 0 => error(last.number, "a bracket is never closed"),
        _ => Ok(lines),
    }
}

/// The depth after `text` when it was `depth` before.
fn bracket_depth(text: &str, mut depth: usize) -> Result<usize, String> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(b'"') => break,
                    Some(_) => {}
                    None => return Err("a string is never closed".into()),
                }
            },
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > MAX_BRACKETS {
                    return Err(format!("brackets nest deeper than {MAX_BRACKETS}"));
                }
            }
            b')' | b']' | b'}' => depth = depth.checked_sub(1).ok_or("a bracket closes that was never opened")?,
            _ => {}
        }
    }
    Ok(depth)
}

/// What one logical line says; blocks follow on deeper lines.
#[derive(Debug)]
pub(super) enum Head {
    Class(Class),
    Def(Function),
    If(Expr),
    Else,
    While(Expr),
    With(Expr),
    For(String, Expr),
    Annotation(String, Type),
    Declare(String, Type, Option<Expr>),
    Plain(StmtKind),
}

struct Cursor<'a> {
    lines: &'a [LogicalLine],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a LogicalLine> {
        self.lines.get(self.at)
    }

    fn next_line(&mut self) -> Parsed<(&'a LogicalLine, Head)> {
        let Some(line) = self.peek() else { return error(0, "the file ends too early") };
        self.at += 1;
        let head = match quick::head(&line.text, line.number) {
            Some(head) => head,
            None => by_grammar(&line.text, line.number)?,
        };
        Ok((line, head))
    }

    fn class(&mut self, mut class: Class) -> Parsed<Class> {
        let Some(indent) = self.block_indent(0) else { return Ok(class) };
        while let Some(line) = self.peek().filter(|l| l.indent == indent) {
            match self.next_line()?.1 {
                Head::Def(function) => {
                    let function = self.function(function, indent)?;
                    class.methods.push(function);
                }
                Head::Declare(name, ty, value) => class.attributes.push(Attribute { name, ty, value }),
                Head::Annotation(name, ty) => class.attributes.push(Attribute { name, ty, value: None }),
                Head::Plain(StmtKind::Assign { targets, values }) if class.kind == ClassKind::Enum => {
                    class.attributes.extend(targets.into_iter().zip(values).map(member));
                }
                Head::Plain(StmtKind::Assign { targets, values }) => {
                    if let ([target], [Expr::List(names)]) = (&*targets, &*values)
                        && target == "__parameters__"
                    {
                        class.parameters = names.iter().filter_map(Expr::as_str).map(str::to_string).collect();
                    }
                }
                Head::Plain(StmtKind::Pass) => {}
                _ => return error(line.number, "unexpected statement in a class"),
            }
        }
        Ok(class)
    }

    fn function(&mut self, mut function: Function, indent: usize) -> Parsed<Function> {
        function.body = self.block(indent, function.line, 0)?;
        Ok(function)
    }

    /// The indentation of the block under a line indented by `outer`; `None` when there is no block.
    fn block_indent(&self, outer: usize) -> Option<usize> {
        self.peek().map(|line| line.indent).filter(|&indent| indent > outer)
    }

    fn block(&mut self, outer: usize, head_line: u32, depth: usize) -> Parsed<Vec<Stmt>> {
        if depth > MAX_BLOCKS {
            return error(head_line, format!("blocks nest deeper than {MAX_BLOCKS}"));
        }
        let Some(indent) = self.block_indent(outer) else { return error(head_line, "a block is missing") };
        let mut stmts = Vec::new();
        while let Some(line) = self.peek().filter(|l| l.indent > outer) {
            if line.indent != indent {
                return error(line.number, "unexpected indentation");
            }
            let (line, head) = self.next_line()?;
            let kind = match head {
                Head::If(cond) => {
                    let then = self.block(indent, line.number, depth + 1)?;
                    let mut otherwise = Vec::new();
                    if self.peek().is_some_and(|l| l.indent == indent && l.text.starts_with("else")) {
                        let at = self.at;
                        match self.next_line()? {
                            (line, Head::Else) => otherwise = self.block(indent, line.number, depth + 1)?,
                            // A statement about a variable whose name starts with `else`.
                            _ => self.at = at,
                        }
                    }
                    StmtKind::If { cond, then, otherwise }
                }
                Head::While(cond) => StmtKind::While { cond, body: self.block(indent, line.number, depth + 1)? },
                Head::With(context) => StmtKind::With { context, body: self.block(indent, line.number, depth + 1)? },
                Head::For(name, count) => {
                    StmtKind::For { name, count, body: self.block(indent, line.number, depth + 1)? }
                }
                Head::Declare(name, _, Some(value)) => StmtKind::Assign { targets: vec![name], values: vec![value] },
                Head::Declare(_, _, None) => StmtKind::Pass,
                Head::Plain(kind) => kind,
                Head::Def(mut function) if function.params.is_empty() => {
                    function.body = self.block(indent, line.number, depth + 1)?;
                    StmtKind::Local(Box::new(function))
                }
                Head::Class(_) | Head::Def(_) | Head::Else | Head::Annotation(..) => {
                    return error(line.number, "unexpected statement in a function");
                }
            };
            stmts.push(Stmt { line: line.number, kind });
        }
        Ok(stmts)
    }
}

/// What a logical line says, by the grammar alone.
pub(super) fn by_grammar(text: &str, number: u32) -> Parsed<Head> {
    let mut pairs = Grammar::parse(Rule::line, text).map_err(|e| ParseError {
        line: number,
        reason: format!("is outside the dialect: {}", shorten(&e.variant.message())),
    })?;
    let Some(pair) = pairs.next() else { return error(number, "an empty line") };
    head(pair, number).map_err(|reason| ParseError { line: number, reason })
}

/// Whether `text` may be a logical line: its brackets end, and nest no deeper than the grammar can take.
#[cfg(test)]
pub(super) fn is_nested_within_limits(text: &str) -> bool {
    bracket_depth(text, 0) == Ok(0)
}

fn shorten(message: &str) -> String {
    message.chars().take(200).collect()
}

type Built<T> = Result<T, String>;

fn head(pair: Pair<'_, Rule>, line: u32) -> Built<Head> {
    let rule = pair.as_rule();
    if rule == Rule::expr {
        return Ok(Head::Plain(StmtKind::Expr(expr(pair)?)));
    }
    let mut parts = pair.into_inner().filter(|p| !is_keyword(p.as_rule()));
    let mut next = move || parts.next();
    Ok(match rule {
        Rule::class_def => {
            let name = text(next())?;
            let kind = class_kind(next().map(|p| p.as_str()));
            Head::Class(Class { name, kind, attributes: Vec::new(), methods: Vec::new(), parameters: Vec::new(), line })
        }
        Rule::func_def => {
            let name = text(next())?;
            let mut function = Function { name, params: Vec::new(), result: None, body: Vec::new(), line };
            while let Some(part) = next() {
                match part.as_rule() {
                    Rule::type_ => function.result = Some(type_of(part)),
                    _ => function.params.extend(param(part)?),
                }
            }
            Head::Def(function)
        }
        Rule::if_line => Head::If(need(next())?),
        Rule::else_line => Head::Else,
        Rule::while_line => Head::While(need(next())?),
        Rule::with_line => Head::With(need(next())?),
        Rule::for_line => Head::For(text(next())?, need(next())?),
        Rule::return_line => Head::Plain(StmtKind::Return(next().map(expr).transpose()?)),
        Rule::pass_line => Head::Plain(StmtKind::Pass),
        Rule::annotations => {
            let name = unquote(next().ok_or("an incomplete line")?.as_str())?;
            Head::Annotation(name, type_of(next().ok_or("an incomplete line")?))
        }
        Rule::declare => {
            let name = text(next())?;
            let ty = type_of(next().ok_or("an incomplete line")?);
            Head::Declare(name, ty, next().map(expr).transpose()?)
        }
        Rule::assign => {
            let mut targets = Vec::new();
            let mut ends_with_comma = false;
            for part in next().ok_or("an incomplete line")?.into_inner() {
                ends_with_comma = part.as_rule() == Rule::comma;
                if !ends_with_comma {
                    targets.push(part.as_str().to_string());
                }
            }
            let mut values = Vec::new();
            while let Some(part) = next() {
                values.push(expr(part)?);
            }
            assignment(targets, ends_with_comma, values)?
        }
        Rule::set_attr => {
            let path = next().ok_or("an incomplete line")?.into_inner().map(|p| p.as_str().to_string()).collect();
            Head::Plain(StmtKind::SetAttr { path, value: need(next())? })
        }
        rule => return Err(format!("unexpected {rule:?}")),
    })
}

/// `RED = 1`.
fn member((name, value): (String, Expr)) -> Attribute {
    let ty = match value {
        Expr::Int(_) => "int",
        Expr::Float(_) => "float",
        Expr::Str(_) => "str",
        _ => "t",
    };
    Attribute { name, ty: Type { name: ty.into(), args: Vec::new() }, value: Some(value) }
}

pub(super) fn class_kind(base: Option<&str>) -> ClassKind {
    match base {
        Some("Module") => ClassKind::Module,
        Some("NamedTuple") => ClassKind::NamedTuple,
        Some("Enum") => ClassKind::Enum,
        _ => ClassKind::Other,
    }
}

pub(super) fn assignment(targets: Vec<String>, ends_with_comma: bool, values: Vec<Expr>) -> Built<Head> {
    Ok(Head::Plain(match <[Expr; 1]>::try_from(values) {
        Ok([value]) if targets.len() > 1 || ends_with_comma => StmtKind::Unpack { targets, value },
        Ok([value]) => StmtKind::Assign { targets, values: vec![value] },
        Err(values) if values.len() == targets.len() => StmtKind::Assign { targets, values },
        Err(values) => return Err(format!("{} values for {} names", values.len(), targets.len())),
    }))
}

fn is_keyword(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        kw_class
            | kw_def
            | kw_if
            | kw_else
            | kw_while
            | kw_with
            | kw_for
            | kw_in
            | kw_range
            | kw_return
            | kw_pass
            | star
    )
}

fn text(part: Option<Pair<'_, Rule>>) -> Built<String> {
    Ok(part.ok_or("an incomplete line")?.as_str().to_string())
}

fn need(part: Option<Pair<'_, Rule>>) -> Built<Expr> {
    expr(part.ok_or("an incomplete line")?)
}

fn param(pair: Pair<'_, Rule>) -> Built<Option<Param>> {
    let mut param = Param { name: String::new(), ty: None, default: None };
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::star => return Ok(None),
            Rule::name => param.name = part.as_str().to_string(),
            Rule::type_ => param.ty = Some(type_of(part)),
            _ => param.default = Some(expr(part)?),
        }
    }
    Ok(Some(param))
}

fn type_of(pair: Pair<'_, Rule>) -> Type {
    let mut ty = Type { name: String::new(), args: Vec::new() };
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::type_name => ty.name = part.as_str().to_string(),
            _ => ty.args.push(type_of(part)),
        }
    }
    ty
}

fn expr(pair: Pair<'_, Rule>) -> Built<Expr> {
    let mut negative = false;
    let mut built: Option<Expr> = None;
    for (n_links, part) in pair.into_inner().enumerate() {
        if n_links > MAX_LINKS {
            return Err(format!("an expression of more than {MAX_LINKS} parts"));
        }
        let rule = part.as_rule();
        if rule == Rule::minus {
            negative = true;
            continue;
        }
        built = Some(match built {
            None => primary(part, negative)?,
            Some(base) => link(base, part)?,
        });
    }
    match (built.ok_or("an empty expression")?, negative) {
        (Expr::Name(name), true) if name == "inf" => Ok(Expr::Float(f64::NEG_INFINITY)),
        (Expr::Name(name), true) if name == "nan" => Ok(Expr::Float(f64::NAN)),
        (number @ (Expr::Int(_) | Expr::Float(_)), _) => Ok(number),
        (_, true) => Err("a minus before something that is no number".into()),
        (built, false) => Ok(built),
    }
}

fn primary(pair: Pair<'_, Rule>, negative: bool) -> Built<Expr> {
    Ok(match pair.as_rule() {
        Rule::number => number(pair.as_str(), negative)?,
        Rule::string => Expr::Str(unquote(pair.as_str())?),
        Rule::name => Expr::Name(pair.as_str().to_string()),
        Rule::paren => {
            let mut items = Vec::new();
            let mut has_comma = false;
            for part in pair.into_inner() {
                match part.as_rule() {
                    Rule::comma => has_comma = true,
                    _ => items.push(expr(part)?),
                }
            }
            match items.pop() {
                Some(only) if !has_comma => only,
                last => Expr::Tuple(items.into_iter().chain(last).collect()),
            }
        }
        Rule::list => Expr::List(pair.into_inner().map(expr).collect::<Built<_>>()?),
        Rule::dict => {
            let mut items = Vec::new();
            for part in pair.into_inner() {
                let mut sides = part.into_inner();
                items.push((need(sides.next())?, need(sides.next())?));
            }
            Expr::Dict(items)
        }
        Rule::typed => {
            let mut parts = pair.into_inner();
            let keyword = text(parts.next())?;
            let ty = type_of(parts.next().ok_or("an incomplete type")?);
            match (keyword.as_str(), parts.next()) {
                ("uninitialized", None) => Expr::Uninitialized,
                ("annotate" | "unchecked_cast", Some(value)) => Expr::Typed(ty, Box::new(expr(value)?)),
                _ => return Err(format!("`{keyword}` with the wrong number of arguments")),
            }
        }
        rule => return Err(format!("unexpected {rule:?}")),
    })
}

fn link(base: Expr, pair: Pair<'_, Rule>) -> Built<Expr> {
    let rule = pair.as_rule();
    let mut parts = pair.into_inner();
    Ok(match rule {
        Rule::attr => Expr::Attr(Box::new(base), text(parts.next())?),
        Rule::index => Expr::Index(Box::new(base), Box::new(need(parts.next())?)),
        Rule::call => {
            let (mut args, mut kwargs) = (Vec::new(), Vec::new());
            for part in parts {
                if part.as_rule() == Rule::kwarg {
                    let mut sides = part.into_inner();
                    kwargs.push((text(sides.next())?, need(sides.next())?));
                } else {
                    args.push(expr(part)?);
                }
            }
            Expr::Call { callee: Box::new(base), args, kwargs }
        }
        rule => return Err(format!("unexpected {rule:?}")),
    })
}

pub(super) fn number(digits: &str, negative: bool) -> Built<Expr> {
    let signed = if negative { format!("-{digits}") } else { digits.to_string() };
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return signed.parse().map(Expr::Int).map_err(|_| format!("the integer {signed} does not fit in 64 bits"));
    }
    signed.parse().map(Expr::Float).map_err(|_| format!("`{signed}` is no number"))
}

/// The text of a quoted string, with C escapes; bytes above ASCII are written in octal.
pub(super) fn unquote(quoted: &str) -> Built<String> {
    let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).ok_or("a string without quotes")?;
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'v') => out.push(11),
            Some(first @ b'0'..=b'7') => {
                let mut code = u32::from(first - b'0');
                for _ in 0..2 {
                    if let Some(digit) = bytes.next_if(|b| (b'0'..=b'7').contains(b)) {
                        code = code * 8 + u32::from(digit - b'0');
                    }
                }
                out.push(u8::try_from(code).map_err(|_| format!("the escape \\{code:o} is no byte"))?);
            }
            Some(b'x') => {
                let digits = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
                let code = std::str::from_utf8(&digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok());
                out.push(code.ok_or("an incomplete \\x escape")?);
            }
            Some(other @ (b'\\' | b'"' | b'\'')) => out.push(other),
            _ => return Err("an unknown escape in a string".into()),
        }
    }
    String::from_utf8(out).map_err(|_| "a string is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_statement(source: &str) -> StmtKind {
        let file = parse_file(&format!("def f(x: Tensor) -> Tensor:\n  {source}\n")).expect(source);
        file.functions[0].body[0].kind.clone()
    }

    fn name(text: &str) -> Expr {
        Expr::Name(text.into())
    }

    #[test]
    fn statements_of_the_dialect() {
        assert_eq!(
            only_statement("a, b, = x"),
            StmtKind::Unpack { targets: vec!["a".into(), "b".into()], value: name("x") }
        );
        assert_eq!(
            only_statement("a, b = x, y"),
            StmtKind::Assign { targets: vec!["a".into(), "b".into()], values: vec![name("x"), name("y")] }
        );
        assert_eq!(
            only_statement("b: Optional[Tensor] = None"),
            StmtKind::Assign { targets: vec!["b".into()], values: vec![name("None")] }
        );
        assert_eq!(
            only_statement("returned = -inf"),
            StmtKind::Assign { targets: vec!["returned".into()], values: vec![Expr::Float(f64::NEG_INFINITY)] }
        );
        assert_eq!(only_statement(r#"return "a\"\303\251\n""#), StmtKind::Return(Some(Expr::Str("a\"é\n".into()))));
        assert_eq!(only_statement("return (x,)"), StmtKind::Return(Some(Expr::Tuple(vec![name("x")]))));
        assert_eq!(only_statement("return (x)"), StmtKind::Return(Some(name("x"))));
    }

    #[test]
    fn what_is_refused_says_the_line() {
        for (source, line, part) in [
            ("def f(x: Tensor) -> Tensor:\n  return x +\n", 2, "outside the dialect"),
            ("def f(x: Tensor) -> Tensor:\n  return (x\n", 2, "never closed"),
            ("def f(x: Tensor) -> Tensor:\nreturn x\n", 1, "block is missing"),
            ("x = 1\n", 1, "top of a code file"),
            ("def f() -> int:\n  return 99999999999999999999\n", 2, "64 bits"),
        ] {
            let error = parse_file(source).expect_err(source);
            assert_eq!(error.line, line, "{source}: {error:?}");
            assert!(error.reason.contains(part), "{source}: {error:?}");
        }
        let deep = format!("def f(x: Tensor) -> Tensor:\n  return {}x{}\n", "(".repeat(50_000), ")".repeat(50_000));
        assert!(parse_file(&deep).expect_err("deep").reason.contains("deeper"));
    }
}
