//! The small models of `tests/data/recorded` give what PyTorch and ONNX Runtime gave, on every device.
//! `tests/recorded.py` writes them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use stark_kernels::{Device, with_device};
use stark_models::Model;

use crate::common::*;

#[test]
fn recorded_models_give_what_they_gave() {
    let paths = recorded();
    assert!(paths.len() > 5, "only {} models", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        for device in Device::ALL {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&path, device))) {
                wrong.push(panic.downcast_ref::<String>().cloned().unwrap_or_default());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(path: &Path, device: Device) {
    let model = Model::load(path).unwrap_or_else(|e| panic!("{e}"));
    let got = with_device(device, || model.predict(&inputs_of(path))).unwrap_or_else(|e| panic!("{e}"));
    let want = outputs_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    assert_eq!(got.len(), want.len(), "outputs of {name}");
    // Quantised numbers of operators that the peer rounds otherwise are one step apart.
    // Halves are rounded after each operator, of which the peer fuses some.
    let atol = match () {
        () if name.contains("_step") => 1.0,
        () if name.contains("_half") || name.contains("_fp16") => 1e-2,
        () => 1e-4,
    };
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        assert_close(got, want, atol, 1e-4, &format!("output {i} of {name}, {device:?}"));
    }
}
