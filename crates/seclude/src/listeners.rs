//! The one thread of this process that answers what filters of system calls ask, seccomp_unotify(2): for all containers, however many
//! there are. It is started with the first that may ask, and ends with the last.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, epoll, eventfd};
use seclude_forked::{Forked, GENERATIONS};
use seclude_sys::{Errno, Fd, seccomp, signal};

use crate::denials::{Denials, Judge, Known};

/// How many of a second are looked at one by one: it takes a file of /proc.
const MOST_A_SECOND: u32 = 100;
/// How many one container is answered at once, and from then on in ten milliseconds: each takes about a microsecond of this
/// process's, which no limit of the container's counts.
const MOST_AT_ONCE: u32 = 100_000;
const THEN_AT_ONCE: u32 = 100;
const TURN: Duration = Duration::from_millis(10);
const STACK: usize = 128 * 1024;
/// What tells the thread that there is nobody to answer any more.
const END: u64 = 0;

static RUNNING: Forked<Option<Running>> = Forked::new([const { Mutex::new(None) }; GENERATIONS]);

struct Running {
    /// Another than this one after a fork, which takes no thread along.
    process: u32,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    /// Those that may ask: whose listener has not come yet, and whose has.
    seats: usize,
    last: u64,
}

struct Shared {
    epoll: OwnedFd,
    end: OwnedFd,
    /// Until the thread has heard of them.
    arrived: Mutex<HashMap<u64, Asking>>,
}

/// A filter that asks.
struct Asking {
    listener: OwnedFd,
    judge: Judge,
    denials: Denials,
    known: Known,
    second: Instant,
    looked: u32,
    /// How many it may still ask, and since when that counts.
    left: u32,
    turn: Instant,
}

/// What comes after an answer.
enum Then {
    More,
    /// It has asked too much: not before this.
    Wait(Instant),
    Ended,
}

fn running() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock(|| ())
}

impl Running {
    fn start() -> io::Result<Running> {
        let end = eventfd(0, EventfdFlags::CLOEXEC)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &end, epoll::EventData::new_u64(END), epoll::EventFlags::IN)?;
        let shared = Arc::new(Shared { epoll, end, arrived: Mutex::default() });
        let theirs = shared.clone();
        let builder = thread::Builder::new().name("seclude-denials".into()).stack_size(STACK);
        let thread = builder.spawn(move || {
            // The caller's signal handlers expect the caller's threads, and none of its signals stops this one.
            let _ = signal::set_mask(!0);
            theirs.answer();
        })?;
        Ok(Running { process: std::process::id(), shared, thread, seats: 0, last: END })
    }

    /// One may not ask any more. The thread to wait for, if that was the last.
    fn leave(running: &mut Option<Running>, shared: &Arc<Shared>) -> Option<JoinHandle<()>> {
        let own = running.as_mut().filter(|running| Arc::ptr_eq(&running.shared, shared))?;
        own.seats -= 1;
        let is_last = own.seats == 0;
        running.take_if(|_| is_last).map(|running| running.thread)
    }
}

/// Who may ask, and whose answers are there before they do.
pub(crate) struct Listening {
    process: u32,
    shared: Arc<Shared>,
    /// Until the listener has come.
    judge: Option<Judge>,
    pub(crate) denials: Denials,
}

impl Listening {
    /// Once this is there, the thread is.
    pub(crate) fn waiting(judge: Judge) -> io::Result<Listening> {
        let process = std::process::id();
        let mut running = running();
        let own = match running.take_if(|running| running.process == process) {
            Some(own) => own,
            None => Running::start()?,
        };
        let shared = own.shared.clone();
        *running = Some(Running { seats: own.seats + 1, ..own });
        Ok(Listening { process, shared, judge: Some(judge), denials: Denials::default() })
    }

    /// From here on it is answered.
    pub(crate) fn begin(&mut self, listener: OwnedFd) -> io::Result<()> {
        let mut running = running();
        let (Some(judge), Some(own)) = (self.judge.take(), running.as_mut()) else { return Ok(()) };
        own.last += 1;
        let id = own.last;
        let _ = seccomp::wake_in_turns(Fd(listener.as_raw_fd()));
        let added = {
            // The thread looks for it under this lock.
            let mut arrived = self.shared.arrived();
            let data = epoll::EventData::new_u64(id);
            let added = epoll::add(&self.shared.epoll, &listener, data, epoll::EventFlags::IN);
            let denials = self.denials.clone();
            let now = Instant::now();
            let (known, left) = (Known::default(), MOST_AT_ONCE);
            let asking = Asking { listener, judge, denials, known, second: now, looked: 0, left, turn: now };
            if added.is_ok() {
                arrived.insert(id, asking);
            }
            added
        };
        if added.is_err() {
            let thread = Running::leave(&mut running, &self.shared);
            self.shared.stop(thread);
        }
        added.map_err(io::Error::from)
    }

