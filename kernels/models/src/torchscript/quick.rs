//! The lines that most code consists of, without the grammar: it reads 9 MB/s, and a model's code is parsed before anything
//! else can begin.
//!
//! What is not plain here is `None`, and the grammar's to read or to refuse: so this decides about no error, and knows no
//! `if`, `while`, `for`, `with`, dictionary or attribute that is set. What it does read it reads as the grammar does, which
//! the tests of this file hold against each other.

use super::ast::{Class, ClassKind, Expr, Function, Param, StmtKind, Type};
use super::parse::{Head, MAX_LINKS, assignment, class_kind, number, unquote};

/// What the logical line `text` says. The nesting of its brackets is bounded.
pub fn head(text: &str, line: u32) -> Option<Head> {
    let mut scan = Scan { text, at: 0 };
    let head = scan.statement(line)?;
    scan.space();
    (scan.at == text.len()).then_some(head)
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The next byte that is no space, which stays.
    fn next(&mut self) -> Option<u8> {
        self.space();
        self.peek()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn skip_while(&mut self, is_in: impl Fn(u8) -> bool) -> &'a str {
        let from = self.at;
        while self.peek().is_some_and(&is_in) {
            self.at += 1;
        }
        &self.text[from..self.at]
    }

    /// From right here, no space before it.
    fn ident(&mut self) -> Option<&'a str> {
        let is_first = self.peek().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        is_first.then(|| self.skip_while(is_ident))
    }

    fn name(&mut self) -> Option<&'a str> {
        self.space();
        self.ident().filter(|name| !is_typed(name))
    }

    fn statement(&mut self, line: u32) -> Option<Head> {
        self.space();
        let start = self.at;
        let first = self.ident()?;
        match first {
            "class" => return self.class(line),
            "def" => return self.function(line),
            "return" => {
                let value = if self.next().is_some() { Some(self.expr()?) } else { None };
                return Some(Head::Plain(StmtKind::Return(value)));
            }
            "pass" | "if" | "else" | "while" | "for" | "with" | "__annotations__" => return None,
            _ => {}
        }
        match self.next() {
            Some(b':') if !is_typed(first) => {
                self.at += 1;
                let ty = self.type_of()?;
                let value = if self.eat(b'=').is_some() { Some(self.expr()?) } else { None };
                Some(Head::Declare(first.to_string(), ty, value))
            }
            Some(b'=' | b',') if !is_typed(first) => {
                let (mut targets, mut ends_with_comma) = (vec![first.to_string()], false);
                while self.eat(b',').is_some() {
                    ends_with_comma = self.next()? == b'=';
                    if ends_with_comma {
                        break;
                    }
                    targets.push(self.name()?.to_string());
                }
                self.eat(b'=')?;
                let mut values = vec![self.expr()?];
                while self.eat(b',').is_some() && self.next().is_some() {
                    values.push(self.expr()?);
                }
                assignment(targets, ends_with_comma, values).ok()
            }
            _ => {
                self.at = start;
                Some(Head::Plain(StmtKind::Expr(self.expr()?)))
            }
        }
    }

    fn class(&mut self, line: u32) -> Option<Head> {
        let name = self.name()?.to_string();
        let mut kind = ClassKind::Other;
        if self.eat(b'(').is_some() {
            kind = if self.next()? == b')' { ClassKind::Other } else { class_kind(Some(self.name()?)) };
            self.eat(b')')?;
        }
        self.eat(b':')?;
        let (attributes, methods, parameters) = Default::default();
        Some(Head::Class(Class { name, kind, attributes, methods, parameters, line }))
    }

    fn function(&mut self, line: u32) -> Option<Head> {
        let name = self.name()?.to_string();
        self.eat(b'(')?;
        let params = self.list(b')', |scan| {
            let name = scan.name()?.to_string();
            let ty = if scan.eat(b':').is_some() { Some(scan.type_of()?) } else { None };
            let default = if scan.eat(b'=').is_some() { Some(scan.expr()?) } else { None };
            Some(Param { name, ty, default })
        })?;
        let mut result = None;
        if self.eat(b'-').is_some() {
            (self.peek()? == b'>').then(|| self.at += 1)?;
            result = Some(self.type_of()?);
        }
        self.eat(b':')?;
        Some(Head::Def(Function { name, params, result, body: Vec::new(), line }))
    }

    /// Items with commas between them, perhaps one after the last, up to `end`.
    fn list<T>(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        while self.eat(end).is_none() {
            items.push(item(self)?);
            if self.eat(b',').is_none() {
                self.eat(end)?;
                break;
            }
        }
        Some(items)
    }

    fn type_of(&mut self) -> Option<Type> {
        self.space();
        let from = self.at;
        self.ident()?;
        while self.peek() == Some(b'.') {
            self.at += 1;
            self.ident()?;
        }
        let name = self.text[from..self.at].to_string();
        let mut args = Vec::new();
        if self.eat(b'[').is_some() {
            args = self.list(b']', Scan::type_of)?;
            if args.is_empty() {
                return None;
            }
        }
        Some(Type { name, args })
    }

    fn expr(&mut self) -> Option<Expr> {
        let mut built = match self.next()? {
            b'-' => {
                self.at += 1;
                let negated = match self.next()? {
                    b'0'..=b'9' => self.number(true)?,
                    _ => match self.name()? {
                        "inf" => Expr::Float(f64::NEG_INFINITY),
                        "nan" => Expr::Float(f64::NAN),
                        _ => return None,
                    },
                };
                let has_link = matches!(self.next(), Some(b'.' | b'[' | b'('));
                return (!has_link).then_some(negated);
            }
            b'0'..=b'9' => self.number(false)?,
            b'"' => self.string()?,
            b'(' => self.parens()?,
            b'[' => {
                self.at += 1;
                Expr::List(self.list(b']', Scan::expr)?)
            }
            _ => match self.ident()? {
                keyword if is_typed(keyword) => self.typed(keyword)?,
                name => Expr::Name(name.to_string()),
            },
        };
        for _ in 0..MAX_LINKS {
            built = match self.next() {
                Some(b'.') => {
                    self.at += 1;
                    Expr::Attr(Box::new(built), self.name()?.to_string())
                }
                Some(b'[') => {
                    self.at += 1;
                    let index = self.expr()?;
                    self.eat(b']')?;
                    Expr::Index(Box::new(built), Box::new(index))
                }
                Some(b'(') => self.call(built)?,
                _ => return Some(built),
            };
        }
        None
    }

    fn call(&mut self, callee: Expr) -> Option<Expr> {
        self.at += 1;
        let mut kwargs = Vec::new();
        let args = self.list(b')', |scan| {
            scan.space();
            let start = scan.at;
            if let Some(name) = scan.name()
                && scan.eat(b'=').is_some()
            {
                kwargs.push((name.to_string(), scan.expr()?));
                return Some(None);
            }
            scan.at = start;
            scan.expr().map(Some)
        })?;
        Some(Expr::Call { callee: Box::new(callee), args: args.into_iter().flatten().collect(), kwargs })
    }

    fn parens(&mut self) -> Option<Expr> {
        self.at += 1;
        let (mut items, mut has_comma) = (Vec::new(), false);
        while self.eat(b')').is_none() {
            items.push(self.expr()?);
            if self.eat(b',').is_none() {
                self.eat(b')')?;
                break;
            }
            has_comma = true;
        }
        if items.len() == 1 && !has_comma { items.pop() } else { Some(Expr::Tuple(items)) }
    }

    fn typed(&mut self, keyword: &str) -> Option<Expr> {
        self.eat(b'(')?;
        let ty = self.type_of()?;
        let has_comma = self.eat(b',').is_some();
        let value = if has_comma && self.next()? != b')' { Some(self.expr()?) } else { None };
        if value.is_some() {
            let _ = self.eat(b',');
        }
        self.eat(b')')?;
        match (keyword, value) {
            ("uninitialized", None) => Some(Expr::Uninitialized),
            ("annotate" | "unchecked_cast", Some(value)) => Some(Expr::Typed(ty, Box::new(value))),
            _ => None,
        }
    }

    fn number(&mut self, negative: bool) -> Option<Expr> {
        let from = self.at;
        let is_digit = |b: u8| b.is_ascii_digit();
        self.skip_while(is_digit);
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.skip_while(is_digit);
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.skip_while(is_digit).is_empty() {
                return None;
            }
        }
        let has_end = !self.peek().is_some_and(is_ident);
        number(&self.text[from..self.at], negative).ok().filter(|_| has_end)
    }

    fn string(&mut self) -> Option<Expr> {
        let from = self.at;
        self.at += 1;
        loop {
            self.skip_while(|b| b != b'"' && b != b'\\');
            let byte = self.peek()?;
            self.at += 1;
            if byte == b'"' {
                return unquote(&self.text[from..self.at]).ok().map(Expr::Str);
            }
            // An escape stands before a whole character; the grammar sees to one that is no single byte.
            if !self.peek()?.is_ascii() {
                return None;
            }
            self.at += 1;
        }
    }
}

fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_typed(name: &str) -> bool {
    matches!(name, "annotate" | "unchecked_cast" | "uninitialized")
}

#[cfg(test)]
mod tests {
    use super::super::parse::{by_grammar, is_nested_within_limits};
    use super::*;

    /// Holds what is read quickly against the grammar; gives whether it was.
    fn check(line: &str) -> bool {
        if !is_nested_within_limits(line) {
            return false;
        }
        let quick = head(line, 7);
        if let Some(quick) = &quick {
            let slow = by_grammar(line, 7);
            // Texts, as a NaN is unlike itself.
            let (quick, slow) = (format!("{quick:?}"), slow.map(|slow| format!("{slow:?}")));
            assert_eq!(Ok(quick), slow, "{line}");
        }
        quick.is_some()
    }

    const LINES: &[&str] = &[
        "class A(Module):",
        "class B():",
        "class C:",
        "class D(NamedTuple) :",
        "def f(self: __torch__.a.b_1.C, x: Tensor, n: Optional[Dict[str, List[int]]]=None,) -> Tuple[Tensor, int]:",
        "def g():",
        "return",
        "return (x,)",
        "return (x, y)",
        "return ()",
        "returned = -inf",
        "x: Tensor",
        "x : Final[int] = -5",
        "training: bool",
        "a, b, = f(x)",
        "a, b = x, [1., -2e-05, 1.5E+3,], ",
        "_0 = torch.add(torch.mul(x, 0.5), y, alpha=1, beta = [1, 2])",
        r#"c = unchecked_cast(List[Tensor], ops.prim.data(x)[0][1].weight(a)("a\"\303\251\n"))"#,
        "d = annotate(List[Optional[int]], [],)",
        "e = uninitialized(Tensor,)",
        "print(\"x = {}\", x.y)",
        "__parameters__ = [\"weight\", \"bias\", ]",
    ];

