//! A tiny static init, PID 1 of a container, as bytes.
//!
//! It starts one command and stays beside it: reaps whatever is orphaned, forwards signals, tells the spawner over a
//! socket how the command fares, and ends when the spawner does, which makes the kernel end the PID namespace. It is
//! one static file without libc that makes system calls and nothing else, so it runs inside any root and from
//! a sealed memfd, whatever the container's own files are.
//!
//! # How to start it
//!
//! | argv | what | example |
//! | --- | --- | --- |
//! | 0 | `seclude-init` | |
//! | 1 | descriptor number of a `SOCK_SEQPACKET` socket to the spawner, inherited without close-on-exec | `3` |
//! | 2 | flags: `t` the command leads the foreground of the session's terminal, which is the first of the descriptors 0, 1, 2 that is that terminal, or else `/dev/tty` if there is one; `j` the command stays in the init's process group, which is its caller's job; `x` become the command, without an init; `d` outlive the spawner; `p` go on as a child of the spawner's, which is in the pid namespace that was entered, `s` leads a session there, and `c` is controlled by that of 0, 1, 2 that is a terminal; `o` hide its memory and descriptors, as others may see it; `w` an act `W` is among those below; `-` nothing | `t` |
//! | 3 | the command's signal mask, the kernel's 64 bits in hexadecimal | `0` |
//! | 4 | `STEP:OP`, to be put into a failure | `21:74` |
//! | 5 | `A:B:C` or `A:B:C:D`, the call numbers to be put into a failure: execve, execve (interpreter), execve (directory), any call of the init's own; without D that is A | `42:43:44:45` |
//! | 6 | M, the number of acts, at most 65535 | `1` |
//! | then | M acts, done in turn: a letter, `STEP:OP:CALL` for its failure, and numbers | `n21:80:12` |
//! | then | N, the number of candidates, at most 65535 | `2` |
//! | then | N paths, tried in turn | `/bin/sh` `/usr/bin/sh` |
//! | then | the command's argv, at least one | `sh` `-c` `true` |
//!
//! Acts, for the process that becomes the command: `r` RESOURCE:SOFT:HARD a limit, `k` keep capabilities over a change of ids, `b` MASK the
//! bounding set, `g` GROUP… , `i` GID, `u` UID, `c` EFFECTIVE:PERMITTED:INHERITABLE, `e` INHERITABLE:AMBIENT what is over the exec, `a` AMBIENT,
//! `n` no new privileges, `w` DIRECTORY the descriptor of the working directory, `m` FLAGS unshare, `U` … a second user namespace, `s` FILE:FLAGS:LISTENS a
//! filter of system calls, whose listener is sent to the spawner if LISTENS is not 0, `h`DESCRIPTOR (without the rest) what the init holds and the
//! command has not, `p`DESCRIPTOR (the same) the spawner's pidfd, with which the init ends, `x` PROC:MODULE:LABEL what a security module confines the command by (0 AppArmor, 1 SELinux), `W`LISTENER (without the rest) wait before the exec; `f` and `!` are for tests.
//!
//! Numbers are decimal where nothing else is said. The environment is the command's. An argv that is not like this
//! ends the init with code 125, without a word, as does a first argument that is no descriptor.
//!
//! The init should start with all signals blocked; it blocks them itself as well, but what comes before that has the
//! effect it would have on any process. The other descriptors, the working directory, the ids, the limits and
//! whatever else exec keeps go to the command as they are: only its signal mask, its process group (it leads one of
//! its own, without `j`) and, with `t`, the terminal's foreground group are set. SIGCHLD is set to the default for the init, and
//! back to what it was for the command.
//!
//! # What it says
//!
//! Records of 8 bytes in the layout of `seclude_child::wire::Message`: tag, step, op (two bytes, little endian),
//! value (four bytes, little endian). In this order:
//!
//! 1. *Failed*: tag is the number of the call, step and op are those of argv 4, the value is the errno. Nothing was
//!    started, or nothing that had become the command. If the tag is B, or A with ENOEXEC, a second record holds the first 1 to 2040
//!    bytes of the file whose interpreter or loader is missing, or which is no program here (it is not sent if they cannot be read). The init
//!    ends with code 125.
//! 2. *Listener*, tag 247, if an act asks for one: with the descriptor, or the errno for which there is none and the filter answers by itself.
//!    Where LISTENS is 2, the spawner answers with one byte once whoever answers has it, and nothing is executed before.
//! 3. *Running*, tag 253: the command's execve has succeeded, or, with `w`, all is done but that. A child that was killed before its execve is told as
//!    *Running* too, and its end as *Ended*.
//! 4. With `t`, *Stopped*, tag 251, any number of times: a signal, the value, has stopped the command. SIGCONT to the init
//!    has it go on.
//! 5. *Ended*, tag 254: the value is the command's wait status, as wait(2) has it. The init ends with the command's
//!    exit code, or with 128 + N after signal N; so does the namespace.
//!
//! An end of file without *Failed* or *Ended* means that the init itself was killed, or did not understand its argv,
//! or (code 125) that the kernel refused it poll or wait.
//!
//! With `w` the command was found, the spawner answers *Running* with one byte, and the init ends without it. Then it is a socket of
//! the listener's that counts: whoever connects there and sends a byte has the command executed, and hears *Failed*, or an end of file.
//! Neither `t`, `j` nor anything but `x` goes together with it.
//!
//! The candidates are tried as execvp(3) does: ENOENT and ENOTDIR go on to the next, EACCES as well but is what is
//! told in the end, any other error is told at once. ENOENT of a file that is there is an interpreter that is missing
//! (tag B); EACCES of a directory has tag C.
//!
//! # What it does while the command runs
//!
//! - It holds the socket and a signalfd, and no other descriptor: nobody waits for the end of a pipe because of it.
//! - Every signal but SIGCHLD goes to the command, and to the command only, not to its process group (but SIGCONT, SIGTSTP,
//!   SIGTTIN and SIGTTOU to all of it, and whatever is sent with the value 1, sigqueue(3); SIGTTOU with the value 2 goes to all of it as
//!   SIGSTOP; with `j`, where it leads none, to the command alone, and what the kernel itself sends to all of a job is not sent again); also one that comes from inside the namespace, and one that PID 1 would not get without a handler. (SIGKILL and SIGSTOP,
//!   which only the outside can send to PID 1, are the init's own.) A signal is sent on with kill(2): its number
//!   goes along, its sender and value do not, and a command that has become another user does not get it if the
//!   init's user may not signal it.
//! - It reaps every child that ends. Without `t`, a command that is stopped is not told.
//! - When the spawner's end of the socket is closed, it ends with code 137, and in a PID namespace of which it is the
//!   first process the kernel kills the rest. With the flag `d` it goes on.
//! - From the start of its command on it may make eight system calls: `ppoll`, `read`, `kill`, `wait4`, `sendto`, `close`, `exit_group` and
//!   `restart_syscall`; any other ends it, and so the container. Where no filter can be had it goes on without.
//! - It is not dumpable, so other processes can neither trace it nor reach the socket through `/proc/1`, unless they
//!   have `CAP_SYS_PTRACE` in the user namespace in which the init was started.
//!
//! # What it needs
//!
//! Linux 5.9 (`close_range`), and a seccomp filter that allows, for itself: `clone`, `close`, `close_range`,
//! `execve`, `exit_group`, `fcntl`, `getpid`, `ioctl`, `kill`, `newfstatat`, `openat`, `pipe2`, `ppoll`, `prctl`,
//! `read`, `rt_sigaction`, `rt_sigprocmask`, `sendto`, `setpgid`, `signalfd4`, `wait4`, `write`. One process and three
//! descriptors besides the command's own have to be within the limits. What fails of this is told as *Failed* with tag D.
#![forbid(unsafe_code)]

/// The init: a static ELF executable for the target's architecture.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/seclude-init"));
