//! The conversation with one editor, from `initialize` to `exit`.

use crate::project::{Document, Project, ReadModel};
use crate::requests;
use crate::transport;
use crate::uri;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{self, Notification as _};
use lsp_types::{
    Diagnostic, DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, InitializeParams,
    LogMessageParams, MessageType, PublishDiagnosticsParams, Uri,
};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub struct Options {
    /// Largest message that is read, in bytes.
    pub max_message: u64,
    /// How long a text must be left alone before its diagnostics are sent.
    pub debounce: Duration,
    /// How many files are looked through for references.
    pub max_files: usize,
    pub read_model: ReadModel,
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// `shutdown`, then `exit`.
    Properly,
    /// `exit`, or the end of the input, without `shutdown`.
    WithoutShutdown,
}

/// The checker descends into nested expressions as deep as the parser allows.
const STACK: usize = 256 << 20;

/// Serves the editor at the other end of standard input and output.
pub fn run(options: Options) -> Result<Ended, String> {
    let transport = transport::stdio(options.max_message);
    let (sender, receiver) = (transport.sender.clone(), transport.receiver.clone());
    let work = std::thread::Builder::new().name("stark-lsp".into()).stack_size(STACK).spawn(move || {
        let connection = lsp_server::Connection { sender, receiver };
        converse(&connection, options)
    });
    let work = work.map_err(|e| format!("cannot start a thread: {e}"))?;
    let ended = work.join().unwrap_or_else(|_| Err("the server ended in a panic".to_string()));
    // After `exit` the reader may still wait for input that never comes.
    let read_to_end = !matches!(ended, Ok(Ended::Properly));
    transport.finish(read_to_end)?;
    ended
}

fn converse(connection: &lsp_server::Connection, options: Options) -> Result<Ended, String> {
    let Ok((id, params)) = connection.initialize_start() else { return Ok(Ended::WithoutShutdown) };
    let params: InitializeParams = match serde_json::from_value(params) {
        Ok(params) => params,
        Err(error) => {
            let message = format!("the parameters of `initialize` cannot be read: {error}");
            let refusal = Response::new_err(id, ErrorCode::InvalidParams as i32, message.clone());
            let _ = connection.sender.send(refusal.into());
            return Err(message);
        }
    };
    let result = serde_json::json!({
        "capabilities": requests::capabilities(),
        "serverInfo": { "name": "stark", "version": env!("CARGO_PKG_VERSION") },
    });
    if connection.initialize_finish(id, result).is_err() {
        return Ok(Ended::WithoutShutdown);
    }
    let project = Project::new(folders(&params), options.read_model);
    let server = Server {
        sender: connection.sender.clone(),
        receiver: connection.receiver.clone(),
        options,
        project,
        queue: VecDeque::new(),
        look_at: None,
        found: HashMap::new(),
        published: BTreeMap::new(),
        is_shut_down: false,
    };
    server.serve()
}

fn folders(params: &InitializeParams) -> Vec<std::path::PathBuf> {
    let named = params.workspace_folders.iter().flatten().map(|f| &f.uri);
    let folders: Vec<_> = named.filter_map(uri::to_path).collect();
    #[expect(deprecated, reason = "older editors send nothing else")]
    let root = params.root_uri.as_ref().and_then(uri::to_path);
    if folders.is_empty() { root.into_iter().collect() } else { folders }
}

/// A request that waits, with the version of its text when it arrived.
struct Waiting {
    request: Request,
    version: Option<i32>,
}

struct Server {
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    options: Options,
    project: Project,
    queue: VecDeque<Waiting>,
    /// When the texts have been left alone for long enough.
    look_at: Option<Instant>,
    /// What the program of each open text says of which files, with the analysis that said it.
    found: HashMap<Uri, (Option<u64>, Vec<(Uri, Diagnostic)>)>,
    /// What the editor shows.
    published: BTreeMap<String, (Uri, Vec<Diagnostic>)>,
    is_shut_down: bool,
}

impl Server {
    fn serve(mut self) -> Result<Ended, String> {
        loop {
            match self.next_message() {
                Ok(Some(message)) => {
                    if let Some(ended) = self.take_in(message) {
                        return Ok(ended);
                    }
                    continue;
                }
                Ok(None) => {}
                Err(()) => return Ok(Ended::WithoutShutdown),
            }
            if let Some(waiting) = self.queue.pop_front() {
                self.answer(waiting);
            } else if self.look_at.is_some_and(|at| at <= Instant::now()) {
                self.look_at_one();
            }
        }
    }

