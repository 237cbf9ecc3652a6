//! Whole queries in a patched Lance.
//!
//! ```text
//! lar-e2e classes                       every class and its dataset, one a line
//! lar-e2e datasets                      every dataset, one a line
//! lar-e2e make DIRECTORY NAME           writes one dataset, by Lance's own code
//! lar-e2e serve DIRECTORY --features WORD [--hook TARGET[:OP,OP]=LIBRARY].. CLASS..
//! ```

mod classes;
mod data;
mod lance_program;
mod make;
mod targets;

use lar_serve::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    match run(&verb, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{verb}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str, mut words: impl Iterator<Item = String>) -> Result<(), String> {
    match verb {
        "classes" => {
            classes::CLASSES.iter().for_each(|class| println!("{} {}", class.name, class.data));
            Ok(())
        }
        "datasets" => {
            make::NAMES.iter().for_each(|name| println!("{name}"));
            Ok(())
        }
        "make" => {
            let (directory, name) = words.next().zip(words.next()).ok_or("make DIRECTORY NAME")?;
            make_runtime()?
                .block_on(make::make(std::path::Path::new(&directory), &name))
                .map_err(|error| error.to_string())
        }
        "serve" => {
            let arguments = Arguments::read(words, targets::install)?;
            let lance =
                lance_program::Lance::open(make_runtime()?, &arguments.data, &arguments.classes)?;
            lar_serve::run(lance, &arguments.watched).map_err(|error| error.to_string())
        }
        _ => Err("classes, datasets, make or serve".into()),
    }
}

fn make_runtime() -> Result<tokio::runtime::Runtime, String> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().map_err(|error| error.to_string())
}
