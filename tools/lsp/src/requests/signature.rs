//! The parameters of the call that is being written.

use super::hover::markdown;
use super::{Refusal, at};
use crate::project::Project;
use crate::scope;
use lsp_types::{
    Documentation, MarkupContent, MarkupKind, ParameterInformation, ParameterLabel, SignatureHelp, SignatureHelpParams,
    SignatureInformation,
};
use stark_compiler::index::{Entity, Signature};

pub fn help(project: &mut Project, p: SignatureHelpParams) -> Result<Option<SignatureHelp>, Refusal> {
    let at = at(project, &p.text_document_position_params)?;
    let Some(call) = scope::open_call(at.text(), at.offset) else { return Ok(None) };
    let index = at.index();
    let Some((_, entity)) = index.entity_at(at.source(), call.callee) else { return Ok(None) };
    let overloads = index.overloads(entity);
    let entities = if overloads.is_empty() { vec![entity] } else { overloads.into_iter().map(Entity::Fn).collect() };
    let signatures: Vec<Signature> = entities.iter().filter_map(|e| index.signature(*e, &at.program.sources)).collect();
    if signatures.is_empty() {
        return Ok(None);
    }
    let argument = |s: &Signature| match &call.name {
        Some(name) => s.params.iter().position(|p| *p.name == **name),
        None => Some(call.argument).filter(|n| *n < s.params.len()),
    };
    let chosen = entities.iter().position(|e| *e == entity).unwrap_or(0);
    let fits = |i: &usize| argument(&signatures[*i]).is_some() || signatures[*i].params.len() >= call.argument;
    let active = Some(chosen).filter(fits).or_else(|| (0..signatures.len()).find(fits)).unwrap_or(0);
    Ok(Some(SignatureHelp {
        active_signature: Some(active as u32),
        active_parameter: signatures.get(active).and_then(argument).map(|n| n as u32),
        signatures: signatures.iter().map(|s| information(s, argument(s))).collect(),
    }))
}

fn information(s: &Signature, active: Option<usize>) -> SignatureInformation {
    let units = |text: &str| text.encode_utf16().count() as u32;
    let mut from = s.label.find('(').map_or(0, |i| i + 1);
    let mut parameters = Vec::new();
    for p in &s.params {
        let start = units(&s.label[..from]);
        parameters.push(ParameterInformation {
            label: ParameterLabel::LabelOffsets([start, start + units(&p.text)]),
            documentation: None,
        });
        from += p.text.len() + ", ".len();
        from = from.min(s.label.len());
    }
    let prose =
        |d: &String| Documentation::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value: markdown(d) });
    SignatureInformation {
        label: s.label.clone(),
        documentation: s.doc.as_ref().map(prose),
        parameters: Some(parameters),
        active_parameter: active.map(|n| n as u32),
    }
}
