//! A ruleset of landlock, made where the command's tree is the process's own; the launcher has it hold.

use core::ffi::CStr;

use seclude_sys::{Fd, file, landlock};

use crate::op::Slot;
use crate::run::{Done, Machine, Named};
use crate::wire::Call;

pub(crate) fn create(machine: &mut Machine<'_>, files: u64, net: u64, scopes: u64) -> Done {
    let ruleset = landlock::create_ruleset(files, net, scopes).named(Call::CreateRuleset)?;
    machine.set(Slot::RULESET, ruleset);
    Ok(())
}

/// A rule is of what is there, not of a name: so what is missing has none.
pub(crate) fn allow_path(machine: &Machine<'_>, path: &CStr, below: u64, of_file: u64) -> Done {
    let opened = file::open(Fd::CWD, path, file::O_PATH, 0, file::RESOLVE_NO_MAGICLINKS).named(Call::Openat2)?;
    let allowed = match file::status(opened, c"").named(Call::Stat) {
        Ok(found) => {
            // The kernel takes rights of directories for those alone (EINVAL).
            let access = if found.is_directory() { below } else { of_file };
            match access {
                // Of these there is none in this kernel: an empty rule is an error (ENOMSG).
                0 => Ok(()),
                access => landlock::allow_beneath(machine.get(Slot::RULESET), opened, access).named(Call::AddRule),
            }
        }
        Err(failure) => Err(failure),
    };
    let _ = file::close(opened);
    allowed
}

pub(crate) fn allow_port(machine: &Machine<'_>, port: u16, access: u64) -> Done {
    landlock::allow_port(machine.get(Slot::RULESET), port, access).named(Call::AddRule)
}
