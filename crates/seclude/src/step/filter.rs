//! The filter of system calls: a profile, and what no namespace, mount or capability can hold back.

pub(super) mod asked;
mod base;
mod closed;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use seclude_child::Op;
use seclude_child::op::Listens;
use seclude_request::{Field, Remedy};
use seclude_seccomp::{Given, Profile, Program as Code, Refused};
use seclude_sys::{Errno, Fd};

use self::base::{Base, Depends, at, base, read, wrong};
pub(super) use self::closed::closed;
use self::closed::{refused, writes_to_the_host};
use super::nesting::ByFilter;
use super::reopen::Anew;
use super::streams::View;
use super::{Born, Preparation, Step, descriptors, join, user};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::born::WhenListening;
use crate::config::capability::{Capabilities, Capability};
use crate::config::namespace::Namespace;
use crate::config::seccomp::{From, Seccomp};
use crate::denials::Judge;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::listeners::Listening;
use crate::program::Program;

const NAME: &str = "filter";

/// The calls by which a listener is handed over; and, where the command goes on as another process behind it, those by which it does, and is
/// known.
const HANDED_OVER: [&str; 11] =
    ["sendmsg", "close", "read", "clone", "sendto", "exit", "exit_group", "prctl", "setsid", "ioctl", "rt_sigprocmask"];
/// How many of them each listener is handed over by.
const ALWAYS: usize = 3;

struct Filter {
    seccomp: Seccomp,
    depends: Depends,
    base: Base,
    refused: Refused,
    /// The same, should the command be handed a file, or a directory.
    with: [Refused; 2],
    handed: descriptors::AsItIs,
    nesting: ByFilter,
    /// Why it does not list what it refuses, as far as the request tells.
    deaf: Option<&'static str>,
    /// By descriptor, as the launcher reads them, how each is installed, and whether it listens. The first allows the next.
    programs: Vec<(OwnedFd, u32, Listens)>,
    /// Who hands its listener to somebody that answers what it asks.
    answers: Option<WhenListening>,
    /// Whether the command goes on as another process behind it.
    is_late: bool,
    is_sandboxed: bool,
    /// Whether its capabilities are of another user namespace than the caller's.
    is_remote: bool,
}

/// The files, in the parent, and the right to read them, for the launcher.
pub(super) fn keep(command: &Config, host: &Host, nesting: &ByFilter, anew: &Anew) -> Result<Option<Box<dyn Step>>> {
    Ok(filter(command, host, nesting, anew)?.map(|filter| Box::new(filter) as Box<dyn Step>))
}

fn filter(command: &Config, host: &Host, nesting: &ByFilter, anew: &Anew) -> Result<Option<Filter>> {
    let capabilities = command.capabilities.unwrap_or(Capabilities::ALL).bits();
    let depends = Depends {
        given: Given {
            nested: command.nested,
            capabilities,
            init: command.init,
            // Process 1 of a pid namespace has none. The launcher makes one, where the command goes on as another process behind the filter.
            siblings: command.init
                || command.namespaces.is_new(Namespace::Pid)
                || join::enters_pid_namespace_late(command),
            huge_pages: counts_huge_pages(command),
        },
        kernel: Host::kernel(),
    };
    let base = base(&command.seccomp, depends)?;
    if !is_filtered(command) && matches!(base, Base::Nothing) {
        return Ok(None);
    }
    let privileged = host.has(Capability::SYS_ADMIN)
        || command.namespaces.is_new(Namespace::User)
        || command.namespaces.is_joined(Namespace::User);
    if !command.no_new_privileges && !privileged {
        let action = "without no_new_privs, and without CAP_SYS_ADMIN, the kernel takes no filter of system calls";
        let hint = Hint::from("keep it, or go without a filter")
            .with([Remedy::set("rights.no_new_privileges", true), Remedy::set("seccomp.profile", "none")]);
        return Err(Error::invalid(NAME, action).at("rights.no_new_privileges").contradicting().hint(hint));
    }
    let view = if writes_to_the_host(command) { View::Places } else { View::Nothing };
    // An open file is not id-mapped: its owner is none of ids that nobody has, and nobody else changes its mode.
    let with =
        |handed: View| refused(command, host, if user::is_chosen(command, host) { view } else { view.max(handed) });
    Ok(Some(Filter {
        seccomp: command.seccomp.clone(),
        depends,
        base,
        refused: refused(command, host, view),
        with: [with(View::Files), with(View::Places)],
        handed: descriptors::AsItIs::of(command, anew),
        nesting: nesting.clone(),
        deaf: deaf(command),
        programs: Vec::new(),
        answers: command.when_listening.clone(),
        is_late: join::enters_pid_namespace_late(command),
        is_sandboxed: command.is_sandboxed(),
        is_remote: [command.namespaces.is_new(Namespace::User), command.namespaces.is_joined(Namespace::User)]
            .contains(&true),
    }))
}

fn counts_huge_pages(command: &Config) -> bool {
    command.cgroup.as_ref().is_some_and(|cgroup| !cgroup.limits.hugetlb.is_empty())
}

