//! `.starkbc`: what is written is read again, and damaged files are refused without a panic.

mod common;

use common::{Random, every, tiny};
use stark_bytecode::format::{FormatErrorReason, MAGIC, SectionKind, VERSION};
use stark_bytecode::{Module, decode, encode, verify};

const HEADER_LEN: usize = 64;
const ROW_LEN: usize = 32;

#[test]
fn modules_come_back_and_have_one_file() {
    for module in [every(), tiny(), Module::default()] {
        let bytes = encode(&module);
        assert_eq!(decode(&bytes).unwrap(), module);
        assert_eq!(encode(&decode(&bytes).unwrap()), bytes);
    }
}

#[test]
fn sections_are_where_the_format_says() {
    let bytes = encode(&every());
    assert_eq!(bytes[..8], MAGIC);
    for row in rows(&bytes) {
        assert_eq!(row.offset % 64, 0);
        assert_eq!(row.flags, SectionKind::from_number(row.kind).unwrap().flags());
    }
}

#[test]
fn another_version_is_refused_by_its_number() {
    let mut bytes = encode(&tiny());
    bytes[8..12].copy_from_slice(&(VERSION + 6).to_le_bytes());
    let error = decode(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "header at byte 8: the file has format version {}, this build of STARK reads version {VERSION}; a newer STARK is \
             needed",
            VERSION + 6
        )
    );
    // A newer header may be shorter or longer; its version is still named.
    assert_eq!(decode(&bytes[..12]).unwrap_err(), error);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = encode(&every());
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
    }
}

#[test]
fn every_changed_bit_is_refused() {
    let bytes = encode(&every());
    let mut changed = bytes.clone();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            assert!(decode(&changed).is_err(), "bit {bit} of byte {at}");
            changed[at] ^= 1 << bit;
        }
    }
}

#[test]
fn every_changed_bit_under_a_right_checksum_is_read_or_refused() {
    let bytes = encode(&tiny());
    for at in HEADER_LEN..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            fix_checksums(&mut changed);
            read_and_verify(&changed);
        }
    }
}

#[test]
fn random_damage_under_right_checksums_is_read_or_refused() {
    let bytes = encode(&every());
    let rows = rows(&bytes);
    for seed in 0..4000 {
        let mut random = Random(seed);
        let mut changed = bytes.clone();
        for _ in 0..=random.below(4) {
            let row = &rows[random.below(rows.len())];
            if row.len > 0 {
                let at = row.offset + random.below(row.len);
                // Small numbers hit ids and counts, high bits long numbers.
                changed[at] = match random.below(3) {
                    0 => random.next() as u8,
                    1 => random.below(32) as u8,
                    _ => changed[at] ^ 1 << random.below(8),
                };
            }
        }
        fix_checksums(&mut changed);
        read_and_verify(&changed);
    }
}

#[test]
fn optional_sections_may_be_unknown_or_missing_and_others_may_not() {
    let mut unknown = encode(&every());
    let at = |bytes: &[u8], kind: SectionKind| {
        let row = rows(bytes).iter().position(|row| row.kind == kind as u32).unwrap();
        HEADER_LEN + row * ROW_LEN
    };
    let names = at(&unknown, SectionKind::DebugNames);
    unknown[names..names + 4].copy_from_slice(&1000u32.to_le_bytes());
    fix_checksums(&mut unknown);
    let module = decode(&unknown).unwrap();
    assert!(module.functions.iter().all(|function| function.debug_names.is_empty()));
    assert!(verify(module).is_ok());

    let mut needed = encode(&every());
    let types = at(&needed, SectionKind::Types);
    needed[types..types + 4].copy_from_slice(&1000u32.to_le_bytes());
    fix_checksums(&mut needed);
    assert_eq!(decode(&needed).unwrap_err().reason, FormatErrorReason::UnknownSection { kind: 1000 });
}

#[test]
fn counts_are_checked_before_memory_is_taken() {
    // Types: a count of 2^62 rows.
    let mut bytes = encode(&tiny());
    let types = rows(&bytes).into_iter().find(|row| row.kind == SectionKind::Strings as u32).unwrap();
    assert_eq!(types.len, 1);
    bytes[types.offset] = 0x7F;
    fix_checksums(&mut bytes);
    let error = decode(&bytes).unwrap_err();
    assert_eq!((error.section, error.offset), ("strings", types.offset as u64));
    assert_eq!(error.reason, FormatErrorReason::BadCount { count: 127, left: 0 });
}

/// Neither may panic; which of them says no does not matter.
fn read_and_verify(bytes: &[u8]) {
    if let Ok(module) = decode(bytes) {
        let _ = verify(module);
    }
}

struct Row {
    kind: u32,
    flags: u32,
    offset: usize,
    len: usize,
}

fn rows(bytes: &[u8]) -> Vec<Row> {
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0usize, |number, &byte| number << 8 | usize::from(byte))
    };
    let row = |i: usize| {
        let at = HEADER_LEN + i * ROW_LEN;
        Row {
            kind: number(at, 4) as u32,
            flags: number(at + 4, 4) as u32,
            offset: number(at + 8, 8),
            len: number(at + 16, 8),
        }
    };
    (0..number(12, 4)).map(row).collect()
}

/// Makes the checksums right again after damage, so that what lies behind them is tested.
fn fix_checksums(bytes: &mut [u8]) {
    let n_sections = rows(bytes).len();
    for (i, row) in rows(bytes).into_iter().enumerate() {
        if let Some(section) = row.offset.checked_add(row.len).and_then(|end| bytes.get(row.offset..end)) {
            let crc = crc32fast::hash(section).to_le_bytes();
            let at = HEADER_LEN + i * ROW_LEN + 24;
            bytes[at..at + 4].copy_from_slice(&crc);
        }
    }
    bytes[24..28].fill(0);
    let crc = crc32fast::hash(&bytes[..HEADER_LEN + n_sections * ROW_LEN]).to_le_bytes();
    bytes[24..28].copy_from_slice(&crc);
}
