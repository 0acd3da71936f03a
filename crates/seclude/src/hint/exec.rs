//! Why the command itself cannot be executed.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use seclude_child::Op;
use seclude_child::wire::Call;
use seclude_request::{Field, Remedy};
use seclude_sys::Errno;
use seclude_sys::arch::ELF_LOADER;

use crate::advice::Hint;
use crate::hint::Failed;
use crate::needed::{Needed, needed};
use crate::places::Places;
use crate::{confinement, foreign};

/// Why landlock keeps the command from being executed, as likely as any other reason.
pub(super) fn not_allowed(op: Option<&Op<'_>>) -> Hint {
    let candidates = match op {
        Some(Op::Exec { candidates, .. }) => *candidates,
        _ => &[],
    };
    let paths = candidates.iter().map(|candidate| Path::new(OsStr::from_bytes(candidate.to_bytes())));
    let absolute: Vec<&Path> = paths.filter(|path| path.is_absolute()).collect();
    // Of the directories of PATH the one that has it.
    let there = absolute.iter().find(|path| path.is_file()).or(absolute.first());
    let above = there.and_then(|path| path.parent());
    let hint = Hint::from(format!(
        "no rule of landlock lets it be executed, or one that it needs: its interpreter, its ELF loader (such as {ELF_LOADER}); \
         else its mode, or a noexec mount",
    ));
    let value = above.map(|above| above.to_string_lossy().into());
    hint.with([Remedy::Set(Field::of("landlock").key("exec").index(0), value)])
}

/// The directories of PATH, for a name that is looked for in them.
fn where_it_was_looked_for(failed: &Failed<'_>) -> String {
    let Some(Op::Exec { candidates, .. } | Op::Rehearse { candidates }) = failed.op else { return String::new() };
    if failed.about.contains('/') {
        return String::new();
    }
    let directory =
        |candidate: &&CStr| Path::new(OsStr::from_bytes(candidate.to_bytes())).parent().map(Path::to_path_buf);
    let all: Vec<String> = candidates.iter().filter_map(directory).map(|path| path.display().to_string()).collect();
    match &all[..] {
        [] => ": its PATH is empty".to_owned(),
        all => format!(", in its PATH {}", all.join(":")),
    }
}

/// Why an exec failed.
pub(super) fn why(failed: &Failed<'_>, call: Call, errno: Errno) -> Option<Hint> {
    let &Failed { detail, rooted, .. } = failed;
    let inside = if rooted { " inside the root" } else { "" };
    Some(match (call, errno) {
        (Call::Launch, Errno::EACCES | Errno::EPERM) => {
            let who = confinement::found().map_or_else(String::new, |who| format!(" ({who})"));
            format!(
                "the launcher is a file in memory, memfd_create(2), which a security module refuses to execute{who}: AppArmor calls \
                 it /, so its profile needs the rule `/ ix,` (or `file,`) and the flag attach_disconnected"
            )
            .into()
        }
        (Call::ExecInterpreter, _) => Hint::from(match needed(detail) {
            Some(Needed::Interpreter(line)) if line.ends_with('\r') => format!(
                "its first line ends in a carriage return (CRLF), which the kernel takes for a part of the interpreter's name, {line:?}: \
                 write it with LF, as dos2unix does"
            ),
            Some(Needed::Interpreter(line)) => format!("the script is there, its interpreter {line:?} is not{inside}"),
            Some(Needed::Loader(path)) => format!("the program is there, its ELF loader {path} is not{inside}"),
            None => format!("the file is there, but what it needs to run is not{inside}"),
        }),
        (Call::ExecDirectory, _) => "it is a directory".into(),
        (_, Errno::ENOENT) => format!("there is no such command{inside}{}", where_it_was_looked_for(failed)).into(),
        (_, Errno::ENOTDIR) => format!("a part of its path is not a directory{inside}").into(),
        (_, Errno::EACCES) => "it may not be executed: its mode, or a noexec mount".into(),
        (_, Errno::ENOEXEC) => foreign::why_not_executable(detail).into(),
        (_, Errno::E2BIG) => {
            "arguments and environment are too large: together a quarter of the stack limit, each string 128 KiB".into()
        }
        (_, Errno::ETXTBSY) => "the file is open for writing".into(),
        (_, Errno::EPERM) => "the kernel refuses setuid programs here".into(),
        _ => return None,
    })
}

/// Where the host has the command, if the container does not show that.
pub(super) fn hidden(op: Option<&Op<'_>>) -> Option<Hint> {
    let Some(Op::Exec { candidates, .. } | Op::Rehearse { candidates }) = op else { return None };
    let paths = candidates.iter().map(|candidate| Path::new(OsStr::from_bytes(candidate.to_bytes())));
    let is_there = |path: &&Path| {
        path.is_absolute() && path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
    };
    let found = paths.into_iter().find(is_there)?;
    let directory = found.parent()?;
    // What a program needs is beside its directory: ~/.cargo, not ~/.cargo/bin.
    let whole = directory.parent().filter(|above| directory.ends_with("bin") && above.parent().is_some());
    let is_home = |above: &&Path| Places::look(rustix::process::geteuid().as_raw()).show_a_home_at(above);
    let shown = whole.filter(|above| !is_home(above)).unwrap_or(directory);
    let hint = Hint::from(format!("the host has {}, which the container does not show", found.display()));
    Some(hint.with([Remedy::Set(Field::of("ro").index(0), Some(shown.to_string_lossy().into()))]))
}
