//! Cut and changed programs: an answer for each, never a panic, and never another program.

use stark_fmt::format;

const PROGRAM: &str = r#"
/// A counter. /* not a block */
@native("x", suspends) fn f<T: Show + Ord>(a: Vec<T>, &mut b: Int = -1) -> (Int, Map<String, T>): return g(a, b)

actor Counter:  // counts
    mut n: Int = 0
    fn add(by: Int) -> Int:
        n += by  /* here */
        return n

let xs = [1, 2,
    3,  # three
]
let m = {"a": [1.0, -2.0], 'b': []}
let t = xs.map(|x|:
    if x > 1 and not (x in 0..=2): return x ** 2
    return -x
).filter(|(a, b)| a >= b)
match m:
    Some([a, ..rest]) | None if a << 2 == 4 => print(f"{a:>{n}} {m["k"]}")
    name @ Point(x = 0, ..) =>
        pass
select:
    v = await ch.recv() => v
    after (10ms) => ()
"""#;

fn answers(text: &str) {
    if let Ok(once) = format(text) {
        assert_eq!(format(&once).as_ref(), Ok(&once), "formatting again changes\n{text}");
    }
}

#[test]
fn every_cut_has_an_answer() {
    assert!(format(PROGRAM).is_ok());
    for (at, _) in PROGRAM.char_indices() {
        answers(&PROGRAM[..at]);
        answers(&PROGRAM[at..]);
    }
}

#[test]
fn every_missing_and_doubled_piece_has_an_answer() {
    let pieces: Vec<(usize, char)> = PROGRAM.char_indices().collect();
    for &(at, c) in &pieces {
        let (before, after) = (&PROGRAM[..at], &PROGRAM[at + c.len_utf8()..]);
        answers(&format!("{before}{after}"));
        for piece in ["\n", " ", "(", ")", ",", "// c\n", "/* c */", "\n\n    # c\n", ":", "\"", "\t"] {
            answers(&format!("{before}{piece}{c}{after}"));
        }
    }
}

#[test]
fn deep_nesting_is_refused_or_laid_out() {
    for n in [10, 200, 255, 300, 5000] {
        answers(&format!("let x = {}1{}", "(".repeat(n), ")".repeat(n)));
        answers(&format!("let x = {}1{}", "[".repeat(n), "]".repeat(n)));
        answers(&format!("let x = f({})", vec!["a"; n].join(" + ")));
        answers(&format!("let x = a{}", ".b(c)".repeat(n)));
        answers(&format!("let x = a{}", ".b(|x| x)".repeat(n)));
    }
}
