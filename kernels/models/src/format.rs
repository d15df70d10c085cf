//! What kind of file this is, told by its content; and for what is no model, what to do.

use std::path::Path;
use std::sync::Arc;

use stark_kernels::cpu::buffer;
use stark_kernels::{live_tensor_bytes, max_tensor_bytes};

use crate::error::ModelError;
use crate::mapped::FileBytes;
use crate::model::Imported;
use crate::pickle::{Node, Pickle};
use crate::safetensors::SafeTensors;
use crate::zip::Archive;
use crate::{onnx, pt2, torchscript};

/// The native stack for importing: its recursion is bounded, but deeper than a small thread's.
const STACK: usize = 64 << 20;

/// Where the other files of a model are: an ONNX model may keep its weights beside it.
#[derive(Clone, Copy)]
pub enum Beside<'a> {
    /// It came as bytes.
    Nothing,
    Folder(&'a Path),
    /// Whoever gave the bytes finds files by their paths from the model's folder.
    Lookup(&'a (dyn Fn(&str) -> Result<FileBytes, String> + Sync)),
}

impl<'a> Beside<'a> {
    pub fn file(path: &'a Path) -> Beside<'a> {
        match path.parent() {
            Some(folder) if folder != Path::new("") => Beside::Folder(folder),
            _ => Beside::Folder(Path::new(".")),
        }
    }
}

/// Imports a model of any format; `method` is another one than `forward`.
pub fn import(
    file: &Arc<str>,
    bytes: FileBytes,
    beside: Beside<'_>,
    method: Option<&str>,
) -> Result<Imported, ModelError> {
    let worker = std::thread::Builder::new().name("model-load".into()).stack_size(STACK);
    std::thread::scope(|scope| {
        let handle = worker
            .spawn_scoped(scope, || buffer::without_keeping(|| import_here(file, bytes, beside, method)))
            .map_err(|e| ModelError::Io { file: file.clone(), reason: format!("no thread to load it on: {e}") })?;
        match handle.join() {
            Ok(result) => result,
            // A bug of ours, not of the file: pass it on.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn import_here(
    file: &Arc<str>,
    bytes: FileBytes,
    beside: Beside<'_>,
    method: Option<&str>,
) -> Result<Imported, ModelError> {
    let only_forward = |format: &str| match method {
        Some(method) if method != torchscript::FORWARD => {
            let reason = format!("{format} have no methods: `{method}` can only be one of a TorchScript module");
            Err(ModelError::Archive { file: file.clone(), entry: None, reason })
        }
        _ => Ok(()),
    };
    if !bytes.starts_with(b"PK") {
        return match what_it_is(&bytes, file) {
            Some(error) => Err(error),
            None => {
                only_forward("ONNX models")?;
                onnx::load(file, bytes, beside)
            }
        };
    }
    let archive = Archive::open(file, bytes)?;
    let is_weight = |name: &str| name.split('/').rev().skip(1).any(|folder| folder == "data" || folder == "constants");
    let weights = archive.entries().iter().filter(|entry| is_weight(&entry.name)).map(|entry| entry.size);
    fits_memory(file, weights.fold(0, u64::saturating_add))?;
    if let Some(prefix) = pt2::prefix(&archive) {
        only_forward("programs of torch.export")?;
        return pt2::load(&archive, &prefix);
    }
    match not_torchscript(&archive) {
        Some(error) => Err(error),
        None => torchscript::load(&archive, method),
    }
}

/// Refuses weights of `needed` bytes that the limit for all tensors has no room for, before any of them is read.
pub fn fits_memory(file: &Arc<str>, needed: u64) -> Result<(), ModelError> {
    let limit = max_tensor_bytes();
    let left = limit.saturating_sub(live_tensor_bytes());
    if needed <= left as u64 {
        return Ok(());
    }
    let mebi = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let (needed, left, limit) = (mebi(needed), mebi(left as u64), mebi(limit as u64));
    let reason =
        format!("the model's weights need {needed}, but {left} are left of the {limit} for all tensors (--memory)");
    Err(ModelError::Archive { file: file.clone(), entry: None, reason })
}

/// A zip that is no TorchScript archive: what it is, and what to do.
fn not_torchscript(archive: &Archive) -> Option<ModelError> {
    let file = archive.file().clone();
    let has_dir = |dir: &str| archive.entries().iter().any(|e| e.name.contains(dir));
    if has_dir("/code/") || archive.entries().iter().any(|e| e.name.starts_with("code/")) {
        return None;
    }
    let Some(data) = archive.entries().iter().find(|e| e.name == "data.pkl" || e.name.ends_with("/data.pkl")) else {
        let reason = "this is a zip file without data.pkl or code, so no PyTorch model";
        return Some(ModelError::NotAModel { file, reason: reason.into() });
    };
    let bytes = match archive.read(&data.name) {
        Ok(bytes) => bytes,
        Err(error) => return Some(error),
    };
    let export = "export the module with torch.jit.trace(module, example).save(path)";
    let reason = match Pickle::parse(&bytes) {
        Ok(pickle) if matches!(pickle.node(pickle.root()), Node::Dict(_)) => {
            format!(
                "this is a bare state dict: weights without the code that uses them; load it in Python, then {export}"
            )
        }
        Ok(_) => format!("this is a PyTorch pickle without code; load it in Python, then {export}"),
        Err(error) => match error.unknown_global {
            Some(name) if name.starts_with("torch.nn.") || !name.starts_with("torch") => {
                format!(
                    "this is a pickled nn.Module (it names `{name}`), which only Python can run; in Python, {export}"
                )
            }
            _ => {
                let entry = data.name.as_str().into();
                return Some(ModelError::Pickle { file, entry, offset: error.offset, reason: error.reason });
            }
        },
    };
    Some(ModelError::NotAModel { file, reason })
}

/// Files that are taken for models: where their kind is told, by which bytes, and what to do.
const KNOWN: [(usize, &[u8], &str); 7] = [
    (
        0,
        b"GGUF",
        "this is a GGUF file: weights for llama.cpp, without the code that uses them; export the model to ONNX",
    ),
    (4, b"TFL3", "this is a TensorFlow Lite model; convert it with python -m tf2onnx.convert --tflite FILE"),
    (4, b"ORTM", "this is a model in ONNX Runtime's own format; use the .onnx file that it was made from"),
    (0, b"version https://git-lfs", "this is a pointer of git-lfs, not the file itself; fetch it with git lfs pull"),
    (0, b"<!DOCTYPE", "this is a page of HTML, as a download that failed leaves one"),
    (0, b"<!doctype", "this is a page of HTML, as a download that failed leaves one"),
    (0, b"<html", "this is a page of HTML, as a download that failed leaves one"),
];

/// A file that is no zip: what it is, and what to do; `None` when it looks like ONNX.
fn what_it_is(bytes: &[u8], file: &Arc<str>) -> Option<ModelError> {
    let trace = "export the model with torch.jit.trace(module, example).save(path)";
    let looks_like_json = bytes.len() > 8 && bytes[8..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    let reason = if bytes.is_empty() {
        "the file is empty".to_string()
    } else if let Some((_, _, what)) =
        KNOWN.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic)))
    {
        (*what).to_string()
    } else if bytes.starts_with(&[0x80, 2, 0x8a, 10]) {
        format!("this was written by torch.save of PyTorch before 1.6, which only Python can read; {trace}")
    } else if bytes.starts_with(&[0x80]) && bytes.len() > 1 && bytes[1] <= 5 {
        format!("this is a Python pickle, not a model; {trace}")
    } else if looks_like_json || (bytes.len() >= 8 && bytes[7] == 0 && bytes[6] == 0 && bytes[5] == 0) {
        match SafeTensors::parse(bytes, file) {
            Ok(tensors) => format!(
                "this is a safetensors file: {} tensors without the code that uses them; {trace}",
                tensors.entries.len()
            ),
            Err(error) => return Some(error),
        }
    } else if looks_like_onnx(bytes) {
        return None;
    } else if bytes.starts_with(&[0x89, b'H', b'D', b'F']) {
        format!("this is an HDF5 file, not a PyTorch model; {trace}")
    } else {
        "this is no model file: neither TorchScript, torch.export, ONNX nor anything else that is known".to_string()
    };
    Some(ModelError::NotAModel { file: file.clone(), reason })
}

/// A ModelProto starts with its `ir_version`, or another of its first fields.
fn looks_like_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, version, ..] if *version < 0x80) || matches!(bytes, [0x3a | 0x42 | 0x12, ..])
}
