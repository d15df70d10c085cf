//! Who writes and reads each slot.

use super::alias::changing;
use crate::graph::{Graph, Instr, Kind, Operand, Slot};

/// Writers and readers of slots, as the graph is now. Values that some instruction may change have none: patterns and
/// fused operators read their arguments at another time.
pub struct Uses {
    /// The instruction of the outermost block that alone writes a slot.
    writer: Vec<Option<usize>>,
    n_reads: Vec<u32>,
    /// Readers in the outermost block, one entry a read.
    readers: Vec<Vec<usize>>,
    changing: Vec<bool>,
}

impl Uses {
    pub fn of(graph: &Graph) -> Uses {
        let n = graph.n_slots as usize;
        let mut uses = Uses {
            writer: vec![None; n],
            n_reads: vec![0; n],
            readers: vec![Vec::new(); n],
            changing: changing(graph),
        };
        let mut n_writes = vec![0u32; n];
        graph
            .inputs
            .iter()
            .chain(graph.own.iter().map(|(slot, _)| slot))
            .for_each(|slot| n_writes[slot.0 as usize] += 1);
        graph.each_instr(&mut |instr| {
            instr.outs.iter().for_each(|slot| n_writes[slot.0 as usize] += 1);
            let cond = if let Kind::While { cond, .. } = &instr.kind { cond.slot() } else { None };
            for slot in instr.args.iter().filter_map(|arg| arg.slot()).chain(cond) {
                uses.n_reads[slot.0 as usize] += 1;
            }
        });
        if let Operand::Slot(slot) = graph.output {
            uses.n_reads[slot.0 as usize] += 1;
        }
        for (at, instr) in graph.body.iter().enumerate() {
            let fixed = |slot: &&Slot| n_writes[slot.0 as usize] == 1 && !uses.changing[slot.0 as usize];
            for slot in instr.outs.iter().filter(fixed) {
                uses.writer[slot.0 as usize] = Some(at);
            }
            for slot in instr.args.iter().filter_map(|arg| arg.slot()) {
                uses.readers[slot.0 as usize].push(at);
            }
        }
        uses
    }

    /// Where `operand` is computed, when it is written once, by the outermost block.
    pub fn writer(&self, operand: Operand) -> Option<usize> {
        self.writer[operand.slot()?.0 as usize]
    }

    pub fn n_reads(&self, slot: Slot) -> u32 {
        self.n_reads[slot.0 as usize]
    }

    /// The one reader of what `instr` gives, when it is in the outermost block and nobody else reads it.
    pub fn only_reader(&self, instr: &Instr) -> Option<usize> {
        let [slot] = &*instr.outs else { return None };
        match (&self.readers[slot.0 as usize][..], self.n_reads(*slot)) {
            _ if self.changing[slot.0 as usize] => None,
            ([reader], 1) => Some(*reader),
            _ => None,
        }
    }

    /// As [`Uses::writer`], when nobody else reads the value.
    pub fn own(&self, operand: Operand) -> Option<usize> {
        self.writer(operand).filter(|_| operand.slot().is_some_and(|slot| self.n_reads(slot) == 1))
    }

    /// Whether `operand` has one value for the whole run, so that it may be read later than it was.
    pub fn is_fixed(&self, graph: &Graph, operand: Operand) -> bool {
        match operand {
            Operand::Const(_) => true,
            Operand::Slot(slot) => {
                let is_input = || graph.inputs.contains(&slot) && !self.changing[slot.0 as usize];
                self.writer(operand).is_some() || is_input()
            }
        }
    }
}
