//! Tokenizers give exactly what the HuggingFace library gave.

use crate::common::*;
use stark_models::Tokenizer;
use stark_models::tokenizer::MAX_PADDED;

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
    let batch = tokenizer
        .encode_batch(&["the striker", "the young striker scored at the stadium"], true, usize::MAX)
        .expect("batch");
    assert_eq!(batch.rows.iter().map(|row| row.ids.len()).collect::<Vec<_>>(), [batch.length, batch.length]);
    let n_tokens: i64 = batch.rows[0].attention_mask.iter().sum();
    assert!(n_tokens < batch.length as i64);
    assert_eq!(batch.rows[0].ids.last(), Some(&tokenizer.pad_id()));
    assert_eq!(batch.ids().len(), 2 * batch.length);
    let n = tokenizer.vocab_size();
    for id in [-1, n as i64, 999_999, 1 << 40] {
        let error = tokenizer.decode(&[5, id], true).expect_err("no such token");
        assert_eq!(error.reason, format!("id {id} is not one of {n}"));
    }
    assert!(tokenizer.decode(&[n as i64 - 1], false).is_ok());
    let empty: [&str; 0] = [];
    assert_eq!(tokenizer.encode_batch(&empty, true, usize::MAX).expect("batch").length, 0);
}

/// What HuggingFace gives with `enable_truncation`.
#[test]
fn a_text_that_is_too_long_keeps_what_stands_around_it() {
    let tokenizer = Tokenizer::load(small().join("tokenizers/topic_wordpiece.json")).expect("tokenizer");
    let text = "the chef whisked eggs, cream and sugar in a bowl";
    let whole = tokenizer.encode(text, true).expect("encoded");
    let cut = tokenizer.encode_at_most(text, true, 3).expect("encoded");
    assert_eq!((cut.ids.as_slice(), cut.ids[2]), (&[whole.ids[0], whole.ids[1], *whole.ids.last().unwrap()][..], 3));
    assert_eq!(cut.offsets, [(0, 0), whole.offsets[1], (0, 0)]);
    assert_eq!(tokenizer.encode_at_most(text, true, whole.ids.len()).expect("encoded"), whole);
    assert_eq!(tokenizer.encode_at_most(text, false, 1).expect("encoded").ids, [whole.ids[1]]);
    let error = tokenizer.encode_at_most(text, true, 1).expect_err("no room");
    assert!(error.reason.contains("1 tokens have no room for the 2 around a text"), "{error}");
    let batch = tokenizer.encode_batch(&[text, "the"], true, 3).expect("encoded");
    assert_eq!((batch.length, batch.rows[0].ids == cut.ids, batch.attention_mask()), (3, true, vec![1; 6]));
}

#[test]
fn rows_are_filled_up_as_the_file_says() {
    let path = small().join("tokenizers/topic_wordpiece.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("json");
    let mut rows = |strategy: serde_json::Value, multiple: serde_json::Value| {
        json["padding"] = serde_json::json!({
            "strategy": strategy, "direction": "Left", "pad_to_multiple_of": multiple, "pad_id": 7, "pad_type_id": 0, "pad_token": "[PAD]"
        });
        let bytes = serde_json::to_vec(&json).expect("json");
        let tokenizer = Tokenizer::from_bytes(&bytes, "left.json").expect("tokenizer");
        let batch = tokenizer.encode_batch(&["the", "the chef"], true, usize::MAX).expect("encoded");
        let starts: Vec<usize> =
            batch.rows.iter().map(|row| row.attention_mask.iter().take_while(|x| **x == 0).count()).collect();
        assert!(batch.rows.iter().zip(&starts).all(|(row, n)| row.ids[..*n].iter().all(|id| *id == 7)));
        (batch.length, starts)
    };
    let null = serde_json::Value::Null;
    let (longest, starts) = rows("BatchLongest".into(), null.clone());
    assert!(starts[1] == 0 && starts[0] > 0, "{starts:?}");
    assert_eq!(rows(serde_json::json!({"Fixed": 12}), null).0, 12);
    assert_eq!(rows("BatchLongest".into(), 8.into()).0, longest.next_multiple_of(8));
}

#[test]
fn rows_are_not_filled_up_without_end() {
    let path = small().join("tokenizers/topic_wordpiece.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("json");
    let mut load = |fixed: usize, multiple: usize| {
        json["padding"] = serde_json::json!({
            "strategy": {"Fixed": fixed}, "direction": "Right", "pad_to_multiple_of": multiple, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"
        });
        Tokenizer::from_bytes(&serde_json::to_vec(&json).expect("json"), "wide.json")
    };
    assert_eq!(load(MAX_PADDED, 1).expect("tokenizer").padded_length([3].into_iter()), MAX_PADDED);
    for (fixed, multiple) in [(MAX_PADDED + 1, 1), (1 << 40, 1), (8, 1 << 40)] {
        let error = load(fixed, multiple).expect_err("too wide");
        let n = fixed.max(multiple);
        assert_eq!(error.reason, format!("`padding` asks for rows of {n} tokens, the limit is {MAX_PADDED}"));
    }
}

/// As the file says, also where what is cut off would come again and again: nothing of it is kept.
#[test]
fn texts_are_cut_as_the_file_says() {
    let path = small().join("tokenizers/topic_wordpiece.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("json");
    let text = "the chef whisked eggs, cream and sugar in a bowl";
    let mut cut = |side: &str| {
        json["truncation"] =
            serde_json::json!({"direction": side, "max_length": 4, "strategy": "LongestFirst", "stride": 1});
        let tokenizer =
            Tokenizer::from_bytes(&serde_json::to_vec(&json).expect("json"), "cut.json").expect("tokenizer");
        (tokenizer.encode(text, true).expect("encoded").ids, tokenizer.encode(text, false).expect("encoded").ids)
    };
    let whole = Tokenizer::load(small().join("tokenizers/topic_wordpiece.json")).expect("tokenizer");
    let whole = whole.encode(text, true).expect("encoded").ids;
    let n = whole.len();
    assert!(n > 6);
    assert_eq!(cut("Right"), ([&whole[..3], &whole[n - 1..]].concat(), whole[1..5].to_vec()));
    assert_eq!(cut("Left"), ([&whole[..1], &whole[n - 3..]].concat(), whole[n - 5..n - 1].to_vec()));
}

#[test]
fn padded_ids_are_those_of_a_batch() {
    let tokenizer = Tokenizer::load(small().join("tokenizers/topic_wordpiece.json")).expect("tokenizer");
    let texts = ["the striker", "the young striker scored at the stadium"];
    let batch = tokenizer.encode_batch(&texts, true, usize::MAX).expect("batch");
    let ids: Vec<Vec<i64>> = texts.iter().map(|text| tokenizer.encode(text, true).expect("encoded").ids).collect();
    let length = tokenizer.padded_length(ids.iter().map(Vec::len));
    assert_eq!(length, batch.length);
    assert_eq!(tokenizer.padded(&ids, length), (batch.ids(), batch.attention_mask()));
}
