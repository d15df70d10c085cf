//! `torch.export` programs.

use crate::error::ModelError;
use crate::model::Imported;
use crate::zip::Archive;

pub(crate) fn prefix(archive: &Archive) -> Option<String> {
    archive.entries().iter().find_map(|e| e.name.strip_suffix("archive_format").map(str::to_string))
}

pub(crate) fn load(archive: &Archive, _prefix: &str) -> Result<Imported, ModelError> {
    Err(ModelError::NotAModel { file: archive.file().clone(), reason: "torch.export".into() })
}
