//! What the module `log` writes and how: settings of the process, since lines of all tasks go to one place; and the way
//! of its lines to OpenTelemetry.
//!
//! `STARK_LOG` is read when the first line is about to be written: a level, `json`, or both (`debug,json`).

use super::support::{Outcome, answers};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::observe;
use crate::value::Value;
use parking_lot::Mutex;

pub(super) const TABLE: &[NativeRow] = answers! {
    log_settings "() -> (Int, Bool)";
    log_configure "(Int, Bool) -> ()";
    log_is_kept "() -> Bool";
    log_keep "(Int, String, Map<String, String>) -> ()";
};

/// From the lowest to none at all; the number is the position.
const LEVELS: [&str; 5] = ["debug", "info", "warn", "error", "off"];
const INFO: i64 = 1;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Settings {
    level: i64,
    json: bool,
}

static SETTINGS: Mutex<Option<Settings>> = Mutex::new(None);

/// The settings that a text such as `debug,json` states.
fn parse(text: &str) -> Result<Settings, String> {
    let mut settings = Settings { level: INFO, json: false };
    for word in text.split(',').map(|w| w.trim().to_ascii_lowercase()).filter(|w| !w.is_empty()) {
        match (LEVELS.iter().position(|level| *level == word), word.as_str()) {
            (Some(level), _) => settings.level = level as i64,
            (None, "warning") => settings.level = 2,
            (None, "json") => settings.json = true,
            (None, "text") => settings.json = false,
            _ => {
                let levels = LEVELS.join(", ");
                return Err(format!("STARK_LOG: `{word}` is neither a level ({levels}) nor `json` nor `text`"));
            }
        }
    }
    Ok(settings)
}

/// The lowest level that is written, and whether as JSON. Throws for a variable that cannot be understood: a service that
/// logs nothing, or everything, would be noticed too late.
fn log_settings(cx: &NativeCx<'_>) -> Outcome {
    let mut settings = SETTINGS.lock();
    let now = match *settings {
        Some(settings) => settings,
        None => {
            let text = std::env::var("STARK_LOG").unwrap_or_default();
            *settings.insert(parse(&text).map_err(Fault::value)?)
        }
    };
    Ok(Value::fields(cx.ret_type(), [Value::int(now.level), Value::bool(now.json)]))
}

fn log_configure(cx: &NativeCx<'_>) -> Outcome {
    let level = cx.int(0);
    if !(0..LEVELS.len() as i64).contains(&level) {
        return Err(Fault::value(format!("there is no level {level}")));
    }
    *SETTINGS.lock() = Some(Settings { level, json: cx.bool(1) });
    Ok(Value::unit())
}

/// Whether lines are sent elsewhere, too.
fn log_is_kept(_: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(observe::log_is_kept()))
}

fn log_keep(cx: &NativeCx<'_>) -> Outcome {
    let level = u8::try_from(cx.int(0)).ok().filter(|&level| usize::from(level) < LEVELS.len() - 1);
    let level = level.ok_or_else(|| Fault::value(format!("there are no lines of level {}", cx.int(0))))?;
    let fields = cx.map(2).iter().map(|(name, value)| (name.str().to_string(), value.str().to_string()));
    let task = cx.task.id();
    observe::logged(task, level, cx.str(1), fields.collect());
    Ok(Value::unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_holds_a_level_a_form_or_both() {
        for (text, level, json) in [("", 1, false), ("debug", 0, false), ("json", 1, true), ("WARN, json", 2, true)] {
            assert_eq!(parse(text), Ok(Settings { level, json }), "{text}");
        }
        assert!(parse("loud").unwrap_err().starts_with("STARK_LOG: `loud` is neither a level (debug, info"));
    }
}
