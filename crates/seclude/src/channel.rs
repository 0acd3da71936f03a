//! The parent's end of the handshake.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::PollFlags;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};
use seclude_child::wire::{Call, LENGTH, Message, made};
use seclude_sys::Errno;
use seclude_sys::socket::MOST_FDS;

use crate::error::{Code, Error, Result};
use crate::mount_points::Made;
use crate::patience::Patience;

const NAME: &str = "handshake";

/// A SOCK_SEQPACKET socket: a message is a record, and both directions are one descriptor a side.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    /// What came while something else was waited for, and who said it, where senders are named.
    waiting: Mutex<VecDeque<(Event, Option<i32>)>>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Message),
    /// It goes on as this process.
    Moved(i32),
    /// The master of the new terminal.
    Terminal(OwnedFd),
    /// The listener of the filter, or why there is none.
    Listener(std::result::Result<OwnedFd, Errno>),
    /// Sockets of the child's network namespace.
    Served(Vec<OwnedFd>),
    Layers(OwnedFd),
    /// A file system that is to be filled.
    Offered(OwnedFd),
    /// Something that a mount is to lie on.
    Made(Made),
    /// The child has closed its end: by its exec, or by its death.
    End,
}

/// Both ends; the child's lies above every number that its command will have. With `named` the kernel says who sent what: where
/// others are in the pid namespace that is joined, one that has CAP_SYS_PTRACE there can speak for the child.
pub(crate) fn pair(above: i32, named: bool) -> Result<(Channel, OwnedFd)> {
    let failed = |call| move |errno: rustix::io::Errno| Error::parent(NAME, "", errno).call(call);
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(failed("socketpair"))?;
    if named {
        set_socket_passcred(&ours, true).map_err(failed("setsockopt"))?;
    }
    let theirs = if theirs.as_raw_fd() > above {
        theirs
    } else {
        fcntl_dupfd_cloexec(&theirs, above + 1).map_err(failed("fcntl"))?
    };
    Ok((Channel { socket: ours, waiting: Mutex::default() }, theirs))
}

impl Channel {
    /// Lets the child pass its barrier. If it is gone, the next [`Self::receive`] tells why.
    pub(crate) fn go(&self) -> Result<()> {
        loop {
            match send(&self.socket, b"G", SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Ok(()),
                // It waits for this and would wait for ever.
                Err(errno) => return Err(Error::parent(NAME, "", errno).call("sendto")),
            }
        }
    }

