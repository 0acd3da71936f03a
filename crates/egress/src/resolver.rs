//! Names are looked up by the host's own means, getaddrinfo(3), which waits: so by a few threads that do nothing else.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use seclude_sys::signal;

use crate::Name;

/// How many names are looked up at a time, whoever asks: others wait.
const THREADS: usize = 32;
/// How many of one namespace's, besides those that nobody answers for, and in all no more than are left to others.
const SHARE: usize = 8;
/// After how long that is to be thought of a name: others of the same namespace do not wait for it any longer.
const SLOW: Duration = Duration::from_millis(500);
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
    let listed = by_file(name);
    if listed.is_empty() { ask(&format!("{name}.")) } else { Ok(listed) }
}

fn by_file(name: &str) -> Vec<IpAddr> {
    // Whose comments may be in any encoding.
    let hosts = std::fs::read(HOSTS).unwrap_or_default();
    listed(&String::from_utf8_lossy(&hosts), name)
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
    /// What is known of a name without asking anybody.
    by_file: fn(&str) -> Vec<IpAddr>,
}

#[derive(Default)]
struct Work {
    asked: VecDeque<Asked>,
    /// Of each namespace, since when.
    running: HashMap<u64, Vec<Instant>>,
    /// Of all of them.
    busy: usize,
    done: Vec<Found>,
    threads: usize,
    over: bool,
}

/// What is known of a name.
pub(crate) struct Found {
    pub(crate) name: Name,
    /// Whose it is alone; none: of all who ask for it.
    pub(crate) by: Option<u64>,
    pub(crate) addresses: io::Result<Vec<IpAddr>>,
}

struct Asked {
    by: u64,
    name: Name,
    lookup: Lookup,
    /// It has to wait, and the file does not know it.
    is_unlisted: bool,
}

enum Job {
    LookUp(Asked, Instant),
    /// In the file alone, as it has to wait for who may be asked: names that are there do not wait for those that nobody answers for.
    Look(u64, Name),
}

impl Work {
    fn is_next(&self, asked: &Asked, now: Instant) -> bool {
        let own = self.running.get(&asked.by).map(Vec::as_slice).unwrap_or_default();
        own.iter().filter(|since| now < **since + SLOW).count() < SHARE && own.len() < THREADS - self.busy
    }

    /// What can be done now.
    fn take(&mut self, now: Instant) -> Option<Job> {
        if let Some(place) = self.asked.iter().position(|asked| self.is_next(asked, now)) {
            let asked = self.asked.remove(place)?;
            self.running.entry(asked.by).or_default().push(now);
            self.busy += 1;
            return Some(Job::LookUp(asked, now));
        }
        let waiting = self.asked.iter_mut().find(|asked| !asked.is_unlisted)?;
        waiting.is_unlisted = true;
        Some(Job::Look(waiting.by, waiting.name.clone()))
    }

    /// How long nothing of what waits can be done, if nothing else comes.
    fn pause(&self, now: Instant) -> Duration {
        let slow = self.running.values().flatten().map(|since| *since + SLOW).filter(|at| *at > now).min();
        slow.filter(|_| !self.asked.is_empty()).map_or(IDLE, |at| (at - now).min(IDLE))
    }

    fn finish(&mut self, by: u64, since: Instant) {
        self.busy -= 1;
        if let Entry::Occupied(mut running) = self.running.entry(by) {
            if let Some(place) = running.get().iter().position(|other| *other == since) {
                running.get_mut().swap_remove(place);
            }
            if running.get().is_empty() {
                running.remove();
            }
        }
    }
}

impl Resolver {
    pub(crate) fn new() -> io::Result<Resolver> {
        Resolver::with(by_file)
    }

