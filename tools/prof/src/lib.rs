//! Recordings: getting them, and drawing them for people and for other tools. The command line is in `main`.
//!
//! Reading order: `record` gets one; `tree` and `figures` are what the views are drawn from, `timeline` what the traces
//! are; then one file for each view, and `top`, the live one.

pub mod record;

mod tree;

pub mod figures;

mod timeline;

mod flame;

mod plot;

pub mod batch;

pub mod text;

pub mod html;

mod speedscope;

mod pprof;

mod perfetto;

mod chrome;

pub mod top;

use clap::ValueEnum;
use flame::Width;
use stark_profile::Profile;

/// What a recording can be drawn as.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// Tables
    Text,
    /// One self-contained page with everything
    Html,
    /// A flame graph of the time as SVG
    Flame,
    /// A flame graph of the bytes that were allocated as SVG
    FlameAllocations,
    /// JSON for speedscope.app
    Speedscope,
    /// Protobuf for `go tool pprof` and others
    Pprof,
    /// Protobuf for ui.perfetto.dev
    Perfetto,
    /// JSON for chrome://tracing
    Chrome,
}

/// Draws a recording. `target_ms` is the p95 latency that batches are to keep, for HTML.
///
/// # Errors
/// Why it cannot be written, as a sentence.
pub fn render(profile: &Profile, format: Format, target_ms: f64) -> Result<Vec<u8>, String> {
    let json = |value: serde_json::Value| {
        serde_json::to_vec(&value).map_err(|e| format!("the report cannot be written as JSON: {e}"))
    };
    Ok(match format {
        Format::Text => text::render(profile).into_bytes(),
        Format::Html => html::page(profile, target_ms).into_bytes(),
        Format::Flame => flame::document(profile, Width::Time).into_bytes(),
        Format::FlameAllocations => flame::document(profile, Width::Allocations).into_bytes(),
        Format::Speedscope => json(speedscope::json(profile))?,
        Format::Pprof => pprof::encode(profile),
        Format::Perfetto => perfetto::encode(profile),
        Format::Chrome => json(chrome::json(profile))?,
    })
}
