//! Making a bundle of a package: its module, and the files that its `stark.toml` names.

use crate::load::{self, Target};
use stark_bundle::{SecretKey, Source};
use stark_bytecode::manifest::wrong_asset_name;
use stark_bytecode::{AssetKind, Manifest, Module};
use stark_models::{FileBytes, Load, Tokenizer};
use stark_project::{AssetFile, Project, Refusal};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

pub struct Settings<'a> {
    /// Packs every asset, not only those whose row says so.
    pub compress: bool,
    pub key: Option<&'a SecretKey>,
    /// A file that is no asset whatever `stark.toml` says: what is being written.
    pub except: Option<&'a Path>,
}

/// Compiles the program and writes a bundle of it; gives its manifest.
pub fn make(target: &Target, settings: &Settings<'_>, out: &mut dyn Write) -> Result<Manifest, i32> {
    let Some(project) = &target.project else {
        let what = "a bundle is made of a package or a .stark program";
        return Err(crate::commands::refuse(format!("{} is bytecode; {what}", target.shown())));
    };
    let mut module = target.module()?;
    name_files(&mut module, project);
    let module = load::verify(module, &target.file)?;
    let files = project.assets(settings.except).map_err(load::refused)?;
    let sources = sources(project, &files, settings.compress).map_err(load::refused)?;
    let needs = stark_vm::capabilities::needs(&module, !sources.is_empty());
    let own = project.root().manifest.as_ref();
    let stem = target.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut capabilities: Vec<String> = needs.keys().map(|capability| capability.name().to_string()).collect();
    capabilities.sort();
    let manifest = Manifest {
        package: own.map_or(stem, |manifest| manifest.name.clone()),
        version: own.map_or(String::new(), |manifest| manifest.version.clone()),
        capabilities,
        assets: Vec::new(),
    };
    stark_bundle::write(&module, manifest, sources, settings.key, out)
        .map_err(|error| crate::commands::refuse(error.to_string()))
}

/// Calls source files by their places in their packages, so that the bundle is the same wherever it is made.
fn name_files(module: &mut Module, project: &Project) {
    let plain = |path: &Path| path.strip_prefix("./").unwrap_or(path).to_path_buf();
    let mut packages: Vec<(PathBuf, &str)> =
        project.packages.iter().skip(1).map(|package| (plain(&package.shown), package.name())).collect();
    let shown = &project.root().shown;
    packages.push((if shown == Path::new(".") { PathBuf::new() } else { plain(shown) }, ""));
    // A package may lie in the folder of another: the longest path is the nearest.
    packages.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
    for file in &mut module.files {
        let own = plain(Path::new(file));
        let found = packages.iter().find_map(|(folder, name)| Some((own.strip_prefix(folder).ok()?, name)));
        if let Some((below, name)) = found {
            *file = Path::new(name).join(below).to_string_lossy().into_owned();
        }
    }
}

/// The assets as the bundle takes them; models and tokenizers are loaded once, so that a broken one is told here and not by
/// the program.
fn sources(project: &Project, files: &[AssetFile], compress: bool) -> Result<Vec<Source>, Refusal> {
    let by_path: HashMap<&str, &AssetFile> = files.iter().map(|file| (&*file.path, file)).collect();
    let mut problems = Vec::new();
    let mut names: HashMap<&str, &AssetFile> = by_path.clone();
    let mut sources = Vec::new();
    for file in files {
        let mut refuse = |what: String, help: &str| {
            let problem = Diagnostic::error(codes::BAD_MANIFEST, what, file.span, "this asset");
            problems.push(if help.is_empty() { problem } else { problem.help(help) });
        };
        for name in [Some(&file.path), file.name.as_ref()].into_iter().flatten() {
            if let Some(wrong) = wrong_asset_name(name) {
                refuse(format!("an asset cannot be called {name:?}: {wrong}"), "");
            }
        }
        if let Some(name) = &file.name
            && names.insert(name, file).is_some()
        {
            refuse(format!("two assets are called `{name}`"), "a program would not know which one it means");
        }
        let source = source(file, compress);
        match check(&source, &by_path) {
            Ok(()) => sources.push(source),
            Err(why) => refuse(why, "`kind = \"data\"` takes the file as it is"),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(project.refusal(problems)) }
}

/// Endings of files that are models unless their row says otherwise.
const MODELS: &[&str] = &["pt", "pth", "pt2", "onnx"];

/// The asset as a bundle takes it. What it is follows from its row, else from its name.
pub fn source(file: &AssetFile, compress: bool) -> Source {
    let ending = file.file.extension().unwrap_or_default().to_string_lossy().into_owned();
    let kind = match file.kind.as_deref() {
        Some("model") => AssetKind::Model,
        Some("tokenizer") => AssetKind::Tokenizer,
        Some(_) => AssetKind::Data,
        None if MODELS.contains(&&*ending) => AssetKind::Model,
        None if file.path.rsplit('/').next() == Some("tokenizer.json") => AssetKind::Tokenizer,
        None => AssetKind::Data,
    };
    let (path, name) = (file.path.clone(), file.name.clone());
    Source { path, name, kind, compress: compress || file.compress, file: file.file.clone() }
}

/// Loads a model or tokenizer as the program will.
fn check(source: &Source, by_path: &HashMap<&str, &AssetFile>) -> Result<(), String> {
    let open = |path: &Path| FileBytes::open(path).map_err(|e| e.to_string());
    if source.kind == AssetKind::Data {
        return Ok(());
    }
    let bytes = open(&source.file).map_err(|why| format!("cannot read {}: {why}", source.path))?;
    if source.kind == AssetKind::Tokenizer {
        return Tokenizer::from_bytes(&bytes, &source.path).map(drop).map_err(|e| e.to_string());
    }
    let folder = source.path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let beside = |location: &str| match by_path.get(format!("{folder}{location}").as_str()) {
        Some(found) => open(&found.file),
        None => Err(format!("the file {folder}{location} is no asset; name it in stark.toml too")),
    };
    Load::new().bytes_and(bytes, &source.path, &beside).map(drop).map_err(|e| e.to_string())
}

/// Writes a file through `write`: beside it, then in its place, so that there is never half of one.
pub fn write_whole(
    path: &Path,
    is_program: bool,
    write: impl FnOnce(&mut std::fs::File) -> Result<(), i32>,
) -> Result<(), i32> {
    let fail = |e: std::io::Error| crate::commands::refuse(format!("cannot write {}: {e}", path.display()));
    if path.is_dir() {
        return Err(crate::commands::refuse(format!("{} is a folder; name a file with -o", path.display())));
    }
    // A link stays a link; a pipe or device is written, not replaced.
    let real = std::fs::canonicalize(path);
    if real.as_ref().is_ok_and(|real| !real.is_file()) {
        return write(&mut std::fs::File::create(path).map_err(fail)?);
    }
    let path = real.as_deref().unwrap_or(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(if is_program { 0o755 } else { 0o644 }));
    #[cfg(not(unix))]
    let _ = is_program;
    let mut file = builder.prefix(".stark-").tempfile_in(folder).map_err(fail)?;
    write(file.as_file_mut())?;
    file.persist(path).map(drop).map_err(|e| fail(e.error))
}
