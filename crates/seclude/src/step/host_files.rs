//! What of the host's files a command without a mount namespace may open: the sandbox's own allow-list, by rules of landlock.
//!
//! A rule opens all that is below a directory, and nothing can be taken out of it again. So where something below is to stay closed,
//! the entries beside it have rules of their own, as they are at the start: what comes later is closed.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};
use rustix::io::Errno;
use seclude_links::For;
use seclude_request::Field;
use seclude_sys::landlock::access;

use super::landlock::{EXECUTE, NAME, READ, WRITE};
use super::{named, own_directory, show};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::places::{Places, SECRETS};

/// As each program expects them.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What runtimes of languages ask of the machine. Nothing of it is of a process: of those the kernel would show all.
const ABOUT_THE_MACHINE: [&str; 16] = [
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Where distributions that make it at boot have it elsewhere.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where administrators keep what is not for everybody, among what everybody needs.
const CONFIGURATION: &str = "/etc";

pub(super) struct HostFiles {
    programs: Vec<PathBuf>,
    /// Secrets, and homes among the programs.
    closed: Vec<PathBuf>,
    /// As the host's root it could read what its modes close to everybody else.
    is_root: bool,
    /// Where the caller is.
    stands: Option<PathBuf>,
    shown: Vec<(PathBuf, bool, Field)>,
    /// Where the homes are that may not be shown.
    homes: Option<Places>,
    own: own_directory::Made,
}

/// Something that is to be allowed: what is open, and what of it.
pub(super) struct Opened {
    pub(super) file: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) access: u64,
    pub(super) field: Option<Field>,
}

impl HostFiles {
    pub(super) fn of(command: &Config, host: &Host, own: &own_directory::Made) -> HostFiles {
        let places = &host.places;
        let programs = places.parts.iter().filter(|part| part.link.is_none()).map(|part| part.path.clone());
        let secrets = SECRETS.iter().map(PathBuf::from);
        let mut counts = [0; 2];
        let shown = command.shown.iter().map(|shown| {
            let count = &mut counts[usize::from(shown.written)];
            let field = Field::of(if shown.written { "rw" } else { "ro" }).index(*count);
            *count += 1;
            (shown.path.clone(), shown.written, field)
        });
        HostFiles {
            programs: programs.collect(),
            closed: secrets.chain(places.among_programs.iter().cloned()).collect(),
            is_root: command.identity.uid.unwrap_or(host.uid) == 0,
            stands: command.stands.clone(),
            shown: shown.collect(),
            homes: (!command.whole_home).then(|| places.clone()),
            own: own.clone(),
        }
    }

    /// Opens all of it.
    pub(super) fn open(&self) -> Result<Vec<Opened>> {
        let mut all = Vec::new();
        for part in self.programs.iter().chain(&self.stands) {
            for path in self.open_part(part)? {
                // Nothing of the host is there because of a symlink.
                all.extend(present(&path, READ | EXECUTE, ResolveFlags::NO_SYMLINKS)?);
            }
        }
        all.extend(present(Path::new(RESOLV_CONF), access::READ_FILE, ResolveFlags::NO_MAGICLINKS)?.filter(is_file));
        for path in DEVICES.map(Path::new) {
            all.extend(present(path, READ | WRITE, ResolveFlags::NO_SYMLINKS)?);
        }
        for path in ABOUT_THE_MACHINE.map(Path::new) {
            all.extend(present(path, READ, ResolveFlags::NO_SYMLINKS)?);
        }
        for (path, written, field) in &self.shown {
            all.extend(self.open_shown(path, *written, field)?);
        }
        if let Some(own) = self.own.get() {
            let file = rustix::io::fcntl_dupfd_cloexec(&**own, 0)
                .map_err(|errno| Error::parent(NAME, "the command's own directory", errno).call("fcntl"))?;
            all.push(Opened { file, path: PathBuf::new(), access: READ | WRITE | EXECUTE, field: None });
        }
        Ok(all)
    }

