//! The module's tables: ids in range, sizes within limits, signatures that belong together.

use super::{Check, VerifyError, ensure, limits};
use crate::module::*;
use crate::operand::*;

pub fn check(module: &Module) -> Result<(), VerifyError> {
    sizes(module).map_err(|message| at("module", message))?;
    for (i, desc) in module.types.iter().enumerate() {
        type_desc(module, TypeId(i as u32), desc).map_err(|message| at(format!("type {i}"), message))?;
    }
    for (i, function) in module.functions.iter().enumerate() {
        signature(module, function).map_err(|message| at(function_place(module, i), message))?;
    }
    for (i, native) in module.natives.iter().enumerate() {
        let place = || format!("native {i} ({})", native.name);
        let types = native.type_args.iter().chain(native.params.iter().map(|param| &param.ty)).chain([&native.ret]);
        native_sizes(native).and(all_types(module, types)).map_err(|message| at(place(), message))?;
    }
    for (i, global) in module.globals.iter().enumerate() {
        ty(module, global.ty).map_err(|message| at(format!("global {i} ({})", global.name), message))?;
    }
    for (i, row) in module.methods.iter().enumerate() {
        method(module, row).map_err(|message| at(format!("method {i} ({})", row.name), message))?;
    }
    for (name, id) in &module.faults {
        fault(module, *id).map_err(|message| at(format!("fault {name}"), message))?;
    }
    entry(module).map_err(|message| at("entry", message))?;
    error_message(module).map_err(|message| at("error_message", message))
}

fn at(place: impl Into<String>, message: String) -> VerifyError {
    VerifyError { place: place.into(), pc: None, message }
}

pub fn function_place(module: &Module, i: usize) -> String {
    format!("function {i} ({})", module.functions[i].name)
}

fn sizes(module: &Module) -> Check {
    for (name, len) in [
        ("functions", module.functions.len()),
        ("types", module.types.len()),
        ("scalars", module.scalars.len()),
        ("strings", module.strings.len()),
        ("blobs", module.blobs.len()),
        ("natives", module.natives.len()),
        ("globals", module.globals.len()),
        ("methods", module.methods.len()),
        ("faults", module.faults.len()),
        ("files", module.files.len()),
    ] {
        ensure!(len <= limits::MAX_ROWS, "{len} {name}, the limit is {}", limits::MAX_ROWS);
    }
    Ok(())
}

pub fn ty(module: &Module, ty: TypeId) -> Check {
    ensure!(ty.index() < module.types.len(), "type {} of {}", ty.0, module.types.len());
    Ok(())
}

fn all_types<'a>(module: &Module, types: impl IntoIterator<Item = &'a TypeId>) -> Check {
    types.into_iter().try_for_each(|&id| ty(module, id))
}

fn func(module: &Module, func: FuncId) -> Check<&Function> {
    module.functions.get(func.index()).ok_or_else(|| format!("function {} of {}", func.0, module.functions.len()))
}

fn members(what: &str, len: usize) -> Check {
    ensure!(len <= limits::MAX_MEMBERS, "{len} {what}, the limit is {}", limits::MAX_MEMBERS);
    Ok(())
}

fn fields(module: &Module, fields: &[FieldDesc]) -> Check {
    members("fields", fields.len())?;
    all_types(module, fields.iter().map(|field| &field.ty))
}

/// Values that contain themselves are no concern: only references have parts, so a value is finite.
fn type_desc(module: &Module, id: TypeId, desc: &TypeDesc) -> Check {
    match desc {
        TypeDesc::Unit
        | TypeDesc::Bool
        | TypeDesc::Number(_)
        | TypeDesc::Duration
        | TypeDesc::Instant
        | TypeDesc::Str
        | TypeDesc::Bytes
        | TypeDesc::Dyn { .. }
        | TypeDesc::Tensor { .. } => Ok(()),
        TypeDesc::Tuple(types) => {
            members("parts", types.len())?;
            all_types(module, types)
        }
        TypeDesc::Struct { fields: list, .. } => fields(module, list),
        TypeDesc::Enum { variants, .. } => {
            members("variants", variants.len())?;
            variants.iter().try_for_each(|variant| fields(module, &variant.fields))
        }
        TypeDesc::Vec(elem) | TypeDesc::Set(elem) => ty(module, *elem),
        TypeDesc::Map(key, value) => all_types(module, [key, value]),
        TypeDesc::Fn { params, ret } => {
            n_params(params.len())?;
            all_types(module, params.iter().chain([ret]))
        }
        TypeDesc::Opaque { args, .. } => {
            members("arguments", args.len())?;
            all_types(module, args)
        }
        TypeDesc::Actor(desc) => actor(module, id, desc),
    }
}

fn n_params(len: usize) -> Check {
    ensure!(len <= limits::MAX_PARAMS, "{len} parameters, the limit is {}", limits::MAX_PARAMS);
    Ok(())
}

fn native_sizes(native: &NativeImport) -> Check {
    members("type arguments", native.type_args.len())?;
    n_params(native.params.len())
}

