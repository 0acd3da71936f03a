//! The values of flags: each is parsed once, with an error that says what was expected.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use seclude::request::nanoseconds;
use seclude::{Capability, Namespace, Resource, UNLIMITED};

pub(crate) type Parsed<T> = Result<T, String>;

/// Bytes: a number, or one with K, M, G, T (powers of 1024).
pub(crate) use seclude::request::size;

/// A length of time, more than none: a number with a unit, or some; a bare one is seconds.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    match nanoseconds(text)? {
        ..=0 if text.starts_with('-') => Err(format!("{text:?} is not a duration: it has to be more than 0")),
        ..=0 => Err("it has to be more than 0".into()),
        length => u64::try_from(length).map(Duration::from_nanos).map_err(|_| format!("{text:?} is too long")),
    }
}

/// A length of time that may be negative, in nanoseconds.
pub(crate) fn offset(text: &str) -> Parsed<i128> {
    nanoseconds(text)
}

/// A whole number within bounds.
pub(crate) fn within<T>(bounds: RangeInclusive<i64>) -> impl Fn(&str) -> Parsed<T> + Clone + Send + Sync + 'static
where
    T: TryFrom<i64>,
{
    move |text| {
        let wanted = || format!("a whole number from {} to {} is wanted", bounds.start(), bounds.end());
        let number: i64 = text.parse().map_err(|_| wanted())?;
        let is_out = || format!("{number} is not in {}..={}", bounds.start(), bounds.end());
        let number = Some(number).filter(|number| bounds.contains(number)).ok_or_else(is_out)?;
        T::try_from(number).map_err(|_| wanted())
    }
}

/// The same, where the library knows the bounds.
pub(crate) fn oom_score(text: &str) -> Parsed<i16> {
    text.parse().map_err(|_| "a whole number from -1000 to 1000 is wanted".to_owned())
}

/// Permission bits, octal.
pub(crate) use seclude::request::mode;

/// `pid,net,…`
#[derive(Clone)]
pub(crate) struct NamespaceList(pub(crate) Vec<Namespace>);

impl FromStr for NamespaceList {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let kinds = text.split(',').map(|word| word.parse::<Namespace>().map_err(|error| error.to_string()));
        kinds.collect::<Parsed<_>>().map(NamespaceList)
    }
}

/// `net=/proc/1/ns/net`
#[derive(Clone)]
pub(crate) struct JoinSpec(pub(crate) Namespace, pub(crate) PathBuf);

impl FromStr for JoinSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let (kind, path) = text.split_once('=').ok_or("expected NS=PATH, such as net=/proc/1234/ns/net")?;
        Ok(JoinSpec(kind.parse().map_err(|error: seclude::UnknownNamespace| error.to_string())?, path.into()))
    }
}

/// `1000:1000`
#[derive(Clone, Copy)]
pub(crate) struct UserSpec {
    pub(crate) uid: u32,
    pub(crate) gid: Option<u32>,
}

impl FromStr for UserSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let id = |part: &str| match part.parse::<u32>() {
            // -1 means "no id" to the kernel.
            Ok(id) if id != u32::MAX && part.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id),
            _ => Err(format!("{part:?} is not an id: a number from 0 to 4294967294")),
        };
        match text.split_once(':') {
            Some((uid, gid)) => Ok(UserSpec { uid: id(uid)?, gid: Some(id(gid)?) }),
            None => Ok(UserSpec { uid: id(text)?, gid: None }),
        }
    }
}

/// `63`, `3:5`
#[derive(Clone, Copy)]
pub(crate) struct FdSpec {
    pub(crate) from: i32,
    pub(crate) number: i32,
}

impl FromStr for FdSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let number = |part: &str| match part.parse::<i32>() {
            Ok(number) if part.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(format!("{part:?} is not a descriptor's number")),
        };
        let (from, to) = text.split_once(':').unwrap_or((text, text));
        Ok(FdSpec { from: number(from)?, number: number(to)? })
    }
}

/// `K=V`, or the name of one of the caller's.
#[derive(Clone)]
pub(crate) enum EnvSpec {
    Set(String, OsString),
    Callers(OsString),
}

