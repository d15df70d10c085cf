//! The files that `[assets]` names: paths, globs and folders of every package, found on this machine.

use crate::manifest::Asset;
use crate::project::{Package, Project, Refusal};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Assets of one project.
pub const MAX_ASSETS: usize = 1 << 20;

/// A file that a bundle takes along.
#[derive(Clone, Debug)]
pub struct AssetFile {
    /// From its package's folder, with `/`.
    pub path: String,
    /// Its key in `[assets]`, when that names this file alone.
    pub name: Option<String>,
    pub kind: Option<String>,
    pub compress: bool,
    /// Where it lies, without links.
    pub file: PathBuf,
    /// The row that names it.
    pub span: Span,
}

impl Project {
    /// The assets of all packages, sorted by their paths. `except` is a file that is never one: what is being written.
    pub fn assets(&self, except: Option<&Path>) -> Result<Vec<AssetFile>, Refusal> {
        let except = except.and_then(|path| std::fs::canonicalize(path).ok());
        let mut finder = Finder { found: HashMap::new(), problems: Vec::new(), except };
        for package in &self.packages {
            for asset in package.manifest.iter().flat_map(|manifest| &manifest.assets) {
                finder.asset(package, asset);
            }
        }
        if !finder.problems.is_empty() {
            return Err(self.refusal(finder.problems));
        }
        let mut found: Vec<AssetFile> = finder.found.into_values().collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The file of the asset that a program means by `path`, its path or its name; `None` when it is none, or `[assets]` is
    /// wrong: whoever runs or bundles the program says so.
    pub fn asset(&self, path: &str) -> Option<PathBuf> {
        let path = path.strip_prefix("./").unwrap_or(path);
        let found = self.assets(None).ok()?;
        found
            .into_iter()
            .find(|asset| asset.path == path || asset.name.as_deref() == Some(path))
            .map(|asset| asset.file)
    }

    /// What is wrong in the manifests, with their texts.
    pub fn refusal(&self, problems: Vec<Diagnostic>) -> Refusal {
        Refusal::Diagnostics(self.manifests.clone(), problems)
    }
}

struct Finder {
    found: HashMap<String, AssetFile>,
    problems: Vec<Diagnostic>,
    except: Option<PathBuf>,
}

impl Finder {
    fn asset(&mut self, package: &Package, asset: &Asset) {
        let mut files = Vec::new();
        let is_single = match self.files(package, asset, &mut files) {
            Ok(is_single) => is_single,
            Err(why) => return self.refuse(asset, why),
        };
        files.retain(|(_, file)| self.except.as_ref() != Some(file));
        if files.is_empty() {
            return self.refuse(asset, format!("asset `{}` names no file: {} is not there", asset.name, asset.path));
        }
        for (path, file) in files {
            if self.found.len() >= MAX_ASSETS {
                return self.refuse(asset, format!("more than {MAX_ASSETS} assets"));
            }
            let found = AssetFile {
                path: path.clone(),
                // A name that is the path itself says nothing more.
                name: (is_single && asset.name != path).then(|| asset.name.clone()),
                kind: asset.kind.clone(),
                compress: asset.compress,
                file,
                span: asset.span,
            };
            match self.found.get(&path) {
                // One package has one file of a path: rows that overlap mean the same.
                Some(other) if other.file == found.file && !is_single => {}
                Some(other) if other.file == found.file && other.name.is_none() => {
                    self.found.insert(path, found);
                }
                Some(other) => {
                    let what = format!("two assets have the path `{path}`");
                    let problem = Diagnostic::error(codes::BAD_MANIFEST, what, asset.span, "this one");
                    let problem = problem.because(other.span, "and this one");
                    self.problems.push(problem.help("name one of them only, or move its file"));
                }
                None => {
                    self.found.insert(path, found);
                }
            }
        }
    }

    fn refuse(&mut self, asset: &Asset, what: String) {
        let problem = Diagnostic::error(codes::BAD_MANIFEST, what, asset.span, "this asset");
        self.problems.push(problem);
    }

