//! What the filter of system calls has refused: who asked for what, by which rule, and what would allow it.
//!
//! The filter asks a thread of this process about what it refuses (`listeners.rs`), and nothing else pays for that. No call is let go
//! on: whoever asked may have changed what the arguments point to, so it is no place for decisions.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use seclude_request::Remedy;
use seclude_seccomp::{Action, Architecture, Given, Profile, Program, Refused};
use seclude_sys::{Errno, seccomp};
use serde_json::{Value as Json, json};

/// How many are kept one by one.
const MOST: usize = 1000;

/// A system call that was refused.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Denial {
    /// Its name, or its number where it has none.
    pub call: String,
    /// Whose calls it is one of, such as `x86_64`.
    pub architecture: &'static str,
    /// The arguments that decided, each with its place from 0, as the registers had them.
    pub arguments: Vec<(u8, u64)>,
    /// What it was answered, errno(3); 0 is a success that did nothing.
    pub errno: i32,
    /// By what.
    pub rule: DenialRule,
    /// Who made it: the name of the process, which it can choose, of at most 15 bytes. `None` where /proc does not tell.
    pub program: Option<String>,
    /// Its pid inside the container.
    pub pid: Option<i32>,
    /// How often.
    pub times: u64,
    /// What would allow it; empty: nothing does.
    pub remedies: Vec<Remedy>,
}

/// By what a call was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DenialRule {
    /// The profile does not allow it.
    NotAllowed,
    /// The profile refuses it.
    Refused,
    /// The profile refuses it with such arguments.
    Arguments,
    /// What no profile can allow: set-user-ID bits on files of the host, user namespaces.
    Always,
}

impl DenialRule {
    /// The stable name, such as `"not-allowed"`.
    pub fn name(self) -> &'static str {
        match self {
            DenialRule::NotAllowed => "not-allowed",
            DenialRule::Refused => "refused",
            DenialRule::Arguments => "arguments",
            DenialRule::Always => "always",
        }
    }
}

impl Denial {
    /// `ptrace(0x0, …): EPERM, 3 times, by strace (pid 7)`, and behind it what can be done in a door's own words.
    pub fn message_with(&self, say: impl Fn(&Remedy) -> Option<String>) -> String {
        let errno = Errno(self.errno as u16).name().map_or_else(|| self.errno.to_string(), str::to_owned);
        let arguments: Vec<_> =
            self.arguments.iter().map(|(place, value)| format!("argument {place}: {value:#x}")).collect();
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let kind = if self.architecture == Architecture::NATIVE.name() { "" } else { self.architecture };
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        let who = match (&self.program, self.pid) {
            (Some(program), Some(pid)) => format!(", by {} (pid {pid})", program.escape_debug()),
            (Some(program), None) => format!(", by {}", program.escape_debug()),
            (None, _) => String::new(),
        };
        let refused =
            format!("{kind}{}{}{arguments}: {errno}{times}{who}", if kind.is_empty() { "" } else { " " }, self.call);
        Remedy::behind(&refused, &self.remedies, say)
    }

