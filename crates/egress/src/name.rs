//! A host name that was looked at: one that was not cannot exist.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Bytes of a name and of one of its labels, RFC 1035, 2.3.4.
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;
/// Of a name that is still in letters of other scripts, each of which takes four at most.
const MOST_TEXT: usize = 4 * LONGEST;

/// A host name in lower case, without a dot at its end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It is an address, in whichever spelling.
    #[error("it is an address, and only names can be allowed")]
    Address,
    /// It has a scheme or a path.
    #[error("it is a URL or has a path: give the name alone")]
    Url,
    /// A `*` that is not the whole first label.
    #[error("`*` can only be the first label, as in *.example.org")]
    Wildcard,
    /// It has letters that no name has, in whatever script.
    #[error("it is no international name (IDNA)")]
    NotInternational,
    /// More than 253 bytes, or a label of more than 63.
    #[error("it is too long: a name has at most 253 bytes, each label 63")]
    TooLong,
    /// A label that is empty.
    #[error("there is nothing between two dots of it")]
    EmptyLabel,
    /// A character that no host name has.
    #[error("{0:?} cannot be in a host name: letters, digits, `-` and `_` can, and `-` not at an end")]
    Character(char),
    /// `localhost`, or a name below it.
    #[error("localhost is the container itself")]
    Localhost,
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names that it lies below, from the nearest on.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('.').filter_map(|(place, _)| self.0.get(place + 1..))
    }

    /// Whether it lies below another one.
    pub fn is_below(&self, other: &Name) -> bool {
        self.0.strip_suffix(&other.0).is_some_and(|labels| labels.ends_with('.'))
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        // First of all: some letters stand for a dot, a digit or a slash. Look-alikes stay what they are, and so differ.
        let ascii = match text.is_ascii() {
            true => Cow::Borrowed(text),
            false => to_ascii(text)?,
        };
        let text = ascii.as_ref();
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.contains(['/', '?', '#', '@']) {
            return Err(NameError::Url);
        }
        if text.contains('*') {
            return Err(NameError::Wildcard);
        }
        if text.contains([':', '[', ']']) {
            return Err(NameError::Address);
        }
        let labels = || text.split('.');
        if text.len() > LONGEST || labels().any(|label| label.len() > LONGEST_LABEL) {
            return Err(NameError::TooLong);
        }
        if labels().any(str::is_empty) {
            return Err(NameError::EmptyLabel);
        }
        let is_no_host = |c: &char| !c.is_ascii_alphanumeric() && !['-', '_', '.'].contains(c);
        if let Some(wrong) = text.chars().find(is_no_host) {
            return Err(NameError::Character(wrong));
        }
        if labels().any(|label| label.starts_with('-') || label.ends_with('-')) {
            return Err(NameError::Character('-'));
        }
        let text = text.to_ascii_lowercase();
        // getaddrinfo(3) takes what inet_aton(3) takes for an address: one to four numbers, octal and hexadecimal ones too.
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_number = |label: &str| match label.strip_prefix("0x") {
            Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
            None => label.bytes().all(|digit| digit.is_ascii_digit()),
        };
        if is_number(last) {
            return Err(NameError::Address);
        }
        if last == "localhost" {
            return Err(NameError::Localhost);
        }
        Ok(Name(text))
    }
}

