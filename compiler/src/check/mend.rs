//! What to do about a value that does not fit: one place for all that compare two types.
//!
//! The next step is found from the two types and the text of the value. It is the help of every mismatch: of arguments, results,
//! operands and comparisons. An edit is given too where nothing but it can be meant.

use super::*;
use crate::types::show::num_name;

/// A next step, and the edits that do it where they are certain.
pub struct Mend {
    pub help: String,
    pub edits: Vec<(Span, String)>,
}

impl Mend {
    fn say(help: impl Into<String>) -> Option<Mend> {
        Some(Mend { help: help.into(), edits: Vec::new() })
    }

    fn edit(help: impl Into<String>, edits: Vec<(Span, String)>) -> Option<Mend> {
        Some(Mend { help: help.into(), edits })
    }

    pub fn onto(self, d: Diagnostic) -> Diagnostic {
        let d = d.help(self.help.clone());
        if self.edits.is_empty() { d } else { d.fix(self.help, self.edits) }
    }
}

impl Checker<'_> {
    /// The value at `span` has the type `found`, and `want` was wanted.
    pub fn mend(&mut self, want: &Ty, found: &Ty, span: Span) -> Option<Mend> {
        let (want, found) = (self.infer.shallow(want), self.infer.shallow(found));
        let text = self.text(span).to_string();
        let is_short = !text.contains('\n') && text.len() <= 60;
        if text == "None" || text.starts_with("Some(") {
            let shown = self.show(&want);
            return Mend::say(format!("only an `Option` may be `None`: write `Option<{shown}>` as the type"));
        }
        if let Some(mend) = self.unwrapped(&want, &found, span).or_else(|| self.several_to_come(&want, &found, span)) {
            return Some(mend);
        }
        let lang = &self.program.lang;
        let (option, result, future, vec, actor_ref) =
            (lang.option, lang.result, lang.future, lang.vec, lang.actor_ref);
        let (channel, before, after) = (lang.channel, at_start(span), at_end(span));
        match (&want, &found) {
            (Ty::Duration, Ty::Num(_) | Ty::Infer(_)) if self.is_number(&found) => {
                Mend::say(match text.chars().all(|c| c.is_ascii_digit()) {
                    true => format!("a duration has a unit: `{text}s`, `{text}ms`"),
                    false => format!("a duration has a unit: `1s * {text}`, `1ms * {text}`"),
                })
            }
            (Ty::Num(_), Ty::Duration) => Mend::say(format!("`{text}.as_ms()` gives the number of milliseconds")),
            (Ty::Num(_), Ty::Str) if text.starts_with(['"', '\'']) => {
                let inner = text.trim_matches(['"', '\'']).to_string();
                match inner.parse::<f64>() {
                    Ok(_) => Mend::say(format!("a number has no quotes: `{inner}`")),
                    Err(_) => None,
                }
            }
            (Ty::Num(k), Ty::Adt(id, args)) if *id == option && self.infer.shallow(&args[0]) == Ty::Str => {
                let reader = if k.is_float() { "float" } else { "int" };
                Mend::say(match is_short {
                    true => format!("it may be `None`, and is text: `{reader}({text}.unwrap())` reads a number"),
                    false => format!("it may be `None`, and is text: `{reader}(text)` reads a number"),
                })
            }
            (Ty::Num(_), Ty::Tensor(_)) if is_short => Mend::say(format!(
                "`{}.item()` takes the value out of a tensor of one, as a number of its element type",
                super::operators::bracketed(&text)
            )),
            (Ty::Tensor(_), Ty::Adt(id, args)) if *id == vec && is_short => {
                Mend::say(match self.infer.shallow(&args[0]) {
                    Ty::Tensor(_) => format!("`stack({text})` makes one tensor of them"),
                    _ => format!("`tensor({text})` makes a tensor of it"),
                })
            }
            (Ty::Str, Ty::Bytes) if is_short => Mend::say(format!("`{text}.decode()` reads it as text")),
            (Ty::Bool, Ty::Tensor(_)) if is_short => {
                let inner = super::operators::bracketed(&text);
                Mend::say(format!(
                    "`{inner}.item()` of a tensor of one, `{inner}.all().item()` of several, is a `Bool`"
                ))
            }
            (Ty::Adt(id, _), Ty::Tuple(_))
                if *id == vec && text.starts_with('(') && text.ends_with(')') && is_short =>
            {
                let listed = format!("[{}]", text[1..text.len() - 1].trim_end().trim_end_matches(','));
                Mend::edit(format!("a list has square brackets: `{listed}`"), vec![(span, listed)])
            }
            (Ty::Bytes, Ty::Str) if is_short => Mend::say(format!("`{text}.encode()` gives its bytes")),
            (Ty::Num(k), Ty::Str) => {
                let reader = if k.is_float() { "float" } else { "int" };
                Mend::say(match is_short {
                    true => format!("`{reader}({text})` reads a number from text"),
                    false => format!("`{reader}(text)` reads a number from text"),
                })
            }
            (Ty::Num(k), Ty::Num(_) | Ty::Infer(_) | Ty::Bool) if found == Ty::Bool || self.is_number(&found) => {
                is_short.then(|| Mend::say(format!("convert it: `{}({text})`", num_name(*k)))).flatten()
            }
            (Ty::Bool, _) if self.is_number(&found) => Mend::say(format!("a number is compared: `{text} != 0`")),
            (Ty::Adt(id, _), Ty::Adt(other, _)) if self.is_broadcast(*id) && *other == channel => {
                Mend::say("`broadcast()` makes one")
            }
            (Ty::Adt(id, args), _) if *id == option && self.could_be(&args[0], &found) => {
                Mend::edit("wrap it in `Some(…)`", vec![(before, "Some(".into()), (after, ")".into())])
            }
            (Ty::Adt(id, args), _) if *id == result && self.could_be(&args[0], &found) => {
                Mend::edit("wrap it in `Ok(…)`", vec![(before, "Ok(".into()), (after, ")".into())])
            }
            (Ty::Adt(id, _), Ty::Adt(actor, _))
                if *id == actor_ref && matches!(self.program.adts[actor.index()].kind, AdtKind::Actor(_)) =>
            {
                Mend::say(format!("`spawn_actor({text})` starts it, and gives its reference"))
            }
            (Ty::Adt(id, wanted), Ty::Adt(other, given)) if *id == future && other == id => {
                let (a, b) = (self.show(&wanted[0]), self.show(&given[0]));
                Mend::say(format!("futures of `{a}` and `{b}` are waited for as a tuple: `await (f(), g())`"))
            }
            (Ty::Adt(id, _), _) if *id == future => {
                Mend::say("a call of an `async fn` gives a future, and so does `async:` with a block")
            }
            (Ty::Adt(id, args), _) if *id == vec && self.could_be(&args[0], &found) && is_short => {
                Mend::say(format!("a list of one is `[{text}]`"))
            }
            (Ty::Adt(id, _), Ty::Str) if matches!(self.program.adts[id.index()].kind, AdtKind::Enum(_)) => {
                self.variant_for_text(*id, span)
            }
            (Ty::Fn(params, _), _) if !matches!(found, Ty::Fn(..)) && is_short => Mend::say(match params.len() {
                0 => format!("a function is wanted, which is called later: `|| {text}`"),
                1 => "a function is wanted: its name, or a closure such as `|x| …`".to_string(),
                _ => "a function is wanted: its name, or a closure such as `|a, b| …`".to_string(),
            }),
            (_, Ty::Fn(params, ret)) if self.could_be(&want, ret) && is_short => Mend::say(match params.len() {
                0 => format!("call it: `{text}()`"),
                _ => format!("call it: `{text}(…)`"),
            }),
            (_, Ty::Unit) if want != Ty::Unit && text.ends_with(')') => {
                Mend::say("what is called here gives nothing: state its result with `->` and `return` it")
            }
            (Ty::Str, _) if is_short && found != Ty::Unit => Mend::say(format!("`str({text})` gives its text")),
            _ => None,
        }
    }

    /// A list of futures where their values are wanted.
    fn several_to_come(&mut self, want: &Ty, found: &Ty, span: Span) -> Option<Mend> {
        let is_list = |c: &Self, ty: &Ty| matches!(ty, Ty::Adt(id, _) if *id == c.program.lang.vec);
        let Ty::Adt(_, args) = self.infer.shallow(found) else { return None };
        if !is_list(self, found) || self.awaited(args.first()?).is_none() {
            return None;
        }
        if let Ty::Adt(_, wanted) = want
            && is_list(self, want)
            && wanted.first().is_some_and(|t| self.awaited(t).is_some())
        {
            return None;
        }
        let text = self.text(span);
        let name = if text.contains('\n') || text.len() > 60 { "…" } else { text };
        Mend::say(format!("the values are still to come: `await gather({name})`"))
    }

    /// What to do about a value that is still inside of something, whatever is wanted of it: a future, a handle, an `Option`.
    pub fn inside(&mut self, found: &Ty, span: Span) -> Option<Mend> {
        let found = self.infer.shallow(found);
        let Ty::Adt(_, args) = &found else { return self.nothing(&found) };
        let inner = args.first().cloned();
        match inner {
            Some(inner) if self.awaited(&found).is_some() => {
                let mend = self.unwrapped(&inner, &found, span)?;
                let text = self.text(span).to_string();
                // `await f().x` is `await (f().x)`.
                match mend.help.starts_with("the value is still") && !text.contains('\n') {
                    true => {
                        let edits = vec![(at_start(span), "(await ".into()), (at_end(span), ")".into())];
                        Mend::edit(format!("the value is still to come: `(await {text})`"), edits)
                    }
                    false => Some(mend),
                }
            }
            Some(inner) => {
                self.unwrapped(&inner, &found, span).or_else(|| self.several_to_come(&Ty::Unit, &found, span))
            }
            None => None,
        }
    }

    /// `xs.sort()` and its like give nothing.
    fn nothing(&self, found: &Ty) -> Option<Mend> {
        match found {
            Ty::Unit => {
                Mend::say("it is nothing: what was called changes its receiver, or does something, and gives no value")
            }
            _ => None,
        }
    }

    /// A value inside of a future, a handle, an `Option` or a `Result`, where the value alone is wanted.
    pub fn unwrapped(&mut self, want: &Ty, found: &Ty, span: Span) -> Option<Mend> {
        let Ty::Adt(id, args) = self.infer.shallow(found) else { return None };
        let inner = args.first().cloned()?;
        let lang = &self.program.lang;
        let (future, handle, option, result) = (lang.future, lang.join_handle, lang.option, lang.result);
        if ![future, handle, option, result].contains(&id) || !self.could_be(want, &inner) {
            return None;
        }
        let text = self.text(span).to_string();
        let is_short = !text.contains('\n') && text.len() <= 60;
        let name = if is_short { text } else { "…".to_string() };
        if id == future {
            let help = format!("the value is still to come: `await {name}`");
            return Mend::edit(help, vec![(at_start(span), "await ".into())]);
        }
        if id == handle {
            let help = format!("it is a task's handle: `{name}.join()` waits for the value");
            return match name.starts_with("spawn ") || !is_short {
                true => Mend::say("it is a task's handle: `.join()` waits for the value"),
                false => Mend::edit(help, vec![(at_end(span), ".join()".into())]),
            };
        }
        Mend::say(match id == option {
            true => "it may be `None`: use `match`, `if let Some(x) = …`, or `.unwrap_or(…)`",
            false => "it may be an `Err`: use `match`, `if let Ok(x) = …`, or `.unwrap_or(…)`",
        })
    }

    /// Whether the two may be one type, for all that is known. Binds nothing.
    pub fn could_be(&mut self, a: &Ty, b: &Ty) -> bool {
        let (a, b) = (self.strip_dims(&self.infer.resolve(a)), self.strip_dims(&self.infer.resolve(b)));
        if a == Ty::Error || b == Ty::Error {
            return false;
        }
        let mark = self.infer.mark();
        let fits = self.infer.unify(&a, &b);
        self.infer.rollback(mark);
        fits
    }

    /// `"one_for_one"` where `Strategy::OneForOne` is meant.
    fn variant_for_text(&mut self, id: AdtId, span: Span) -> Option<Mend> {
        let AdtKind::Enum(variants) = &self.program.adts[id.index()].kind else { return None };
        let owner = self.program.adts[id.index()].name.clone();
        let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        let text = plain(self.text(span));
        if let Some(meant) = variants.iter().find(|v| plain(&v.name) == text && v.fields.is_empty()) {
            let written = format!("{owner}::{}", meant.name);
            return Mend::edit(format!("write `{written}`"), vec![(span, written)]);
        }
        let all: Vec<String> = variants.iter().take(6).map(|v| format!("`{owner}::{}`", v.name)).collect();
        Mend::say(format!("it is one of {}", all.join(", ")))
    }
}

fn at_start(span: Span) -> Span {
    Span { end: span.start, ..span }
}

fn at_end(span: Span) -> Span {
    Span { start: span.end, ..span }
}
