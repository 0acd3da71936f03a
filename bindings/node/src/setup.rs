//! The threads that make processes. They live as long as this process: death with the parent follows the thread that
//! made the container.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use seclude::{Child, Error};

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
    let failed = answers.clone();
    let job = move || {
        let started = std::time::Instant::now();
        match composed.command.spawn_on_this_thread() {
            Ok(child) => process::watch(child, &shared, answers, started, spawned, exited),
            Err(error) => {
                for request in [spawned, exited] {
                    answers.send(request, Answer::Failed(report::failure(&error)));
                }
            }
        }
    };
    if let Err(error) = run(Box::new(job)) {
        for request in [spawned, exited] {
            failed.send(request, Answer::Failed(report::of_io("clone", "thread for set-up", &error)));
        }
    }
}

/// Starts it and waits for that.
pub(crate) fn start_and_wait(mut composed: Composed) -> io::Result<Result<Child, Error>> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    run(Box::new(move || drop(sender.send(composed.command.spawn_on_this_thread()))))?;
    receiver.recv().map_err(io::Error::other)
}
