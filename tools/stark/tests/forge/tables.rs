//! Changes in the tables of a module.

use super::Rng;
use stark_bytecode::*;

/// The type of a register.
pub fn register(module: &mut Module, rng: &mut Rng) {
    let ty = rng.ty(module);
    if let Some(function) = rng.pick(&mut module.functions)
        && let Some(reg) = rng.pick(&mut function.registers)
    {
        *reg = ty;
    }
}

/// What a function says of itself.
pub fn signature(module: &mut Module, rng: &mut Rng) {
    let ty = rng.ty(module);
    let entry = rng.func(module);
    let Some(function) = rng.pick(&mut module.functions) else { return };
    match rng.below(9) {
        0 => function.n_params = rng.number(u64::from(function.n_params)) as u16,
        1 => function.n_captures = rng.number(u64::from(function.n_captures)) as u16,
        2 => function.n_out = rng.number(u64::from(function.n_out)) as u16,
        3 => function.ret = ty,
        4 => function.inout = vec![0],
        5 => {
            function.inout.pop();
        }
        6 => {
            let register = rng.row(function.registers.len()) as u16;
            if let Err(at) = function.lent.binary_search(&register) {
                function.lent.insert(at, register);
            }
        }
        7 => {
            function.lent.pop();
        }
        _ => module.entry = entry,
    }
}

pub fn handler(module: &mut Module, rng: &mut Rng) {
    let with: Vec<usize> = (0..module.functions.len()).filter(|&i| !module.functions[i].handlers.is_empty()).collect();
    let Some(&i) = with.get(rng.below(with.len())) else { return };
    let function = &mut module.functions[i];
    let (n_code, n_registers) = (function.code.len(), function.registers.len());
    let Some(handler) = rng.pick(&mut function.handlers) else { return };
    match rng.below(4) {
        0 => handler.start = rng.number(u64::from(handler.start)) as u32,
        1 => handler.end = rng.row(n_code + 1),
        2 => handler.target = Target(rng.row(n_code)),
        _ => handler.err = Reg(rng.row(n_registers) as u16),
    }
}