fn actor(module: &Module, id: TypeId, desc: &ActorDesc) -> Check {
    fields(module, &desc.fields)?;
    members("handlers", desc.handlers.len())?;
    ensure!(!desc.has_receive || !desc.handlers.is_empty(), "`on_receive` is missing");
    for handler in &desc.handlers {
        actor_handler(module, id, handler).map_err(|message| format!("handler {}: {message}", handler.name))?;
    }
    for (name, hook, n_extra) in
        [("on_start", desc.on_start, 0), ("on_stop", desc.on_stop, 0), ("on_error", desc.on_error, 1)]
    {
        let Some(hook) = hook else { continue };
        let types = with_state(module, id, hook).map_err(|message| format!("{name}: {message}"))?;
        ensure!(types.len() == n_extra, "{name}: {} parameters behind the state, not {n_extra}", types.len());
        if let [error] = types {
            ensure!(is_error(module, *error), "{name}: its parameter is no dyn Error");
        }
    }
    Ok(())
}

fn actor_handler(module: &Module, id: TypeId, handler: &HandlerDesc) -> Check {
    all_types(module, [&handler.message, &handler.ret])?;
    let TypeDesc::Tuple(message) = module.type_desc(handler.message) else {
        return Err(format!("its message, type {}, is no tuple", handler.message.0));
    };
    let types = with_state(module, id, handler.func)?;
    if let Some(batch) = &handler.batch {
        // What the function gets is made from many messages, and what it gives is divided among them.
        let [input] = message[..] else {
            return Err(format!("a batched message has 1 part, not {}", message.len()));
        };
        for (what, ty) in [("takes", input), ("gives", handler.ret)] {
            // The message's row may not have been checked yet.
            let fits = match module.types.get(ty.index()) {
                Some(TypeDesc::Vec(_)) => batch.as_vec,
                Some(TypeDesc::Tensor { .. }) => !batch.as_vec,
                _ => false,
            };
            ensure!(fits, "a batch function {what} a tensor, or a Vec when `as_vec` is set, not type {}", ty.0);
        }
    }
    ensure!(types == message, "its function takes types {types:?}, its message has {message:?}");
    let ret = func(module, handler.func)?.ret;
    ensure!(ret == handler.ret, "its function returns type {}, the handler states {}", ret.0, handler.ret.0);
    Ok(())
}

/// The parameters behind the state of a function that an actor runs.
fn with_state(module: &Module, state: TypeId, id: FuncId) -> Check<&[TypeId]> {
    let function = func(module, id)?;
    let params = params(function)?;
    ensure!(params.first() == Some(&state), "the first parameter of function {} is not the actor's state", id.0);
    ensure!(function.inout == [0], "function {} must take its state, and only that, as `&mut`", id.0);
    ensure!(function.n_captures == 0, "function {} is a closure", id.0);
    owning(function)?;
    Ok(&params[1..])
}

/// The types of a function's parameters, captured values included.
fn params(function: &Function) -> Check<&[TypeId]> {
    let n = usize::from(function.n_params);
    function.registers.get(..n).ok_or_else(|| format!("{n} parameters in {} registers", function.registers.len()))
}

pub fn is_error(module: &Module, ty: TypeId) -> bool {
    matches!(module.types.get(ty.index()), Some(TypeDesc::Dyn { trait_name }) if trait_name == "Error")
}

fn ascending(positions: &[u16], n_params: usize) -> Check {
    ensure!(positions.is_sorted_by(|a, b| a < b), "`&mut` positions {positions:?} are not ascending");
    if let Some(&last) = positions.last() {
        ensure!(usize::from(last) < n_params, "`&mut` parameter {last} of {n_params}");
    }
    Ok(())
}

