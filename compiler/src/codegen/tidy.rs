//! The last look at a function. What nothing reaches goes, and so do registers that nothing names; those that own references
//! stand together, since each call writes nulls from the first to the last of them.

use stark_bytecode::{Function, Instr, Line, Operand, Reg, Target, TypeId};

pub(super) fn tidy(function: &mut Function, is_ref: impl Fn(TypeId) -> bool) {
    let is_kept = kept(function);
    let code = std::mem::take(&mut function.code);
    let code = code.into_iter().zip(is_kept).map(|(instr, is_kept)| is_kept.then_some(instr).into_iter().collect());
    replace(function, code.collect());
    order_registers(function, is_ref);
}

fn target(instr: &mut Instr) -> Option<&mut Target> {
    match instr {
        Instr::Jump { to } | Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. } => Some(to),
        _ => None,
    }
}

/// Whether nothing goes on behind it.
fn ends(instr: &Instr) -> bool {
    use Instr::*;
    matches!(instr, Jump { .. } | ReturnScalar { .. } | ReturnRef { .. } | Throw { .. } | Rethrow { .. })
}

/// The instructions that something reaches, without jumps to what comes next anyway.
fn kept(function: &mut Function) -> Vec<bool> {
    let n = function.code.len();
    let mut is_reached = vec![false; n];
    let mut work = vec![0];
    let mut handlers: Vec<_> = function.handlers.iter().map(|h| (h.start as usize..h.end as usize, h.target)).collect();
    while !work.is_empty() {
        while let Some(pc) = work.pop() {
            if pc >= n || std::mem::replace(&mut is_reached[pc], true) {
                continue;
            }
            let instr = &mut function.code[pc];
            if !ends(instr) {
                work.push(pc + 1);
            }
            work.extend(target(instr).map(|to| to.index()));
        }
        handlers.retain(|(range, target)| {
            let is_used = is_reached[range.clone()].contains(&true);
            if is_used {
                work.push(target.index());
            }
            !is_used
        });
    }
    let mut is_kept = is_reached;
    // From the end: what comes next is known.
    let mut next = n;
    for pc in (0..n).rev() {
        if let Instr::Jump { to } = function.code[pc]
            && (pc + 1..=next).contains(&to.index())
        {
            is_kept[pc] = false;
        }
        if is_kept[pc] {
            next = pc;
        }
    }
    is_kept
}

/// Gives the function other code: what stands for each of its instructions. Whoever jumped to an instruction comes to the first
/// of those, or of the next that has some.
pub(super) fn replace(function: &mut Function, code: Vec<Vec<Instr>>) {
    let mut n_new = 0;
    let mut moved: Vec<u32> = Vec::with_capacity(code.len() + 1);
    for instrs in &code {
        moved.push(n_new);
        n_new += instrs.len() as u32;
    }
    moved.push(n_new);
    let new = |pc: u32| moved[pc as usize];
    function.code = code.into_iter().flatten().collect();
    for to in function.code.iter_mut().filter_map(target) {
        to.0 = new(to.0);
    }
    for handler in &mut function.handlers {
        (handler.start, handler.end) = (new(handler.start), new(handler.end));
        handler.target.0 = new(handler.target.0);
    }
    function.handlers.retain(|handler| handler.start < handler.end);
    let mut lines: Vec<Line> = Vec::with_capacity(function.lines.len());
    for line in &function.lines {
        let line = Line { pc: new(line.pc), ..*line };
        // The line of instructions that are gone.
        if lines.last().is_some_and(|last| last.pc == line.pc) {
            lines.pop();
        }
        // What stood between two stretches of one place may be gone.
        if line.pc < n_new && lines.last().is_none_or(|last| Line { pc: line.pc, ..*last } != line) {
            lines.push(line);
        }
    }
    function.lines = lines;
}

/// Parameters, numbers, what is lent, references; without those that nothing names.
pub(super) fn order_registers(function: &mut Function, is_ref: impl Fn(TypeId) -> bool) {
    let n_params = usize::from(function.n_params);
    let mut is_named = vec![false; function.registers.len()];
    is_named[..n_params].fill(true);
    for operand in function.code.iter().flat_map(Instr::operands) {
        if let Some(reg) = operand.reg() {
            is_named[reg.index()] = true;
        }
    }
    for handler in &function.handlers {
        is_named[handler.err.index()] = true;
    }
    let mut order: Vec<usize> = (n_params..function.registers.len()).filter(|&i| is_named[i]).collect();
    order.sort_by_key(|&i| (is_ref(function.registers[i]), !function.is_lent(Reg(i as u16))));
    order.splice(0..0, 0..n_params);
    let mut moved = vec![None; function.registers.len()];
    for (new, &old) in order.iter().enumerate() {
        moved[old] = Some(Reg(new as u16));
    }
    let new = |reg: Reg| moved[reg.index()].expect("it is named");
    for instr in &mut function.code {
        let operands: Vec<Operand> = instr.operands().map(|operand| operand.with_reg(new)).collect();
        *instr = Instr::from_operands(instr.opcode(), &operands).expect("the same roles");
    }
    for handler in &mut function.handlers {
        handler.err = new(handler.err);
    }
    function.lent.retain_mut(|reg| moved[usize::from(*reg)].map(|new| *reg = new.0).is_some());
    function.lent.sort_unstable();
    function.debug_names.retain_mut(|(reg, _)| moved[reg.index()].map(|new| *reg = new).is_some());
    function.debug_names.sort();
    function.registers = order.iter().map(|&old| function.registers[old]).collect();
}
