//! Which system calls a command may make.

use std::path::PathBuf;

use seclude_seccomp::Architecture;
use serde_json::Value as Json;

/// The filter of system calls, seccomp(2): what it begins from, and what is changed of that.
///
/// It is the last thing but exec, and holds for all that the command starts. Without `no_new_privs` it takes CAP_SYS_ADMIN.
#[derive(Clone, PartialEq, Debug)]
pub struct Seccomp {
    pub(crate) from: From,
    /// Of a finished program.
    pub(crate) flags: Vec<String>,
    pub(crate) allow: Vec<String>,
    /// With the error number; `None` is EPERM.
    pub(crate) deny: Vec<(String, Option<i32>)>,
    /// Whether what it refuses is listed.
    pub(crate) denials: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum From {
    Default,
    Nothing,
    Oci(Json),
    File(PathBuf),
    Bpf(Vec<u8>),
}

impl Seccomp {
    fn begin(from: From) -> Seccomp {
        Seccomp { from, flags: Vec::new(), allow: Vec::new(), deny: Vec::new(), denials: true }
    }

    /// The sandbox's own profile: what ordinary programs need, and nothing that containers have been left by. No mounts, no other
    /// namespaces (both with [`crate::Command::nested`] or CAP_SYS_ADMIN), no keyrings, no tracing of other processes, no BPF, no io_uring, no
    /// sockets but unix, IP and route netlink.
    pub fn standard() -> Seccomp {
        Seccomp::begin(From::Default)
    }

    /// No filter, but for what no mount can hold back: see [`crate::Command::sandbox`].
    pub fn none() -> Seccomp {
        Seccomp::begin(From::Nothing)
    }

    /// A profile as the `linux.seccomp` of an OCI configuration has it, or Docker's and Podman's files.
    pub fn oci(profile: Json) -> Seccomp {
        Seccomp::begin(From::Oci(profile))
    }

    /// The architectures whose calls a filter here is asked about, by the names that such a profile has for them, sorted.
    pub fn architectures() -> Vec<&'static str> {
        let mut names: Vec<&str> = Architecture::OF_THIS_MACHINE.iter().map(|one| one.libseccomp_name()).collect();
        names.sort_unstable();
        names
    }

    /// Takes out of such an object what no version of the specification that is known here has, and answers where that was, such as
    /// `syscalls[0].x`. A runtime passes it over (config.md, "Extensibility"); [`Seccomp::oci`] has it be an error.
    pub fn take_unknown(document: &mut serde_json::Value) -> Vec<String> {
        seclude_seccomp::take_unknown(document)
    }

    /// The same in a file of the host, or a finished program of BPF; it is read at each start.
    pub fn file(path: impl Into<PathBuf>) -> Seccomp {
        Seccomp::begin(From::File(path.into()))
    }

    /// A finished program of classic BPF, `struct sock_filter[]` as the kernel reads it.
    pub fn bpf(program: impl Into<Vec<u8>>) -> Seccomp {
        Seccomp::begin(From::Bpf(program.into()))
    }

    /// Installs a finished program with a flag of seccomp(2): `SECCOMP_FILTER_FLAG_LOG` or `SECCOMP_FILTER_FLAG_SPEC_ALLOW`. A profile has its own.
    #[must_use]
    pub fn flag(mut self, name: impl Into<String>) -> Seccomp {
        self.flags.push(name.into());
        self
    }

    /// Whether what it refuses with an error number is listed, [`crate::Child::denials`]: a thread of this process is asked about each, by the kernel,
    /// and nothing else costs anything. Default: true. A process can have one such listener: programs inside that want their own, as
    /// container engines do for some profiles, get EBUSY. A signal whose handler restarts no calls (SA_RESTART, signal(7)) and that comes just then has the call answer EINTR. Linux 5.0; a start without a listener says why in
    /// [`crate::Report::deaf`].
    #[must_use]
    pub fn denials(mut self, listed: bool) -> Seccomp {
        self.denials = listed;
        self
    }

    /// Allows a call whatever the profile says, or a group of them, such as `@mount`.
    #[must_use]
    pub fn allow(mut self, name: impl Into<String>) -> Seccomp {
        self.allow.push(name.into());
        self
    }

    /// Refuses a call with EPERM whatever the profile says.
    #[must_use]
    pub fn deny(self, name: impl Into<String>) -> Seccomp {
        self.deny_with(name, None)
    }

    /// Refuses a call with this error number; `None` is EPERM.
    #[must_use]
    pub fn deny_with(mut self, name: impl Into<String>, errno: impl Into<Option<i32>>) -> Seccomp {
        self.deny.push((name.into(), errno.into()));
        self
    }
}
