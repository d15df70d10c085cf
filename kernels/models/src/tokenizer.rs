//! Text to ids and back, by a HuggingFace `tokenizer.json`.
//!
//! Offsets count Unicode characters of the original text. The library underneath may panic on a file whose
//! parts do not fit together; that is caught here and is an error like any other.

use std::iter::repeat_n;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tokenizers::{
    Encoding as Found, PaddingDirection, PaddingStrategy, PostProcessor, Tokenizer as Inner, TruncationDirection,
};

/// The largest tokenizer file, in bytes.
pub const MAX_FILE: u64 = 256 << 20;
/// The most tokens that a file may have rows padded to, or to a multiple of: far more than models take.
pub const MAX_PADDED: usize = 1 << 16;
/// Bytes that encoding takes for each byte of a text: measured with dots alone, which are a token each to WordPiece. Words take a third; what a
/// normalizer makes longer may take twice as much.
pub const BYTES_PER_BYTE: usize = 450;

/// A loaded tokenizer. Cheap to clone; `Send` and `Sync`.
#[derive(Clone)]
pub struct Tokenizer(Arc<Loaded>);

struct Loaded {
    file: String,
    /// Without the file's padding and truncation: both are done here, so that one text alone is never filled up, and what is cut off is
    /// not kept.
    inner: Inner,
    pad: Pad,
    /// The most tokens of a text, and on which side of a longer one they are left out.
    most: usize,
    cut: TruncationDirection,
}

/// How rows become equally long.
struct Pad {
    id: u32,
    type_id: u32,
    token: String,
    is_left: bool,
    at_least: usize,
    multiple_of: usize,
}

/// One encoded text. All lists have the same length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    pub ids: Vec<i64>,
    pub tokens: Vec<String>,
    /// Characters of the original text, end exclusive; (0, 0) for special tokens.
    pub offsets: Vec<(usize, usize)>,
    /// 1 for tokens, 0 for padding.
    pub attention_mask: Vec<i64>,
    pub type_ids: Vec<i64>,
}

/// Texts encoded together, rows of one length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    pub rows: Vec<Encoding>,
    /// Tokens in each row.
    pub length: usize,
}

impl Encoding {
    fn of(found: &Found) -> Encoding {
        let wide = |ids: &[u32]| ids.iter().map(|&id| i64::from(id)).collect();
        Encoding {
            ids: wide(found.get_ids()),
            tokens: found.get_tokens().to_vec(),
            offsets: found.get_offsets().to_vec(),
            attention_mask: wide(found.get_attention_mask()),
            type_ids: wide(found.get_type_ids()),
        }
    }
}

/// `n` more items behind those that are there, or before them.
fn fill<T: Clone>(items: &mut Vec<T>, n: usize, item: T, is_left: bool) {
    items.resize(items.len() + n, item);
    if is_left {
        items.rotate_right(n);
    }
}

impl Batch {
    /// Ids in row-major order: `[rows, length]`.
    pub fn ids(&self) -> Vec<i64> {
        self.rows.iter().flat_map(|row| row.ids.iter().copied()).collect()
    }

    /// The mask in row-major order: `[rows, length]`.
    pub fn attention_mask(&self) -> Vec<i64> {
        self.rows.iter().flat_map(|row| row.attention_mask.iter().copied()).collect()
    }
}

/// Why there is no tokenizer, or no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerError {
    pub file: String,
    pub reason: String,
}

impl std::fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}

