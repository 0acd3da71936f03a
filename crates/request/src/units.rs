//! Sizes and lengths of time: a number, or a string with a unit.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes: 268435456, or "256M", or "1.5G". K, M, G and T are powers of 1024; Ki, KiB or KB are the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Size(pub u64);

/// A length of time: a number of seconds, or a string with a unit: "500ms", "10s", "1.5m", "1h30m", "1d"; us is a microsecond.
///
/// It may be negative where a clock is set back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Duration {
    /// In nanoseconds.
    pub nanoseconds: i128,
}

/// Reads a [`Size`], with what can be.
///
/// # Errors
/// What is wrong, in one line.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!("{text:?} is not a size: a number of bytes, or with K, M, G or T, powers of 1024 (KB, Ki and KiB too)")
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KI" | "KIB" => 1 << 10,
        "M" | "MB" | "MI" | "MIB" => 1 << 20,
        "G" | "GB" | "GI" | "GIB" => 1 << 30,
        "T" | "TB" | "TI" | "TIB" => 1 << 40,
        _ => return Err(wrong()),
    };
    let bytes = times(digits, factor.into()).ok_or_else(wrong)?;
    u64::try_from(bytes).map_err(|_| format!("{text:?} is more than 2^64 bytes"))
}

/// Reads a [`Duration`], in nanoseconds.
///
/// # Errors
/// What is wrong, in one line.
pub fn nanoseconds(text: &str) -> Result<i128, String> {
    match text.strip_prefix('-') {
        Some(rest) => positive(rest, text).map(|value| -value),
        None => positive(text, text),
    }
}

fn positive(text: &str, given: &str) -> Result<i128, String> {
    let wrong =
        || format!("{given:?} is not a duration: a number with us, ms, s, m, h or d, such as 10s, 1.5m or 1h30m");
    let (mut all, mut rest) = (0_i128, text);
    loop {
        let (number, with_unit) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len()));
        let next = with_unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(with_unit.len());
        let nanoseconds: i128 = match &with_unit[..next] {
            "us" => 1_000,
            "ms" => 1_000_000,
            // Without one it is all there is.
            "" if rest.len() != text.len() => return Err(wrong()),
            "" | "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => return Err(wrong()),
        };
        all = times(number, nanoseconds).and_then(|part| all.checked_add(part)).ok_or_else(wrong)?;
        rest = &with_unit[next..];
        if rest.is_empty() {
            return Ok(all);
        }
    }
}

/// So many units; what is less than the last whole one is dropped. A fraction has a unit to be one of.
fn times(digits: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_empty = whole.is_empty() && fraction.is_empty();
    if is_empty || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 || (unit == 1 && whole != digits) {
        return None;
    }
    // 2^64 units of the largest kind are less than 2^127.
    let number = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<u64>().ok() };
    let (whole, parts) = (i128::from(number(whole)?), i128::from(number(fraction)?));
    Some(whole * unit + parts * unit / 10i128.pow(fraction.len() as u32))
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // TOML has no larger number.
        match i64::try_from(self.0) {
            Ok(bytes) => serializer.serialize_i64(bytes),
            Err(_) => serializer.serialize_str(&self.0.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a string such as \"256M\"")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                Err(E::invalid_value(de::Unexpected::Signed(bytes), &self))
            }

            fn visit_i128<E: de::Error>(self, bytes: i128) -> Result<Size, E> {
                Err(E::custom(format_args!("{bytes} is more than 2^64 bytes")))
            }

            fn visit_f64<E: de::Error>(self, bytes: f64) -> Result<Size, E> {
                Err(E::invalid_value(de::Unexpected::Float(bytes), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                size(text).map(Size).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const SECOND: u128 = 1_000_000_000;
        let (sign, length) = (if self.nanoseconds < 0 { "-" } else { "" }, self.nanoseconds.unsigned_abs());
        let (whole, rest) = (length / SECOND, length % SECOND);
        let fraction = format!("{rest:09}");
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        serializer.serialize_str(&format!("{sign}{whole}{dot}{fraction}s"))
    }
}

impl Duration {
    /// What a deserializer knows it by.
    pub(crate) const NAME: &'static str = "Duration";
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        struct DurationVisitor;
        impl<'de> Visitor<'de> for DurationVisitor {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, or a string such as \"500ms\" or \"10s\"")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Duration, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<Duration, E> {
                Ok(Duration { nanoseconds: i128::from(seconds) * 1_000_000_000 })
            }

            fn visit_i64<E>(self, seconds: i64) -> Result<Duration, E> {
                Ok(Duration { nanoseconds: i128::from(seconds) * 1_000_000_000 })
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
                match seconds.is_finite() && seconds.abs() < 1e12 {
                    true => Ok(Duration { nanoseconds: (seconds * 1e9).round() as i128 }),
                    false => Err(E::invalid_value(de::Unexpected::Float(seconds), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                nanoseconds(text).map(|nanoseconds| Duration { nanoseconds }).map_err(E::custom)
            }
        }
        // By its name, as one language's numbers are of another unit.
        deserializer.deserialize_newtype_struct(Duration::NAME, DurationVisitor)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    impl JsonSchema for super::Size {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Size".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A number of bytes, or a string with K, M, G or T (powers of 1024), such as \"256M\".",
                "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    { "type": "string", "pattern": "^([0-9]+[bB]?|([0-9]+(\\.[0-9]{0,9})?|\\.[0-9]{1,9})[KMGTkmgt]([iI]?[bB]|[iI])?)$" }
                ]
            })
        }
    }

    impl JsonSchema for super::Duration {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Duration".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A number of seconds, or a string with us, ms, s, m, h or d, such as \"500ms\".",
                "anyOf": [
                    { "type": "number" },
                    { "type": "string", "pattern": "^-?(N|(N(us|ms|s|m|h|d))+)$".replace('N', r"([0-9]+(\.[0-9]{0,9})?|\.[0-9]{1,9})") }
                ]
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(size("256M"), Ok(256 << 20));
        assert_eq!((size("1kib"), size("5Mi")), (Ok(1024), Ok(5 << 20)));
        assert_eq!((size("0.5G"), size(".5k"), size("1.5KiB")), (Ok(512 << 20), Ok(512), Ok(1536)));
        assert!(size("1.5").is_err() && size("1.5B").is_err() && size(".M").is_err() && size("1.2.3M").is_err());
        assert!(size("18446744073709551615T").is_err() && size("1e3M").is_err() && size("-1M").is_err());
        assert!(size("1X").is_err() && size("").is_err() && size("99999999T").is_err());
        assert_eq!(nanoseconds("1.5m"), Ok(90_000_000_000));
        assert_eq!(nanoseconds("-1h"), Ok(-3_600_000_000_000));
        assert_eq!(nanoseconds(".25s"), Ok(250_000_000));
        assert_eq!((nanoseconds("1m30s"), nanoseconds("-1h0.5m")), (Ok(90_000_000_000), Ok(-3_630_000_000_000)));
        assert!(nanoseconds("1m30").is_err() && nanoseconds("1m-30s").is_err() && nanoseconds("1m 30s").is_err());
        assert!(nanoseconds(".s").is_err() && nanoseconds(".").is_err());
        assert!(nanoseconds("1w").is_err() && nanoseconds("").is_err() && nanoseconds("--1s").is_err());
    }
}
