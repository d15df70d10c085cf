//! A module as text. The counterpart of `assemble`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::is_plain;
use crate::instr::Instr;
use crate::module::*;
use crate::operand::*;

/// The text of `module`. For a verified module `assemble` gives it back exactly; one that is not verified can be looked at too.
pub fn disasm(module: &Module) -> String {
    let mut text = Text { module, out: String::new(), names: Names::new(module) };
    text.tables();
    for i in 0..module.functions.len() {
        text.function(i);
    }
    text.out
}

/// The row of each name that only one row has.
struct Names<'m> {
    functions: HashMap<&'m str, usize>,
    natives: HashMap<&'m str, usize>,
    globals: HashMap<&'m str, usize>,
    methods: HashMap<&'m str, usize>,
    strings: HashMap<&'m str, usize>,
}

fn unique<'m>(names: impl Iterator<Item = &'m str>) -> HashMap<&'m str, usize> {
    let mut rows: HashMap<&str, Option<usize>> = HashMap::new();
    for (i, name) in names.enumerate() {
        rows.entry(name).and_modify(|row| *row = None).or_insert(Some(i));
    }
    rows.into_iter().filter_map(|(name, row)| Some((name, row?))).collect()
}

impl<'m> Names<'m> {
    fn new(module: &'m Module) -> Self {
        Names {
            functions: unique(module.functions.iter().map(|row| row.name.as_str())),
            natives: unique(module.natives.iter().map(|row| row.name.as_str())),
            globals: unique(module.globals.iter().map(|row| row.name.as_str())),
            methods: unique(module.methods.iter().map(|row| row.name.as_str())),
            strings: unique(module.strings.iter().map(String::as_str)),
        }
    }
}

struct Text<'m> {
    module: &'m Module,
    out: String,
    names: Names<'m>,
}

/// Writing to a `String` cannot fail.
macro_rules! put {
    ($text:expr, $($arg:tt)*) => { { let _ = write!($text.out, $($arg)*); } };
}

