//! `Scan` as it was before version 9.

use super::*;

impl<'a> Importer<'a> {
    /// Before version 9 a Scan runs over each item of a batch by itself.
    pub(super) fn old_scan(&mut self, node: &'a NodeProto) -> Done<()> {
        let body = self.graph_attribute(node, "body")?;
        let n_scanned = self.find_attribute(node, "num_scan_inputs").map_or(0, |a| a.i);
        let n_scanned = usize::try_from(n_scanned).ok().filter(|&n| n > 0 && n < node.input.len());
        let Some(n_scanned) = n_scanned else { return self.b.refuse("Scan without inputs to scan") };
        if node.input.first().is_some_and(|name| !name.is_empty()) {
            return self.unknown(node, " with lengths, before version 9");
        }
        let n_carried = node.input.len() - 1 - n_scanned;
        let directions = self.ints(node, "directions");
        let Some(n_scans) = body.output.len().checked_sub(n_carried) else {
            return self.b.refuse(format!("Scan carries {n_carried} values, its body gives {}", body.output.len()));
        };
        let (zero, forward) = (self.b.constant(Value::Int(0)), self.b.constant(Value::Bool(false)));
        let nothing = self.b.constant(Value::None);
        let new_lists = |this: &mut Self, n: usize| {
            (0..n).map(|_| this.b.op(&table::NEW_LIST, vec![nothing])).collect::<Done<Vec<Operand>>>()
        };
        let mut given = Vec::new();
        for index in 1..node.input.len() {
            given.push(self.optional(node, index)?);
        }
        let outer_lists = new_lists(self, body.output.len())?;
        let n_items = self.b.op(&table::SCAN_LENGTH, vec![given[0], zero])?;
        let item = self.b.new_slot();
        let outer = self.b.begin_block()?;
        // One item of the batch.
        let mut parts = Vec::new();
        for &x in &given {
            parts.push(self.b.op(&table::SCAN_ITEM, vec![x, zero, Operand::Slot(item), forward])?);
        }
        let carried: Vec<Slot> = (0..n_carried).map(|_| self.b.new_slot()).collect();
        if n_carried > 0 {
            self.b.emit(Kind::Move, parts[..n_carried].to_vec(), carried.clone())?;
        }
        let lists = new_lists(self, n_scans)?;
        let count = self.b.op(&table::SCAN_LENGTH, vec![parts[n_carried], zero])?;
        let round = self.b.new_slot();
        let middle = self.b.begin_block()?;
        let mut inputs: Vec<Operand> = carried.iter().copied().map(Operand::Slot).collect();
        for (i, &x) in parts[n_carried..].iter().enumerate() {
            let turned = self.b.constant(Value::Bool(directions.get(i).is_some_and(|&way| way != 0)));
            inputs.push(self.b.op(&table::SCAN_ITEM, vec![x, zero, Operand::Slot(round), turned])?);
        }
        let mut results = self.subgraph(node, "body", body, &inputs)?;
        for (list, scan) in lists.iter().zip(results.split_off(n_carried)) {
            self.b.op(&table::APPEND, vec![*list, scan])?;
        }
        if n_carried > 0 {
            self.b.emit(Kind::Move, results, carried.clone())?;
        }
        let block = self.b.end_block(middle);
        self.b.emit(Kind::For(block), vec![count], vec![round])?;
        for (list, slot) in outer_lists.iter().zip(carried) {
            self.b.op(&table::APPEND, vec![*list, Operand::Slot(slot)])?;
        }
        for ((list, inner), value) in outer_lists[n_carried..].iter().zip(lists).zip(&body.output[n_carried..]) {
            let [dims, dtype] = self.scan_output(value)?;
            let stacked = self.b.op(&table::STACK, vec![inner, zero, forward, dims, dtype])?;
            self.b.op(&table::APPEND, vec![*list, stacked])?;
        }
        let block = self.b.end_block(outer);
        self.b.emit(Kind::For(block), vec![n_items], vec![item])?;
        let mut results = Vec::new();
        for (list, value) in outer_lists.into_iter().zip(&body.output) {
            let [dims, dtype] = self.scan_output(value)?;
            results.push(self.b.op(&table::STACK, vec![list, zero, forward, dims, dtype])?);
        }
        self.outputs(node, &results)
    }
}
