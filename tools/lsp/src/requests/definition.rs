//! Where a name, or the type of what it names, is declared.

use super::{At, Refusal, at, location};
use crate::project::Project;
use lsp_types::{GotoDefinitionParams, GotoDefinitionResponse};
use stark_compiler::hir::Ty;
use stark_compiler::index::Entity;
use stark_syntax::source::Span;

pub fn definition(project: &mut Project, p: GotoDefinitionParams) -> Result<Option<GotoDefinitionResponse>, Refusal> {
    let at = at(project, &p.text_document_position_params)?;
    let Some((_, entity)) = at.index().entity_at(at.source(), at.offset) else { return Ok(None) };
    answer(project, &at, entity)
}

pub fn type_definition(
    project: &mut Project,
    p: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>, Refusal> {
    let at = at(project, &p.text_document_position_params)?;
    let index = at.index();
    let ty = match index.entity_at(at.source(), at.offset) {
        Some((_, Entity::Local(declared))) => index.local(declared).map(|l| &l.ty),
        Some((span, _)) => index.type_around(span),
        None => index.type_at(at.source(), at.offset).map(|(_, ty)| ty),
    };
    match ty {
        Some(Ty::Adt(id, _)) => answer(project, &at, Entity::Adt(*id)),
        Some(Ty::Dyn(id, _)) => answer(project, &at, Entity::Trait(*id)),
        _ => Ok(None),
    }
}

fn answer(project: &Project, at: &At, entity: Entity) -> Result<Option<GotoDefinitionResponse>, Refusal> {
    let place = at.index().place(entity);
    if place == Span::default() {
        return Ok(None);
    }
    Ok(Some(GotoDefinitionResponse::Scalar(location(project, &at.program, place)?)))
}
