//! A module from text. The counterpart of `disasm`.
//!
//! Two passes over the rows: the first learns names, so that the second may refer to what comes later.

use std::collections::HashMap;

use pest::iterators::Pair;

use super::parse::{Asm, AsmError, Rule, error, next, number, numbered, parse, text};
use crate::instr::{Instr, Opcode};
use crate::module::*;
use crate::operand::*;

/// The module that `source` describes, not verified. A row out of order, an unknown name or a wrong operand gives an error with its place.
pub fn assemble(source: &str) -> Result<Module, AsmError> {
    let rows: Vec<Pair<Rule>> = parse(source)?.into_inner().collect();
    let mut asm = Assembler::default();
    rows.iter().try_for_each(|row| asm.learn(row))?;
    rows.into_iter().try_for_each(|row| asm.row(row))?;
    Ok(asm.module)
}

#[derive(Default)]
struct Assembler {
    module: Module,
    names: HashMap<Table, Rows>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Table {
    Functions,
    Natives,
    Globals,
    Methods,
    Strings,
}

/// Rows by name, `None` for a name that several have, and how many there are.
#[derive(Default)]
struct Rows {
    by_name: HashMap<String, Option<u32>>,
    n_rows: u32,
}

impl Table {
    fn letter(self) -> &'static str {
        match self {
            Table::Functions => "f",
            Table::Natives => "n",
            Table::Globals => "g",
            Table::Methods => "m",
            Table::Strings => "s",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Table::Functions => "function",
            Table::Natives => "native",
            Table::Globals => "global",
            Table::Methods => "method",
            Table::Strings => "string",
        }
    }
}

impl Assembler {
    fn learn(&mut self, row: &Pair<Rule>) -> Asm<()> {
        let table = match row.as_rule() {
            Rule::func => Table::Functions,
            Rule::native => Table::Natives,
            Rule::global => Table::Globals,
            Rule::method => Table::Methods,
            Rule::text_row => Table::Strings,
            _ => return Ok(()),
        };
        let mut inner = row.clone().into_inner();
        let index = next(row, &mut inner)?;
        let name = text(&next(row, &mut inner)?)?;
        let rows = self.names.entry(table).or_default();
        expect_row(&index, table.letter(), table.what(), rows.n_rows as usize)?;
        if table == Table::Strings {
            // All of them first: those that only instructions mention come behind.
            self.module.strings.push(name.clone());
        }
        rows.add(name);
        Ok(())
    }

    fn row(&mut self, row: Pair<Rule>) -> Asm<()> {
        let mut inner = row.clone().into_inner();
        let inner = &mut inner;
        match row.as_rule() {
            Rule::file => {
                expect_row(&next(&row, inner)?, "", "file", self.module.files.len())?;
                self.module.files.push(text(&next(&row, inner)?)?);
            }
            Rule::type_row => {
                expect_row(&next(&row, inner)?, "t", "type", self.module.types.len())?;
                let desc = self.type_desc(next(&row, inner)?)?;
                self.module.types.push(desc);
            }
            Rule::scalar => {
                expect_row(&next(&row, inner)?, "c", "scalar", self.module.scalars.len())?;
                let value = next(&row, inner)?;
                // Negative ones are written as people write them.
                let scalar = number::<u64>(&value).or_else(|_| number::<i64>(&value).map(i64::cast_unsigned))?;
                self.module.scalars.push(scalar);
            }
            Rule::blob => {
                expect_row(&next(&row, inner)?, "b", "blob", self.module.blobs.len())?;
                let hex = next(&row, inner)?.into_inner().as_str().to_owned();
                let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
                self.module.blobs.push(digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect());
            }
            Rule::native => self.native(&row)?,
            Rule::global => {
                next(&row, inner)?;
                let name = text(&next(&row, inner)?)?;
                let ty = ty(&next(&row, inner)?)?;
                self.module.globals.push(Global { name, ty, zone: inner.next().is_some() });
            }
            Rule::method => self.method(&row)?,
            Rule::fault => {
                let name = text(&next(&row, inner)?)?;
                let ty = ty(&next(&row, inner)?)?;
                self.module.faults.push((name, ty));
            }
            Rule::error_message => {
                self.module.error_message = Some(MethodId(numbered(&next(&row, inner)?, "m", "method")?));
            }
            Rule::entry => self.module.entry = self.func(&next(&row, inner)?)?,
            Rule::func => {
                let function = self.function(&row)?;
                self.module.functions.push(function);
            }
            _ => {}
        }
        Ok(())
    }

