//! A package with all it depends on, found by following the paths in the manifests.

use crate::manifest::{self, MANIFEST_NAME, Manifest};
use crate::{MAX_MANIFEST_BYTES, MAX_PACKAGES, read_text};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceId, SourceMap, Span};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// A folder with a `stark.toml`; without one, the folder a program lies in.
#[derive(Clone, Debug)]
pub struct Package {
    /// What the manifest says; `None` for a program on its own.
    pub manifest: Option<Manifest>,
    /// Absolute, without links.
    pub folder: PathBuf,
    /// As messages show it: from the path that the user gave.
    pub shown: PathBuf,
    /// The packages its modules may import, by name.
    pub dependencies: Vec<(String, usize)>,
}

impl Package {
    pub fn name(&self) -> &str {
        self.manifest.as_ref().map_or("", |m| &m.name)
    }

    /// The program, as messages show it.
    pub fn entry(&self) -> Option<PathBuf> {
        self.manifest.as_ref().map(|m| self.shown.join(&m.entry))
    }
}

/// A package and all it depends on; the package itself comes first, the others in the order of their names.
#[derive(Clone, Debug)]
pub struct Project {
    pub packages: Vec<Package>,
    /// The texts of the manifests, for what is found wrong later.
    pub(crate) manifests: SourceMap,
}

/// Why there is no project.
#[derive(Debug)]
pub enum Refusal {
    Message(String),
    /// What is wrong in manifests.
    Diagnostics(SourceMap, Vec<Diagnostic>),
}

impl Project {
    /// The package in `folder`.
    pub fn of_folder(folder: &Path) -> Result<Project, Refusal> {
        let path = folder.join(MANIFEST_NAME);
        if !path.is_file() {
            return Err(Refusal::Message(format!(
                "{} is a folder without a {MANIFEST_NAME}; name a .stark file in it, or make a package with `stark new`",
                folder.display()
            )));
        }
        Finder::default().find(folder)
    }

    /// The package that `file` is part of: that of the nearest folder with a `stark.toml`, else the file's own folder.
    pub fn of_file(file: &Path) -> Result<Project, Refusal> {
        let folder = match file.parent() {
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            Some(parent) => parent.to_path_buf(),
            None => PathBuf::from("."),
        };
        let absolute = canonical(&folder).map_err(Refusal::Message)?;
        let mut shown = folder.clone();
        for (i, above) in absolute.ancestors().enumerate() {
            if i > 0 {
                // `a/b` is shown as `a` one up, `.` as `..`.
                shown = match shown.file_name() {
                    Some(_) => shown
                        .parent()
                        .map(Path::to_path_buf)
                        .filter(|p| !p.as_os_str().is_empty())
                        .unwrap_or(".".into()),
                    None if shown == Path::new(".") => "..".into(),
                    None => shown.join(".."),
                };
            }
            if above.join(MANIFEST_NAME).is_file() {
                return Finder::default().find(&shown);
            }
        }
        let package = Package { manifest: None, folder: absolute, shown: folder, dependencies: Vec::new() };
        Ok(Project { packages: vec![package], manifests: SourceMap::new() })
    }

    pub fn root(&self) -> &Package {
        &self.packages[0]
    }

    /// Whether its dependencies are kept in a `stark.lock`.
    pub fn has_dependencies(&self) -> bool {
        self.packages.len() > 1
    }
}

/// The path without links; what is wrong as a sentence.
fn canonical(path: &Path) -> Result<PathBuf, String> {
    std::fs::canonicalize(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("cannot read {}: there is no such folder", path.display()),
        _ => format!("cannot read {}: {e}", path.display()),
    })
}

/// `a/../b` as `b`, unless a link makes that another folder. For people: nothing is opened by it.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        let is_up = part == Component::ParentDir;
        if is_up && matches!(tidy.components().next_back(), Some(Component::Normal(_))) {
            tidy.pop();
        } else if part != Component::CurDir {
            tidy.push(part);
        }
    }
    let leads_elsewhere = std::fs::canonicalize(path).is_ok_and(|real| std::fs::canonicalize(&tidy).ok() != Some(real));
    if leads_elsewhere || tidy.as_os_str().is_empty() { path.to_path_buf() } else { tidy }
}

/// Follows dependencies, depth first.
#[derive(Default)]
struct Finder {
    sources: SourceMap,
    diagnostics: Vec<Diagnostic>,
    packages: Vec<Package>,
    by_folder: HashMap<PathBuf, usize>,
    by_name: HashMap<String, (usize, Span)>,
    /// The packages whose dependencies are being followed, each with the place that named it.
    open: Vec<(usize, Span)>,
}

impl Finder {
    fn find(mut self, folder: &Path) -> Result<Project, Refusal> {
        let absolute = canonical(folder).map_err(Refusal::Message)?;
        let (source, text) = self
            .read(folder, &absolute)
            .map_err(|why| Refusal::Message(format!("cannot read {}: {why}", folder.join(MANIFEST_NAME).display())))?;
        self.package(folder, absolute, source, &text, Span::new(source, 0, 0));
        if !self.diagnostics.is_empty() {
            return Err(Refusal::Diagnostics(self.sources, self.diagnostics));
        }
        Ok(Project { packages: self.packages, manifests: self.sources }.sorted())
    }

    fn read(&mut self, shown: &Path, folder: &Path) -> Result<(SourceId, String), String> {
        let text = read_text(&folder.join(MANIFEST_NAME), MAX_MANIFEST_BYTES)?;
        let shown = shown.join(MANIFEST_NAME);
        let shown = shown.strip_prefix("./").unwrap_or(&shown);
        Ok((self.sources.add(shown.display().to_string(), text.clone()), text))
    }

