//! The first words of TLS, RFC 8446, 4.1.2 and 5.1: which server's name they ask for (RFC 6066, 3). Read strictly: what a lenient server could read
//! in another way is no such thing.

use crate::Name;

/// Bytes of it that are looked at: it has 16 KiB at most, and may come in many small records.
pub(crate) const MOST: usize = 32 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// What one record may hold, and so what all of a hello may be here.
const MOST_RECORD: usize = 1 << 14;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// What has come so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Hello {
    /// Not all of it yet: it takes at least so many bytes from its beginning on.
    More(usize),
    /// All of it, and this is the name that it asks for.
    Of(Name),
    /// It asks for none, in more than one way, or is something else.
    Other,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// What has its length before it, in one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// The same in two.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }
}

/// Of a record, and of the message in it: what stands before its content.
const RECORD: usize = 5;
const MESSAGE: usize = 4;

/// Looks at what a connection begins with.
pub(crate) fn read(bytes: &[u8]) -> Hello {
    let mut records = Reader(bytes);
    let mut message = Vec::new();
    let mut whole = MESSAGE;
    loop {
        // Whatever comes first decides, so that nobody is waited for who speaks something else.
        if records.0.first().is_some_and(|kind| *kind != HANDSHAKE) || records.0.get(1).is_some_and(|major| *major != 3)
        {
            return Hello::Other;
        }
        let missing = whole.saturating_sub(message.len()).max(1);
        let has = records.0.len();
        let (Some(_), Some(length)) = (records.take(3), records.number()) else {
            return short_of(bytes, RECORD - has.min(RECORD - 1) + missing);
        };
        let length = usize::from(length);
        if !(1..=MOST_RECORD).contains(&length) {
            return Hello::Other;
        }
        let left = length.saturating_sub(records.0.len());
        let part = records.take(length.min(records.0.len()));
        message.extend(part.unwrap_or_default());
        match message.as_slice() {
            [kind, ..] if *kind != CLIENT_HELLO => return Hello::Other,
            [_, high, middle, low, body @ ..] => {
                let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
                if length > MOST_RECORD {
                    return Hello::Other;
                }
                if let Some(body) = body.get(..length) {
                    return name(body).map_or(Hello::Other, Hello::Of);
                }
                whole = MESSAGE + length;
            }
            _ => {}
        }
        if left > 0 {
            let missing = whole - message.len();
            return short_of(bytes, if missing <= left { missing } else { missing + RECORD });
        }
    }
}

/// What comes next are so many bytes, or more.
fn short_of(bytes: &[u8], missing: usize) -> Hello {
    if bytes.len() < MOST { Hello::More((bytes.len() + missing).min(MOST)) } else { Hello::Other }
}

fn name(body: &[u8]) -> Option<Name> {
    let mut body = Reader(body);
    // Version and random.
    body.take(2 + 32)?;
    let (_session, _ciphers, _compressions) = (body.short()?, body.long()?, body.short()?);
    let mut extensions = Reader(body.long()?);
    if !body.0.is_empty() {
        return None;
    }
    let mut found = None;
    while !extensions.0.is_empty() {
        let (kind, data) = (extensions.number()?, extensions.long()?);
        if kind == SERVER_NAME {
            let mut data = Reader(data);
            let mut names = Reader(data.long()?);
            let (kind, name) = (names.byte()?, names.long()?);
            let is_one = kind == HOST_NAME && names.0.is_empty() && data.0.is_empty() && found.is_none();
            found = Some(Some(name).filter(|_| is_one)?);
        }
    }
    let text = std::str::from_utf8(found?).ok()?;
    // A dot at its end or letters of other scripts: it has neither, and servers differ about them.
    let name: Name = text.parse().ok()?;
    (name.as_str().len() == text.len() && text.is_ascii()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn long(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    fn server_name(name: &[u8]) -> Vec<u8> {
        let entry = [&[HOST_NAME][..], &long(name)].concat();
        [&SERVER_NAME.to_be_bytes()[..], &long(&long(&entry))].concat()
    }

    fn message(extensions: &[u8]) -> Vec<u8> {
        let body = [&[3, 3][..], &[7; 32], &[2, 1, 1], &long(&[0x13, 1]), &[1, 0], &long(extensions)].concat();
        [&[CLIENT_HELLO, 0][..], &long(&body)].concat()
    }

    fn records(message: &[u8], each: usize) -> Vec<u8> {
        let record = |part: &[u8]| [&[HANDSHAKE, 3, 1][..], &long(part)].concat();
        message.chunks(each).flat_map(record).collect()
    }

    fn of(name: &str) -> Hello {
        Hello::Of(name.parse().unwrap())
    }

    fn with(extensions: &[u8]) -> Hello {
        read(&records(&message(extensions), MOST_RECORD))
    }

    #[test]
    fn the_name_is_found_however_it_comes() {
        let other = [&[0, 43][..], &long(&[2, 3, 4])].concat();
        let extensions = [other.clone(), server_name(b"Example.org"), other].concat();
        assert_eq!(with(&extensions), of("example.org"));
        for each in [1, 5, 100] {
            let bytes = records(&message(&extensions), each);
            assert_eq!(read(&bytes), of("example.org"), "records of {each}");
            for length in 0..bytes.len() {
                let Hello::More(least) = read(&bytes[..length]) else { panic!("{length} bytes") };
                assert!((length + 1..=bytes.len()).contains(&least), "{length} bytes, then {least}");
            }
            // Who looks again when there are so many looks a few times, however long it is.
            let (mut length, mut looks) = (1, 0);
            while let Hello::More(least) = read(&bytes[..length]) {
                (length, looks) = (least, looks + 1);
            }
            assert!(length == bytes.len() && looks < 32, "{looks} looks at records of {each}");
            // What is sent behind it is no part of it.
            assert_eq!(read(&[&bytes[..], b"more"].concat()), of("example.org"));
        }
    }

    #[test]
    fn what_is_none_is_told_at_its_first_bytes() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"SSH-2.0-x",
            b"\x80\x2e\x01\x03\x01",
            b"\x16\x02",
            b"\x16\x03\x01\0\0",
            b"\x15",
        ] {
            assert_eq!(read(bytes), Hello::Other, "{bytes:?}");
        }
        assert_eq!(read(&records(&[2, 0, 0, 1, 0], 10)), Hello::Other, "the server's");
        assert_eq!(read(&records(&[CLIENT_HELLO, 1, 0, 0, 0], 10)), Hello::Other, "too long");
        assert_eq!(read(&records(&[CLIENT_HELLO, 0, 0x3f, 0xff].repeat(1 << 12), 3)[..MOST]), Hello::Other, "no end");
    }

    #[test]
    fn a_name_that_can_be_read_in_two_ways_is_none() {
        let one = server_name(b"example.org");
        for extensions in [
            Vec::new(),
            [one.clone(), server_name(b"example.com")].concat(),
            [one.clone(), one.clone()].concat(),
            server_name(b""),
            server_name(b"example.org."),
            server_name(b"example.org\0"),
            server_name(b"1.2.3.4"),
            server_name("exаmple.org".as_bytes()),
            // Two names in one list, and bytes behind it.
            [&[0, 0][..], &long(&long(&[&[0][..], &long(b"a.org"), &[0], &long(b"b.org")].concat()))].concat(),
            [&[0, 0][..], &long(&[&long(&[&[0][..], &long(b"a.org")].concat())[..], b"x"].concat())].concat(),
            [&one[..], &[0, 1, 0, 9]].concat(),
        ] {
            assert_eq!(with(&extensions), Hello::Other, "{extensions:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_something(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
        }
    }
}
