//! Entities as people read them: the declaration in STARK's own words, and the text above it.

use super::{Entity, Index};
use crate::hir::{self, *};
use crate::types::show::show_final;
use stark_syntax::source::{SourceMap, Span};
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityKind {
    Variable,
    Parameter,
    Function,
    Method,
    Handler,
    Struct,
    Enum,
    Actor,
    /// Made by the virtual machine.
    Opaque,
    Trait,
    Alias,
    Constant,
    Zone,
    Module,
    Field,
    Variant,
}

/// What a hover shows.
#[derive(Clone, Debug)]
pub struct Described {
    pub kind: EntityKind,
    pub name: Rc<str>,
    /// One line of STARK: `fn add(a: Int, b: Int = 1) -> Int`.
    pub code: String,
    pub doc: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: Rc<str>,
    /// As it stands in the signature: `b: Int = 1`.
    pub text: String,
    pub has_default: bool,
}

/// A callable as a call sees it: without `self`.
#[derive(Clone, Debug)]
pub struct Signature {
    /// `add(a: Int, b: Int = 1) -> Int`
    pub label: String,
    pub params: Vec<Param>,
    pub doc: Option<String>,
}

impl Index {
    pub fn show(&self, ty: &Ty) -> String {
        show_final(&self.program, ty)
    }

    pub fn name_of(&self, entity: Entity) -> Rc<str> {
        match entity {
            Entity::Local(at) => self.locals.get(&at).map_or_else(|| Rc::from(""), |l| l.name.clone()),
            Entity::Fn(id) => Rc::from(short(&self.program.func(id).name)),
            Entity::Adt(id) => self.program.adt(id).name.clone(),
            Entity::Trait(id) => self.program.traits[id.index()].name.clone(),
            Entity::Alias(i) => self.aliases[i as usize].0.clone(),
            Entity::Const(id) => self.program.consts[id.index()].name.clone(),
            Entity::Zone(id) => self.program.globals[id.index()].name.clone(),
            Entity::Module(id) => self.modules.get(id.index()).map_or_else(|| Rc::from(""), |m| m.path.clone()),
            Entity::Field { adt, variant, index } => {
                let fields = self.program.fields_of(adt, variant);
                fields.get(index as usize).map_or_else(|| Rc::from(""), |f| f.name.clone())
            }
            Entity::Variant { adt, variant } => match &self.program.adt(adt).kind {
                AdtKind::Enum(variants) => variants[variant as usize].name.clone(),
                _ => Rc::from(""),
            },
        }
    }

    pub fn kind_of(&self, entity: Entity) -> EntityKind {
        match entity {
            Entity::Local(at) if self.fns.iter().any(|f| f.params.contains(&at)) => EntityKind::Parameter,
            Entity::Local(_) => EntityKind::Variable,
            Entity::Fn(id) if self.fns[id.index()].is_handler => EntityKind::Handler,
            Entity::Fn(id) if self.program.func(id).name.contains('.') => EntityKind::Method,
            Entity::Fn(_) => EntityKind::Function,
            Entity::Adt(id) => match self.program.adt(id).kind {
                AdtKind::Struct(_) => EntityKind::Struct,
                AdtKind::Enum(_) => EntityKind::Enum,
                AdtKind::Actor(_) => EntityKind::Actor,
                AdtKind::Opaque => EntityKind::Opaque,
            },
            Entity::Trait(_) => EntityKind::Trait,
            Entity::Alias(_) => EntityKind::Alias,
            Entity::Const(_) => EntityKind::Constant,
            Entity::Zone(_) => EntityKind::Zone,
            Entity::Module(_) => EntityKind::Module,
            Entity::Field { .. } => EntityKind::Field,
            Entity::Variant { .. } => EntityKind::Variant,
        }
    }