    /// Adds the package whose manifest is `text`, then what it depends on.
    fn package(&mut self, shown: &Path, folder: PathBuf, source: SourceId, text: &str, named: Span) -> usize {
        let index = self.packages.len();
        let manifest = manifest::read(source, text, &mut self.diagnostics);
        self.by_folder.insert(folder.clone(), index);
        let (name, dependencies) = (manifest.name.clone(), manifest.dependencies.clone());
        if !name.is_empty() {
            if let Some((_, first)) = self.by_name.get(&name) {
                let what = format!("two packages are called `{name}`");
                let problem = Diagnostic::error(codes::BAD_DEPENDENCY, what, manifest.name_span, "this one");
                let problem = problem.because(*first, "and this one");
                self.diagnostics.push(problem.help("give one of them another name"));
            } else {
                self.by_name.insert(name, (index, manifest.name_span));
            }
        }
        self.packages.push(Package {
            manifest: Some(manifest),
            folder: folder.clone(),
            shown: shown.to_path_buf(),
            dependencies: Vec::new(),
        });
        self.open.push((index, named));
        for dependency in dependencies {
            if let Some(found) = self.dependency(shown, &folder, &dependency) {
                self.packages[index].dependencies.push((dependency.name, found));
            }
        }
        self.open.pop();
        index
    }

    fn dependency(&mut self, shown: &Path, folder: &Path, dependency: &manifest::Dependency) -> Option<usize> {
        let refuse = |finder: &mut Finder, message: String, label: &str, help: &str| {
            let problem = Diagnostic::error(codes::BAD_DEPENDENCY, message, dependency.span, label);
            finder.diagnostics.push(if help.is_empty() { problem } else { problem.help(help) });
            None
        };
        let name = &dependency.name;
        let target = folder.join(&dependency.path);
        let there = tidy(&shown.join(&dependency.path));
        let Ok(absolute) = std::fs::canonicalize(&target) else {
            let what = format!("dependency `{name}` is not there: {} does not exist", there.display());
            return refuse(self, what, "no such folder", "the path starts at the folder of this file");
        };
        let index = match self.by_folder.get(&absolute) {
            Some(index) => {
                if let Some(at) = self.open.iter().position(|(open, _)| open == index) {
                    let mut circle: Vec<&str> = self.open[at..].iter().map(|(i, _)| self.packages[*i].name()).collect();
                    circle.push(self.packages[*index].name());
                    let what = format!("packages depend on each other in a circle: {}", circle.join(" → "));
                    let mut problem =
                        Diagnostic::error(codes::BAD_DEPENDENCY, what, dependency.span, "this closes the circle");
                    for (_, named) in &self.open[at + 1..] {
                        problem = problem.because(*named, "through this");
                    }
                    self.diagnostics.push(problem.help("move what both need into a third package"));
                    return None;
                }
                *index
            }
            None if self.packages.len() >= MAX_PACKAGES => {
                return refuse(self, format!("a project may have {MAX_PACKAGES} packages"), "one too many", "");
            }
            None => {
                let (source, text) = match self.read(&there, &absolute) {
                    Ok(read) => read,
                    Err(why) => {
                        let what = format!(
                            "dependency `{name}` is no package: {}: {why}",
                            there.join(MANIFEST_NAME).display()
                        );
                        return refuse(self, what, "no package here", "");
                    }
                };
                self.package(&there, absolute, source, &text, dependency.span)
            }
        };
        let found = self.packages[index].manifest.as_ref();
        if let Some(found) = found
            && found.name != *name
            && !found.name.is_empty()
        {
            let what = format!("the package in {} is called `{}`, not `{name}`", there.display(), found.name);
            let problem =
                Diagnostic::error(codes::BAD_DEPENDENCY, what, dependency.span, format!("named `{name}` here"));
            let problem = problem.because(found.name_span, "its own name");
            let help = format!("write `{} = {{ path = … }}`", found.name);
            self.diagnostics.push(problem.help(help));
            return None;
        }
        if let Some(own) = self.own_module(folder, name, &self.packages[index].folder) {
            let what = format!("`import {name}` could mean the dependency or {}", own.display());
            return refuse(self, what, "the dependency", "rename the file or folder");
        }
        Some(index)
    }

    /// A module of the package itself that has the dependency's name.
    fn own_module(&self, folder: &Path, name: &str, dependency: &Path) -> Option<PathBuf> {
        let manifest = self.packages[*self.by_folder.get(folder)?].manifest.as_ref()?;
        let modules = folder.join(&manifest.entry).parent()?.to_path_buf();
        let file = modules.join(format!("{name}.stark"));
        let below = modules.join(name);
        if file.is_file() {
            return Some(PathBuf::from(format!("{name}.stark")));
        }
        // The dependency may lie in a folder of the package.
        (below.is_dir() && !dependency.starts_with(&below)).then(|| PathBuf::from(format!("{name}/")))
    }
}

impl Project {
    fn sorted(self) -> Project {
        let mut order: Vec<usize> = (1..self.packages.len()).collect();
        order.sort_by(|a, b| self.packages[*a].name().cmp(self.packages[*b].name()));
        order.insert(0, 0);
        let mut place = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = new;
        }
        let packages = order.iter().map(|old| {
            let mut package = self.packages[*old].clone();
            package.dependencies.iter_mut().for_each(|(_, index)| *index = place[*index]);
            package.dependencies.sort();
            package
        });
        Project { packages: packages.collect(), manifests: self.manifests }
    }
}
