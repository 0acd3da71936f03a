//! The handle of a running process.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use seclude::{Exit, Field, Signaller};

use crate::error::Error;
use crate::guard::{Failure, guarded, numbered, quiet};
use crate::strings::hand_over;

/// A process in its container. Freed with seclude_child_free.
#[derive(Debug)]
pub struct Child {
    /// Who started it. A process that was forked from that has a copy of all this, and no child; its locks may be held by nobody.
    owner: u32,
    pid: c_int,
    /// The state's own, which is open for as long as this is there.
    pidfd: RawFd,
    signaller: Signaller,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    child: seclude::Child,
    /// From the start until its end was seen.
    wall: Option<Duration>,
}

// The header promises it, and C does not ask.
const _: fn() = || {
    fn is_for_any_thread<T: Send + Sync>() {}
    is_for_any_thread::<Child>();
    is_for_any_thread::<Error>();
};

impl Child {
    pub(crate) fn new(child: seclude::Child, began: Instant) -> Child {
        Child {
            owner: std::process::id(),
            pid: child.id().cast_signed(),
            pidfd: child.pidfd().as_raw_fd(),
            signaller: child.signaller(),
            began,
            state: Mutex::new(State { child, wall: None }),
        }
    }

    fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Nothing waits while it has this, but for a container's clean-up at its end.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its end, if it has come.
    fn ended(&self, state: &mut State) -> Result<Option<Ended>, Failure> {
        let Some(exit) = state.child.try_wait()? else { return Ok(None) };
        let wall = *state.wall.get_or_insert_with(|| self.began.elapsed());
        let report = exit.to_json(state.child.report(), wall, &|remedy| remedy.to_json(&Field::to_string)).to_string();
        Ok(Some(Ended { exit, report }))
    }

    /// Not under the lock, so that others can kill it meanwhile.
    fn wait(&self) -> Result<Ended, Failure> {
        drop(self.state().child.stdin.take());
        loop {
            let (left, notice) = {
                let mut state = self.state();
                if let Some(ended) = self.ended(&mut state)? {
                    return Ok(ended);
                }
                // The pidfd, but for one that has ended, and whose output waits for its reader.
                let notice = state.child.end_notice().try_clone_to_owned();
                (state.child.time_left().map(timespec), notice.map_err(Failure::system("wait", "copy of the pidfd"))?)
            };
            match poll(&mut [PollFd::new(&notice, PollFlags::IN)], left.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::system("wait", "poll of the pidfd")(errno.into())),
            }
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) }
}

struct Ended {
    exit: Exit,
    report: String,
}

impl Ended {
    /// # Safety
    /// Each is NULL, or where such a thing can be written.
    unsafe fn tell(self, status: *mut c_int, report: *mut *mut c_char) {
        if !status.is_null() {
            // SAFETY: the caller's contract.
            unsafe { status.write(self.exit.status().into_raw()) };
        }
        // SAFETY: the caller's contract.
        unsafe { hand_over(report, self.report) };
    }
}

/// # Safety
/// NULL, or a handle that nobody frees for as long as `'a` lasts.
unsafe fn given<'a>(child: *const Child) -> Result<&'a Child, Failure> {
    // SAFETY: the caller's contract.
    let child = unsafe { child.as_ref() }.ok_or(Failure::Null("child"))?;
    match child.is_ours() {
        true => Ok(child),
        false => Err(Failure::system("handle", "of the process that this one was forked from")(Errno::CHILD.into())),
    }
}

/// Does something to the child that a number says all about.
///
/// # Safety
/// As of [`given`].
unsafe fn asked(child: *const Child, work: impl FnOnce(&Child) -> Result<c_int, Errno>) -> c_int {
    numbered(|| {
        // SAFETY: the caller's contract.
        let child = unsafe { child.as_ref() }.ok_or(Errno::FAULT)?;
        if child.is_ours() { work(child) } else { Err(Errno::CHILD) }
    })
}