    /// What the caller has named, which is not taken for granted as it is.
    fn open_shown(&self, path: &Path, written: bool, field: &Field) -> Result<Vec<Opened>> {
        let failed = |call: &'static str| {
            move |errno: Errno| {
                let hint = (errno == Errno::NOENT).then_some("the source does not exist");
                Error::parent(NAME, format!("{}", path.display()), errno)
                    .call(call)
                    .path_of(path)
                    .at_field(field.clone())
                    .hint_if(hint)
            }
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS).map_err(failed("openat2"))?;
        let found = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(failed("statx"))?;
        if let Some(places) = &self.homes {
            named::is_no_home(NAME, path, Some(&file), &found, places)
                .map_err(|error| error.at_field(field.clone()))?;
        }
        let purpose = if written { For::Writing } else { For::Reading };
        show::is_where_it_says(NAME, path, Some(&file), purpose).map_err(|error| error.at_field(field.clone()))?;
        let below = self.closed.iter().find(|closed| closed.starts_with(path) && *closed != path && closed.exists());
        let access = if written { READ | WRITE | EXECUTE } else { READ | EXECUTE };
        match below {
            None => Ok(vec![Opened { file, path: path.to_owned(), access, field: Some(field.clone()) }]),
            Some(secret) if written => {
                let action =
                    format!("{} has {} below it, which landlock cannot keep closed", path.display(), secret.display());
                Err(Error::invalid(NAME, action)
                    .at_field(field.clone())
                    .hint("name what is to be written more closely"))
            }
            Some(_) => {
                let mut all = Vec::new();
                for path in self.open_part(path)? {
                    all.extend(present(&path, access, ResolveFlags::NO_SYMLINKS)?);
                }
                Ok(all)
            }
        }
    }

    /// The largest parts of it in which nothing is closed.
    fn open_part(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let mut parts = Vec::new();
        self.add_part(path, &mut parts)
            .map_err(|error| Error::parent(NAME, format!("look at {}", path.display()), error).path_of(path))?;
        Ok(parts)
    }

    /// Answers whether all of it may be opened.
    fn add_part(&self, path: &Path, parts: &mut Vec<PathBuf>) -> std::io::Result<bool> {
        let found = match path.symlink_metadata() {
            Ok(found) => found,
            // It has gone meanwhile, or nobody without privileges comes to it.
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) =>
            {
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let is_closed = |closed: &PathBuf| path.starts_with(closed) && Some(path) != self.stands.as_deref();
        if self.closed.iter().any(is_closed) {
            return Ok(false);
        }
        if found.is_symlink() {
            // Where it leads has a rule, or is closed.
            return Ok(true);
        }
        let by_mode = self.is_root && path.starts_with(CONFIGURATION);
        let (mode, everybodys) = (found.permissions().mode(), if found.is_dir() { 0o5 } else { 0o4 });
        if by_mode && mode & everybodys != everybodys {
            return Ok(false);
        }
        let is_split = self.closed.iter().any(|closed| closed.starts_with(path));
        if !found.is_dir() || !(by_mode || is_split) {
            parts.push(path.to_owned());
            return Ok(true);
        }
        let (before, mut whole) = (parts.len(), !is_split);
        let entries = match path.read_dir() {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(whole),
            entries => entries?,
        };
        for entry in entries {
            whole &= self.add_part(&entry?.path(), parts)?;
        }
        if whole {
            parts.truncate(before);
            parts.push(path.to_owned());
        }
        Ok(whole)
    }

    /// In a line, for the printed plan.
    pub(super) fn describe(&self) -> String {
        let list = |paths: Vec<String>| paths.join(", ");
        let programs = list(self.programs.iter().map(|path| path.display().to_string()).collect());
        let stands = self.stands.iter().map(|path| format!("; {}, where the caller is, to read", path.display()));
        let shown = self
            .shown
            .iter()
            .map(|(path, written, _)| format!("; {} to {}", path.display(), if *written { "write" } else { "read" }));
        let named: String = stands.chain(shown).collect();
        format!(
            "open to read and execute {programs}, without secrets{named}; devices that every program expects; nothing else"
        )
    }
}

fn is_file(opened: &Opened) -> bool {
    let found = rustix::fs::fstat(&opened.file);
    found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
}

/// It, if it is there for whoever asks.
fn present(path: &Path, access: u64, leash: ResolveFlags) -> Result<Option<Opened>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), leash) {
        Ok(file) => Ok(Some(Opened { file, path: path.to_owned(), access, field: None })),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(Error::parent(NAME, format!("{}", path.display()), errno).call("openat2").path_of(path)),
    }
}