    /// The files that an asset means, as path and file; whether it is one path rather than a glob or folder.
    fn files(&self, package: &Package, asset: &Asset, out: &mut Vec<(String, PathBuf)>) -> Result<bool, String> {
        let path = package.folder.join(&asset.path);
        let mut pending = Vec::new();
        let is_single = path.is_file();
        if path.exists() {
            pending.push(path);
        } else {
            let pattern = format!("{}/{}", glob::Pattern::escape(&package.folder.to_string_lossy()), asset.path);
            let options = glob::MatchOptions {
                case_sensitive: true,
                require_literal_separator: true,
                require_literal_leading_dot: true,
            };
            let matches = glob::glob_with(&pattern, options)
                .map_err(|e| format!("asset `{}` is no glob: {} (at character {})", asset.name, e.msg, e.pos))?;
            for found in matches {
                pending.push(found.map_err(|e| format!("cannot list {}: {}", e.path().display(), e.error()))?);
            }
        }
        while let Some(path) = pending.pop() {
            let shown = path.strip_prefix(&package.folder).unwrap_or(&path).display().to_string();
            let unreadable = |e: std::io::Error| format!("cannot read asset {shown}: {e}");
            let real = std::fs::canonicalize(&path).map_err(unreadable)?;
            if !real.starts_with(&package.folder) {
                return Err(format!("asset {shown} leads out of the folder of package `{}`", package.name()));
            }
            if real.is_dir() {
                for entry in std::fs::read_dir(&path).map_err(unreadable)? {
                    let entry = entry.map_err(unreadable)?;
                    // A link to a folder could lead in a circle; files whose names begin with a point belong to other tools.
                    let is_link_to_folder =
                        entry.file_type().map_err(unreadable)?.is_symlink() && entry.path().is_dir();
                    if !is_link_to_folder && !entry.file_name().to_string_lossy().starts_with('.') {
                        pending.push(entry.path());
                    }
                }
                continue;
            }
            if !real.is_file() {
                return Err(format!("asset {shown} is no file"));
            }
            let parts: Option<Vec<&str>> = path
                .strip_prefix(&package.folder)
                .unwrap_or(&path)
                .components()
                .filter(|part| *part != std::path::Component::CurDir)
                .map(|part| part.as_os_str().to_str())
                .collect();
            let parts = parts.ok_or_else(|| format!("the name of asset {shown} is not UTF-8"))?;
            out.push((parts.join("/"), real));
            if out.len() > MAX_ASSETS {
                return Err(format!("asset `{}` names more than {MAX_ASSETS} files", asset.name));
            }
        }
        Ok(is_single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `[assets]` finds in a package with these files, as `path name`.
    fn found(assets: &str, files: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let manifest = format!("[package]\nname = \"app\"\n[assets]\n{assets}");
        std::fs::write(folder.path().join("stark.toml"), manifest).unwrap();
        let problems = |refusal| match refusal {
            Refusal::Message(message) => vec![message],
            Refusal::Diagnostics(_, list) => list.into_iter().map(|d| d.message).collect(),
        };
        let project = Project::of_folder(folder.path()).map_err(problems)?;
        let assets = project.assets(None).map_err(problems)?;
        Ok(assets.into_iter().map(|a| format!("{} {}", a.path, a.name.unwrap_or_default())).collect())
    }

    #[test]
    fn paths_globs_and_folders_are_found_in_order() {
        let files = ["b.pt", "m/a.pt", "m/c.pt", "m/.hidden", "d/x/1.csv", "d/2.csv", "d/[1].csv"];
        assert_eq!(found("b = \"b.pt\"", &files).unwrap(), ["b.pt b"]);
        assert_eq!(found("\"b.pt\" = \"b.pt\"", &files).unwrap(), ["b.pt "]);
        assert_eq!(found("m = \"m/*.pt\"", &files).unwrap(), ["m/a.pt ", "m/c.pt "]);
        assert_eq!(found("d = \"d\"", &files).unwrap(), ["d/2.csv ", "d/[1].csv ", "d/x/1.csv "]);
        assert_eq!(found("d = \"d/[1].csv\"", &files).unwrap(), ["d/[1].csv d"]);
        assert_eq!(found("a = \"m\"\nb = \"./m/a.pt\"", &files).unwrap(), ["m/a.pt b", "m/c.pt "]);
    }

    #[test]
    fn what_is_not_there_or_there_twice_is_told() {
        let told = |assets, files: &[&str]| found(assets, files).unwrap_err();
        assert_eq!(told("a = \"a.pt\"", &[]), ["asset `a` names no file: a.pt is not there"]);
        assert_eq!(told("a = \"x.pt\"\nb = \"x.pt\"", &["x.pt"]), ["two assets have the path `x.pt`"]);
        assert_eq!(told("a = \"[.pt\"", &[]).len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_leads_nowhere_else() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a.pt")).unwrap();
        std::fs::write(folder.path().join("stark.toml"), "[package]\nname = \"app\"\n[assets]\na = \"a.pt\"\n")
            .unwrap();
        let project = Project::of_folder(folder.path()).unwrap();
        let Err(Refusal::Diagnostics(_, list)) = project.assets(None) else { panic!("refused") };
        assert_eq!(list[0].message, "asset a.pt leads out of the folder of package `app`");
    }
}
