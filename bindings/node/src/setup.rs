//! The threads that make processes. They live as long as this process: death with the parent follows the thread that
//! made the container.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use seclude::{Canceller, Child};
use serde_json::Value as Json;

use crate::hub::{Answer, Answers};
use crate::launch::Composed;
use crate::opening::Opening;
use crate::process::{self, Shared};
use crate::{reactor, report};

/// One that waits for something (a slow network file system, systemd) shall not hold up all others.
const THREADS: usize = 2;
/// And where all of them wait for what nothing can end (a FUSE file system whose daemon does not answer), others come in
/// their stead, up to so many.
const MOST_THREADS: usize = 64;
/// How long none of them has done anything.
const STALLED: Duration = Duration::from_millis(500);
/// What a killed start may take to end.
const LAST_MOMENTS: Duration = Duration::from_secs(2);
/// Deep enough for a plan's compilation in a debug build.
const STACK: usize = 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    jobs: Sender<Job>,
    receiver: Arc<Mutex<Receiver<Job>>>,
    threads: AtomicUsize,
    /// How many jobs are done.
    done: AtomicUsize,
}

impl Pool {
    fn get() -> io::Result<&'static Pool> {
        static POOL: OnceLock<Result<Pool, io::ErrorKind>> = OnceLock::new();
        let pool = POOL.get_or_init(|| {
            let (jobs, receiver) = channel::<Job>();
            let receiver = Arc::new(Mutex::new(receiver));
            let pool = Pool { jobs, receiver, threads: AtomicUsize::new(0), done: AtomicUsize::new(0) };
            for _ in 0..THREADS {
                pool.grow().map_err(|error| error.kind())?;
            }
            Ok(pool)
        });
        pool.as_ref().map_err(|kind| (*kind).into())
    }

    fn grow(&self) -> io::Result<()> {
        let receiver = self.receiver.clone();
        let thread = std::thread::Builder::new().name("seclude-setup".into()).stack_size(STACK);
        thread.spawn(move || work(&receiver))?;
        self.threads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Where `begun` does not come to be and nothing else gets done, there is one thread more.
    async fn watch(&self, begun: &AtomicBool) {
        loop {
            let before = self.done.load(Ordering::Relaxed);
            tokio::time::sleep(STALLED).await;
            if begun.load(Ordering::Relaxed) {
                return;
            }
            let stalled = self.done.load(Ordering::Relaxed) == before;
            if stalled && self.threads.load(Ordering::Relaxed) < MOST_THREADS {
                let _ = self.grow();
            }
        }
    }
}

/// Runs `job` on one of the threads; an error if there can be none.
fn run(job: Job) -> io::Result<()> {
    let pool = Pool::get()?;
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    let counted = Box::new(move || {
        begins.store(true, Ordering::Relaxed);
        let _counted = Counted(&pool.done);
        job();
    });
    pool.jobs.send(counted).map_err(|_| io::Error::other("the thread has ended"))?;
    reactor::spawn(async move { pool.watch(&begun).await });
    Ok(())
}