impl Text<'_> {
    fn tables(&mut self) {
        let module = self.module;
        put!(self, "; STARK bytecode. Assemble with: stark asm\n");
        for (i, file) in module.files.iter().enumerate() {
            put!(self, "file {i} = {}\n", quoted(file));
        }
        for (i, desc) in module.types.iter().enumerate() {
            let desc = self.type_desc(desc);
            put!(self, "type t{i} = {desc}");
            if !matches!(desc.as_str(), "Unit" | "Bool") && desc.contains(' ') {
                self.comment(&module.type_name(TypeId(i as u32)));
            }
            self.out.push('\n');
        }
        for (i, scalar) in module.scalars.iter().enumerate() {
            put!(self, "scalar c{i} = {scalar:#x} ; {} or {:?}\n", scalar.cast_signed(), f64::from_bits(*scalar));
        }
        for (i, string) in module.strings.iter().enumerate() {
            put!(self, "string s{i} = {}\n", quoted(string));
        }
        for (i, blob) in module.blobs.iter().enumerate() {
            put!(self, "blob b{i} = x\"");
            for byte in blob {
                put!(self, "{byte:02x}");
            }
            put!(self, "\"\n");
        }
        for (i, native) in module.natives.iter().enumerate() {
            let params: Vec<String> = native.params.iter().map(|param| param_ty(param.inout, param.ty)).collect();
            let (name, types) = (quoted(&native.name), types(&native.type_args));
            put!(self, "native n{i} = {name} <{types}> ({}) -> t{}\n", params.join(", "), native.ret.0);
        }
        for (i, global) in module.globals.iter().enumerate() {
            let zone = if global.zone { " zone" } else { "" };
            put!(self, "global g{i} = {}: t{}{zone}\n", quoted(&global.name), global.ty.0);
        }
        for (i, method) in module.methods.iter().enumerate() {
            let is_inout = |i: usize| method.inout.iter().any(|&position| usize::from(position) == i);
            let params: Vec<String> =
                method.params.iter().enumerate().map(|(i, &ty)| param_ty(is_inout(i), ty)).collect();
            let impls: Vec<String> =
                method.impls.iter().map(|&(ty, func)| format!("t{}: {}", ty.0, self.func(func))).collect();
            let (name, params, impls) = (quoted(&method.name), params.join(", "), impls.join(", "));
            put!(self, "method m{i} = {name} ({params}) -> t{} {{ {impls} }}\n", method.ret.0);
        }
        for (name, ty) in &module.faults {
            put!(self, "fault {} = t{}\n", quoted(name), ty.0);
        }
        if let Some(method) = module.error_message {
            put!(self, "error_message m{}\n", method.0);
        }
        let entry = self.func(module.entry);
        put!(self, "entry {entry}\n");
    }

    fn type_desc(&self, desc: &TypeDesc) -> String {
        match desc {
            TypeDesc::Unit => "Unit".to_owned(),
            TypeDesc::Bool => "Bool".to_owned(),
            TypeDesc::Number(kind) => kind.name().to_owned(),
            TypeDesc::Duration => "Duration".to_owned(),
            TypeDesc::Instant => "Instant".to_owned(),
            TypeDesc::Str => "String".to_owned(),
            TypeDesc::Bytes => "Bytes".to_owned(),
            TypeDesc::Tuple(parts) => format!("Tuple ({})", types(parts)),
            TypeDesc::Struct { name, fields: list } => format!("Struct {} {}", quoted(name), fields(list)),
            TypeDesc::Enum { name, variants } => {
                let variant = |variant: &VariantDesc| match variant.fields.is_empty() {
                    true => quoted(&variant.name),
                    false => format!("{} {}", quoted(&variant.name), fields(&variant.fields)),
                };
                let variants: Vec<String> = variants.iter().map(variant).collect();
                format!("Enum {} {{ {} }}", quoted(name), variants.join(", "))
            }
            TypeDesc::Vec(elem) => format!("Vec t{}", elem.0),
            TypeDesc::Map(key, value) => format!("Map t{} t{}", key.0, value.0),
            TypeDesc::Set(elem) => format!("Set t{}", elem.0),
            TypeDesc::Fn { params, ret } => format!("Fn ({}) -> t{}", types(params), ret.0),
            TypeDesc::Dyn { trait_name } => format!("Dyn {}", quoted(trait_name)),
            TypeDesc::Tensor { elem: Some(elem) } => format!("Tensor {}", elem.name()),
            TypeDesc::Tensor { elem: None } => "Tensor".to_owned(),
            TypeDesc::Opaque { name, args } => format!("Opaque {} ({})", quoted(name), types(args)),
            TypeDesc::Actor(actor) => self.actor(actor),
        }
    }

    fn actor(&self, actor: &ActorDesc) -> String {
        let mut text = format!("Actor {} {}", quoted(&actor.name), fields(&actor.fields));
        if actor.has_receive {
            text += " receive";
        }
        for (name, hook) in [("on_start", actor.on_start), ("on_stop", actor.on_stop), ("on_error", actor.on_error)] {
            if let Some(hook) = hook {
                text += &format!(" {name} {}", self.func(hook));
            }
        }
        let handler = |row: &HandlerDesc| {
            let func = self.func(row.func);
            let mut text = format!("{} {func} t{} -> t{}", quoted(&row.name), row.message.0, row.ret.0);
            if let Some(batch) = &row.batch {
                text += &format!(" batch {} {}", batch.max_size, batch.max_delay_ns);
                text += if batch.as_vec { " vec" } else { "" };
                if let Some(dims) = &batch.dims {
                    let sizes: Vec<String> =
                        dims.iter().map(|dim| dim.map_or("_".to_string(), |size| size.to_string())).collect();
                    text += &format!(" shape [{}]", sizes.join(" "));
                }
                text += if batch.cat { " cat" } else { "" };
            }
            text
        };
        let handlers: Vec<String> = actor.handlers.iter().map(handler).collect();
        format!("{text} [ {} ]", handlers.join(", "))
    }

    fn function(&mut self, i: usize) {
        let module = self.module;
        let function = &module.functions[i];
        put!(self, "\nfunc f{i} = {} -> t{} out {} {{\n", quoted(&function.name), function.ret.0, function.n_out);
        let inline_names = function.debug_names.is_sorted_by(|a, b| a.0 < b.0);
        for (i, &ty) in function.registers.iter().enumerate() {
            let (n_params, n_captures) = (usize::from(function.n_params), usize::from(function.n_captures));
            let class = match i {
                _ if function.inout.iter().any(|&position| usize::from(position) == i) => "inout",
                _ if i >= n_params && function.is_lent(Reg(i as u16)) => "part",
                _ if i >= n_params => "reg",
                _ if function.is_lent(Reg(i as u16)) => "lent",
                _ if i + n_captures >= n_params => "capture",
                _ => "param",
            };
            put!(self, "  {class} r{i}: t{}", ty.0);
            if let (true, Ok(row)) = (inline_names, function.debug_names.binary_search_by_key(&i, |row| row.0.index()))
            {
                put!(self, " {}", quoted(&function.debug_names[row].1));
            }
            self.comment(&module.type_name(ty));
            self.out.push('\n');
        }
        if !inline_names {
            for (reg, name) in &function.debug_names {
                put!(self, "  name r{} {}\n", reg.0, quoted(name));
            }
        }

        let labels = labels(function);
        let label = |pc: u32| labels.get(&pc).map_or_else(|| format!("pc{pc}"), |label| format!("L{label}"));
        for handler in &function.handlers {
            let (start, end, target) = (label(handler.start), label(handler.end), label(handler.target.0));
            put!(self, "  handler {start} .. {end} -> {target} r{}\n", handler.err.0);
        }
        let mut lines = function.lines.iter().peekable();
        for pc in 0..=function.code.len() as u32 {
            if let Some(label) = labels.get(&pc) {
                put!(self, "L{label}:\n");
            }
            while let Some(line) = lines.next_if(|line| line.pc <= pc) {
                put!(self, "  .line {}:{}:{}", line.file, line.line, line.col);
                if let Some(file) = module.files.get(line.file as usize) {
                    self.comment(&format!("{file}:{}:{}", line.line, line.col));
                }
                self.out.push('\n');
            }
            if let Some(instr) = function.code.get(pc as usize) {
                self.instr(function, instr, &label);
            }
        }
        put!(self, "}}\n");
    }

    fn instr(&mut self, function: &Function, instr: &Instr, label: &impl Fn(u32) -> String) {
        put!(self, "    {}", instr.opcode().mnemonic());
        for (i, operand) in instr.operands().enumerate() {
            let comma = if i == 0 { " " } else { ", " };
            let operand = self.operand(operand, label);
            put!(self, "{comma}{operand}");
        }
        if let Some(note) = self.note(function, instr) {
            self.comment(&note);
        }
        self.out.push('\n');
    }

    fn operand(&self, operand: Operand, label: &impl Fn(u32) -> String) -> String {
        let module = self.module;
        match operand {
            Operand::Def(reg) | Operand::Use(reg) | Operand::Take(reg) | Operand::Change(reg) => format!("r{}", reg.0),
            Operand::Imm(imm) => imm.to_string(),
            Operand::Imm8(imm) => imm.to_string(),
            Operand::Out(out) => format!("o{}", out.0),
            Operand::Target(to) => label(to.0),
            Operand::FuncId(id) => self.func(id),
            Operand::NativeId(id) => {
                reference('n', id.index(), module.natives.get(id.index()).map(|row| &row.name), &self.names.natives)
            }
            Operand::GlobalId(id) => {
                reference('g', id.index(), module.globals.get(id.index()).map(|row| &row.name), &self.names.globals)
            }
            Operand::MethodId(id) => {
                reference('m', id.index(), module.methods.get(id.index()).map(|row| &row.name), &self.names.methods)
            }
            Operand::StrId(id) => match module.strings.get(id.index()) {
                Some(text) if self.names.strings.contains_key(text.as_str()) => quoted(text),
                _ => format!("s{}", id.0),
            },
            Operand::TypeId(id) => format!("t{}", id.0),
            Operand::ScalarId(id) => format!("c{}", id.0),
            Operand::BlobId(id) => format!("b{}", id.0),
            Operand::Field(field) => field.0.to_string(),
            Operand::Variant(variant) => variant.0.to_string(),
            Operand::Count(count) => count.0.to_string(),
            Operand::Payload(at) => format!("{}.{}", at.variant, at.field),
            Operand::Kind(kind) => kind.name().to_owned(),
        }
    }

    /// What the numbers of an instruction mean, where a reader would have to look it up.
    fn note(&self, function: &Function, instr: &Instr) -> Option<String> {
        let module = self.module;
        let desc = |reg: Reg| module.types.get(function.registers.get(reg.index())?.index());
        instr.operands().find_map(|operand| match operand {
            Operand::ScalarId(id) => {
                let bits = *module.scalars.get(id.index())?;
                let is_float = instr.operands().find_map(Operand::reg).and_then(desc);
                let is_float = matches!(is_float, Some(TypeDesc::Number(kind)) if kind.is_float());
                Some(if is_float { format!("{:?}", f64::from_bits(bits)) } else { bits.cast_signed().to_string() })
            }
            Operand::TypeId(id) => Some(module.type_name(id)),
            Operand::NativeId(id)
                if !self.names.natives.contains_key(module.natives.get(id.index())?.name.as_str()) =>
            {
                Some(module.natives[id.index()].name.clone())
            }
            Operand::Field(field) => match desc(instr.operands().filter_map(Operand::reg).last()?)? {
                TypeDesc::Struct { fields, .. } => Some(fields.get(field.index())?.name.clone()),
                TypeDesc::Actor(actor) => Some(actor.fields.get(field.index())?.name.clone()),
                _ => None,
            },
            Operand::Payload(at) => match desc(instr.operands().filter_map(Operand::reg).last()?)? {
                TypeDesc::Enum { variants, .. } => Some(variants.get(usize::from(at.variant))?.name.clone()),
                _ => None,
            },
            Operand::Variant(variant) => match desc(instr.operands().find_map(Operand::reg)?)? {
                TypeDesc::Enum { variants, .. } => Some(variants.get(variant.index())?.name.clone()),
                _ => None,
            },
            _ => None,
        })
    }

    fn func(&self, id: FuncId) -> String {
        let name = self.module.functions.get(id.index()).map(|function| &function.name);
        reference('f', id.index(), name, &self.names.functions)
    }

    /// A name in a comment must not end the line.
    fn comment(&mut self, text: &str) {
        self.out.push_str(" ; ");
        self.out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
}

