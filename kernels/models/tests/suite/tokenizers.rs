//! Tokenizers give exactly what the HuggingFace library gave.

use crate::common::*;
use stark_models::Tokenizer;

#[test]
fn every_case_of_every_tokenizer() {
    for root in folders() {
        let folder = root.join("tokenizers");
        for name in ["topic_wordpiece", "minilm_wordpiece", "generator_bpe", "unigram"] {
            let file = folder.join(format!("{name}.json"));
            if !file.exists() {
                continue;
            }
            let tokenizer = Tokenizer::load(&file).unwrap_or_else(|e| panic!("{e}"));
            let cases = json(&folder.join(format!("{name}.cases.json")));
            let cases = cases.as_array().expect("cases");
            assert!(cases.len() >= 20, "{name}: {} cases", cases.len());
            for case in cases {
                let text = case["text"].as_str().expect("text");
                let special = case["add_special_tokens"].as_bool().expect("add_special_tokens");
                let got = tokenizer.encode(text, special).unwrap_or_else(|e| panic!("{e}"));
                let what = format!("{name}, special tokens {special}: {text:?}");
                assert_eq!(got.ids, ints(&case["ids"]), "ids of {what}");
                assert_eq!(got.tokens, texts(&case["tokens"]), "tokens of {what}");
                assert_eq!(got.attention_mask, ints(&case["attention_mask"]), "mask of {what}");
                assert_eq!(got.type_ids, ints(&case["type_ids"]), "type ids of {what}");
                let offsets: Vec<i64> = got.offsets.iter().flat_map(|&(a, b)| [a as i64, b as i64]).collect();
                let want: Vec<i64> = case["offsets"].as_array().expect("offsets").iter().flat_map(ints).collect();
                assert_eq!(offsets, want, "offsets of {what}");
                let decoded = tokenizer.decode(&got.ids, true).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(decoded, case["decoded"].as_str().expect("decoded"), "decoded {what}");
            }
        }
    }
}

#[test]
fn a_batch_is_padded_to_its_longest_row() {
    let tokenizer = Tokenizer::load(small().join("tokenizers/topic_wordpiece.json")).expect("tokenizer");
    let batch =
        tokenizer.encode_batch(&["the striker", "the young striker scored at the stadium"], true).expect("batch");
    assert_eq!(batch.rows.iter().map(|row| row.ids.len()).collect::<Vec<_>>(), [batch.length, batch.length]);
    let n_tokens: i64 = batch.rows[0].attention_mask.iter().sum();
    assert!(n_tokens < batch.length as i64);
    assert_eq!(batch.rows[0].ids.last(), Some(&tokenizer.pad_id()));
    assert_eq!(batch.ids().len(), 2 * batch.length);
    assert!(tokenizer.decode(&[-1], true).is_err());
    let empty: [&str; 0] = [];
    assert_eq!(tokenizer.encode_batch(&empty, true).expect("batch").length, 0);
}
