//! lar-worker: the spawner inside the sandbox, and the process in which one kernel library runs.
//!
//! ```text
//! lar-worker spawner [landlock]   forks and execs workers on request (trusted, in the sandbox)
//! lar-worker worker               one library; descriptors 3..=8 as in `lar_abi::wire`
//! ```
//!
//! Argument and environment bytes of a worker are the same for every library, since their
//! length moves the stack and with it every later alignment.

mod confine;
mod fence;
mod landlock_sandbox;
mod lasting;
mod library;
mod memory;
mod note;
mod run;
mod spawn;
mod stack;
mod wipe;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let mode = args.next().unwrap_or_default();
    match mode.to_str() {
        Some("spawner") => spawn::serve(args.next().is_some_and(|a| a == "landlock")),
        Some("worker") => run::worker(),
        _ => {
            eprintln!("lar-worker: started by lar-conductor only");
            std::process::exit(64);
        }
    }
}
