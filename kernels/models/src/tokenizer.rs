//! Text to ids and back, by a HuggingFace `tokenizer.json`.
//!
//! Offsets count Unicode characters of the original text. The library underneath may panic on a file whose
//! parts do not fit together; that is caught here and is an error like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tokenizers::{PaddingDirection, PostProcessor, Tokenizer as Inner, TruncationDirection};

/// The largest tokenizer file, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// A loaded tokenizer. Cheap to clone; `Send` and `Sync`.
#[derive(Clone)]
pub struct Tokenizer(Arc<Loaded>);

struct Loaded {
    file: String,
    inner: Inner,
    pad: Pad,
}

struct Pad {
    id: u32,
    type_id: u32,
    token: String,
    is_left: bool,
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

/// Texts encoded together, each row padded to the longest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    pub rows: Vec<Encoding>,
    /// Tokens in each row.
    pub length: usize,
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
            },
            None => {
                let token = ["[PAD]", "<pad>", "<|endoftext|>", "</s>"]
                    .into_iter()
                    .find(|token| inner.token_to_id(token).is_some())
                    .unwrap_or("[PAD]");
                let id = inner.token_to_id(token).unwrap_or(0);
                Pad { id, type_id: 0, token: token.to_string(), is_left: false }
            }
        };
        // A template may name special tokens that the file does not have; encoding would be the first to say so.
        guarded(|| inner.encode("", true).map_err(|e| e.to_string())).map_err(fail)?;
        // Padding is done here, so that one text alone never gets any.
        inner.with_padding(None);
        Ok(Tokenizer(Arc::new(Loaded { file: name.to_string(), inner, pad })))
    }

    /// Encodes one text; with `special_tokens`, also what the tokenizer puts around it.
    pub fn encode(&self, text: &str, special_tokens: bool) -> Result<Encoding, TokenizerError> {
        let encoding = guarded(|| self.0.inner.encode_char_offsets(text, special_tokens).map_err(|e| e.to_string()));
        Ok(Tokenizer::whole(encoding.map_err(|reason| self.fail(reason))?))
    }

    /// As [`Tokenizer::encode`], with at most `max_length` tokens: those of the text are cut, on the side that the file says, and the
    /// special ones stay.
    fn encode_within(&self, text: &str, special_tokens: bool, max_length: usize) -> Result<Encoding, TokenizerError> {
        let whole = self.encode(text, special_tokens)?;
        if whole.ids.len() <= max_length {
            return Ok(whole);
        }
        let inner = &self.0.inner;
        let n_special = match inner.get_post_processor() {
            Some(post) if special_tokens => post.added_tokens(false),
            _ => 0,
        };
        let Some(room) = max_length.checked_sub(n_special) else {
            return Err(self.fail(format!("{max_length} tokens are allowed, and {n_special} are special ones")));
        };
        let side = inner.get_truncation().map_or(TruncationDirection::Right, |params| params.direction);
        let cut = guarded(|| {
            let mut encoding = inner.encode_char_offsets(text, false).map_err(|e| e.to_string())?;
            encoding.truncate(room, 0, side);
            // The parts that were cut off.
            encoding.take_overflowing();
            inner.post_process(encoding, None, special_tokens).map_err(|e| e.to_string())
        });
        Ok(Tokenizer::whole(cut.map_err(|reason| self.fail(reason))?))
    }

    fn whole(encoding: tokenizers::Encoding) -> Encoding {
        let wide = |ids: &[u32]| ids.iter().map(|&id| i64::from(id)).collect();
        Encoding {
            ids: wide(encoding.get_ids()),
            tokens: encoding.get_tokens().to_vec(),
            offsets: encoding.get_offsets().to_vec(),
            attention_mask: wide(encoding.get_attention_mask()),
            type_ids: wide(encoding.get_type_ids()),
        }
    }

    /// Encodes texts and pads them to the longest, with 0 in the mask there: on the right, or where the file says.
    pub fn encode_batch<T: AsRef<str>>(&self, texts: &[T], special_tokens: bool) -> Result<Batch, TokenizerError> {
        self.encode_batch_within(texts, special_tokens, usize::MAX)
    }

    /// As [`Tokenizer::encode_batch`], with at most `max_length` tokens a text, the special ones among them.
    pub fn encode_batch_within<T: AsRef<str>>(
        &self,
        texts: &[T],
        special_tokens: bool,
        max_length: usize,
    ) -> Result<Batch, TokenizerError> {
        let encode = |text: &T| self.encode_within(text.as_ref(), special_tokens, max_length);
        let mut rows = texts.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let length = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let pad = &self.0.pad;
        for row in &mut rows {
            let n_missing = length - row.ids.len();
            row.ids.resize(length, pad.id.into());
            row.tokens.resize(length, pad.token.clone());
            row.offsets.resize(length, (0, 0));
            row.attention_mask.resize(length, 0);
            row.type_ids.resize(length, pad.type_id.into());
            if pad.is_left {
                row.ids.rotate_right(n_missing);
                row.tokens.rotate_right(n_missing);
                row.offsets.rotate_right(n_missing);
                row.attention_mask.rotate_right(n_missing);
                row.type_ids.rotate_right(n_missing);
            }
        }
        Ok(Batch { rows, length })
    }

    /// The text of `ids`; special tokens are left out when `skip_special_tokens`.
    pub fn decode(&self, ids: &[i64], skip_special_tokens: bool) -> Result<String, TokenizerError> {
        let n = self.vocab_size();
        let narrow = |&id: &i64| u32::try_from(id).map_err(|_| self.fail(format!("id {id} is not one of {n}")));
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
