//! Which parameters are lent: the caller keeps the value in a register of its own, and nobody counts.
//!
//! A parameter is lent when its function only reads it, or passes it on to a parameter that is lent too; then so is what the
//! function reads out of it. (The inference of borrowed parameters in Ullrich and de Moura, "Counting Immutable Beans", 2019.)
//! It is found as what is left when every parameter is thought to be lent and those are taken out that cannot be. Functions
//! that others run than a plain call own their parameters, and so does whoever takes a value whose end somebody may notice: a
//! future, a file, a closure.

use super::tidy;
use stark_bytecode::{FuncId, Function, Instr, Module, Operand, Out, Reg, TypeDesc, TypeId};

pub(super) fn lend(module: &mut Module) {
    let plain = plain_types(module);
    let mut lent: Vec<Vec<bool>> = module.functions.iter().map(|f| candidates(f, &plain)).collect();
    for id in run_by_others(module) {
        lent[id.index()].fill(false);
    }
    let calls: Vec<Vec<CallSite>> = module.functions.iter().map(call_sites).collect();
    shrink(module, &calls, &mut lent);
    let refs: Vec<bool> = module.types.iter().map(TypeDesc::is_ref).collect();
    for (i, function) in module.functions.iter_mut().enumerate() {
        let parts = parts(function, &lent[i], &plain);
        if rewrite(function, &calls[i], &lent, &lent[i], &parts) {
            tidy::order_registers(function, |ty| refs[ty.index()]);
        }
    }
}

/// Types of plain data, by number: no part of a value does anything when it ends.
fn plain_types(module: &Module) -> Vec<bool> {
    let mut plain = vec![true; module.types.len()];
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for (i, desc) in module.types.iter().enumerate() {
            use TypeDesc::*;
            let is = |ty: &TypeId| plain[ty.index()];
            let is_plain = match desc {
                Unit | Bool | Number(_) | Duration | Instant | Str | Bytes | Tensor { .. } => true,
                Tuple(types) => types.iter().all(is),
                Struct { fields, .. } => fields.iter().all(|field| is(&field.ty)),
                Enum { variants, .. } => variants.iter().flat_map(|v| &v.fields).all(|field| is(&field.ty)),
                Vec(elem) | Set(elem) => is(elem),
                Map(key, value) => is(key) && is(value),
                Fn { .. } | Dyn { .. } | Opaque { .. } | Actor(_) => false,
            };
            has_changed |= plain[i] && !is_plain;
            plain[i] &= is_plain;
        }
    }
    // What the machine lends: no scalars, and no tensor by itself, whose natives own what they are given.
    for (plain, desc) in plain.iter_mut().zip(&module.types) {
        *plain &= desc.is_ref() && !matches!(desc, TypeDesc::Tensor { .. });
    }
    plain
}

/// Parameters that may be lent, as far as their function's signature says.
fn candidates(function: &Function, plain: &[bool]) -> Vec<bool> {
    let n_own = usize::from(function.n_params - function.n_captures);
    let is_candidate =
        |i: usize| i < n_own && plain[function.registers[i].index()] && !function.inout.contains(&(i as u16));
    (0..usize::from(function.n_params)).map(is_candidate).collect()
}

/// Functions that are more than called.
fn run_by_others(module: &Module) -> Vec<FuncId> {
    let mut found = vec![module.entry];
    found.extend(module.methods.iter().flat_map(|method| &method.impls).map(|(_, func)| *func));
    for desc in &module.types {
        let TypeDesc::Actor(actor) = desc else { continue };
        found.extend(actor.handlers.iter().map(|handler| handler.func));
        found.extend([actor.on_start, actor.on_stop, actor.on_error].into_iter().flatten());
    }
    for instr in module.functions.iter().flat_map(|function| &function.code) {
        if let Instr::Spawn { func, .. } | Instr::MakeClosure { func, .. } = instr {
            found.push(*func);
        }
    }
    found
}

/// A call with the instructions that fill its arguments.
struct CallSite {
    at: usize,
    callee: FuncId,
    /// By parameter: where it is filled, from which register (references only).
    args: Vec<Option<(usize, Reg)>>,
}

