//! A running program, live: workers, hot lines, actors, models and tasks, looked at again every second.

use crate::figures::percentile;
use crate::record;
use crate::text::{bytes, duration};
use crate::tree::{Tree, label};
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table};
use ratatui::{Frame, Terminal};
use stark_profile::model::RecordOptions;
use stark_profile::status::{State, Stats, Tasks};
use stark_profile::wire::{Answer, Request};
use stark_profile::{Profile, file, socket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Tasks that are asked for; a screen shows fewer.
const MAX_TASKS: u64 = 200;
/// How long it is sampled for one picture.
const LOOK_SECONDS: f64 = 1.0;

/// One look at the program.
struct Look {
    stats: Stats,
    tasks: Tasks,
    profile: Profile,
    at: Instant,
}

fn look(pid: u32) -> Result<Look, String> {
    // Held until the recording ends by its time.
    let (_never, stop) = mpsc::channel();
    let bytes = record::attach(pid, RecordOptions::default(), Some(LOOK_SECONDS), stop, || {})?;
    let profile = file::decode(&bytes)?;
    let stats = match socket::ask(pid, &Request::Stats)? {
        Answer::Stats(stats) => stats,
        _ => return Err(format!("process {pid} answered something else")),
    };
    let tasks = match socket::ask(pid, &Request::Tasks(MAX_TASKS))? {
        Answer::Tasks(tasks) => tasks,
        _ => return Err(format!("process {pid} answered something else")),
    };
    Ok(Look { stats, tasks, profile, at: Instant::now() })
}

/// Shows process `pid` until `q`, or until it ends.
pub fn run(pid: u32) -> Result<(), String> {
    // The first look says whether there is anything to see, before the screen is taken.
    let mut current = look(pid)?;
    let mut before: Option<Stats> = None;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        loop {
            let found = look(pid);
            let is_over = found.is_err();
            if send.send(found).is_err() || is_over {
                return;
            }
        }
    });
    let mut terminal = ratatui::try_init().map_err(|e| format!("this terminal cannot be drawn on: {e}"))?;
    let ended = loop {
        if let Err(error) = terminal.draw(|frame| draw(frame, &current, before.as_ref())) {
            break Err(format!("this terminal cannot be drawn on: {error}"));
        }
        match is_quit() {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(format!("no keys can be read: {error}")),
        }
        match receive.try_recv() {
            Ok(Ok(look)) => before = Some(std::mem::replace(&mut current, look).stats),
            Ok(Err(reason)) => break Err(reason),
            Err(_) => {}
        }
    };
    ratatui::restore();
    ended
}

/// Columns and lines of a picture that goes to no terminal.
const PICTURE: (u16, u16) = (110, 44);

/// What [`run`] shows of process `pid` after two looks, as text.
pub fn picture(pid: u32) -> Result<String, String> {
    let before = look(pid)?.stats;
    let now = look(pid)?;
    let mut terminal = Terminal::new(TestBackend::new(PICTURE.0, PICTURE.1)).map_err(|e| e.to_string())?;
    terminal.draw(|frame| draw(frame, &now, Some(&before))).map_err(|e| e.to_string())?;
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(usize::from(PICTURE.0));
    let line = |row: &[Cell]| row.iter().map(Cell::symbol).collect::<String>().trim_end().to_string() + "\n";
    Ok(rows.map(line).collect())
}

fn is_quit() -> std::io::Result<bool> {
    if !event::poll(Duration::from_millis(100))? {
        return Ok(false);
    }
    Ok(match event::read()? {
        Event::Key(key) => {
            let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        }
        _ => false,
    })
}

fn draw(frame: &mut Frame<'_>, look: &Look, before: Option<&Stats>) {
    let [head, lines, actors, models, tasks] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(look.stats.models.len().clamp(1, 5) as u16 + 3),
        Constraint::Fill(2),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(look, before)), head);
    frame.render_widget(hot_lines(&look.profile), lines);
    frame.render_widget(actor_table(&look.stats, before), actors);
    frame.render_widget(model_table(&look.stats, before), models);
    frame.render_widget(task_table(&look.tasks), tasks);
}

fn heading(look: &Look, before: Option<&Stats>) -> Vec<Line<'static>> {
    let stats = &look.stats;
    let sum = |stats: &Stats, name: &str| -> u64 {
        stats.workers.iter().flatten().filter(|(other, _)| other == name).map(|(_, n)| *n).sum()
    };
    let turns = before.map_or(0.0, |before| rate(before, stats, |s| sum(s, "runs")));
    let ticks: u64 = look.profile.samples.iter().map(|s| u64::from(s.weight)).sum();
    let possible = look.profile.info.duration_ns as f64 / 1e9
        * f64::from(look.profile.info.rate_hz)
        * f64::from(look.profile.info.n_workers.max(1));
    vec![
        Line::from(format!(
            "{} (pid {})  up {}  {} workers busy {:.0} %  {} tasks  {:.0} turns/s  tensors {}",
            stats.program,
            stats.pid,
            duration(stats.uptime_ns),
            stats.workers.len(),
            ticks as f64 / possible.max(1.0) * 100.0,
            stats.n_tasks,
            turns,
            bytes(stats.tensor_bytes)
        )),
        Line::from(format!("seen {} ago; q ends", duration(look.at.elapsed().as_nanos() as u64))),
    ]
}

/// How much a figure grew in a second.
fn rate(before: &Stats, now: &Stats, of: impl Fn(&Stats) -> u64) -> f64 {
    let seconds = now.uptime_ns.saturating_sub(before.uptime_ns) as f64 / 1e9;
    if seconds > 0.0 { of(now).saturating_sub(of(before)) as f64 / seconds } else { 0.0 }
}

