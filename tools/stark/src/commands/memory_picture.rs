//! A memory plan as a picture: each buffer a box, as wide as it is alive and as high as it is large.

use std::fmt::Write;

use stark_kernels::cpu::arena::MemoryPlan;

use super::inspect_model::bytes;

/// The size of the plot, in pixels.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 500.0;
/// Room around it for the words.
const MARGIN: f64 = 40.0;

pub fn svg(plan: &MemoryPlan) -> String {
    let placed = || plan.blocks().iter().enumerate().filter_map(|(i, b)| Some((i, b, b.offset?, b.dropped?)));
    let end = placed().map(|(.., dropped)| dropped).max().unwrap_or(1).max(1);
    let (across, up) = (WIDTH / f64::from(end), HEIGHT / plan.bytes().max(1) as f64);
    let (width, height) = (WIDTH + 2.0 * MARGIN, HEIGHT + 2.0 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n"
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{}\">{} buffers in {}; at most {} are alive at once</text>",
        MARGIN - 12.0,
        placed().count(),
        bytes(plan.bytes()),
        bytes(plan.live_bytes()),
    );
    let _ =
        writeln!(out, "<rect x=\"{MARGIN}\" y=\"{MARGIN}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#f4f4f4\"/>");
    for (i, block, offset, dropped) in placed() {
        let x = MARGIN + f64::from(block.taken) * across;
        let w = f64::from(dropped - block.taken) * across;
        let h = block.bytes as f64 * up;
        let y = MARGIN + HEIGHT - offset as f64 * up - h;
        // Steps of the golden angle keep neighbours apart.
        let hue = i * 137 % 360;
        let _ = writeln!(
            out,
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{w:.2}\" height=\"{h:.2}\" fill=\"hsl({hue},60%,70%)\" \
             stroke=\"#444\" stroke-width=\"0.5\"><title>buffer {i}: {} at {offset}</title></rect>",
            bytes(block.bytes),
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{}\">time: buffers taken and dropped, in order</text>\n</svg>",
        MARGIN + HEIGHT + 20.0
    );
    out
}