/// Counts when it is dropped, also by a panic.
struct Counted(&'static AtomicUsize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
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

/// Starts it; `spawned` and `exited` are answered, also where it is given up meanwhile.
pub(crate) fn start(mut composed: Composed, shared: Arc<Shared>, answers: Answers, spawned: f64, exited: f64) {
    let answered = Arc::new(AtomicBool::new(false));
    let refuse = {
        let (answers, answered) = (answers.clone(), answered.clone());
        move |failure: Json| {
            if !answered.swap(true, Ordering::Relaxed) {
                for request in [spawned, exited] {
                    answers.send(request, Answer::Failed(failure.clone()));
                }
            }
        }
    };
    let opening = Arc::new(AtomicBool::new(composed.opens()));
    let (waits, mut given_up) = (Arc::new(Opening::default()), shared.given_up());
    {
        let (opening, answered, refuse) = (opening.clone(), answered.clone(), refuse.clone());
        let waits = waits.clone();
        reactor::spawn(async move {
            // It ends with the sender, when nobody can give it up any more.
            if given_up.wait_for(|given_up| *given_up).await.is_err() || answered.load(Ordering::Relaxed) {
                return;
            }
            if opening.load(Ordering::Relaxed) {
                reactor::block(move || refuse(given_up_waiting(&waits)));
                return;
            }
            tokio::time::sleep(LAST_MOMENTS).await;
            refuse(report::given_up(&["all of it, until an uninterruptible system call in it returns"]));
        });
    }
    let (opens, ahead) = (composed.opens(), composed.ahead);
    let (refused, no_thread) = (refuse.clone(), refuse.clone());
    let begin = move || {
        composed.open(&waits).map_err(|failure| if waits.is_given_up() { report::given_up(&[]) } else { failure })?;
        opening.store(false, Ordering::Relaxed);
        let job = move || {
            if answered.load(Ordering::Relaxed) {
                return;
            }
            let started = std::time::Instant::now();
            if let Some(canceller) = shared.canceller() {
                composed.command.cancelled_by(&canceller);
            }
            // On this thread, which lives as long as the process: a thread for each that runs would be many.
            let child = composed.command.spawn_on_this_thread();
            let names = std::mem::take(&mut composed.names);
            drop(composed);
            match child {
                // Nobody waits for it any more.
                Ok(mut child) if answered.swap(true, Ordering::Relaxed) => {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                Ok(child) => process::attend(child, &shared, ahead, answers, started, spawned, exited),
                Err(error) => refuse(report::failure(&error, &names)),
            }
            shared.started();
        };
        run(Box::new(job)).map_err(|error| report::of_io("clone", "thread for set-up", &error))
    };
    let begin = move || {
        if let Err(failure) = begin() {
            refused(failure);
        }
    };
    if !opens {
        begin();
        return;
    }
    // A thread for each that opens: one that waits for a FIFO's other end may wait for another start.
    let thread = std::thread::Builder::new().name("seclude-open".into()).stack_size(STACK);
    if let Err(error) = thread.spawn(begin) {
        no_thread(report::of_io("clone", "thread for its files", &error));
    }
}

/// The end of a start whose files were being opened.
fn given_up_waiting(waits: &Opening) -> Json {
    let left: &[&str] = if waits.give_up() { &[] } else { &["a thread, until a file that it opens answers"] };
    report::given_up(left)
}

/// Starts it and waits for that, until `over`.
pub(crate) fn start_and_wait(mut composed: Composed, over: &dyn Fn() -> Option<Duration>) -> Result<Child, Json> {
    let (sender, receiver) = sync_channel(1);
    let no_thread = |error: &io::Error| report::of_io("clone", "thread for set-up", error);
    let (opens, waits) = (composed.opens(), Arc::new(Opening::default()));
    let opens_with = waits.clone();
    let canceller = Canceller::new().map_err(|error| no_thread(&error))?;
    composed.command.cancelled_by(&canceller);
    let opening = Arc::new(AtomicBool::new(opens));
    let opened = opening.clone();
    let begin = move || {
        let answers = sender.clone();
        let go = move || {
            composed.open(&opens_with)?;
            opened.store(false, Ordering::Relaxed);
            let job = move || {
                let child = composed.command.spawn_on_this_thread();
                let child = child.map_err(|error| report::failure(&error, &composed.names));
                if let Err(SendError(Ok(mut child))) = sender.send(child) {
                    // Nobody waits for it any more.
                    let _ = child.kill();
                    let _ = child.wait();
                }
            };
            run(Box::new(job)).map_err(|error| no_thread(&error))
        };
        if let Err(failure) = go() {
            let _ = answers.send(Err(failure));
        }
    };
    if opens {
        let thread = std::thread::Builder::new().name("seclude-open".into()).stack_size(STACK);
        thread.spawn(begin).map_err(|error| no_thread(&error))?;
    } else {
        begin();
    }
    let lost = || no_thread(&io::Error::other("it ended early"));
    while let Some(left) = over() {
        match receiver.recv_timeout(left) {
            Ok(started) => return started,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(lost()),
        }
    }
    canceller.cancel();
    if opening.load(Ordering::Relaxed) {
        return Err(given_up_waiting(&waits));
    }
    match receiver.recv_timeout(LAST_MOMENTS) {
        Ok(started) => started,
        Err(RecvTimeoutError::Timeout) => {
            Err(report::given_up(&["all of it, until an uninterruptible system call in it returns"]))
        }
        Err(RecvTimeoutError::Disconnected) => Err(lost()),
    }
}
