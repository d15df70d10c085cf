//! `stark explain [CODE]`

use stark_syntax::codes;

/// Tell what a diagnostic code means, with an example that fails and one that works
#[derive(clap::Args)]
#[command(after_help = "Example:\n  stark explain E0601\n  stark explain          (lists every code)")]
pub struct Args {
    /// A code such as E0601 or W0801
    code: Option<String>,
}

pub fn main(args: &Args) -> i32 {
    let Some(wanted) = &args.code else {
        for page in codes::PAGES {
            println!("{}  {}", page.code.0, page.title);
        }
        return 0;
    };
    match codes::page(wanted) {
        Some(page) => {
            print!("{}", codes::explain(page));
            0
        }
        None => super::refuse(format!("there is no code `{wanted}`; `stark explain` lists them all")),
    }
}