fn call_sites(function: &Function) -> Vec<CallSite> {
    let mut sites = Vec::new();
    let mut filled: Vec<(usize, Out, Reg)> = Vec::new();
    for (at, instr) in function.code.iter().enumerate() {
        match *instr {
            Instr::ArgCopy { out, src } | Instr::ArgMove { out, src } => filled.push((at, out, src)),
            Instr::Call { func, .. } => {
                let n = filled.iter().map(|(_, out, _)| out.index() + 1).max().unwrap_or(0);
                let mut args = vec![None; n];
                for (at, out, src) in filled.drain(..) {
                    args[out.index()] = Some((at, src));
                }
                sites.push(CallSite { at, callee: func, args });
            }
            Instr::CallNative { .. } | Instr::CallClosure { .. } | Instr::CallDyn { .. } | Instr::Spawn { .. } => {
                filled.clear()
            }
            Instr::Make { .. } | Instr::MakeVariant { .. } | Instr::MakeVec { .. } | Instr::MakeClosure { .. } => {
                filled.clear()
            }
            _ => {}
        }
    }
    sites
}

impl CallSite {
    /// The register of argument `i`, when that is lent.
    fn lender(&self, i: usize, lent: &[Vec<bool>]) -> Option<(usize, Reg)> {
        let is_lent = lent[self.callee.index()].get(i).copied().unwrap_or(false);
        self.args.get(i).copied().flatten().filter(|_| is_lent)
    }

    fn lenders<'a>(&'a self, lent: &'a [Vec<bool>]) -> impl Iterator<Item = (usize, usize, Reg)> + 'a {
        (0..self.args.len()).filter_map(|i| self.lender(i, lent).map(|(at, src)| (i, at, src)))
    }
}

/// Takes parameters out that cannot be lent if the others are. What that changes is in the function itself and in those that call
/// it, so only these are looked at again.
fn shrink(module: &Module, calls: &[Vec<CallSite>], lent: &mut [Vec<bool>]) {
    let n = module.functions.len();
    let mut callers: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (caller, sites) in calls.iter().enumerate() {
        for site in sites {
            callers[site.callee.index()].push(caller);
        }
    }
    let mut work: Vec<usize> = (0..n).collect();
    let mut is_waiting = vec![true; n];
    while let Some(i) = work.pop() {
        is_waiting[i] = false;
        for (func, param) in not_lent(i, &module.functions[i], &calls[i], lent) {
            if std::mem::replace(&mut lent[func][param], false) {
                for &caller in &callers[func] {
                    if !std::mem::replace(&mut is_waiting[caller], true) {
                        work.push(caller);
                    }
                }
            }
        }
    }
}

/// Parameters, with their functions, that function number `i` keeps from being lent.
fn not_lent(i: usize, function: &Function, calls: &[CallSite], lent: &[Vec<bool>]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    // Where a reference is moved to a call that only borrows it.
    let mut borrowing = vec![false; function.code.len()];
    for site in calls {
        let lenders: Vec<(usize, usize, Reg)> = site.lenders(lent).collect();
        lenders.iter().for_each(|&(_, at, _)| borrowing[at] = true);
        // A lender that another argument takes along, or that changes meanwhile, is not there during the call.
        for &(param, at, src) in &lenders {
            let mut between = (at + 1..site.at).filter(|pc| !lenders.iter().any(|(_, other, _)| other == pc));
            if between.any(|pc| is_touched(&function.code[pc], src)) {
                found.push((site.callee.index(), param));
            }
        }
    }
    for (instr, _) in function.code.iter().zip(&borrowing).filter(|(_, borrows)| !**borrows) {
        for operand in instr.operands() {
            if let Operand::Take(reg) | Operand::Change(reg) | Operand::Def(reg) = operand
                && lent[i].get(reg.index()).copied().unwrap_or(false)
            {
                found.push((i, reg.index()));
            }
        }
    }
    found
}

fn is_touched(instr: &Instr, reg: Reg) -> bool {
    instr.operands().any(|operand| match operand {
        Operand::Take(other) | Operand::Change(other) | Operand::Def(other) => other == reg,
        _ => false,
    })
}

