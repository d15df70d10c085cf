//! The flame graph: an SVG of its own, or a part of the HTML report.
//!
//! Width is time or bytes that were allocated, a call lies on its caller. What awaits another task is drawn in another colour below that task.

use crate::text::bytes;
use crate::tree::{Tree, label};
use maud::{Markup, html};
use stark_profile::Profile;

const WIDTH: f64 = 1200.0;
const ROW: f64 = 17.0;
/// What is narrower is left out: nobody could see it, and there may be very many.
const MIN_WIDTH: f64 = 0.4;
/// Advance of a letter at 11 px, about.
const LETTER: f64 = 6.6;
/// Deeper calls are cut off.
const MAX_DEPTH: usize = 300;

struct Rect {
    x: f64,
    width: f64,
    depth: usize,
    label: String,
    title: String,
    awaits: bool,
}

/// What width means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Time,
    Allocations,
}

pub fn svg(profile: &Profile, width_is: Width) -> Markup {
    let tree = match width_is {
        Width::Time => Tree::of(profile),
        Width::Allocations => Tree::of_allocations(profile),
    };
    let amount = |n: u64| match width_is {
        Width::Time => format!("{n} ticks"),
        Width::Allocations => bytes(n),
    };
    let all = tree.nodes[0].total.max(1);
    let mut rects = Vec::new();
    let mut work = vec![(0usize, 0.0, 0usize)];
    let mut depth = 0;
    while let Some((at, x, level)) = work.pop() {
        let node = &tree.nodes[at];
        let width = node.total as f64 / all as f64 * WIDTH;
        if width < MIN_WIDTH || level > MAX_DEPTH {
            continue;
        }
        depth = depth.max(level);
        let (text, awaits) = match &node.key {
            Some(key) => (label(profile, key.frame), key.awaits),
            None => (format!("all of {}", profile.info.program), false),
        };
        let share = node.total as f64 / all as f64 * 100.0;
        let what = if awaits { " awaits" } else { "" };
        let (total, own) = (amount(node.total), amount(node.own));
        let title = format!("{text}{what}: {total} of {}, {share:.1} %, own {own}", amount(all));
        rects.push(Rect { x, width, depth: level, label: text, title, awaits });
        let mut x = x;
        for &child in &node.children {
            work.push((child, x, level + 1));
            x += tree.nodes[child].total as f64 / all as f64 * WIDTH;
        }
    }
    let height = (depth + 1) as f64 * ROW + 8.0;
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height)
            font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11" {
            @if tree.nodes[0].total == 0 {
                text x="3" y=(num(height - 9.0)) fill="#222" { "nothing was sampled: the program did too little" }
            }
            @for rect in &rects {
                g {
                    title { (rect.title) }
                    rect x=(num(rect.x)) y=(num(height - 4.0 - (rect.depth + 1) as f64 * ROW)) width=(num(rect.width))
                        height=(ROW - 1.0) rx="1" fill=(colour(rect)) {}
                    @if let Some(text) = fitting(&rect.label, rect.width) {
                        text x=(num(rect.x + 3.0)) y=(num(height - 4.0 - rect.depth as f64 * ROW - 5.0)) fill="#222" {
                            (text)
                        }
                    }
                }
            }
        }
    }
}

pub fn document(profile: &Profile, width_is: Width) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", svg(profile, width_is).into_string())
}

pub fn num(x: f64) -> String {
    format!("{x:.2}")
}

fn fitting(text: &str, width: f64) -> Option<String> {
    let room = ((width - 6.0) / LETTER) as usize;
    match text.chars().count() {
        n if n <= room => Some(text.to_string()),
        _ if room >= 4 => Some(text.chars().take(room - 1).chain(['…']).collect()),
        _ => None,
    }
}

/// Warm for what runs, cold for what awaits; a shade by name, so that neighbours differ and a name keeps its colour.
fn colour(rect: &Rect) -> String {
    let name = rect.label.split(' ').next().unwrap_or_default();
    let hash = name.bytes().fold(5381u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
    let (a, b) = (hash % 40, hash / 64 % 50);
    let [red, green, blue] = if rect.awaits { [110 + a, 165 + b, 235] } else { [240, 140 + b + a, 70 + a] };
    format!("#{red:02x}{green:02x}{blue:02x}")
}
