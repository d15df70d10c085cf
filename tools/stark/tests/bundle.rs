//! `stark bundle`, `build --standalone`, `keygen`, and what `run` does with their files, from the outside.

use stark_tests::process::{Finished, run};
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository")
}

fn stark_in(folder: &Path, args: &[&str]) -> Finished {
    run(Path::new(env!("CARGO_BIN_EXE_stark")), args, folder, &[("NO_COLOR", "1")], "", TIME_LIMIT)
}

#[track_caller]
fn ok(got: Finished) -> String {
    assert_eq!(got.status, Some(0), "{}{}", got.stdout, got.stderr);
    got.stdout
}

/// Refused before anything ran: status 2, nothing printed, a sentence on standard error.
#[track_caller]
fn refused(got: Finished, reason: &str) {
    assert_eq!((got.status, &*got.stdout), (Some(2), ""), "{}", got.stderr);
    assert!(got.stderr.starts_with("error") && got.stderr.contains(reason), "{}", got.stderr);
}

/// A package with files in a folder of its own.
fn package(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

const READER: &str = "import fs\nfn main():\n    print(\"begun\")\n    for name in args(): print(fs.read_text(name))\n";

fn reader() -> tempfile::TempDir {
    let manifest = "[package]\nname = \"reader\"\n[assets]\nnote = \"notes/a.txt\"\nmore = \"notes/*.txt\"\n";
    package(&[
        ("stark.toml", manifest),
        ("main.stark", READER),
        ("notes/a.txt", "first note"),
        ("notes/b.txt", "second note"),
        ("plain.txt", "no asset"),
    ])
}

/// The reader bundled, in a folder with nothing else.
fn bundled(options: &[&str]) -> (tempfile::TempDir, Vec<u8>) {
    let (package, away) = (reader(), tempfile::tempdir().expect("a folder"));
    let out = away.path().join("reader.starkbc").display().to_string();
    ok(stark_in(package.path(), &[&["bundle", "-o", &out], options].concat()));
    let bytes = std::fs::read(&out).expect("a bundle");
    (away, bytes)
}

#[test]
fn a_bundle_runs_where_nothing_else_is() {
    for options in [&[][..], &["--compress"]] {
        let (away, _) = bundled(options);
        for names in [["notes/a.txt", "./notes/b.txt"], ["note", "notes//b.txt"]] {
            let got = stark_in(away.path(), &["run", "--deny", "all", "reader.starkbc", names[0], names[1]]);
            assert_eq!(ok(got), "begun\nfirst note\nsecond note\n");
        }
    }
}

#[test]
fn a_package_that_is_run_finds_the_same_assets() {
    let (package, elsewhere) = (reader(), tempfile::tempdir().expect("a folder"));
    let folder = package.path().display().to_string();
    let got = stark_in(elsewhere.path(), &["run", "--deny", "files", &folder, "note", "notes/b.txt"]);
    assert_eq!(ok(got), "begun\nfirst note\nsecond note\n");
}

#[test]
fn what_is_no_asset_is_the_machines_and_needs_files() {
    let (away, _) = bundled(&[]);
    std::fs::write(away.path().join("plain.txt"), "of the machine").expect("a file");
    let got = stark_in(away.path(), &["run", "reader.starkbc", "plain.txt"]);
    assert_eq!(ok(got), "begun\nof the machine\n");
    let absolute = away.path().join("plain.txt").display().to_string();
    for name in ["plain.txt", &absolute, "../plain.txt", "notes/../plain.txt", "/etc/hostname"] {
        let got = stark_in(away.path(), &["run", "--deny", "files", "reader.starkbc", name]);
        assert_eq!((got.status, &*got.stdout), (Some(1), "begun\n"), "{name}");
        let told = "PermissionError: `fs_read_text` needs the capability `files`, which this program was not given";
        assert!(got.stderr.contains(told), "{name}: {}", got.stderr);
    }
}

#[test]
fn assets_are_files_and_folders_to_a_program() {
    let main = "import fs
fn main():
    print(fs.list(\"notes\"), fs.walk(\"notes\"), fs.exists(\"note\"), fs.is_dir(\"notes\"), fs.is_file(\"notes\"))
    print(fs.size(\"notes/a.txt\"), fs.metadata(\"notes\").kind, fs.metadata(\"note\").is_read_only)
    let file = fs.open(\"notes/b.txt\")
    print(file.read_line(), file.read_line())
    file.seek(8)
    print(file.read_text(100))
    print([item for item in Dataset::load(\"notes\")])
    fs.write_text(\"out.txt\", \"written\")
    fs.copy(\"note\", \"copy.txt\")
    print(fs.read_text(\"out.txt\"), fs.read_text(\"copy.txt\"))
";
    let manifest = "[package]\nname = \"reader\"\n[assets]\nnote = \"notes/a.txt\"\nmore = \"notes/\"\n";
    let files =
        [("stark.toml", manifest), ("main.stark", main), ("notes/a.txt", "first"), ("notes/b.txt", "one\ntwo\nthree")];
    let package = package(&files);
    let away = tempfile::tempdir().expect("a folder");
    let out = away.path().join("r.starkbc").display().to_string();
    ok(stark_in(package.path(), &["bundle", "-o", &out]));
    let want = "[\"a.txt\", \"b.txt\"] [\"notes/a.txt\", \"notes/b.txt\"] true true false
5 dir true
Some(\"one\") Some(\"two\")
three
[\"first\", \"one\\ntwo\\nthree\"]
written first
";
    assert_eq!(ok(stark_in(away.path(), &["run", "r.starkbc"])), want);
    // Writing, and only that, needs `files`.
    refused(stark_in(away.path(), &["run", "--deny", "files", "r.starkbc"]), "files: for fs_copy, fs_write_text\n");
}

#[test]
fn under_a_denial_nothing_of_the_machine_is_seen_through_an_asset() {
    let main = "import fs
fn attempt(name: String, f: fn() -> String):
    try: print(name, f())
    catch e: PermissionError: print(name, \"refused\")
    catch e: IoError: print(name, e.message())
fn main():
    attempt(\"list\", || fs.list(\"note\").len().show())
    attempt(\"walk\", || fs.walk(\"note\").len().show())
    attempt(\"read\", || fs.read_text(\"folder\"))
    attempt(\"outside\", || fs.exists(\"secret.txt\").show())
    attempt(\"tokens\", || tokenize(\"a\").shape().show())
";
    let manifest = "[package]\nname = \"p\"\n[assets]\nnote = \"note\"\nmore = \"folder\"\n";
    let files = [("stark.toml", manifest), ("main.stark", main), ("note", "x"), ("folder/a.txt", "y")];
    let package = package(&files);
    let away = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(away.path().join("note")).expect("a folder");
    for (name, text) in [("note/secret", "s"), ("secret.txt", "s"), ("tokenizer.json", "{}")] {
        std::fs::write(away.path().join(name), text).expect("a file");
    }
    let out = away.path().join("p.starkbc").display().to_string();
    ok(stark_in(package.path(), &["bundle", "-o", &out]));
    let want = "list cannot list note: it is no folder
walk cannot list note: it is no folder
read cannot read folder: it is a folder of the bundle
outside refused
tokens refused
";
    assert_eq!(ok(stark_in(away.path(), &["run", "--deny", "files", "p.starkbc"])), want);
}

#[test]
fn the_same_package_gives_the_same_bytes() {
    let (_, bytes) = bundled(&[]);
    assert_eq!(bundled(&[]).1, bytes);
    let package = reader();
    let parent = package.path().parent().expect("a parent").to_path_buf();
    let name = package.path().file_name().expect("a name").to_string_lossy().into_owned();
    for (folder, named) in [(package.path(), "."), (package.path(), "./"), (&*parent, &*name)] {
        let out = package.path().join("out.starkbc").display().to_string();
        ok(stark_in(folder, &["bundle", named, "-o", &out]));
        assert!(std::fs::read(&out).expect("a bundle") == bytes, "{named}");
    }
    let key = package.path().join("k.key").display().to_string();
    ok(stark_in(package.path(), &["keygen", "k"]));
    let signed = bundled(&["--sign", &key]).1;
    assert!(signed == bundled(&["--sign", &key]).1 && signed != bytes);
}

#[test]
fn damaged_bundles_do_not_begin() {
    let (away, bytes) = bundled(&[]);
    let path = away.path().join("bad.starkbc");
    let attempt = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).expect("a file");
        let got = stark_in(away.path(), &["run", "bad.starkbc"]);
        assert_eq!((got.status, &*got.stdout), (Some(2), ""), "{what}: {}", got.stderr);
        assert!(got.stderr.starts_with("error: bad.starkbc: "), "{what}: {}", got.stderr);
    };
    // Every length and bit of the file is tried where no process has to begin: vm/bundle/tests.
    for len in (0..bytes.len()).step_by(97) {
        attempt(&bytes[..len], &format!("{len} bytes"));
    }
    let data = bytes.windows(10).position(|window| window == b"first note").expect("the asset");
    for at in (0..data - 64).step_by(53) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        attempt(&changed, &format!("byte {at}"));
    }
    let mut newer = bytes.clone();
    newer[8] += 1;
    std::fs::write(&path, &newer).expect("a file");
    refused(stark_in(away.path(), &["run", "bad.starkbc"]), "a newer STARK is needed");
}

#[test]
fn a_damaged_asset_is_an_error_where_it_is_used() {
    let (away, mut bytes) = bundled(&[]);
    let data = bytes.windows(10).position(|window| window == b"first note").expect("the asset");
    bytes[data] = b'F';
    std::fs::write(away.path().join("bad.starkbc"), bytes).expect("a file");
    assert_eq!(ok(stark_in(away.path(), &["run", "bad.starkbc", "notes/b.txt"])), "begun\nsecond note\n");
    let got = stark_in(away.path(), &["run", "bad.starkbc", "note"]);
    assert_eq!((got.status, &*got.stdout), (Some(1), "begun\n"));
    assert!(got.stderr.contains("IoError: asset `notes/a.txt` is damaged"), "{}", got.stderr);
    let got = stark_in(away.path(), &["inspect", "--verify", "bad.starkbc"]);
    assert!(got.status == Some(2) && got.stderr.contains("asset `notes/a.txt` is damaged"), "{}", got.stderr);
}

#[test]
fn a_signature_that_is_asked_for_has_to_be_there_and_right() {
    let keys = tempfile::tempdir().expect("a folder");
    for name in ["ours", "theirs"] {
        ok(stark_in(keys.path(), &["keygen", name]));
    }
    refused(stark_in(keys.path(), &["keygen", "ours"]), "ours.key is there already");
    let key = |name: &str| keys.path().join(name).display().to_string();
    let (ours, theirs) = (key("ours.pub"), key("theirs.pub"));
    let (away, bytes) = bundled(&["--sign", &key("ours.key")]);
    let run = |key: &str, file: &str| stark_in(away.path(), &["run", "--require-signature", key, file, "note"]);
    assert_eq!(ok(run(&ours, "reader.starkbc")), "begun\nfirst note\n");
    let text = std::fs::read_to_string(&ours).expect("a key");
    assert_eq!(ok(run(text.trim(), "reader.starkbc")), "begun\nfirst note\n");
    refused(run(&theirs, "reader.starkbc"), "it was signed with another key");
    refused(run(&key("ours.key"), "reader.starkbc"), "this is a secret key");
    refused(run(&key("no.pub"), "reader.starkbc"), "no.pub");
    let (unsigned, _) = bundled(&[]);
    let got = stark_in(unsigned.path(), &["run", "--require-signature", &ours, "reader.starkbc"]);
    refused(got, "it is not signed");
    std::fs::write(away.path().join("a.stark"), "print(1)").expect("a file");
    refused(run(&ours, "a.stark"), "is source, which nobody signs");
    // Under a signature a changed asset is refused like any other.
    let mut changed = bytes;
    let data = changed.windows(10).position(|window| window == b"first note").expect("the asset");
    changed[data] = b'F';
    std::fs::write(away.path().join("changed.starkbc"), changed).expect("a file");
    let got = run(&ours, "changed.starkbc");
    assert!(got.status == Some(1) && got.stderr.contains("is damaged"), "{}", got.stderr);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(key("ours.key")).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn capabilities_are_stated_and_held() {
    let main = "fn home() -> Option<String>:\n    return env(\"HOME\")\nfn main():\n    print(\"begun\")\n    print(home().is_some())\n";
    let package = package(&[("stark.toml", "[package]\nname = \"p\"\n"), ("main.stark", main)]);
    let told = ok(stark_in(package.path(), &["bundle"]));
    assert!(told.contains("no assets, needs environment"), "{told}");
    let told = ok(stark_in(package.path(), &["inspect", "p.starkbc"]));
    for part in ["needs         environment", "environment: for env_var", "home (main.stark:", "main (main.stark:"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let run = |options: &[&str], file: &str| stark_in(package.path(), &[&["run"], options, &[file]].concat());
    for options in [&[][..], &["--allow", "environment"], &["--allow", "files,environment"], &["--deny", "files"]] {
        assert!(ok(run(options, "p.starkbc")).starts_with("begun\n"));
    }
    for options in [&["--allow", "none"][..], &["--deny", "environment"], &["--allow", "all", "--deny", "environment"]]
    {
        refused(run(options, "p.starkbc"), "environment: for env_var");
        let got = run(options, "main.stark");
        assert_eq!((got.status, &*got.stdout), (Some(1), "begun\n"));
        assert!(got.stderr.contains("`stark run --allow environment` gives it"), "{}", got.stderr);
    }
    refused(run(&["--allow", "disk"], "p.starkbc"), "`disk` is no capability");
}

#[test]
fn a_bundle_that_hides_what_it_needs_is_refused() {
    let main = "fn main():\n    print(env(\"HOME\").is_some())\n";
    let package = package(&[("stark.toml", "[package]\nname = \"p\"\n"), ("main.stark", main)]);
    ok(stark_in(package.path(), &["bundle"]));
    let path = package.path().join("p.starkbc");
    let bundle = stark_bundle::Bundle::open(&path).expect("a bundle");
    let manifest = stark_bytecode::Manifest { capabilities: Vec::new(), ..bundle.manifest.expect("a manifest") };
    let mut file = std::fs::File::create(&path).expect("a file");
    stark_bundle::write(&bundle.module, manifest, Vec::new(), None, &mut file).expect("written");
    refused(stark_in(package.path(), &["run", "p.starkbc"]), "does not say that it needs the capability `environment`");
}

#[test]
fn a_standalone_program_needs_nothing() {
    let package = reader();
    let bare = tempfile::tempdir().expect("a folder");
    let program = bare.path().join("reader");
    ok(stark_in(package.path(), &["build", "--standalone", ".", "-o", &program.display().to_string()]));
    let start = |args: &[&str]| run(&program, args, bare.path(), &[], "", TIME_LIMIT);
    assert_eq!(ok(start(&["note", "notes/b.txt"])), "begun\nfirst note\nsecond note\n");
    // Arguments are the program's, also those that `stark` would know.
    let got = start(&["--version"]);
    assert!(got.status == Some(1) && got.stdout == "begun\n", "{got:?}");
    let again = bare.path().join("again").display().to_string();
    let main = package.path().join("main.stark").display().to_string();
    let got = run(&program, &["build", "--standalone", &main, "-o", &again], bare.path(), &[], "", TIME_LIMIT);
    assert!(got.status == Some(1) && got.stdout == "begun\n", "{got:?}");
    // Of a bundle that is there, as it is.
    ok(stark_in(package.path(), &["bundle", "-o", "r.starkbc"]));
    let out = program.display().to_string();
    ok(stark_in(package.path(), &["build", "--standalone", "r.starkbc", "-o", &out]));
    assert_eq!(ok(start(&["note"])), "begun\nfirst note\n");
}

#[test]
fn what_cannot_be_bundled_is_told_with_its_place() {
    let cases: &[(&str, &str)] = &[
        ("model = \"none.pt\"", "asset `model` names no file: none.pt is not there"),
        ("model = \"bad.pt\"", "bad.pt"),
        ("t = { path = \"notes/a.txt\", kind = \"tokenizer\" }", "notes/a.txt: is not valid JSON"),
        ("\"../up\" = \"notes/a.txt\"", "an asset cannot be called \"../up\""),
        ("a = \"notes/a.txt\"\nb = \"notes/a.txt\"", "two assets have the path `notes/a.txt`"),
        ("\"notes/b.txt\" = \"notes/a.txt\"\nb = \"notes/b.txt\"", "two assets are called `notes/b.txt`"),
        ("a = { path = \"notes/a.txt\", compress = 1 }", "`compress` is true or false"),
    ];
    for (assets, reason) in cases {
        let manifest = format!("[package]\nname = \"p\"\n[assets]\n{assets}\n");
        let files = [("main.stark", READER), ("notes/a.txt", "x"), ("notes/b.txt", "y"), ("bad.pt", "no model")];
        let package = package(&[&files[..], &[("stark.toml", &*manifest)]].concat());
        let got = stark_in(package.path(), &["bundle"]);
        refused(got, reason);
        assert!(!package.path().join("p.starkbc").exists());
    }
}

#[test]
fn models_of_every_format_run_from_a_bundle() {
    let main = "fn main():\n    let model = load_model(args()[0])\n    print(model.parameters(), model.predict(zeros([1, 64])).shape())\n";
    let manifest = "[package]\nname = \"p\"\n[assets]\nmodels = \"models\"\n";
    let package = package(&[("stark.toml", manifest), ("main.stark", main), ("models/x.txt", "")]);
    let given = std::env::var_os("STARK_MODELS").map(PathBuf::from);
    let mut names = vec!["digits_mlp.pt"];
    let folder = match &given {
        Some(folder) => {
            names.extend(["digits_mlp.onnx", "digits_mlp.pt2", "digits_mlp_script.pt"]);
            folder.clone()
        }
        None => root().join("tests/data/models"),
    };
    for name in &names {
        std::fs::copy(folder.join(name), package.path().join("models").join(name)).expect("a model");
    }
    let away = tempfile::tempdir().expect("a folder");
    for options in [&[][..], &["--compress"]] {
        let out = away.path().join("p.starkbc").display().to_string();
        ok(stark_in(package.path(), &[&["bundle", "-o", &out], options].concat()));
        for name in &names {
            let got = stark_in(away.path(), &["run", "--deny", "all", "p.starkbc", &format!("models/{name}")]);
            assert_eq!(ok(got), "50826 [1, 10]\n", "{name}");
        }
    }
    let told = ok(stark_in(away.path(), &["inspect", "--verify", "p.starkbc"]));
    assert!(told.contains("model     models/digits_mlp.pt"), "{told}");
}
