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
    // What is cut is the text's: the last token is still [SEP].
    let texts = ["the chef whisked eggs", "the"];
    let whole = tokenizer.encode_batch(&texts, true).expect("whole");
    let cut = tokenizer.encode_batch_within(&texts, true, 3).expect("cut");
    let sep = whole.rows[0].ids.last().expect("an end");
    assert_eq!(cut.rows[0].ids, [whole.rows[0].ids[0], whole.rows[0].ids[1], *sep]);
    assert_eq!(cut.rows[1].ids, whole.rows[1].ids[..3]);
    assert!(tokenizer.encode_batch_within(&texts, true, 1).is_err());
    assert_eq!(tokenizer.encode_batch_within(&texts, false, 1).expect("one").length, 1);
    let empty: [&str; 0] = [];
    assert_eq!(tokenizer.encode_batch(&empty, true).expect("batch").length, 0);
}

#[test]
fn a_batch_is_padded_on_the_side_that_the_file_says() {
    let bytes = std::fs::read(small().join("tokenizers/topic_wordpiece.json")).expect("a file");
    let mut json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    json["padding"] = serde_json::json!({
        "strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": null,
        "pad_id": 7, "pad_type_id": 0, "pad_token": "[PAD]"
    });
    let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes(), "left.json").expect("tokenizer");
    let batch = tokenizer.encode_batch(&["the", "the young striker"], true).expect("batch");
    let (row, n) = (&batch.rows[0], batch.length);
    assert_eq!((row.ids[0], row.attention_mask[0], row.attention_mask[n - 1]), (7, 0, 1));
}
