//! Which file `import a.b` means.
//!
//! Inside a package `a.b` is `a/b.stark` beside the package's entry; where `a` is a dependency it is `b.stark` of that
//! package, and `a` alone is its entry. A module of another package is called `package::module` everywhere, so that
//! two packages may have modules of one name; modules of the program's own package have plain names, and `""` is the
//! program itself.

use crate::project::{Package, Project};
use crate::{MAX_SOURCE_BYTES, read_text};
use std::path::{Path, PathBuf};

impl Package {
    /// The folder its modules lie in, absolute.
    fn modules(&self) -> PathBuf {
        let entry = self.manifest.as_ref().map_or(self.folder.clone(), |m| self.folder.join(&m.entry));
        if self.manifest.is_some() { entry.parent().unwrap_or(&self.folder).to_path_buf() } else { entry }
    }

    fn shown_modules(&self) -> PathBuf {
        match &self.manifest {
            Some(m) => self.shown.join(Path::new(&m.entry).parent().unwrap_or(Path::new(""))),
            None => self.shown.clone(),
        }
    }

    /// The entry as a module of its package.
    fn entry_module(&self) -> String {
        let entry = self.manifest.as_ref().map_or("", |m| &m.entry);
        Path::new(entry).file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Project {
    /// The one name of the module that `path` means inside the module `from`.
    pub fn resolve(&self, from: &str, path: &str) -> String {
        let from = match from.split_once("::") {
            Some((package, _)) => self.packages.iter().find(|p| p.name() == package),
            None => None,
        }
        .unwrap_or(self.root());
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        if let Some((_, index)) = from.dependencies.iter().find(|(name, _)| name == first) {
            let package = &self.packages[*index];
            let module = if rest.is_empty() { package.entry_module() } else { rest.to_string() };
            return format!("{first}::{module}");
        }
        if std::ptr::eq(from, self.root()) { path.to_string() } else { format!("{}::{path}", from.name()) }
    }

    /// The path to show and the text of a module; `None` when there is no such file.
    pub fn load(&self, module: &str) -> Result<Option<(String, String)>, String> {
        let Some((real, shown)) = self.locate(module)? else { return Ok(None) };
        match read_text(&real, MAX_SOURCE_BYTES) {
            Ok(text) => Ok(Some((shown, text))),
            Err(why) => Err(format!("cannot read {shown}: {why}")),
        }
    }

    /// A module's file, absolute, and the path to show; `None` when there is no such file.
    pub fn locate(&self, module: &str) -> Result<Option<(PathBuf, String)>, String> {
        let (package, module) = match module.split_once("::") {
            Some((name, module)) => match self.packages.iter().find(|p| p.name() == name) {
                Some(package) => (package, module),
                None => return Ok(None),
            },
            None => (self.root(), module),
        };
        let file = format!("{}.stark", module.replace('.', "/"));
        let path = package.modules().join(&file);
        let shown = package.shown_modules().join(&file);
        let shown = shown.strip_prefix("./").unwrap_or(&shown).display().to_string();
        let Ok(real) = std::fs::canonicalize(&path) else { return Ok(None) };
        if package.manifest.is_some() && !real.starts_with(&package.folder) {
            return Err(format!("{shown} leads out of the folder of package `{}`", package.name()));
        }
        Ok(Some((real, shown)))
    }

    /// The name of a file of the program's own package as a module; `None` for files outside its modules' folder.
    pub fn module_of(&self, file: &Path) -> Option<String> {
        let real = std::fs::canonicalize(file).ok()?;
        let below = real.strip_prefix(self.root().modules()).ok()?.with_extension("");
        let names: Vec<String> = below.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        Some(names.join("."))
    }
}
