//! What is in each section, written and read side by side.
//!
//! Numbers are LEB128 in their shortest form, signed ones zigzag, text and lists have their length in front. `Code` holds plain
//! 32-bit words and `Scalars` plain 64-bit ones, so that they can be used where they lie.

use super::reader::{Read, Reader};
use super::writer::Writer;
use super::{FormatError, FormatErrorReason, Found, SectionKind};
use crate::module::*;
use crate::operand::*;
use crate::words;

/// All sections of a module, in the order of the file.
pub fn write(module: &Module) -> Vec<(SectionKind, Vec<u8>)> {
    let mut sections = Vec::new();
    let mut section = |kind, write: &dyn Fn(&mut Writer)| {
        let mut w = Writer::default();
        write(&mut w);
        sections.push((kind, w.bytes));
    };
    let code: Vec<Vec<u32>> = module.functions.iter().map(|function| words::encode_code(&function.code)).collect();

    section(SectionKind::Main, &|w| {
        w.number(module.entry.0);
        w.option(&module.error_message, |w, method| w.number(method.0));
    });
    section(SectionKind::Types, &|w| w.list(&module.types, write_type));
    section(SectionKind::Scalars, &|w| {
        w.bytes.extend(module.scalars.iter().flat_map(|scalar| scalar.to_le_bytes()));
    });
    section(SectionKind::Strings, &|w| w.list(&module.strings, |w, text| w.text(text)));
    section(SectionKind::Blobs, &|w| w.list(&module.blobs, |w, blob| w.bytes(blob)));
    section(SectionKind::Natives, &|w| w.list(&module.natives, write_native));
    section(SectionKind::Globals, &|w| {
        w.list(&module.globals, |w, global| {
            w.text(&global.name);
            w.ty(global.ty);
            w.flag(global.zone);
        });
    });
    section(SectionKind::Methods, &|w| w.list(&module.methods, write_method));
    section(SectionKind::Faults, &|w| {
        w.list(&module.faults, |w, (name, ty)| {
            w.text(name);
            w.ty(*ty);
        });
    });
    section(SectionKind::Functions, &|w| {
        w.count(module.functions.len());
        for (function, words) in module.functions.iter().zip(&code) {
            write_function(w, function, words.len());
        }
    });
    section(SectionKind::Code, &|w| {
        w.bytes.extend(code.iter().flatten().flat_map(|word| word.to_le_bytes()));
    });
    section(SectionKind::Lines, &|w| {
        w.list(&module.files, |w, file| w.text(file));
        w.list(&module.functions, |w, function| write_lines(w, &function.lines));
    });
    section(SectionKind::DebugNames, &|w| {
        w.list(&module.functions, |w, function| {
            w.list(&function.debug_names, |w, (reg, name)| {
                w.number(reg.0);
                w.text(name);
            });
        });
    });
    sections
}

/// The module in the sections of `bytes`. Without its optional sections it has no lines and no debug names.
pub fn read(bytes: &[u8], found: &Found) -> Result<Module, FormatError> {
    let find = |kind: SectionKind| {
        let section = found.iter().find(|section| section.kind == Some(kind))?;
        Some(section.reader(bytes))
    };
    let need = |kind: SectionKind| {
        let reason = FormatErrorReason::MissingSection;
        find(kind).ok_or(FormatError { section: kind.name(), offset: bytes.len() as u64, reason })
    };
    fn all<'a, T>(mut r: Reader<'a>, read: impl FnOnce(&mut Reader<'a>) -> Read<T>) -> Read<T> {
        let value = read(&mut r)?;
        r.end()?;
        Ok(value)
    }

    let (entry, error_message) =
        all(need(SectionKind::Main)?, |r| Ok((FuncId(r.number()?), r.option(|r| Ok(MethodId(r.number()?)))?)))?;
    let mut module = Module {
        types: all(need(SectionKind::Types)?, |r| r.list(1, read_type))?,
        scalars: all(need(SectionKind::Scalars)?, read_scalars)?,
        strings: all(need(SectionKind::Strings)?, |r| r.list(1, Reader::text))?,
        blobs: all(need(SectionKind::Blobs)?, |r| r.list(1, |r| Ok(r.bytes()?.to_vec())))?,
        natives: all(need(SectionKind::Natives)?, |r| r.list(4, read_native))?,
        globals: all(need(SectionKind::Globals)?, |r| {
            r.list(3, |r| Ok(Global { name: r.text()?, ty: r.ty()?, zone: r.flag()? }))
        })?,
        methods: all(need(SectionKind::Methods)?, |r| r.list(5, read_method))?,
        faults: all(need(SectionKind::Faults)?, |r| r.list(2, |r| Ok((r.text()?, r.ty()?))))?,
        functions: Vec::new(),
        files: Vec::new(),
        error_message,
        entry,
    };
    let mut code = need(SectionKind::Code)?;
    module.functions = all(need(SectionKind::Functions)?, |r| {
        let mut n_functions = 0;
        r.list(10, |r| {
            let function = read_function(r, &mut code, n_functions)?;
            n_functions += 1;
            Ok(function)
        })
    })?;
    code.end()?;

    if let Some(r) = find(SectionKind::Lines) {
        module.files = all(r, |r| {
            let files = r.list(1, Reader::text)?;
            each_function(r, &mut module.functions, |r, function| {
                function.lines = read_lines(r)?;
                Ok(())
            })?;
            Ok(files)
        })?;
    }
    if let Some(r) = find(SectionKind::DebugNames) {
        all(r, |r| {
            each_function(r, &mut module.functions, |r, function| {
                function.debug_names = r.list(2, |r| Ok((Reg(r.number()?), r.text()?)))?;
                Ok(())
            })
        })?;
    }
    Ok(module)
}

