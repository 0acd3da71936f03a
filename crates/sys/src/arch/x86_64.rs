//! x86-64: the `syscall` instruction, the two ways of cloning onto a stack of our own, and what a program without libc starts with.
//!
//! The file stands alone (it names no crate), so that the static init can be compiled from it too.

use core::arch::{asm, naked_asm};
use core::ffi::c_void;

/// Makes a system call with up to six arguments; a negative answer is `-errno`.
///
/// # Safety
/// The arguments must be what the system call `number` expects: the kernel writes where they point.
#[inline(always)]
pub unsafe fn syscall(number: u32, arguments: [usize; 6]) -> isize {
    let answer: isize;
    // SAFETY: the caller vouches for the arguments; rcx and r11 are what the instruction clobbers.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// What a clone starts in the child: it must never return, there is nothing to return to.
pub type Entry = extern "C" fn(*mut c_void) -> !;

/// `clone3(2)`, then in the child `entry(data)` on the stack that `arguments` name.
///
/// # Safety
/// `arguments` must be a `struct clone_args` of `size` bytes. With `CLONE_VM` its stack must be unused and
/// stay mapped until the child execs or exits, and `data` must stay valid as long.
#[unsafe(naked)]
pub unsafe extern "C" fn clone3_onto(arguments: *const c_void, size: usize, entry: Entry, data: *mut c_void) -> isize {
    naked_asm!(
        "mov r8, rdx",
        "mov r9, rcx",
        "mov eax, 435",
        "syscall",
        "test rax, rax",
        "jne 2f",
        "xor ebp, ebp",
        "and rsp, -16",
        "mov rdi, r9",
        "call r8",
        "ud2",
        "2:",
        "ret",
    )
}

/// `clone(2)`, for hosts that refuse `clone3`; the rest as [`clone3_onto`].
///
/// # Safety
/// As [`clone3_onto`]; `stack_top` is 0 (keep the stack, only without `CLONE_VM`) or the upper end of the stack.
#[unsafe(naked)]
pub unsafe extern "C" fn clone_onto(
    flags: usize,
    stack_top: usize,
    parent_tid: *mut i32,
    child_tid: *mut i32,
    entry: Entry,
    data: *mut c_void,
) -> isize {
    naked_asm!(
        "push rbx",
        "mov rbx, r8",
        "mov r10, rcx",
        "xor r8d, r8d",
        "mov eax, 56",
        "syscall",
        "test rax, rax",
        "jne 2f",
        "xor ebp, ebp",
        "and rsp, -16",
        "mov rdi, r9",
        "call rbx",
        "ud2",
        "2:",
        "pop rbx",
        "ret",
    )
}

/// `AUDIT_ARCH_…`, linux/audit.h: whose numbers these are, as filters of system calls have it.
pub const AUDIT_ARCH: u32 = 0xc000_003e;

/// Bytes of the largest page that a kernel of it can have.
pub const LARGEST_PAGE: usize = 4096;

/// Bytes of the kernel's `struct stat`, and where `st_mode` is in it.
pub const STAT: (usize, usize) = (144, 24);

/// Where programs of glibc have their ELF loader.
pub const ELF_LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// The numbers of the calls that the static init makes; `mod.rs` holds them against the kernel's headers.
pub mod number {
    #![allow(missing_docs, reason = "each is the call of its name")]
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const CLOSE: u32 = 3;
    pub const RT_SIGACTION: u32 = 13;
    pub const RT_SIGPROCMASK: u32 = 14;
    pub const IOCTL: u32 = 16;
    pub const PREAD64: u32 = 17;
    pub const GETPID: u32 = 39;
    pub const SOCKET: u32 = 41;
    pub const SENDTO: u32 = 44;
    pub const SENDMSG: u32 = 46;
    pub const CLONE: u32 = 56;
    pub const EXECVE: u32 = 59;
    pub const WAIT4: u32 = 61;
    pub const KILL: u32 = 62;
    pub const FCNTL: u32 = 72;
    pub const FCHDIR: u32 = 81;
    pub const SETPGID: u32 = 109;
    pub const SETSID: u32 = 112;
    pub const GETPPID: u32 = 110;
    pub const SETGROUPS: u32 = 116;
    pub const SETRESUID: u32 = 117;
    pub const SETRESGID: u32 = 119;
    pub const CAPGET: u32 = 125;
    pub const CAPSET: u32 = 126;
    pub const PRCTL: u32 = 157;
    pub const RESTART_SYSCALL: u32 = 219;
    pub const EXIT_GROUP: u32 = 231;
    pub const OPENAT: u32 = 257;
    pub const NEWFSTATAT: u32 = 262;
    pub const PPOLL: u32 = 271;
    pub const UNSHARE: u32 = 272;
    pub const ACCEPT4: u32 = 288;
    pub const SIGNALFD4: u32 = 289;
    pub const PIPE2: u32 = 293;
    pub const PRLIMIT64: u32 = 302;
    pub const SECCOMP: u32 = 317;
    pub const CLOSE_RANGE: u32 = 436;
    pub const FACCESSAT: u32 = 269;
    pub const FACCESSAT2: u32 = 439;
    pub const LANDLOCK_RESTRICT_SELF: u32 = 446;
}

/// Where the kernel starts a program without libc: the stack holds argc, argv and envp, and `$start` gets its address. Then what
/// compiled code may name, and libc and std have elsewhere: copies and fills for plain assignments (the direction flag is clear
/// by the ABI), and the unwinder's entry, which code of core's names and nobody calls. The linker drops what is not used.
#[allow(unused_macros, reason = "the init's alone")]
macro_rules! program {
    ($start:path) => {
        /// # Safety
        /// For the kernel alone.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        unsafe extern "C" fn _start() -> ! {
            core::arch::naked_asm!(
                // The outermost frame has no caller; a call wants the stack aligned to 16 bytes.
                "xor ebp, ebp",
                "mov rdi, rsp",
                "and rsp, -16",
                "call {start}",
                "ud2",
                start = sym $start,
            )
        }

        core::arch::global_asm!(
            ".globl memcpy, memset, rust_eh_personality",
            "memcpy: mov rax, rdi",
            "mov rcx, rdx",
            "rep movsb",
            "ret",
            "memset: mov r8, rdi",
            "mov eax, esi",
            "mov rcx, rdx",
            "rep stosb",
            "mov rax, r8",
            "ret",
            "rust_eh_personality: ud2",
        );
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use program;
