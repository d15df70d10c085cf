//! `stark.lock`: what a project's dependencies were when it was last used.
//!
//! The file has a row for each package but the project itself, sorted by name: version, path, and a hash of the
//! package's `stark.toml` and `.stark` files. It is written when it is missing or has changed; `--locked` refuses
//! instead, and names what changed.

use crate::manifest::MANIFEST_NAME;
use crate::project::{Package, Project};
use crate::{MAX_MANIFEST_BYTES, MAX_PACKAGE_FILES, read_text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

pub const LOCK_NAME: &str = "stark.lock";

/// The version of the file's format.
const VERSION: i64 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pub rows: BTreeMap<String, Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub version: String,
    /// From the project's folder, with `/`.
    pub path: String,
    /// Hexadecimal BLAKE3.
    pub hash: String,
}

impl Project {
    /// Compares the dependencies with `stark.lock`, and writes it anew when they differ; with `locked` a difference is
    /// an error. Gives what changed, as sentences.
    pub fn lock(&self, locked: bool) -> Result<Vec<String>, String> {
        let path = self.root().folder.join(LOCK_NAME);
        let shown = self.root().shown.join(LOCK_NAME);
        let shown = shown.strip_prefix("./").unwrap_or(&shown).display().to_string();
        if self.root().manifest.is_none() || (!self.has_dependencies() && !path.exists()) {
            return Ok(Vec::new());
        }
        let now = Lock::of(self)?;
        let before = match path.exists() {
            true => {
                Some(Lock::read(&path).map_err(|why| format!("{shown}: {why}; delete it to have it written anew"))?)
            }
            false => None,
        };
        if before.as_ref() == Some(&now) {
            return Ok(Vec::new());
        }
        let changes = before.as_ref().map_or_else(Vec::new, |before| before.changes(&now));
        if locked {
            return Err(match before {
                None => format!("there is no {shown}; run without --locked once to write it"),
                Some(_) => format!("{shown} does not fit: {}; run without --locked to accept it", changes.join(", ")),
            });
        }
        match std::fs::write(&path, now.text()) {
            Ok(()) => Ok(changes.into_iter().map(|change| format!("{shown} was updated: {change}")).collect()),
            Err(error) => Ok(vec![format!("{shown} cannot be written: {error}")]),
        }
    }
}

impl Lock {
    pub fn of(project: &Project) -> Result<Lock, String> {
        let mut lock = Lock::default();
        for package in &project.packages[1..] {
            let row = Row {
                version: package.manifest.as_ref().map_or_else(String::new, |m| m.version.clone()),
                path: relative(&project.root().folder, &package.folder),
                hash: hash(package)?,
            };
            lock.rows.insert(package.name().to_string(), row);
        }
        Ok(lock)
    }

    fn read(path: &Path) -> Result<Lock, String> {
        let text = read_text(path, MAX_MANIFEST_BYTES)?;
        let table = DeTable::parse(&text).map_err(|e| e.message().lines().next().unwrap_or_default().to_string())?;
        let table = table.get_ref();
        let version = table.get("version").and_then(|v| v.get_ref().as_integer()).map(|n| n.as_str().to_string());
        if version != Some(VERSION.to_string()) {
            return Err(format!("its version is not {VERSION}"));
        }
        let mut lock = Lock::default();
        let rows = table.get("package").map(|v| v.get_ref().as_array().ok_or("`package` is not a list")).transpose()?;
        for row in rows.into_iter().flat_map(|rows| rows.iter()) {
            let text = |key: &str| {
                let value = row.get_ref().get(key).and_then(|v| v.get_ref().as_str());
                value.map(str::to_string).ok_or(format!("a package has no `{key}`"))
            };
            lock.rows
                .insert(text("name")?, Row { version: text("version")?, path: text("path")?, hash: text("hash")? });
        }
        Ok(lock)
    }

    pub fn text(&self) -> String {
        let mut out =
            format!("# Written by stark. It belongs under version control; do not edit it.\nversion = {VERSION}\n");
        for (name, row) in &self.rows {
            let Row { version, path, hash } = row;
            let path = path.replace('\\', "\\\\").replace('"', "\\\"");
            out += &format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\npath = \"{path}\"\nhash = \"{hash}\"\n"
            );
        }
        out
    }

    fn changes(&self, now: &Lock) -> Vec<String> {
        let mut out = Vec::new();
        for (name, row) in &now.rows {
            match self.rows.get(name) {
                None => out.push(format!("`{name}` is new")),
                Some(old) if old.version != row.version => {
                    out.push(format!("`{name}` went from {} to {}", old.version, row.version));
                }
                Some(old) if old.path != row.path => {
                    out.push(format!("`{name}` moved from {} to {}", old.path, row.path))
                }
                Some(old) if old.hash != row.hash => out.push(format!("`{name}` has changed")),
                Some(_) => {}
            }
        }
        out.extend(
            self.rows.keys().filter(|name| !now.rows.contains_key(*name)).map(|name| format!("`{name}` is gone")),
        );
        out
    }
}

/// Names and contents of the manifest and all sources, in the order of their names.
fn hash(package: &Package) -> Result<String, String> {
    let mut files = Vec::new();
    let mut folders = vec![package.folder.clone()];
    while let Some(folder) = folders.pop() {
        let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() {
                // A package in a folder of this one has a row of its own.
                if !name.starts_with('.') && !path.join(MANIFEST_NAME).exists() {
                    folders.push(path);
                }
            } else if name.ends_with(".stark") || (name == MANIFEST_NAME && folder == package.folder) {
                files.push(path);
                if files.len() > MAX_PACKAGE_FILES {
                    return Err(format!("package `{}` has more than {MAX_PACKAGE_FILES} source files", package.name()));
                }
            }
        }
    }
    let mut rows: Vec<(String, PathBuf)> = files.into_iter().map(|f| (relative(&package.folder, &f), f)).collect();
    rows.sort();
    let mut hasher = blake3::Hasher::new();
    for (name, path) in rows {
        let bytes = std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        for part in [name.as_bytes(), &bytes] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The way from one absolute folder to a path, with `/`.
fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let n_same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[n_same..].iter().map(|_| "..".to_string());
    let down = to[n_same..].iter().map(|c| c.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<String> = up.chain(down).collect();
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}
