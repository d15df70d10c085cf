//! Bundles: what is written is read again and always the same; what was changed is refused before a byte of it is used.

use stark_bundle::{Assets, Bundle, BundleError, Found, PublicKey, SecretKey, Source, write};
use stark_bytecode::format::{Draft, SectionKind};
use stark_bytecode::{Asset, AssetKind, Codec, Manifest, Module};
use std::path::Path;

fn module() -> Module {
    let text = "type t0 = Unit\nentry @main\nfunc f0 = \"main\" -> t0 out 0 {\n reg r0: t0\n return_scalar r0\n}\n";
    stark_bytecode::assemble(text).unwrap()
}

fn source(folder: &Path, path: &str, content: &[u8], compress: bool) -> Source {
    let file = folder.join(path.replace('/', "_"));
    std::fs::write(&file, content).unwrap();
    Source { path: path.into(), name: None, kind: AssetKind::Data, compress, file }
}

fn manifest() -> Manifest {
    let capabilities = vec!["files".into(), "network".into()];
    Manifest { package: "app".into(), version: "1.2.3".into(), capabilities, assets: Vec::new() }
}

/// A bundle with two plain assets, an empty one and a packed one.
fn bundle(key: Option<&SecretKey>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut named = source(folder.path(), "models/a.pt", &[7; 100], false);
    named.name = Some("model".into());
    let sources = vec![
        source(folder.path(), "z.txt", b"last", false),
        named,
        source(folder.path(), "empty", b"", true),
        source(folder.path(), "data/text.txt", "words ".repeat(200).as_bytes(), true),
    ];
    let mut out = Vec::new();
    write(&module(), manifest(), sources, key, &mut out).unwrap();
    out
}

fn read(assets: &Assets, path: &str) -> Result<Vec<u8>, BundleError> {
    match assets.find(path) {
        Some(Found::Asset(asset)) => assets.open(asset).map(|bytes| bytes.to_vec()),
        other => panic!("{path}: {other:?}"),
    }
}

/// The bundle opened from a file and from memory.
fn opened(bytes: &[u8]) -> Vec<Bundle> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    vec![Bundle::open(file.path()).unwrap(), Bundle::of_bytes(bytes.to_vec()).unwrap()]
}

#[test]
fn what_is_bundled_comes_back() {
    for bundle in opened(&bundle(None)) {
        let stated = bundle.manifest.as_ref().unwrap();
        assert_eq!((&*stated.package, &*stated.version), ("app", "1.2.3"));
        assert_eq!(bundle.module, module());
        let assets = &bundle.assets;
        assert_eq!(read(assets, "models/a.pt").unwrap(), [7; 100]);
        assert_eq!(read(assets, "./models//a.pt").unwrap(), [7; 100]);
        assert_eq!(read(assets, "model").unwrap(), [7; 100]);
        assert_eq!(read(assets, "empty").unwrap(), b"");
        assert_eq!(read(assets, "data/text.txt").unwrap(), "words ".repeat(200).as_bytes());
        assert_eq!(read(assets, "z.txt").unwrap(), b"last");
        assets.verify().unwrap();
        let packed = stated.assets.iter().find(|asset| asset.path == "data/text.txt").unwrap();
        assert!(packed.codec == Codec::Zstd && packed.stored < packed.len);
    }
}

#[test]
fn paths_that_mean_no_asset_are_left_to_the_machine() {
    for bundle in opened(&bundle(None)) {
        for path in ["", ".", "./", "/", "/models/a.pt", "../models/a.pt", "models/../models/a.pt", "a.pt", "Model"] {
            assert_eq!(bundle.assets.find(path), None, "{path}");
        }
        assert_eq!(bundle.assets.find("models"), Some(Found::Folder));
        assert_eq!(bundle.assets.list("models/"), ["a.pt"]);
        assert_eq!(bundle.assets.walk("./models"), ["./models/a.pt"]);
    }
}

#[test]
fn equal_inputs_give_equal_bytes() {
    assert_eq!(bundle(None), bundle(None));
    let key = SecretKey::from_seed([1; 32]);
    assert_eq!(bundle(Some(&key)), bundle(Some(&key)));
}