    fn native(&mut self, row: &Pair<Rule>) -> Asm<()> {
        let mut inner = row.clone().into_inner().skip(1);
        let name = text(&next(row, &mut inner)?)?;
        let type_args = types(next(row, &mut inner)?)?;
        let params = params(next(row, &mut inner)?)?;
        let params = params.into_iter().map(|(inout, ty)| NativeParam { ty, inout }).collect();
        let ret = ty(&next(row, &mut inner)?)?;
        self.module.natives.push(NativeImport { name, type_args, params, ret });
        Ok(())
    }

    fn method(&mut self, row: &Pair<Rule>) -> Asm<()> {
        let mut inner = row.clone().into_inner().skip(1);
        let name = text(&next(row, &mut inner)?)?;
        let params = params(next(row, &mut inner)?)?;
        let ret = ty(&next(row, &mut inner)?)?;
        let mut impls = Vec::new();
        for pair in inner {
            let mut parts = pair.clone().into_inner();
            impls.push((ty(&next(&pair, &mut parts)?)?, self.func(&next(&pair, &mut parts)?)?));
        }
        let inout = (0u16..).zip(&params).filter(|(_, (inout, _))| *inout).map(|(i, _)| i).collect();
        let params = params.into_iter().map(|(_, ty)| ty).collect();
        self.module.methods.push(Method { name, params, inout, ret, impls });
        Ok(())
    }

    /// A `func_ref`.
    fn func(&mut self, pair: &Pair<Rule>) -> Asm<FuncId> {
        let reference = next(pair, &mut pair.clone().into_inner())?;
        self.find(Table::Functions, &reference).map(FuncId)
    }

    /// The row that `@name` or `f3` means.
    fn find(&mut self, table: Table, pair: &Pair<Rule>) -> Asm<u32> {
        let name = match pair.as_rule() {
            Rule::at => {
                let name = next(pair, &mut pair.clone().into_inner())?;
                if name.as_rule() == Rule::text { text(&name)? } else { name.as_str().to_owned() }
            }
            Rule::text => text(pair)?,
            _ => return numbered(pair, table.letter(), table.what()),
        };
        let rows = self.names.entry(table).or_default();
        match rows.by_name.get(&name) {
            Some(Some(row)) => Ok(*row),
            Some(None) => {
                Err(error(pair, format!("{} {name:?} is there more than once, use its number", table.what())))
            }
            None => Err(error(pair, format!("there is no {} {name:?}", table.what()))),
        }
    }

    // --- types ---

    fn type_desc(&mut self, pair: Pair<Rule>) -> Asm<TypeDesc> {
        let mut inner = pair.clone().into_inner();
        let inner = &mut inner;
        Ok(match pair.as_rule() {
            Rule::tuple => TypeDesc::Tuple(types(next(&pair, inner)?)?),
            Rule::structure => {
                TypeDesc::Struct { name: text(&next(&pair, inner)?)?, fields: fields(&next(&pair, inner)?)? }
            }
            Rule::enumeration => {
                let name = text(&next(&pair, inner)?)?;
                let mut variants = Vec::new();
                for variant in inner {
                    let mut parts = variant.clone().into_inner();
                    let name = text(&next(&variant, &mut parts)?)?;
                    let fields = parts.next().map_or(Ok(Vec::new()), |list| fields(&list))?;
                    variants.push(VariantDesc { name, fields });
                }
                TypeDesc::Enum { name, variants }
            }
            Rule::vec => TypeDesc::Vec(ty(&next(&pair, inner)?)?),
            Rule::map => TypeDesc::Map(ty(&next(&pair, inner)?)?, ty(&next(&pair, inner)?)?),
            Rule::set => TypeDesc::Set(ty(&next(&pair, inner)?)?),
            Rule::function => TypeDesc::Fn { params: types(next(&pair, inner)?)?, ret: ty(&next(&pair, inner)?)? },
            Rule::dynamic => TypeDesc::Dyn { trait_name: text(&next(&pair, inner)?)? },
            Rule::tensor => {
                let elem = |word: Pair<Rule>| {
                    let found = Elem::ALL.into_iter().find(|elem| elem.name() == word.as_str());
                    found.ok_or_else(|| error(&word, format!("{} is no element type", word.as_str())))
                };
                TypeDesc::Tensor { elem: inner.next().map(elem).transpose()? }
            }
            Rule::opaque => TypeDesc::Opaque { name: text(&next(&pair, inner)?)?, args: types(next(&pair, inner)?)? },
            Rule::actor => TypeDesc::Actor(Box::new(self.actor(&pair)?)),
            _ => match pair.as_str().trim() {
                "Unit" => TypeDesc::Unit,
                "Bool" => TypeDesc::Bool,
                "Duration" => TypeDesc::Duration,
                "Instant" => TypeDesc::Instant,
                "String" => TypeDesc::Str,
                "Bytes" => TypeDesc::Bytes,
                name => TypeDesc::Number(kind(&pair, name)?),
            },
        })
    }