/// Its pid, in the caller's pid namespace: of the container's first process, which in the sandbox is the command's init.
/// After its end another process may have the number. -EFAULT for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pid(child: *const Child) -> c_int {
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, |child| Ok(child.pid)) }
}

/// Its pidfd, pidfd_open(2): readable, as poll(2) and epoll(7) have it, once it has ended. It belongs to the handle: open until
/// that is freed, and not to be closed. -EFAULT for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pidfd(child: *const Child) -> c_int {
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, |child| Ok(child.pidfd)) }
}

/// The writing end of the pipe that is the command's stdin: the caller's from now on, to be closed. What is written to it when
/// nobody reads any more is SIGPIPE. -EBADF if it is no pipe, or was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_take_stdin(child: *mut Child) -> c_int {
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, |child| taken(child.state().child.stdin.take())) }
}

/// The reading end of the pipe that is the command's stdout: the caller's from now on, to be closed. -EBADF if it is no pipe,
/// or was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_take_stdout(child: *mut Child) -> c_int {
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, |child| taken(child.state().child.stdout.take())) }
}

/// The reading end of the pipe that is the command's stderr: the caller's from now on, to be closed. -EBADF if it is no pipe,
/// or was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_take_stderr(child: *mut Child) -> c_int {
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, |child| taken(child.state().child.stderr.take())) }
}

/// The other end of the terminal that the request asked for, pty(7): the caller's from now on, to be closed. What is written
/// there is the command's keyboard. -EBADF if it has none, or it was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_take_terminal(child: *mut Child) -> c_int {
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, |child| taken(child.state().child.take_terminal())) }
}

fn taken(end: Option<impl IntoRawFd>) -> Result<c_int, Errno> {
    end.map(IntoRawFd::into_raw_fd).ok_or(Errno::BADF)
}

/// Waits for its end, or for its deadline, which kills it; signals do not end the waiting. A pipe to its stdin that was not taken
/// is closed first. One that fills a pipe that nobody reads never ends.
///
/// `status`: NULL, or where its status is put, as waitpid(2) has it, for WIFEXITED and its like.
/// `report`: NULL, or where its report is put as JSON, as docs/report.schema.json has it; the caller's (seclude_string_free).
///
/// It can be asked again, by several threads at once too. If something of the container could not be removed, that is an error
/// the first time, and the next call tells the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_wait(
    child: *mut Child,
    status: *mut c_int,
    report: *mut *mut c_char,
    error: *mut *mut Error,
) -> c_int {
    let work = || {
        // SAFETY: NULL, or a handle that is not being freed.
        let ended = unsafe { given(child) }?.wait()?;
        // SAFETY: each is NULL, or where such a thing can be written.
        unsafe { ended.tell(status, report) };
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// As seclude_wait, but it does not wait: 1 if it has ended, 0 if not, in which case nothing is put anywhere. If its deadline has
/// passed, that is when it is killed. 0 as well of one that has ended, whose pidfd is readable therefore, as long as output that was
/// relayed waits for its reader (a stream of the caller's that is a connection): seclude_wait waits for that without using the processor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_try_wait(
    child: *mut Child,
    status: *mut c_int,
    report: *mut *mut c_char,
    error: *mut *mut Error,
) -> c_int {
    let work = || {
        // SAFETY: NULL, or a handle that is not being freed.
        let child = unsafe { given(child) }?;
        let Some(ended) = child.ended(&mut child.state())? else { return Ok(0) };
        // SAFETY: each is NULL, or where such a thing can be written.
        unsafe { ended.tell(status, report) };
        Ok(1)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// Milliseconds until its deadline, rounded up, as poll(2) takes them: when who waits for the pidfd has to call
/// seclude_try_wait all the same. -1 if it has none (or for NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_time_left(child: *const Child) -> c_int {
    let work = |child: &Child| {
        let left = child.state().child.time_left();
        Ok(left.map_or(-1, |left| c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)))
    };
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, work) }.max(-1)
}

