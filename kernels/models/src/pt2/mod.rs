//! `torch.export` programs: a zip of a program in JSON, and its weights as raw bytes.
//!
//! [`schema`] has the JSON, [`weights`] reads tensors, [`lower`] makes one graph of it out of the rows of
//! [`table`] and of TorchScript's. Nothing in the archive that is a pickle is opened.

mod lower;
mod schema;
pub(crate) mod table;
mod trees;
mod weights;

pub use table::own_names;

use crate::error::ModelError;
use crate::model::Imported;
use crate::zip::Archive;
use schema::Program;
use weights::Payloads;

/// The version of the JSON that is known.
const SCHEMA_MAJOR: i64 = 8;

/// The folder that all entries of an exported program are in; `None` when this is none.
pub(crate) fn prefix(archive: &Archive) -> Option<String> {
    let names = || archive.entries().iter().map(|entry| entry.name.as_str());
    let marker =
        |end: &str| names().find_map(|name| name.strip_suffix(end).filter(|p| p.is_empty() || p.ends_with('/')));
    if let Some(prefix) = marker("archive_format").or(marker("serialized_exported_program.json")) {
        return Some(prefix.to_string());
    }
    names().find_map(|name| {
        let (prefix, model) = name.rsplit_once("models/")?;
        (model.ends_with(".json") && (prefix.is_empty() || prefix.ends_with('/'))).then(|| prefix.to_string())
    })
}

/// Imports the program under `prefix`.
pub(crate) fn load(archive: &Archive, prefix: &str) -> Result<Imported, ModelError> {
    let file = archive.file().clone();
    let not_a_model = |reason: String| Err(ModelError::NotAModel { file: file.clone(), reason });
    let again = "export it again with torch.export.save(torch.export.export(module, example), path)";
    if archive.get(&format!("{prefix}serialized_exported_program.json")).is_some() {
        return not_a_model(format!("this is a torch.export program in the format before PyTorch 2.8; {again}"));
    }
    let refuse = |entry: &str, reason: String| ModelError::Archive {
        file: archive.file().clone(),
        entry: Some(entry.to_string()),
        reason,
    };
    let byteorder = format!("{prefix}byteorder");
    if archive.get(&byteorder).is_some() && &*archive.read(&byteorder)? != b"little" {
        return Err(refuse("byteorder", "only little-endian files are supported".into()));
    }
    let folder = format!("{prefix}models/");
    let mut models: Vec<&str> =
        archive.entries().iter().filter_map(|entry| entry.name.strip_prefix(&folder)?.strip_suffix(".json")).collect();
    models.sort_unstable();
    let name = match models[..] {
        [] => return not_a_model(format!("this archive holds compiled code but no torch.export program; {again}")),
        [one] => one,
        _ if models.contains(&"model") => "model",
        _ => {
            return not_a_model(format!(
                "this archive holds several programs, none named `model`: {}",
                models.join(", ")
            ));
        }
    };
    let entry = format!("{folder}{name}.json");
    let bytes = archive.read(&entry)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse(&entry, "is not UTF-8".into()))?;
    let program: Program<'_> = serde_json::from_str(text)
        .map_err(|e| refuse(&entry, format!("is no torch.export program that can be read: {e}")))?;
    if program.schema_version.major != SCHEMA_MAJOR {
        let found = program.schema_version.major;
        return Err(refuse(&entry, format!("schema version {found}, but {SCHEMA_MAJOR} is the one that is known")));
    }
    let payloads = |kind: &str| {
        let config = match kind {
            "weights" => format!("{name}_weights_config.json"),
            _ => format!("{name}_constants_config.json"),
        };
        Payloads::read(archive, format!("{prefix}data/{kind}/"), &config)
    };
    lower::lower(archive.file(), &format!("models/{name}.json"), &program, payloads("weights")?, payloads("constants")?)
}