fn reference(letter: char, row: usize, name: Option<&String>, unique: &HashMap<&str, usize>) -> String {
    match name {
        Some(name) if unique.contains_key(name.as_str()) && is_plain(name) => format!("@{name}"),
        Some(name) if unique.contains_key(name.as_str()) => format!("@{}", quoted(name)),
        _ => format!("{letter}{row}"),
    }
}

/// The label of each position that a jump or handler names, numbered in the order of the code.
fn labels(function: &Function) -> BTreeMap<u32, usize> {
    let targets = function.code.iter().flat_map(Instr::operands).filter_map(|operand| match operand {
        Operand::Target(to) => Some(to.0),
        _ => None,
    });
    let borders = function.handlers.iter().flat_map(|handler| [handler.start, handler.end, handler.target.0]);
    let in_code = |&pc: &u32| pc as usize <= function.code.len();
    let mut labels: BTreeMap<u32, usize> = targets.chain(borders).filter(in_code).map(|pc| (pc, 0)).collect();
    labels.values_mut().enumerate().for_each(|(i, label)| *label = i);
    labels
}

fn types(list: &[TypeId]) -> String {
    list.iter().map(|ty| format!("t{}", ty.0)).collect::<Vec<_>>().join(", ")
}

fn param_ty(inout: bool, ty: TypeId) -> String {
    format!("{}t{}", if inout { "inout " } else { "" }, ty.0)
}

fn fields(list: &[FieldDesc]) -> String {
    let fields: Vec<String> = list.iter().map(|field| format!("{}: t{}", quoted(&field.name), field.ty.0)).collect();
    format!("{{ {} }}", fields.join(", "))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