#[test]
fn plain_assets_lie_in_the_file_at_multiples_of_64() {
    let bytes = bundle(None);
    let at = bytes.windows(100).position(|window| window == [7; 100]).unwrap();
    assert_eq!(at % 64, 0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let bundle = Bundle::open(file.path()).unwrap();
    let Some(Found::Asset(asset)) = bundle.assets.find("model") else { panic!("an asset") };
    let mapped = bundle.assets.open(asset).unwrap();
    assert!(mapped.is_mapped() && mapped.as_ptr().addr() % 64 == 0);
}

#[test]
fn every_truncation_is_refused() {
    for bytes in [bundle(None), bundle(Some(&SecretKey::from_seed([1; 32])))] {
        for len in 0..bytes.len() {
            assert!(Bundle::of_bytes(bytes[..len].to_vec()).is_err(), "{len} of {} bytes", bytes.len());
        }
        assert!(Bundle::of_bytes([&bytes[..], &[0]].concat()).is_err(), "one byte more");
    }
}

#[test]
fn every_changed_bit_is_refused() {
    for bytes in [bundle(None), bundle(Some(&SecretKey::from_seed([1; 32])))] {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let refused = Bundle::of_bytes(changed).and_then(|bundle| bundle.assets.verify());
                assert!(refused.is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn a_damaged_asset_is_refused_when_it_is_used_and_others_are_not() {
    let mut bytes = bundle(None);
    let at = bytes.windows(100).position(|window| window == [7; 100]).unwrap();
    bytes[at + 50] ^= 1;
    for bundle in opened(&bytes) {
        for _ in 0..2 {
            let told = read(&bundle.assets, "model").unwrap_err().to_string();
            assert_eq!(
                told,
                "asset `models/a.pt` is damaged: its bytes differ from those that the bundle was made with"
            );
        }
        assert_eq!(read(&bundle.assets, "z.txt").unwrap(), b"last");
    }
}

/// A bundle of which everything is right but what the manifest says.
fn forged(change: impl FnOnce(&mut Manifest), data: &[u8]) -> Result<Bundle, BundleError> {
    let asset = |path: &str, bytes: &[u8]| Asset {
        path: path.into(),
        name: None,
        kind: AssetKind::Data,
        codec: Codec::Plain,
        len: bytes.len() as u64,
        stored: bytes.len() as u64,
        hash: *blake3::hash(bytes).as_bytes(),
    };
    let mut manifest = Manifest { assets: vec![asset("a", b"aa"), asset("b", b"bbb")], ..manifest() };
    change(&mut manifest);
    let draft = Draft::of_bundle(&module(), &manifest).ok_or(BundleError::Source("no layout".into()))?;
    Bundle::of_bytes([&draft.finish()[..], data].concat())
}

fn data() -> Vec<u8> {
    let mut data = vec![0; 67];
    data[..2].copy_from_slice(b"aa");
    data[64..].copy_from_slice(b"bbb");
    data
}

#[test]
fn a_forged_manifest_is_refused() {
    forged(|_| (), &data()).unwrap().assets.verify().unwrap();
    let refused = |change: &dyn Fn(&mut Manifest)| match forged(change, &data()).and_then(|b| b.assets.verify()) {
        Ok(()) => panic!("it was read"),
        Err(error) => error.to_string(),
    };
    for path in ["../a", "/etc/passwd", "a/../../b", "a\\b", "C:/a", "a//b", "", "a\0"] {
        let told = refused(&|m| m.assets[1].path = path.into());
        assert!(told.contains("of an asset is refused"), "{path}: {told}");
        let told = refused(&|m| m.assets[1].name = Some(path.into()));
        assert!(told.contains("of an asset is refused"), "{path}: {told}");
    }
    assert!(refused(&|m| m.assets[1].path = "a".into()).contains("two assets are called `a`"));
    assert!(refused(&|m| m.assets[1].name = Some("a".into())).contains("two assets are called `a`"));
    assert!(refused(&|m| m.assets[0].path = "c".into()).contains("out of order"));
    assert!(refused(&|m| m.capabilities.swap(0, 1)).contains("out of order"));
    // Lengths are offsets: each asset begins where the one before ends. A length that leaves the others where they are is
    // found by the asset's hash.
    for n in [0, 1, 4, 65, u64::MAX, u64::MAX - 63, 1 << 63] {
        for i in 0..2 {
            refused(&|m| (m.assets[i].len, m.assets[i].stored) = (n, n));
        }
    }
    assert!(refused(&|m| m.assets[0].len = 3).contains("stored are 2"));
}

#[test]
fn a_packed_asset_gives_what_the_manifest_states_and_no_more() {
    let packed = zstd::bulk::compress(&[0; 1 << 20], 3).unwrap();
    let open = |len: u64, stored: &[u8], limit: u64| {
        let change = |m: &mut Manifest| {
            m.assets.truncate(1);
            let hash = *blake3::hash(stored).as_bytes();
            m.assets[0] = Asset { codec: Codec::Zstd, len, stored: stored.len() as u64, hash, ..m.assets[0].clone() };
        };
        let mut bundle = forged(change, stored).unwrap();
        bundle.assets.limit(limit);
        read(&bundle.assets, "a").map(|bytes| bytes.len()).map_err(|e| e.to_string())
    };
    assert_eq!(open(1 << 20, &packed, 1 << 20), Ok(1 << 20));
    assert!(open((1 << 20) - 1, &packed, 1 << 30).unwrap_err().contains("unpacks to more bytes"));
    assert!(open((1 << 20) + 1, &packed, 1 << 30).unwrap_err().contains("unpacks to fewer bytes"));
    let told = open(1 << 20, &packed, (1 << 20) - 1).unwrap_err();
    assert!(told.contains("the limit is 1048575; `--asset-limit BYTES` changes it"), "{told}");
    assert!(open(1 << 20, &packed[..packed.len() - 1], 1 << 30).unwrap_err().contains("damaged"));
    assert!(open(4, b"junk", 1 << 30).unwrap_err().contains("cannot be unpacked"));
    // What a frame states about itself reserves nothing.
    assert!(open(u64::MAX, &packed, u64::MAX).unwrap_err().contains("fewer bytes"));
}

#[test]
fn only_the_right_signature_is_right() {
    let (key, other) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
    let signed = Bundle::of_bytes(bundle(Some(&key))).unwrap();
    assert_eq!(signed.signer, Some(key.public()));
    signed.require(&key.public()).unwrap();
    let told = signed.require(&other.public()).unwrap_err().to_string();
    assert!(told.starts_with("it was signed with another key"), "{told}");
    let unsigned = Bundle::of_bytes(bundle(None)).unwrap();
    assert_eq!(unsigned.signer, None);
    assert!(unsigned.require(&key.public()).unwrap_err().to_string().starts_with("it is not signed"));
}

#[test]
fn a_signature_holds_for_its_bundle_alone() {
    let key = SecretKey::from_seed([1; 32]);
    let bytes = bundle(Some(&key));
    let decoded = stark_bytecode::format::decode_file(&bytes, bytes.len() as u64).unwrap();
    // The signature of one bundle under the manifest of another.
    let mut manifest = decoded.manifest.clone().unwrap();
    manifest.capabilities.clear();
    let mut draft = Draft::of_bundle(&module(), &manifest).unwrap();
    draft.sign(decoded.signature.unwrap());
    let data = &bytes[decoded.data_at as usize..];
    let told = Bundle::of_bytes([&draft.finish()[..], data].concat()).unwrap_err().to_string();
    assert!(told.starts_with("the signature is not right"), "{told}");
    // A key that nobody has.
    let mut draft = Draft::of_bundle(&module(), decoded.manifest.as_ref().unwrap()).unwrap();
    let mut signature = decoded.signature.unwrap();
    signature.public_key = [0; 32];
    draft.sign(signature);
    assert!(Bundle::of_bytes([&draft.finish()[..], data].concat()).is_err());
}

#[test]
fn asset_data_needs_its_manifest_and_comes_last() {
    let mut draft = Draft::of_bundle(&module(), &manifest()).unwrap();
    draft.sections.retain(|(kind, _)| *kind != SectionKind::Assets);
    let told = Bundle::of_bytes(draft.finish()).unwrap_err().to_string();
    assert!(told.contains("there is no manifest"), "{told}");
}

#[test]
fn a_file_that_changes_while_it_is_bundled_is_told() {
    /// Changes the file when the first bytes are written.
    struct Meddler(std::path::PathBuf, Vec<u8>);
    impl std::io::Write for Meddler {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            std::fs::write(&self.0, "other")?;
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), "a", b"first", false);
    let mut out = Meddler(source.file.clone(), Vec::new());
    let told = write(&module(), manifest(), vec![source], None, &mut out).unwrap_err().to_string();
    assert!(told.ends_with("changed while it was bundled"), "{told}");
}

#[test]
fn keys_of_other_kinds_are_told_apart() {
    let key = SecretKey::from_seed([1; 32]);
    assert!(PublicKey::parse(&key.to_text()).unwrap_err().to_string().contains("secret key"));
}

#[cfg(unix)]
#[test]
fn opening_reads_nothing_of_the_assets() {
    // Sparse: the file has no more pages than were written.
    let large = 1u64 << 36;
    let asset = |path: &str, len: u64, hash: [u8; 32]| {
        let (path, codec) = (path.to_string(), Codec::Plain);
        Asset { path, name: None, kind: AssetKind::Data, codec, len, stored: len, hash }
    };
    let assets = vec![asset("large", large, [0; 32]), asset("small", 5, *blake3::hash(b"small").as_bytes())];
    let draft = Draft::of_bundle(&module(), &Manifest { assets, ..manifest() }).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let head = draft.finish();
    use std::os::unix::fs::FileExt;
    file.as_file().write_all_at(&head, 0).unwrap();
    file.as_file().write_all_at(b"small", head.len() as u64 + large).unwrap();
    let begun = std::time::Instant::now();
    let bundle = Bundle::open(file.path()).unwrap();
    assert_eq!(read(&bundle.assets, "small").unwrap(), b"small");
    // A guess that a busy machine keeps; reading 64 GiB takes far longer on any.
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
}