    /// Waits only when there is nothing to do. `Err` at the end of the input.
    fn next_message(&self) -> Result<Option<Message>, ()> {
        if !self.queue.is_empty() {
            return match self.receiver.try_recv() {
                Ok(message) => Ok(Some(message)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => Err(()),
            };
        }
        let Some(at) = self.look_at else { return self.receiver.recv().map(Some).map_err(|_| ()) };
        match self.receiver.recv_deadline(at) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        }
    }

    fn take_in(&mut self, message: Message) -> Option<Ended> {
        match message {
            Message::Request(request) if request.method == "shutdown" => {
                self.is_shut_down = true;
                self.send(Response::new_ok(request.id, ()));
            }
            Message::Request(request) if self.is_shut_down => {
                self.refuse(request.id, ErrorCode::InvalidRequest, "the server is shut down".to_string());
            }
            Message::Request(request) => {
                let version = requests::document_of(&request).and_then(|u| self.project.documents.get(&u));
                self.queue.push_back(Waiting { version: version.map(|d| d.version), request });
            }
            Message::Notification(n) if n.method == "exit" => {
                return Some(if self.is_shut_down { Ended::Properly } else { Ended::WithoutShutdown });
            }
            Message::Notification(n) => self.notified(n),
            Message::Response(_) => {}
        }
        None
    }

    fn notified(&mut self, n: Notification) {
        match &*n.method {
            notification::DidOpenTextDocument::METHOD => {
                if let Some(p) = self.read_params::<DidOpenTextDocumentParams>(n) {
                    let document = Document { text: p.text_document.text.into(), version: p.text_document.version };
                    self.set(uri::normal(&p.text_document.uri), Some(document));
                }
            }
            notification::DidChangeTextDocument::METHOD => {
                if let Some(p) = self.read_params::<DidChangeTextDocumentParams>(n) {
                    self.edit(p);
                }
            }
            notification::DidCloseTextDocument::METHOD => {
                if let Some(p) = self.read_params::<DidCloseTextDocumentParams>(n) {
                    self.set(uri::normal(&p.text_document.uri), None);
                }
            }
            notification::DidChangeWatchedFiles::METHOD | notification::DidSaveTextDocument::METHOD => {
                self.project.files_changed();
                self.look_later();
            }
            notification::Cancel::METHOD => {
                let Some(p) = self.read_params::<lsp_types::CancelParams>(n) else { return };
                let id = match p.id {
                    lsp_types::NumberOrString::Number(n) => RequestId::from(n),
                    lsp_types::NumberOrString::String(s) => RequestId::from(s),
                };
                if let Some(at) = self.queue.iter().position(|w| w.request.id == id) {
                    self.queue.remove(at);
                    self.refuse(id, ErrorCode::RequestCanceled, "cancelled".to_string());
                }
            }
            _ => {}
        }
    }

    fn read_params<P: DeserializeOwned>(&self, n: Notification) -> Option<P> {
        match serde_json::from_value(n.params) {
            Ok(params) => Some(params),
            Err(error) => {
                self.log(format!("the parameters of `{}` cannot be read: {error}", n.method));
                None
            }
        }
    }

    fn set(&mut self, uri: Uri, document: Option<Document>) {
        match document {
            Some(document) => drop(self.project.documents.insert(uri.clone(), document)),
            None => {
                self.project.documents.remove(&uri);
                self.found.remove(&uri);
                self.publish();
            }
        }
        self.project.changed(&uri);
        self.look_later();
    }

    fn edit(&mut self, p: DidChangeTextDocumentParams) {
        let uri = uri::normal(&p.text_document.uri);
        let Some(document) = self.project.documents.get(&uri) else {
            return self.log(format!("a change of {}, which is not open", uri.as_str()));
        };
        let mut text = document.text.to_string();
        for change in p.content_changes {
            match change.range {
                None => text = change.text,
                Some(range) => {
                    let lines = crate::position::Lines::of(&text);
                    let (from, to) = (lines.offset(range.start) as usize, lines.offset(range.end) as usize);
                    text.replace_range(from..to.max(from), &change.text);
                }
            }
        }
        self.set(uri, Some(Document { text: text.into(), version: p.text_document.version }));
    }