/// Sends it a signal, signal(7), and never to a process that has its pid later. An init hands on to its command what is sent to it, but
/// SIGKILL, and those of job control (SIGSTOP and SIGCONT among them) to all of the command's process group, where it leads one (with an init in
/// the caller's own session, of `bare`, to the command alone); a command that is itself the first process of a pid namespace gets only what it has a
/// handler for, SIGKILL and SIGSTOP. -ESRCH once it has ended and that was seen, -EINVAL for what is no signal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_signal(child: *const Child, signal: c_int) -> c_int {
    let sent = |child: &Child| {
        let sent = child.signaller.send(signal);
        sent.map(|()| 0).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    // SAFETY: NULL, or a handle that is not being freed.
    unsafe { asked(child, sent) }
}

/// Kills it, and with it everything in its container: in its cgroup, if it has one of its own, and in its pid namespace, if that is
/// new, as in the sandbox. With neither it is the process alone. One that has ended already is no error. It has ended once
/// seclude_wait says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_kill(child: *mut Child, error: *mut *mut Error) -> c_int {
    let work = || {
        // SAFETY: NULL, or a handle that is not being freed.
        let child = unsafe { given(child) }?;
        child.state().child.kill().map_err(Failure::system("kill", ""))?;
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// What the container uses now and has used so far, as JSON: sizes in bytes (`…_bytes`), times in microseconds (`…_us`), null for what is
/// not counted here. It needs a cgroup of its own: limits in the request, or `"cgroup": {}`.
///
/// *stats is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_stats_json(
    child: *const Child,
    stats: *mut *mut c_char,
    error: *mut *mut Error,
) -> c_int {
    let work = || {
        // SAFETY: NULL, or a handle that is not being freed.
        let child = unsafe { given(child) }?;
        if stats.is_null() {
            return Err(Failure::Null("stats"));
        }
        let found = child.state().child.stats()?;
        // SAFETY: it is not NULL, so a pointer can be written there.
        unsafe { hand_over(stats, seclude::stats_to_json(&found).to_string()) };
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// What the filter of system calls has refused so far, as JSON: an array, as "denials" of docs/report.schema.json.
///
/// *denials is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_denials_json(
    child: *const Child,
    denials: *mut *mut c_char,
    error: *mut *mut Error,
) -> c_int {
    let work = || {
        // SAFETY: NULL, or a handle that is not being freed.
        let child = unsafe { given(child) }?;
        if denials.is_null() {
            return Err(Failure::Null("denials"));
        }
        let found = child.state().child.denials();
        let found = found.to_json(&|remedy| remedy.to_json(&Field::to_string)).to_string();
        // SAFETY: it is not NULL, so a pointer can be written there.
        unsafe { hand_over(denials, found) };
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// Stops every process of the container, until seclude_resume; returns when all have stopped, or after 10 s with an error. The deadline
/// goes on meanwhile. It needs a cgroup of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_pause(child: *const Child, error: *mut *mut Error) -> c_int {
    let work = || {
        // SAFETY: NULL, or a handle that is not being freed.
        let child = unsafe { given(child) }?;
        // Others may kill it meanwhile.
        let meter = child.state().child.meter();
        match meter {
            Some(meter) => meter.pause()?,
            None => child.state().child.pause()?,
        }
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// Lets them go on; nothing happens if they were not stopped. It needs a cgroup of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_resume(child: *const Child, error: *mut *mut Error) -> c_int {
    let work = || {
        // SAFETY: NULL, or a handle that is not being freed.
        unsafe { given(child) }?.state().child.resume()?;
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// Frees the handle. If it still runs, it is killed first, with everything in its container, and waited for. Pipes and
/// terminals that were taken stay the caller's. In the child of a fork it is forgotten, and nothing ends. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_free(child: *mut Child) {
    // SAFETY: NULL, or what seclude_spawn gave, which is there until here.
    if unsafe { child.as_ref() }.is_some_and(Child::is_ours) {
        // SAFETY: the caller hands back what seclude_spawn gave, once, and nobody uses it any more.
        quiet(|| drop(unsafe { Box::from_raw(child) }));
    }
}
