//! The profile that a request begins with, and what it changes of it; in a file it is read when the container is made.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use seclude_links::{For, Stopped, follow};
use seclude_request::Field;
use seclude_seccomp::{Given, Profile, Program as Code};
use serde_json::Value as Json;

use super::NAME;
use crate::config::capability::Capability;
use crate::config::seccomp::{From, Seccomp};
use crate::error::{Error, Result};

/// The calls that start the command.
const EXEC: [&str; 2] = ["execve", "rt_sigprocmask"];

/// As large as the text of a profile can be: those of engines have some tens of thousand bytes.
const MOST_BYTES: u64 = 1 << 20;

/// What the request makes of it.
pub(super) enum Base {
    Nothing,
    Profile(Profile),
    Finished(Code),
    /// It is read when the container is made.
    File,
}

/// What a profile may depend on.
#[derive(Clone, Copy)]
pub(super) struct Depends {
    pub(super) given: Given,
    pub(super) kernel: (u32, u32),
}

impl Depends {
    fn read(self, document: &Json) -> std::result::Result<Profile, seclude_seccomp::Error> {
        let given = |capability: &Capability| self.given.capabilities & capability.bit() != 0;
        let names: Vec<&str> = Capability::all().filter(given).map(Capability::name).collect();
        Profile::from_oci(document, seclude_seccomp::Host { kernel: self.kernel, capabilities: &names })
    }
}

pub(super) fn at(key: &str) -> Field {
    Field::of("seccomp").key(key)
}

pub(super) fn wrong(field: Field) -> impl Fn(seclude_seccomp::Error) -> Error {
    move |error| Error::invalid(NAME, error.to_string()).at_field(field.clone())
}

pub(super) fn base(seccomp: &Seccomp, depends: Depends) -> Result<Base> {
    if !seccomp.flags.is_empty() && !matches!(seccomp.from, From::Bpf(_) | From::File(_)) {
        let action = "they are a finished program's; a profile has its own";
        return Err(Error::invalid(NAME, action).at_field(at("flags")).contradicting());
    }
    let profile = match &seccomp.from {
        From::Nothing if seccomp.allow.is_empty() && seccomp.deny.is_empty() => return Ok(Base::Nothing),
        From::Nothing => Profile::unlimited(),
        From::Default => Profile::sandbox(depends.given),
        From::Oci(document) => depends.read(document).map_err(wrong(at("profile")))?,
        From::Bpf(_) if !seccomp.allow.is_empty() || !seccomp.deny.is_empty() => {
            let key = if seccomp.allow.is_empty() { "deny" } else { "allow" };
            let action = "a finished program has no rules to change";
            return Err(Error::invalid(NAME, action).at_field(at(key)).contradicting());
        }
        From::Bpf(bytes) => {
            let program = Code::from_bytes(bytes).map_err(wrong(at("bpf")))?;
            return finished(program, seccomp, at("bpf"));
        }
        From::File(_) => {
            changed(Profile::unlimited(), seccomp, at("file"))?;
            return Ok(Base::File);
        }
    };
    changed(profile, seccomp, at("profile")).map(Base::Profile)
}

fn refuses_exec(field: Field, call: &str) -> Error {
    let action = format!("it refuses {call}, by which the command itself is started");
    Error::invalid(NAME, action).at_field(field).contradicting()
}

fn finished(mut program: Code, seccomp: &Seccomp, field: Field) -> Result<Base> {
    for (place, flag) in seccomp.flags.iter().enumerate() {
        program = program.with_flag(flag).map_err(wrong(at("flags").index(place)))?;
    }
    let kind = seclude_seccomp::Architecture::NATIVE;
    for call in EXEC {
        let number = kind.number_of(call).unwrap_or_default();
        // What it makes of pointers nobody can say before.
        let answer = program.run(kind, number, &[0; 6]).map(|(answer, _)| answer);
        let allowing =
            [seclude_seccomp::Action::Allow, seclude_seccomp::Action::Log].map(seclude_seccomp::Action::number);
        if answer.is_some_and(|answer| !allowing.contains(&answer)) {
            return Err(refuses_exec(field, call));
        }
    }
    Ok(Base::Finished(program))
}

