//! What tensors may hold.

use crate::hir::*;
use crate::session::Checker;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;

const ELEMENTS: &str = "`Float16 BFloat16 Float32 Float64 Int8 UInt8 Int16 Int32 Int64 Bool`";

impl Checker<'_> {
    /// Reports what no tensor has as its elements, now or when it is known. Whether it may be one.
    pub fn require_element(&mut self, ty: &Ty, span: Span) -> bool {
        let ty = self.infer.shallow(ty);
        let is_one = match &ty {
            Ty::Infer(_) => {
                self.f.elements.push((ty.clone(), span));
                true
            }
            Ty::Param(..) | Ty::Error | Ty::Never => true,
            known => crate::codegen::elem(known).is_some(),
        };
        if !is_one && !self.reports_inside(span) {
            let shown = self.show(&ty);
            let mut help = format!("the elements of a tensor are {ELEMENTS}");
            if !matches!(ty, Ty::Num(_)) {
                help += &format!("; a `Vec<{shown}>` holds others");
            }
            let title = format!("no tensor has elements of type `{shown}`");
            self.report(
                Diagnostic::error(codes::TYPE_MISMATCH, title, span, format!("a `Tensor<{shown}>`")).help(help),
            );
        }
        is_one
    }

    /// Asks the elements whose types waited. What nothing has decided is open, or has been told.
    pub fn settle_elements(&mut self) {
        for (ty, span) in std::mem::take(&mut self.f.elements) {
            if !matches!(self.infer.shallow(&ty), Ty::Infer(_)) && self.infer.shallow(&ty) != Ty::Unit {
                self.require_element(&ty, span);
            }
        }
    }
}

/// Whether a type has tensors whose elements are type parameter `i`.
pub fn has_elements(ty: &Ty, i: u32) -> bool {
    match ty {
        Ty::Tensor(TensorTy { elem: Some(elem), .. }) => matches!(**elem, Ty::Param(j, _) if i == j),
        Ty::Tuple(ts) | Ty::Adt(_, ts) => ts.iter().any(|t| has_elements(t, i)),
        Ty::Fn(ps, r) => ps.iter().any(|t| has_elements(t, i)) || has_elements(r, i),
        _ => false,
    }
}
