//! `stark repl`: reading entries, running each, keeping what they leave.
//!
//! `split` says where an entry ends; `state` compiles and runs one; this file talks to the person or the pipe.

mod split;
mod state;

use crate::commands::{REFUSED, refuse};
use rustyline::error::ReadlineError;
use split::Wants;
use stark_project::Project;
use state::{Done, State};
use std::io::{BufRead, IsTerminal};

const HELP: &str = "\
An expression prints its value. Variables, functions, types and imports stay; a new one takes the place of an old one of its name.
A line that ends in `:` opens a block, which an empty line ends.
  :type EXPR   the type of an expression, which is not run
  :load FILE   a file as one entry
  :help        this text
  :quit        the end; so does Ctrl-D
Ctrl-C stops the entry that runs.
";

pub fn main(project: Project) -> i32 {
    let (mut state, interrupt) = match State::new(project) {
        Ok(state) => state,
        Err(message) => return refuse(message),
    };
    if std::io::stdin().is_terminal() {
        // While a line is read the terminal hands Ctrl-C to the editor instead.
        if let Err(error) = ctrlc::set_handler(move || interrupt.stop_entry()) {
            return refuse(format!("Ctrl-C cannot be handled: {error}"));
        }
        talk(&mut state)
    } else {
        script(&mut state)
    }
}

/// At a terminal, with editing and history.
fn talk(state: &mut State) -> i32 {
    let mut editor = match rustyline::DefaultEditor::new() {
        Ok(editor) => editor,
        Err(error) => return refuse(format!("the terminal cannot be used: {error}")),
    };
    println!("STARK {}; :help tells more, :quit leaves", env!("CARGO_PKG_VERSION"));
    let mut text = String::new();
    loop {
        let prompt = if text.is_empty() { "> " } else { "… " };
        match editor.readline(prompt) {
            Ok(line) => {
                let is_end = line.trim().is_empty();
                text += &line;
                text.push('\n');
                match split::wants(&text) {
                    Wants::More => continue,
                    Wants::Block if !is_end => continue,
                    Wants::Block | Wants::Nothing => {}
                }
                let entry = std::mem::take(&mut text);
                // What cannot be remembered is only not offered again.
                let _ = editor.add_history_entry(entry.trim_end());
                if let Some(status) = perform(state, &entry) {
                    return status;
                }
            }
            Err(ReadlineError::Interrupted) => text.clear(),
            Err(ReadlineError::Eof) => return 0,
            Err(error) => return refuse(format!("the terminal cannot be read: {error}")),
        }
    }
}

/// From a pipe or file: entries end where the next one begins.
fn script(state: &mut State) -> i32 {
    let mut lines = Vec::new();
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) => lines.push(line),
            Err(error) => return refuse(format!("standard input cannot be read: {error}")),
        }
    }
    for entry in split::entries(&lines) {
        if let Some(status) = perform(state, &entry) {
            return status;
        }
    }
    state.status()
}

/// `Some`: the session is over.
fn perform(state: &mut State, entry: &str) -> Option<i32> {
    let text = entry.trim();
    if text.is_empty() {
        return None;
    }
    let Some(command) = text.strip_prefix(':') else { return finish(state.run(entry)) };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    match (name, rest.trim()) {
        ("quit" | "q", "") => return Some(state.status()),
        ("help" | "h", "") => print!("{HELP}"),
        ("type" | "t", expr) if !expr.is_empty() => state.tell_type(expr),
        ("load" | "l", file) if !file.is_empty() => return finish(state.load(file)),
        ("type" | "load", _) => state.fail(&format!("`:{name}` needs something after it; `:help` tells more")),
        _ => state.fail(&format!("there is no command `:{command}`; `:help` lists them")),
    }
    None
}

fn finish(done: Done) -> Option<i32> {
    match done {
        Done::Next => None,
        Done::Exit(status) => Some(status),
        Done::Broken(message) => {
            refuse(message);
            Some(REFUSED)
        }
    }
}