/// Reads a list that has one row for each function.
fn each_function<'a>(
    r: &mut Reader<'a>,
    functions: &mut [Function],
    mut read: impl FnMut(&mut Reader<'a>, &mut Function) -> Read<()>,
) -> Read<()> {
    let start = r.at();
    let count = r.count(1)?;
    if count != functions.len() {
        let reason = FormatErrorReason::BadTag { what: "number of functions", found: count as u64 };
        return Err(r.error(start, reason));
    }
    functions.iter_mut().try_for_each(|function| read(r, function))
}

fn read_scalars(r: &mut Reader) -> Read<Vec<u64>> {
    let len = r.left();
    let (scalars, rest) = r.take(len)?.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(r.error(len - rest.len(), FormatErrorReason::LeftOver { bytes: rest.len() as u64 }));
    }
    Ok(scalars.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect())
}

fn write_function(w: &mut Writer, function: &Function, n_words: usize) {
    w.text(&function.name);
    w.number(function.n_params);
    w.number(function.n_captures);
    w.list(&function.inout, |w, &position| w.number(position));
    w.list(&function.lent, |w, &register| w.number(register));
    w.list(&function.registers, |w, &ty| w.ty(ty));
    w.number(function.n_out);
    w.ty(function.ret);
    w.list(&function.handlers, |w, handler| {
        w.number(handler.start);
        w.number(handler.end);
        w.number(handler.target.0);
        w.number(handler.err.0);
    });
    w.count(n_words);
}

fn read_function(r: &mut Reader, code: &mut Reader, function: u32) -> Read<Function> {
    let mut read = Function {
        name: r.text()?,
        n_params: r.number()?,
        n_captures: r.number()?,
        inout: r.list(1, Reader::number)?,
        lent: r.list(1, Reader::number)?,
        registers: r.list(1, Reader::ty)?,
        n_out: r.number()?,
        ret: r.ty()?,
        ..Function::default()
    };
    read.handlers = r.list(4, |r| {
        let (start, end) = (r.number()?, r.number()?);
        Ok(Handler { start, end, target: Target(r.number()?), err: Reg(r.number()?) })
    })?;
    let at = r.at();
    let n_words: u32 = r.number()?;
    let start = code.at();
    if n_words as usize > code.left() / 4 {
        let reason = FormatErrorReason::BadCount { count: u64::from(n_words), left: code.left() as u64 };
        return Err(r.error(at, reason));
    }
    let (words, _) = code.take(n_words as usize * 4)?.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    read.code = words::decode_code(&words)
        .map_err(|error| code.error(start + error.word as usize * 4, FormatErrorReason::Code { function, error }))?;
    Ok(read)
}

/// Rows as differences: positions and lines mostly grow by little.
fn write_lines(w: &mut Writer, lines: &[Line]) {
    let mut before = Line { pc: 0, file: 0, line: 0, col: 0 };
    w.list(lines, |w, line| {
        w.signed(i64::from(line.pc) - i64::from(before.pc));
        w.signed(i64::from(line.file) - i64::from(before.file));
        w.signed(i64::from(line.line) - i64::from(before.line));
        w.number(line.col);
        before = *line;
    });
}

