//! Questions for names, RFC 1035, read strictly, and their answers. No question is ever handed on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest answer that there is: no answer has to be truncated, as none is longer than what anybody takes by UDP.
pub const LONGEST: usize = 512;
/// A slot is a name's as long as the namespace is there.
const SECONDS: u32 = 300;

const HEADER: usize = 12;
const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const OPT: u16 = 41;
const IN: u16 = 1;

/// What came back for a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The name is there, with these addresses.
    Addresses(Ipv4Addr, Option<Ipv6Addr>),
    /// The address that was asked for is this name's.
    Pointer(String),
    /// The name is there, and has nothing but names below it.
    Nothing,
    /// There is no such name.
    NoSuchName,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A name, in lower case without a dot at its end. What no host name has in it is escaped as `\DDD`, so that it is no name's.
    Name(String),
    /// The name of an address.
    Address(IpAddr),
}

/// What is wanted of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// An address of IPv4.
    V4,
    /// One of IPv6.
    V6,
    /// Anything else.
    Other,
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Code {
    NoError = 0,
    FormatError = 1,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
    /// Of EDNS: its upper bits stand in the OPT record.
    BadVersion = 16,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// The labels of a name; a pointer is none, as there is nothing before a question that it could lead to.
    fn labels(&mut self) -> Option<Vec<&'a [u8]>> {
        let (mut labels, mut length) = (Vec::new(), 1);
        loop {
            match self.byte()? {
                0 => return Some(labels),
                count @ 1..=63 => {
                    length += usize::from(count) + 1;
                    if length > 255 {
                        return None;
                    }
                    labels.push(self.take(count.into())?);
                }
                _ => return None,
            }
        }
    }
}

/// What a record OPT says, RFC 6891.
struct Edns {
    version: u8,
}

struct Question<'a> {
    labels: Vec<&'a [u8]>,
    kind: u16,
    class: u16,
    /// As it came: its letters may be a secret of the resolver's (0x20).
    bytes: &'a [u8],
}

/// The answer to a message, or `None` if it is no question at all.
pub fn reply(message: &[u8], find: impl FnOnce(&Asked, Wants) -> Answer) -> Option<Vec<u8>> {
    let mut reader = Reader { bytes: message, at: 0 };
    let id = reader.number()?;
    let flags = reader.number()?;
    if flags & 0x8000 != 0 {
        // An answer: two servers could go on for ever.
        return None;
    }
    let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
    let opcode = (flags >> 11) & 15;
    if opcode != 0 {
        return Some(message_of(id, flags, Code::NotImplemented, None, None, &[]));
    }
    let Some((question, edns)) = read(&mut reader, counts) else {
        return Some(message_of(id, flags, Code::FormatError, None, None, &[]));
    };
    if let Some(edns) = &edns
        && edns.version != 0
    {
        return Some(message_of(id, flags, Code::BadVersion, Some(&question), Some(edns), &[]));
    }
    if question.class != IN {
        return Some(message_of(id, flags, Code::Refused, Some(&question), edns.as_ref(), &[]));
    }
    let asked = address_of(&question.labels).map_or_else(|| Asked::Name(text_of(&question.labels)), Asked::Address);
    let wants = match question.kind {
        A => Wants::V4,
        AAAA => Wants::V6,
        _ => Wants::Other,
    };
    let (code, data) = match (find(&asked, wants), question.kind) {
        (Answer::Addresses(address, _), A) => (Code::NoError, address.octets().to_vec()),
        (Answer::Addresses(_, Some(address)), AAAA) => (Code::NoError, address.octets().to_vec()),
        (Answer::Pointer(name), PTR) => (Code::NoError, encoded(&name)),
        (Answer::NoSuchName, _) => (Code::NoSuchName, Vec::new()),
        // It is there and has none of that kind.
        _ => (Code::NoError, Vec::new()),
    };
    Some(message_of(id, flags, code, Some(&question), edns.as_ref(), &data))
}

fn read<'a>(
    reader: &mut Reader<'a>,
    [questions, answers, authorities, more]: [u16; 4],
) -> Option<(Question<'a>, Option<Edns>)> {
    if (questions, answers, authorities) != (1, 0, 0) {
        return None;
    }
    let begin = reader.at;
    let labels = reader.labels()?;
    let (kind, class) = (reader.number()?, reader.number()?);
    let bytes = reader.bytes.get(begin..reader.at)?;
    let mut edns = None;
    for _ in 0..more {
        let name = reader.labels()?;
        let (kind, _class, ttl) = (reader.number()?, reader.number()?, reader.take(4)?);
        let length = reader.number()?;
        reader.take(length.into())?;
        if kind == OPT {
            if edns.is_some() || !name.is_empty() {
                return None;
            }
            edns = Some(Edns { version: ttl.get(1).copied()? });
        }
    }
    Some((Question { labels, kind, class, bytes }, edns))
}

