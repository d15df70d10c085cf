//! The rules between neighbouring instructions: outgoing area, `take_back`, cursor chains. One walk in the order of the code.
//!
//! All three live in straight-line stretches: a place that a jump or an error can reach begins with nothing pending.

use super::typing::{Typing, captures, is_quiet, successors};
use super::{Check, ensure};
use crate::instr::Instr;
use crate::module::*;
use crate::operand::*;

/// What is pending between two instructions.
struct Walk<'m> {
    typing: Typing<'m>,
    /// What is in the outgoing area.
    slots: Vec<Option<Slot>>,
    n_filled: usize,
    cursor: Option<Cursor>,
    back: Back,
}

/// A filled slot of the outgoing area.
#[derive(Clone, Copy)]
struct Slot {
    ty: TypeId,
    /// The register that keeps what is lent there.
    lender: Option<Reg>,
}

/// A chain of places.
#[derive(Clone, Copy)]
struct Cursor {
    /// Where it began.
    root: Reg,
    /// The type of the place it has come to.
    ty: TypeId,
    n_steps: usize,
}

/// `&mut` parameters that are in the outgoing area after a call.
#[derive(Default)]
struct Back {
    slots: Vec<(u16, TypeId)>,
    /// In a landing pad that takes nothing back, the values are dropped.
    may_stay: bool,
}

/// Checks the code of `typing.function`. The error has its pc.
pub fn check(typing: Typing) -> Result<(), (u32, String)> {
    let code = &typing.function.code;
    for (pc, instr) in code.iter().enumerate() {
        typing.ranges(instr).map_err(|message| (pc as u32, named(instr, message)))?;
    }
    let last = code.len() - 1;
    if successors(&code[last]).1 {
        return Err((last as u32, "the code may run past its end".to_owned()));
    }

    let mut entered = vec![Entered::No; code.len()];
    for instr in code {
        if let (Some(to), _) = successors(instr) {
            entered[to.index()] = Entered::ByJump;
        }
    }
    for handler in &typing.function.handlers {
        let pad = &mut entered[handler.target.index()];
        if *pad == Entered::No {
            *pad = Entered::ByError;
        }
    }
    let pads = landing_pads(typing)?;

    let slots = vec![None; usize::from(typing.function.n_out)];
    let mut walk = Walk { typing, slots, n_filled: 0, cursor: None, back: Back::default() };
    let mut falls_in = true;
    for (pc, instr) in code.iter().enumerate() {
        let pc = pc as u32;
        walk.step(pc, instr, entered[pc as usize], falls_in, &pads).map_err(|message| (pc, named(instr, message)))?;
        falls_in = successors(instr).1;
    }
    Ok(())
}