fn signature(module: &Module, function: &Function) -> Check {
    let n_registers = function.registers.len();
    ensure!(n_registers <= limits::MAX_REGISTERS, "{n_registers} registers, the limit is {}", limits::MAX_REGISTERS);
    ensure!(function.n_out <= limits::MAX_OUT, "{} outgoing slots, the limit is {}", function.n_out, limits::MAX_OUT);
    let len = function.code.len();
    ensure!(len <= limits::MAX_CODE, "{len} instructions, the limit is {}", limits::MAX_CODE);
    ensure!(len > 0, "there is no code");
    n_params(usize::from(function.n_params))?;
    let params = params(function)?;
    ensure!(
        function.n_captures <= function.n_params,
        "{} captured values of {} parameters",
        function.n_captures,
        function.n_params
    );
    ascending(&function.inout, params.len() - usize::from(function.n_captures))?;
    all_types(module, function.registers.iter().chain([&function.ret]))?;
    lent(module, function)?;

    ensure!(
        function.handlers.len() <= limits::MAX_HANDLERS,
        "{} handlers, the limit is {}",
        function.handlers.len(),
        limits::MAX_HANDLERS
    );
    for (i, handler) in function.handlers.iter().enumerate() {
        ensure!(
            handler.start < handler.end && handler.end as usize <= len,
            "handler {i} covers {}..{} of {len} instructions",
            handler.start,
            handler.end
        );
        ensure!(handler.target.index() < len, "handler {i} goes to {} of {len}", handler.target.0);
        let err = function.registers.get(handler.err.index());
        let err =
            err.ok_or_else(|| format!("handler {i} puts the error into register {} of {n_registers}", handler.err.0))?;
        ensure!(!function.is_lent(handler.err), "handler {i} puts the error into r{}, which is lent", handler.err.0);
        ensure!(is_error(module, *err), "handler {i} puts the error into r{}, which is no dyn Error", handler.err.0);
    }
    ensure!(function.lines.is_sorted_by(|a, b| a.pc < b.pc), "the line table is not ascending");
    for line in &function.lines {
        ensure!((line.pc as usize) < len, "a line at instruction {} of {len}", line.pc);
        ensure!((line.file as usize) < module.files.len(), "a line in file {} of {}", line.file, module.files.len());
        ensure!(line.line > 0 && line.col > 0, "a line numbered {}:{}, they count from 1", line.line, line.col);
    }
    for (reg, name) in &function.debug_names {
        ensure!(reg.index() < n_registers, "the name {name:?} is for register {} of {n_registers}", reg.0);
    }
    Ok(())
}

/// What owns nothing is a plain value: what else there is (functions, dynamic values, handles) others look at in a frame.
fn lent(module: &Module, function: &Function) -> Check {
    ensure!(function.lent.is_sorted_by(|a, b| a < b), "lent registers {:?} are not ascending", function.lent);
    let captures = usize::from(function.n_params - function.n_captures)..usize::from(function.n_params);
    for &reg in &function.lent {
        let Some(&ty) = function.registers.get(usize::from(reg)) else {
            return Err(format!("lent register {reg} of {}", function.registers.len()));
        };
        use TypeDesc::*;
        let desc = module.type_desc(ty);
        let is_plain = matches!(desc, Str | Bytes | Tuple(_) | Struct { .. } | Enum { .. } | Vec(_) | Map(..) | Set(_));
        ensure!(is_plain && desc.is_ref(), "r{reg} is lent, and {} cannot be", module.type_name(ty));
        ensure!(!function.inout.contains(&reg), "r{reg} is lent and a `&mut` parameter");
        ensure!(!captures.contains(&usize::from(reg)), "r{reg} is lent and a captured value");
    }
    Ok(())
}

/// A function that is run by others than `call` owns its parameters.
fn owning(function: &Function) -> Check {
    ensure!(!function.borrows(), "{} has a lent parameter", function.name);
    Ok(())
}

fn method(module: &Module, method: &Method) -> Check {
    n_params(method.params.len())?;
    all_types(module, method.params.iter().chain([&method.ret]))?;
    let Some((&this, rest)) = method.params.split_first() else {
        return Err("there is no parameter to choose the implementation by".to_owned());
    };
    ensure!(matches!(module.type_desc(this), TypeDesc::Dyn { .. }), "the first parameter, type {}, is no dyn", this.0);
    ascending(&method.inout, method.params.len())?;
    ensure!(method.impls.is_sorted_by(|a, b| a.0 < b.0), "implementations are not sorted by type");
    for &(id, implementation) in &method.impls {
        ty(module, id)?;
        let function = func(module, implementation)?;
        let params = params(function)?;
        ensure!(
            params.split_first() == Some((&id, rest)) && function.ret == method.ret && function.inout == method.inout,
            "function {} has not the signature of an implementation for type {}",
            implementation.0,
            id.0
        );
        owning(function)?;
    }
    Ok(())
}

fn fault(module: &Module, id: TypeId) -> Check {
    ty(module, id)?;
    let message = match module.type_desc(id) {
        TypeDesc::Struct { fields, .. } => fields.first(),
        _ => None,
    };
    let is_text = message.is_some_and(|field| matches!(module.type_desc(field.ty), TypeDesc::Str));
    ensure!(is_text, "type {} is no struct that begins with a message", id.0);
    Ok(())
}

fn entry(module: &Module) -> Check {
    let function = func(module, module.entry)?;
    ensure!(function.n_params == 0, "the function has {} parameters", function.n_params);
    let ret = module.type_desc(function.ret);
    ensure!(matches!(ret, TypeDesc::Unit), "the function returns type {}, not ()", function.ret.0);
    Ok(())
}

fn error_message(module: &Module) -> Check {
    let Some(id) = module.error_message else { return Ok(()) };
    let count = module.methods.len();
    let method = module.methods.get(id.index()).ok_or_else(|| format!("method {} of {count}", id.0))?;
    ensure!(
        matches!(method.params[..], [this] if is_error(module, this)) && method.inout.is_empty(),
        "method {} takes something else than a dyn Error",
        method.name
    );
    ensure!(matches!(module.type_desc(method.ret), TypeDesc::Str), "method {} returns no text", method.name);
    Ok(())
}