/// Why nobody can listen to it, if that is so.
fn deaf(command: &Config) -> Option<&'static str> {
    if !command.seccomp.denials {
        return Some("it is not asked for");
    }
    // Without whoever answers, each refused call would be answered ENOSYS.
    (!command.die_with_parent).then_some("the command may go on when this process has ended")
}

impl Filter {
    /// The programs, and the profile of one that can list what it refuses.
    fn compiled(&self, base: &Base) -> Result<(Vec<Code>, Option<Profile>)> {
        let alone = || (!self.refused.is_empty()).then(|| self.refused.program());
        Ok(match base {
            Base::Nothing | Base::File => {
                let program = alone();
                let profile = program.is_some().then(|| self.refused.profile());
                (program.into_iter().collect(), profile)
            }
            Base::Profile(profile) => {
                let mut profile = profile.clone();
                profile.refuse(self.refused);
                if profile.notifies() {
                    self.can_be_asked(&profile)?;
                }
                let program = profile.compile();
                program.check().map_err(wrong(at("profile")))?;
                (vec![program], Some(profile))
            }
            Base::Finished(program) => (alone().into_iter().chain([program.clone()]).collect(), None),
        })
    }

    /// What asks needs somebody who answers, and who is there before the first question.
    fn can_be_asked(&self, profile: &Profile) -> Result<()> {
        let wrong = |why: String| Err(Error::invalid(NAME, why).at_field(at("profile")).contradicting());
        if self.answers.is_none() {
            return wrong("SCMP_ACT_NOTIFY, and nobody would be notified".to_owned());
        }
        // Between the filter and the command's exec the launcher makes them, and whoever answers does not have the listener yet.
        let always = HANDED_OVER.get(..ALWAYS).unwrap_or(&HANDED_OVER);
        let named = if self.is_late { &HANDED_OVER[..] } else { always };
        if let Some(call) = profile.notifies_of(named) {
            return wrong(format!("SCMP_ACT_NOTIFY for {call}, by which the listener itself is handed over"));
        }
        match profile.refuses_one_of(always) {
            Some(call) => wrong(format!("it does not allow {call}, by which its listener is handed over")),
            None => Ok(()),
        }
    }

    fn judge(&self, program: Code, profile: Profile) -> Judge {
        let is_own = self.seccomp.from == From::Default;
        let capability = |number: u32| Capability::all().find(|known| known.bit() == 1 << number).map(Capability::name);
        Judge { program, profile, refused: self.refused, is_own, is_remote: self.is_remote, capability }
    }

    /// Whoever is asked about what it refuses, or why nobody is.
    fn listening(&self, program: &Code, profile: Option<Profile>) -> std::result::Result<Listening, String> {
        if let Some(deaf) = self.deaf {
            return Err(deaf.to_owned());
        }
        let Some(profile) = profile else { return Err("a finished program answers by itself".to_owned()) };
        // The listener is handed over behind it.
        const MSG_NOSIGNAL: u64 = 0x4000;
        if !profile.always_allows_with("sendmsg", 2, MSG_NOSIGNAL) {
            return Err("the profile does not allow sendmsg, by which its listener would be handed over".to_owned());
        }
        if profile.refuses_one_of(&["close"]).is_some() {
            return Err("the profile does not allow close, which its listener's own hand-over ends with".to_owned());
        }
        let judge = self.judge(program.clone(), profile);
        Listening::waiting(judge).map_err(|error| format!("there is no thread for it: {error}"))
    }
}

