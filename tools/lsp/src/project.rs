//! Which texts a program consists of: what is open in the editor, and the files beside it.

use crate::uri;
use lsp_types::Uri;
use stark_compiler::{Analysis, Host, Options};
use stark_shapes::ModelSpec;
use stark_syntax::source::{SourceId, SourceMap};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

/// Reads what a model file says of itself.
pub type ReadModel = fn(&Path, &str) -> Option<ModelSpec>;

/// A text that is open.
#[derive(Clone, Debug)]
pub struct Document {
    pub text: Arc<str>,
    pub version: i32,
}

/// A program under edit, as far as it could be understood.
pub struct Program {
    /// Another one for each analysis.
    pub serial: u64,
    pub sources: SourceMap,
    pub root: SourceId,
    pub analysis: Analysis,
}

pub struct Project {
    pub documents: HashMap<Uri, Document>,
    /// The folders that the editor has open.
    pub folders: Vec<PathBuf>,
    pub std_folder: PathBuf,
    read_model: ReadModel,
    /// By file and method.
    models: RefCell<HashMap<(PathBuf, String), (SystemTime, Option<ModelSpec>)>>,
    programs: HashMap<Uri, Rc<Program>>,
    n_analyses: u64,
}

/// More open programs than this are analysed again when they are asked for; a guess that bounds memory.
const MAX_PROGRAMS: usize = 32;

impl Project {
    pub fn new(folders: Vec<PathBuf>, read_model: ReadModel) -> Project {
        Project {
            documents: HashMap::new(),
            folders,
            std_folder: crate::std_sources::folder(),
            read_model,
            models: RefCell::default(),
            programs: HashMap::new(),
            n_analyses: 0,
        }
    }

    /// Everything that was concluded from this text is forgotten.
    pub fn changed(&mut self, uri: &Uri) {
        let path = uri::to_path(uri).map(|p| p.display().to_string());
        self.programs.retain(|root, program| {
            let reads = |path: &String| (0..).map_while(|i| program.sources.get(SourceId(i))).any(|s| s.path == *path);
            root != uri && !path.as_ref().is_some_and(reads)
        });
    }

    /// Files came, went or changed: any program may look different.
    pub fn files_changed(&mut self) {
        self.programs.clear();
    }

    /// The program whose own file is this one, analysed when it has changed.
    pub fn program(&mut self, uri: &Uri) -> Option<Rc<Program>> {
        if let Some(program) = self.programs.get(uri) {
            return Some(program.clone());
        }
        self.n_analyses += 1;
        let program = Rc::new(self.analyse(uri)?);
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.clear();
        }
        self.programs.insert(uri.clone(), program.clone());
        Some(program)
    }

    /// The analysis at hand, when nothing has changed since.
    pub fn current(&self, uri: &Uri) -> Option<u64> {
        self.programs.get(uri).map(|p| p.serial)
    }

    fn analyse(&self, uri: &Uri) -> Option<Program> {
        let path = uri::to_path(uri);
        let text: Arc<str> = match self.documents.get(uri) {
            Some(document) => document.text.clone(),
            None => read_source(path.as_ref()?)?,
        };
        let mut sources = SourceMap::new();
        // A file of the library is looked at as a part of it, from an empty program.
        let in_std = path.as_ref().and_then(|p| crate::std_sources::shown_of(&self.std_folder, p));
        let shown = path.as_ref().map_or_else(|| uri.to_string(), |p| p.display().to_string());
        let root = sources.add(shown, if in_std.is_some() { "" } else { &*text });
        let options = Options { check_all_of_std: in_std.is_some(), ..Options::default() };
        let files =
            Files { project: self, roots: self.roots_of(path.as_deref()), package: Package::of(path.as_deref()) };
        let analysis = stark_compiler::analyse(&mut sources, root, &files, &options);
        let root = match in_std {
            Some(shown) => {
                (0..).map(SourceId).take_while(|i| sources.get(*i).is_some()).find(|i| sources.path(*i) == shown)?
            }
            None => root,
        };
        Some(Program { serial: self.n_analyses, sources, root, analysis })
    }

    /// Where a file's imports may stand: beside it, or beside a program in a folder above it, as far as the editor's folder.
    fn roots_of(&self, path: Option<&Path>) -> Vec<PathBuf> {
        let Some(parent) = path.and_then(Path::parent) else { return self.folders.clone() };
        let top = self.folders.iter().filter(|f| parent.starts_with(f)).min_by_key(|f| f.components().count());
        let above = parent.ancestors().take_while(|a| top.is_some_and(|top| a.starts_with(top)));
        let mut roots: Vec<PathBuf> = above.map(Path::to_path_buf).collect();
        if roots.is_empty() {
            roots.push(parent.to_path_buf());
        }
        roots
    }

    /// The address of one of a program's sources; the library's are written down first.
    pub fn uri_of(&self, sources: &SourceMap, source: SourceId) -> Result<Uri, String> {
        let shown = sources.path(source);
        if let Some(path) = crate::std_sources::path_of(&self.std_folder, shown) {
            crate::std_sources::write(&self.std_folder)
                .map_err(|e| format!("cannot write the library's sources to {}: {e}", self.std_folder.display()))?;
            return uri::of_path(&path).ok_or_else(|| format!("no address for {}", path.display()));
        }
        let open = self.documents.keys().find(|u| uri::to_path(u).is_some_and(|p| p.display().to_string() == shown));
        let open = open.or_else(|| self.documents.keys().find(|u| u.as_str() == shown));
        match open {
            Some(uri) => Ok(uri.clone()),
            None => uri::of_path(Path::new(shown)).ok_or_else(|| format!("no address for {shown}")),
        }
    }

    /// The `.stark` files of the editor's folders, up to a number, open ones first.
    pub fn files(&self, limit: usize) -> Vec<Uri> {
        let mut out: Vec<Uri> = self.documents.keys().cloned().collect();
        let mut pending = self.folders.clone();
        let mut n_folders = 0;
        while let Some(folder) = pending.pop() {
            n_folders += 1;
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
            paths.sort();
            for path in paths {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let is_skipped = name.starts_with('.') || matches!(&*name, "target" | "node_modules");
                if is_skipped || path.is_symlink() || path == self.std_folder {
                    continue;
                }
                if path.is_dir() && n_folders + pending.len() < limit {
                    pending.push(path);
                } else if name.ends_with(".stark")
                    && let Some(uri) = uri::of_path(&path)
                    && !out.contains(&uri)
                {
                    out.push(uri);
                }
                if out.len() >= limit {
                    return out;
                }
            }
        }
        out
    }

    /// A file's text as the editor has it, else from the disk.
    pub fn text(&self, uri: &Uri) -> Option<Arc<str>> {
        match self.documents.get(uri) {
            Some(document) => Some(document.text.clone()),
            None => read_source(&uri::to_path(uri)?),
        }
    }

    fn model(&self, path: &Path, method: &str) -> Option<ModelSpec> {
        let written = std::fs::metadata(path).and_then(|m| m.modified()).ok()?;
        // Read once and not at each key: a model may have gigabytes.
        let key = (path.to_path_buf(), method.to_string());
        if let Some((at, spec)) = self.models.borrow().get(&key)
            && *at == written
        {
            return spec.clone();
        }
        let spec = (self.read_model)(path, method);
        self.models.borrow_mut().insert(key, (written, spec.clone()));
        spec
    }
}

