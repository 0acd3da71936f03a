//! Our end of a command's terminal, pty(7).
//!
//! It is read when JavaScript asks for more, and not ahead: a command that says more than is taken waits for its terminal, as
//! it would anywhere. What is to be written waits here for the command, and nobody on JavaScript's thread waits for either.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Result};
use napi::{Error, Status};
use napi_derive::napi;
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, Winsize, tcgetattr, tcsetattr,
    tcsetwinsize,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::hub::{Answer, Hub};
use crate::{reactor, report};

/// What one answer has at most: more than a terminal holds, which is what a command can have said before its end.
const CHUNK: usize = 64 * 1024;
/// What the kernel gives at once, at most.
const PIECE: usize = 4096;
/// A command may close its ends and open /dev/tty anew: the kernel does not tell when, and that they were closed is all that is
/// told from then on.
const AGAIN: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The command has ended: what it has said is read, and not what others go on to say.
    Ended,
    Closed,
}

struct Master {
    fd: AsyncFd<OwnedFd>,
    stage: watch::Sender<Stage>,
}

impl Master {
    /// What comes next; nothing at the end.
    async fn next(&self) -> io::Result<Vec<u8>> {
        let mut stage = self.stage.subscribe();
        loop {
            let now = *stage.borrow_and_update();
            match now {
                Stage::Open => {}
                Stage::Ended => {
                    let last = gather(self.fd.get_ref());
                    self.stage.send_replace(Stage::Closed);
                    return last.or_else(|error| match error.kind() {
                        io::ErrorKind::WouldBlock => Ok(Vec::new()),
                        _ => Err(error),
                    });
                }
                Stage::Closed => return Ok(Vec::new()),
            }
            tokio::select! {
                ready = self.fd.readable() => {
                    let mut ready = ready?;
                    let hung_up = ready.ready().is_read_closed();
                    match ready.try_io(|fd| gather(fd.get_ref())) {
                        Ok(Ok(nothing)) if nothing.is_empty() => {}
                        Ok(gathered) => return gathered,
                        Err(_) if hung_up => {}
                        Err(_) => continue,
                    }
                }
                _ = stage.changed() => continue,
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                _ = stage.changed() => {}
            }
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.fd.writable().await?;
            let hung_up = ready.ready().is_write_closed();
            match ready.try_io(|fd| Ok(write(fd.get_ref(), bytes)?)) {
                Ok(Ok(written)) => bytes = bytes.get(written..).unwrap_or_default(),
                Ok(Err(error)) => match Errno::from_io_error(&error) {
                    Some(Errno::INTR) => {}
                    Some(Errno::IO) => sleep(AGAIN).await,
                    _ => return Err(error),
                },
                Err(_) if hung_up => sleep(AGAIN).await,
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// What there is to read; nothing where nobody has the command's end open.
fn gather(fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut gathered = Vec::new();
    let mut piece = [0; PIECE];
    while gathered.len() < CHUNK {
        match read(fd, &mut piece) {
            Ok(0) | Err(Errno::IO) => break,
            Ok(read) => gathered.extend_from_slice(&piece[..read]),
            Err(Errno::INTR) => {}
            // It is still there for the next one who reads.
            Err(_) if !gathered.is_empty() => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(gathered)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(error: impl Into<io::Error>) -> Error {
    Error::new(Status::GenericFailure, format!("terminal: {}", error.into()))
}

/// The terminal that a command is to have.
#[napi(object)]
pub struct TerminalOptions {
    pub rows: u16,
    pub columns: u16,
    /// TERM, where the environment is not to have another.
    pub name: Option<String>,
}

/// The end of a terminal that has the keyboard and the screen.
#[napi]
pub struct Terminal {
    /// Until it is closed.
    master: Mutex<Option<Arc<Master>>>,
    /// How it was before it was made raw.
    cooked: Mutex<Option<Termios>>,
}

#[napi]
impl Terminal {
    pub(crate) fn new(master: OwnedFd) -> Result<Terminal> {
        ioctl_fionbio(&master, true).map_err(refused)?;
        let _runtime = reactor::handle().enter();
        // Deprecated because of types that close or swap their descriptor while it is registered; an OwnedFd cannot.
        #[expect(deprecated, reason = "its successor is an unsafe function")]
        let fd = AsyncFd::new(master).map_err(refused)?;
        let master = Arc::new(Master { fd, stage: watch::Sender::new(Stage::Open) });
        Ok(Terminal { master: Mutex::new(Some(master)), cooked: Mutex::new(None) })
    }

    fn master(&self) -> Option<Arc<Master>> {
        lock(&self.master).clone()
    }

    /// What there is to read, up to some more than 64 KiB; empty at the end. One at a time.
    #[napi]
    pub fn read(&self, hub: &Hub, request: f64) {
        let (answers, master) = (hub.answers(), self.master());
        reactor::spawn(async move {
            let next = match &master {
                Some(master) => master.next().await,
                None => Ok(Vec::new()),
            };
            // Who gets the end shall find it closed.
            drop(master);
            let failed = |error| Answer::Failed(report::of_io("terminal", "read", &error));
            answers.send(request, next.map_or_else(failed, Answer::Bytes));
        });
    }

    /// Writes all of it; answered when the terminal has taken the last byte. One at a time.
    #[napi]
    pub fn write(&self, hub: &Hub, request: f64, bytes: Buffer) {
        let (answers, master, bytes) = (hub.answers(), self.master(), bytes.to_vec());
        reactor::spawn(async move {
            let gone = || Err(Errno::IO.into());
            let written = match &master {
                Some(master) => {
                    let mut stage = master.stage.subscribe();
                    tokio::select! {
                        written = master.write_all(&bytes) => written,
                        // Nobody is left to read it.
                        _ = stage.wait_for(|stage| *stage != Stage::Open) => gone(),
                    }
                }
                None => gone(),
            };
            drop(master);
            let failed = |error| Answer::Failed(report::of_io("terminal", "write", &error));
            answers.send(request, written.map_or_else(failed, |()| Answer::Done));
        });
    }

    /// Its size, of which the command is told by SIGWINCH.
    #[napi]
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let Some(master) = self.master() else { return Ok(()) };
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(master.fd.get_ref(), size).map_err(refused)
    }

    /// Raw: the command gets each byte as it is written, without echo, lines and signals; what it says stays as it is. Not
    /// raw: as it was before.
    #[napi]
    pub fn set_raw(&self, raw: bool) -> Result<()> {
        let Some(master) = self.master() else { return Ok(()) };
        let mut cooked = lock(&self.cooked);
        let modes = if raw {
            let now = tcgetattr(master.fd.get_ref()).map_err(refused)?;
            made_raw(cooked.get_or_insert(now).clone())
        } else {
            let Some(before) = cooked.take() else { return Ok(()) };
            before
        };
        tcsetattr(master.fd.get_ref(), OptionalActions::Now, &modes).map_err(refused)
    }

    /// The command has ended: the next to read gets the last of what it has said.
    #[napi]
    pub fn finish(&self) {
        if let Some(master) = self.master() {
            master.stage.send_if_modified(|stage| {
                let open = *stage == Stage::Open;
                *stage = if open { Stage::Ended } else { *stage };
                open
            });
        }
    }

    /// Closes it, which hangs up on whoever is there; who reads gets the end.
    #[napi]
    pub fn close(&self) {
        if let Some(master) = lock(&self.master).take() {
            master.stage.send_replace(Stage::Closed);
        }
    }
}

impl Drop for Terminal {
    /// Who reads or writes holds the master, and nobody waits for that any more.
    fn drop(&mut self) {
        self.close();
    }
}

fn made_raw(mut modes: Termios) -> Termios {
    use InputModes as Input;
    modes.input_modes.remove(Input::BRKINT | Input::ICRNL | Input::INPCK | Input::ISTRIP | Input::IXON);
    modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG);
    modes.control_modes.insert(ControlModes::CS8);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}