/// The profile with what is allowed and refused by name.
fn changed(mut profile: Profile, seccomp: &Seccomp, field: Field) -> Result<Profile> {
    let refused = |profile: &Profile| profile.refuses_one_of(&EXEC);
    for (place, name) in seccomp.allow.iter().enumerate() {
        profile.allow(name).map_err(wrong(at("allow").index(place)))?;
    }
    if let Some(call) = refused(&profile) {
        return Err(refuses_exec(field, call));
    }
    for (place, (name, errno)) in seccomp.deny.iter().enumerate() {
        let field = at("deny").index(place);
        let errno = errno.map(|errno| u16::try_from(errno).ok().filter(|errno| (1..=4095).contains(errno)));
        if errno == Some(None) {
            return Err(Error::invalid(NAME, "it has no error number, 1 to 4095").at_field(field));
        }
        profile.deny(name, errno.flatten()).map_err(wrong(field.clone()))?;
        if let Some(call) = refused(&profile) {
            return Err(refuses_exec(field, call));
        }
    }
    Ok(profile)
}

/// What is in a file: JSON, or instructions.
pub(super) fn read(path: &Path, seccomp: &Seccomp, depends: Depends) -> Result<Base> {
    let about = |error: Error| error.path_of(path).at_field(at("file"));
    let failed = |call: &'static str, error: std::io::Error| {
        about(Error::parent(NAME, format!("{}", path.display()), error).call(call))
    };
    // A FIFO waits for nobody then.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // What lies in a directory that an earlier command could write to may be a symlink to a laxer one.
    let place = follow(path, For::Reading).map_err(|stopped| match stopped {
        Stopped::Errno(errno) => failed("openat", errno.into()),
        Stopped::Link(link) => about(
            Error::invalid(NAME, format!("{} is a symlink, which whoever can write there has chosen", link.display()))
                .hint("name where it leads to, if that is meant"),
        ),
    })?;
    let last = if place.is_kernels { OFlags::empty() } else { OFlags::NOFOLLOW };
    let opened = openat(&place.directory, &place.name, flags | last, Mode::empty())
        .map_err(|errno| failed("openat", errno.into()))?;
    let found = fstat(&opened).map_err(|errno| failed("fstat", errno.into()))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let is_no_file = |what: &str| about(Error::invalid(NAME, format!("{} is {what}", path.display())));
    match kind {
        FileType::RegularFile => {}
        FileType::Directory => return Err(is_no_file("a directory, and no profile")),
        _ => return Err(is_no_file("no file with a profile")),
    }
    let mut bytes = Vec::new();
    File::from(opened).take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed("read", error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(is_no_file("larger than any profile: it has more than 1 MiB"));
    }
    let named = |error: seclude_seccomp::Error| about(Error::invalid(NAME, format!("{}: {error}", path.display())));
    if !bytes.trim_ascii_start().starts_with(b"{") {
        if !seccomp.allow.is_empty() || !seccomp.deny.is_empty() {
            return Err(is_no_file("no profile whose rules could be changed: it does not begin with {"));
        }
        let program = Code::from_bytes(&bytes).map_err(|error| match bytes.is_ascii() {
            true => is_no_file("no profile, which would begin with {"),
            false => named(error),
        })?;
        return finished(program, seccomp, at("file"));
    }
    if !seccomp.flags.is_empty() {
        return Err(is_no_file("a profile, which has its own flags").at_field(at("flags")).contradicting());
    }
    let document = serde_json::from_slice(&bytes)
        .map_err(|error| about(Error::invalid(NAME, format!("{} is no JSON: {error}", path.display()))))?;
    let profile = depends.read(&document).map_err(named)?;
    changed(profile, seccomp, at("file")).map(Base::Profile)
}
