//! lar-conductor: owns the clock, the schedule, the expected outputs and the poison.
//!
//! ```text
//! lar-conductor serve                       one JSON command a line (see `protocol`)
//! lar-conductor audit OBJECT [--lib SO]     what an object file needs and exports, as JSON
//! lar-conductor admit RULES < KERNEL       what admission refuses in a text, as JSON
//! lar-conductor tokens < KERNEL            its tokens
//! lar-conductor selftest --limits JSON ...  what an empty slice costs
//! ```
//!
//! It never loads a kernel; kernels run in workers, in the sandbox.

mod admission;
mod areas;
mod audit;
mod autopsy;
mod calibrate;
mod check;
mod clock;
mod container;
mod cpu;
mod equality;
mod expect;
mod extensions;
mod fault;
mod layout;
mod limits;
mod machine;
mod pair;
mod poison;
mod pool_cache;
mod protocol;
mod rng;
mod sandbox;
mod scratch;
mod selftest;
mod serve;
mod shm;
mod slice_runner;
mod stop;
mod syscalls;
mod verify;
mod voids;
mod walk;
mod window;
mod worker;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let status = match args.as_slice() {
        ["serve"] => serve::serve(),
        ["admit" | "tokens", ..] => admission::main(&args),
        ["audit", rest @ ..] => audit::main(rest),
        ["selftest", rest @ ..] => selftest::main(rest),
        _ => {
            eprintln!(
                "usage: lar-conductor serve | audit OBJECT [--lib SO] | admit RULES | tokens | selftest"
            );
            64
        }
    };
    std::process::exit(status);
}
