//! Small line charts as SVG.

use crate::flame::num;
use maud::{Markup, html};

pub struct Chart<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub lines: Vec<Line>,
    /// Points that are pointed out, with words.
    pub marks: Vec<(f64, f64, String)>,
    /// A dashed line across at this height.
    pub limit: Option<f64>,
    /// The area under the lines is filled.
    pub filled: bool,
}

pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 34.0;
const COLOURS: [&str; 9] =
    ["#1f6fb4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#b8860b", "#a6761d", "#666666"];

impl Chart<'_> {
    pub fn svg(&self) -> Markup {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let max = |of: fn(&(f64, f64)) -> f64| all().map(of).filter(|x| x.is_finite()).fold(0.0, f64::max);
        let (max_x, max_y) = (max(|p| p.0), max(|p| p.1).max(self.limit.unwrap_or(0.0)));
        let (max_x, max_y) = (if max_x > 0.0 { max_x } else { 1.0 }, if max_y > 0.0 { max_y * 1.05 } else { 1.0 });
        let to_x = |x: f64| LEFT + x / max_x * (WIDTH - LEFT - RIGHT);
        let to_y = |y: f64| HEIGHT - BOTTOM - y / max_y * (HEIGHT - TOP - BOTTOM);
        let ticks = |max: f64| (0..=4).map(move |i| max * f64::from(i) / 4.0);
        let path = |line: &Line| {
            let points: Vec<String> =
                line.points.iter().map(|(x, y)| format!("{},{}", num(to_x(*x)), num(to_y(*y)))).collect();
            points.join(" ")
        };
        html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT)
                font-family="system-ui, sans-serif" font-size="11" {
                text x=(LEFT) y="15" font-weight="bold" { (self.title) }
                @for x in ticks(max_x) {
                    line x1=(num(to_x(x))) x2=(num(to_x(x))) y1=(TOP) y2=(HEIGHT - BOTTOM) stroke="#eee" {}
                    text x=(num(to_x(x))) y=(HEIGHT - BOTTOM + 13.0) text-anchor="middle" { (short(x)) }
                }
                @for y in ticks(max_y) {
                    line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(num(to_y(y))) y2=(num(to_y(y))) stroke="#eee" {}
                    text x=(LEFT - 5.0) y=(num(to_y(y) + 4.0)) text-anchor="end" { (short(y)) }
                }
                text x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { (self.x) }
                text x="12" y=(HEIGHT / 2.0) text-anchor="middle"
                    transform={ "rotate(-90 12 " (HEIGHT / 2.0) ")" } { (self.y) }
                @if let Some(limit) = self.limit {
                    line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(num(to_y(limit))) y2=(num(to_y(limit))) stroke="#c00"
                        stroke-dasharray="5 4" {}
                }
                @for (i, line) in self.lines.iter().enumerate() {
                    @let colour = COLOURS[i % COLOURS.len()];
                    @if self.filled && !line.points.is_empty() {
                        @let (first, last) = (line.points[0].0, line.points[line.points.len() - 1].0);
                        polygon fill=(colour) fill-opacity="0.2" stroke="none" points={
                            (num(to_x(first))) "," (num(to_y(0.0))) " " (path(line)) " "
                            (num(to_x(last))) "," (num(to_y(0.0)))
                        } {}
                    }
                    polyline fill="none" stroke=(colour) stroke-width="1.5" points=(path(line)) {}
                    @if !self.filled {
                        @for (x, y) in &line.points {
                            circle cx=(num(to_x(*x))) cy=(num(to_y(*y))) r="2" fill=(colour) {}
                        }
                    }
                    text x=(WIDTH - RIGHT + 10.0) y=(num(TOP + 14.0 * i as f64 + 6.0)) fill=(colour) { (line.name) }
                }
                @for (x, y, words) in &self.marks {
                    circle cx=(num(to_x(*x))) cy=(num(to_y(*y))) r="6" fill="none" stroke="#c00" stroke-width="2" {}
                    text x=(num(to_x(*x) + 9.0)) y=(num(to_y(*y) - 7.0)) fill="#c00" { (words) }
                }
            }
        }
    }
}

/// A number on an axis.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_string(),
        1e9.. => format!("{:.1}G", x / 1e9),
        1e6.. => format!("{:.1}M", x / 1e6),
        1e3.. => format!("{:.1}k", x / 1e3),
        10.0.. => format!("{x:.0}"),
        0.1.. => format!("{x:.2}"),
        0.001.. => format!("{x:.3}"),
        _ => format!("{x:.1e}"),
    }
}
