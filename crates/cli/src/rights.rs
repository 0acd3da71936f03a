//! The flags of what the command may do: capabilities, privileges, system calls; and the request that they make.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args};
use seclude::request::{Profile, Request, Text};

use crate::args::Heading;
use crate::values::CapabilityName;

// What the command may do. (A doc comment would become the task's.)
#[derive(Args, Default)]
#[command(next_help_heading = "Rights")]
pub(crate) struct RightsFlags {
    /// Give a capability, such as NET_ADMIN, or ALL
    #[arg(long, value_name = "NAME")]
    cap_add: Vec<CapabilityName>,
    /// Take a capability away from --cap-add ALL, or ALL but those of --cap-add
    #[arg(long, value_name = "NAME")]
    cap_drop: Vec<CapabilityName>,
    /// Whether an exec inside may not gain privileges; it is so unless this is `false`
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    no_new_privs: Option<bool>,
    /// Which system calls it may make: default (the preset's), none (none but for what no mount can hold back), or a file: a profile of OCI's, Docker's or
    /// Podman's, or a finished program of BPF
    #[arg(long, value_name = "default|none|FILE")]
    seccomp: Option<ProfileSpec>,
    /// Allow a system call whatever the profile says, such as ptrace for a debugger, or a group, such as @mount; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_syscall: Vec<String>,
    /// Refuse one whatever the profile says, with EPERM or another error; may be repeated
    #[arg(long, value_name = "NAME[=ERRNO]")]
    deny_syscall: Vec<String>,
    /// Do not list what is refused: programs inside can have the one listener that there is, seccomp_unotify(2)
    #[arg(long)]
    pub(crate) no_denials: bool,
}

impl Heading for RightsFlags {
    const FLAGS: &[&str] =
        &["cap_add", "cap_drop", "no_new_privs", "seccomp", "allow_syscall", "deny_syscall", "no_denials"];
}

impl RightsFlags {
    /// Adds what these flags ask for.
    pub(crate) fn compose(&self, request: &mut Request) {
        self.capabilities(request);
        request.rights.no_new_privileges = self.no_new_privs.or(request.rights.no_new_privileges);
        let changed = self.seccomp.is_some() || !(self.allow_syscall.is_empty() && self.deny_syscall.is_empty());
        if !changed && !self.no_denials {
            return;
        }
        let seccomp = request.seccomp.get_or_insert_default();
        if let Some(spec) = &self.seccomp {
            (seccomp.profile, seccomp.file, seccomp.bpf) = match spec {
                ProfileSpec::Word(profile) => (Some(profile.clone()), None, None),
                ProfileSpec::File(path) => (None, Some(Text::from(path)), None),
            };
        }
        seccomp.allow.extend(self.allow_syscall.iter().cloned());
        seccomp.deny.extend(self.deny_syscall.iter().cloned());
        if self.no_denials {
            seccomp.denials = Some(false);
        }
    }

    /// What is added comes to what is there already, and what is dropped goes from all of that; ALL goes first.
    fn capabilities(&self, request: &mut Request) {
        if self.cap_add.is_empty() && self.cap_drop.is_empty() {
            return;
        }
        const ALL: &str = "ALL";
        let every = || seclude::Capability::all().map(|one| one.name().to_owned()).collect::<Vec<_>>();
        // A file may spell them in several ways.
        let one = |name: &mut String| {
            if let Ok(known) = name.parse::<seclude::Capability>() {
                known.name().clone_into(name);
            }
        };
        let mut before = request.rights.capabilities.take().unwrap_or_default();
        before.iter_mut().chain(&mut request.rights.ambient).for_each(one);
        let mut names = before.clone();
        // As engines have it: without all but those that are added, whichever was said first.
        let added_all = self.cap_add.iter().any(|added| matches!(added, CapabilityName::All));
        let drops_all_first = self.cap_drop.iter().any(|dropped| matches!(dropped, CapabilityName::All)) && !added_all;
        if drops_all_first {
            names.clear();
        }
        for added in &self.cap_add {
            match added {
                CapabilityName::All => names = vec![ALL.to_owned()],
                CapabilityName::One(one) => names.push(one.name().to_owned()),
            }
        }
        for dropped in &self.cap_drop {
            match dropped {
                CapabilityName::All if drops_all_first => {}
                CapabilityName::All => names.clear(),
                CapabilityName::One(one) => {
                    if names.iter().any(|name| name == ALL) {
                        names = every();
                    }
                    names.retain(|name| name != one.name());
                }
            }
        }
        // Those of somebody who is not root stay over the exec by being ambient, and none is that is not a capability at all.
        let ambient = &mut request.rights.ambient;
        ambient.retain(|name| names.contains(name) || names.iter().any(|name| name == ALL));
        if request.user.uid.is_some_and(|uid| uid != 0) {
            let added = names.iter().filter(|name| !before.contains(name));
            ambient.extend(added.filter(|name| !ambient.contains(name)).cloned().collect::<Vec<_>>());
        }
        request.rights.capabilities = Some(names);
    }
}

/// What the filter begins from.
#[derive(Clone)]
enum ProfileSpec {
    Word(Profile),
    File(PathBuf),
}

impl FromStr for ProfileSpec {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<ProfileSpec, std::io::Error> {
        match text {
            "default" => Ok(ProfileSpec::Word(Profile::Default)),
            "none" => Ok(ProfileSpec::Word(Profile::None)),
            path => std::path::absolute(path).map(ProfileSpec::File),
        }
    }
}
