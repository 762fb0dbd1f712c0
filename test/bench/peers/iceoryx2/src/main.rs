//! iceoryx2: publisher and subscriber over shared memory, without a daemon. The command line is that of every peer:
//! `<program> WHAT --seconds S --first CORE --second CORE` prints a value for each batch in the unit of the figure, then
//! `repetitions N`; the exit status is 0 if all went well, 2 for bad arguments.

mod channel;
mod measure;
mod process;

use channel::Waiting;
use iceoryx2::prelude::*;
use measure::{Round, Task};
use process::{Child, Failure};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// For a hang: longer than the program takes to start and end, shorter than the patience of who started it.
const SPARE_SECONDS: u32 = 30;

struct Arguments {
    what: String,
    seconds: f64,
    first: usize,
    second: usize,
}

fn parse() -> Option<Arguments> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let after = |option: &str| {
        given
            .iter()
            .position(|word| word == option)
            .and_then(|n| given.get(n + 1))
    };
    let parsed = Arguments {
        what: given.first()?.clone(),
        seconds: after("--seconds")?.parse().ok()?,
        first: after("--first")?.parse().ok()?,
        second: after("--second")?.parse().ok()?,
    };
    (0.0..=86_400.0).contains(&parsed.seconds).then_some(parsed)
}

/// What was asked for, in the unit of its figure.
fn measured(what: &str, mut task: Task) -> Result<Round, Failure> {
    let rate = |mut taken: Round, amount: f64| {
        taken.values.iter_mut().for_each(|value| *value = amount / *value);
        taken
    };
    match what {
        "round_trip_64B" => measure::round_trip(&task),
        "round_trip_64B_one_core" => {
            task.second = task.first;
            task.waiting = Waiting::Blocking;
            let mut taken = measure::round_trip(&task)?;
            taken.values.iter_mut().for_each(|value| *value *= 1e-3);
            Ok(taken)
        }
        "stream_64B" => Ok(rate(measure::stream::<8>(&task)?, 1e3)),
        "stream_1MiB" => Ok(rate(measure::stream::<{ 1 << 17 }>(&task)?, f64::from(1 << 20))),
        _ => Err(format!("this peer has no {what}").into()),
    }
}

fn run(given: &Arguments, config: Config) -> Result<(), Failure> {
    std::thread::spawn(|| {}).join().unwrap(); // as in atrium_bench: the C library spares it no locks
    process::pin_to(given.first)?;
    set_log_level(LogLevel::Error);
    let taken = measured(
        &given.what,
        Task {
            budget: Duration::from_secs_f64(given.seconds),
            first: given.first,
            second: given.second,
            waiting: Waiting::Polling,
            config,
        },
    )?;
    let mut out = std::io::stdout().lock();
    for value in &taken.values {
        writeln!(out, "{value:.6}")?;
    }
    writeln!(out, "repetitions {}", taken.repetitions)?;
    Ok(out.flush()?)
}

/// What a measurement that was killed has left.
fn remove_leftovers(root: &str, prefix: &str) {
    let _ = std::fs::remove_dir_all(root);
    for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn main() -> ExitCode {
    let Some(given) = parse() else {
        eprintln!("usage: atrium_bench_peer_iceoryx2 WHAT --seconds S --first CORE --second CORE");
        return ExitCode::from(2);
    };
    let prefix = format!("atrium_bench_peer.{}.", std::process::id());
    let root = format!("/tmp/{prefix}");
    let mut config = Config::default();
    config
        .global
        .set_root_path(&Path::new(root.as_bytes()).expect("a path"));
    config.global.prefix = FileName::new(prefix.as_bytes()).expect("a file name");
    let good = Child::start(|| run(&given, config))
        .map(|child| process::wait_guarded(child, given.seconds as u32 + SPARE_SECONDS));
    remove_leftovers(&root, &prefix);
    ExitCode::from(if good.unwrap_or(false) { 0 } else { 1 })
}