    /// Waits until everything has ended that the filter holds for, and for the thread, if that was the last.
    pub(crate) fn ended(self) {
        // Whoever was forked from this process has no such thread.
        if self.judge.is_none() && self.process == std::process::id() {
            self.denials.closed();
        }
    }
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listening").field(&self.denials).finish()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // What asks leaves when it ends.
        if self.judge.is_some() && self.process == std::process::id() {
            let thread = Running::leave(&mut running(), &self.shared);
            self.shared.stop(thread);
        }
    }
}

impl Shared {
    fn arrived(&self) -> MutexGuard<'_, HashMap<u64, Asking>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, thread: Option<JoinHandle<()>>) {
        if let Some(thread) = thread {
            let _ = rustix::io::write(&self.end, &1_u64.to_ne_bytes());
            let _ = thread.join();
        }
    }

    fn answer(self: Arc<Self>) {
        let mut all: HashMap<u64, Asking> = HashMap::new();
        let mut events = Vec::with_capacity(64);
        let mut waiting: Vec<(Instant, u64)> = Vec::new();
        loop {
            events.clear();
            let now = Instant::now();
            let soonest = waiting.iter().map(|(until, _)| until.saturating_duration_since(now)).min();
            let soonest = soonest.and_then(|wait| rustix::event::Timespec::try_from(wait).ok());
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), soonest.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            let now = Instant::now();
            waiting.retain(|(until, id)| {
                let goes_on = *until <= now;
                if goes_on && let Some(asking) = all.get(id) {
                    asking.listen(&self.epoll, *id, epoll::EventFlags::IN);
                }
                !goes_on
            });
            for event in &events {
                let id = event.data.u64();
                if id == END {
                    return;
                }
                if !all.contains_key(&id) {
                    all.extend(self.arrived().drain());
                }
                let flags = event.flags;
                let asks = flags.contains(epoll::EventFlags::IN);
                let Some(asking) = all.get_mut(&id) else { continue };
                match if asks { asking.answer_one() } else { Then::Ended } {
                    Then::More => continue,
                    Then::Wait(until) => {
                        // Its end is told all the same.
                        asking.listen(&self.epoll, id, epoll::EventFlags::empty());
                        waiting.push((until, id));
                        continue;
                    }
                    Then::Ended => {}
                }
                if let Some(ended) = all.remove(&id) {
                    // Whoever was forked from this process may have a copy, by which its end would be told of for ever, epoll(7).
                    let _ = epoll::delete(&self.epoll, &ended.listener);
                    drop(ended.listener);
                    let thread = Running::leave(&mut running(), &self);
                    let was_last = thread.is_some();
                    ended.denials.close(thread);
                    if was_last {
                        return;
                    }
                }
            }
        }
    }
}

impl Asking {
    fn listen(&self, epoll: &OwnedFd, id: u64, flags: epoll::EventFlags) {
        let _ = epoll::modify(epoll, &self.listener, epoll::EventData::new_u64(id), flags);
    }

    fn answer_one(&mut self) -> Then {
        if self.left == 0 {
            let now = Instant::now();
            let turns = now.saturating_duration_since(self.turn).as_millis() / TURN.as_millis();
            if turns == 0 {
                return Then::Wait(self.turn + TURN);
            }
            let earned = u32::try_from(turns).unwrap_or(u32::MAX).saturating_mul(THEN_AT_ONCE);
            (self.left, self.turn) = (earned.min(MOST_AT_ONCE), now);
        }
        self.left -= 1;
        let fd = Fd(self.listener.as_raw_fd());
        let call = match seccomp::receive(fd) {
            Ok(call) => call,
            // Whoever asked has been interrupted, and asks again.
            Err(Errno::ENOENT | Errno::EINTR) => return Then::More,
            Err(_) => return Then::Ended,
        };
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.looked) = (Instant::now(), 0);
        }
        if self.judge.is_done(&call) {
            let _ = seccomp::answer(fd, call.id, 0);
            return Then::More;
        }
        // Noted first: once it is answered, all may have ended.
        let errno = if self.looked < MOST_A_SECOND {
            self.looked += 1;
            let (errno, denial) = self.judge.denial(&call, &mut self.known);
            self.denials.note(Some(denial));
            errno
        } else {
            self.denials.note(None);
            self.judge.errno(&call)
        };
        let _ = seccomp::answer(fd, call.id, errno);
        Then::More
    }
}