fn read_lines(r: &mut Reader) -> Read<Vec<Line>> {
    let mut before = Line { pc: 0, file: 0, line: 0, col: 0 };
    r.list(4, |r| {
        let mut step = |before: u32| {
            let start = r.at();
            let number = i64::from(before).checked_add(r.signed()?).and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| r.error(start, FormatErrorReason::BadNumber))
        };
        let (pc, file, line) = (step(before.pc)?, step(before.file)?, step(before.line)?);
        before = Line { pc, file, line, col: r.number()? };
        Ok(before)
    })
}

fn write_native(w: &mut Writer, native: &NativeImport) {
    w.text(&native.name);
    w.list(&native.type_args, |w, &ty| w.ty(ty));
    w.list(&native.params, |w, param| {
        w.ty(param.ty);
        w.flag(param.inout);
    });
    w.ty(native.ret);
}

fn read_native(r: &mut Reader) -> Read<NativeImport> {
    Ok(NativeImport {
        name: r.text()?,
        type_args: r.list(1, Reader::ty)?,
        params: r.list(2, |r| Ok(NativeParam { ty: r.ty()?, inout: r.flag()? }))?,
        ret: r.ty()?,
    })
}

fn write_method(w: &mut Writer, method: &Method) {
    w.text(&method.name);
    w.list(&method.params, |w, &ty| w.ty(ty));
    w.list(&method.inout, |w, &position| w.number(position));
    w.ty(method.ret);
    w.list(&method.impls, |w, (ty, func)| {
        w.ty(*ty);
        w.number(func.0);
    });
}

fn read_method(r: &mut Reader) -> Read<Method> {
    Ok(Method {
        name: r.text()?,
        params: r.list(1, Reader::ty)?,
        inout: r.list(1, Reader::number)?,
        ret: r.ty()?,
        impls: r.list(2, |r| Ok((r.ty()?, FuncId(r.number()?))))?,
    })
}

/// Numbers of `TypeDesc`'s variants in the file.
mod tag {
    pub const UNIT: u8 = 0;
    pub const BOOL: u8 = 1;
    pub const NUMBER: u8 = 2;
    pub const DURATION: u8 = 3;
    pub const INSTANT: u8 = 4;
    pub const STR: u8 = 5;
    pub const BYTES: u8 = 6;
    pub const TUPLE: u8 = 7;
    pub const STRUCT: u8 = 8;
    pub const ENUM: u8 = 9;
    pub const VEC: u8 = 10;
    pub const MAP: u8 = 11;
    pub const SET: u8 = 12;
    pub const FN: u8 = 13;
    pub const DYN: u8 = 14;
    pub const TENSOR: u8 = 15;
    pub const OPAQUE: u8 = 16;
    pub const ACTOR: u8 = 17;
}

fn write_type(w: &mut Writer, desc: &TypeDesc) {
    match desc {
        TypeDesc::Unit => w.byte(tag::UNIT),
        TypeDesc::Bool => w.byte(tag::BOOL),
        TypeDesc::Number(kind) => {
            w.byte(tag::NUMBER);
            w.byte(*kind as u8);
        }
        TypeDesc::Duration => w.byte(tag::DURATION),
        TypeDesc::Instant => w.byte(tag::INSTANT),
        TypeDesc::Str => w.byte(tag::STR),
        TypeDesc::Bytes => w.byte(tag::BYTES),
        TypeDesc::Tuple(types) => {
            w.byte(tag::TUPLE);
            w.list(types, |w, &ty| w.ty(ty));
        }
        TypeDesc::Struct { name, fields } => {
            w.byte(tag::STRUCT);
            w.text(name);
            w.list(fields, write_field);
        }
        TypeDesc::Enum { name, variants } => {
            w.byte(tag::ENUM);
            w.text(name);
            w.list(variants, |w, variant| {
                w.text(&variant.name);
                w.list(&variant.fields, write_field);
            });
        }
        TypeDesc::Vec(elem) => {
            w.byte(tag::VEC);
            w.ty(*elem);
        }
        TypeDesc::Map(key, value) => {
            w.byte(tag::MAP);
            w.ty(*key);
            w.ty(*value);
        }
        TypeDesc::Set(elem) => {
            w.byte(tag::SET);
            w.ty(*elem);
        }
        TypeDesc::Fn { params, ret } => {
            w.byte(tag::FN);
            w.list(params, |w, &ty| w.ty(ty));
            w.ty(*ret);
        }
        TypeDesc::Dyn { trait_name } => {
            w.byte(tag::DYN);
            w.text(trait_name);
        }
        TypeDesc::Tensor { elem } => {
            w.byte(tag::TENSOR);
            w.option(elem, |w, elem| w.byte(*elem as u8));
        }
        TypeDesc::Opaque { name, args } => {
            w.byte(tag::OPAQUE);
            w.text(name);
            w.list(args, |w, &ty| w.ty(ty));
        }
        TypeDesc::Actor(actor) => {
            w.byte(tag::ACTOR);
            write_actor(w, actor);
        }
    }
}

