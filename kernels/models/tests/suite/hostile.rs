//! Broken and hostile files give an error that says what is wrong: no panic, no hang.

use std::time::{Duration, Instant};

use crate::common::*;
use stark_kernels::{DType, Tensor};
use stark_models::zip::Archive;
use stark_models::{Model, ModelError, Tokenizer};

#[test]
fn every_bad_file_is_refused_in_time_and_by_name() {
    let Some(root) = large() else { return };
    let folder = root.join("bad");
    for (file, words) in [
        ("pickle_system.pt", "posix.system"),
        ("pickle_eval.pt", "__builtin__.eval"),
        ("pickle_deep.pt", "data.pkl"),
        ("pickle_underflow.pt", "underflow"),
        ("pickle_no_stop.pt", "STOP"),
        ("pickle_huge_len.pt", "4294967295"),
        ("pickle_memo.pt", "memo"),
        ("pickle_truncated.pt", "data.pkl"),
        ("no_data_pkl.pt", "data.pkl"),
        ("tensor_oob.pt", "storage"),
        ("storage_short.pt", "data/0"),
        ("storage_missing.pt", "data/1"),
        ("truncated.pt", "end-of-central-directory"),
        ("central_offset.pt", "outside the file"),
        ("crc.pt", "CRC-32"),
        ("zip_bomb.pt", "limit"),
        ("code_deep.pt", "deeper"),
        ("code_unknown_op.pt", "torch.no_such_op"),
        ("duplicate_name.pt", "two entries"),
        ("header_huge.safetensors", "header"),
        ("offsets_oob.safetensors", "ends at byte"),
        ("offsets_overlap.safetensors", "overlaps"),
        ("shape_mismatch.safetensors", "bytes"),
        ("shape_overflow.safetensors", "overflows"),
        ("bad_json.safetensors", "JSON"),
        ("hole.safetensors", "hole"),
        ("truncated.onnx", "ONNX"),
        ("varint.onnx", "ONNX"),
        ("json.pt2", "models/model.json"),
    ] {
        let start = Instant::now();
        let error = Model::load(folder.join(file)).err().unwrap_or_else(|| panic!("{file} loads")).to_string();
        assert!(start.elapsed() < Duration::from_secs(1), "{file} took {:?}", start.elapsed());
        assert!(error.contains(words), "{file}: {error}");
    }
}