fn message_of(
    id: u16,
    flags: u16,
    code: Code,
    question: Option<&Question<'_>>,
    edns: Option<&Edns>,
    data: &[u8],
) -> Vec<u8> {
    // What it is (an answer, with recursion) and, of the question, its opcode and whether it wants recursion.
    let flags = 0x8080 | flags & 0x7900 | code as u16 & 15;
    let count = |there: bool| u16::from(there).to_be_bytes();
    let mut message = Vec::with_capacity(LONGEST);
    message.extend(id.to_be_bytes());
    message.extend(flags.to_be_bytes());
    message.extend([count(question.is_some()), count(!data.is_empty()), [0, 0], count(edns.is_some())].concat());
    if let Some(question) = question {
        message.extend(question.bytes);
        if !data.is_empty() {
            // The name is that of the question, behind the header.
            message.extend((0xc000 | HEADER as u16).to_be_bytes());
            message.extend(question.kind.to_be_bytes());
            message.extend(IN.to_be_bytes());
            message.extend(SECONDS.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
    }
    if edns.is_some() {
        message.push(0);
        message.extend(OPT.to_be_bytes());
        message.extend((LONGEST as u16).to_be_bytes());
        message.extend([code as u8 >> 4, 0, 0, 0, 0, 0]);
    }
    message
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn text_of(labels: &[&[u8]]) -> String {
    let mut text = String::new();
    for (number, label) in labels.iter().enumerate() {
        if number > 0 {
            text.push('.');
        }
        for byte in *label {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(byte.to_ascii_lowercase().into()),
                byte => text.push_str(&format!("\\{byte:03}")),
            }
        }
    }
    text
}

/// The address of `4.3.2.1.in-addr.arpa` and of the like below ip6.arpa.
fn address_of(labels: &[&[u8]]) -> Option<IpAddr> {
    let text = text_of(labels);
    if let Some(numbers) = text.strip_suffix(".in-addr.arpa") {
        let mut octets = numbers.rsplit('.').map(|label| label.parse::<u8>().ok());
        let address = [octets.next()??, octets.next()??, octets.next()??, octets.next()??];
        return octets.next().is_none().then(|| address.into());
    }
    let digits = text.strip_suffix(".ip6.arpa")?;
    let (mut address, mut count) = (0_u128, 0);
    for digit in digits.rsplit('.') {
        let digit = u8::from_str_radix(digit, 16).ok().filter(|_| digit.len() == 1)?;
        (address, count) = (address.checked_shl(4)? | u128::from(digit), count + 1);
    }
    (count == 32).then(|| Ipv6Addr::from(address).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V4: Ipv4Addr = Ipv4Addr::new(198, 19, 1, 2);
    const V6: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 1, 2);

    fn find(asked: &Asked, _: Wants) -> Answer {
        match asked {
            Asked::Name(name) if name == "github.com" => Answer::Addresses(V4, Some(V6)),
            Asked::Address(address) if *address == IpAddr::V4(V4) => Answer::Pointer("github.com".into()),
            Asked::Address(address) if *address == IpAddr::V6(V6) => Answer::Pointer("github.com".into()),
            _ => Answer::NoSuchName,
        }
    }

    fn question(name: &str, kind: u16, edns: Option<u8>) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
        message.extend(encoded(name));
        message.extend(kind.to_be_bytes());
        message.extend(IN.to_be_bytes());
        if let Some(version) = edns {
            message.extend([0, 0, 41, 16, 0, 0, version, 0, 0, 0, 0]);
        }
        message
    }

    fn ask(name: &str, kind: u16) -> (u8, Vec<u8>) {
        let question = question(name, kind, None);
        let answer = reply(&question, find).unwrap();
        assert_eq!(answer[..2], [0xab, 0xcd]);
        assert_eq!(answer[2..4], [0x81, 0x80 | answer[3] & 15]);
        assert_eq!(answer[12..question.len()], question[12..]);
        (answer[3] & 15, answer[question.len()..].to_vec())
    }

    #[test]
    fn an_allowed_name_has_its_slot_and_nothing_else() {
        assert_eq!(ask("github.com", A), (0, [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4][..], &V4.octets()].concat()));
        assert_eq!(ask("github.com", AAAA).1[12..], V6.octets());
        // 0x20: the letters come back as they came.
        assert_eq!(ask("GitHub.COM", A).0, 0);
        for other in [2, 5, 15, 16, 33, 64, 65, 255] {
            assert_eq!(ask("github.com", other), (0, Vec::new()), "{other}");
        }
    }

    #[test]
    fn other_names_are_not_there() {
        for name in [
            "example.org",
            "a.github.com",
            "github.com.evil.org",
            "com",
            "git\0hub.com",
            "github.com\0",
            "github\\.com",
        ] {
            assert_eq!(ask(name, A), (3, Vec::new()), "{name}");
        }
        // A dot inside a label is no border of one.
        let mut joined = question("x", A, None);
        joined.splice(12..15, [&[10][..], b"github.com", &[0]].concat());
        assert_eq!(reply(&joined, find).unwrap()[3] & 15, 3);
    }

    #[test]
    fn slots_have_names() {
        assert_eq!(ask("2.1.19.198.in-addr.arpa", PTR).1[12..], encoded("github.com"));
        let digits: Vec<String> = V6
            .octets()
            .iter()
            .rev()
            .flat_map(|byte| [byte & 15, byte >> 4])
            .map(|digit| format!("{digit:x}"))
            .collect();
        assert_eq!(ask(&format!("{}.ip6.arpa", digits.join(".")), PTR).1[12..], encoded("github.com"));
        for other in ["1.0.0.127.in-addr.arpa", "1.19.198.in-addr.arpa", "9.2.1.19.198.in-addr.arpa", "2.ip6.arpa"] {
            assert_eq!(ask(other, PTR).0, 3, "{other}");
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let asked = question("github.com", A, None);
        // An answer is not answered.
        let mut answer = asked.clone();
        answer[2] |= 0x80;
        assert_eq!(reply(&answer, find), None);
        for length in 0..12 {
            assert_eq!(reply(&asked[..length], find), None);
        }
        for length in 12..asked.len() {
            assert_eq!(reply(&asked[..length], find).unwrap()[3] & 15, 1);
        }
        for (place, byte, code) in
            [(2, 0x10, 4), (5, 2, 1), (5, 0, 1), (7, 1, 1), (9, 1, 1), (12, 0xc0, 1), (12, 64, 1)]
        {
            let mut wrong = asked.clone();
            wrong[place] = byte;
            assert_eq!(reply(&wrong, find).unwrap()[3] & 15, code, "byte {place}");
        }
        let mut chaos = asked.clone();
        *chaos.last_mut().unwrap() = 3;
        assert_eq!(reply(&chaos, find).unwrap()[3] & 15, 5);
    }

    #[test]
    fn edns_is_answered_and_other_versions_refused() {
        let answer = reply(&question("github.com", A, Some(0)), find).unwrap();
        assert_eq!((answer[11], &answer[answer.len() - 11..]), (1, &[0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0][..]));
        let bad = reply(&question("github.com", A, Some(1)), find).unwrap();
        assert_eq!((bad[3] & 15, bad[bad.len() - 6]), (0, 1));
        let mut twice = question("github.com", A, Some(0));
        let opt = twice[twice.len() - 11..].to_vec();
        twice.extend(opt);
        twice[11] = 2;
        assert_eq!(reply(&twice, find).unwrap()[3] & 15, 1);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_answer_is_short(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(answer) = reply(&bytes, find) {
                prop_assert!(answer.len() <= LONGEST && answer.len() >= HEADER);
            }
        }

        #[test]
        fn whatever_is_changed_no_other_name_is_found(place in 12_usize..28, byte in any::<u8>()) {
            let mut changed = question("github.com", A, Some(0));
            changed[place] = byte;
            let text = changed[12..24].to_ascii_lowercase();
            if let Some(answer) = reply(&changed, find)
                && answer[7] == 1
            {
                prop_assert_eq!(text, encoded("github.com"));
            }
        }

        #[test]
        fn the_longest_names_fit(labels in prop::collection::vec("[a-z0-9]{1,63}", 1..5)) {
            let name = labels.join(".");
            prop_assume!(name.len() <= 253);
            let answer = reply(&question(&name, AAAA, Some(0)), |_, _| Answer::Addresses(V4, Some(V6))).unwrap();
            prop_assert!(answer.len() <= LONGEST);
            let pointer = reply(&question("2.1.19.198.in-addr.arpa", PTR, Some(0)), |_, _| Answer::Pointer(name)).unwrap();
            prop_assert!(pointer.len() <= LONGEST);
        }
    }
}
