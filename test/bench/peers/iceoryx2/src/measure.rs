//! Batches, as atrium_bench takes them, of round trips and streams between two processes.

use crate::channel::{LAST, Receiver, Sender, Waiting};
use crate::process::{Child, Failure, Shared, pin_to};
use iceoryx2::prelude::*;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub struct Task {
    pub budget: Duration,
    pub first: usize,
    pub second: usize,
    pub waiting: Waiting,
    pub config: Config,
}

/// Nanoseconds for one repetition, of each batch.
pub struct Round {
    pub values: Vec<f64>,
    pub repetitions: u64,
}

type Work<'a> = dyn FnMut(u64) -> Result<(), Failure> + 'a;

fn time_of(work: &mut Work, repetitions: u64) -> Result<Duration, Failure> {
    let start = Instant::now();
    work(repetitions)?;
    Ok(start.elapsed())
}

/// The number of repetitions that last at least `batch`, by the shortest of three tries of each size.
fn batch_size(work: &mut Work, batch: Duration, budget: Duration) -> Result<u64, Failure> {
    let end = Instant::now() + budget / 2;
    let mut size = 1;
    loop {
        let mut shortest = time_of(work, size)?;
        for _ in 0..2 {
            if shortest >= batch {
                shortest = shortest.min(time_of(work, size)?);
            }
        }
        if shortest >= batch || Instant::now() >= end {
            return Ok(size);
        }
        size *= 2;
    }
}

fn time_batches(budget: Duration, batch: Duration, work: &mut Work) -> Result<Round, Failure> {
    let end = Instant::now() + budget;
    let size = batch_size(work, batch, budget)?;
    let mut taken = Round {
        values: Vec::new(),
        repetitions: 0,
    };
    loop {
        let time = time_of(work, size)?;
        taken.values.push(time.as_nanos() as f64 / size as f64);
        taken.repetitions += size;
        if Instant::now() >= end {
            return Ok(taken);
        }
    }
}

fn node(task: &Task) -> Result<Node<ipc::Service>, Failure> {
    Ok(NodeBuilder::new()
        .config(&task.config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<ipc::Service>()?)
}

/// Waits until the other process has opened everything, so that the two never create the same service.
fn hear(shared: &Shared) {
    while shared.ready().load(Ordering::Acquire) == 0 {
        // R, pairs with the release R of the other process
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn round_trip(task: &Task) -> Result<Round, Failure> {
    let shared = Shared::new()?;
    let other = Child::start(|| {
        pin_to(task.second)?;
        let node = node(task)?;
        let requests = Receiver::<8>::open(&node, "there", task.waiting)?;
        let answers = Sender::<8>::open(&node, "back", task.waiting)?;
        shared.ready().store(1, Ordering::Release); // R
        loop {
            match requests.receive()? {
                LAST => return Ok(()),
                value => answers.send(value)?,
            }
        }
    })?;
    hear(&shared);
    let node = node(task)?;
    let answers = Receiver::<8>::open(&node, "back", task.waiting)?;
    let requests = Sender::<8>::open(&node, "there", task.waiting)?;
    let mut ask = |n| {
        for value in (1..=n).rev() {
            requests.send(value)?;
            answers.receive()?;
        }
        Ok(())
    };
    ask(1)?; // makes the connection
    let taken = time_batches(task.budget, Duration::from_micros(50), &mut ask)?;
    requests.send(LAST)?;
    ended(other, taken)
}

/// A batch ends when all that was sent has been received and read: one lost message, and it never does.
pub fn stream<const WORDS: usize>(task: &Task) -> Result<Round, Failure> {
    let shared = Shared::new()?;
    let other = Child::start(|| {
        pin_to(task.second)?;
        let node = node(task)?;
        let from = Receiver::<WORDS>::open(&node, "stream", task.waiting)?;
        shared.ready().store(1, Ordering::Release); // R
        let mut received = 0;
        while from.receive()? != LAST {
            received += 1;
            shared.received().store(received, Ordering::Release); // S, pairs with the acquire S of the sender
        }
        Ok(())
    })?;
    hear(&shared);
    let node = node(task)?;
    let to = Sender::<WORDS>::open(&node, "stream", task.waiting)?;
    let mut sent = 0;
    let mut send = |n| {
        for value in (1..=n).rev() {
            to.send(value)?;
        }
        sent += n;
        while shared.received().load(Ordering::Acquire) != sent {} // S
        Ok(())
    };
    send(1)?; // makes the connection
    let taken = time_batches(task.budget, Duration::from_millis(5), &mut send)?;
    to.send(LAST)?;
    ended(other, taken)
}

fn ended(other: Child, taken: Round) -> Result<Round, Failure> {
    if !other.wait() {
        return Err("the other process failed".into());
    }
    Ok(taken)
}
