//! The command's own terminal, pty(7).

use seclude_sys::{Errno, Fd, file, socket, terminal};

use crate::op::Slot;
use crate::run::{Done, Failure, Machine, Named};
use crate::wire::{Call, Message};

pub(crate) fn new_master(machine: &Machine<'_>, own: bool) -> Done<Fd> {
    let flags = file::O_RDWR | file::O_NOCTTY;
    let master = if own {
        file::open(machine.get(Slot::DEVPTS), c"ptmx", flags, 0, file::RESOLVE_NO_SYMLINKS)
    } else {
        file::open(Fd::CWD, c"/dev/ptmx", flags, 0, 0)
    };
    master.named(Call::OpenTerminal)
}

/// In a tree that others have: what lies there may be anything, and whoever gets the master believes that it is one. It is looked at
/// before it is opened, as opening alone may do something.
pub(crate) fn joined_master() -> Done<Fd> {
    const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
    let leash = file::RESOLVE_NO_SYMLINKS;
    let directory = file::open(Fd::CWD, c"/dev/pts", file::O_PATH | file::O_DIRECTORY, 0, leash);
    let directory = directory.named(Call::OpenTerminal)?;
    let is_devpts = seclude_sys::mount::filesystem_magic(directory).named(Call::Statfs)? == DEVPTS_SUPER_MAGIC;
    // Nothing lies over a file in there: that would be another mount.
    let leash = leash | file::RESOLVE_NO_XDEV;
    let master = match is_devpts {
        true => file::open(directory, c"ptmx", file::O_RDWR | file::O_NOCTTY, 0, leash).named(Call::OpenTerminal),
        false => Err(Failure(Call::OpenTerminal, Errno::ENOTTY)),
    };
    let _ = file::close(directory);
    master
}

pub(crate) fn open_terminal(
    machine: &mut Machine<'_>,
    master: Fd,
    size: terminal::WindowSize,
    owner: Option<u32>,
) -> Done {
    terminal::unlock(master).named(Call::Ioctl)?;
    let slave = terminal::open_slave(master).named(Call::Ioctl)?;
    machine.set(Slot::TERMINAL, slave);
    terminal::set_size(slave, size).named(Call::Ioctl)?;
    if let Some(uid) = owner {
        // Or /dev/stdout and /dev/tty could not be opened by their names.
        file::change_owner(slave, uid).named(Call::Chown)?;
    }
    let message = Message::Terminal.encode();
    socket::send_with_fd(machine.setup.socket, &message, master).named(Call::Send)?;
    let _ = file::close(master);
    Ok(())
}

pub(crate) fn use_terminal(machine: &mut Machine<'_>, stdio: u8, controls: bool) -> Done {
    let slave = machine.get(Slot::TERMINAL);
    if controls {
        terminal::make_controlling(slave).named(Call::Ioctl)?;
    }
    for number in 0..3 {
        let to = Fd(number);
        if stdio & (1 << number) == 0 {
            continue;
        }
        if slave == to {
            machine.forget(to);
            file::set_close_on_exec(to, false).named(Call::Dup)?;
        } else {
            machine.vacate(to)?;
            file::duplicate_onto(slave, to, false).named(Call::Dup)?;
        }
    }
    Ok(())
}