impl Step for Filter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("seccomp"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let [with_files, with_places] = self.with;
        self.refused = match self.handed.view() {
            View::Nothing => self.refused,
            View::Files => with_files,
            View::Places => with_places,
        };
        self.refused.user_namespaces |= self.nesting.is_needed();
        self.refused.signals_of_terminals = self.is_sandboxed && self.handed.has_terminal();
        let from_file = match &self.seccomp.from {
            From::File(path) => Some(read(path, &self.seccomp, self.depends)?),
            _ => None,
        };
        let failed =
            |call: &'static str| move |error: std::io::Error| Error::parent(NAME, "of system calls", error).call(call);
        let (programs, profile) = self.compiled(from_file.as_ref().unwrap_or(&self.base))?;
        let asks = profile.as_ref().is_some_and(Profile::notifies);
        let mut listens = if asks { Listens::Asks } else { Listens::No };
        if let Some(first) = programs.first().filter(|_| !asks) {
            match self.listening(first, profile) {
                Ok(listening) => (listens, preparation.ends.listening) = (Listens::Refused, Some(listening)),
                Err(deaf) => preparation.report.deaf = Some(deaf),
            }
        }
        for program in programs {
            let file =
                memfd_create("seclude-filter", MemfdFlags::CLOEXEC).map_err(|e| failed("memfd_create")(e.into()))?;
            let mut file = File::from(file);
            file.write_all(&program.to_bytes()).map_err(failed("write"))?;
            let lifted = preparation.lifted(file.into()).map_err(|e| failed("fcntl")(e.into()))?;
            self.programs.push((lifted, program.flags(), listens));
        }
        Ok(())
    }

    fn serves(&self) -> bool {
        self.answers.is_some()
    }

    fn serve(&self, born: &Born, listener: OwnedFd) -> Result<()> {
        let failed = |error| Error::parent(NAME, "the caller's own work with its listener", error);
        self.answers.as_ref().map_or(Ok(()), |work| work.run(born.pid.unsigned_abs(), listener)).map_err(failed)
    }

    fn keeps(&self) -> Vec<Fd> {
        self.programs.iter().map(|(program, ..)| Fd(program.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let Some(about) = self.said() else { return };
        program.about_owned(about);
        // Before `prepare` there is one that is not open.
        let would = if self.deaf.is_none() { Listens::Refused } else { Listens::No };
        let planned = self.programs.is_empty().then_some((Fd::NONE, 0, would));
        let open = self.programs.iter().map(|(file, flags, listens)| (Fd(file.as_raw_fd()), *flags, *listens));
        for (fd, flags, listens) in open.chain(planned) {
            program.push(Op::Keep { fd });
            program.filters.push((fd, flags, listens));
        }
    }

    fn describe(&self, to: &mut Describe) {
        if let Some(about) = self.said() {
            to.prepare(NAME, format!("assemble it: {about}"));
        }
        let [with_files, _] = self.with;
        if with_files != self.refused {
            to.prepare(NAME, format!("with a file among its descriptors: {}", describe(with_files)));
        }
    }
}

impl Filter {
    /// What it is, if there is one.
    fn said(&self) -> Option<String> {
        let base = match &self.seccomp.from {
            From::Nothing => None,
            From::Default => Some("the default profile".to_owned()),
            From::Oci(_) => Some("a profile as OCI has it".to_owned()),
            From::File(path) => Some(format!("the profile or program in {}", path.display())),
            From::Bpf(bytes) => Some(format!("a finished program of {} instructions", bytes.len() / 8)),
        };
        let list = |names: Vec<String>| names.join(", ");
        let errno = |errno: &Option<i32>| match errno.map(|errno| Errno(errno as u16)) {
            None => String::new(),
            Some(errno) => format!(" with {}", errno.name().map_or_else(|| errno.0.to_string(), str::to_owned)),
        };
        let allowed = (!self.seccomp.allow.is_empty()).then(|| format!("allow {}", list(self.seccomp.allow.clone())));
        let denied = self.seccomp.deny.iter().map(|(name, number)| format!("{name}{}", errno(number))).collect();
        let denied = (!self.seccomp.deny.is_empty()).then(|| format!("refuse {}", list(denied)));
        // Of the sandbox's own profile everybody takes that for granted.
        let told = base.is_none();
        let Refused { leases, nested, beyond_files, .. } = self.refused;
        let refused = Refused {
            leases: leases && told,
            nested: nested && told,
            beyond_files: beyond_files && told,
            ..self.refused
        };
        let refused = (!refused.is_empty()).then(|| describe(refused));
        let parts: Vec<String> = [base, allowed, denied, refused].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn describe(refused: Refused) -> String {
    let words = [
        (refused.beside_tcp, "nothing that goes past rules of TCP ports: MPTCP, SCTP, connecting by sending"),
        (refused.datagrams, "no datagrams over IP"),
        (refused.unix_sockets, "no unix sockets that lead to others"),
        (refused.listening, "no listening"),
        (refused.metadata, "no changes of files' modes, owners, times and attributes, as it is the host's root"),
        (refused.leases, "no leases of files"),
        (refused.beyond_files, "no requests of file systems that reach further than a file: snapshots, keys"),
        (refused.core_limit, "no change of the limit by which there are no core dumps"),
        (refused.signals_of_terminals, "no signals by the caller's terminal, O_ASYNC"),
        (refused.watches, "no watching of files, inotify(7)"),
        (refused.limits_of_others, "no resource limits of other processes"),
        (
            refused.set_id,
            "no set-user-ID and set-group-ID bits, as the command has files of the host that it could give them",
        ),
        (refused.attributes, "no extended attributes, as it can give files capabilities there"),
        (refused.user_namespaces, "no user namespaces, as the kernel's own limit cannot be set for it"),
        (refused.nested && !refused.user_namespaces, "no user namespaces"),
    ];
    let all: Vec<&str> = words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    all.join("; ")
}

/// By the launcher: before the rights go if that takes rights, else once no new ones can be had.
struct Install {
    before_rights: bool,
}

/// Whether there is one, whatever its profile is.
pub(super) fn is_filtered(command: &Config) -> bool {
    // Rules of ports need one.
    command.is_sandboxed() || command.seccomp != Seccomp::none() || command.landlock.has_ports()
}

pub(super) fn install(command: &Config, before_rights: bool) -> Option<Box<dyn Step>> {
    (is_filtered(command) && command.no_new_privileges != before_rights)
        .then(|| Box::new(Install { before_rights }) as _)
}

impl Step for Install {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (file, flags, listens) in program.filters.clone() {
            program.about(if self.before_rights { "with CAP_SYS_ADMIN" } else { "with no_new_privs" });
            program.push(Op::Filter { file, flags, listens });
        }
    }
}
