//! Netlink messages, written and read: netlink(7), `struct nlmsghdr` and `struct nlattr`.
//!
//! One encoder for rtnetlink and nf_tables: a header, then attributes, some of which hold attributes.

use crate::error::About;

pub(crate) const REQUEST: u16 = 0x01;
pub(crate) const ACK: u16 = 0x04;
/// For a get: all of them.
pub(crate) const DUMP: u16 = 0x300;
/// For a new: in the place of one that is there.
pub(crate) const REPLACE: u16 = 0x100;
/// For a new: only if there is none yet.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// For a new: make it.
pub(crate) const CREATE: u16 = 0x400;
/// For a new rule: after those that are there.
pub(crate) const APPEND: u16 = 0x800;

const HEADER: usize = 16;
const NESTED: u16 = 1 << 15;

/// What a message asks for: its number, and its name in errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(pub(crate) u16, pub(crate) &'static str);

/// Messages that go to the kernel in one call.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    sent: Vec<(Kind, About)>,
    /// Where the last message begins.
    start: usize,
}

impl Batch {
    pub(crate) fn new() -> Batch {
        Batch { bytes: Vec::with_capacity(1024), sent: Vec::new(), start: 0 }
    }

    /// Adds a message with the structure that its kind begins with, and attributes.
    pub(crate) fn add(
        &mut self,
        kind: Kind,
        flags: u16,
        head: &[u8],
        about: impl Into<About>,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.begin(kind, flags, head, about.into());
        attributes(&mut Attributes(&mut self.bytes));
        self.finish();
    }

    // These and the writing of attributes are not inlined: there are some hundred places that use them.
    #[inline(never)]
    fn begin(&mut self, kind: Kind, flags: u16, head: &[u8], about: About) {
        self.start = self.bytes.len();
        self.sent.push((kind, about));
        // The sequence number is the message's place, so that an answer tells which one it is to.
        let header = [0, u32::from(kind.0) | u32::from(flags | REQUEST) << 16, self.sent.len() as u32, 0];
        self.bytes.extend(header.iter().flat_map(|word: &u32| word.to_ne_bytes()));
        self.bytes.extend_from_slice(head);
        pad(&mut self.bytes);
    }

    #[inline(never)]
    fn finish(&mut self) {
        let length = (self.bytes.len() - self.start) as u32;
        if let Some(place) = self.bytes.get_mut(self.start..self.start + 4) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Has the kernel say that the last message was done; that one was not, it says anyway.
    pub(crate) fn acknowledge_last(&mut self) {
        if let Some(flags) = self.bytes.get_mut(self.start + 6) {
            *flags |= ACK as u8;
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// What the message with that sequence number was.
    pub(crate) fn sent(&self, sequence: u32) -> Option<&(Kind, About)> {
        self.sent.get((sequence as usize).checked_sub(1)?)
    }

    pub(crate) fn last(&self) -> u32 {
        self.sent.len() as u32
    }
}

/// Where attributes are written.
pub(crate) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    #[inline(never)]
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        self.head(kind, value.len());
        self.0.extend_from_slice(value);
        pad(self.0);
    }

    /// A text with the NUL that ends it.
    #[inline(never)]
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.head(kind, value.len() + 1);
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(0);
        pad(self.0);
    }

    #[inline(never)]
    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// A number as nf_tables wants it, in network order.
    #[inline(never)]
    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(crate) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.open(kind);
        inner(self);
        self.close(start);
    }

    #[inline(never)]
    fn open(&mut self, kind: u16) -> usize {
        let start = self.0.len();
        self.head(kind | NESTED, 0);
        start
    }

    #[inline(never)]
    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.0.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Bytes that are no attribute: a structure in front of attributes, or attributes that are encoded already.
    #[inline(never)]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        pad(self.0);
    }

    fn head(&mut self, kind: u16, length: usize) {
        let length = u16::try_from(length + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
    }
}

/// Attributes alone, to be put into a message later.
pub(crate) fn encode(attributes: impl FnOnce(&mut Attributes<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    attributes(&mut Attributes(&mut bytes));
    bytes
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A message that was received.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The messages of one datagram, up to the first that is not whole.
pub(crate) fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let kind = u16_at(rest, 4)?;
        let (flags, sequence) = (u16_at(rest, 6)?, u32_at(rest, 8)?);
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, flags, sequence, body })
    })
}

impl<'a> Message<'a> {
    /// The attributes after a structure of `head` bytes.
    pub(crate) fn attributes(&self, head: usize) -> impl Iterator<Item = (u16, &'a [u8])> {
        attributes(self.body.get(head..).unwrap_or_default())
    }
}

/// Kind and value of each attribute, up to the first that is not whole.
pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        // The two highest bits say nested and network order.
        let kind = u16_at(rest, 2)? & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A text without the NUL that ends it.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn looks_as_the_kernel_wants_it() {
        let mut batch = Batch::new();
        batch.add(Kind(16, "RTM_NEWLINK"), 0, &[0; 16], "lo", |a| {
            a.text(3, "lo");
            a.nest(18, |a| a.u32(1, 7));
        });
        batch.acknowledge_last();
        let mut expected = Vec::new();
        expected.extend(52u32.to_ne_bytes());
        expected.extend(16u16.to_ne_bytes());
        expected.extend(5u16.to_ne_bytes());
        expected.extend(1u32.to_ne_bytes());
        expected.extend([0; 4 + 16]);
        expected.extend([7, 0, 3, 0, b'l', b'o', 0, 0]);
        expected.extend([12, 0, 18, 0x80, 8, 0, 1, 0]);
        expected.extend(7u32.to_ne_bytes());
        assert_eq!(batch.bytes(), expected);
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(values in proptest::collection::vec((0u16..0x4000, proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let mut batch = Batch::new();
            batch.add(Kind(1, "one"), 0, &[9; 3], "", |a| values.iter().for_each(|(kind, value)| a.put(*kind, value)));
            batch.add(Kind(2, "two"), 0, &[], "", |_| {});
            let read: Vec<Message<'_>> = messages(batch.bytes()).collect();
            prop_assert_eq!(read.len(), 2);
            prop_assert_eq!((read[1].kind, read[1].sequence), (2, 2));
            let read: Vec<(u16, Vec<u8>)> = read[0].attributes(4).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in messages(&bytes) {
                message.attributes(4).for_each(drop);
            }
            attributes(&bytes).for_each(drop);
        }
    }
}
