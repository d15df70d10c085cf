//! Objects that a model makes while it runs, and attributes that it assigns.
//!
//! Which object a name stands for is known while compiling; each of its attributes is a slot that assignments move values to.
//! Reading copies the slot, as code may keep what it read and assign anew. So objects go wherever code goes, but not into
//! lists and results.
//!
//! A module's attributes belong to the loaded model, which no run changes. What a run assigns is kept for that run only.

use super::*;

/// An object of the code's own class.
#[derive(Debug)]
pub(super) struct Made {
    pub path: String,
    pub class: Rc<Class>,
    pub file: u32,
    fields: HashMap<String, Field>,
}

#[derive(Debug, Clone)]
enum Field {
    Slot(Slot),
    /// A module or another object.
    Known(Cv),
}

/// Attributes of modules.
#[derive(Debug, Default)]
pub(super) struct ModuleState {
    /// Those that were read from the model's own data.
    read: HashMap<Id, HashSet<String>>,
    assigned: HashMap<(Id, String), Slot>,
    /// Whether something was warned about: nothing else may ask.
    flags: HashSet<(Id, String)>,
}

impl Compiler<'_> {
    pub(super) fn new_object(&mut self, path: &str) -> Done<Cv> {
        let (class, file) = self.class(path)?;
        self.made.push(Made { path: path.to_string(), class, file, fields: HashMap::new() });
        Ok(Cv::Made(self.made.len() - 1))
    }

    pub(super) fn field(&mut self, object: usize, name: &str) -> Done<Cv> {
        let made = &self.made[object];
        let never_none = made.class.attributes.iter().any(|a| a.name == name && a.ty.is_never_none());
        match made.fields.get(name).cloned() {
            Some(Field::Known(cv)) => Ok(cv),
            Some(Field::Slot(slot)) => self.copy(slot, never_none),
            None => self.refuse(format!("`{name}` of a {} is read before it is assigned", made.path)),
        }
    }

    fn copy(&mut self, slot: Slot, never_none: bool) -> Done<Cv> {
        let out = self.new_slot();
        self.emit(Kind::Move, vec![Operand::Slot(slot)], vec![out])?;
        Ok(Cv::Slot { slot: out, never_none })
    }

    /// `path = value`.
    pub(super) fn set_attr(&mut self, path: &[String], value: &Expr, env: &Env) -> Done<()> {
        let [first, between @ .., name] = path else { return self.refuse("an assignment to nothing") };
        let mut base = self.name(first, env)?;
        for name in between {
            base = self.attribute(&base, name)?;
        }
        let value = self.expr(value, env)?;
        match base {
            // What a mode of gradients was before, in models whose modes were written out.
            Cv::Path(class) if class.starts_with(GRAD_MODES) => Ok(()),
            Cv::Made(object) => self.set_field(object, name, value),
            Cv::Object(id) => self.set_state(id, name, &value, path),
            other => self.refuse(format!("`{}` of {} is assigned", path.join("."), describe(&other))),
        }
    }

    fn set_field(&mut self, object: usize, name: &str, value: Cv) -> Done<()> {
        let before = self.made[object].fields.get(name).cloned();
        let field = match (before, &value) {
            (None, Cv::Object(_) | Cv::Made(_) | Cv::Path(_)) => Field::Known(value),
            (Some(Field::Known(known)), _) if same_object(&known, &value) => return Ok(()),
            (Some(Field::Known(_)), _) | (_, Cv::Object(_) | Cv::Made(_) | Cv::Path(_)) => {
                return self.refuse(format!("`{name}`, a module or an object, is exchanged while the model runs"));
            }
            (before, value) => {
                let slot = match before {
                    Some(Field::Slot(slot)) => slot,
                    _ => self.new_slot(),
                };
                let operand = self.operand(value)?;
                self.emit(Kind::Move, vec![operand], vec![slot])?;
                Field::Slot(slot)
            }
        };
        self.made[object].fields.insert(name.to_string(), field);
        Ok(())
    }

    /// Gives attributes that the model reads and assigns a slot each, which holds the model's own value at first.
    pub(super) fn begin_with_state(&mut self) -> Done<()> {
        for (id, name) in self.kept.clone() {
            let own = self.attribute(&Cv::Object(id), &name)?;
            let (own, slot) = (self.operand(&own)?, self.new_slot());
            self.emit(Kind::Move, vec![own], vec![slot])?;
            self.modules.assigned.insert((id, name), slot);
        }
        Ok(())
    }

    fn set_state(&mut self, id: Id, name: &str, value: &Cv, path: &[String]) -> Done<()> {
        let known = self.modules.assigned.get(&(id, name.to_string())).copied();
        let was_read = self.modules.read.get(&id).is_some_and(|names| names.contains(name));
        // A branch or a loop may not be entered.
        if known.is_none() && (was_read || self.block_nesting > 0) {
            self.kept.insert((id, name.to_string()));
            return self.refuse(format!(
                "`{}` is assigned: the model changes its own state, but loaded models are immutable",
                path.join(".")
            ));
        }
        let slot = match known {
            Some(slot) => slot,
            None => self.new_slot(),
        };
        let operand = self.operand(value)?;
        self.emit(Kind::Move, vec![operand], vec![slot])?;
        self.modules.assigned.insert((id, name.to_string()), slot);
        Ok(())
    }

    /// What was assigned to a module's attribute in this run; nothing when it is the model's own, which is noted.
    pub(super) fn state(&mut self, id: Id, name: &str) -> Done<Option<Cv>> {
        let key = (id, name.to_string());
        if self.modules.flags.contains(&key) {
            return self
                .refuse(format!("`{name}` says whether something was warned about, and is read for something else"));
        }
        match self.modules.assigned.get(&key).copied() {
            Some(slot) => self.copy(slot, false).map(Some),
            None => {
                self.modules.read.entry(id).or_default().insert(key.1);
                Ok(None)
            }
        }
    }

    /// `if not self.has_warned: warn; self.has_warned = True`: which says nothing about a result, as long as nothing else reads
    /// the attribute.
    pub(super) fn is_warning(&mut self, then: &[Stmt], otherwise: &[Stmt], env: &Env) -> Done<bool> {
        let mut flags = Vec::new();
        for stmt in then.iter().chain(otherwise) {
            match &stmt.kind {
                StmtKind::Pass => {}
                StmtKind::Expr(Expr::Call { callee, .. }) if names_torch(callee, "warn") => {}
                StmtKind::SetAttr { path, value: Expr::Name(truth) } if ["True", "False"].contains(&truth.as_str()) => {
                    flags.push(path);
                }
                _ => return Ok(false),
            }
        }
        for path in &flags {
            let [first, name] = &path[..] else { return Ok(false) };
            let Some(Cv::Object(id)) = env.get(first) else { return Ok(false) };
            self.modules.flags.insert((*id, name.clone()));
        }
        Ok(!flags.is_empty())
    }
}

pub(super) fn same_object(a: &Cv, b: &Cv) -> bool {
    match (a, b) {
        (Cv::Object(x), Cv::Object(y)) => x == y,
        (Cv::Made(x), Cv::Made(y)) => x == y,
        (Cv::Path(x), Cv::Path(y)) => x == y,
        _ => false,
    }
}