    fn with(by_file: fn(&str) -> Vec<IpAddr>) -> io::Result<Resolver> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Resolver(Arc::new(Shared { work: Mutex::default(), news: Condvar::new(), bell, by_file })))
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
        work.asked.push_back(Asked { by, name, lookup, is_unlisted: false });
        self.0.staff(&mut work);
        true
    }

    /// A namespace has ended: what it has asked for, and nobody has begun with, is nobody's any more.
    pub(crate) fn forget(&self, by: u64) {
        self.0.work().asked.retain(|asked| asked.by != by);
    }

    /// What a namespace knows without asking.
    pub(crate) fn tell(&self, by: u64, name: Name, addresses: Vec<IpAddr>) {
        self.0.work().done.push(Found { name, by: Some(by), addresses: Ok(addresses) });
        self.0.ring();
    }

    pub(crate) fn done(&self) -> Vec<Found> {
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

    /// Has somebody do what can be done, and look after what has to wait: one for all of that.
    fn staff(self: &Arc<Shared>, work: &mut Work) {
        let now = Instant::now();
        let next = work.asked.iter().filter(|asked| work.is_next(asked, now)).count().max(1);
        if work.asked.is_empty() || next <= work.threads - work.busy {
            return self.news.notify_one();
        }
        // One more than can look up names at a time.
        if work.threads > THREADS {
            return;
        }
        let shared = self.clone();
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
                let failed = |Asked { name, .. }| Found { name, by: None, addresses: Err(kind.into()) };
                let failed: Vec<_> = work.asked.drain(..).map(failed).collect();
                work.done.extend(failed);
                self.ring();
            }
            // Those that there are do it.
            Err(_) => {}
        }
    }

    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    fn look_up(self: &Arc<Shared>) {
        let mut work = self.work();
        let mut last = Instant::now();
        loop {
            while let Some(job) = work.take(Instant::now()) {
                if matches!(job, Job::LookUp(..)) && !work.asked.is_empty() {
                    self.staff(&mut work);
                }
                drop(work);
                match job {
                    Job::LookUp(Asked { by, name, lookup, .. }, since) => {
                        let found = lookup(name.as_str());
                        work = self.work();
                        work.finish(by, since);
                        work.done.push(Found { name, by: None, addresses: found });
                        self.ring();
                    }
                    Job::Look(by, name) => {
                        let found = (self.by_file)(name.as_str());
                        work = self.work();
                        let place = work.asked.iter().position(|asked| asked.by == by && asked.name == name);
                        if !found.is_empty()
                            && let Some(place) = place
                        {
                            work.asked.remove(place);
                            work.done.push(Found { name, by: None, addresses: Ok(found) });
                            self.ring();
                        }
                    }
                }
                last = Instant::now();
            }
            if work.over || last.elapsed() >= IDLE && work.asked.is_empty() {
                break;
            }
            let pause = work.pause(Instant::now());
            (work, _) = self.news.wait_timeout(work, pause).unwrap_or_else(PoisonError::into_inner);
        }
        work.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            if let Some(found) = done.first() {
                return found.name.as_str().to_owned();
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
    fn names_that_nobody_answers_for_hold_up_no_other_of_the_same_namespace() {
        let listed = |name: &str| if name.starts_with("listed") { vec![[192, 0, 2, 1].into()] } else { Vec::new() };
        let resolver = Resolver::with(listed).unwrap();
        (0..WAITING / 2).for_each(|number| assert!(resolver.ask(1, name(number), hangs)));
        let started = Instant::now();
        resolver.ask(1, "listed.example".parse().unwrap(), hangs);
        assert_eq!(first(&resolver), "listed.example");
        assert!(started.elapsed() < SLOW, "{:?}", started.elapsed());

        let resolver = Resolver::with(|_| Vec::new()).unwrap();
        (0..SHARE + 4).for_each(|number| assert!(resolver.ask(1, name(number), hangs)));
        let started = Instant::now();
        resolver.ask(1, "quick.example".parse().unwrap(), |_| Ok(Vec::new()));
        assert_eq!(first(&resolver), "quick.example");
        assert!(started.elapsed() < 4 * SLOW, "{:?}", started.elapsed());
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
