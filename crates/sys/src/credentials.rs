//! Who the process is: ids, groups, capabilities. Raw calls: libc's wrappers signal every thread of the process.

use crate::raw::{general as k, prctl};
use crate::{Result, call};

/// `setresuid(2)` with one id for all three.
#[inline(always)]
pub fn set_uid(uid: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_setresuid, uid, uid, uid) }.map(drop)
}

/// `setresgid(2)` with one id for all three.
#[inline(always)]
pub fn set_gid(gid: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_setresgid, gid, gid, gid) }.map(drop)
}

/// `setgroups(2)`: EPERM in a user namespace whose `setgroups` file says deny.
#[inline(always)]
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length are one slice.
    unsafe { call!(__NR_setgroups, groups.len(), groups.as_ptr()) }.map(drop)
}

/// Keep the permitted capabilities over the next change from uid 0 to another: PR_SET_KEEPCAPS.
#[inline(always)]
pub fn keep_capabilities(keep: bool) -> Result<()> {
    // SAFETY: PR_SET_KEEPCAPS takes a number.
    unsafe { call!(__NR_prctl, prctl::PR_SET_KEEPCAPS, keep as usize, 0, 0, 0) }.map(drop)
}

/// Takes `capability` (its number) out of the bounding set; EINVAL past the kernel's last one.
#[inline(always)]
pub fn drop_bounding(capability: u32) -> Result<()> {
    // SAFETY: PR_CAPBSET_DROP takes a number.
    unsafe { call!(__NR_prctl, prctl::PR_CAPBSET_DROP, capability, 0, 0, 0) }.map(drop)
}

/// Whether `capability` is in the bounding set; EINVAL past the kernel's last one.
#[inline(always)]
pub fn in_bounding(capability: u32) -> Result<bool> {
    // SAFETY: PR_CAPBSET_READ takes a number.
    unsafe { call!(__NR_prctl, prctl::PR_CAPBSET_READ, capability, 0, 0, 0) }.map(|found| found == 1)
}

/// Empties the ambient set.
#[inline(always)]
pub fn clear_ambient() -> Result<()> {
    // SAFETY: PR_CAP_AMBIENT_CLEAR_ALL takes nothing more.
    unsafe { call!(__NR_prctl, prctl::PR_CAP_AMBIENT, prctl::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) }.map(drop)
}

/// Whether `capability` is in the ambient set.
#[inline(always)]
pub fn is_ambient(capability: u32) -> bool {
    // SAFETY: PR_CAP_AMBIENT_IS_SET takes a number.
    let answer = unsafe { call!(__NR_prctl, prctl::PR_CAP_AMBIENT, prctl::PR_CAP_AMBIENT_IS_SET, capability, 0, 0) };
    answer == Ok(1)
}

/// Adds `capability` to the ambient set; it must be permitted and inheritable.
#[inline(always)]
pub fn raise_ambient(capability: u32) -> Result<()> {
    // SAFETY: PR_CAP_AMBIENT_RAISE takes a number.
    unsafe { call!(__NR_prctl, prctl::PR_CAP_AMBIENT, prctl::PR_CAP_AMBIENT_RAISE, capability, 0, 0) }.map(drop)
}

/// The three sets that capset(2) writes, a bit for each capability.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CapabilitySets {
    /// What permission checks look at.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What an exec may carry over together with the file's own set.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

const VERSION: u32 = k::_LINUX_CAPABILITY_VERSION_3;

/// `capset(2)` for the calling task.
#[inline(always)]
pub fn set_capabilities(sets: CapabilitySets) -> Result<()> {
    let header = Header { version: VERSION, pid: 0 };
    let (e, p, i) = (sets.effective, sets.permitted, sets.inheritable);
    let data = [e as u32, p as u32, i as u32, (e >> 32) as u32, (p >> 32) as u32, (i >> 32) as u32];
    // SAFETY: version 3 reads two triples of u32, which `data` is.
    unsafe { call!(__NR_capset, &raw const header, data.as_ptr()) }.map(drop)
}

/// `capget(2)` for the calling task.
#[inline(always)]
pub fn capabilities() -> Result<CapabilitySets> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data = [0u32; 6];
    // SAFETY: version 3 writes two triples of u32, which `data` holds.
    unsafe { call!(__NR_capget, &raw mut header, data.as_mut_ptr()) }?;
    let wide = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(CapabilitySets {
        effective: wide(data[0], data[3]),
        permitted: wide(data[1], data[4]),
        inheritable: wide(data[2], data[5]),
    })
}

/// `geteuid(2)`.
#[inline(always)]
pub fn euid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { call!(__NR_geteuid) }.unwrap_or(0) as u32
}

/// `getegid(2)`.
#[inline(always)]
pub fn egid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { call!(__NR_getegid) }.unwrap_or(0) as u32
}
