//! The last barrier: everything is done but the exec, and somebody else says when.
//!
//! The spawner hears that it waits, writes down whatever it needs to find this process again, and lets it go; until then
//! this process ends with it. From then on there is one descriptor, a socket that listens. Who connects there and sends a
//! byte has the command executed, and is told over the connection as a spawner is: an end of file, or why not.

use crate::acts;
use crate::command::{go_on_as_sibling, hide, rehearse};
use crate::kernel::{self, Errno, Fd, Text};
use crate::order::Order;
use crate::report::Report;

pub(crate) fn for_another(order: &Order, listener: Fd) -> Result<(), Report> {
    let init = |errno| order.failure(order.calls.init, errno);
    if order.rehearsal {
        kernel::close(listener);
        return Ok(());
    }
    is_there(order)?;
    // Nobody could be told of it later that the limit of open files leaves no number for the connection.
    match kernel::open(Text::from(c"/")) {
        Ok(spare) => kernel::close(spare),
        Err(Errno::EMFILE) => return Err(init(Errno::EMFILE)),
        Err(_) => {}
    }
    kernel::set_name(Text::from(c"seclude-init"));
    // An act may have undone it.
    hide(order).map_err(init)?;
    go_on_as_sibling(order).map_err(init)?;
    acts::until_served(order);
    // The socket tells of the spawner's end from here on: the signal could come when it has said go and ended.
    kernel::set_parent_death_signal(0).map_err(init)?;
    kernel::send(order.socket.get(), &Report::running().record());
    if !has_said_go(order.socket.get()) {
        kernel::exit(crate::FAILED);
    }
    kernel::close(order.socket.get());
    loop {
        let caller = kernel::accept(listener).map_err(init)?;
        // Whoever ends before its byte has started nothing.
        if !has_said_go(caller) {
            kernel::close(caller);
            continue;
        }
        kernel::close(listener);
        // What fails from here on is told there. An end of file without this is no start: it ended while it waited.
        order.socket.set(caller);
        kernel::send(caller, &Report::running().record());
        return Ok(());
    }
}

/// A command that is not there is an error of the start, not of whoever lets it go later.
fn is_there(order: &Order) -> Result<(), Report> {
    match rehearse(order) {
        (call, ..) if call == order.calls.rehearsed => Ok(()),
        // A filter that does not know the call refuses it so, and no file system does: then the exec tells.
        (_, Errno::ENOSYS | Errno::EPERM, _) => Ok(()),
        (call, errno, file) => {
            if let Some(file) = file {
                kernel::close(file);
            }
            Err(order.failure(call, errno))
        }
    }
}

#[inline(never)]
pub(crate) fn has_said_go(socket: Fd) -> bool {
    let mut go = [0];
    loop {
        match kernel::read(socket, &mut go) {
            Err(Errno::EINTR) => {}
            answer => return answer == Ok(1),
        }
    }
}