impl std::error::Error for TokenizerError {}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn load(path: impl AsRef<Path>) -> Result<Tokenizer, TokenizerError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let fail = |reason: String| TokenizerError { file: file.clone(), reason };
        let size = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
        if size > MAX_FILE {
            return Err(fail(format!("{size} bytes, the limit is {MAX_FILE}")));
        }
        let bytes = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
        Tokenizer::from_bytes(&bytes, &file)
    }

    /// As [`Tokenizer::load`], from the bytes of the file; `name` is for errors.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Tokenizer, TokenizerError> {
        let fail = |reason: String| TokenizerError { file: name.to_string(), reason };
        if bytes.len() as u64 > MAX_FILE {
            return Err(fail(format!("{} bytes, the limit is {MAX_FILE}", bytes.len())));
        }
        // Checked on its own first: its errors say the line, and its depth limit holds for what follows.
        let mut json: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|e| fail(format!("is not valid JSON: {e}")))?;
        if json.get("model").is_none() {
            return Err(fail("is JSON, but no tokenizer: it has no `model`".into()));
        }
        let rewritten;
        let bytes = if mean_what_oniguruma_does(&mut json) {
            rewritten = serde_json::to_vec(&json).map_err(|e| fail(e.to_string()))?;
            &rewritten
        } else {
            bytes
        };
        let mut inner = guarded(|| Inner::from_bytes(bytes).map_err(|e| e.to_string()))
            .map_err(|reason| fail(format!("is not a tokenizer this library can read: {reason}")))?;
        let pad = match inner.get_padding() {
            Some(params) => Pad {
                id: params.pad_id,
                type_id: params.pad_type_id,
                token: params.pad_token.clone(),
                is_left: matches!(params.direction, PaddingDirection::Left),
                at_least: if let PaddingStrategy::Fixed(n) = params.strategy { n } else { 0 },
                multiple_of: params.pad_to_multiple_of.unwrap_or(1).max(1),
            },
            None => {
                let token = ["[PAD]", "<pad>", "<|endoftext|>", "</s>"]
                    .into_iter()
                    .find(|token| inner.token_to_id(token).is_some())
                    .unwrap_or("[PAD]");
                let id = inner.token_to_id(token).unwrap_or(0);
                Pad { id, type_id: 0, token: token.to_string(), is_left: false, at_least: 0, multiple_of: 1 }
            }
        };
        if let Some(n) = [pad.at_least, pad.multiple_of].into_iter().find(|&n| n > MAX_PADDED) {
            return Err(fail(format!("`padding` asks for rows of {n} tokens, the limit is {MAX_PADDED}")));
        }
        let (most, cut) = match inner.get_truncation() {
            Some(truncation) => (truncation.max_length, truncation.direction),
            None => (usize::MAX, TruncationDirection::Right),
        };
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| fail(e.to_string()))?;
        // A template may name special tokens that the file does not have; encoding would be the first to say so.
        guarded(|| inner.encode("", true).map_err(|e| e.to_string())).map_err(fail)?;
        Ok(Tokenizer(Arc::new(Loaded { file: name.to_string(), inner, pad, most, cut })))
    }

    /// Encodes one text; with `special_tokens`, also what the tokenizer puts around it.
    pub fn encode(&self, text: &str, special_tokens: bool) -> Result<Encoding, TokenizerError> {
        self.encode_at_most(text, special_tokens, usize::MAX)
    }

    fn encode_whole(&self, text: &str, special_tokens: bool) -> Result<Encoding, TokenizerError> {
        guarded(|| self.0.inner.encode_char_offsets(text, special_tokens).map_err(|e| e.to_string()))
            .map(|found| Encoding::of(&found))
            .map_err(|reason| self.fail(reason))
    }

    /// As [`Tokenizer::encode`], with at most `most` tokens: of a longer text some are left out, and none of those that the tokenizer
    /// puts around it.
    pub fn encode_at_most(&self, text: &str, special_tokens: bool, most: usize) -> Result<Encoding, TokenizerError> {
        let most = most.min(self.0.most);
        let whole = self.encode_whole(text, special_tokens)?;
        if whole.ids.len() <= most {
            return Ok(whole);
        }
        drop(whole);
        let inner = &self.0.inner;
        let cut = || {
            let around = match inner.get_post_processor() {
                Some(processor) if special_tokens => processor.added_tokens(false),
                _ => 0,
            };
            let room =
                most.checked_sub(around).ok_or(format!("{most} tokens have no room for the {around} around a text"))?;
            let mut text = inner.encode_char_offsets(text, false).map_err(|e| e.to_string())?;
            text.truncate(room, 0, self.0.cut);
            // What was cut off would be processed as well.
            text.take_overflowing();
            // Processed a second time its offsets would be trimmed twice.
            let mut offsets = text.get_offsets().to_vec().into_iter();
            let found = inner.post_process(text, None, special_tokens).map_err(|e| e.to_string())?;
            let mut encoding = Encoding::of(&found);
            for (to, special) in encoding.offsets.iter_mut().zip(found.get_special_tokens_mask()) {
                if *special == 0 {
                    *to = offsets.next().unwrap_or(*to);
                }
            }
            Ok(encoding)
        };
        guarded(cut).map_err(|reason| self.fail(reason))
    }

    /// Encodes texts of at most `most` tokens, and makes them equally long as the file says: on the right to the longest where it says
    /// nothing. The mask is 0 there.
    pub fn encode_batch<T: AsRef<str>>(
        &self,
        texts: &[T],
        special_tokens: bool,
        most: usize,
    ) -> Result<Batch, TokenizerError> {
        let encode = |text: &T| self.encode_at_most(text.as_ref(), special_tokens, most);
        let mut rows = texts.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let pad = &self.0.pad;
        let length = self.padded_length(rows.iter().map(|row| row.ids.len()));
        for row in &mut rows {
            let n = length - row.ids.len();
            let token = &pad.token;
            fill(&mut row.ids, n, pad.id.into(), pad.is_left);
            fill(&mut row.tokens, n, token.clone(), pad.is_left);
            fill(&mut row.offsets, n, (0, 0), pad.is_left);
            fill(&mut row.attention_mask, n, 0, pad.is_left);
            fill(&mut row.type_ids, n, pad.type_id.into(), pad.is_left);
        }
        Ok(Batch { rows, length })
    }

    /// How many tokens each row of a batch has, by the tokens of its texts.
    pub fn padded_length(&self, of_texts: impl ExactSizeIterator<Item = usize>) -> usize {
        if of_texts.len() == 0 {
            return 0;
        }
        let pad = &self.0.pad;
        of_texts.max().unwrap_or(0).max(pad.at_least).next_multiple_of(pad.multiple_of)
    }

    /// The ids of texts, which [`Tokenizer::encode_at_most`] gave, as rows of `length`, and their mask.
    pub fn padded(&self, texts: &[Vec<i64>], length: usize) -> (Vec<i64>, Vec<i64>) {
        let pad = &self.0.pad;
        let n = texts.len() * length;
        let (mut ids, mut mask) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for text in texts {
            let (before, behind) = match length - text.len() {
                n if pad.is_left => (n, 0),
                n => (0, n),
            };
            ids.extend(repeat_n(i64::from(pad.id), before));
            ids.extend_from_slice(text);
            ids.extend(repeat_n(i64::from(pad.id), behind));
            mask.extend(repeat_n(0, before).chain(repeat_n(1, text.len())).chain(repeat_n(0, behind)));
        }
        (ids, mask)
    }

    /// The text of `ids`; special tokens are left out when `skip_special_tokens`.
    pub fn decode(&self, ids: &[i64], skip_special_tokens: bool) -> Result<String, TokenizerError> {
        let n = self.vocab_size();
        let known = |&id: &u32| self.0.inner.id_to_token(id).is_some();
        let narrow = |&id: &i64| {
            let narrow = u32::try_from(id).ok().filter(known);
            narrow.ok_or_else(|| self.fail(format!("id {id} is not one of {n}")))
        };
        let ids = ids.iter().map(narrow).collect::<Result<Vec<u32>, _>>()?;
        guarded(|| self.0.inner.decode(&ids, skip_special_tokens).map_err(|e| e.to_string()))
            .map_err(|reason| self.fail(reason))
    }

    /// How many tokens there are, special ones included.
    pub fn vocab_size(&self) -> usize {
        self.0.inner.get_vocab_size(true)
    }

    pub fn token_to_id(&self, token: &str) -> Option<i64> {
        self.0.inner.token_to_id(token).map(i64::from)
    }

    pub fn id_to_token(&self, id: i64) -> Option<String> {
        u32::try_from(id).ok().and_then(|id| self.0.inner.id_to_token(id))
    }

    /// The id that pads a batch.
    pub fn pad_id(&self) -> i64 {
        self.0.pad.id.into()
    }

    /// The file this was loaded from.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    fn fail(&self, reason: String) -> TokenizerError {
        TokenizerError { file: self.0.file.clone(), reason }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({}, {} tokens)", self.0.file, self.vocab_size())
    }
}

