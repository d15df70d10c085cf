//! Where a name is used: in this file, and in the editor's other files.

use super::{At, Limits, Refusal, at, location};
use crate::position::Lines;
use crate::project::{Program, Project};
use lsp_types::{DocumentHighlight, DocumentHighlightKind, DocumentHighlightParams, Location, ReferenceParams};
use stark_compiler::index::{Entity, EntityKind};
use stark_syntax::source::{SourceId, Span};
use std::collections::BTreeMap;
use std::rc::Rc;

pub fn references(
    project: &mut Project,
    limits: &Limits,
    p: ReferenceParams,
) -> Result<Option<Vec<Location>>, Refusal> {
    let at = at(project, &p.text_document_position)?;
    let Some((_, entity)) = at.index().entity_at(at.source(), at.offset) else { return Ok(None) };
    let found = everywhere(project, limits, &at, entity)?;
    let mut out: Vec<Location> = found.uses.into_values().map(|(l, _)| l).collect();
    if p.context.include_declaration {
        out.extend(found.declarations.into_values().map(|(l, _)| l).filter(|l| !out.contains(l)).collect::<Vec<_>>());
    }
    Ok(Some(out))
}

pub fn highlights(
    project: &mut Project,
    p: DocumentHighlightParams,
) -> Result<Option<Vec<DocumentHighlight>>, Refusal> {
    let at = at(project, &p.text_document_position_params)?;
    let index = at.index();
    let Some((_, entity)) = index.entity_at(at.source(), at.offset) else { return Ok(None) };
    let family = index.family(entity);
    let lines = Lines::of(at.text());
    let mut spans: Vec<Span> = index.uses_of(&family).collect();
    spans.extend(family.iter().map(|e| index.place(*e)).filter(|s| s.start < s.end));
    spans.retain(|s| s.source == at.source());
    spans.sort();
    spans.dedup();
    let highlight = |s: Span| DocumentHighlight { range: lines.range(s), kind: Some(DocumentHighlightKind::TEXT) };
    Ok(Some(spans.into_iter().map(highlight).collect()))
}

/// Places in all files, each with the text that stands there.
#[derive(Default)]
pub struct Everywhere {
    pub declarations: BTreeMap<(String, u32), (Location, String)>,
    pub uses: BTreeMap<(String, u32), (Location, String)>,
    /// The programs that were looked at and name it, each with how often.
    pub programs: Vec<(Rc<Program>, usize)>,
}

/// A place that means the same in every program: the path and where the name begins.
fn key_of(program: &Program, at: Span) -> (String, u32) {
    (program.sources.path(at.source).to_string(), at.start)
}

pub fn everywhere(project: &mut Project, limits: &Limits, at: &At, entity: Entity) -> Result<Everywhere, Refusal> {
    let index = at.index();
    let declared: Vec<(String, u32)> =
        index.family(entity).iter().map(|e| key_of(&at.program, index.place(*e))).collect();
    let mut out = Everywhere::default();
    collect(project, &at.program, &declared, &mut out)?;
    let stays = matches!(entity, Entity::Local(_)) && index.kind_of(entity) == EntityKind::Variable;
    if stays {
        return Ok(out);
    }
    let name = index.name_of(entity);
    let name = name.rsplit('.').next().unwrap_or(&name).to_string();
    for uri in project.files(limits.max_files) {
        let may_name = project.text(&uri).is_some_and(|text| text.contains(&name));
        if may_name && let Some(program) = project.program(&uri) {
            collect(project, &program, &declared, &mut out)?;
        }
    }
    Ok(out)
}

fn collect(
    project: &Project,
    program: &Rc<Program>,
    declared: &[(String, u32)],
    out: &mut Everywhere,
) -> Result<(), Refusal> {
    let index = &program.analysis.index;
    let sources = &program.sources;
    let mut entities = Vec::new();
    for (path, start) in declared {
        let source = (0..).map(SourceId).take_while(|s| sources.get(*s).is_some()).find(|s| sources.path(*s) == path);
        let Some(source) = source else { continue };
        if let Some((_, entity)) = index.entity_at(source, *start) {
            entities.extend(index.family(entity));
        }
    }
    entities.sort();
    entities.dedup();
    let add = |map: &mut BTreeMap<_, _>, span: Span| -> Result<(), Refusal> {
        let place = (location(project, program, span)?, sources.slice(span).to_string());
        map.insert(key_of(program, span), place);
        Ok(())
    };
    let mut n_uses = 0;
    for entity in &entities {
        let place = index.place(*entity);
        if place.start < place.end {
            add(&mut out.declarations, place)?;
        }
    }
    for span in index.uses_of(&entities) {
        if !index.is_std(span.source) {
            n_uses += 1;
            add(&mut out.uses, span)?;
        }
    }
    if !entities.is_empty() && !out.programs.iter().any(|(p, _)| Rc::ptr_eq(p, program)) {
        out.programs.push((program.clone(), n_uses));
    }
    Ok(())
}
