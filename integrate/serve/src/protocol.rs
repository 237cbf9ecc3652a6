//! One line in, one line out, until the input ends. A request begins with a word of the controller's
//! choice and its reply begins with the same word: a line that a kernel writes by itself does not.
//!
//! ```text
//! run CLASS FIRST COUNT   the queries FIRST.. of a class; "done NANOSECONDS TICKS"
//! answers                 those of the last run, separated by ';' (not part of its time)
//! watch                   from now on sizes and ticks of kernel calls are recorded
//! counters                a JSON array, one object for each op behind a hook
//! plan CLASS QUERY        what the program knows of how it answers, as one line
//! ```
//!
//! The controller keeps its own clock: the nanoseconds here are a courtesy, since the kernel shares
//! this process. Every failure is "error TEXT"; the program goes on.

use crate::{Answer, Library, WATCH, Watched, read_ticks};
use std::io::{BufRead, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Something that answers queries of named classes.
pub trait Program {
    /// What a query leaves, before it is put into words.
    type Raw;
    /// Answers queries `first..first + count` of a class, one after the other.
    fn run(&mut self, class: &str, first: usize, count: usize) -> Result<Vec<Self::Raw>, String>;
    /// Puts an answer into words; not timed.
    fn answer(&self, class: &str, raw: &Self::Raw) -> Result<Answer, String>;
    /// How a query of this class is answered.
    fn plan(&mut self, _class: &str, _query: usize) -> Result<String, String> {
        Err("this program has no plans".into())
    }
}

/// `DIRECTORY --features WORD [--hook TARGET[:OP,OP]=LIBRARY].. CLASS..`
pub struct Arguments {
    /// Where the data lies.
    pub data: String,
    /// Classes that will be asked for.
    pub classes: Vec<String>,
    /// Ops behind a hook.
    pub watched: Vec<&'static dyn Watched>,
}

/// Fills the slots of one target.
pub type Install = fn(&str, &Library) -> Result<Vec<&'static dyn Watched>, String>;

impl Arguments {
    /// Reads the command line and loads the libraries it names.
    pub fn read(words: impl Iterator<Item = String>, install: Install) -> Result<Self, String> {
        let mut words = words;
        let data = words.next().ok_or("no directory")?;
        let (mut features, mut hooks, mut classes) = (0, Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--features" => {
                    let value = words.next().ok_or("--features needs a number")?;
                    features = value.parse().map_err(|_| format!("features '{value}'"))?;
                }
                "--hook" => hooks.push(words.next().ok_or("--hook needs TARGET=LIBRARY")?),
                _ => classes.push(word),
            }
        }
        let mut watched = Vec::new();
        for hook in hooks {
            let (head, path) = hook.split_once('=').ok_or("--hook needs TARGET=LIBRARY")?;
            let (target, ops) = head.split_once(':').unwrap_or((head, ""));
            let wanted = ops.split(',').filter(|op| !op.is_empty()).map(Into::into).collect();
            let library =
                Library::load(path, wanted, features).map_err(|e| format!("{target}: {e}"))?;
            watched.extend(install(target, &library).map_err(|e| format!("{target}: {e}"))?);
        }
        Ok(Self { data, classes, watched })
    }
}

/// Serves standard input until it ends.
pub fn run<P: Program>(mut program: P, watched: &[&'static dyn Watched]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    let mut last: Option<(String, Vec<P::Raw>)> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (token, request) = line.split_once(' ').unwrap_or((&line, ""));
        let words: Vec<&str> = request.split_whitespace().collect();
        let reply = match words.as_slice() {
            ["run", class, first, count] => {
                last = None;
                time_run(&mut program, class, first, count).map(|(reply, raw)| {
                    last = Some(((*class).into(), raw));
                    reply
                })
            }
            ["answers"] => describe_answers(&program, last.as_ref()),
            ["watch"] => {
                WATCH.store(true, Relaxed);
                Ok("watching".into())
            }
            ["counters"] => {
                let all: Vec<_> = watched.iter().map(|op| op.describe()).collect();
                Ok(format!("[{}]", all.join(",")))
            }
            ["plan", class, query] => query
                .parse()
                .map_err(|_| "plan CLASS QUERY".into())
                .and_then(|query| program.plan(class, query)),
            _ => Err(format!("unknown request '{request}'")),
        };
        let text = reply.unwrap_or_else(|error| format!("error {error}"));
        writeln!(out, "{token} {}", text.replace('\n', "\\n"))?;
        out.flush()?;
    }
    Ok(())
}

fn time_run<P: Program>(
    program: &mut P,
    class: &str,
    first: &str,
    count: &str,
) -> Result<(String, Vec<P::Raw>), String> {
    let number = |word: &str| word.parse::<usize>().map_err(|_| format!("'{word}' is no number"));
    let (first, count) = (number(first)?, number(count)?);
    let (begun, ticks) = (Instant::now(), read_ticks());
    let raw = program.run(class, first, count)?;
    let spent = read_ticks() - ticks;
    Ok((format!("done {} {spent}", begun.elapsed().as_nanos()), raw))
}

fn describe_answers<P: Program>(
    program: &P,
    last: Option<&(String, Vec<P::Raw>)>,
) -> Result<String, String> {
    let (class, raw) = last.ok_or("nothing was run")?;
    let texts: Result<Vec<_>, String> =
        raw.iter().map(|one| program.answer(class, one).map(|a| a.describe())).collect();
    Ok(texts?.join(";"))
}
