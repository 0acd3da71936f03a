//! Names are looked up by the host's own means, getaddrinfo(3), which waits: so by a few threads that do nothing else.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
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
const THREADS: usize = 32;
/// How many of one namespace's, and no more than are left to others: with servers that do not answer, those have the rest.
const SHARE: usize = 8;
/// How many names of one namespace wait to be looked up.
const WAITING: usize = 256;
/// How long a thread waits for the next name.
const IDLE: Duration = Duration::from_secs(10);
/// getaddrinfo(3) and what it loads.
const STACK: usize = 512 * 1024;

/// How a name is looked up.
pub(crate) type Lookup = fn(&str) -> io::Result<Vec<IpAddr>>;

/// What the host says. A name with a dot is one from the root on: with the host's search domains behind it, it would be another that nobody
/// has allowed. So it is asked for with a dot at its end, by which hosts(5) knows none.
pub(crate) fn by_host(name: &str) -> io::Result<Vec<IpAddr>> {
    let ask = |name: &str| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect());
    if !name.contains('.') {
        return ask(name);
    }
    // Whose comments may be in any encoding.
    let hosts = std::fs::read(HOSTS).unwrap_or_default();
    let listed = listed(&String::from_utf8_lossy(&hosts), name);
    if listed.is_empty() { ask(&format!("{name}.")) } else { Ok(listed) }
}

const HOSTS: &str = "/etc/hosts";

/// The addresses that hosts(5) has for a name.
fn listed(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let found = lines.filter_map(|mut words| {
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    found.collect()
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
    asked: VecDeque<Asked>,
    /// Of each namespace.
    running: HashMap<u64, usize>,
    /// Of all of them.
    busy: usize,
    done: Vec<(Name, io::Result<Vec<IpAddr>>)>,
    threads: usize,
    idle: usize,
    over: bool,
}

struct Asked {
    by: u64,
    name: Name,
    lookup: Lookup,
}

impl Work {
    fn is_next(&self, asked: &Asked) -> bool {
        let own = self.running.get(&asked.by).copied().unwrap_or_default();
        own < SHARE.min(THREADS - self.busy)
    }

    /// The first that may be looked up now.
    fn take(&mut self) -> Option<Asked> {
        let place = self.asked.iter().position(|asked| self.is_next(asked))?;
        let asked = self.asked.remove(place)?;
        *self.running.entry(asked.by).or_default() += 1;
        self.busy += 1;
        Some(asked)
    }

    fn finish(&mut self, by: u64) {
        self.busy -= 1;
        if let Entry::Occupied(mut running) = self.running.entry(by) {
            *running.get_mut() -= 1;
            if *running.get() == 0 {
                running.remove();
            }
        }
    }
}

impl Resolver {
    pub(crate) fn new() -> io::Result<Resolver> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Resolver(Arc::new(Shared { work: Mutex::default(), news: Condvar::new(), bell })))
    }

    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }

    /// `false`: it has asked for too many that were not looked up yet.
    pub(crate) fn ask(&self, by: u64, name: Name, lookup: Lookup) -> bool {
        let mut work = self.0.work();
        if work.asked.iter().filter(|asked| asked.by == by).count() >= WAITING {
            return false;
        }
        work.asked.push_back(Asked { by, name, lookup });
        let next = work.asked.iter().filter(|asked| work.is_next(asked)).count();
        if next <= work.idle {
            self.0.news.notify_one();
            return true;
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
                    let failed: Vec<_> = work.asked.drain(..).map(|asked| (asked.name, Err(kind.into()))).collect();
                    work.done.extend(failed);
                    self.0.ring();
                }
                // Those that there are do it.
                Err(_) => {}
            }
        }
        true
    }

    /// A namespace has ended: what it has asked for, and nobody has begun with, is nobody's any more.
    pub(crate) fn forget(&self, by: u64) {
        self.0.work().asked.retain(|asked| asked.by != by);
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
            while let Some(Asked { by, name, lookup }) = work.take() {
                drop(work);
                let found = lookup(name.as_str());
                work = self.work();
                work.finish(by);
                work.done.push((name, found));
                self.ring();
            }
            if work.over {
                break;
            }
            work.idle += 1;
            let waiting = |work: &mut Work| !work.asked.iter().any(|asked| work.is_next(asked)) && !work.over;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn hangs(_: &str) -> io::Result<Vec<IpAddr>> {
        thread::sleep(Duration::from_secs(4));
        Err(io::ErrorKind::TimedOut.into())
    }

    #[test]
    fn what_hosts_has_of_a_name_is_all_of_its_lines() {
        let text = "127.0.0.1 localhost\n# 192.0.2.9 one.test\n192.0.2.1\tONE.test one\n2001:db8::1 x one.test # two.test\nno two.test\n";
        let all: Vec<String> = listed(text, "one.test").iter().map(IpAddr::to_string).collect();
        assert_eq!(all, ["192.0.2.1", "2001:db8::1"]);
        assert!(listed(text, "two.test").is_empty() && listed(text, "test").is_empty());
    }

    fn name(number: usize) -> Name {
        format!("n{number}.example").parse().unwrap()
    }

    /// The first that is answered.
    fn first(resolver: &Resolver) -> String {
        let started = Instant::now();
        loop {
            let done = resolver.done();
            if let Some((name, _)) = done.first() {
                return name.as_str().to_owned();
            }
            assert!(started.elapsed() < Duration::from_secs(60));
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn namespaces_that_take_all_that_they_get_leave_something_to_the_next() {
        let resolver = Resolver::new().unwrap();
        for by in 1..=THREADS / SHARE {
            (0..THREADS).for_each(|number| assert!(resolver.ask(by as u64, name(number), hangs)));
        }
        assert!(resolver.ask(99, "quick.example".parse().unwrap(), |_| Ok(Vec::new())));
        assert_eq!(first(&resolver), "quick.example");
    }

    #[test]
    fn names_that_nobody_answers_for_hold_only_up_who_asks_for_them() {
        let resolver = Resolver::new().unwrap();
        let taken = (0..2 * WAITING).take_while(|number| resolver.ask(1, name(*number), hangs)).count();
        assert!((WAITING..WAITING + SHARE + 1).contains(&taken), "{taken}");
        resolver.forget(1);
        assert!(resolver.ask(1, name(0), hangs));
        resolver.ask(2, "quick.example".parse().unwrap(), |_| Ok(Vec::new()));
        assert_eq!(first(&resolver), "quick.example");
    }
}
