//! Every case of every model's manifest, computed on the OpenCL device, within the manifest's tolerance.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use stark_kernels::Tensor;
use stark_models::safetensors::SafeTensors;
use stark_models::{Load, Model};

/// The files in the repository, and those that `STARK_MODELS` names.
fn folders() -> Vec<PathBuf> {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models");
    let large = std::env::var_os("STARK_MODELS").map(PathBuf::from);
    if large.is_none() {
        println!("skipped: the large models, since STARK_MODELS is not set");
    }
    let with_edge = large.into_iter().flat_map(|folder| [folder.clone(), folder.join("edge")]);
    std::iter::once(small).chain(with_edge).collect()
}

fn near(got: &Tensor, want: &Tensor, entry: &Json, what: &str) {
    assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{what}");
    let (atol, rtol) = (entry["atol"].as_f64().expect("atol"), entry["rtol"].as_f64().expect("rtol"));
    for (i, (g, w)) in got.to_scalars().iter().zip(want.to_scalars()).enumerate() {
        let (g, w) = (g.to_f64(), w.to_f64());
        let same = g == w || g.is_nan() && w.is_nan();
        assert!(same || (g - w).abs() <= atol + rtol * w.abs(), "{what}: element {i} is {g}, not {w}");
    }
}

#[test]
fn every_case_of_the_manifests() {
    let device: std::sync::Arc<dyn stark_kernels::accelerator::Accelerator> = match stark_opencl::open(0) {
        Ok(device) => device,
        Err(stark_opencl::Error::Absent(why)) => return println!("skipped: {why}"),
        Err(other) => panic!("{other}"),
    };
    let mut n_cases = 0;
    for folder in folders() {
        let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let manifest: Json = serde_json::from_slice(&read(&folder.join("manifest.json"))).expect("a manifest");
        for (name, entry) in manifest["models"].as_object().expect("models") {
            let io = folder.join(entry["files"]["io"].as_str().expect("io"));
            // The manifest of the repository names models that only the large folder has.
            if !io.exists() {
                continue;
            }
            let bytes = read(&io);
            let io = SafeTensors::parse(&bytes, name).unwrap_or_else(|e| panic!("{e}"));
            let note =
                |key: &str| io.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap_or_default();
            let list = |key: &str| note(key).split(',').map(str::to_string).collect::<Vec<_>>();
            let (inputs, outputs) = (list("inputs"), list("outputs"));
            let files = entry["files"].as_object().expect("files").iter();
            for (format, file) in files.filter(|(format, _)| !["io", "safetensors"].contains(&format.as_str())) {
                let Some(path) = file.as_str().map(|f| folder.join(f)).filter(|path| path.exists()) else { continue };
                // What cannot be loaded is refused alike for every device.
                if Model::load(&path).is_err() {
                    continue;
                }
                let model = Load::new().on(Some(device.clone())).file(&path).unwrap_or_else(|e| panic!("{e}"));
                for case in 0..note("cases").parse::<usize>().expect("cases") {
                    let what = format!("{name} ({format}), case {case}");
                    let tensor = |side: &str, name: &String| {
                        io.tensor(&format!("case{case}.{side}.{name}")).unwrap_or_else(|e| panic!("{what}: {e}"))
                    };
                    let given: Vec<Tensor> = inputs.iter().map(|name| tensor("in", name)).collect();
                    let got = model.predict(&given).unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_eq!(got.len(), outputs.len(), "{what}");
                    for (got, name) in got.iter().zip(&outputs) {
                        assert!(got.memory().is_none(), "{what}: results are the host's");
                        near(got, &tensor("out", name), entry, &format!("{what}, `{name}`"));
                    }
                    n_cases += 1;
                }
            }
        }
    }
    let statistics = device.statistics();
    println!("{n_cases} cases; on the processor: {:?}", statistics.on_host);
    assert!(n_cases >= 10, "only {n_cases} cases");
    assert!(statistics.n_kernels > 0);
}

/// Uploads have sizes that kernels' results have, too; none of them is kept when its tensor goes.
#[test]
fn what_was_uploaded_goes_with_its_tensor() {
    let device: std::sync::Arc<dyn stark_kernels::accelerator::Accelerator> = match stark_opencl::open(0) {
        Ok(device) => device,
        Err(stark_opencl::Error::Absent(why)) => return println!("skipped: {why}"),
        Err(other) => panic!("{other}"),
    };
    let upload = |n: usize, constant: bool| {
        let x = Tensor::zeros(&[n], stark_kernels::DType::F32).expect("zeros");
        drop(x.to_accelerator(&device, constant).expect("room"));
    };
    upload(16_384, false);
    let before = device.statistics().kept_bytes;
    for n in [16_384, 4096, 98_304] {
        for _ in 0..200 {
            upload(n, true);
            upload(n, false);
        }
    }
    let more = device.statistics().kept_bytes.saturating_sub(before);
    assert!(more <= 2 << 20, "{more} bytes are kept");
}