    fn actor(&mut self, pair: &Pair<Rule>) -> Asm<ActorDesc> {
        let mut inner = pair.clone().into_inner();
        let mut actor = ActorDesc {
            name: text(&next(pair, &mut inner)?)?,
            fields: fields(&next(pair, &mut inner)?)?,
            handlers: Vec::new(),
            has_receive: false,
            on_start: None,
            on_stop: None,
            on_error: None,
        };
        for part in inner {
            let mut parts = part.clone().into_inner();
            match part.as_rule() {
                Rule::receive => actor.has_receive = true,
                Rule::hook => {
                    let name = next(&part, &mut parts)?;
                    let hook = match name.as_str() {
                        "on_start" => &mut actor.on_start,
                        "on_stop" => &mut actor.on_stop,
                        _ => &mut actor.on_error,
                    };
                    *hook = Some(self.func(&next(&part, &mut parts)?)?);
                }
                _ => actor.handlers.push(HandlerDesc {
                    name: text(&next(&part, &mut parts)?)?,
                    func: self.func(&next(&part, &mut parts)?)?,
                    message: ty(&next(&part, &mut parts)?)?,
                    ret: ty(&next(&part, &mut parts)?)?,
                    batch: parts.next().map(|pair| batch(&pair)).transpose()?,
                }),
            }
        }
        Ok(actor)
    }

    // --- functions ---

    fn function(&mut self, row: &Pair<Rule>) -> Asm<Function> {
        let mut inner = row.clone().into_inner().skip(1);
        let mut function = Function {
            name: text(&next(row, &mut inner)?)?,
            ret: ty(&next(row, &mut inner)?)?,
            n_out: number(&next(row, &mut inner)?)?,
            ..Function::default()
        };
        let lines: Vec<Pair<Rule>> = inner.collect();
        let labels = labels(&lines)?;
        let mut pc = 0;
        for line in lines {
            let mut parts = line.clone().into_inner();
            let parts = &mut parts;
            match line.as_rule() {
                Rule::register => register(&mut function, &line)?,
                Rule::name => {
                    let reg = reg(&next(&line, parts)?)?;
                    function.debug_names.push((reg, text(&next(&line, parts)?)?));
                }
                Rule::handler => function.handlers.push(Handler {
                    start: target(&labels, &next(&line, parts)?)?.0,
                    end: target(&labels, &next(&line, parts)?)?.0,
                    target: target(&labels, &next(&line, parts)?)?,
                    err: reg(&next(&line, parts)?)?,
                }),
                Rule::at_line => function.lines.push(Line {
                    pc,
                    file: number(&next(&line, parts)?)?,
                    line: number(&next(&line, parts)?)?,
                    col: number(&next(&line, parts)?)?,
                }),
                Rule::instr => {
                    function.code.push(self.instr(&labels, &line)?);
                    pc += 1;
                }
                _ => {}
            }
        }
        Ok(function)
    }

