//! One direction between two processes: a publisher and a subscriber and, where the receiver sleeps, a notifier and a
//! listener.

use crate::process::Failure;
use iceoryx2::port::{listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use std::hint::black_box;

pub type Message<const WORDS: usize> = [u64; WORDS];

/// Fills the message after which the other process ends.
pub const LAST: u64 = 0;

#[derive(Clone, Copy, PartialEq)]
pub enum Waiting {
    Polling,
    Blocking,
}

pub struct Sender<const WORDS: usize> {
    publisher: Publisher<ipc::Service, Message<WORDS>, ()>,
    notifier: Option<Notifier<ipc::Service>>,
}

pub struct Receiver<const WORDS: usize> {
    subscriber: Subscriber<ipc::Service, Message<WORDS>, ()>,
    listener: Option<Listener<ipc::Service>>,
}

const fn places(words: usize) -> usize {
    if words < 512 { 1024 } else { 8 }
}

type Messages<const WORDS: usize> =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, Message<WORDS>, ()>;
type Events = iceoryx2::service::port_factory::event::PortFactory<ipc::Service>;

fn messages<const WORDS: usize>(node: &Node<ipc::Service>, name: &str) -> Result<Messages<WORDS>, Failure> {
    Ok(node
        .service_builder(&name.try_into()?)
        .publish_subscribe::<Message<WORDS>>()
        .enable_safe_overflow(false) // a full subscriber makes the publisher wait
        .subscriber_max_buffer_size(places(WORDS))
        .max_publishers(1)
        .max_subscribers(1)
        .history_size(0)
        .open_or_create()?)
}

fn events(node: &Node<ipc::Service>, name: &str, waiting: Waiting) -> Result<Option<Events>, Failure> {
    if waiting == Waiting::Polling {
        return Ok(None);
    }
    let service = node.service_builder(&name.try_into()?);
    Ok(Some(service.event().open_or_create()?))
}

impl<const WORDS: usize> Sender<WORDS> {
    pub fn open(node: &Node<ipc::Service>, name: &str, waiting: Waiting) -> Result<Self, Failure> {
        Ok(Sender {
            publisher: messages(node, name)?
                .publisher_builder()
                .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
                .create()?,
            notifier: match events(node, name, waiting)? {
                Some(service) => Some(service.notifier_builder().create()?),
                None => None,
            },
        })
    }

    /// Sends a message whose words have all that value, written where the receiver reads them.
    pub fn send(&self, value: u64) -> Result<(), Failure> {
        let mut sample = self.publisher.loan_uninit()?;
        let words = sample.payload_mut().as_mut_ptr().cast::<u64>();
        for n in 0..WORDS {
            unsafe { words.add(n).write(value) };
        }
        unsafe { sample.assume_init() }.send()?;
        if let Some(notifier) = &self.notifier {
            notifier.notify()?;
        }
        Ok(())
    }
}

impl<const WORDS: usize> Receiver<WORDS> {
    pub fn open(node: &Node<ipc::Service>, name: &str, waiting: Waiting) -> Result<Self, Failure> {
        Ok(Receiver {
            listener: match events(node, name, waiting)? {
                Some(service) => Some(service.listener_builder().create()?),
                None => None,
            },
            subscriber: messages(node, name)?.subscriber_builder().create()?,
        })
    }

    /// Gives the first word of what came, all of which has been read.
    pub fn receive(&self) -> Result<u64, Failure> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                let words = sample.payload();
                black_box(words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
                return Ok(words[0]);
            }
            if let Some(listener) = &self.listener {
                listener.blocking_wait(|_| {})?;
            }
        }
    }
}
