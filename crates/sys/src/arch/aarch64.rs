//! aarch64: the `svc` instruction, the two ways of cloning onto a stack of our own, and what a program without libc starts with.
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
    // SAFETY: the caller vouches for the arguments; the kernel keeps every register but x0.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number as usize,
            inlateout("x0") arguments[0] as isize => answer,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            in("x5") arguments[5],
            options(nostack),
        );
    }
    answer
}

/// What a clone starts in the child: it must never return, there is nothing to return to.
pub type Entry = extern "C" fn(*mut c_void) -> !;

/// `clone3(2)`, then in the child `entry(data)` on the stack that `arguments` name.
///
/// The child has its parent's TPIDR_EL0, the thread's own storage: nothing that it runs may look there.
///
/// # Safety
/// `arguments` must be a `struct clone_args` of `size` bytes. With `CLONE_VM` its stack must be unused and
/// stay mapped until the child execs or exits, and `data` must stay valid as long.
#[unsafe(naked)]
pub unsafe extern "C" fn clone3_onto(arguments: *const c_void, size: usize, entry: Entry, data: *mut c_void) -> isize {
    naked_asm!(
        // bti c, where an indirect jump may land; nothing to processors that do not know it.
        "hint #34",
        "mov x8, #435",
        "svc #0",
        "cbnz x0, 2f",
        // The outermost frame has no caller; the stack pointer is aligned to 16 bytes, or using it is a fault.
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x9, sp",
        "and sp, x9, #-16",
        "mov x0, x3",
        "blr x2",
        "brk #1",
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
        "hint #34",
        "mov x9, x4",
        "mov x10, x5",
        // The kernel has the last two the other way round here: the storage of a thread, which is kept, comes before child_tid.
        "mov x4, x3",
        "mov x3, xzr",
        "mov x8, #220",
        "svc #0",
        "cbnz x0, 2f",
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x11, sp",
        "and sp, x11, #-16",
        "mov x0, x10",
        "blr x9",
        "brk #1",
        "2:",
        "ret",
    )
}

/// `AUDIT_ARCH_…`, linux/audit.h: whose numbers these are, as filters of system calls have it.
pub const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Bytes of the largest page that a kernel of it can have.
pub const LARGEST_PAGE: usize = 64 << 10;

/// Bytes of the kernel's `struct stat`, and where `st_mode` is in it.
pub const STAT: (usize, usize) = (128, 16);

/// Where programs of glibc have their ELF loader.
pub const ELF_LOADER: &str = "/lib/ld-linux-aarch64.so.1";

/// The numbers of the calls that the static init makes; `mod.rs` holds them against the kernel's headers.
pub mod number {
    #![allow(missing_docs, reason = "each is the call of its name")]
    pub const READ: u32 = 63;
    pub const WRITE: u32 = 64;
    pub const CLOSE: u32 = 57;
    pub const RT_SIGACTION: u32 = 134;
    pub const RT_SIGPROCMASK: u32 = 135;
    pub const IOCTL: u32 = 29;
    pub const PREAD64: u32 = 67;
    pub const GETPID: u32 = 172;
    pub const SOCKET: u32 = 198;
    pub const SENDTO: u32 = 206;
    pub const SENDMSG: u32 = 211;
    pub const CLONE: u32 = 220;
    pub const EXECVE: u32 = 221;
    pub const WAIT4: u32 = 260;
    pub const KILL: u32 = 129;
    pub const FCNTL: u32 = 25;
    pub const FCHDIR: u32 = 50;
    pub const SETPGID: u32 = 154;
    pub const SETSID: u32 = 157;
    pub const GETPPID: u32 = 173;
    pub const SETGROUPS: u32 = 159;
    pub const SETRESUID: u32 = 147;
    pub const SETRESGID: u32 = 149;
    pub const CAPGET: u32 = 90;
    pub const CAPSET: u32 = 91;
    pub const PRCTL: u32 = 167;
    pub const RESTART_SYSCALL: u32 = 128;
    pub const EXIT_GROUP: u32 = 94;
    pub const OPENAT: u32 = 56;
    pub const NEWFSTATAT: u32 = 79;
    pub const PPOLL: u32 = 73;
    pub const UNSHARE: u32 = 97;
    pub const ACCEPT4: u32 = 242;
    pub const SIGNALFD4: u32 = 74;
    pub const PIPE2: u32 = 59;
    pub const PRLIMIT64: u32 = 261;
    pub const SECCOMP: u32 = 277;
    pub const CLOSE_RANGE: u32 = 436;
    pub const FACCESSAT: u32 = 48;
    pub const FACCESSAT2: u32 = 439;
    pub const LANDLOCK_RESTRICT_SELF: u32 = 446;
}

/// Where the kernel starts a program without libc: the stack holds argc, argv and envp, and `$start` gets its address. Then what
/// compiled code may name, and libc and std have elsewhere: copies and fills for plain assignments, and the unwinder's entry,
/// which code of core's names and nobody calls. The linker drops what is not used.
#[allow(unused_macros, reason = "the init's alone")]
macro_rules! program {
    ($start:path) => {
        /// # Safety
        /// For the kernel alone.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        unsafe extern "C" fn _start() -> ! {
            core::arch::naked_asm!(
                // The outermost frame has no caller; the stack pointer has to be aligned to 16 bytes.
                "mov x29, xzr",
                "mov x30, xzr",
                "mov x0, sp",
                "and sp, x0, #-16",
                "bl {start}",
                "brk #1",
                start = sym $start,
            )
        }

        core::arch::global_asm!(
            ".globl memcpy, memset, rust_eh_personality",
            "memcpy: mov x3, x0",
            "2: cbz x2, 3f",
            "ldrb w4, [x1], #1",
            "strb w4, [x3], #1",
            "sub x2, x2, #1",
            "b 2b",
            "3: ret",
            "memset: mov x3, x0",
            "2: cbz x2, 3f",
            "strb w1, [x3], #1",
            "sub x2, x2, #1",
            "b 2b",
            "3: ret",
            "rust_eh_personality: brk #1",
        );
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use program;
