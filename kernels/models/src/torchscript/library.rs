//! Where a class or function lives: code files are parsed when their name is first needed.
//!
//! `__torch__.a.b.C` is the class (or function) `C` of the file `code/__torch__/a/b.py`. Names resolve
//! within the archive only.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Class, File, Function};
use super::parse::parse_file;
use crate::error::{ModelError, Place};
use crate::zip::Archive;

/// How many code files one model may name.
pub const MAX_FILES: usize = 20_000;

/// A parsed file and its index in [`Library::names`].
#[derive(Debug)]
pub struct CodeFile {
    pub index: u32,
    classes: HashMap<String, Rc<Class>>,
    functions: HashMap<String, Rc<Function>>,
}

/// What a qualified name stands for.
#[derive(Debug, Clone)]
pub enum Definition {
    Class(Rc<Class>),
    Function(Rc<Function>),
}

#[derive(Debug)]
pub struct Library<'a> {
    archive: &'a Archive,
    prefix: &'a str,
    files: HashMap<String, Rc<CodeFile>>,
    /// Entry names of the files that were read, for places.
    pub names: Vec<Arc<str>>,
}

impl<'a> Library<'a> {
    /// `prefix` is the archive's common folder, with its slash.
    pub fn new(archive: &'a Archive, prefix: &'a str) -> Library<'a> {
        Library { archive, prefix, files: HashMap::new(), names: Vec::new() }
    }

    /// The definition of `qualified` and the file it is in; `None` when there is none.
    pub fn find(&mut self, qualified: &str) -> Result<Option<(Definition, u32)>, ModelError> {
        let Some((module, name)) = qualified.rsplit_once('.') else { return Ok(None) };
        let entry = format!("{}code/{}.py", self.prefix, module.replace('.', "/"));
        let Some(file) = self.file(&entry)? else { return Ok(None) };
        let class = file.classes.get(name).cloned().map(Definition::Class);
        let found = class.or_else(|| file.functions.get(name).cloned().map(Definition::Function));
        Ok(found.map(|definition| (definition, file.index)))
    }

    pub fn place(&self, file: u32, line: u32) -> Place {
        let entry = self.names.get(file as usize).cloned().unwrap_or_else(|| "code".into());
        Place { file: self.archive.file().clone(), entry, line }
    }

    fn file(&mut self, entry: &str) -> Result<Option<Rc<CodeFile>>, ModelError> {
        if let Some(file) = self.files.get(entry) {
            return Ok(Some(file.clone()));
        }
        if self.archive.get(entry).is_none() {
            return Ok(None);
        }
        let short: Arc<str> = entry.strip_prefix(self.prefix).unwrap_or(entry).into();
        let index = self.names.len() as u32;
        self.names.push(short);
        let refuse = |line, reason: String| ModelError::Code { place: self.place(index, line), reason };
        if self.names.len() > MAX_FILES {
            return Err(refuse(0, format!("more than {MAX_FILES} code files")));
        }
        let bytes = self.archive.read(entry)?;
        let source = std::str::from_utf8(&bytes).map_err(|_| refuse(0, "the code is not UTF-8".into()))?;
        let File { classes, functions } = parse_file(source).map_err(|e| refuse(e.line, e.reason))?;
        let file = Rc::new(CodeFile {
            index,
            classes: classes.into_iter().map(|class| (class.name.clone(), Rc::new(class))).collect(),
            functions: functions.into_iter().map(|function| (function.name.clone(), Rc::new(function))).collect(),
        });
        self.files.insert(entry.to_string(), file.clone());
        Ok(Some(file))
    }
}