fn named(instr: &Instr, message: String) -> String {
    format!("{}: {message}", instr.opcode().mnemonic())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entered {
    No,
    ByError,
    ByJump,
}

/// Landing pads that begin with `take_back`, by pc ascending, and what they may take back.
type Pads = Vec<(u32, Vec<(u16, TypeId)>)>;

/// Every instruction that can fail into such a pad must be a call with the same `&mut` parameters.
fn landing_pads(typing: Typing) -> Result<Pads, (u32, String)> {
    let code = &typing.function.code;
    let mut pads: Pads = Vec::new();
    // Handlers may overlap as they like; this keeps a hostile table from being walked again and again.
    let mut budget = code.len() * 8 + 1024;
    let mut handlers: Vec<&Handler> = typing.function.handlers.iter().collect();
    handlers.sort_by_key(|handler| handler.target.0);
    for handler in handlers {
        let pad = handler.target.0;
        if !matches!(code[pad as usize], Instr::TakeBack { .. }) {
            continue;
        }
        for pc in handler.start..handler.end {
            budget = budget.checked_sub(1).ok_or_else(|| (pad, "landing pads cover too much code".to_owned()))?;
            let instr = &code[pc as usize];
            if is_quiet(instr, pc) {
                continue;
            }
            let inout = call_inout(typing, instr).unwrap_or_default();
            match pads.last() {
                Some((other, slots)) if *other == pad => {
                    if *slots != inout {
                        let message = format!(
                            "take_back: {pc} and others that fail into this pad have not the same `&mut` parameters"
                        );
                        return Err((pad, message));
                    }
                }
                _ => pads.push((pad, inout)),
            }
        }
    }
    Ok(pads)
}

/// The `&mut` parameters of a call.
fn call_inout(typing: Typing, instr: &Instr) -> Option<Vec<(u16, TypeId)>> {
    let module = typing.module;
    Some(match *instr {
        Instr::Call { func, .. } => {
            let function = &module.functions[func.index()];
            function.inout.iter().map(|&i| (i, function.registers[usize::from(i)])).collect()
        }
        Instr::CallNative { native, .. } => {
            let params = module.natives[native.index()].params.iter().enumerate();
            params.filter(|(_, param)| param.inout).map(|(i, param)| (i as u16, param.ty)).collect()
        }
        Instr::CallDyn { method, .. } => {
            let method = &module.methods[method.index()];
            method.inout.iter().map(|&i| (i, method.params[usize::from(i)])).collect()
        }
        Instr::CallClosure { .. } => Vec::new(),
        _ => return None,
    })
}

impl Walk<'_> {
    fn step(&mut self, pc: u32, instr: &Instr, entered: Entered, falls_in: bool, pads: &Pads) -> Check {
        if entered != Entered::No {
            ensure!(self.n_filled == 0, "a jump enters where outgoing slots are filled");
            ensure!(self.cursor.is_none(), "a jump enters a chain of places");
            self.nothing_to_take_back()?;
            if let Ok(pad) = pads.binary_search_by_key(&pc, |&(pad, _)| pad) {
                ensure!(
                    entered == Entered::ByError && (pc > 0 && !falls_in),
                    "a landing pad is entered without an error"
                );
                self.back = Back { slots: pads[pad].1.clone(), may_stay: true };
            }
        }
        self.typing.check(instr)?;
        if let Instr::TakeBack { dst, out } = *instr {
            return self.take_back(dst, out);
        }
        self.nothing_to_take_back()?;
        self.chain(instr)?;
        self.outgoing(pc, instr)?;
        if let Some(slots) = call_inout(self.typing, instr) {
            self.back = Back { slots, may_stay: false };
        }
        Ok(())
    }

    fn take_back(&mut self, dst: Reg, out: Out) -> Check {
        ensure!(self.cursor.is_none() && self.n_filled == 0, "it does not follow its call");
        let Some(i) = self.back.slots.iter().position(|&(slot, _)| slot == out.0) else {
            return Err(format!("slot {} holds no `&mut` parameter of a call just before", out.0));
        };
        let (_, ty) = self.back.slots.swap_remove(i);
        self.back.may_stay = false;
        self.typing.same(dst, ty)
    }

    fn nothing_to_take_back(&mut self) -> Check {
        let back = std::mem::take(&mut self.back);
        if let (Some((slot, _)), false) = (back.slots.first(), back.may_stay) {
            return Err(format!("the `&mut` parameter in slot {slot} was not taken back"));
        }
        Ok(())
    }

    fn chain(&mut self, instr: &Instr) -> Check {
        let typing = self.typing;
        let at = self.cursor.take();
        let begun = || at.ok_or("no chain was begun with at_reg");
        let next = match *instr {
            Instr::AtReg { reg } => {
                ensure!(at.is_none(), "the chain before it has no end");
                ensure!(self.n_filled == 0, "outgoing slots are filled");
                self.cursor = Some(Cursor { root: reg, ty: typing.ty(reg), n_steps: 0 });
                return Ok(());
            }
            Instr::AtField { field } => typing.field(begun()?.ty, field)?,
            Instr::AtPayload { at } => typing.payload(begun()?.ty, at)?,
            Instr::AtIndex { .. } => match typing.module.type_desc(begun()?.ty) {
                TypeDesc::Vec(elem) => *elem,
                _ => return Err(format!("an element of {}", typing.module.type_name(begun()?.ty))),
            },
            Instr::AtKey { key } => match typing.module.type_desc(begun()?.ty) {
                TypeDesc::Map(key_ty, value) => {
                    ensure!(key != begun()?.root, "the key is the value that is changed");
                    typing.same(key, *key_ty)?;
                    *value
                }
                _ => return Err(format!("a value of {}", typing.module.type_name(begun()?.ty))),
            },
            Instr::LoadAt { dst: reg } | Instr::StoreAt { src: reg } | Instr::TakeAt { dst: reg } => {
                let cursor = begun()?;
                ensure!(cursor.n_steps > 0, "a chain without a step");
                // It would contain itself.
                let into_itself = matches!(instr, Instr::StoreAt { .. }) && reg == cursor.root;
                ensure!(!into_itself, "r{} is stored into itself", reg.0);
                return typing.same(reg, cursor.ty);
            }
            _ => {
                ensure!(at.is_none(), "it stands in a chain of places");
                return Ok(());
            }
        };
        self.cursor = at.map(|cursor| Cursor { ty: next, n_steps: cursor.n_steps + 1, ..cursor });
        Ok(())
    }

    fn outgoing(&mut self, pc: u32, instr: &Instr) -> Check {
        let typing = self.typing;
        let module = typing.module;
        if self.n_filled > 0 {
            self.lenders_stay(instr)?;
        }
        match *instr {
            Instr::Arg { out, src }
            | Instr::ArgCopy { out, src }
            | Instr::ArgMove { out, src }
            | Instr::ArgLend { out, src } => {
                let slot = &mut self.slots[out.index()];
                ensure!(slot.is_none(), "slot {} is filled already", out.0);
                let lender = matches!(instr, Instr::ArgLend { .. }).then_some(src);
                *slot = Some(Slot { ty: typing.ty(src), lender });
                self.n_filled += 1;
                Ok(())
            }
            Instr::Call { func, .. } | Instr::Spawn { func, .. } => {
                let function = &module.functions[func.index()];
                self.consume_lent(&function.registers[..usize::from(function.n_params)], &function.lent)
            }
            Instr::CallNative { native, .. } => {
                let params: Vec<TypeId> = module.natives[native.index()].params.iter().map(|param| param.ty).collect();
                self.consume(&params)
            }
            Instr::CallClosure { closure, .. } => self.consume(typing.signature(closure)?.0),
            Instr::CallDyn { method, .. } => self.consume(&module.methods[method.index()].params),
            Instr::Make { dst } => self.consume(&typing.parts(dst)?),
            Instr::MakeVariant { dst, variant } => {
                let fields = typing.variant(dst, variant.0)?.fields.iter();
                self.consume(&fields.map(|field| field.ty).collect::<Vec<_>>())
            }
            Instr::MakeVec { dst, count } => {
                ensure!(count.0 <= typing.function.n_out, "{} elements in {} slots", count.0, typing.function.n_out);
                self.consume(&vec![typing.elem(dst)?; count.index()])
            }
            Instr::MakeClosure { func, .. } => self.consume(captures(&module.functions[func.index()]).1),
            _ => {
                let goes_on = successors(instr) == (None, true);
                ensure!(
                    self.n_filled == 0 || is_quiet(instr, pc) && goes_on,
                    "it may fail while outgoing slots are filled"
                );
                Ok(())
            }
        }
    }

    /// What is lent to a call stays where it is till then. (A call's result may go there: it is written when the call is over.)
    fn lenders_stay(&self, instr: &Instr) -> Check {
        let is_lender = |reg| self.slots.iter().flatten().any(|slot| slot.lender == Some(reg));
        for operand in instr.operands() {
            let reg = match operand {
                Operand::Take(reg) | Operand::Change(reg) => reg,
                Operand::Def(reg) if !matches!(instr, Instr::Call { .. }) => reg,
                _ => continue,
            };
            ensure!(!is_lender(reg), "r{} is lent to the call that follows", reg.0);
        }
        Ok(())
    }

    /// Slots 0..n must be filled with these types, and no other.
    fn consume(&mut self, types: &[TypeId]) -> Check {
        self.consume_lent(types, &[])
    }

    /// The same; `lent`, ascending, are lent, and no other.
    fn consume_lent(&mut self, types: &[TypeId], lent: &[u16]) -> Check {
        let module = self.typing.module;
        ensure!(
            self.n_filled == types.len(),
            "{} outgoing slots are filled, {} are wanted",
            self.n_filled,
            types.len()
        );
        for (i, &ty) in types.iter().enumerate() {
            match self.slots.get(i).copied().flatten() {
                None => return Err(format!("outgoing slot {i} is not filled")),
                Some(Slot { ty: found, lender }) => {
                    ensure!(
                        found == ty || super::typing::is_any_tensor(module, found, ty),
                        "outgoing slot {i} holds {}, not {}",
                        module.type_name(found),
                        module.type_name(ty)
                    );
                    let is_lent = lent.binary_search(&(i as u16)).is_ok();
                    let (is, wanted) = if is_lent { ("is not", "lent") } else { ("is", "owned") };
                    ensure!(lender.is_some() == is_lent, "outgoing slot {i} {is} lent, and is to be {wanted}");
                }
            }
        }
        self.slots[..types.len()].fill(None);
        self.n_filled = 0;
        Ok(())
    }
}
