//! Reading diagnostics from a report, and comparing them with a `.errors` file.

use crate::process::Finished;

/// The code and line of every diagnostic in a report.
pub fn read(text: &str) -> Vec<(String, Option<u32>)> {
    let mut found: Vec<(String, Option<u32>)> = Vec::new();
    for line in text.lines() {
        let head = ["error[", "warning["].iter().find_map(|h| line.strip_prefix(h));
        if let Some(code) = head.and_then(|rest| rest.get(..5)) {
            found.push((code.to_string(), None));
        }
        if let Some((_, None)) = found.last()
            && let Some(at) = line.find(".stark:")
        {
            let digits: String = line[at + 7..].chars().take_while(char::is_ascii_digit).collect();
            if let Some((_, place)) = found.last_mut() {
                *place = digits.parse().ok();
            }
        }
    }
    found
}

/// `x` stands for any digit, `A|B` for one of several.
fn code_matches(want: &str, got: &str) -> bool {
    want.split('|').any(|w| {
        w.len() == got.len() && w.chars().zip(got.chars()).all(|(w, g)| w == g || (w == 'x' && g.is_ascii_digit()))
    })
}

pub fn compare(rows: &str, got: &Finished) -> Vec<String> {
    let found = read(&format!("{}\n{}", got.stderr, got.stdout));
    let mut bad = Vec::new();
    let mut wants_error = false;
    for row in rows.lines().map(|r| r.split_whitespace().collect::<Vec<_>>()).filter(|r| !r.is_empty()) {
        if let Some(code) = row[0].strip_prefix('!') {
            if let Some(hit) = found.iter().find(|(c, _)| code_matches(code, c)) {
                bad.push(format!("must not be reported: {code}, got {hit:?}"));
            }
            continue;
        }
        wants_error |= row[0].starts_with('E');
        let lines: Option<Vec<u32>> = (row.get(1) != Some(&"*"))
            .then(|| row.get(1).unwrap_or(&"").split('|').filter_map(|l| l.parse().ok()).collect());
        let hit = found.iter().any(|(code, line)| {
            code_matches(row[0], code) && lines.as_ref().is_none_or(|lines| line.is_some_and(|l| lines.contains(&l)))
        });
        if !hit {
            bad.push(format!("missing: {} at line {}; reported: {found:?}", row[0], row.get(1).unwrap_or(&"?")));
        }
    }
    let want = if wants_error { 2 } else { 0 };
    if got.status != Some(want) {
        bad.push(format!("check: status {:?}, expected {want}\n{}", got.status, got.stderr));
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_is_its_code_and_the_first_place_below_it() {
        let text = "error[E0301]: types differ\n  --> a.stark:3:7\n  note a.stark:9:1\nwarning[W0802]: unused\n  --> a.stark:1:1\n";
        assert_eq!(read(text), [("E0301".to_string(), Some(3)), ("W0802".to_string(), Some(1))]);
    }

    #[test]
    fn an_x_stands_for_any_digit() {
        assert!(
            code_matches("E02xx", "E0201") && code_matches("E0301|E0302", "E0302") && !code_matches("E02xx", "E0301")
        );
    }
}
