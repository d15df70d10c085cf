//! The test harness: whole programs as data, run through the `stark` command.
//!
//! A case is a `.stark` file under `tests/conformance/AREA/` with its expectations beside it; the layout is told in
//! `tests/conformance/README.md` and is the same that `run.py` there reads. Where a case names models or other files, their paths are
//! relative to the area's folder, or begin with `../../models/`, which is the folder that `STARK_MODELS` names; a case whose
//! files are not there is reported as ignored, by name.

pub mod cases;
pub mod diagnostics;
pub mod http;
pub mod process;
pub mod session;