/// Another native, or the same at other types.
pub fn native(module: &mut Module, natives: &[&'static str], rng: &mut Rng) {
    let ty = rng.ty(module);
    let names: Vec<String> = module.natives.iter().map(|native| native.name.clone()).collect();
    let Some(native) = rng.pick(&mut module.natives) else { return };
    match rng.below(6) {
        0 => native.name = names[rng.below(names.len())].clone(),
        1 => native.name = natives[rng.below(natives.len())].to_string(),
        2 => native.ret = ty,
        3 => {
            if let Some(arg) = rng.pick(&mut native.type_args) {
                *arg = ty;
            }
        }
        4 => {
            if let Some(param) = rng.pick(&mut native.params) {
                param.ty = ty;
            }
        }
        _ => {
            if let Some(param) = rng.pick(&mut native.params) {
                param.inout = !param.inout;
            }
        }
    }
}

/// A second row for a type, perhaps with other parts, in the place of the first here and there.
pub fn twin(module: &mut Module, rng: &mut Rng) {
    let old = TypeId(rng.below(module.types.len()) as u32);
    let Some(desc) = module.types.get(old.index()).cloned() else { return };
    let new = TypeId(module.types.len() as u32);
    module.types.push(desc);
    if rng.one_in(2) {
        change_type(module, new.index(), rng);
    }
    let change = |ty: &mut TypeId| {
        if *ty == old {
            *ty = new;
        }
    };
    match rng.below(4) {
        // In one native and one function: what goes in as one type comes out as the other.
        0 | 1 => {
            let with: Vec<usize> = (0..module.natives.len())
                .filter(|&i| {
                    let native = &module.natives[i];
                    native.ret == old || native.params.iter().any(|param| param.ty == old)
                })
                .collect();
            if let Some(&i) = with.get(rng.below(with.len())) {
                let native = &mut module.natives[i];
                match rng.below(3) {
                    0 => change(&mut native.ret),
                    1 => native.params.iter_mut().for_each(|param| change(&mut param.ty)),
                    _ => native.type_args.iter_mut().for_each(change),
                }
            }
            if let Some(function) = rng.pick(&mut module.functions) {
                function.registers.iter_mut().for_each(change);
                if rng.one_in(2) {
                    change(&mut function.ret);
                }
            }
        }
        // All natives take it, the code does not.
        2 => {
            for native in &mut module.natives {
                native.params.iter_mut().for_each(|param| change(&mut param.ty));
                native.type_args.iter_mut().for_each(change);
                change(&mut native.ret);
            }
        }
        // One function has it.
        _ => {
            if let Some(function) = rng.pick(&mut module.functions) {
                function.registers.iter_mut().for_each(change);
                change(&mut function.ret);
            }
        }
    }
}

pub fn type_desc(module: &mut Module, rng: &mut Rng) {
    let i = rng.below(module.types.len());
    if i < module.types.len() {
        change_type(module, i, rng);
    }
}

fn change_type(module: &mut Module, i: usize, rng: &mut Rng) {
    let ty = rng.ty(module);
    let other = module.types.get(ty.index()).cloned();
    let field = |fields: &mut Vec<FieldDesc>, rng: &mut Rng| match rng.below(4) {
        0 => drop(fields.pop()),
        1 => fields.push(FieldDesc { name: "more".into(), ty }),
        _ => {
            if let Some(field) = rng.pick(fields) {
                field.ty = ty;
            }
        }
    };
    match &mut module.types[i] {
        TypeDesc::Struct { fields, .. } => field(fields, rng),
        TypeDesc::Tuple(types) => {
            if let Some(part) = rng.pick(types) {
                *part = ty;
            }
        }
        TypeDesc::Enum { variants, name } => match rng.below(5) {
            0 => drop(variants.pop()),
            1 => variants.reverse(),
            2 => name.push('x'),
            _ => {
                if let Some(variant) = rng.pick(variants) {
                    field(&mut variant.fields, rng);
                }
            }
        },
        TypeDesc::Vec(elem) | TypeDesc::Set(elem) => *elem = ty,
        TypeDesc::Map(key, value) => *(if rng.one_in(2) { key } else { value }) = ty,
        TypeDesc::Fn { params, ret } => match rng.pick(params) {
            Some(param) if rng.one_in(2) => *param = ty,
            _ => *ret = ty,
        },
        TypeDesc::Opaque { args, .. } => {
            if let Some(arg) = rng.pick(args) {
                *arg = ty;
            }
        }
        TypeDesc::Tensor { elem } => *elem = Some(Elem::ALL[rng.below(Elem::ALL.len())]).filter(|_| rng.one_in(2)),
        desc => {
            if let Some(other) = other {
                *desc = other;
            }
        }
    }
}

/// What an actor answers to, and its hooks.
pub fn actor(module: &mut Module, rng: &mut Rng) {
    let (func, ty, other) = (rng.func(module), rng.ty(module), rng.ty(module));
    let actors: Vec<usize> =
        (0..module.types.len()).filter(|&i| matches!(module.types[i], TypeDesc::Actor(_))).collect();
    let Some(&i) = actors.get(rng.below(actors.len())) else { return };
    let TypeDesc::Actor(actor) = &mut module.types[i] else { return };
    let hook = Some(func).filter(|_| !rng.one_in(3));
    match rng.below(6) {
        0 => actor.on_start = hook,
        1 => actor.on_stop = hook,
        2 => actor.on_error = hook,
        3 => actor.has_receive = !actor.has_receive,
        4 => {
            if let Some(field) = rng.pick(&mut actor.fields) {
                field.ty = ty;
            }
        }
        _ => {
            let Some(handler) = rng.pick(&mut actor.handlers) else { return };
            match rng.below(5) {
                0 => handler.func = func,
                1 => handler.message = ty,
                2 => handler.ret = other,
                3 => handler.batch = None,
                _ => {
                    handler.batch = Some(BatchDesc {
                        max_size: rng.below(4) as u32,
                        max_delay_ns: rng.number(0) as i64,
                        as_vec: rng.one_in(2),
                        dims: [None, Some(vec![None, Some(64)]), Some(vec![])][rng.below(3)].clone(),
                        cat: rng.one_in(2),
                    });
                }
            }
        }
    }
}

/// Globals, dynamic methods, errors of the VM.
pub fn dispatch(module: &mut Module, rng: &mut Rng) {
    let (func, ty) = (rng.func(module), rng.ty(module));
    match rng.below(6) {
        0 => {
            if let Some(global) = rng.pick(&mut module.globals) {
                global.ty = ty;
            }
        }
        1 => {
            if let Some(global) = rng.pick(&mut module.globals) {
                global.zone = !global.zone;
            }
        }
        2 => {
            if let Some((_, fault)) = rng.pick(&mut module.faults) {
                *fault = ty;
            }
        }
        3 => {
            let fault = module.faults.get(rng.below(module.faults.len())).map(|(_, ty)| ty.index());
            if let Some(fault) = fault.filter(|&i| i < module.types.len()) {
                change_type(module, fault, rng);
            }
        }
        4 => {
            let Some(method) = rng.pick(&mut module.methods) else { return };
            match rng.below(4) {
                0 => drop(method.impls.pop()),
                1 => method.inout = if method.inout.is_empty() { vec![0] } else { Vec::new() },
                2 => method.ret = ty,
                _ => {
                    if let Some(row) = rng.pick(&mut method.impls) {
                        row.1 = func;
                    }
                }
            }
        }
        _ => module.error_message = module.error_message.map(|id| MethodId(rng.number(u64::from(id.0)) as u32)),
    }
}

pub fn constant(module: &mut Module, rng: &mut Rng) {
    match rng.below(3) {
        0 => {
            let strings = module.strings.len();
            if strings > 0 {
                module.strings.swap(rng.below(strings), rng.below(strings));
            }
        }
        1 => {
            if let Some(text) = rng.pick(&mut module.strings) {
                text.push('\u{0}');
            }
        }
        _ => {
            if let Some(scalar) = rng.pick(&mut module.scalars) {
                *scalar = rng.number(*scalar);
            }
        }
    }
}