/// Registers for what is read out of lent values, and nothing else.
fn parts(function: &Function, lent: &[bool], plain: &[bool]) -> Vec<bool> {
    let n = function.registers.len();
    let mut is_lent = vec![false; n];
    is_lent[..lent.len()].copy_from_slice(lent);
    if !lent.contains(&true) {
        return vec![false; n];
    }
    let mut fits: Vec<bool> = (0..n).map(|i| i >= lent.len() && plain[function.registers[i].index()]).collect();
    for handler in &function.handlers {
        fits[handler.err.index()] = false;
    }
    for instr in &function.code {
        // Moved elsewhere, it is copied there.
        let may_take = matches!(instr, Instr::DropRef { .. } | Instr::ArgMove { .. } | Instr::MoveRef { .. });
        let is_read = matches!(instr, Instr::GetField { .. } | Instr::GetPayload { .. });
        for operand in instr.operands() {
            match operand {
                Operand::Take(reg) if !may_take => fits[reg.index()] = false,
                Operand::Change(reg) => fits[reg.index()] = false,
                Operand::Def(reg) if !is_read => fits[reg.index()] = false,
                _ => {}
            }
        }
    }
    // A register is a part when all that it is read out of is lent: found by taking away.
    let mut part = fits;
    loop {
        let mut has_changed = false;
        for instr in &function.code {
            if let Instr::GetField { dst, obj, .. } | Instr::GetPayload { dst, obj, .. } = *instr
                && part[dst.index()]
                && !is_lent[obj.index()]
                && !part[obj.index()]
            {
                part[dst.index()] = false;
                has_changed = true;
            }
        }
        if !has_changed {
            return part;
        }
    }
}

/// Lends what is lent; `false` when that is nothing.
fn rewrite(function: &mut Function, calls: &[CallSite], all: &[Vec<bool>], lent: &[bool], parts: &[bool]) -> bool {
    let is_lent = |reg: Reg| lent.get(reg.index()).copied().unwrap_or(false) || parts[reg.index()];
    let mut code: Vec<Vec<Instr>> = function.code.iter().map(|instr| vec![as_lent(*instr, &is_lent)]).collect();
    for (instrs, instr) in code.iter_mut().zip(&function.code) {
        if matches!(instr, Instr::DropRef { reg } if is_lent(*reg)) {
            instrs.clear();
        }
    }
    let mut changes = lent.contains(&true);
    for site in calls {
        let Instr::Call { dst, .. } = function.code[site.at] else { unreachable!("a site is a call") };
        // `&mut` arguments come back right behind the call.
        let n_backs = function.code[site.at + 1..].iter().take_while(|i| matches!(i, Instr::TakeBack { .. })).count();
        for (_, at, src) in site.lenders(all) {
            changes = true;
            let Some(out) = function.code[at].operands().find_map(|operand| match operand {
                Operand::Out(out) => Some(out),
                _ => None,
            }) else {
                continue;
            };
            code[at] = vec![Instr::ArgLend { out, src }];
            // The result takes its place.
            let is_over = dst == src;
            if matches!(function.code[at], Instr::ArgMove { .. }) && !is_lent(src) && !is_over {
                code[site.at + n_backs].push(Instr::DropRef { reg: src });
            }
        }
    }
    if changes {
        tidy::replace(function, code);
        function.lent = (0..parts.len()).filter(|&i| is_lent(Reg(i as u16))).map(|i| i as u16).collect();
    }
    changes
}

/// The instruction where these registers are lent: what took or counted them does not.
fn as_lent(instr: Instr, is_lent: impl Fn(Reg) -> bool) -> Instr {
    match instr {
        Instr::GetField { dst, obj, field } if is_lent(dst) => Instr::LendField { dst, obj, field },
        Instr::GetPayload { dst, obj, at } if is_lent(dst) => Instr::LendPayload { dst, obj, at },
        Instr::ArgMove { out, src } if is_lent(src) => Instr::ArgCopy { out, src },
        Instr::MoveRef { dst, src } if is_lent(src) => Instr::CopyRef { dst, src },
        other => other,
    }
}
