//! `docs/bytecode.md` is grown from the table. When this test says it is stale: `STARK_BLESS=1 cargo test -p stark-bytecode --test docs`.

use std::fmt::Write;
use std::path::Path;

use stark_bytecode::format::SectionKind;
use stark_bytecode::{Opcode, Role};

const TABLE: &str = include_str!("../src/ops.rs");
const WORDS: &str = include_str!("../src/words.rs");
const FORMAT: &str = include_str!("../src/format/mod.rs");
const VERIFY: &str = include_str!("../src/verify/mod.rs");
const ASM: &str = include_str!("../src/asm/mod.rs");

#[test]
fn the_page_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bytecode.md");
    let page = page();
    if std::env::var_os("STARK_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/bytecode.md is stale, run: STARK_BLESS=1 cargo test -p stark-bytecode --test docs");
}

fn page() -> String {
    let mut page = String::from("# STARK bytecode\n\n");
    page += "<!-- Grown from vm/bytecode. Again with: STARK_BLESS=1 cargo test -p stark-bytecode --test docs -->\n\n";
    page += &story(TABLE, "Who reads the table");
    page += "\n## Operands\n\n| kind | what |\n|---|---|\n";
    for role in Role::ALL {
        let _ = writeln!(page, "| `{}` | {} |", role.name(), role.doc().trim());
    }
    page += "\n## Instructions\n\nThe number is the opcode in a file.\n";
    for row in TABLE.lines().map(str::trim) {
        if let Some(heading) = row.strip_prefix("// --- ") {
            let _ = writeln!(
                page,
                "\n### {}\n\n| | instruction | what |\n|---|---|---|",
                capital(heading.trim_end_matches(['-', ' ']))
            );
        } else if let Some(op) = row.split_once(" = ").and_then(|(mnemonic, _)| Opcode::from_mnemonic(mnemonic)) {
            let operands: Vec<String> =
                op.fields().iter().zip(op.roles()).map(|(field, role)| format!("{field}: {}", role.name())).collect();
            let doc = op.doc().split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(
                page,
                "| {} | `{} {}` | {} |",
                op as u8,
                op.mnemonic(),
                operands.join(", "),
                doc.replace('|', "\\|")
            );
        }
    }
    page += "\n## What the verifier promises\n\n";
    page += &story(VERIFY, "");
    page += "\n## Words\n\n";
    page += &story(WORDS, "");
    page += "\n## The file\n\n";
    page += &story(FORMAT, "");
    page += "\n| number | section | may be skipped | what |\n|---|---|---|---|\n";
    for kind in SectionKind::ALL {
        let skipped = if kind.optional() { "yes" } else { "no" };
        let _ = writeln!(page, "| {} | {} | {skipped} | {} |", *kind as u32, kind.name(), kind.doc().trim());
    }
    page += "\n## As text\n\n";
    page += &story(ASM, "");
    page
}

/// What a file says about itself, without its first sentence, up to a line that begins with `end`.
fn story(source: &str, end: &str) -> String {
    let lines = source.lines().take_while(|line| line.starts_with("//!")).skip(2);
    let lines = lines.map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or_default());
    let mut story = String::new();
    for line in lines.take_while(|line| end.is_empty() || !line.starts_with(end)) {
        // Links to items mean nothing outside rustdoc.
        story += &line.replace("[`", "`").replace("`]", "`");
        story.push('\n');
    }
    format!("{}\n", story.trim())
}

fn capital(heading: &str) -> String {
    let mut chars = heading.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[test]
fn every_instruction_is_on_the_page() {
    let page = page();
    for op in Opcode::ALL {
        assert!(page.contains(&format!("| {} | `{} ", *op as u8, op.mnemonic())), "{}", op.mnemonic());
    }
}
