//! One file a request: from its parameters and the project to its result.

mod code_action;
mod completion;
mod definition;
pub mod diagnostics;
mod folding;
mod formatting;
mod hover;
mod inlay;
mod references;
mod rename;
mod signature;
mod symbols;
mod tokens;

use crate::position::Lines;
use crate::project::{Program, Project};
use crate::uri;
use lsp_server::{ErrorCode, Request};
use lsp_types::request::{self as r, Request as _};
use lsp_types::{Position, TextDocumentPositionParams, Uri};
use serde_json::{Value, json};
use stark_compiler::index::Index;
use stark_syntax::source::{SourceId, Span};
use std::rc::Rc;

pub struct Limits {
    pub max_files: usize,
}

/// Why there is no result.
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    /// The request is fine, and cannot be done.
    pub fn because(message: impl Into<String>) -> Refusal {
        Refusal { code: ErrorCode::RequestFailed, message: message.into() }
    }
}

pub fn capabilities() -> Value {
    json!({
        "positionEncoding": "utf-16",
        "textDocumentSync": { "openClose": true, "change": 2, "save": true },
        "hoverProvider": true,
        "definitionProvider": true,
        "typeDefinitionProvider": true,
        "referencesProvider": true,
        "documentHighlightProvider": true,
        "documentSymbolProvider": true,
        "foldingRangeProvider": true,
        "renameProvider": { "prepareProvider": true },
        "completionProvider": { "triggerCharacters": [".", ":", "@"] },
        "signatureHelpProvider": { "triggerCharacters": ["(", ","] },
        "inlayHintProvider": true,
        "documentFormattingProvider": true,
        "codeActionProvider": { "codeActionKinds": ["quickfix"] },
        "semanticTokensProvider": { "legend": tokens::legend(), "full": true },
    })
}

/// Whether an answer holds edits, which must meet the text that they were made for.
pub fn changes_text(method: &str) -> bool {
    [r::Rename::METHOD, r::Formatting::METHOD, r::CodeActionRequest::METHOD].contains(&method)
}

/// The text that a request is about.
pub fn document_of(request: &Request) -> Option<Uri> {
    let uri = request.params.get("textDocument")?.get("uri")?;
    serde_json::from_value::<Uri>(uri.clone()).ok().map(|u| uri::normal(&u))
}

pub fn answer(project: &mut Project, limits: &Limits, request: Request) -> Result<Value, Refusal> {
    match &*request.method {
        r::HoverRequest::METHOD => with::<r::HoverRequest>(request, |p| hover::hover(project, p)),
        r::GotoDefinition::METHOD => with::<r::GotoDefinition>(request, |p| definition::definition(project, p)),
        r::GotoTypeDefinition::METHOD => {
            with::<r::GotoTypeDefinition>(request, |p| definition::type_definition(project, p))
        }
        r::References::METHOD => with::<r::References>(request, |p| references::references(project, limits, p)),
        r::DocumentHighlightRequest::METHOD => {
            with::<r::DocumentHighlightRequest>(request, |p| references::highlights(project, p))
        }
        r::PrepareRenameRequest::METHOD => with::<r::PrepareRenameRequest>(request, |p| rename::prepare(project, p)),
        r::Rename::METHOD => with::<r::Rename>(request, |p| rename::rename(project, limits, p)),
        r::Completion::METHOD => with::<r::Completion>(request, |p| completion::completion(project, p)),
        r::SignatureHelpRequest::METHOD => with::<r::SignatureHelpRequest>(request, |p| signature::help(project, p)),
        r::InlayHintRequest::METHOD => with::<r::InlayHintRequest>(request, |p| inlay::hints(project, p)),
        r::CodeActionRequest::METHOD => with::<r::CodeActionRequest>(request, |p| code_action::actions(project, p)),
        r::SemanticTokensFullRequest::METHOD => {
            with::<r::SemanticTokensFullRequest>(request, |p| tokens::full(project, p))
        }
        r::DocumentSymbolRequest::METHOD => with::<r::DocumentSymbolRequest>(request, |p| symbols::symbols(project, p)),
        r::Formatting::METHOD => with::<r::Formatting>(request, |p| formatting::format(project, p)),
        r::FoldingRangeRequest::METHOD => with::<r::FoldingRangeRequest>(request, |p| folding::ranges(project, p)),
        other => Err(Refusal { code: ErrorCode::MethodNotFound, message: format!("`{other}` is not served") }),
    }
}

fn with<R: r::Request>(
    request: Request,
    run: impl FnOnce(R::Params) -> Result<R::Result, Refusal>,
) -> Result<Value, Refusal> {
    let params = serde_json::from_value(request.params).map_err(|error| Refusal {
        code: ErrorCode::InvalidParams,
        message: format!("the parameters of `{}` cannot be read: {error}", request.method),
    })?;
    let result = run(params)?;
    serde_json::to_value(result).map_err(|error| Refusal {
        code: ErrorCode::InternalError,
        message: format!("no JSON for the result: {error}"),
    })
}

/// A place in a program.
pub struct At {
    pub program: Rc<Program>,
    pub offset: u32,
}

impl At {
    pub fn index(&self) -> &Index {
        &self.program.analysis.index
    }

    pub fn source(&self) -> SourceId {
        self.program.root
    }

    pub fn text(&self) -> &str {
        self.program.sources.text(self.program.root)
    }
}

pub fn program(project: &mut Project, uri: &Uri) -> Result<Rc<Program>, Refusal> {
    let uri = uri::normal(uri);
    project.program(&uri).ok_or_else(|| Refusal::because(format!("{} cannot be read", uri.as_str())))
}

pub fn at(project: &mut Project, p: &TextDocumentPositionParams) -> Result<At, Refusal> {
    let program = program(project, &p.text_document.uri)?;
    let offset = offset_in(&program, p.position);
    Ok(At { program, offset })
}

pub fn offset_in(program: &Program, position: Position) -> u32 {
    Lines::of(program.sources.text(program.root)).offset(position)
}

/// A span of any of a program's texts, for the editor.
pub fn location(project: &Project, program: &Program, span: Span) -> Result<lsp_types::Location, Refusal> {
    let uri = project.uri_of(&program.sources, span.source).map_err(Refusal::because)?;
    let range = Lines::of(program.sources.text(span.source)).range(span);
    Ok(lsp_types::Location { uri, range })
}