    pub fn describe(&self, entity: Entity, sources: &SourceMap) -> Described {
        let (kind, name) = (self.kind_of(entity), self.name_of(entity));
        let code = match entity {
            Entity::Local(at) => {
                let local = self.locals.get(&at);
                let ty = local.map_or_else(|| "?".to_string(), |l| self.show(&l.ty));
                match (kind, local.is_some_and(|l| l.mutable)) {
                    (EntityKind::Parameter, _) => format!("{name}: {ty}"),
                    (_, true) => format!("let mut {name}: {ty}"),
                    _ => format!("let {name}: {ty}"),
                }
            }
            Entity::Fn(id) => self.declaration(id, sources),
            Entity::Adt(id) => self.adt_declaration(id),
            Entity::Trait(_) => format!("trait {name}"),
            Entity::Alias(_) => sources.slice(self.line_of(entity, sources)).trim().to_string(),
            Entity::Const(id) => {
                let line = sources.slice(self.line_of(entity, sources)).trim();
                let ty = self.show(&self.program.func(self.program.consts[id.index()].init).ret);
                let value = line.split_once('=').map_or(String::new(), |(_, v)| format!(" = {}", cut(v.trim())));
                format!("const {name}: {ty}{value}")
            }
            Entity::Zone(_) => cut(sources.slice(self.line_of(entity, sources)).trim()),
            Entity::Module(_) if name.is_empty() => "the program's own file".to_string(),
            Entity::Module(_) => format!("module {name}"),
            Entity::Field { adt, variant, index } => {
                let owner = self.program.adt(adt).name.clone();
                let field = self.program.fields_of(adt, variant).get(index as usize);
                let ty = field.map_or_else(|| "?".to_string(), |f| self.show(&f.ty));
                let mutable = if field.is_some_and(|f| f.mutable) { "mut " } else { "" };
                format!("{mutable}{name}: {ty}\n# of {owner}")
            }
            Entity::Variant { adt, variant } => {
                let owner = self.program.adt(adt).name.clone();
                format!("{owner}::{}", self.variant_text(adt, variant))
            }
        };
        Described { kind, name, code, doc: self.doc(entity, sources) }
    }

    fn line_of(&self, entity: Entity, sources: &SourceMap) -> Span {
        let at = self.place(entity);
        let text = sources.text(at.source);
        let start = text[..at.start as usize].rfind('\n').map_or(0, |i| i + 1);
        let end = text[at.start as usize..].find('\n').map_or(text.len(), |i| i + at.start as usize);
        Span::new(at.source, start, end)
    }

    fn variant_text(&self, adt: AdtId, variant: u32) -> String {
        let AdtKind::Enum(variants) = &self.program.adt(adt).kind else { return String::new() };
        let Some(v) = variants.get(variant as usize) else { return String::new() };
        if v.fields.is_empty() {
            return v.name.to_string();
        }
        format!("{}({})", v.name, v.fields.iter().map(|f| self.field_text(f)).collect::<Vec<_>>().join(", "))
    }

    fn field_text(&self, f: &FieldDef) -> String {
        let ty = self.show(&f.ty);
        if f.name.is_empty() { ty } else { format!("{}: {ty}", f.name) }
    }

    fn adt_declaration(&self, id: AdtId) -> String {
        let adt = self.program.adt(id);
        let generics = self.generics_text(&adt.generics);
        let word = match &adt.kind {
            AdtKind::Struct(_) => "struct",
            AdtKind::Enum(_) => "enum",
            AdtKind::Actor(_) => "actor",
            AdtKind::Opaque => "struct",
        };
        let rows: Vec<String> = match &adt.kind {
            AdtKind::Struct(fields) => fields.iter().map(|f| self.field_text(f)).collect(),
            AdtKind::Actor(def) => {
                let word = |f: &FieldDef| if f.mutable { "mut " } else { "" };
                def.fields.iter().map(|f| format!("{}{}", word(f), self.field_text(f))).collect()
            }
            AdtKind::Enum(variants) => (0..variants.len() as u32).map(|v| self.variant_text(id, v)).collect(),
            AdtKind::Opaque => Vec::new(),
        };
        // A hover is read at a glance; a guess.
        const MAX_ROWS: usize = 12;
        let more = if rows.len() > MAX_ROWS { "\n    # …" } else { "" };
        let body: String = rows.iter().take(MAX_ROWS).map(|r| format!("\n    {r}")).collect();
        let colon = if rows.is_empty() { "" } else { ":" };
        format!("{word} {}{generics}{colon}{body}{more}", adt.name)
    }

    fn generics_text(&self, generics: &[Generic]) -> String {
        let own: Vec<String> = generics
            .iter()
            .filter(|g| &*g.name != "Self")
            .map(|g| {
                let bounds: Vec<String> = g.bounds.iter().map(|b| self.bound_text(b)).collect();
                if bounds.is_empty() { g.name.to_string() } else { format!("{}: {}", g.name, bounds.join(" + ")) }
            })
            .collect();
        if own.is_empty() { String::new() } else { format!("<{}>", own.join(", ")) }
    }

    fn bound_text(&self, bound: &Bound) -> String {
        match bound {
            Bound::Trait(id, args) if args.is_empty() => self.program.traits[id.index()].name.to_string(),
            Bound::Trait(id, args) => {
                let args: Vec<String> = args.iter().map(|t| self.show(t)).collect();
                format!("{}<{}>", self.program.traits[id.index()].name, args.join(", "))
            }
            Bound::Integer => "Integer".into(),
            Bound::Floating => "Floating".into(),
            Bound::Number => "Number".into(),
            Bound::Actor => "Actor".into(),
        }
    }

