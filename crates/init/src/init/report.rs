//! What goes over the pipe and over the socket: the layout of `Message::encode` in crates/child/src/wire.rs.

use crate::kernel::{Errno, Pid};

/// Bytes of a record.
pub(crate) const RECORD: usize = 8;
/// Bytes of a record and of a file's beginning behind it: the pipe takes them in one write.
pub(crate) const ROOM: usize = 2048;

pub(crate) type Buffer = [u8; ROOM];

const KILL_PARENT: u8 = 249;
const LISTENER: u8 = 247;
const MOVED: u8 = 250;
const STOPPED: u8 = 251;
const RUNNING: u8 = 253;
const ENDED: u8 = 254;

/// One record.
pub(crate) struct Report {
    tag: u8,
    step: u8,
    op: u16,
    value: i32,
}

impl Report {
    pub(crate) fn running() -> Report {
        Report { tag: RUNNING, step: 0, op: 0, value: 0 }
    }

    pub(crate) fn ended(wait_status: i32) -> Report {
        Report { tag: ENDED, step: 0, op: 0, value: wait_status }
    }

    pub(crate) fn stopped(signal: u32) -> Report {
        Report { tag: STOPPED, step: 0, op: 0, value: signal as i32 }
    }

    pub(crate) fn moved(to: Pid) -> Report {
        Report { tag: MOVED, step: 0, op: 0, value: to.0 }
    }

    /// With the listener of the filter, or why there is none.
    pub(crate) fn listener(errno: i32) -> Report {
        Report { tag: LISTENER, step: 0, op: 0, value: errno }
    }

    /// A test wants the spawner to be killed here.
    pub(crate) fn kill_parent() -> Report {
        Report { tag: KILL_PARENT, step: 0, op: 0, value: 0 }
    }

    /// `call` failed, in the op that started the init.
    pub(crate) fn failed(step: u8, op: u16, call: u8, errno: Errno) -> Report {
        Report { tag: call, step, op, value: errno.0 }
    }

    pub(crate) fn record(self) -> [u8; RECORD] {
        let packed =
            self.tag as u64 | (self.step as u64) << 8 | (self.op as u64) << 16 | (self.value as u32 as u64) << 32;
        packed.to_le_bytes()
    }
}