    /// As docs/report.schema.json has it; `say` has what each remedy is there: [`Remedy::to_json`].
    pub fn to_json(&self, say: &dyn Fn(&Remedy) -> Json) -> Json {
        json!({
            "call": self.call,
            "architecture": self.architecture,
            "arguments": self.arguments.iter().map(|(place, value)| json!({ "index": place, "value": value })).collect::<Vec<_>>(),
            "errno": Errno(self.errno as u16).name(),
            "rule": self.rule.name(),
            "program": self.program,
            "pid": self.pid,
            "times": self.times,
            "remedies": self.remedies.iter().map(say).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message_with(|_| None))
    }
}

/// What a container has been refused so far; it grows while that runs.
///
/// At most 1,000 are kept, and 100 a second looked at one by one; the rest is counted. The same call of the same process is one, with the number of
/// times. Calls that are answered ENOSYS, as an older kernel would, are not among them.
#[derive(Clone, Debug, Default)]
pub struct Denials(Arc<Book>);

/// Two are the same if they are of one container.
impl PartialEq for Denials {
    fn eq(&self, other: &Denials) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Denials {}

#[derive(Debug, Default)]
struct Book {
    page: Mutex<Page>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Page {
    denials: Vec<Denial>,
    more: u64,
    /// Nothing comes any more.
    closed: bool,
    /// Who wrote it, if that ends with it.
    writer: Option<JoinHandle<()>>,
}

impl Denials {
    /// Of a container that has no listener.
    pub(crate) fn none() -> Denials {
        let none = Denials::default();
        none.close(None);
        none
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are kept, in the order in which they came first.
    pub fn list(&self) -> Vec<Denial> {
        self.page().denials.clone()
    }

    /// The same as docs/report.schema.json has it; `say` has what each remedy is there: [`Remedy::to_json`].
    pub fn to_json(&self, say: &dyn Fn(&Remedy) -> Json) -> Json {
        self.list().iter().map(|denial| denial.to_json(say)).collect()
    }

    /// How many there were besides.
    pub fn more(&self) -> u64 {
        self.page().more
    }

    /// Waits for the one that comes after the first `seen`; `None` once nothing can come any more, at the end of all that the
    /// filter holds for.
    pub fn after(&self, seen: usize) -> Option<Denial> {
        let waiting = |page: &mut Page| !page.closed && page.denials.len() <= seen;
        let page = self.0.news.wait_while(self.page(), waiting).unwrap_or_else(PoisonError::into_inner);
        page.denials.get(seen).cloned()
    }

    /// Nothing comes any more; `writer` ends with it.
    pub(crate) fn close(&self, writer: Option<JoinHandle<()>>) {
        let mut page = self.page();
        (page.closed, page.writer) = (true, writer);
        self.0.news.notify_all();
    }

    /// Waits until that is so.
    pub(crate) fn closed(&self) {
        let open = |page: &mut Page| !page.closed;
        let mut page = self.0.news.wait_while(self.page(), open).unwrap_or_else(PoisonError::into_inner);
        let writer = page.writer.take();
        drop(page);
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }

    pub(crate) fn note(&self, denial: Option<Denial>) {
        let mut page = self.page();
        let Some(denial) = denial else {
            page.more += 1;
            return;
        };
        let same = |known: &&mut Denial| Denial { times: known.times, ..denial.clone() } == **known;
        if let Some(known) = page.denials.iter_mut().find(same) {
            known.times += 1;
        } else if page.denials.len() < MOST {
            page.denials.push(denial);
            self.0.news.notify_all();
        } else {
            page.more += 1;
        }
    }
}

/// What would allow a call, by its name, whether any profile could, and the arguments that decided.
pub(crate) type Known = HashMap<(&'static str, bool, Vec<(u8, u64)>), Vec<Remedy>>;

/// What the filter answers, and why.
pub(crate) struct Judge {
    /// As it answers where nobody listens.
    pub(crate) program: Program,
    pub(crate) profile: Profile,
    /// What the profile could not allow.
    pub(crate) refused: Refused,
    /// Whether the profile is the sandbox's own, of which more is known.
    pub(crate) is_own: bool,
    /// Whether its capabilities are of another user namespace than the caller's.
    pub(crate) is_remote: bool,
    /// The name of the capability with this number.
    pub(crate) capability: fn(u32) -> Option<&'static str>,
}

impl Judge {
    pub(crate) fn denial(&self, call: &seccomp::Notification, known: &mut Known) -> (u16, Denial) {
        let arguments = &call.arguments;
        let kind = Architecture::of_call(call.architecture, call.number);
        let errno = self.errno(call);
        let name = kind.and_then(|kind| kind.name_of(call.number));
        let rule = kind.and_then(|kind| {
            let always = self.refused.profile();
            let refuses = |rule: &&seclude_seccomp::Rule| !rule.action.allows();
            let kept = always.rule_for(kind, call.number, arguments).filter(refuses).cloned();
            kept.map(|rule| (true, rule))
                .or_else(|| self.profile.rule_for(kind, call.number, arguments).map(|rule| (false, rule.clone())))
        });
        let mut decided: Vec<(u8, u64)> = Vec::new();
        for condition in rule.iter().flat_map(|(_, rule)| &rule.conditions) {
            let value = arguments.get(usize::from(condition.argument)).copied().unwrap_or_default();
            if !decided.contains(&(condition.argument, value)) {
                decided.push((condition.argument, value));
            }
        }
        let (rule, kept) = match rule {
            Some((true, _)) => (DenialRule::Always, true),
            Some((false, rule)) if rule.conditions.is_empty() => (DenialRule::Refused, false),
            Some(_) => (DenialRule::Arguments, false),
            None => (DenialRule::NotAllowed, false),
        };
        if known.len() > MOST {
            known.clear();
        }
        let remedies = name.map_or_else(Vec::new, |name| {
            let key = (name, kept, decided.clone());
            known.entry(key).or_insert_with(|| self.remedies(name, kept, arguments)).clone()
        });
        let (program, pid) = who(call.tid);
        let denial = Denial {
            call: name.map_or_else(|| call.number.to_string(), str::to_owned),
            architecture: kind.map_or("unknown", Architecture::name),
            arguments: decided,
            errno: errno.into(),
            rule,
            program,
            pid,
            times: 1,
            remedies,
        };
        (errno, denial)
    }

    /// Whether it is answered as if it were done, which is no refusal.
    pub(crate) fn is_done(&self, call: &seccomp::Notification) -> bool {
        if !self.refused.core_limit || self.errno(call) != 0 {
            return false;
        }
        let kind = Architecture::of_call(call.architecture, call.number);
        let always = self.refused.profile();
        let rule = kind.and_then(|kind| always.rule_for(kind, call.number, &call.arguments));
        rule.is_some_and(|rule| rule.action == Action::Errno(0))
    }

    pub(crate) fn errno(&self, call: &seccomp::Notification) -> u16 {
        let kind = Architecture::of_call(call.architecture, call.number);
        let errno = kind.and_then(|kind| self.program.errno_for(kind, call.number, &call.arguments));
        errno.unwrap_or(Errno::EPERM.0)
    }

    /// What would allow a call; `kept`: it is refused by what no profile could allow.
    pub(crate) fn remedies(&self, name: &str, kept: bool, arguments: &[u64; 6]) -> Vec<Remedy> {
        let nested = || Remedy::set("nested", true);
        if kept {
            // (Where there are no namespaces at all, there are none below.)
            let may_nest = (self.refused.user_namespaces || self.refused.nested) && !self.refused.limits_of_others;
            let spaces = may_nest && ["clone", "unshare", "setns"].contains(&name);
            // Refused for want of a rule of landlock's, and not because they go past those that there are.
            let sockets = ["socket", "socketpair", "listen"].contains(&name) && {
                let others = Refused { unix_sockets: false, datagrams: false, listening: false, ..self.refused };
                let number = Architecture::NATIVE.number_of(name).unwrap_or(u32::MAX);
                others.profile().evaluate(Architecture::NATIVE, number, arguments).allows()
            };
            let allow = |name: &str| Remedy::set("seccomp.allow", json!([name]));
            // By the host's root alone, whatever the file is: no rule of landlock is for it.
            let metadata = self.refused.metadata && {
                let others = Refused { metadata: false, ..self.refused };
                let number = Architecture::NATIVE.number_of(name).unwrap_or(u32::MAX);
                others.profile().evaluate(Architecture::NATIVE, number, arguments).allows()
            };
            let other_user = metadata.then(|| Remedy::give("user.uid"));
            let watches = self.refused.watches && name.starts_with("inotify_");
            let allowed =
                [(sockets, "socket"), (watches, name)].into_iter().filter(|(it, _)| *it).map(|(_, name)| allow(name));
            return spaces.then(nested).into_iter().chain(other_user).chain(allowed).collect();
        }
        if name == "ioctl" || name == "seccomp" {
            // Allowed by its name it would be so for everything, typing into the terminal included.
            return Vec::new();
        }
        let is_audit = (arguments[0] as u32, arguments[2] as u32) == (NETLINK, NETLINK_AUDIT);
        if name == "socket" && is_audit {
            // Whoever writes to the kernel's log does without it: the refusal is no reason why anything failed.
            return Vec::new();
        }
        let number = Architecture::NATIVE.number_of(name).unwrap_or(u32::MAX);
        let brought = |given| Profile::sandbox(given).evaluate(Architecture::NATIVE, number, arguments).allows();
        let allow = Remedy::set("seccomp.allow", json!([name]));
        if self.is_own && brought(Given { init: true, siblings: true, ..Given::default() }) {
            // The caller has refused it, which goes before all that is allowed.
            return Vec::new();
        }
        let needed = needed(name, arguments).filter(|_| self.is_own);
        if self.is_remote && needed.is_some_and(|needed| OF_THE_HOST.contains(&needed)) {
            // With it the kernel itself would refuse the call.
            return Vec::new();
        }
        if let Some(capability) = needed.and_then(self.capability) {
            return vec![Remedy::set("rights.capabilities", json!([capability]))];
        }
        if self.is_own && !self.refused.limits_of_others && makes_user_namespace(name, arguments) {
            return vec![nested()];
        }
        // (As above.)
        if self.is_own
            && !self.refused.limits_of_others
            && brought(Given { nested: true, init: true, siblings: true, ..Given::default() })
        {
            return vec![nested(), allow];
        }
        vec![allow]
    }
}

const NETLINK: u32 = 16;
const NETLINK_AUDIT: u32 = 9;

/// Capabilities that the kernel asks for in the host's own user namespace alone: modules, ports, accounting, the clock, its log.
const OF_THE_HOST: [u32; 5] = [16, 17, 20, 25, 34];

/// The capability that brings a call along, where the kernel would refuse it to who has none: that the filter allowed it were no help.
fn needed(name: &str, arguments: &[u64; 6]) -> Option<u32> {
    /// One's own processes can be looked at without it.
    const SYS_PTRACE: u32 = 19;
    const SYS_ADMIN: u32 = 21;
    /// Of sockets that NET_ADMIN brings along too the kernel asks for this one.
    const NET_RAW: u32 = 13;
    // A user namespace brings its own capabilities.
    if makes_user_namespace(name, arguments) || ["clone3", "setns"].contains(&name) {
        return None;
    }
    let number = Architecture::NATIVE.number_of(name)?;
    let brings = |bit: &u32| {
        let profile =
            Profile::sandbox(Given { init: true, siblings: true, capabilities: 1 << bit, ..Given::default() });
        profile.evaluate(Architecture::NATIVE, number, arguments).allows()
    };
    // What has a capability of its own is not told to take the one for everything.
    let rest =
        [NET_RAW].into_iter().chain((0..64).filter(|bit| ![SYS_PTRACE, SYS_ADMIN].contains(bit))).chain([SYS_ADMIN]);
    Given::capability_for(name).filter(|bit| *bit != SYS_ADMIN).or_else(|| rest.into_iter().find(brings))
}

fn makes_user_namespace(name: &str, arguments: &[u64; 6]) -> bool {
    // Of an unshare of nothing it is asked in general.
    let in_general = name == "unshare" && arguments[0] == 0;
    let asked = arguments[0] & u64::from(seclude_sys::clone::CLONE_NEWUSER) != 0;
    in_general || (asked && ["clone", "unshare"].contains(&name))
}

/// The name and the pid inside of the process that a thread is of.
fn who(tid: u32) -> (Option<String>, Option<i32>) {
    if !crate::proc_is_of_own_pid_namespace() {
        return (None, None);
    }
    let Ok(status) = std::fs::read(format!("/proc/{tid}/status")) else { return (None, None) };
    let status = String::from_utf8_lossy(&status);
    let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    // One number a namespace, the innermost last.
    let pid = of("NStgid:").and_then(|pids| pids.split_ascii_whitespace().last()?.parse().ok());
    (of("Name:").map(str::to_owned), pid)
}
