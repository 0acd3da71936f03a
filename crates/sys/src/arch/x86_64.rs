//! x86-64: the `syscall` instruction, and the two ways of cloning onto a stack of our own.
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
