//! The same, without blocking a thread: on tokio's reactor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::child::{Child, Signaller};
use crate::command::Command;
use crate::config::stdio::Stdio;
use crate::error::{Error, Result};
use crate::exit::{Exit, Output};
use crate::meter::Meter;
use crate::patience::Canceller;
use crate::report::Report;

/// Ends a start that nobody waits for any more.
struct CancelOnDrop(Option<Canceller>);

impl CancelOnDrop {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(canceller) = &self.0 {
            canceller.cancel();
        }
    }
}

impl Command {
    /// [`Command::spawn`] on a thread of tokio's blocking pool, so that set-up holds up no other task. The container
    /// does not die with that thread: see [`Command::die_with_parent`]. Dropped before it is ready, it ends the start, and
    /// nothing is left of it.
    ///
    /// # Errors
    /// As [`Command::spawn`]. Outside of a tokio runtime it panics, as tokio does.
    pub async fn spawn_async(&mut self) -> Result<AsyncChild> {
        let mut command = self.clone();
        let canceller = match &self.config.canceller {
            Some(canceller) => canceller.clone(),
            None => Canceller::new().map_err(|error| Error::parent("cancel", "eventfd", error))?,
        };
        command.cancelled_by(&canceller);
        let dropped = CancelOnDrop(Some(canceller));
        let spawned = tokio::task::spawn_blocking(move || command.spawn()).await;
        dropped.defuse();
        match spawned {
            Ok(spawned) => spawned?.into_async(),
            Err(error) => Err(Error::parent("clone", "the blocking pool", io::Error::other(error))),
        }
    }

    /// [`Command::output`], asynchronously.
    ///
    /// # Errors
    /// As [`Command::output`].
    pub async fn output_async(&mut self) -> Result<Output> {
        let mut command = self.clone();
        command.config.stdin.get_or_insert_with(Stdio::null);
        command.config.stdout.get_or_insert_with(Stdio::piped);
        command.config.stderr.get_or_insert_with(Stdio::piped);
        command.spawn_async().await?.wait_with_output().await
    }
}

impl Child {
    /// Hands the process to tokio's reactor.
    ///
    /// # Errors
    /// If a descriptor cannot be registered. Outside of a tokio runtime it panics, as tokio does.
    pub fn into_async(mut self) -> Result<AsyncChild> {
        let failed = |error| Error::lost("registration with tokio", error);
        let pidfd = self.pidfd().try_clone_to_owned().map_err(failed)?;
        let pidfd = watched(pidfd).map_err(failed)?;
        let stdin = self.stdin.take().map(|pipe| Sender::from_owned_fd(pipe.into())).transpose().map_err(failed)?;
        let stdout = self.stdout.take().map(|pipe| Receiver::from_owned_fd(pipe.into())).transpose().map_err(failed)?;
        let stderr = self.stderr.take().map(|pipe| Receiver::from_owned_fd(pipe.into())).transpose().map_err(failed)?;
        Ok(AsyncChild { stdin, stdout, stderr, pidfd, child: self })
    }
}

/// A process that runs in its container, on tokio's reactor. As with [`Child`], dropping it kills and reaps.
#[derive(Debug)]
pub struct AsyncChild {
    /// The command's stdin, if it is a pipe.
    pub stdin: Option<Sender>,
    /// The command's stdout, if it is a pipe.
    pub stdout: Option<Receiver>,
    /// The command's stderr, if it is a pipe.
    pub stderr: Option<Receiver>,
    pidfd: AsyncFd<OwnedFd>,
    child: Child,
}

impl AsyncChild {
    /// The pid, in the caller's pid namespace.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The pidfd.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// How it was made and what that cost.
    pub fn report(&self) -> &Report {
        self.child.report()
    }

    /// As [`Child::meter`]: its cgroup, to look at and to hold still.
    pub fn meter(&self) -> Option<Meter> {
        self.child.meter()
    }

    /// For signals from other tasks.
    pub fn signaller(&self) -> Signaller {
        self.child.signaller()
    }

    /// As [`Child::kill`].
    ///
    /// # Errors
    /// What the kernel says.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Waits for the end, or for the deadline, which kills it. Closes stdin first. Dropped before it is ready, it
    /// changes nothing.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub async fn wait(&mut self) -> Result<Exit> {
        drop(self.stdin.take());
        loop {
            if let Some(exit) = self.child.try_wait()? {
                return Ok(exit);
            }
            // It has ended, and what it wrote waits for its reader.
            let notice = self.child.end_notice();
            let other = (notice.as_raw_fd() != self.child.pidfd().as_raw_fd()).then(|| notice.try_clone_to_owned());
            let lost = |error: io::Error| Error::lost("the pidfd", error);
            let other = other.transpose().and_then(|other| other.map(watched).transpose()).map_err(lost)?;
            let readable = other.as_ref().unwrap_or(&self.pidfd).readable();
            let ready = match self.child.time_left() {
                Some(left) => match tokio::time::timeout_at((Instant::now() + left).into(), readable).await {
                    Ok(ready) => ready,
                    // The deadline: the next look at the child kills it.
                    Err(_) => continue,
                },
                None => readable.await,
            };
            ready.map_err(lost)?.clear_ready();
        }
    }

    /// Reads stdout and stderr to their ends, and waits.
    ///
    /// # Errors
    /// As [`Child::wait`], and what reading answers.
    pub async fn wait_with_output(mut self) -> Result<Output> {
        let (mut out, mut err) = (self.stdout.take(), self.stderr.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exit = {
            let reading = async {
                let from_out = read_all(&mut out, &mut stdout);
                let from_err = read_all(&mut err, &mut stderr);
                tokio::try_join!(from_out, from_err).map(drop)
            };
            tokio::pin!(reading);
            tokio::select! {
                read = &mut reading => {
                    read.map_err(|error| Error::lost("output", error))?;
                    self.wait().await?
                }
                exit = self.wait() => {
                    let exit = exit?;
                    if exit.cause() != crate::exit::Cause::Deadline {
                        reading.await.map_err(|error| Error::lost("output", error))?;
                    }
                    exit
                }
            }
        };
        Ok(Output { exit, stdout, stderr })
    }
}

fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // Deprecated because of types that close or swap their descriptor while it is registered; an OwnedFd cannot.
    #[expect(deprecated, reason = "its successor is an unsafe function")]
    AsyncFd::with_interest(fd, Interest::READABLE)
}

async fn read_all(pipe: &mut Option<Receiver>, into: &mut Vec<u8>) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read_to_end(into).await,
        None => Ok(0),
    }
}