fn table<'a, const N: usize>(
    title: &'a str,
    head: [&'a str; N],
    widths: [Constraint; N],
    rows: Vec<Row<'a>>,
) -> Table<'a> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    Table::new(rows, widths).header(Row::new(head).style(bold)).block(Block::bordered().title(title))
}

fn hot_lines(profile: &Profile) -> Table<'static> {
    let tree = Tree::of(profile);
    let all = tree.nodes[0].total.max(1) as f64;
    let row = |(frame, own, total): (u32, u64, u64)| {
        let share = |n: u64| format!("{:5.1} %", n as f64 / all * 100.0);
        Row::new([share(own), share(total), label(profile, frame)])
    };
    let rows = tree.lines().into_iter().take(50).map(row).collect();
    let widths = [Constraint::Length(8), Constraint::Length(8), Constraint::Fill(1)];
    table("lines, the last second", ["own", "total", "line"], widths, rows)
}

fn actor_table(stats: &Stats, before: Option<&Stats>) -> Table<'static> {
    let mut rows: Vec<(f64, Row<'static>)> = Vec::new();
    for actor in &stats.actors {
        let of = |stats: &Stats| stats.actors.iter().find(|a| a.id == actor.id).map_or(0, |a| a.requests);
        let speed = before.map_or(0.0, |before| rate(before, stats, of));
        let cells = [
            actor.name.clone(),
            format!("{speed:.0}"),
            actor.requests.to_string(),
            actor.errors.to_string(),
            actor.queued.to_string(),
            format!("{:.3}", actor.p50_ms),
            format!("{:.3}", actor.p95_ms),
            format!("{:.1}", actor.mean_batch_size),
            bytes(actor.tensor_bytes),
        ];
        rows.push((speed, Row::new(cells)));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rows = rows.into_iter().take(50).map(|(_, row)| row).collect();
    let head = ["actor", "req/s", "requests", "errors", "queued", "p50 ms", "p95 ms", "batch", "tensors"];
    let n = Constraint::Length(10);
    table("actors", head, [Constraint::Fill(1), n, n, n, n, n, n, n, n], rows)
}

fn model_table(stats: &Stats, before: Option<&Stats>) -> Table<'static> {
    let row = |model: &stark_profile::status::ModelStats| {
        let of = |stats: &Stats| stats.models.iter().find(|m| m.file == model.file).map_or(0, |m| m.calls);
        let busy = |stats: &Stats| stats.models.iter().find(|m| m.file == model.file).map_or(0, |m| m.busy_ns);
        let speed = before.map_or(0.0, |before| rate(before, stats, of));
        let busy = before.map_or(0.0, |before| rate(before, stats, busy) / 1e9 * 100.0);
        // Spread out again: at most so many values keep the shape.
        let scale = (model.calls / 10_000).max(1);
        let values: Vec<u64> = model
            .latencies
            .iter()
            .flat_map(|&(ns, n)| std::iter::repeat_n(ns, usize::try_from(n.div_ceil(scale)).unwrap_or(0).min(20_000)))
            .collect();
        Row::new([
            model.file.rsplit('/').next().unwrap_or_default().to_string(),
            model.device.clone(),
            format!("{speed:.1}"),
            format!("{busy:.0} %"),
            duration(percentile(&values, 0.5)),
            duration(percentile(&values, 0.95)),
        ])
    };
    let rows = stats.models.iter().map(row).collect();
    let n = Constraint::Length(10);
    let head = ["model", "device", "calls/s", "busy", "p50", "p95"];
    table("models", head, [Constraint::Fill(1), n, n, n, n, n], rows)
}

fn task_table(tasks: &Tasks) -> Table<'static> {
    let row = |task: &stark_profile::status::TaskStatus| {
        let state = match &task.state {
            State::Running => "runs".to_string(),
            State::Queued => "is queued".to_string(),
            State::Waits { what, on: Some(on) } => format!("waits for {what} (task {on})"),
            State::Waits { what, on: None } => format!("waits for {what}"),
        };
        let place = task.place.first().map_or(String::new(), |frame| frame.show());
        Row::new([task.id.to_string(), task.title.clone(), state, place])
    };
    let rows = tasks.tasks.iter().map(row).collect();
    let widths = [Constraint::Length(8), Constraint::Length(20), Constraint::Fill(1), Constraint::Fill(1)];
    table("tasks", ["task", "what", "state", "where"], widths, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stark_profile::status::TaskStatus;

    #[test]
    fn the_picture_shows_lines_and_tasks() {
        let waits = State::Waits { what: "a future".into(), on: Some(2) };
        let task = TaskStatus { id: 1, title: "task".into(), state: waits, place: Vec::new(), heap_bytes: 0 };
        let look = Look {
            stats: Stats { program: "a.stark".into(), n_tasks: 2, ..Stats::default() },
            tasks: Tasks { tasks: vec![task], ..Tasks::default() },
            profile: crate::tree::tests::example(),
            at: Instant::now(),
        };
        let mut terminal = Terminal::new(TestBackend::new(100, 40)).unwrap();
        terminal.draw(|frame| draw(frame, &look, None)).unwrap();
        let picture = terminal.backend().to_string();
        for words in ["a.stark", "work a.stark:3", "waits for a future (task 2)"] {
            assert!(picture.contains(words), "{words}: {picture}");
        }
        // On a screen too small for anything it draws what fits.
        let mut terminal = Terminal::new(TestBackend::new(3, 2)).unwrap();
        terminal.draw(|frame| draw(frame, &look, None)).unwrap();
    }
}
