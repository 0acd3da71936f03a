//! `bpf(2)`, as far as device rules of a cgroup need it.

use core::ffi::CStr;

use crate::{Fd, Result, call, file};

const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Beside those of cgroups above: a device must be allowed by all.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The fields of `union bpf_attr` that `BPF_PROG_LOAD` had from its beginning.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// Those for `BPF_PROG_ATTACH`.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads a program of `BPF_PROG_TYPE_CGROUP_DEVICE` and attaches it to a cgroup of v2, with which it goes. Linux 4.15;
/// needs CAP_SYS_ADMIN, or CAP_BPF and CAP_NET_ADMIN, in the first user namespace.
pub fn attach_device_program(cgroup: Fd, instructions: &[u64]) -> Result<()> {
    const LICENSE: &CStr = c"Dual MIT/GPL";
    let load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the size is that of the structure, and what it points to lives for the length of the call.
    let program = unsafe { call!(__NR_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) }?;
    let program = Fd(program as i32);
    let attach = Attach {
        target: cgroup.0 as u32,
        program: program.0 as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: as above; the structure has no pointers.
    let attached = unsafe { call!(__NR_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>()) };
    let _ = file::close(program);
    attached.map(drop)
}