/// The parts of a file with patterns that Oniguruma runs where the file was made. What is made without one
/// (`Whitespace`) has its own `\w` there too.
const WITH_PATTERNS: [&str; 3] = ["normalizer", "pre_tokenizer", "decoder"];

/// Spells out `\w` and `\W` in the patterns of a file: Oniguruma's word characters hold all numbers (`½`, `²`), those of the
/// library underneath digits alone. `true`: there were some.
fn mean_what_oniguruma_does(json: &mut serde_json::Value) -> bool {
    fn walk(value: &mut serde_json::Value) -> bool {
        match value {
            serde_json::Value::Object(fields) => fields.iter_mut().fold(false, |changed, (key, value)| {
                let spelt = value.as_str().filter(|_| key == "Regex").and_then(spell_words);
                match spelt {
                    Some(pattern) => {
                        *value = pattern.into();
                        true
                    }
                    None => walk(value) | changed,
                }
            }),
            serde_json::Value::Array(items) => items.iter_mut().fold(false, |changed, item| walk(item) | changed),
            _ => false,
        }
    }
    WITH_PATTERNS.iter().fold(false, |changed, part| json.get_mut(part).is_some_and(walk) | changed)
}

/// The pattern with its word characters spelt out; `None`: it has none.
fn spell_words(pattern: &str) -> Option<String> {
    const WORD: &str = r"\p{L}\p{M}\p{N}\p{Pc}";
    let (mut out, mut depth, mut found) = (String::new(), 0usize, false);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('w') if depth > 0 => {
                    found = true;
                    out.push_str(WORD);
                }
                Some(w @ ('w' | 'W')) => {
                    found = true;
                    out.push_str(if w == 'w' { "[" } else { "[^" });
                    out.push_str(WORD);
                    out.push(']');
                }
                other => {
                    out.push(c);
                    out.extend(other);
                }
            },
            _ => {
                match c {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                out.push(c);
            }
        }
    }
    found.then_some(out)
}

