//! The ends of a command's pipes that are ours. Nothing is read before somebody asks for it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Result};
use napi::{Error, Status};
use napi_derive::napi;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{Mutex, watch};

use crate::hub::{Answer, Hub};
use crate::{reactor, report};

/// What a pipe holds, by default.
const CHUNK: usize = 64 * 1024;

fn refused(error: std::io::Error) -> Error {
    Error::new(Status::GenericFailure, format!("pipe: {error}"))
}

/// One end of a pipe, and whether it is closed: also while somebody waits for it.
struct End<T> {
    pipe: Arc<Mutex<Option<T>>>,
    closed: watch::Sender<bool>,
}

impl<T: Send + 'static> End<T> {
    fn new(pipe: T) -> End<T> {
        End { pipe: Arc::new(Mutex::new(Some(pipe))), closed: watch::Sender::new(false) }
    }

    fn close(&self) {
        // Whoever waits for it now lets go of it, seeing that it is closed.
        self.closed.send_replace(true);
        let pipe = self.pipe.clone();
        reactor::spawn(async move { drop(pipe.lock().await.take()) });
    }
}

/// An end that nobody holds is of no use to anybody.
impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.closed.send_replace(true);
    }
}

/// The end of stdout or stderr.
#[napi]
pub struct Reader(End<Receiver>);

#[napi]
impl Reader {
    pub(crate) fn new(fd: OwnedFd) -> Result<Reader> {
        let _runtime = reactor::handle().enter();
        Receiver::from_owned_fd(fd).map(|pipe| Reader(End::new(pipe))).map_err(refused)
    }

    /// What there is to read, up to 64 KiB; empty at the end.
    #[napi]
    pub fn read(&self, hub: &Hub, request: f64) {
        let answers = hub.answers();
        let (pipe, mut closed) = (self.0.pipe.clone(), self.0.closed.subscribe());
        reactor::spawn(async move {
            let mut pipe = pipe.lock().await;
            let mut bytes = Vec::with_capacity(CHUNK);
            let read = match &mut *pipe {
                Some(open) => tokio::select! {
                    read = open.read_buf(&mut bytes) => read,
                    _ = closed.wait_for(|closed| *closed) => Ok(0),
                },
                None => Ok(0),
            };
            if !matches!(read, Ok(1..)) {
                pipe.take();
            }
            drop(pipe);
            answers.send(
                request,
                match read {
                    Ok(_) => {
                        bytes.shrink_to_fit();
                        Answer::Bytes(bytes)
                    }
                    Err(error) => Answer::Failed(report::of_io("output", "read", &error)),
                },
            );
        });
    }

    /// Lets go of it; who waits for it gets the end.
    #[napi]
    pub fn close(&self) {
        self.0.close();
    }
}

/// The end of stdin.
#[napi]
pub struct Writer(End<Sender>);

#[napi]
impl Writer {
    pub(crate) fn new(fd: OwnedFd) -> Result<Writer> {
        let _runtime = reactor::handle().enter();
        Sender::from_owned_fd(fd).map(|pipe| Writer(End::new(pipe))).map_err(refused)
    }

    /// Writes all of it; answered when the pipe has taken the last byte.
    #[napi]
    pub fn write(&self, hub: &Hub, request: f64, bytes: Buffer) {
        let (answers, bytes) = (hub.answers(), bytes.to_vec());
        let (pipe, mut closed) = (self.0.pipe.clone(), self.0.closed.subscribe());
        reactor::spawn(async move {
            let mut pipe = pipe.lock().await;
            let gone = || Err(rustix::io::Errno::PIPE.into());
            let written = match &mut *pipe {
                Some(open) => tokio::select! {
                    written = open.write_all(&bytes) => written,
                    _ = closed.wait_for(|closed| *closed) => gone(),
                },
                None => gone(),
            };
            if written.is_err() {
                pipe.take();
            }
            drop(pipe);
            answers.send(
                request,
                match written {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Failed(report::of_io("stdin", "write", &error)),
                },
            );
        });
    }

    /// Lets go of it: the command reads the end.
    #[napi]
    pub fn close(&self) {
        self.0.close();
    }
}
