//! Any bytes as a recording, and what is drawn of the ones that are taken.

use clap::ValueEnum;
use stark_prof::{Format, batch, render};
use stark_profile::{Profile, file};

/// As it is, and as the content of a recording whose header is right: what is wrong behind it is found too.
pub fn profile(data: &[u8]) {
    open(data);
    open(&file::wrap(data));
}

fn open(bytes: &[u8]) {
    match file::decode(bytes) {
        Ok(profile) => draw(&profile),
        Err(error) => assert!(!error.is_empty()),
    }
}

fn draw(profile: &Profile) {
    for format in Format::value_variants() {
        let drawn = render(profile, *format, 20.0).expect("a recording that was taken can be drawn");
        assert!(!drawn.is_empty());
    }
    if let Ok(study) = batch::study(profile, None, 20.0) {
        assert!(!study.render("actor").is_empty());
    }
}
