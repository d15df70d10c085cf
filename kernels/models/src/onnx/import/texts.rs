//! Values that are texts: tensors do not hold them, so nothing computes them.
//!
//! The labels of a classifier are often texts. What reads them gives what cannot be computed either, and a model is refused
//! when it is asked for: a model of which only the scores are outputs runs.

use super::*;
use crate::error::Place;

/// ONNX's number for texts.
const STRING: i32 = 8;

/// Where a text comes from.
#[derive(Debug, Clone)]
pub(super) enum Text {
    /// What an operator gives, here.
    Labels(At, Arc<str>),
    /// A tensor of the file.
    Constant(Arc<str>),
}

impl<'a> Importer<'a> {
    /// Where the text comes from that a node reads, if it does.
    pub(super) fn text_read(&self, node: &NodeProto) -> Option<Text> {
        if self.texts.is_empty() {
            return None;
        }
        node.input.iter().find_map(|name| self.texts.get(&self.find(name)?)).cloned()
    }

    /// Where the text comes from that a node gives first, though it reads none.
    pub(super) fn text_given(&self, node: &'a NodeProto) -> Option<Text> {
        let attribute = match (domain(&node.domain), node.op_type.as_str()) {
            ("ai.onnx.ml", "LabelEncoder") => "values_strings",
            ("ai.onnx.ml", "LinearClassifier" | "SVMClassifier" | "TreeEnsembleClassifier") => "classlabels_strings",
            _ => return None,
        };
        let is_given = self.find_attribute(node, attribute).is_some_and(|a| !a.strings.is_empty());
        is_given.then(|| Text::Labels(self.b.at, format!("ai.onnx.ml.{}", node.op_type).into()))
    }

    /// A value that nothing computes.
    pub(super) fn text(&mut self, text: Text) -> Operand {
        let operand = Operand::Slot(self.b.new_slot());
        self.texts.insert(operand, text);
        operand
    }

    /// All that a node gives is texts.
    pub(super) fn only_texts(&mut self, node: &'a NodeProto, text: &Text) -> Done<()> {
        let operands: Vec<Operand> = node.output.iter().map(|_| self.text(text.clone())).collect();
        self.outputs(node, &operands)
    }

    /// Whether an initialiser is one of texts, which then has its name.
    pub(super) fn is_text(&mut self, proto: &'a TensorProto) -> Done<bool> {
        if proto.data_type != STRING {
            return Ok(false);
        }
        let operand = self.text(Text::Constant(proto.name.as_str().into()));
        self.bind(&proto.name, operand)?;
        Ok(true)
    }

    /// Says that what is asked for is a text.
    pub(super) fn refuse_text<T>(&self, name: &str, text: &Text) -> Done<T> {
        let file = self.file.clone();
        match text {
            Text::Labels(at, operator) => {
                let place = Place { file, entry: self.b.entry_name(at.file), line: at.line };
                let reason = format!(
                    "{operator}: its labels are texts, which tensors do not hold, and `{name}` is made of them: export the \
                     model with whole numbers as labels (skl2onnx: and with \"zipmap\": False), or drop this output and \
                     keep the scores"
                );
                Err(ModelError::Code { place, reason })
            }
            Text::Constant(constant) => {
                let reason = format!("element type STRING is not supported, and `{name}` is made of it");
                Err(ModelError::Archive { file, entry: Some(constant.to_string()), reason })
            }
        }
    }
}