    fn instr(&mut self, labels: &Labels, line: &Pair<Rule>) -> Asm<Instr> {
        let mut parts = line.clone().into_inner();
        let mnemonic = next(line, &mut parts)?;
        let op = Opcode::from_mnemonic(mnemonic.as_str())
            .ok_or_else(|| error(&mnemonic, format!("there is no instruction `{}`", mnemonic.as_str())))?;
        let given: Vec<Pair<Rule>> = parts.collect();
        let roles = op.roles();
        let wrong_count =
            || error(line, format!("`{}` has {} operands: {}", op.mnemonic(), roles.len(), op.fields().join(", ")));
        if given.len() != roles.len() {
            return Err(wrong_count());
        }
        let mut operands = Vec::with_capacity(roles.len());
        for (&role, pair) in roles.iter().zip(&given) {
            operands.push(self.operand(labels, role, &next(pair, &mut pair.clone().into_inner())?)?);
        }
        Instr::from_operands(op, &operands).ok_or_else(wrong_count)
    }

    fn operand(&mut self, labels: &Labels, role: Role, pair: &Pair<Rule>) -> Asm<Operand> {
        Ok(match role {
            Role::Def => Operand::Def(reg(pair)?),
            Role::Use => Operand::Use(reg(pair)?),
            Role::Take => Operand::Take(reg(pair)?),
            Role::Change => Operand::Change(reg(pair)?),
            Role::Imm => Operand::Imm(number(pair)?),
            Role::Imm8 => Operand::Imm8(number(pair)?),
            Role::Out => Operand::Out(Out(numbered(pair, "o", "outgoing slot")?)),
            Role::Target => Operand::Target(target(labels, pair)?),
            Role::FuncId => Operand::FuncId(FuncId(self.find(Table::Functions, pair)?)),
            Role::NativeId => Operand::NativeId(NativeId(self.find(Table::Natives, pair)?)),
            Role::GlobalId => Operand::GlobalId(GlobalId(self.find(Table::Globals, pair)?)),
            Role::MethodId => Operand::MethodId(MethodId(self.find(Table::Methods, pair)?)),
            Role::StrId => Operand::StrId(self.string(pair)?),
            Role::TypeId => Operand::TypeId(ty(pair)?),
            Role::ScalarId => Operand::ScalarId(ScalarId(numbered(pair, "c", "scalar")?)),
            Role::BlobId => Operand::BlobId(BlobId(numbered(pair, "b", "blob")?)),
            Role::Field => Operand::Field(Field(number(pair)?)),
            Role::Variant => Operand::Variant(Variant(number(pair)?)),
            Role::Count => Operand::Count(Count(number(pair)?)),
            Role::Payload => {
                let parts = pair.as_str().split_once('.');
                let parts = parts.and_then(|(variant, field)| Some((variant.parse().ok()?, field.parse().ok()?)));
                let (variant, field) = parts
                    .ok_or_else(|| error(pair, format!("`{}` is no payload, which looks like 1.0", pair.as_str())))?;
                Operand::Payload(Payload { variant, field })
            }
            Role::Kind => Operand::Kind(kind(pair, pair.as_str())?),
        })
    }

    /// A text that no row has is added behind the last one.
    fn string(&mut self, pair: &Pair<Rule>) -> Asm<StrId> {
        if pair.as_rule() == Rule::text {
            let string = text(pair)?;
            let rows = self.names.entry(Table::Strings).or_default();
            if !rows.by_name.contains_key(&string) {
                rows.add(string.clone());
                self.module.strings.push(string);
            }
        }
        self.find(Table::Strings, pair).map(StrId)
    }
}

impl Rows {
    fn add(&mut self, name: String) {
        let row = self.n_rows;
        self.by_name.entry(name).and_modify(|row| *row = None).or_insert(Some(row));
        self.n_rows += 1;
    }
}

/// Labels are read before the instructions that name them.
type Labels<'a> = HashMap<&'a str, u32>;

fn labels<'a>(lines: &[Pair<'a, Rule>]) -> Asm<Labels<'a>> {
    let mut labels = Labels::new();
    let mut pc = 0;
    for line in lines {
        match line.as_rule() {
            Rule::instr => pc += 1,
            Rule::label => {
                let name = next(line, &mut line.clone().into_inner())?;
                if labels.insert(name.as_str(), pc).is_some() {
                    return Err(error(line, format!("label {} is there twice", name.as_str())));
                }
            }
            _ => {}
        }
    }
    Ok(labels)
}

