//! As many open files as this program may have, where it relays: a network of names takes two of them for each connection, and the usual
//! 1,024 are for programs that wait for them by select(2).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seclude::request::NetworkKind;
use seclude::{Command, UNLIMITED};

/// What is enough for 12,000 connections of one container. Each takes memory of the kernel's that no limit of the container's counts.
const MOST: u64 = 65_536;

/// Raises the limit of this process alone: the command has the caller's, unless its own is said.
pub(crate) fn make_room(command: &mut Command) {
    let Ok(request) = command.request() else { return };
    if request.network.as_ref().is_none_or(|network| network.kind != NetworkKind::Names) {
        return;
    }
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (soft, hard) = (current.unwrap_or(UNLIMITED), maximum.unwrap_or(UNLIMITED));
    let raised = hard.min(MOST);
    // Where it cannot be had there are fewer connections, as there were.
    if soft >= raised || setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_err() {
        return;
    }
    let is_said = |name: &String| name.parse::<seclude::Resource>() == Ok(seclude::Resource::NOFILE);
    if !request.rlimits.keys().any(is_said) {
        command.rlimit(seclude::Resource::NOFILE, soft, hard);
    }
}
