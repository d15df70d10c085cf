//! Where the model fixtures are, and how results are compared.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use stark_kernels::Tensor;
use stark_models::safetensors::SafeTensors;

/// The small files that live in the repository.
pub fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models")
}

/// The ONNX and torch.export files that live with this crate.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The models of `tests/data/recorded`.
pub fn recorded() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data().join("recorded")).expect("recorded models");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind != "safetensors"));
    paths.sort();
    paths
}

/// What a model of `tests/data/recorded` was given.
pub fn inputs_of(path: &Path) -> Vec<Tensor> {
    numbered(path, "in")
}

/// What it gave.
pub fn outputs_of(path: &Path) -> Vec<Tensor> {
    numbered(path, "out")
}

fn numbered(path: &Path, side: &str) -> Vec<Tensor> {
    let io = Tensors::read(&path.with_extension("io.safetensors"));
    let names = (0..).map(|i| format!("{side}.{i}")).take_while(|name| io.has(name));
    names.map(|name| io.get(&name)).collect()
}

/// The folder of all fixtures, when `STARK_MODELS` names it.
pub fn large() -> Option<PathBuf> {
    let folder = std::env::var_os("STARK_MODELS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: STARK_MODELS is not set");
    }
    folder
}

/// Both, as far as they are there.
pub fn folders() -> Vec<PathBuf> {
    std::iter::once(small()).chain(large()).collect()
}

/// Calls `check` with the name and format of each model file that is there, its path, and the inputs of its first case.
pub fn each_model(mut check: impl FnMut(&str, &Path, Vec<Tensor>)) {
    for root in folders() {
        let manifest = json(&root.join("manifest.json"));
        for (name, entry) in manifest["models"].as_object().expect("models") {
            let files = entry["files"].as_object().expect("files");
            for (format, file) in files.iter().filter(|(format, _)| !["io", "safetensors"].contains(&format.as_str())) {
                let Some(path) = file.as_str().map(|file| root.join(file)).filter(|path| path.exists()) else {
                    continue;
                };
                let io = Tensors::read(&root.join(entry["files"]["io"].as_str().expect("io")));
                let inputs = io.metadata("inputs");
                let given = inputs.split(',').map(|input| io.get(&format!("case0.in.{input}"))).collect();
                check(&format!("{name} ({format})"), &path, given);
            }
        }
    }
}

pub fn json(path: &Path) -> Json {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn texts(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str()).map(str::to_string).collect()
}

pub fn ints(list: &Json) -> Vec<i64> {
    list.as_array().into_iter().flatten().filter_map(Json::as_i64).collect()
}

/// A safetensors file, read whole.
pub struct Tensors {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Tensors {
    pub fn read(path: &Path) -> Tensors {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Tensors { path: path.to_path_buf(), bytes }
    }

    fn parsed(&self) -> SafeTensors<'_> {
        let name = self.path.display().to_string();
        SafeTensors::parse(&self.bytes, &name).unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn get(&self, name: &str) -> Tensor {
        self.parsed().tensor(name).unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.parsed().get(name).is_some()
    }

    pub fn metadata(&self, key: &str) -> String {
        let metadata = self.parsed().metadata;
        metadata.into_iter().find(|(k, _)| k == key).map(|(_, v)| v).unwrap_or_default()
    }
}

/// Shape and dtype exactly, elements within `atol + rtol * |want|`.
pub fn assert_close(got: &Tensor, want: &Tensor, atol: f64, rtol: f64, what: &str) {
    assert_eq!(got.shape(), want.shape(), "shape of {what}");
    assert_eq!(got.dtype(), want.dtype(), "dtype of {what}");
    for (i, (g, w)) in got.to_scalars().iter().zip(want.to_scalars()).enumerate() {
        let (g, w) = (g.to_f64(), w.to_f64());
        let same = g == w || (g.is_nan() && w.is_nan());
        assert!(same || (g - w).abs() <= atol + rtol * w.abs(), "element {i} of {what}: got {g}, want {w}");
    }
}

/// The index of the greatest number of each row of a matrix.
pub fn best(rows: &Tensor) -> Vec<usize> {
    let n = rows.shape().last().copied().unwrap_or(1).max(1);
    let numbers: Vec<f64> = rows.to_scalars().iter().map(|x| x.to_f64()).collect();
    numbers.chunks(n).map(|row| (0..n).fold(0, |at, i| if row[i] > row[at] { i } else { at })).collect()
}

/// Small, fast and the same everywhere.
pub struct Random(pub u64);

impl Random {
    /// A number from 0 up to, without, `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// A TorchScript archive of this code alone, whose module is `__torch__.M`.
pub fn torchscript(code: &str) -> Vec<u8> {
    zip(&[
        ("m/data.pkl", b"\x80\x02c__torch__\nM\n)\x81}b.".to_vec()),
        ("m/constants.pkl", b"\x80\x02).".to_vec()),
        ("m/version", b"3\n".to_vec()),
        ("m/code/__torch__.py", code.as_bytes().to_vec()),
    ])
}

/// A zip of stored entries.
pub fn zip(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let (crc, n) = (crc32fast::hash(content), content.len() as u32);
        let at = bytes.len() as u32;
        let mut fields: Vec<u8> = Vec::new();
        // Version, flags, method, time and date are 0.
        fields.extend([0; 10]);
        fields.extend([crc, n, n].iter().flat_map(|x| x.to_le_bytes()));
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0; 2]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(name.bytes());
        bytes.extend(content);
        central.extend(b"PK\x01\x02\0\0");
        central.extend(&fields);
        central.extend([0; 10]);
        central.extend(at.to_le_bytes());
        central.extend(name.bytes());
    }
    let (n, size, start) = (entries.len() as u16, central.len() as u32, bytes.len() as u32);
    bytes.extend(&central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([n, n].iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend([size, start].iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend([0; 2]);
    bytes
}
