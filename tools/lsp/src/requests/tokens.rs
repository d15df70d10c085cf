//! Colours by meaning: what each name is, which the grammar of an editor cannot tell.

use super::{Refusal, program};
use crate::position::Lines;
use crate::project::Project;
use lsp_types::{SemanticToken, SemanticTokenType, SemanticTokens, SemanticTokensParams, SemanticTokensResult};
use stark_compiler::index::{Entity, EntityKind};
use stark_syntax::source::Span;
use std::collections::BTreeMap;

const TYPES: &[SemanticTokenType] = &[
    SemanticTokenType::VARIABLE,
    SemanticTokenType::PARAMETER,
    SemanticTokenType::FUNCTION,
    SemanticTokenType::METHOD,
    SemanticTokenType::STRUCT,
    SemanticTokenType::ENUM,
    SemanticTokenType::CLASS,
    SemanticTokenType::INTERFACE,
    SemanticTokenType::NAMESPACE,
    SemanticTokenType::PROPERTY,
    SemanticTokenType::ENUM_MEMBER,
];

const DECLARATION: u32 = 1;
const READONLY: u32 = 2;
const DEFAULT_LIBRARY: u32 = 4;

pub fn legend() -> serde_json::Value {
    let types: Vec<&str> = TYPES.iter().map(SemanticTokenType::as_str).collect();
    serde_json::json!({ "tokenTypes": types, "tokenModifiers": ["declaration", "readonly", "defaultLibrary"] })
}

pub fn full(project: &mut Project, p: SemanticTokensParams) -> Result<Option<SemanticTokensResult>, Refusal> {
    let program = program(project, &p.text_document.uri)?;
    let index = &program.analysis.index;
    let mut spans: BTreeMap<Span, (Entity, u32)> = BTreeMap::new();
    for entity in index.entities() {
        let place = index.place(entity);
        if place.source == program.root && place.start < place.end {
            spans.entry(place).or_insert((entity, DECLARATION));
        }
    }
    for (at, _) in index.locals_in(program.root) {
        spans.insert(at, (Entity::Local(at), DECLARATION));
    }
    for (at, entity) in index.uses_in(program.root) {
        spans.entry(*at).or_insert((*entity, 0));
    }
    let text = program.sources.text(program.root);
    let lines = Lines::of(text);
    let mut data = Vec::new();
    let (mut line, mut column, mut end) = (0, 0, 0);
    for (at, (entity, modifiers)) in spans {
        let shown = program.sources.slice(at);
        // `self` and a temporary's place are no names.
        let is_name = shown.chars().all(|c| c == '_' || c == '.' || c.is_alphanumeric());
        if at.start < end || !is_name || shown == "self" || shown.contains('.') {
            continue;
        }
        end = at.end;
        let position = lines.position(at.start);
        let delta_line = position.line - line;
        let delta_start = if delta_line == 0 { position.character - column } else { position.character };
        (line, column) = (position.line, position.character);
        let of_std = index.is_std(index.place(entity).source);
        let fixed = match entity {
            Entity::Local(declared) => index.local(declared).is_some_and(|l| !l.mutable),
            Entity::Const(_) => true,
            _ => false,
        };
        let readonly = if fixed { READONLY } else { 0 };
        let library = if of_std { DEFAULT_LIBRARY } else { 0 };
        data.push(SemanticToken {
            delta_line,
            delta_start,
            length: shown.encode_utf16().count() as u32,
            token_type: type_of(index.kind_of(entity)),
            token_modifiers_bitset: modifiers | readonly | library,
        });
    }
    Ok(Some(SemanticTokensResult::Tokens(SemanticTokens { result_id: None, data })))
}

fn type_of(kind: EntityKind) -> u32 {
    let wanted = match kind {
        EntityKind::Variable | EntityKind::Constant | EntityKind::Zone => SemanticTokenType::VARIABLE,
        EntityKind::Parameter => SemanticTokenType::PARAMETER,
        EntityKind::Function => SemanticTokenType::FUNCTION,
        EntityKind::Method | EntityKind::Handler => SemanticTokenType::METHOD,
        EntityKind::Struct | EntityKind::Opaque | EntityKind::Alias => SemanticTokenType::STRUCT,
        EntityKind::Enum => SemanticTokenType::ENUM,
        EntityKind::Actor => SemanticTokenType::CLASS,
        EntityKind::Trait => SemanticTokenType::INTERFACE,
        EntityKind::Module => SemanticTokenType::NAMESPACE,
        EntityKind::Field => SemanticTokenType::PROPERTY,
        EntityKind::Variant => SemanticTokenType::ENUM_MEMBER,
    };
    TYPES.iter().position(|t| *t == wanted).unwrap_or(0) as u32
}
