//! The ends of a command's pipes that are ours.
//!
//! What the command says is read as it comes and kept until somebody asks for it, as the runtimes have it: who waits for its
//! end and reads nothing would wait for ever otherwise. Where there is a bound (`maxBuffer`), nothing is read before it is
//! asked for.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Buffer, Result};
use napi::{Error, Status};
use napi_derive::napi;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use crate::hub::{Answer, Hub};
use crate::{reactor, report};

/// What a pipe holds, by default.
const CHUNK: usize = 64 * 1024;

fn refused(error: std::io::Error) -> Error {
    Error::new(Status::GenericFailure, format!("pipe: {error}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was read and not asked for yet.
#[derive(Default)]
struct Kept {
    chunks: VecDeque<Vec<u8>>,
    /// Nothing comes any more; an error is told once.
    over: Option<Option<std::io::Error>>,
}

impl Kept {
    /// Small pieces share a chunk: a command that writes byte by byte shall not take a chunk for each.
    fn keep(&mut self, bytes: &[u8]) {
        match self.chunks.back_mut() {
            Some(last) if last.len() + bytes.len() <= CHUNK => last.extend_from_slice(bytes),
            _ => self.chunks.push_back(bytes.to_vec()),
        }
    }
}

/// The end of stdout or stderr, before JavaScript has it.
pub(crate) struct Output {
    kept: Arc<Mutex<Kept>>,
    /// Something was kept, or asked for, or it is over.
    news: Arc<Notify>,
    /// Reads on demand alone: how many were asked for.
    wanted: Option<watch::Sender<u64>>,
    /// Dropped or true: nobody wants any more of it.
    closed: watch::Sender<bool>,
}

impl Output {
    /// `ahead`: all of it is read as it comes.
    pub(crate) fn new(fd: OwnedFd, ahead: bool) -> std::io::Result<Output> {
        let _runtime = reactor::handle().enter();
        let pipe = Receiver::from_owned_fd(fd)?;
        let (kept, news) = (Arc::<Mutex<Kept>>::default(), Arc::new(Notify::new()));
        let wanted = (!ahead).then(|| watch::Sender::new(0));
        let closed = watch::Sender::new(false);
        let demand = wanted.as_ref().map(watch::Sender::subscribe);
        reactor::spawn(follow(pipe, kept.clone(), news.clone(), demand, closed.subscribe()));
        Ok(Output { kept, news, wanted, closed })
    }
}

/// Reads the pipe to its end, and closes it then, whether anybody has asked for what it said or not.
async fn follow(
    mut pipe: Receiver,
    kept: Arc<Mutex<Kept>>,
    news: Arc<Notify>,
    mut demand: Option<watch::Receiver<u64>>,
    mut closed: watch::Receiver<bool>,
) {
    let mut answered = 0;
    let read_all = async {
        let mut chunk = vec![0; CHUNK];
        loop {
            if let Some(demand) = &mut demand {
                if demand.wait_for(|wanted| *wanted > answered).await.is_err() {
                    return None;
                }
                answered += 1;
            }
            match pipe.read(&mut chunk).await {
                Ok(0) => return None,
                Ok(read) => lock(&kept).keep(&chunk[..read]),
                Err(error) => return Some(error),
            }
            news.notify_one();
        }
    };
    let error = tokio::select! {
        error = read_all => error,
        _ = closed.wait_for(|closed| *closed) => None,
    };
    drop(pipe);
    lock(&kept).over = Some(error);
    news.notify_one();
}

/// The end of stdout or stderr.
#[napi]
pub struct Reader(Output);

#[napi]
impl Reader {
    pub(crate) fn new(output: Output) -> Reader {
        Reader(output)
    }

    /// What there is to read, up to 64 KiB; empty at the end. One at a time.
    #[napi]
    pub fn read(&self, hub: &Hub, request: f64) {
        let answers = hub.answers();
        let (kept, news) = (self.0.kept.clone(), self.0.news.clone());
        if let Some(wanted) = &self.0.wanted {
            wanted.send_modify(|wanted| *wanted += 1);
        }
        reactor::spawn(async move {
            loop {
                let answer = {
                    let mut kept = lock(&kept);
                    match (kept.chunks.pop_front(), &mut kept.over) {
                        (Some(bytes), _) => Some(Answer::Bytes(bytes)),
                        (None, Some(error)) => Some(match error.take() {
                            Some(error) => Answer::Failed(report::of_io("output", "read", &error)),
                            None => Answer::Bytes(Vec::new()),
                        }),
                        (None, None) => None,
                    }
                };
                match answer {
                    Some(answer) => return answers.send(request, answer),
                    None => news.notified().await,
                }
            }
        });
    }

    /// Lets go of it; who waits for it gets the end.
    #[napi]
    pub fn close(&self) {
        lock(&self.0.kept).chunks.clear();
        self.0.closed.send_replace(true);
    }
}

/// The end of stdin.
#[napi]
pub struct Writer {
    pipe: Arc<AsyncMutex<Option<Sender>>>,
    /// Dropped or true: it is closed, also while somebody waits for it.
    closed: watch::Sender<bool>,
}

#[napi]
impl Writer {
    pub(crate) fn new(fd: OwnedFd) -> Result<Writer> {
        let _runtime = reactor::handle().enter();
        let pipe = Sender::from_owned_fd(fd).map_err(refused)?;
        Ok(Writer { pipe: Arc::new(AsyncMutex::new(Some(pipe))), closed: watch::Sender::new(false) })
    }

    /// Writes all of it; answered when the pipe has taken the last byte.
    #[napi]
    pub fn write(&self, hub: &Hub, request: f64, bytes: Buffer) {
        let (answers, bytes) = (hub.answers(), bytes.to_vec());
        let (pipe, mut closed) = (self.pipe.clone(), self.closed.subscribe());
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
        // Whoever waits for it now lets go of it, seeing that it is closed.
        self.closed.send_replace(true);
        let pipe = self.pipe.clone();
        reactor::spawn(async move { drop(pipe.lock().await.take()) });
    }
}