#[test]
fn a_changed_byte_in_any_weight_of_a_large_file_is_found_and_named() {
    let Some(root) = large() else { return };
    let mut bytes = std::fs::read(root.join("embedder.pt")).unwrap();
    let archive = Archive::open(&"embedder.pt".into(), bytes.clone().into()).unwrap();
    let weights = archive.entries().iter().filter(|entry| entry.name.contains("/data/") && entry.size >= 1 << 10);
    let path = std::env::temp_dir().join(format!("stark_damaged_{}.pt", std::process::id()));
    // One of each kind and length: tables that are copied, matrices that are packed, vectors that are folded.
    let mut lengths = std::collections::HashSet::new();
    for entry in weights.filter(|entry| lengths.insert(entry.size)) {
        for at in [entry.data.start, entry.data.end - 1] {
            bytes[at] ^= 0x04;
            std::fs::write(&path, &bytes).unwrap();
            bytes[at] ^= 0x04;
            let error = Model::load(&path).expect_err(&entry.name).to_string();
            assert!(error.contains("CRC-32") && error.contains(&entry.name), "{error}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert!(lengths.len() > 4, "{lengths:?}");
}

#[test]
fn an_unknown_operator_is_listed_alone_with_its_place() {
    let Some(root) = large() else { return };
    match Model::load(root.join("bad/code_unknown_op.pt")) {
        Err(ModelError::UnknownOperators { operators, .. }) => {
            assert_eq!(operators.len(), 1, "{operators:?}");
            assert_eq!(operators[0].name, "torch.no_such_op");
            assert!(operators[0].place.line > 0 && operators[0].place.entry.ends_with(".py"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_formats_are_named_with_a_way_out() {
    let Some(root) = large() else { return };
    for (file, words) in [("digits_mlp.safetensors", "safetensors"), ("edge/state_dict.pth", "state dict")] {
        let error = Model::load(root.join(file)).err().unwrap_or_else(|| panic!("{file} loads"));
        assert!(matches!(error, ModelError::NotAModel { .. }), "{file}: {error}");
        let error = error.to_string();
        assert!(error.contains(words) && error.contains("torch.jit.trace"), "{file}: {error}");
    }
}

/// What `torch.save(model.state_dict())` writes: an ordered dict, which has an attribute.
#[test]
fn files_that_are_taken_for_models_are_named() {
    let saved = b"\x80\x02ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00_metadata}sb.".to_vec();
    let files: [(Vec<u8>, &str); 7] = [
        (zip(&[("m/data.pkl", saved), ("m/version", b"3\n".to_vec())]), "a bare state dict"),
        (b"GGUF\x03\0\0\0\x07\0\0\0\0\0\0\0".to_vec(), "a GGUF file"),
        (b"\x1c\0\0\0TFL3\x14\0\x20\0".to_vec(), "a TensorFlow Lite model"),
        (b"\x28\0\0\0ORTM\0\0\x1e\0".to_vec(), "ONNX Runtime's own format"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n".to_vec(), "git lfs pull"),
        (b"<!DOCTYPE html><html>".to_vec(), "a page of HTML"),
        (b"<html><body>404".to_vec(), "a page of HTML"),
    ];
    for (bytes, words) in files {
        let error = Model::load_bytes(bytes, "file").err().unwrap_or_else(|| panic!("{words} loads"));
        assert!(matches!(error, ModelError::NotAModel { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_is_no_file_is_an_error() {
    assert!(matches!(Model::load("no/such/file.pt"), Err(ModelError::Io { .. })));
    assert!(matches!(Model::load(small()), Err(ModelError::Io { .. })));
    for bytes in [&b""[..], b"PK", b"PK\x03\x04", b"\x80\x02.", b"hello", &[0; 64]] {
        assert!(Model::load_bytes(bytes.to_vec(), "bytes").is_err(), "{bytes:?}");
    }
}

/// Changes bytes, and mends the checksums of stored entries half of the time, so that what lies behind
/// them is reached as well.
fn mutate(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            3 => bytes.truncate(at.max(1)),
            4 => {
                let end = (at + random.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() - piece.len() + 1);
                bytes[to..to + piece.len()].copy_from_slice(&piece);
            }
            _ => bytes.insert(at, random.below(256) as u8),
        }
    }
    bytes
}

/// Writes the true checksum of every stored entry into the central directory.
fn mend(bytes: &mut [u8]) {
    let records: Vec<usize> =
        (0..bytes.len().saturating_sub(46)).filter(|&i| bytes[i..].starts_with(b"PK\x01\x02")).collect();
    for at in records {
        let u32_at =
            |bytes: &[u8], i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]) as usize;
        let (size, local) = (u32_at(bytes, at + 20), u32_at(bytes, at + 42));
        if bytes[at + 10] != 0 || local + 30 > bytes.len() {
            continue;
        }
        let lengths = u32_at(bytes, local + 26);
        let start = local + 30 + (lengths & 0xffff) + (lengths >> 16);
        if let Some(payload) = bytes.get(start..start.saturating_add(size)) {
            let crc = crc32fast::hash(payload).to_le_bytes();
            bytes[at + 16..at + 20].copy_from_slice(&crc);
        }
    }
}

/// The length and checksum fields of protobuf and JSON say little; what matters there is what the words mean.
/// So names and numbers are exchanged for others of the same file.
fn exchange(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let words: Vec<std::ops::Range<usize>> = {
        let mut words = Vec::new();
        let mut at = 0;
        while at < good.len() {
            let n = good[at..].iter().take_while(|b| is_word(b)).count();
            if n > 0 {
                words.push(at..at + n);
            }
            at += n.max(1);
        }
        words
    };
    for _ in 0..1 + random.below(3) {
        let (to, from) = (words[random.below(words.len())].clone(), words[random.below(words.len())].clone());
        let n = to.len().min(from.len());
        bytes[to.start..to.start + n].copy_from_slice(&good[from.start..from.start + n]);
    }
    bytes
}

#[test]
fn mutated_files_never_panic() {
    let scale = std::env::var("STARK_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let ones = |width: usize| vec![Tensor::ones(&[2, width], DType::F32).expect("x")];
    let mut files = vec![
        (small().join("bad/ok.pt"), ones(4), 3_000),
        (small().join("digits_mlp.pt"), ones(64), 300),
        (data().join("ok.onnx"), ones(4), 6_000),
        (data().join("mini_classifier.onnx"), ones(64), 1_000),
        (data().join("ok.pt2"), ones(4), 3_000),
        (data().join("mini_classifier.pt2"), ones(64), 1_000),
    ];
    for path in recorded() {
        let inputs = inputs_of(&path);
        files.push((path, inputs, 200));
    }
    for (file, inputs, rounds) in files {
        let good = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let name = file.display().to_string();
        let mut random = Random(0x5eed);
        let mut n_loaded = 0;
        for round in 0..rounds * scale {
            let mut bytes = match round % 3 {
                0 => exchange(&good, &mut random),
                _ => mutate(&good, &mut random),
            };
            if round % 2 == 0 {
                mend(&mut bytes);
            }
            let start = Instant::now();
            if let Ok(model) = Model::load_bytes(bytes, &name) {
                n_loaded += 1;
                let _ = model.predict(&inputs);
            }
            assert!(start.elapsed() < Duration::from_secs(5), "round {round} of {name} took {:?}", start.elapsed());
        }
        println!("{name}: {n_loaded} of {} mutated files still load", rounds * scale);
    }
}

#[test]
fn broken_tokenizers_are_errors() {
    let good = std::fs::read(small().join("tokenizers/topic_wordpiece.json")).expect("tokenizer");
    assert!(Tokenizer::load("no/such/tokenizer.json").is_err());
    for bytes in
        [&b""[..], b"{", b"[]", b"{}", b"{\"model\": 1}", b"{\"model\": {\"type\": \"BPE\"}}", &good[..good.len() / 2]]
    {
        let error = Tokenizer::from_bytes(bytes, "tokenizer.json").expect_err("broken");
        assert!(error.to_string().starts_with("tokenizer.json: "), "{error}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Tokenizer::from_bytes(deep.as_bytes(), "deep").is_err());
}
