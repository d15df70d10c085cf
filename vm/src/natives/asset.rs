//! What a program carries, as natives that read files see it: assets come before files.
//!
//! A path that means an asset, or a folder that holds some, is answered from the assets alone; everything else is a path of
//! the machine. The folder that the program is in, `.`, is always the machine's.

use super::NativeCx;
use crate::fault::Fault;
use crate::program::Program;
use stark_bundle::{Assets, Found};
use stark_bytecode::AssetKind;
use stark_models::FileBytes;
use std::sync::Arc;

/// Whether the first argument is a path that means an asset or a folder of them.
pub(crate) fn path_is_carried(cx: &NativeCx<'_>) -> bool {
    find(cx, cx.str(0)).is_some()
}

/// Whether the program's tokenizer is known, or among its assets.
pub(crate) fn tokenizer_is_carried(cx: &NativeCx<'_>) -> bool {
    let program = cx.task.program();
    program.tokenizer.lock().is_some() || tokenizer(program).is_some()
}

pub(super) fn find<'a>(cx: &'a NativeCx<'_>, path: &str) -> Option<Found<'a>> {
    cx.task.program().options.assets.as_ref()?.find(path)
}

/// The bytes of the asset that `path` means; an error when it is damaged.
pub(super) fn open(cx: &NativeCx<'_>, path: &str) -> Option<Result<FileBytes, Fault>> {
    Some(lookup(cx, path)?().map_err(Fault::io))
}

/// As `open`, in two steps: whether there is one at once, its bytes where reading may take long.
pub(super) fn lookup(
    cx: &NativeCx<'_>,
    path: &str,
) -> Option<impl FnOnce() -> Result<FileBytes, String> + Send + use<>> {
    let assets = cx.task.program().options.assets.clone()?;
    let path = path.to_string();
    let is_folder = match assets.find(&path)? {
        Found::Asset(_) => false,
        Found::Folder => true,
    };
    Some(move || {
        if is_folder {
            return Err(format!("cannot read {path}: it is a folder of the bundle"));
        }
        read(&assets, &path).unwrap_or_else(|| Err(format!("there is no asset `{path}`")))
    })
}

fn read(assets: &Assets, path: &str) -> Option<Result<FileBytes, String>> {
    match assets.find(path)? {
        Found::Asset(asset) => Some(assets.open(asset).map_err(|e| e.to_string())),
        Found::Folder => None,
    }
}

/// The files that the model at `path` keeps beside it: assets of its folder.
pub(super) fn beside(cx: &NativeCx<'_>, path: &str) -> impl Fn(&str) -> Result<FileBytes, String> + Sync + use<> {
    let assets: Option<Arc<Assets>> = cx.task.program().options.assets.clone();
    // A name that is not the asset's path says nothing about a folder.
    let real = match assets.as_ref().and_then(|assets| assets.find(path)) {
        Some(Found::Asset(asset)) => asset.path.clone(),
        _ => path.to_string(),
    };
    let folder = real.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    move |location: &str| {
        let found = assets.as_ref().and_then(|assets| read(assets, &format!("{folder}{location}")));
        found.unwrap_or_else(|| Err(format!("the bundle has no asset `{folder}{location}`")))
    }
}

pub(super) fn size(found: Found<'_>) -> i64 {
    match found {
        Found::Asset(asset) => i64::try_from(asset.len).unwrap_or(i64::MAX),
        Found::Folder => 0,
    }
}

/// What `list` gives for a folder of assets; `None` when the path means nothing here.
pub(super) fn in_folder(
    cx: &NativeCx<'_>,
    path: &str,
    list: impl FnOnce(&Assets, &str) -> Vec<String>,
) -> Option<Result<Vec<String>, Fault>> {
    let assets = cx.task.program().options.assets.as_ref()?;
    Some(match assets.find(path)? {
        Found::Folder => Ok(list(assets, path)),
        Found::Asset(_) => Err(Fault::io(format!("cannot list {path}: it is no folder"))),
    })
}

/// The program's own tokenizer: the asset called `tokenizer.json`, else the only one of that kind.
pub(super) fn tokenizer(program: &Program) -> Option<&str> {
    let assets = program.options.assets.as_ref()?;
    if let Some(Found::Asset(asset)) = assets.find("tokenizer.json") {
        return Some(&asset.path);
    }
    let mut all = assets.rows().iter().filter(|asset| asset.kind == AssetKind::Tokenizer);
    match (all.next(), all.next()) {
        (Some(only), None) => Some(&only.path),
        _ => None,
    }
}
