//! JSON: values of any type written as it and read from it, by their types; `Json` is the type for text of any form.

use super::number::{fit, float_value};
use super::support::{Outcome, answers, size};
use super::text::{JsonEvent, MAX_JSON_DEPTH, json_events, json_quote};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_bytecode::TypeDesc;

pub(super) const TABLE: &[NativeRow] = answers! {
    json_encode "<T>(T, Int) -> String";
    json_decode "<T>(String, Int) -> T";
};

fn json_encode(cx: &NativeCx<'_>) -> Outcome {
    let mut writer = Writer { out: String::new(), indent: size(cx.int(1), "the indentation")?.min(64), depth: 0 };
    writer.value(cx, cx.arg(0))?;
    Ok(Value::str(writer.out))
}

/// An enum's or struct's name without type arguments.
fn plain(name: &str) -> &str {
    name.split('<').next().unwrap_or(name)
}

struct Writer {
    out: String,
    /// Blanks a level; 0: all on one line.
    indent: usize,
    depth: usize,
}

impl Writer {
    fn value(&mut self, cx: &NativeCx<'_>, value: ValueRef<'_>) -> Result<(), Fault> {
        let info = value.info();
        match &info.desc {
            TypeDesc::Unit => self.out.push_str("null"),
            TypeDesc::Bool => self.out.push_str(if value.bool() { "true" } else { "false" }),
            TypeDesc::Number(kind) => {
                let text = value.display();
                if kind.is_float() && !value.float().is_finite() {
                    return Err(Fault::value(format!("JSON has no number {text}")));
                }
                self.out.push_str(&text);
            }
            TypeDesc::Str => self.out.push_str(&json_quote(value.str())),
            TypeDesc::Vec(_) => self.list(cx, value.vec().iter())?,
            TypeDesc::Set(_) => self.list(cx, value.map().iter().map(|(key, _)| key))?,
            TypeDesc::Tuple(_) => self.list(cx, (0..value.n_fields()).map(|i| value.field(i)))?,
            TypeDesc::Map(..) => {
                let entry = |(key, value): (ValueRef<'_>, _)| match key.info().desc {
                    TypeDesc::Str | TypeDesc::Number(_) | TypeDesc::Bool => Ok((key.display(), value)),
                    _ => Err(Fault::value(format!("a key of a JSON object is text, not {}", key.info().name()))),
                };
                let entries: Result<Vec<_>, Fault> = value.map().iter().map(entry).collect();
                self.object(cx, entries?)?;
            }
            TypeDesc::Struct { fields, .. } => {
                let named = fields.iter().enumerate().map(|(i, f)| (f.name.clone(), value.field(i))).collect();
                self.object(cx, named)?;
            }
            TypeDesc::Enum { name, variants } => {
                let variant = &variants[usize::from(value.tag())];
                match (plain(name), variant.name.as_str(), value.payload()) {
                    ("Option", "None", _) | ("Json", "Null", _) => self.out.push_str("null"),
                    ("Option" | "Json", _, Some(payload)) => self.value(cx, payload)?,
                    (_, variant, None) => self.out.push_str(&json_quote(variant)),
                    (_, name, Some(payload)) => {
                        let fields = &variant.fields;
                        if fields.iter().all(|f| !f.name.is_empty()) {
                            let named = fields.iter().enumerate().map(|(i, f)| (f.name.clone(), value.field(i)));
                            self.variant(cx, name, |w, cx| w.object(cx, named.collect()))?;
                        } else if fields.len() == 1 {
                            self.variant(cx, name, |w, cx| w.value(cx, payload))?;
                        } else {
                            self.variant(cx, name, |w, cx| w.list(cx, (0..fields.len()).map(|i| value.field(i))))?;
                        }
                    }
                }
            }
            TypeDesc::Dyn { .. } => self.value(cx, value.inner())?,
            _ => return Err(Fault::value(format!("a {} has no JSON form", info.name()))),
        }
        Ok(())
    }