    /// Hands over a tree, or, without one, says that there are no more. `false`: the child is gone, and said why.
    pub(crate) fn send_tree(&self, tree: Option<BorrowedFd<'_>>, path: &[u8], patience: &Patience) -> Result<bool> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut tries = 0;
        loop {
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if let Some(tree) = &tree {
                ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(tree)));
            }
            // An empty record would be the end of file.
            let path = if path.is_empty() { b"\0" } else { path };
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.socket, &[IoSlice::new(path)], &mut ancillary, flags) {
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno @ (rustix::io::Errno::AGAIN | rustix::io::Errno::TOOMANYREFS)) => {
                    if errno == rustix::io::Errno::TOOMANYREFS {
                        // RLIMIT_NOFILE counts descriptors on their way, too, unix(7), and no poll tells when there are fewer. Whoever
                        // shares the user can keep it so, and the poll below does not wait, so neither does a deadline end it.
                        tries += 1;
                        if tries > 2000 {
                            return Err(Error::parent(NAME, "", errno).call("sendmsg"));
                        }
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    patience.wait_for(&self.socket, PollFlags::IN | PollFlags::OUT)?;
                    // The child takes nothing as long as it cannot say what it has to say.
                    while let Some((event, by)) = self.read(RecvFlags::DONTWAIT)? {
                        let gone = matches!(event, Event::End);
                        self.keep(event, by);
                        if gone {
                            return Ok(false);
                        }
                    }
                }
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Ok(false),
                Err(errno) => return Err(Error::parent(NAME, "", errno).call("sendmsg")),
            }
        }
    }

    /// Waits for what the child says next: with `from`, what that process says, and the rest stays for later.
    pub(crate) fn receive(&self, patience: &Patience, from: Option<i32>) -> Result<Event> {
        let is_meant = |event: &Event, by: Option<i32>| from.is_none() || by == from || matches!(event, Event::End);
        {
            let mut waiting = self.waiting();
            let first = waiting.iter().position(|(event, by)| is_meant(event, *by));
            if let Some((event, _)) = first.and_then(|first| waiting.remove(first)) {
                return Ok(event);
            }
        }
        loop {
            patience.wait_for(&self.socket, PollFlags::IN)?;
            match self.read(RecvFlags::empty())? {
                Some((event, by)) if is_meant(&event, by) => return Ok(event),
                Some((event, by)) => self.keep(event, by),
                None => {}
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<(Event, Option<i32>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, event: Event, by: Option<i32>) {
        self.waiting().push_back((event, by));
    }

    /// `None` if nothing has come, and that is not waited for.
    fn read(&self, flags: RecvFlags) -> Result<Option<(Event, Option<i32>)>> {
        let mut bytes = [0; made::LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS), ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.socket, &mut parts, &mut ancillary, flags | RecvFlags::CMSG_CLOEXEC) {
                // CONNRESET, once: it ended with a GO of ours unread. What it said before is still to be read.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(Error::parent(NAME, "", errno).call("recvmsg")),
                Ok(received) => break received,
            }
        };
        // Where this process has no room for all descriptors, some are missing.
        let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
        let received = received.bytes;
        let record = bytes.get(..received).unwrap_or(&bytes);
        let Some((first, _)) = record.split_first_chunk::<LENGTH>() else { return Ok(Some((Event::End, None))) };
        let message = Message::decode(*first)
            .ok_or_else(|| Error::invalid(NAME, format!("{first:?} is not a message of the child")))?;
        let (mut sent, mut more, mut by) = (None, Vec::new(), None);
        for part in ancillary.drain() {
            match part {
                RecvAncillaryMessage::ScmRights(mut fds) => {
                    sent = fds.next();
                    more.extend(fds);
                }
                RecvAncillaryMessage::ScmCredentials(sender) => by = Some(sender.pid.as_raw_pid()),
                _ => {}
            }
        }
        let event = match (message, sent) {
            (Message::Moved(pid), _) => Event::Moved(pid),
            (Message::Terminal, Some(master)) => Event::Terminal(master),
            (Message::Terminal, None) => {
                let error = Error::invalid(NAME, "the terminal's master did not arrive");
                return Err(error.hint("RLIMIT_NOFILE may be used up"));
            }
            (Message::Served, Some(socket)) if !is_cut => {
                more.insert(0, socket);
                Event::Served(more)
            }
            (Message::Layers, Some(directory)) => Event::Layers(directory),
            (Message::Layers, None) => {
                let error = Error::invalid(NAME, "the layers in memory did not arrive");
                return Err(error.at("root").hint("RLIMIT_NOFILE may be used up"));
            }
            (Message::Offered, Some(mount)) => Event::Offered(mount),
            (Message::Offered, None) => {
                let error = Error::invalid(NAME, "a file system that is to be filled did not arrive");
                return Err(error.at("mounts").hint("RLIMIT_NOFILE may be used up"));
            }
            (Message::Served, _) => {
                // The request is well, and the host is not: no flag is to blame.
                let error = Error::invalid(NAME, "a socket of its network did not arrive").coded(Code::Refused);
                return Err(
                    error.hint("RLIMIT_NOFILE may be used up (ulimit -n): raise it, or allow fewer names and ports")
                );
            }
            (Message::Listener(_), Some(listener)) => Event::Listener(Ok(listener)),
            (Message::Listener(0), None) => {
                let error = Error::invalid(NAME, "the listener of the filter did not arrive");
                return Err(error.hint("RLIMIT_NOFILE may be used up"));
            }
            (Message::Listener(errno), None) => Event::Listener(Err(Errno(errno as u16))),
            (Message::Made, directory) => {
                let (place, path) = made::read(record).unwrap_or_default();
                Event::Made(Made { directory, place, path: path.to_vec() })
            }
            (message, _) => Event::Message(message),
        };
        Ok(Some((event, by)))
    }

    /// The failure that the child has reported, if it has, without waiting.
    pub(crate) fn said_already(&self) -> Option<(u16, Call, Errno)> {
        while let Ok(Some((event, by))) = self.read(RecvFlags::DONTWAIT) {
            let ended = matches!(event, Event::End);
            self.keep(event, by);
            if ended {
                break;
            }
        }
        self.waiting().iter().find_map(|(event, _)| match event {
            Event::Message(Message::Failed { op, call, errno, .. }) => Some((*op, *call, *errno)),
            _ => None,
        })
    }

    /// What an ended child has made, as far as nobody has heard of it yet.
    pub(crate) fn made(&self) -> Vec<Made> {
        let _ = self.said_already();
        let waiting = std::mem::take(&mut *self.waiting());
        waiting
            .into_iter()
            .filter_map(|(event, _)| if let Event::Made(made) = event { Some(made) } else { None })
            .collect()
    }

    /// A record of any length behind a message; nothing if the other side ended without one.
    pub(crate) fn rest(&self) -> Vec<u8> {
        let mut bytes = vec![0; seclude_child::board::DETAIL];
        let length = loop {
            match recv(&self.socket, bytes.as_mut_slice(), RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                received => break received.map_or(0, |(_, length)| length),
            }
        };
        bytes.truncate(length);
        bytes
    }

    /// What an init has to say of its command, without waiting.
    pub(crate) fn news(&self) -> Option<Message> {
        loop {
            let mut bytes = [0; LENGTH];
            match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((_, LENGTH)) => return Message::decode(bytes),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                _ => return None,
            }
        }
    }

    /// To wait for [`Self::news`].
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The wait status that an init sent before its own end.
    pub(crate) fn ended(&self) -> Option<i32> {
        loop {
            if let Message::Ended(status) = self.news()? {
                return Some(status);
            }
        }
    }
}
