//! TorchScript archives: `data.pkl` and its storages, `constants.pkl`, and the code.
//!
//! [`parse`] reads the dialect, [`library`] finds definitions, [`state`] reads the model's data, and
//! [`compile`] makes one graph of it all.

pub mod ast;
pub mod compile;
mod interface;
pub mod library;
pub mod parse;
mod quick;
pub mod state;

use std::collections::HashSet;

use crate::error::ModelError;
use crate::model::{Imported, Input, Parameter};
use crate::pickle::{Id, Node, TensorRef};
use crate::signature::{infer_inputs, infer_outputs};
use crate::structure::Argument;
use crate::zip::Archive;
use compile::{Compiled, Kept, compile};
use library::{Definition, Library};
use state::State;

/// The newest archive version that is known.
const MAX_VERSION: u32 = 10;
/// How many attributes of its own a model may read and assign.
const MAX_KEPT: usize = 32;
/// How deep modules may nest.
const MAX_MODULE_DEPTH: usize = 200;
/// How many tensors a model may own.
const MAX_PARAMETERS: usize = 1_000_000;

/// The method of a module that a call of it runs.
pub const FORWARD: &str = "forward";

/// Compiles one method of the archive's module: `forward` when none is named or, without that, its first.
pub(crate) fn load(archive: &Archive, method: Option<&str>) -> Result<Imported, ModelError> {
    let refuse = |entry: Option<&str>, reason: String| ModelError::Archive {
        file: archive.file().clone(),
        entry: entry.map(str::to_string),
        reason,
    };
    let prefix = archive
        .entries()
        .iter()
        .find_map(|e| e.name.strip_suffix("data.pkl").filter(|p| p.is_empty() || p.ends_with('/')))
        .ok_or_else(|| refuse(Some("data.pkl"), "is missing".into()))?;
    check_version(archive, prefix).map_err(|(entry, reason)| refuse(Some(&entry), reason))?;
    let byteorder = format!("{prefix}byteorder");
    if archive.get(&byteorder).is_some() && &*archive.read(&byteorder)? != b"little" {
        return Err(refuse(Some("byteorder"), "only little-endian files are supported".into()));
    }
    let mut kept = Kept::new();
    let (Compiled { graph, params, result, result_keys, methods }, parameters) = loop {
        let data = State::read(archive, prefix, "data")?;
        let constants = State::read(archive, prefix, "constants")?;
        let mut library = Library::new(archive, prefix);
        let parameters = parameters(&mut library, &data, &constants)?;
        let n_kept = kept.len();
        match compile(library, data, constants, method, &mut kept) {
            Ok(compiled) => break (compiled, parameters),
            // That an attribute is assigned after it was read shows late.
            Err(_) if kept.len() > n_kept && n_kept < MAX_KEPT => {}
            Err(error) => return Err(error),
        }
    };
    let mut inputs: Vec<Input> = params.iter().map(interface::input).collect();
    let mut outputs = interface::outputs(result.as_ref(), result_keys);
    infer_inputs(&graph, &mut inputs.iter_mut().map(|input| &mut input.signature).collect::<Vec<_>>());
    infer_outputs(&graph, &mut outputs);
    let arguments = inputs.iter().map(|input| Argument::input(input.signature.name.clone())).collect();
    let (results, symbols) = Default::default();
    Ok(Imported { graph, arguments, inputs, outputs, results, parameters, symbols, methods })
}

fn check_version(archive: &Archive, prefix: &str) -> Result<(), (String, String)> {
    for name in ["version", ".data/version"] {
        let entry = format!("{prefix}{name}");
        if archive.get(&entry).is_none() {
            continue;
        }
        let fail = |reason: String| (name.to_string(), reason);
        let text = archive.read(&entry).map_err(|e| fail(e.to_string()))?;
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<u32>().ok());
        return match number {
            Some(1..=MAX_VERSION) => Ok(()),
            Some(n) => Err(fail(format!("archive version {n}, the newest that is known is {MAX_VERSION}"))),
            None => Err(fail("is no number".into())),
        };
    }
    Err(("version".into(), "is missing".into()))
}

/// The tensors of the module tree with their paths, then the constants.
fn parameters(
    library: &mut Library<'_>,
    data: &State<'_>,
    constants: &State<'_>,
) -> Result<Vec<Parameter>, ModelError> {
    let mut found = Vec::new();
    let mut seen: HashSet<Id> = HashSet::new();
    let mut queue = vec![(String::new(), data.pickle.root(), 0)];
    while let Some((path, object, depth)) = queue.pop() {
        let Node::Object { class, state: Some(state) } = data.pickle.node(object) else { continue };
        if depth > MAX_MODULE_DEPTH || !seen.insert(object) {
            continue;
        }
        let class = match library.find(class)? {
            Some((Definition::Class(class), _)) => Some(class),
            _ => None,
        };
        let Node::Dict(items) = data.pickle.node(*state) else { continue };
        let mut children = Vec::new();
        for (key, value) in items {
            let Node::Str(name) = data.pickle.node(*key) else { continue };
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            match data.pickle.node(*value) {
                Node::Object { .. } => children.push((path, *value, depth + 1)),
                Node::Tensor(tensor) if found.len() < MAX_PARAMETERS && seen.insert(*value) => {
                    let is_trained = class.as_ref().is_some_and(|c| c.parameters.iter().any(|p| **p == **name));
                    found.push(parameter(path, tensor, is_trained));
                }
                _ => {}
            }
        }
        queue.extend(children.into_iter().rev());
    }
    if let Node::Tuple(items) = constants.pickle.node(constants.pickle.root()) {
        for (index, id) in items.iter().enumerate().take(MAX_PARAMETERS) {
            if let Node::Tensor(tensor) = constants.pickle.node(*id) {
                found.push(parameter(format!("CONSTANTS.c{index}"), tensor, false));
            }
        }
    }
    Ok(found)
}

fn parameter(name: String, tensor: &TensorRef, is_trained: bool) -> Parameter {
    let dtype = match (tensor.quantised, tensor.storage.kind) {
        (Some(_), kind) => format!("Quantised{kind:?}"),
        (None, kind) => format!("{kind:?}"),
    };
    Parameter { name, shape: tensor.sizes.to_vec(), dtype, is_trained }
}