    fn declaration(&self, id: FnId, sources: &SourceMap) -> String {
        let def = self.program.func(id);
        let word = match def.kind {
            FnKind::Plain => "fn",
            FnKind::Async => "async fn",
            FnKind::Spawn => "spawn fn",
        };
        let owner = def.name.rsplit_once('.').map_or(String::new(), |(owner, _)| format!("  # of {owner}"));
        let shown_self = usize::from(self.fns[id.index()].is_handler);
        let params: Vec<String> = def.params.iter().skip(shown_self).map(|p| self.param_text(p, sources)).collect();
        format!(
            "{word} {}{}({}){}{owner}",
            short(&def.name),
            self.generics_text(&def.generics),
            params.join(", "),
            self.ret_text(def)
        )
    }

    fn ret_text(&self, def: &FnDef) -> String {
        match &def.ret {
            Ty::Unit => String::new(),
            ty => format!(" -> {}", self.show(ty)),
        }
    }

    fn param_text(&self, p: &hir::Param, sources: &SourceMap) -> String {
        let mode = match p.mode {
            ParamMode::Value => "",
            ParamMode::Ref => "&",
            ParamMode::RefMut => "&mut ",
        };
        if &*p.name == "self" {
            return format!("{mode}self");
        }
        let value = |func: FnId| format!(" = {}", cut(sources.slice(self.program.func(func).span)));
        let default = p.default.map_or(String::new(), value);
        format!("{}: {mode}{}{default}", p.name, self.show(&p.ty))
    }

    /// What a call of the entity takes. `None` for what cannot be called.
    pub fn signature(&self, entity: Entity, sources: &SourceMap) -> Option<Signature> {
        let doc = self.doc(entity, sources);
        let (name, params, ret) = match entity {
            Entity::Fn(id) => {
                let def = self.program.func(id);
                let params = def
                    .params
                    .iter()
                    .enumerate()
                    .filter(|(i, p)| !(*i == 0 && &*p.name == "self"))
                    .map(|(_, p)| Param {
                        name: p.name.clone(),
                        text: self.param_text(p, sources),
                        has_default: p.default.is_some(),
                    })
                    .collect();
                (short(&def.name).to_string(), params, self.ret_text(def))
            }
            Entity::Adt(id) => (self.program.adt(id).name.to_string(), self.field_params(id, None), String::new()),
            Entity::Variant { adt, variant } => {
                (self.name_of(entity).to_string(), self.field_params(adt, Some(variant)), String::new())
            }
            Entity::Local(at) => {
                let Ty::Fn(params, ret) = &self.locals.get(&at)?.ty else { return None };
                let params = params
                    .iter()
                    .map(|t| Param { name: Rc::from(""), text: self.show(t), has_default: false })
                    .collect();
                (self.name_of(entity).to_string(), params, format!(" -> {}", self.show(ret)))
            }
            _ => return None,
        };
        let params: Vec<Param> = params;
        let list = params.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(", ");
        Some(Signature { label: format!("{name}({list}){ret}"), params, doc })
    }

    fn field_params(&self, adt: AdtId, variant: Option<u32>) -> Vec<Param> {
        let fields = self.program.fields_of(adt, variant);
        let text = |f: &FieldDef| {
            let default = if f.default.is_some() { " = …" } else { "" };
            format!("{}{default}", self.field_text(f))
        };
        fields.iter().map(|f| Param { name: f.name.clone(), text: text(f), has_default: f.default.is_some() }).collect()
    }

    /// The `///` lines above a declaration, attributes in between left out; for a module its file's first ones.
    pub fn doc(&self, entity: Entity, sources: &SourceMap) -> Option<String> {
        if let Entity::Module(id) = entity {
            return self.modules.get(id.index())?.ast.doc.clone();
        }
        if let Entity::Local(_) = entity {
            return None;
        }
        let at = self.place(entity);
        let text = sources.text(at.source);
        let line = text.get(..at.start as usize)?.rfind('\n')?;
        let mut lines: Vec<&str> = Vec::new();
        for above in text[..line].rsplit('\n') {
            let above = above.trim();
            match above.strip_prefix("///") {
                Some(doc) if !doc.starts_with('/') => lines.push(doc.strip_prefix(' ').unwrap_or(doc)),
                _ if above.starts_with('@') && lines.is_empty() && !declares(above) => {}
                _ => break,
            }
        }
        lines.reverse();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// Whether a line with attributes has the declaration behind them.
fn declares(line: &str) -> bool {
    let words = ["fn", "struct", "enum", "trait", "actor", "impl", "const", "type", "shared"];
    line.split(' ').any(|word| words.contains(&word))
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// A value's text, when it is long its beginning.
fn cut(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= MAX_CHARS && line.len() == text.len() {
        return line.to_string();
    }
    format!("{}…", line.chars().take(MAX_CHARS).collect::<String>())
}
