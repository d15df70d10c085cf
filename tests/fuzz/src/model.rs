//! Any bytes as a file that a service loads.

use crate::archive::Base;
use stark_models::{FileBytes, Model, Tokenizer};
use std::sync::{Arc, LazyLock};

static TORCHSCRIPT: LazyLock<Base> = LazyLock::new(|| Base::of(include_bytes!("../../data/models/bad/ok.pt")));
static PT2: LazyLock<Base> = LazyLock::new(|| Base::of(include_bytes!("../../../kernels/models/tests/data/ok.pt2")));

pub fn bytecode(data: &[u8]) {
    if let Ok(module) = stark_bytecode::decode(data) {
        // What it says is the other tests' matter.
        let _ = stark_bytecode::verify(module);
    }
}

/// The directory, and each entry with its checksum.
pub fn zip(data: &[u8]) {
    let name: Arc<str> = "fuzz.pt".into();
    if let Ok(archive) = stark_models::zip::Archive::open(&name, FileBytes::from(data.to_vec())) {
        for entry in archive.entries().iter().take(64) {
            let _ = archive.read(&entry.name);
        }
    }
    load(data.to_vec());
}

pub fn pickle(data: &[u8]) {
    let _ = stark_models::pickle::Pickle::parse(data);
    load(TORCHSCRIPT.with("/data.pkl", data));
}

pub fn torchscript(data: &[u8]) {
    load(TORCHSCRIPT.with("/container.py", data));
}

pub fn pt2(data: &[u8]) {
    load(PT2.with("/models/model.json", data));
}

pub fn onnx(data: &[u8]) {
    load(data.to_vec());
}

fn load(bytes: Vec<u8>) {
    if let Err(error) = Model::load_bytes(bytes, "fuzz") {
        assert!(!error.to_string().is_empty());
    }
}

pub fn safetensors(data: &[u8]) {
    if let Err(error) = stark_models::safetensors::SafeTensors::parse(data, "fuzz.safetensors") {
        assert!(!error.to_string().is_empty());
    }
}

/// A tokenizer that loads can encode and decode.
pub fn tokenizer(data: &[u8]) {
    if let Ok(tokenizer) = Tokenizer::from_bytes(data, "fuzz.json")
        && let Ok(encoded) = tokenizer.encode("Hello, wörld! 12", true)
    {
        let _ = tokenizer.decode(&encoded.ids, true);
    }
}