fn read_type(r: &mut Reader) -> Read<TypeDesc> {
    Ok(match r.byte()? {
        tag::UNIT => TypeDesc::Unit,
        tag::BOOL => TypeDesc::Bool,
        tag::NUMBER => {
            let number = r.byte()?;
            let kind = Kind::ALL.get(usize::from(number)).ok_or_else(|| r.bad_tag("number type", number))?;
            TypeDesc::Number(*kind)
        }
        tag::DURATION => TypeDesc::Duration,
        tag::INSTANT => TypeDesc::Instant,
        tag::STR => TypeDesc::Str,
        tag::BYTES => TypeDesc::Bytes,
        tag::TUPLE => TypeDesc::Tuple(r.list(1, Reader::ty)?),
        tag::STRUCT => TypeDesc::Struct { name: r.text()?, fields: r.list(2, read_field)? },
        tag::ENUM => TypeDesc::Enum {
            name: r.text()?,
            variants: r.list(2, |r| Ok(VariantDesc { name: r.text()?, fields: r.list(2, read_field)? }))?,
        },
        tag::VEC => TypeDesc::Vec(r.ty()?),
        tag::MAP => TypeDesc::Map(r.ty()?, r.ty()?),
        tag::SET => TypeDesc::Set(r.ty()?),
        tag::FN => TypeDesc::Fn { params: r.list(1, Reader::ty)?, ret: r.ty()? },
        tag::DYN => TypeDesc::Dyn { trait_name: r.text()? },
        tag::TENSOR => TypeDesc::Tensor {
            elem: r.option(|r| {
                let number = r.byte()?;
                Elem::ALL.get(usize::from(number)).copied().ok_or_else(|| r.bad_tag("element type", number))
            })?,
        },
        tag::OPAQUE => TypeDesc::Opaque { name: r.text()?, args: r.list(1, Reader::ty)? },
        tag::ACTOR => TypeDesc::Actor(Box::new(read_actor(r)?)),
        found => return Err(r.bad_tag("type", found)),
    })
}

fn write_field(w: &mut Writer, field: &FieldDesc) {
    w.text(&field.name);
    w.ty(field.ty);
}

fn read_field(r: &mut Reader) -> Read<FieldDesc> {
    Ok(FieldDesc { name: r.text()?, ty: r.ty()? })
}

fn write_actor(w: &mut Writer, actor: &ActorDesc) {
    w.text(&actor.name);
    w.list(&actor.fields, write_field);
    w.list(&actor.handlers, |w, handler| {
        w.text(&handler.name);
        w.number(handler.func.0);
        w.ty(handler.message);
        w.ty(handler.ret);
        w.option(&handler.batch, |w, batch| {
            w.number(batch.max_size);
            w.signed(batch.max_delay_ns);
            w.flag(batch.as_vec);
            w.option(&batch.dims, |w, dims| w.list(dims, |w, dim| w.option(dim, |w, &size| w.number(size))));
            w.flag(batch.cat);
        });
    });
    w.flag(actor.has_receive);
    for hook in [&actor.on_start, &actor.on_stop, &actor.on_error] {
        w.option(hook, |w, func| w.number(func.0));
    }
}

fn read_actor(r: &mut Reader) -> Read<ActorDesc> {
    let name = r.text()?;
    let fields = r.list(2, read_field)?;
    let handlers = r.list(5, |r| {
        Ok(HandlerDesc {
            name: r.text()?,
            func: FuncId(r.number()?),
            message: r.ty()?,
            ret: r.ty()?,
            batch: r.option(|r| {
                Ok(BatchDesc {
                    max_size: r.number()?,
                    max_delay_ns: r.signed()?,
                    as_vec: r.flag()?,
                    dims: r.option(|r| r.list(1, |r| r.option(Reader::number)))?,
                    cat: r.flag()?,
                })
            })?,
        })
    })?;
    let has_receive = r.flag()?;
    let mut hook = || r.option(|r| Ok(FuncId(r.number()?)));
    Ok(ActorDesc { name, fields, handlers, has_receive, on_start: hook()?, on_stop: hook()?, on_error: hook()? })
}