fn target(labels: &Labels, pair: &Pair<Rule>) -> Asm<Target> {
    match labels.get(pair.as_str()) {
        Some(&pc) => Ok(Target(pc)),
        None => Err(error(pair, format!("there is no label {} in this function", pair.as_str()))),
    }
}

fn register(function: &mut Function, line: &Pair<Rule>) -> Asm<()> {
    let mut parts = line.clone().into_inner();
    let class = next(line, &mut parts)?;
    let index = next(line, &mut parts)?;
    let row = function.registers.len();
    expect_row(&index, "r", "register", row)?;
    let position = u16::try_from(row).map_err(|_| error(line, "a function has 65536 registers at most"))?;
    let out_of_order = || error(&class, "parameters come first, then captured values, then other registers");
    match class.as_str() {
        "reg" => {}
        "part" => function.lent.push(position),
        _ if usize::from(function.n_params) != row => return Err(out_of_order()),
        "capture" => function.n_captures += 1,
        _ if function.n_captures > 0 => return Err(out_of_order()),
        "inout" => function.inout.push(position),
        "lent" => function.lent.push(position),
        _ => {}
    }
    if !matches!(class.as_str(), "reg" | "part") {
        function.n_params = position.checked_add(1).ok_or_else(out_of_order)?;
    }
    function.registers.push(ty(&next(line, &mut parts)?)?);
    if let Some(name) = parts.next() {
        function.debug_names.push((Reg(position), text(&name)?));
    }
    Ok(())
}

/// The number in front of a row must be its position.
fn expect_row(pair: &Pair<Rule>, letter: &str, what: &str, row: usize) -> Asm<()> {
    let found: u64 = numbered(pair, letter, what)?;
    if found != row as u64 {
        return Err(error(pair, format!("the next {what} is {letter}{row}, not {}", pair.as_str())));
    }
    Ok(())
}

fn reg(pair: &Pair<Rule>) -> Asm<Reg> {
    numbered(pair, "r", "register").map(Reg)
}

fn ty(pair: &Pair<Rule>) -> Asm<TypeId> {
    numbered(pair, "t", "type").map(TypeId)
}

fn types(pair: Pair<Rule>) -> Asm<Vec<TypeId>> {
    pair.into_inner().map(|pair| ty(&pair)).collect()
}

fn kind(pair: &Pair<Rule>, name: &str) -> Asm<Kind> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| error(pair, format!("`{name}` is no number type")))
}

fn params(pair: Pair<Rule>) -> Asm<Vec<(bool, TypeId)>> {
    let param = |pair: Pair<Rule>| {
        let parts: Vec<Pair<Rule>> = pair.clone().into_inner().collect();
        match &parts[..] {
            [index] => Ok((false, ty(index)?)),
            [_, index] => Ok((true, ty(index)?)),
            _ => Err(error(&pair, "this is no parameter")),
        }
    };
    pair.into_inner().map(param).collect()
}

fn fields(pair: &Pair<Rule>) -> Asm<Vec<FieldDesc>> {
    let field = |pair: Pair<Rule>| {
        let mut parts = pair.clone().into_inner();
        Ok(FieldDesc { name: text(&next(&pair, &mut parts)?)?, ty: ty(&next(&pair, &mut parts)?)? })
    };
    pair.clone().into_inner().map(field).collect()
}

fn batch(pair: &Pair<Rule>) -> Asm<BatchDesc> {
    let mut inner = pair.clone().into_inner();
    let mut batch = BatchDesc {
        max_size: number(&next(pair, &mut inner)?)?,
        max_delay_ns: number(&next(pair, &mut inner)?)?,
        as_vec: false,
        dims: None,
        cat: false,
    };
    for part in inner {
        match part.as_rule() {
            Rule::as_vec => batch.as_vec = true,
            Rule::cat => batch.cat = true,
            _ => {
                let size = |pair: Pair<Rule>| if pair.as_str() == "_" { Ok(None) } else { number(&pair).map(Some) };
                batch.dims = Some(part.into_inner().map(size).collect::<Asm<_>>()?);
            }
        }
    }
    Ok(batch)
}
