//! `docs/operators.md`: which operators each importer reads, written from the tables that they read by.
//!
//! `STARK_BLESS=1 cargo test -p stark-models --lib coverage` renews the page.

use std::fmt::Write;
use std::path::Path;

use crate::ops::{ArgRow, Default, OpRow};
use crate::{onnx, ops, pt2};

fn arguments(args: &[ArgRow]) -> String {
    let show = |arg: &ArgRow| match arg.default {
        Default::Required => format!("`{}`", arg.name),
        _ => format!("`{}`?", arg.name),
    };
    args.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn sorted(rows: &[OpRow]) -> Vec<&OpRow> {
    let mut rows: Vec<&OpRow> = rows.iter().collect();
    rows.sort_by_key(|row| row.name.trim_start_matches("torch.").trim_start_matches("ops.prim.").to_lowercase());
    rows
}

fn page() -> String {
    let mut onnx: Vec<&onnx::OnnxRow> = onnx::ROWS.iter().collect();
    onnx.sort_by_key(|row| (row.op.name, row.since));
    let (torch, exported, renamed) = (sorted(ops::ROWS), sorted(pt2::table::ROWS), pt2::table::SAME);
    let mut out = format!(
        "# Operators that models may use\n\n\
         Written by `kernels/models/src/coverage.rs` from the importers' own tables; do not edit. A `?` marks what may be left out.\n\
         A model that uses another operator is refused when it is loaded, with all such operators and where they stand.\n\n\
         | format | operators |\n| --- | --- |\n\
         | ONNX, opset 11 on (some rows for older ones) | {} |\n\
         | TorchScript: traced, scripted, frozen | {} |\n\
         | `torch.export` (`.pt2`) | those of TorchScript as `aten.*`, {} of its own, {} other names |\n\n\
         ## ONNX\n\n| operator | since opset | inputs | attributes |\n| --- | --- | --- | --- |\n",
        onnx.len(),
        torch.len(),
        exported.len(),
        renamed.len()
    );
    // Writing to a String cannot fail.
    for row in onnx {
        let (inputs, attributes) = row.op.args.split_at(row.n_inputs);
        let _ =
            writeln!(out, "| `{}` | {} | {} | {} |", row.op.name, row.since, arguments(inputs), arguments(attributes));
    }
    out += "\n## TorchScript\n\nAs the code of an archive spells them; `torch.x` is `aten::x`, and `x_` is the form in place.\n\n";
    out += "| operator | arguments |\n| --- | --- |\n";
    for row in torch {
        let _ = writeln!(out, "| `{}` | {} |", row.name, arguments(row.args));
    }
    out += "\n## torch.export\n\n| operator | arguments, or the TorchScript operator it is |\n| --- | --- |\n";
    for row in exported {
        let _ = writeln!(out, "| `{}` | {} |", row.name, arguments(row.args));
    }
    for (name, is) in renamed {
        let _ = writeln!(out, "| `{name}` | is `{is}` |");
    }
    out
}

#[test]
fn the_page_of_operators_is_what_the_importers_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let page = page();
    if std::env::var_os("STARK_BLESS").is_some() {
        std::fs::write(&path, &page).expect("a writable folder");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/operators.md is stale: STARK_BLESS=1 renews it");
}
