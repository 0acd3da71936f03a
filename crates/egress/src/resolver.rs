//! Names are looked up by the host's own means, getaddrinfo(3), which waits: so by a few threads that do nothing else.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use seclude_sys::signal;

use crate::Name;

/// How many names are looked up at a time, whoever asks: others wait.
const THREADS: usize = 8;
/// How long a thread waits for the next name.
const IDLE: Duration = Duration::from_secs(10);
/// getaddrinfo(3) and what it loads.
const STACK: usize = 512 * 1024;

/// How a name is looked up.
pub(crate) type Lookup = fn(&str) -> io::Result<Vec<IpAddr>>;

/// What the host says.
pub(crate) fn by_host(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// The threads. They end by themselves: one may be in a call that nothing ends.
pub(crate) struct Resolver(Arc<Shared>);

struct Shared {
    work: Mutex<Work>,
    news: Condvar,
    /// Written when something is done.
    bell: OwnedFd,
}

#[derive(Default)]
struct Work {
    asked: VecDeque<(Name, Lookup)>,
    done: Vec<(Name, io::Result<Vec<IpAddr>>)>,
    threads: usize,
    idle: usize,
    over: bool,
}

impl Resolver {
    pub(crate) fn new() -> io::Result<Resolver> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Resolver(Arc::new(Shared { work: Mutex::default(), news: Condvar::new(), bell })))
    }

    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }

    pub(crate) fn ask(&self, name: Name, lookup: Lookup) {
        let mut work = self.0.work();
        work.asked.push_back((name, lookup));
        if work.asked.len() <= work.idle {
            self.0.news.notify_one();
            return;
        }
        if work.threads < THREADS {
            let shared = self.0.clone();
            let builder = thread::Builder::new().name("seclude-resolver".into()).stack_size(STACK);
            let started = builder.spawn(move || {
                // The caller's signal handlers expect the caller's threads.
                let _ = signal::set_mask(!0);
                shared.look_up();
            });
            match started {
                Ok(_) => work.threads += 1,
                Err(error) if work.threads == 0 => {
                    let kind = error.kind();
                    let failed: Vec<_> = work.asked.drain(..).map(|(name, _)| (name, Err(kind.into()))).collect();
                    work.done.extend(failed);
                    self.0.ring();
                }
                // Those that there are do it.
                Err(_) => {}
            }
        }
    }

    pub(crate) fn done(&self) -> Vec<(Name, io::Result<Vec<IpAddr>>)> {
        let _ = rustix::io::read(&self.0.bell, &mut [0; 8]);
        std::mem::take(&mut self.0.work().done)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.0.work().over = true;
        self.0.news.notify_all();
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    fn look_up(&self) {
        let mut work = self.work();
        loop {
            while let Some((name, lookup)) = work.asked.pop_front() {
                drop(work);
                let found = lookup(name.as_str());
                work = self.work();
                work.done.push((name, found));
                self.ring();
            }
            if work.over {
                break;
            }
            work.idle += 1;
            let waiting = |work: &mut Work| work.asked.is_empty() && !work.over;
            let (again, waited) =
                self.news.wait_timeout_while(work, IDLE, waiting).unwrap_or_else(PoisonError::into_inner);
            work = again;
            work.idle -= 1;
            if waited.timed_out() {
                break;
            }
        }
        work.threads -= 1;
    }
}
