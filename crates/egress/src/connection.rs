//! Two sockets, and the bytes between them: from one into a pipe and out of it into the other, splice(2), never through our memory but where
//! no descriptor is left for a pipe.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::{Errno, read};
use rustix::net::{SendFlags, Shutdown, SocketAddrAny, getpeername, getsockname, send, shutdown, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use crate::budget::Budget;

/// What a pipe holds, pipe(7).
const PIPE: usize = 64 * 1024;
/// How often one direction goes on before others have their turn.
const ROUNDS: usize = 16;
/// Empty pipes that are kept.
const KEPT: usize = 16;
/// Descriptors of a pipe.
const ENDS: usize = 2;
/// What is read past the mark of urgent data, where splice(2) goes no further.
const FEW: usize = 512;
/// What is moved at a time without one. Waiting for a pipe could last for ever: those that hold them may be the ones that are not read.
const PIECE: usize = 16 * 1024;
/// How long a peer says nothing before it is asked, how long after that again, and how often before it is given up.
const QUIET: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(10);
const TRIES: u32 = 6;

/// One socket, and what epoll has last said of it: it says so once, until a call finds that it is no longer so.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) socket: OwnedFd,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl End {
    pub(crate) fn new(socket: OwnedFd) -> End {
        // An urgent byte (MSG_OOB) goes over where it stands, and as any other: RFC 6093, 4.
        let _ = sockopt::set_socket_oobinline(&socket, true);
        End { socket, readable: false, writable: false }
    }

    /// Whoever is on the other side gets a reset, not an end.
    pub(crate) fn reset(self) {
        let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}

/// Has the kernel ask a peer that says nothing whether it is still there, tcp(7): one that has vanished is known of within two minutes, so
/// it does not hold what is bounded. One that is there may say nothing for as long as it likes.
///
/// Without TCP_USER_TIMEOUT, which would also end a peer that answers and does not read.
pub(crate) fn look_for_its_peer(socket: &OwnedFd) {
    // Whatever of it cannot be had leaves what the host has for all, two hours.
    let _ = sockopt::set_tcp_keepidle(socket, QUIET);
    let _ = sockopt::set_tcp_keepintvl(socket, AGAIN);
    let _ = sockopt::set_tcp_keepcnt(socket, TRIES);
    let _ = sockopt::set_socket_keepalive(socket, true);
}

/// Whether it is its own peer: a port that nobody listens at may be the one that the kernel has chosen for this end, and then TCP connects
/// the two (RFC 9293, 3.5), and what is sent comes back.
pub(crate) fn leads_to_itself(socket: &OwnedFd) -> bool {
    let place = |named: Option<SocketAddrAny>| SocketAddr::try_from(named?).ok();
    let own = place(getsockname(socket).ok());
    own.is_some() && own == place(getpeername(socket).ok().flatten())
}

#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

/// Pipes that are empty. A connection has one only as long as there is something in it.
#[derive(Debug, Default)]
pub(crate) struct Pipes(Vec<Pipe>);

impl Pipes {
    fn take(&mut self) -> Option<Pipe> {
        self.0.pop().or_else(|| {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            Some(Pipe { read, write })
        })
    }

    fn give_back(&mut self, pipe: Pipe) {
        if self.0.len() < KEPT {
            self.0.push(pipe);
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Way {
    pipe: Option<Pipe>,
    held: usize,
    /// In the place of a pipe.
    piece: VecDeque<u8>,
    /// Nothing comes any more.
    pub(crate) ended: bool,
    /// And that was said on.
    pub(crate) over: bool,
}

/// What is to be done next about a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Wait until epoll says something.
    Wait,
    /// Go on, when others had their turn.
    GoOn,
    /// One of the sockets is broken, and so is the other to be.
    Broken,
}

impl Way {
    /// Moves what there is, and counts it. Whoever does not read is not read for either: what is not taken out of the pipe stays in
    /// the sender's socket.
    pub(crate) fn carry(
        &mut self,
        from: &mut End,
        to: &mut End,
        pipes: &mut Pipes,
        budget: (&mut Budget, &mut usize),
        moved: &mut u64,
    ) -> Next {
        let (budget, own) = budget;
        for _ in 0..ROUNDS {
            let mut progress = false;
            if !self.ended && from.readable && self.held < PIPE && self.piece.is_empty() {
                let pipe = match self.pipe.take() {
                    None if budget.take(own, ENDS) => pipes.take().or_else(|| {
                        budget.give_back(own, ENDS);
                        None
                    }),
                    pipe => pipe,
                };
                let got = match &pipe {
                    Some(pipe) => splice(&from.socket, None, &pipe.write, None, PIPE - self.held, flags()),
                    None => {
                        let mut piece = vec![0; PIECE];
                        read(&from.socket, &mut piece).inspect(|length| {
                            piece.truncate(*length);
                            self.piece = piece.into();
                        })
                    }
                };
                let is_piped = pipe.is_some();
                self.pipe = pipe;
                match got {
                    // With something in the pipe it may be that which is full, at fewer bytes than it has room for; and the mark
                    // of urgent data looks like nothing more, or like the end: read(2) tells, once it is that byte's turn.
                    Ok(0) | Err(Errno::AGAIN) if is_piped && self.held > 0 => {}
                    Ok(0) | Err(Errno::AGAIN) if is_piped => {
                        let mut few = [0; FEW];
                        match read(&from.socket, &mut few) {
                            Ok(0) => (self.ended, progress) = (true, true),
                            Ok(count) => {
                                self.piece.extend(few.get(..count).unwrap_or_default());
                                progress = true;
                            }
                            Err(Errno::INTR) => progress = true,
                            Err(Errno::AGAIN) => from.readable = false,
                            Err(_) => return Next::Broken,
                        }
                    }
                    Ok(0) => (self.ended, progress) = (true, true),
                    Ok(count) if is_piped => (self.held, progress) = (self.held + count, true),
                    Ok(_) | Err(Errno::INTR) => progress = true,
                    Err(Errno::AGAIN) => from.readable = false,
                    Err(_) => return Next::Broken,
                }
            }
            if !self.piece.is_empty() && to.writable {
                let (first, _) = self.piece.as_slices();
                match send(&to.socket, first, SendFlags::NOSIGNAL) {
                    Ok(count) => {
                        self.piece.drain(..count);
                        *moved += count as u64;
                        progress = true;
                    }
                    Err(Errno::INTR) => progress = true,
                    Err(Errno::AGAIN) => to.writable = false,
                    Err(_) => return Next::Broken,
                }
            }
            if self.held > 0 && to.writable {
                let Some(pipe) = &self.pipe else { return Next::Broken };
                match splice(&pipe.read, None, &to.socket, None, self.held, flags()) {
                    Ok(count) => {
                        self.held = self.held.saturating_sub(count);
                        *moved += count as u64;
                        progress = true;
                    }
                    Err(Errno::INTR) => progress = true,
                    Err(Errno::AGAIN) => to.writable = false,
                    Err(_) => return Next::Broken,
                }
            }
            if self.held == 0
                && let Some(pipe) = self.pipe.take_if(|_| self.ended || !from.readable)
            {
                pipes.give_back(pipe);
                budget.give_back(own, ENDS);
            }
            if self.ended && self.held == 0 && self.piece.is_empty() && !self.over {
                self.over = true;
                // It may be gone by itself.
                let _ = shutdown(&to.socket, Shutdown::Write);
            }
            if !progress {
                return Next::Wait;
            }
        }
        Next::GoOn
    }

    /// What it has is thrown away.
    pub(crate) fn drop_with(self, budget: &mut Budget, own: &mut usize) {
        if self.pipe.is_some() {
            budget.give_back(own, ENDS);
        }
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}
