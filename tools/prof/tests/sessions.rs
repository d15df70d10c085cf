//! `docs/profiling.md`, typed again (`stark_tests::session`).
//! `STARK_BLESS=1 cargo test -p stark-prof --test sessions` writes what was printed into the page.

mod built;

use built::{prof, root, stark};

#[test]
fn every_session_of_the_page_prints_what_it_shows() {
    stark();
    let page = root().join("docs/profiling.md");
    let bin = prof().parent().expect("the folder of the build").to_path_buf();
    if let Err(differs) = stark_tests::session::replay(&root(), &page, &["examples", "tests", "tools"], &bin) {
        panic!("{differs}");
    }
}