impl EnvSpec {
    /// A value may have any bytes, and the name of one that is handed on.
    pub(crate) fn parse(given: OsString) -> Parsed<Self> {
        let bytes = given.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len());
        let (key, value) = bytes.split_at(end);
        if key.is_empty() {
            return Err("expected K=V, or the name of a variable".into());
        }
        let Some(value) = value.strip_prefix(b"=") else {
            return Ok(EnvSpec::Callers(given));
        };
        // Keys of JSON and TOML are text.
        let key = str::from_utf8(key).map_err(|_| format!("the name of {given:?} is not UTF-8"))?;
        Ok(EnvSpec::Set(key.to_owned(), OsStr::from_bytes(value).to_owned()))
    }
}

/// A capability, or all of them.
#[derive(Clone, Copy)]
pub(crate) enum CapabilityName {
    All,
    One(Capability),
}

impl FromStr for CapabilityName {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(CapabilityName::All);
        }
        text.parse().map(CapabilityName::One).map_err(|error: seclude::UnknownCapability| error.to_string())
    }
}

/// `NAME=SOFT[:HARD]`
#[derive(Clone, Copy)]
pub(crate) struct RlimitSpec(pub(crate) Resource, pub(crate) u64, pub(crate) u64);

impl FromStr for RlimitSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=SOFT or NAME=SOFT:HARD")?;
        let resource = name.parse().map_err(|error: seclude::UnknownResource| error.to_string())?;
        let limit = |word: &str| if word == "unlimited" { Ok(UNLIMITED) } else { size(word) };
        let (soft, hard) = value.split_once(':').unwrap_or((value, value));
        Ok(RlimitSpec(resource, limit(soft)?, limit(hard)?))
    }
}

/// `24x80`
#[derive(Clone, Copy)]
pub(crate) struct Dimension {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let wrong = || format!("{text:?} is not a size such as 24x80");
        let (rows, columns) = text.split_once('x').ok_or_else(wrong)?;
        Ok(Dimension { rows: rows.parse().map_err(|_| wrong())?, columns: columns.parse().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_take_powers_of_1024_and_refuse_what_does_not_fit() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("2g"), Ok(2 << 30));
        for wrong in ["", "M", "-1", "1X", "1.5", "99999999999T", "1 M"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_take_units_and_fractions_and_refuse_zero_and_signs() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        for wrong in ["0", "", "s", "-1s", "1w", "1.s2"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(offset("-2s"), Ok(-2_000_000_000));
    }

    proptest! {
        #[test]
        fn no_value_is_too_strange_to_be_refused(text in ".{0,40}", likely in "[0-9.:=,xkMGTsmhu-]{0,20}") {
            for text in [text, likely] {
                let _ = (size(&text), duration(&text), offset(&text), mode(&text));
                let _ = (text.parse::<NamespaceList>().is_ok(), text.parse::<JoinSpec>().is_ok());
                let _ = (text.parse::<UserSpec>().is_ok(), EnvSpec::parse(text.clone().into()).is_ok());
                let _ = (text.parse::<RlimitSpec>().is_ok(), text.parse::<Dimension>().is_ok());
                let _ = text.parse::<CapabilityName>().is_ok();
            }
        }

        #[test]
        fn a_size_is_its_number_times_its_unit_or_too_much(number in any::<u64>(), unit in 0usize..5) {
            let bytes = size(&format!("{number}{}", ["", "K", "m", "GiB", "TB"][unit]));
            prop_assert_eq!(bytes.ok(), number.checked_mul(1 << (10 * unit)));
        }

        #[test]
        fn a_time_in_seconds_is_the_same_in_milliseconds(milliseconds in 1u64..1 << 40) {
            let seconds = format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000);
            prop_assert_eq!(duration(&seconds), Ok(Duration::from_millis(milliseconds)));
            prop_assert_eq!(duration(&format!("{milliseconds}ms")), Ok(Duration::from_millis(milliseconds)));
            prop_assert_eq!(offset(&format!("-{milliseconds}ms")), Ok(-i128::from(milliseconds) * 1_000_000));
        }
    }
}
