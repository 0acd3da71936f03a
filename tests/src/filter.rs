//! A seccomp filter around a program, as container engines have one: made by python, since the library has none yet.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// Numbers of system calls on this machine.
pub mod call {
    #![expect(missing_docs, reason = "the names say it")]
    use seclude_sys::raw::general as kernel;

    pub const CLONE: u32 = kernel::__NR_clone;
    pub const MOUNT: u32 = kernel::__NR_mount;
    pub const UNSHARE: u32 = kernel::__NR_unshare;
    pub const OPEN_TREE: u32 = kernel::__NR_open_tree;
    pub const FSOPEN: u32 = kernel::__NR_fsopen;
    pub const CLONE3: u32 = kernel::__NR_clone3;
    pub const MOUNT_SETATTR: u32 = kernel::__NR_mount_setattr;
    pub const PIVOT_ROOT: u32 = kernel::__NR_pivot_root;
}

/// CLONE_NEWUSER, clone(2).
const NEW_USER: u32 = 0x1000_0000;

const SCRIPT: &str = r"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def step(code, k, t=0, f=0): return struct.pack('HBBI', code, t, f, k)
code = step(0x20, 0)
for rule in filter(None, sys.argv[1].split(',')):
    number, errno, flag = map(int, rule.split(':'))
    # The number, then (for a flag) the low half of the first argument.
    code += step(0x15, number, 0, 4) + step(0x20, 16) + (step(0x45, flag, 0, 1) if flag else step(0x05, 0))
    code += step(0x06, 0x50000 | errno) + step(0x20, 0)
code += step(0x06, 0x7fff0000)
buffer = ctypes.create_string_buffer(code)
class Prog(ctypes.Structure): _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
prog = Prog(len(code) // 8, ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(prog), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
";

/// A program under a filter that lets these calls answer these error numbers; clone(2) only if it asks for a user
/// namespace. It has no_new_privs, without which nobody but root may have a filter.
pub fn filtered(refused: &[(u32, i32)], program: impl AsRef<OsStr>) -> Command {
    let rule = |(number, errno): &(u32, i32)| {
        let flag = if *number == call::CLONE || *number == call::UNSHARE { NEW_USER } else { 0 };
        format!("{number}:{errno}:{flag}")
    };
    let rules: Vec<String> = refused.iter().map(rule).collect();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", SCRIPT, &rules.join(",")]).arg(program).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs the other tests of this file again, as a kernel before Linux 5.12 would.
pub fn run_again_without_mount_setattr(skip: &[&str]) {
    const ENOSYS: i32 = 38;
    let own = std::env::current_exe().expect("a test knows its own path");
    let again = filtered(&[(call::MOUNT_SETATTR, ENOSYS)], own)
        .args(skip.iter().flat_map(|test| ["--skip", test]))
        .output()
        .expect("python3 is there");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
}
