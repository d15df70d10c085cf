//! Which types move instead of being copied.
//!
//! A type is unique when it is declared so (`Future`, `JoinHandle`, `@unique`) or holds a unique value. Types may contain
//! themselves, so the answer is found for all declarations at once: each is unique by itself, or when some of its type
//! arguments are.

use crate::hir::*;

/// What is known of one declaration.
#[derive(Clone, Default)]
struct Row {
    always: bool,
    /// For each type parameter: a unique argument makes the whole unique.
    by_param: Vec<bool>,
}

pub struct Unique {
    rows: Vec<Row>,
}

impl Unique {
    pub fn of(program: &Program) -> Unique {
        Unique::with(program, |adt| adt.unique)
    }

    /// Types that hold a value of one declaration, `Future` for example, instead of any unique one.
    pub fn holding(program: &Program, id: AdtId) -> Unique {
        let mut found = Unique::with(program, |_| false);
        found.rows[id.index()].always = true;
        found.settle(program);
        found
    }

    fn with(program: &Program, is_seed: impl Fn(&Adt) -> bool) -> Unique {
        let lang = &program.lang;
        let holds_items = [lang.vec, lang.map, lang.set];
        let rows = program.adts.iter().enumerate().map(|(i, adt)| {
            let holds = holds_items.contains(&AdtId(i as u32));
            Row { always: is_seed(adt), by_param: vec![holds; adt.generics.len()] }
        });
        let mut found = Unique { rows: rows.collect() };
        found.settle(program);
        found
    }

    /// Goes over the declarations until nothing new follows. Each round adds a bit, so it ends.
    fn settle(&mut self, program: &Program) {
        loop {
            let mut changed = false;
            for (i, adt) in program.adts.iter().enumerate() {
                let mut row = self.rows[i].clone();
                match &adt.kind {
                    AdtKind::Struct(fields) => fields.iter().for_each(|f| self.scan(&f.ty, &mut row)),
                    AdtKind::Actor(def) => def.fields.iter().for_each(|f| self.scan(&f.ty, &mut row)),
                    AdtKind::Enum(variants) => {
                        variants.iter().flat_map(|v| &v.fields).for_each(|f| self.scan(&f.ty, &mut row));
                    }
                    AdtKind::Opaque => {}
                }
                changed |= row.always != self.rows[i].always || row.by_param != self.rows[i].by_param;
                self.rows[i] = row;
            }
            if !changed {
                return;
            }
        }
    }

    fn scan(&self, ty: &Ty, row: &mut Row) {
        match ty {
            Ty::Adt(id, args) => {
                let inner = &self.rows[id.index()];
                row.always |= inner.always;
                args.iter().zip(&inner.by_param).filter(|(_, by)| **by).for_each(|(arg, _)| self.scan(arg, row));
            }
            Ty::Tuple(items) => items.iter().for_each(|item| self.scan(item, row)),
            Ty::Param(i, _) => {
                if let Some(by) = row.by_param.get_mut(*i as usize) {
                    *by = true;
                }
            }
            _ => {}
        }
    }

    pub fn is(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Adt(id, args) => {
                let row = &self.rows[id.index()];
                row.always || args.iter().zip(&row.by_param).any(|(arg, by)| *by && self.is(arg))
            }
            Ty::Tuple(items) => items.iter().any(|item| self.is(item)),
            _ => false,
        }
    }
}