/// A source file's text; `None` for what is no file, too large for a source, or no text.
fn read_source(path: &Path) -> Option<Arc<str>> {
    let meta = std::fs::metadata(path).ok()?;
    let fits = meta.is_file() && meta.len() <= stark_syntax::parser::MAX_SOURCE_BYTES as u64;
    if !fits {
        return None;
    }
    std::fs::read_to_string(path).ok().map(Arc::from)
}

/// The package that a file is part of.
struct Package {
    packages: stark_project::Project,
    /// The file as a module of it: importing that means the file itself.
    own: Option<String>,
}

impl Package {
    /// `None` without a `stark.toml` above the file, or with one that cannot be used, which `stark check` tells.
    fn of(path: Option<&Path>) -> Option<Package> {
        let path = path?;
        let packages = stark_project::Project::of_file(path).ok()?;
        packages.root().entry()?;
        let own = packages.module_of(path);
        Some(Package { packages, own })
    }
}

/// The compiler's view: open texts before files.
struct Files<'p> {
    project: &'p Project,
    roots: Vec<PathBuf>,
    package: Option<Package>,
}

impl Host for Files<'_> {
    fn resolve(&self, from: &str, path: &str) -> String {
        let Some(package) = &self.package else { return path.to_string() };
        let name = package.packages.resolve(from, path);
        if package.own.as_ref() == Some(&name) { String::new() } else { name }
    }

    fn load(&self, module_path: &str) -> Option<(String, String)> {
        if let Some(package) = &self.package {
            let (path, _) = package.packages.locate(module_path).ok()??;
            let text = self.project.text(&uri::of_path(&path)?)?;
            return Some((path.display().to_string(), text.to_string()));
        }
        for root in &self.roots {
            let mut path = root.clone();
            path.extend(module_path.split('.'));
            path.set_extension("stark");
            let uri = uri::of_path(&path)?;
            if let Some(text) = self.project.text(&uri) {
                return Some((path.display().to_string(), text.to_string()));
            }
        }
        None
    }

    fn model(&self, path: &str, method: &str) -> Option<ModelSpec> {
        // A program finds it from the folder it is started in, which is most often one of these.
        self.roots.iter().rev().find_map(|root| self.project.model(&root.join(path), method))
    }
}
