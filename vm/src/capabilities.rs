//! What a program needs of its host: the capabilities of the natives that its code can reach.
//!
//! A module names every native that it uses, so the set is known before anything runs. A native that only reads needs
//! `files` for what the program does not carry; a program with assets is therefore not said to need it for that.

use crate::natives::{self, Capability, NativeRow};
use stark_bytecode::{FuncId, Module, Operand, TypeDesc};
use std::collections::{BTreeMap, BTreeSet};

/// The natives that need each capability, by name.
pub type Needs = BTreeMap<Capability, BTreeSet<&'static str>>;

fn needed(row: &NativeRow, has_assets: bool) -> Option<Capability> {
    row.capability.filter(|_| !(has_assets && row.carried.is_some()))
}

/// What the program needs. Natives that this runtime does not know are refused when the module is loaded.
pub fn needs(module: &Module, has_assets: bool) -> Needs {
    let mut needs = Needs::new();
    for row in module.natives.iter().filter_map(|import| natives::find(&import.name)) {
        if let Some(capability) = needed(row, has_assets) {
            needs.entry(capability).or_default().insert(row.name);
        }
    }
    needs
}

/// A function that needs a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub func: FuncId,
    /// The natives that it calls itself; empty when it needs the capability through what it calls.
    pub natives: Vec<&'static str>,
}

/// The functions that need `capability`, themselves or through what they call, in the order of the module.
pub fn users(module: &Module, capability: Capability, has_assets: bool) -> Vec<User> {
    let n = module.functions.len();
    let row_of = |i: usize| natives::find(&module.natives.get(i)?.name);
    let mut own: Vec<BTreeSet<&'static str>> = vec![BTreeSet::new(); n];
    // Who refers to each function: calls it, makes a closure of it, starts an actor that has it as a handler.
    let mut callers: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (i, function) in module.functions.iter().enumerate() {
        let mut refer = |callee: FuncId| {
            if let Some(callers) = callers.get_mut(callee.index()) {
                callers.push(i);
            }
        };
        for operand in function.code.iter().flat_map(|instr| instr.operands()) {
            match operand {
                Operand::FuncId(callee) => refer(callee),
                Operand::MethodId(method) => {
                    let impls = module.methods.get(method.index()).map(|method| &method.impls[..]);
                    impls.unwrap_or_default().iter().for_each(|(_, callee)| refer(*callee));
                }
                Operand::NativeId(native) => {
                    if let Some(row) = row_of(native.index())
                        && needed(row, has_assets) == Some(capability)
                    {
                        own[i].insert(row.name);
                    }
                    let args = module.natives.get(native.index()).map(|import| &import.type_args[..]);
                    args.unwrap_or_default().iter().for_each(|ty| handlers(module, ty.index(), &mut refer));
                }
                _ => {}
            }
        }
    }
    let mut needs: Vec<bool> = own.iter().map(|own| !own.is_empty()).collect();
    let mut pending: Vec<usize> = (0..n).filter(|&i| needs[i]).collect();
    while let Some(callee) = pending.pop() {
        for &caller in &callers[callee] {
            if !std::mem::replace(&mut needs[caller], true) {
                pending.push(caller);
            }
        }
    }
    (0..n)
        .filter(|&i| needs[i])
        .map(|i| User { func: FuncId(i as u32), natives: own[i].iter().copied().collect() })
        .collect()
}

/// The handlers and hooks of an actor's type.
fn handlers(module: &Module, ty: usize, refer: &mut impl FnMut(FuncId)) {
    if let Some(TypeDesc::Actor(actor)) = module.types.get(ty) {
        let hooks = [actor.on_start, actor.on_stop, actor.on_error];
        actor.handlers.iter().map(|handler| handler.func).chain(hooks.into_iter().flatten()).for_each(refer);
    }
}
