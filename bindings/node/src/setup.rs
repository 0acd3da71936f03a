//! The threads that make processes. They live as long as this process: death with the parent follows the thread that
//! made the container.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use seclude::Child;
use serde_json::Value as Json;

use crate::hub::{Answer, Answers};
use crate::launch::Composed;
use crate::process::{self, Shared};
use crate::report;

/// One that waits for something (a slow network file system, systemd) shall not hold up all others.
const THREADS: usize = 2;
/// Deep enough for a plan's compilation in a debug build.
const STACK: usize = 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// Runs `job` on one of the threads; an error if there can be none.
fn run(job: Job) -> io::Result<()> {
    static QUEUE: OnceLock<Result<Sender<Job>, io::ErrorKind>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (sender, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS {
            let receiver = receiver.clone();
            let thread = std::thread::Builder::new().name("seclude-setup".into()).stack_size(STACK);
            thread.spawn(move || work(&receiver)).map_err(|error| error.kind())?;
        }
        Ok(sender)
    });
    match queue {
        Ok(sender) => sender.send(job).map_err(|_| io::Error::other("the thread has ended")),
        Err(kind) => Err((*kind).into()),
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            // Whoever waits for an answer of a job that panicked is told by its channel.
            Ok(job) => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job))),
            // The sender is never dropped.
            Err(_) => return,
        }
    }
}

/// Starts it; `spawned` and `exited` are answered.
pub(crate) fn start(mut composed: Composed, shared: Arc<Shared>, answers: Answers, spawned: f64, exited: f64) {
    let (refused, no_thread) = (answers.clone(), answers.clone());
    let refuse = move |answers: &Answers, failure: Json| {
        for request in [spawned, exited] {
            answers.send(request, Answer::Failed(failure.clone()));
        }
    };
    let opens = composed.opens();
    let begin = move || {
        composed.open()?;
        let job = move || {
            let started = std::time::Instant::now();
            // Not on this thread, which others wait for: a start can be in a call that nothing interrupts.
            if let Some(canceller) = &shared.canceller {
                composed.command.cancelled_by(canceller);
            }
            match composed.command.spawn() {
                Ok(child) => process::watch(child, &shared, answers, started, spawned, exited),
                Err(error) => refuse(&answers, report::failure(&error)),
            }
        };
        run(Box::new(job)).map_err(|error| report::of_io("clone", "thread for set-up", &error))
    };
    let begin = move || {
        if let Err(failure) = begin() {
            refuse(&refused, failure);
        }
    };
    if !opens {
        begin();
        return;
    }
    // A thread for each that opens: one that waits for a FIFO's other end may wait for another start.
    let thread = std::thread::Builder::new().name("seclude-open".into()).stack_size(STACK);
    if let Err(error) = thread.spawn(begin) {
        refuse(&no_thread, report::of_io("clone", "thread for its files", &error));
    }
}

/// Starts it and waits for that.
pub(crate) fn start_and_wait(mut composed: Composed) -> Result<Child, Json> {
    composed.open()?;
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let no_thread = |error: &io::Error| report::of_io("clone", "thread for set-up", error);
    run(Box::new(move || drop(sender.send(composed.command.spawn_on_this_thread()))))
        .map_err(|error| no_thread(&error))?;
    let started = receiver.recv().map_err(|error| no_thread(&io::Error::other(error)))?;
    started.map_err(|error| report::failure(&error))
}