/// Runs `work`; a panic of the library becomes its message.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("its parts do not fit together: {}", text.unwrap_or("the library gave up")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_characters_are_spelt_out_where_they_stand_for_themselves() {
        let word = r"\p{L}\p{M}\p{N}\p{Pc}";
        let spelt = |pattern: &str| spell_words(pattern);
        assert_eq!(spelt(r"\w+|[^\w\s]+"), Some(format!(r"[{word}]+|[^{word}\s]+")));
        assert_eq!(spelt(r"\W[\W_]"), Some(format!("[^{word}][[^{word}]_]")));
        assert_eq!(spelt(r"\\w\d\[w"), None);
    }

    /// As HuggingFace's library cuts it, whose patterns Oniguruma runs.
    #[test]
    fn a_half_is_a_part_of_a_word() {
        let file = |pre: &str| {
            format!(
                r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                "pre_tokenizer": {pre}, "post_processor": null, "decoder": null,
                "model": {{"type": "WordLevel", "vocab": {{"[U]": 0, "a½": 1, ".": 2}}, "unk_token": "[U]"}}}}"#
            )
        };
        let split =
            r#"{"type": "Split", "pattern": {"Regex": "\\w+|[^\\w\\s]+"}, "behavior": "Isolated", "invert": false}"#;
        let tokenizer = Tokenizer::from_bytes(file(split).as_bytes(), "t.json").unwrap();
        assert_eq!(tokenizer.encode("a½.", false).unwrap().ids, [1, 2]);
        // Rust's, there as here.
        let tokenizer = Tokenizer::from_bytes(file(r#"{"type": "Whitespace"}"#).as_bytes(), "t.json").unwrap();
        assert_eq!(tokenizer.encode("a½.", false).unwrap().ids, [0, 0]);
    }
}
