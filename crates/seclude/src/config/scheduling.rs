//! When a process gets a processor, a disk, and memory of which node: sched(7), ioprio_set(2), set_mempolicy(2).

/// How the kernel schedules it, sched_setattr(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scheduler {
    /// The policy's number, `SCHED_…`.
    pub policy: u32,
    /// `SCHED_FLAG_…`.
    pub flags: u64,
    /// Of SCHED_OTHER and SCHED_BATCH, -20 to 19.
    pub nice: i32,
    /// Of SCHED_FIFO and SCHED_RR, 1 to 99.
    pub priority: u32,
    /// Of SCHED_DEADLINE, nanoseconds.
    pub runtime: u64,
    /// Of SCHED_DEADLINE, nanoseconds.
    pub deadline: u64,
    /// Of SCHED_DEADLINE, nanoseconds.
    pub period: u64,
}

/// Of which nodes it gets memory, set_mempolicy(2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemoryPolicy {
    /// `MPOL_…`, with `MPOL_F_…`.
    pub mode: u32,
    /// The nodes' numbers.
    pub nodes: Vec<u32>,
}

/// All that is said of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Scheduling {
    pub(crate) personality: Option<u32>,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) io_priority: Option<u32>,
    pub(crate) memory: Option<MemoryPolicy>,
    /// The processors that it may run on.
    pub(crate) processors: Option<Vec<u32>>,
}