    fn variant(
        &mut self,
        cx: &NativeCx<'_>,
        name: &str,
        payload: impl FnOnce(&mut Self, &NativeCx<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open(cx, '{')?;
        self.line();
        self.key(name);
        payload(self, cx)?;
        self.close('}');
        Ok(())
    }

    fn list<'v>(&mut self, cx: &NativeCx<'_>, items: impl Iterator<Item = ValueRef<'v>>) -> Result<(), Fault> {
        self.open(cx, '[')?;
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.line();
            self.value(cx, item)?;
        }
        self.close(']');
        Ok(())
    }

    fn object(&mut self, cx: &NativeCx<'_>, fields: Vec<(String, ValueRef<'_>)>) -> Result<(), Fault> {
        self.open(cx, '{')?;
        for (i, (name, value)) in fields.into_iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.line();
            self.key(&name);
            self.value(cx, value)?;
        }
        self.close('}');
        Ok(())
    }

    fn open(&mut self, cx: &NativeCx<'_>, bracket: char) -> Result<(), Fault> {
        if self.depth == MAX_JSON_DEPTH {
            return Err(Fault::value(format!("the value has more than {MAX_JSON_DEPTH} levels, too many for JSON")));
        }
        // Checked as it grows, by more than one item adds.
        cx.reserve(self.out.len())?;
        self.depth += 1;
        self.out.push(bracket);
        Ok(())
    }

    fn close(&mut self, bracket: char) {
        self.depth -= 1;
        if !self.out.ends_with(['[', '{']) {
            self.line();
        }
        self.out.push(bracket);
    }

    fn key(&mut self, name: &str) {
        self.out.push_str(&json_quote(name));
        self.out.push_str(if self.indent > 0 { ": " } else { ":" });
    }

    fn line(&mut self) {
        if self.indent > 0 {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', self.indent * self.depth));
        }
    }
}

/// The second argument is the line of a file that the text is; 0 for a text of its own.
fn json_decode(cx: &NativeCx<'_>) -> Outcome {
    let line = cx.int(1);
    // An event and the value it becomes; the shortest event takes one byte of text.
    cx.reserve(cx.str(0).len())?;
    let events = json_events(cx.str(0)).map_err(|e| match line {
        0 => Fault::value(e.to_string()),
        _ => Fault::value(format!("line {line}, column {}: {}", e.column, e.what)),
    })?;
    cx.reserve(events.len().saturating_mul(64))?;
    let mut reader = Reader { events: &events, at: 0, path: Vec::new() };
    reader.value(cx.type_arg(0)).map_err(|what| match line {
        0 => Fault::value(format!("{what}{}", reader.place())),
        _ => Fault::value(format!("line {line}: {what}{}", reader.place())),
    })
}

/// Where in the document: a field's name or an item's position.
enum Step {
    Field(String),
    Item(usize),
}

/// Builds a value of a wanted type from the events of a document that is known to be well-formed. Its depth is bounded
/// by the reader of the text.
struct Reader<'a> {
    events: &'a [JsonEvent],
    at: usize,
    path: Vec<Step>,
}

