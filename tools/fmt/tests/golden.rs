//! Cases as data: `tests/format/NAME.in.stark` becomes `NAME.out.stark`. `STARK_BLESS=1` writes what is given today.

use std::path::Path;

#[test]
fn cases_become_what_they_are_said_to() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/format");
    let mut n_cases = 0;
    for entry in std::fs::read_dir(&folder).expect("tests/format").flatten() {
        let path = entry.path();
        let Some(name) = path.to_string_lossy().strip_suffix(".in.stark").map(str::to_string) else { continue };
        n_cases += 1;
        let text = std::fs::read_to_string(&path).expect("a case");
        let formatted = stark_fmt::format(&text).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let wanted_path = format!("{name}.out.stark");
        if std::env::var_os("STARK_BLESS").is_some() {
            std::fs::write(&wanted_path, &formatted).expect("a writable folder");
        }
        let wanted = std::fs::read_to_string(&wanted_path).unwrap_or_default();
        assert_eq!(formatted, wanted, "{name}: again with STARK_BLESS=1 if this is better");
    }
    assert!(n_cases >= 4, "{n_cases}");
}

#[test]
fn line_ends_stay_those_of_the_file() {
    assert_eq!(stark_fmt::format("let  a = 1\r\nlet b = 2\r\n").as_deref(), Ok("let a = 1\r\nlet b = 2\r\n"));
    assert_eq!(stark_fmt::format("").as_deref(), Ok(""));
    assert_eq!(stark_fmt::format("\n\n").as_deref(), Ok(""));
    assert_eq!(stark_fmt::format("// a").as_deref(), Ok("// a\n"));
}
