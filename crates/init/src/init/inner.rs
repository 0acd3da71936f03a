//! A second user and mount namespace for the command alone.
//!
//! What was mounted in the first one is locked there, mount_namespaces(7): whatever capabilities the command has, it can
//! neither remount, nor move, nor unmount any of it. The first one's owner, which writes the map of the second, is a process
//! of its own that ends with that.

use crate::kernel::{self, Bytes, Errno, Fd, Fork, Pid, Result, Text};
use crate::privileges;

/// Bytes of the text of one map, or of a path: maps have at most 340 extents, but those that lie on each other are few.
const ROOM: usize = 4096;

/// A C string under construction.
struct Writer {
    bytes: [u8; ROOM],
    length: usize,
}

impl Writer {
    fn new() -> Writer {
        Writer { bytes: [0; ROOM], length: 0 }
    }

    fn push(&mut self, text: &[u8]) -> Option<()> {
        for byte in text {
            // The last byte stays zero.
            *self.bytes.get_mut(self.length).filter(|_| self.length + 1 < ROOM)? = *byte;
            self.length += 1;
        }
        Some(())
    }

    fn number(&mut self, number: u32) -> Option<()> {
        let mut digits = [0u8; 10];
        let (mut rest, mut first) = (number, digits.len());
        loop {
            first -= 1;
            *digits.get_mut(first)? = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return self.push(digits.get(first..)?);
            }
        }
    }

    fn text(&self) -> Text {
        // SAFETY: the bytes end with a zero, and the callers use it while the writer is there.
        unsafe { Text::new(self.bytes.as_ptr().cast()) }
    }

    fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// What is asked for.
struct Inner {
    flags: usize,
    /// A proc file system of ours, from before the command's own tree was there.
    proc: Fd,
    /// Whether the first namespace is to have no further ones below it.
    last: bool,
    loopback: bool,
    maps: [Writer; 2],
}

impl Inner {
    /// FLAGS:PROC:LAST:LOOPBACK, then for uids and for gids: COUNT and COUNT times FIRST:LENGTH.
    fn read(words: &mut Bytes) -> Option<Inner> {
        let flags: u64 = words.number(10)?;
        let proc = Fd(words.number(10)?);
        let mut flag = || words.number::<u8>(10).map(|value| value != 0);
        let (last, loopback) = (flag()?, flag()?);
        let mut maps = [Writer::new(), Writer::new()];
        for map in &mut maps {
            let count: u32 = words.number(10)?;
            for _ in 0..count {
                let (first, length) = (words.number(10)?, words.number(10)?);
                // Inside the second as in the first.
                for number in [first, first, length] {
                    map.number(number)?;
                    map.push(b" ")?;
                }
                map.push(b"\n")?;
            }
        }
        Some(Inner { flags: flags as usize, proc, last, loopback, maps })
    }
}

pub(crate) fn enter(words: &mut Bytes) -> Option<Result<()>> {
    let inner = Inner::read(words)?;
    let entered = go_in(&inner);
    kernel::close(inner.proc);
    Some(entered)
}

fn go_in(inner: &Inner) -> Result<()> {
    // The writer finds our map by our pid, in files that are root's where we are not dumpable.
    kernel::set_dumpable(true)?;
    let [read, write] = kernel::pipe()?;
    match kernel::fork()? {
        Fork::Child => {
            kernel::close(write);
            let mut go = [0];
            // Without a word the other has failed.
            if kernel::read(read, &mut go) != Ok(1) {
                kernel::exit(0);
            }
            kernel::exit(write_maps(inner, kernel::parent()).err().map_or(0, |errno| errno.0));
        }
        Fork::Parent(writer) => {
            kernel::close(read);
            let unshared = privileges::unshare(inner.flags);
            if unshared.is_ok() {
                let _ = kernel::write(write, b"g");
            }
            kernel::close(write);
            let status = kernel::wait_for(writer)?;
            unshared?;
            match (status & 0x7f, status >> 8 & 0xff) {
                (0, 0) => {}
                (0, errno) => return Err(Errno(errno)),
                _ => return Err(Errno::EINTR),
            }
            if inner.loopback { privileges::loopback_up() } else { Ok(()) }
        }
    }
}

fn write_maps(inner: &Inner, process: Pid) -> Result<()> {
    let [uids, gids] = &inner.maps;
    write_of(inner.proc, process, b"uid_map", uids.written())?;
    write_of(inner.proc, process, b"gid_map", gids.written())?;
    if inner.last {
        // Counted at every level, namespaces(7), so that none can be made in the second namespace either, and who is root
        // there cannot raise it: the file shows everybody the limit of the namespace that they are in.
        write_in(inner.proc, Text::from(c"sys/user/max_user_namespaces"), b"0")?;
    }
    Ok(())
}

/// Has a security module confine what is executed next: the rest of the word is its label.
pub(crate) fn confine_on_exec(proc: Fd, module: u8, label: &mut Bytes) -> Result<()> {
    const APPARMOR: u8 = 0;
    let mut text = Writer::new();
    let prefix: &[u8] = if module == APPARMOR { b"exec " } else { b"" };
    text.push(prefix).ok_or(Errno::EINVAL)?;
    for byte in label {
        text.push(&[byte]).ok_or(Errno::EINVAL)?;
    }
    if module == APPARMOR {
        // Beside other modules it has files of its own, Linux 5.8.
        match write_in(proc, Text::from(c"self/attr/apparmor/exec"), text.written()) {
            Err(Errno::ENOENT) => {}
            answer => return answer,
        }
    }
    write_in(proc, Text::from(c"self/attr/exec"), text.written())
}

fn write_of(proc: Fd, process: Pid, file: &[u8], text: &[u8]) -> Result<()> {
    let mut path = Writer::new();
    let built = path.number(process.0 as u32).and_then(|()| path.push(b"/")).and_then(|()| path.push(file));
    built.ok_or(Errno::EINVAL)?;
    write_in(proc, path.text(), text)
}

fn write_in(proc: Fd, path: Text, text: &[u8]) -> Result<()> {
    let file = kernel::open_to_write(proc, path)?;
    let written = kernel::write(file, text).map(drop);
    kernel::close(file);
    written
}