/// As DNS has it, UTS 46 without what is transitional: `münchen.de` is `xn--mnchen-3ya.de`.
fn to_ascii(text: &str) -> Result<Cow<'_, str>, NameError> {
    if text.len() > MOST_TEXT {
        return Err(NameError::TooLong);
    }
    // Which characters a name has, its length and its hyphens are looked at for all names alike.
    let uts46 = Uts46::new();
    let ascii = uts46.to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore);
    ascii.map_err(|_| NameError::NotInternational)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_without_a_dot_at_their_end() {
        for (text, name) in [
            ("github.com", "github.com"),
            ("GitHub.COM.", "github.com"),
            ("db", "db"),
            ("_dmarc.example.org", "_dmarc.example.org"),
            ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
            ("3com.com", "3com.com"),
            ("0xabc.net", "0xabc.net"),
            ("1.2.3.4.example", "1.2.3.4.example"),
        ] {
            assert_eq!(text.parse::<Name>().as_ref().map(Name::as_str), Ok(name), "{text}");
        }
        let labels = ["a".repeat(63).as_str(), "b".repeat(63).as_str(), "c".repeat(63).as_str()].join(".");
        assert!(format!("{labels}.{}", "d".repeat(61)).parse::<Name>().is_ok());
        assert_eq!(format!("{labels}.{}", "d".repeat(62)).parse::<Name>(), Err(NameError::TooLong));
        assert_eq!(format!("{}.org", "a".repeat(64)).parse::<Name>(), Err(NameError::TooLong));
    }

    #[test]
    fn addresses_in_every_spelling_are_no_names() {
        for text in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7F.1",
            "0177.0.0.1",
            "017700000001",
            "10.0.0.1.",
            "::1",
            "[::1]",
            "fe80::1%eth0",
            "::ffff:10.0.0.1",
            "1.2.3.4.5",
            "example.0x",
            "256.256.256.256",
        ] {
            assert_eq!(text.parse::<Name>(), Err(NameError::Address), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_told_by_what_it_is() {
        for (text, error) in [
            ("", NameError::Empty),
            (".", NameError::Empty),
            ("https://example.org", NameError::Url),
            ("example.org/path", NameError::Url),
            ("user@example.org", NameError::Url),
            ("*", NameError::Wildcard),
            ("a.*.org", NameError::Wildcard),
            ("a..org", NameError::EmptyLabel),
            (".org", NameError::EmptyLabel),
            ("example.org..", NameError::EmptyLabel),
            ("a\0.org", NameError::Character('\0')),
            ("a\r\n.org", NameError::Character('\r')),
            ("a b", NameError::Character(' ')),
            ("-a.org", NameError::Character('-')),
            ("a\\046b.org", NameError::Character('\\')),
            ("a\u{ff0f}b.org", NameError::Url),
            ("１２７.0.0.1", NameError::Address),
            ("127。0。0。1", NameError::Address),
            ("\u{ff4c}ocalhost", NameError::Localhost),
            ("a\u{3002}\u{3002}org", NameError::EmptyLabel),
            ("\u{ff0a}.org", NameError::Wildcard),
            ("\u{200b}", NameError::Empty),
            ("xn--a.münchen.de", NameError::NotInternational),
            ("\u{fffd}.org", NameError::NotInternational),
            ("localhost", NameError::Localhost),
            ("a.LOCALHOST.", NameError::Localhost),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
    }

    #[test]
    fn names_of_other_scripts_are_those_that_dns_has() {
        for (text, name) in [
            ("münchen.de", "xn--mnchen-3ya.de"),
            ("MÜNCHEN.de.", "xn--mnchen-3ya.de"),
            // u and a diaeresis by itself.
            ("mu\u{308}nchen.de", "xn--mnchen-3ya.de"),
            ("straße.de", "xn--strae-oqa.de"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            // A look-alike of example.org, with a Cyrillic a, is another name.
            ("ex\u{430}mple.org", "xn--exmple-4nf.org"),
        ] {
            assert_eq!(text.parse::<Name>().as_ref().map(Name::as_str), Ok(name), "{text}");
        }
    }

    #[test]
    fn a_name_lies_below_another_by_whole_labels() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        assert!(name("a.example.org").is_below(&name("example.org")));
        assert!(name("a.b.example.org").is_below(&name("example.org")));
        for other in ["example.org", "badexample.org", "example.org.evil.com"] {
            assert!(!name(other).is_below(&name("example.org")), "{other}");
        }
    }
}
