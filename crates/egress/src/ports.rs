//! Ports of one protocol as a text has them: `443`, `80,443`, `8000-8010`.

use std::fmt;
use std::str::FromStr;

/// Some ports, in order, each once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ports(Vec<(u16, u16)>);

/// Why a text is no list of ports.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// It is no number from 1 to 65535.
    #[error("{0:?} is no port: 1 to 65535, a range 8000-8010, or several with commas")]
    NoPort(String),
    /// A range whose end is before its beginning.
    #[error("the range {0:?} ends before it begins")]
    Backwards(String),
    /// Another protocol, or one that stands elsewhere.
    #[error("before a port stands nothing, for TCP, or `udp/`: NAME:443,udp/443")]
    Protocol,
}

impl Ports {
    /// One port.
    pub fn one(port: u16) -> Ports {
        Ports(vec![(port, port)])
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
    }

    /// Whether this one is among them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// How many ranges they are.
    pub(crate) fn ranges(&self) -> usize {
        self.0.len()
    }

    /// Those of both.
    pub fn with(&self, others: &Ports) -> Ports {
        Ports::joined(self.0.iter().chain(&others.0).copied().collect())
    }

    fn joined(mut ranges: Vec<(u16, u16)>) -> Ports {
        ranges.sort_unstable();
        let mut joined: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Ports(joined)
    }
}

impl FromIterator<u16> for Ports {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Ports {
        Ports::joined(ports.into_iter().map(|port| (port, port)).collect())
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (first, last)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl FromStr for Ports {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Ports, PortError> {
        let port = |text: &str| {
            // A sign is none.
            let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
            let port = text.parse().ok().filter(|port| is_number && *port != 0);
            port.ok_or_else(|| PortError::NoPort(text.to_owned()))
        };
        let ranges = text.split(',').map(|part| match part.split_once('-') {
            None => port(part).map(|port| (port, port)),
            Some((first, last)) => match (port(first)?, port(last)?) {
                (first, last) if first > last => Err(PortError::Backwards(part.to_owned())),
                range => Ok(range),
            },
        });
        Ok(Ports::joined(ranges.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_joined() {
        for (text, shown) in [("443", "443"), ("443,80", "80,443"), ("80-90,85-100,101", "80-101"), ("65535", "65535")]
        {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), shown);
        }
        assert_eq!("80,443,8000-8010".parse::<Ports>().unwrap().count(), 13);
        assert_eq!("1-65535".parse::<Ports>().unwrap().iter().count(), 65_535);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in ["", "0", "70000", "-1", "+1", "80-", "a", "80,,81", " 80", "0-5", "443/path", "udp/53", "443/tcp"]
        {
            assert!(matches!(text.parse::<Ports>(), Err(PortError::NoPort(_))), "{text}");
        }
        assert!(matches!("90-80".parse::<Ports>(), Err(PortError::Backwards(_))));
    }
}