    #[test]
    fn what_is_plain_is_read_as_the_grammar_reads_it() {
        for line in LINES {
            assert!(check(line), "{line}");
        }
        for line in
            ["if x:", "x.y = 3", "d = {1: 2}", "__annotations__[\"a\"] = int", "f(x", "x = -y", "x = 1e", "x = 1.y"]
        {
            assert!(!check(line), "{line}");
        }
    }

    #[test]
    fn what_differs_a_little_is_read_as_the_grammar_reads_it_or_left_to_it() {
        const PIECES: &[&str] = &[
            "(", ")", "[", "]", ",", "=", ":", ".", "-", "->", " ", "\t", "1", "e5", "x", "\"", "\\", "é", "annotate",
            "def", "*",
        ];
        let (mut state, mut read) = (0x9e37_79b9_7f4a_7c15_u64, 0);
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        for _ in 0..20_000 {
            let mut line: Vec<char> = LINES[below(LINES.len())].chars().collect();
            for _ in 0..=below(2) {
                let at = below(line.len());
                let end = if below(2) == 0 { at } else { (at + 1 + below(3)).min(line.len()) };
                line.splice(at..end, PIECES[below(PIECES.len())].chars());
            }
            read += usize::from(check(&line.into_iter().collect::<String>()));
        }
        assert!(read > 2000, "{read}");
    }
}
