//! A real archive with one entry replaced, so that a mutated entry gets past the checksums.

use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;

pub struct Base {
    entries: Vec<(String, Vec<u8>)>,
}

impl Base {
    pub fn of(bytes: &'static [u8]) -> Base {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("the fixture is a zip file");
        let mut entries = Vec::new();
        for i in 0..archive.len() {
            let mut entry = archive.by_index(i).expect("the fixture can be read");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("the fixture can be read");
            entries.push((entry.name().to_string(), content));
        }
        Base { entries }
    }

    /// The archive with the content of the entry whose name ends so.
    pub fn with(&self, suffix: &str, content: &[u8]) -> Vec<u8> {
        let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let target =
            self.entries.iter().position(|(name, _)| name.ends_with(suffix)).expect("the fixture has the entry");
        for (i, (name, own)) in self.entries.iter().enumerate() {
            out.start_file(name.as_str(), stored).expect("names of the fixture are fit for a zip file");
            out.write_all(if i == target { content } else { own }).expect("memory takes all bytes");
        }
        out.finish().expect("memory takes all bytes").into_inner()
    }
}