    fn look_later(&mut self) {
        self.look_at = Some(Instant::now() + self.options.debounce);
    }

    /// Sends the diagnostics of one text that has changed; the others wait for what has arrived meanwhile.
    fn look_at_one(&mut self) {
        let open = self.project.documents.keys();
        let is_old = |u: &&Uri| {
            let told = self.found.get(u).and_then(|(serial, _)| *serial);
            told.is_none() || told != self.project.current(u)
        };
        let Some(uri) = open.filter(is_old).min().cloned() else {
            self.look_at = None;
            return;
        };
        let found = catch_unwind(AssertUnwindSafe(|| requests::diagnostics::of(&mut self.project, &uri)));
        let found = found.unwrap_or_else(|_| {
            self.log(format!("the check of {} ended in a panic; its diagnostics are missing", uri.as_str()));
            // Not tried again until the text changes.
            self.look_at = None;
            Vec::new()
        });
        self.found.insert(uri.clone(), (self.project.current(&uri), found));
        self.publish();
    }

    /// Tells the editor what is different for a file, by all programs that it is part of.
    fn publish(&mut self) {
        let mut now: BTreeMap<String, (Uri, Vec<Diagnostic>)> = BTreeMap::new();
        let mut roots: Vec<_> = self.found.iter().collect();
        roots.sort_by_key(|(root, _)| root.as_str());
        for uri in self.project.documents.keys() {
            now.insert(uri.to_string(), (uri.clone(), Vec::new()));
        }
        for (root, (_, found)) in roots {
            for (uri, diagnostic) in found {
                // An open text speaks for itself.
                if uri != root && self.project.documents.contains_key(uri) {
                    continue;
                }
                let (_, list) = now.entry(uri.to_string()).or_insert_with(|| (uri.clone(), Vec::new()));
                if !list.contains(diagnostic) {
                    list.push(diagnostic.clone());
                }
            }
        }
        for (key, (uri, list)) in &now {
            let shown = self.published.get(key).map(|(_, l)| l);
            let is_checked = self.found.contains_key(uri) || !list.is_empty();
            if is_checked && shown != Some(list) {
                self.send_diagnostics(uri, list.clone());
            }
        }
        for (key, (uri, list)) in &self.published {
            if !now.contains_key(key) && !list.is_empty() {
                self.send_diagnostics(uri, Vec::new());
            }
        }
        now.retain(|_, (uri, list)| self.found.contains_key(uri) || !list.is_empty());
        self.published = now;
    }

    fn send_diagnostics(&self, uri: &Uri, diagnostics: Vec<Diagnostic>) {
        let version = self.project.documents.get(uri).map(|d| d.version);
        let params = PublishDiagnosticsParams { uri: uri.clone(), diagnostics, version };
        self.notify::<notification::PublishDiagnostics>(params);
    }

    fn answer(&mut self, waiting: Waiting) {
        let Waiting { request, version } = waiting;
        let id = request.id.clone();
        let now = requests::document_of(&request).and_then(|u| self.project.documents.get(&u)).map(|d| d.version);
        if now != version && requests::changes_text(&request.method) {
            return self.refuse(id, ErrorCode::ContentModified, "the text has changed since".to_string());
        }
        let method = request.method.clone();
        let limits = requests::Limits { max_files: self.options.max_files };
        let answer = catch_unwind(AssertUnwindSafe(|| requests::answer(&mut self.project, &limits, request)));
        match answer {
            Ok(Ok(value)) => self.send(Response::new_ok(id, value)),
            Ok(Err(refusal)) => self.refuse(id, refusal.code, refusal.message),
            Err(_) => self.refuse(id, ErrorCode::InternalError, format!("`{method}` ended in a panic")),
        }
    }

    fn refuse(&self, id: RequestId, code: ErrorCode, message: String) {
        self.send(Response::new_err(id, code as i32, message));
    }

    fn log(&self, message: String) {
        self.notify::<notification::LogMessage>(LogMessageParams { typ: MessageType::WARNING, message });
    }

    fn notify<N: notification::Notification>(&self, params: N::Params) {
        self.send(Notification::new(N::METHOD.to_string(), params));
    }

    fn send(&self, message: impl Into<Message>) {
        // A client that is gone is seen at the end of the input.
        let _ = self.sender.send(message.into());
    }
}
