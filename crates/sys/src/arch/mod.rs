//! One file per architecture: how a system call is made, how a clone starts on another stack, and all else of ours that is
//! another there. ARCHITECTURE.md has the list of what a new one needs.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod this;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub use this::{AUDIT_ARCH, ELF_LOADER, Entry, LARGEST_PAGE, STAT, clone_onto, clone3_onto, number, syscall};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "seclude knows x86_64 and aarch64: another architecture needs its file in crates/sys/src/arch, and what the list \"An \
     architecture\" of ARCHITECTURE.md names"
);

/// Holds what the file says against the kernel's headers: the init, which is compiled without them, relies on it.
macro_rules! as_in_the_headers {
    ($($name:ident $kernel:ident)*) => {
        $(const _: () = assert!(number::$name == crate::raw::general::$kernel);)*
    };
}

as_in_the_headers! {
    READ __NR_read
    WRITE __NR_write
    CLOSE __NR_close
    RT_SIGACTION __NR_rt_sigaction
    RT_SIGPROCMASK __NR_rt_sigprocmask
    IOCTL __NR_ioctl
    PREAD64 __NR_pread64
    GETPID __NR_getpid
    SOCKET __NR_socket
    SENDTO __NR_sendto
    SENDMSG __NR_sendmsg
    CLONE __NR_clone
    EXECVE __NR_execve
    WAIT4 __NR_wait4
    KILL __NR_kill
    FCNTL __NR_fcntl
    FCHDIR __NR_fchdir
    SETPGID __NR_setpgid
    SETSID __NR_setsid
    GETPPID __NR_getppid
    SETGROUPS __NR_setgroups
    SETRESUID __NR_setresuid
    SETRESGID __NR_setresgid
    CAPGET __NR_capget
    CAPSET __NR_capset
    PRCTL __NR_prctl
    RESTART_SYSCALL __NR_restart_syscall
    EXIT_GROUP __NR_exit_group
    OPENAT __NR_openat
    NEWFSTATAT __NR_newfstatat
    PPOLL __NR_ppoll
    UNSHARE __NR_unshare
    ACCEPT4 __NR_accept4
    SIGNALFD4 __NR_signalfd4
    PIPE2 __NR_pipe2
    PRLIMIT64 __NR_prlimit64
    SECCOMP __NR_seccomp
    CLOSE_RANGE __NR_close_range
    FACCESSAT __NR_faccessat
    FACCESSAT2 __NR_faccessat2
    LANDLOCK_RESTRICT_SELF __NR_landlock_restrict_self
}

const _: () = assert!(STAT.0 == size_of::<crate::raw::general::stat>());
const _: () = assert!(STAT.1 == core::mem::offset_of!(crate::raw::general::stat, st_mode));