impl Reader<'_> {
    /// ` at .rows[2].label`; nothing for the document itself.
    fn place(&self) -> String {
        let step = |step: &Step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Item(i) => format!("[{i}]"),
        };
        let path: String = self.path.iter().map(step).collect();
        if path.is_empty() { path } else { format!(" at {path}") }
    }

    fn peek(&self) -> char {
        self.events[self.at].0
    }

    fn found(&self) -> String {
        let (kind, text) = &self.events[self.at];
        match kind {
            'n' => "null".into(),
            't' => "true".into(),
            'f' => "false".into(),
            '#' => text.clone(),
            's' => json_quote(&text.chars().take(40).collect::<String>()),
            '[' => "a list".into(),
            _ => "an object".into(),
        }
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what}, found {}", self.found())
    }

    fn take(&mut self, kind: char, what: &str) -> Result<String, String> {
        if self.peek() != kind {
            return Err(self.expected(what));
        }
        self.at += 1;
        Ok(self.events[self.at - 1].1.clone())
    }

    fn value(&mut self, info: &'static TypeInfo) -> Result<Value, String> {
        match &info.desc {
            TypeDesc::Unit => self.take('n', "null").map(|_| Value::unit()),
            TypeDesc::Bool => match self.peek() {
                kind @ ('t' | 'f') => {
                    self.at += 1;
                    Ok(Value::bool(kind == 't'))
                }
                _ => Err(self.expected("true or false")),
            },
            TypeDesc::Number(kind) if kind.is_float() => {
                let text = self.take('#', "a number")?;
                Ok(float_value(info, finite(&text)?))
            }
            TypeDesc::Number(kind) => {
                let text = self.take('#', "a whole number")?;
                let n = whole(&text).and_then(|n| fit(info, n));
                n.ok_or_else(|| format!("{text} does not fit {}", kind.name()))
            }
            TypeDesc::Str => Ok(Value::str(self.take('s', "text")?)),
            TypeDesc::Vec(_) => {
                let items = self.list(|reader, _| reader.value(info.elem()))?;
                Ok(Value::vec(info, items))
            }
            TypeDesc::Set(_) => {
                let mut set = Value::map(info);
                for item in self.list(|reader, _| reader.value(info.elem()))? {
                    set.map_mut().add(item);
                }
                Ok(set)
            }
            TypeDesc::Tuple(types) => self.fields(info, 0, types.len()),
            TypeDesc::Map(key, _) if matches!(info.sibling(*key).desc, TypeDesc::Str) => {
                let mut map = Value::map(info);
                self.object(|reader, name| {
                    let value = reader.value(info.map_value())?;
                    map.map_mut().insert(Value::str(name), value);
                    Ok(())
                })?;
                Ok(map)
            }
            TypeDesc::Struct { name, fields } => {
                let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
                self.named(info, 0, plain(name), &names)
            }
            TypeDesc::Enum { name, variants } => match plain(name) {
                "Option" if self.peek() == 'n' => {
                    self.at += 1;
                    Ok(Value::variant_named(info, "None", []))
                }
                "Option" => {
                    let some = info.variant_named("Some").ok_or("an Option without Some")?;
                    let value = self.value(info.field(some, 0))?;
                    Ok(Value::variant(info, some, [value]))
                }
                "Json" => self.json(info),
                name => self.variant(info, name, variants),
            },
            _ => Err(format!("a {} cannot be read from JSON", info.name())),
        }
    }

    /// `"Name"`, or an object with the variant's name as its only key.
    fn variant(
        &mut self,
        info: &'static TypeInfo,
        name: &str,
        variants: &[stark_bytecode::VariantDesc],
    ) -> Result<Value, String> {
        let is_object = self.peek() == '{';
        let key = usize::from(is_object);
        let what = || format!("a variant of {name}");
        if is_object && self.events[self.at + 1].0 != 'k' || !is_object && self.peek() != 's' {
            return Err(self.expected(&what()));
        }
        let wanted = &self.events[self.at + key].1;
        let Some(i) = variants.iter().position(|v| v.name == *wanted) else {
            let names: Vec<&str> = variants.iter().map(|v| v.name.as_str()).collect();
            return Err(format!("{} is not {} ({})", json_quote(wanted), what(), names.join(", ")));
        };
        let fields = &variants[i].fields;
        if is_object == fields.is_empty() {
            let needs = if is_object { "has no values: write its name alone" } else { "has values" };
            return Err(format!("{name}.{} {needs}", variants[i].name));
        }
        let tag = i as u16;
        self.at += 1 + key;
        if !is_object {
            return Ok(Value::variant(info, tag, []));
        }
        self.path.push(Step::Field(variants[i].name.clone()));
        let value = if fields.iter().all(|f| !f.name.is_empty()) {
            let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
            self.named(info, tag, &variants[i].name, &names)?
        } else if fields.len() == 1 {
            let payload = self.value(info.field(tag, 0))?;
            Value::variant(info, tag, [payload])
        } else {
            self.fields(info, tag, fields.len())?
        };
        self.path.pop();
        self.take('}', "one variant")?;
        Ok(value)
    }

    /// A struct, or a variant with named fields, from an object. A field that is not there is `None` where it may be.
    fn named(&mut self, info: &'static TypeInfo, tag: u16, what: &str, names: &[&str]) -> Result<Value, String> {
        let mut values: Vec<Option<Value>> = names.iter().map(|_| None).collect();
        self.object(|reader, name| {
            match names.iter().position(|n| *n == name) {
                Some(i) => values[i] = Some(reader.value(info.field(tag, i))?),
                None => reader.skip(),
            }
            Ok(())
        })?;
        let mut given = Vec::with_capacity(values.len());
        for (i, value) in values.into_iter().enumerate() {
            let ty = info.field(tag, i);
            let is_option = matches!(&ty.desc, TypeDesc::Enum { name, .. } if plain(name) == "Option");
            given.push(match value {
                Some(value) => value,
                None if is_option => Value::variant_named(ty, "None", []),
                None => return Err(format!("the field `{}` of {what} is missing", names[i])),
            });
        }
        Ok(make(info, tag, given))
    }

    /// A tuple, or a variant with several values, from a list of as many items.
    fn fields(&mut self, info: &'static TypeInfo, tag: u16, n: usize) -> Result<Value, String> {
        let wrong = |found: usize| format!("expected a list of {n} items, found {found}");
        let items = self.list(|reader, i| if i < n { reader.value(info.field(tag, i)) } else { Err(wrong(i + 1)) })?;
        if items.len() == n { Ok(make(info, tag, items)) } else { Err(wrong(items.len())) }
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self, usize) -> Result<Value, String>) -> Result<Vec<Value>, String> {
        self.take('[', "a list")?;
        let mut items = Vec::new();
        while self.peek() != ']' {
            self.path.push(Step::Item(items.len()));
            items.push(item(self, items.len())?);
            self.path.pop();
        }
        self.at += 1;
        Ok(items)
    }

    fn object(&mut self, mut field: impl FnMut(&mut Self, &str) -> Result<(), String>) -> Result<(), String> {
        self.take('{', "an object")?;
        while self.peek() != '}' {
            let name = self.take('k', "a key")?;
            self.path.push(Step::Field(name.clone()));
            field(self, &name)?;
            self.path.pop();
        }
        self.at += 1;
        Ok(())
    }

    /// Past the value that begins here.
    fn skip(&mut self) {
        let mut open = 0;
        loop {
            match self.peek() {
                '[' | '{' => open += 1,
                ']' | '}' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 && self.events[self.at - 1].0 != 'k' {
                return;
            }
        }
    }

    /// The library's own type for a value of any form.
    fn json(&mut self, info: &'static TypeInfo) -> Result<Value, String> {
        let (kind, text) = &self.events[self.at];
        let (name, payload) = match kind {
            'n' => ("Null", None),
            't' | 'f' => ("Bool", Some(Value::bool(*kind == 't'))),
            's' => ("Text", Some(Value::str(text.as_str()))),
            // What has neither point nor exponent and fits is a whole number, exactly.
            '#' => match text.parse::<i64>() {
                Ok(n) => ("Int", Some(Value::int(n))),
                Err(_) => ("Float", Some(Value::float(finite(text)?))),
            },
            '[' | '{' => {
                let name = if *kind == '[' { "List" } else { "Object" };
                let tag = info.variant_named(name).ok_or("a Json of another form")?;
                let items = self.value(info.field(tag, 0))?;
                return Ok(Value::variant(info, tag, [items]));
            }
            _ => return Err("a value is missing".into()),
        };
        self.at += 1;
        Ok(Value::variant_named(info, name, payload))
    }
}

fn make(info: &'static TypeInfo, tag: u16, values: Vec<Value>) -> Value {
    if matches!(info.desc, TypeDesc::Enum { .. }) {
        Value::variant(info, tag, values)
    } else {
        Value::fields(info, values)
    }
}

/// A float. What is too large for one would come back as infinity, which JSON cannot say.
fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(|| format!("{text} does not fit Float"))
}

/// A whole number, also when it is written as `1e3` or `2.0`.
fn whole(text: &str) -> Option<i128> {
    if let Ok(n) = text.parse() {
        return Some(n);
    }
    let x: f64 = text.parse().ok()?;
    (x.trunc() == x && x.abs() < 9.0e15).then_some(x as i128)
}
