//! Published ports: which port of the host leads to which of the container.

use std::fmt;
use std::net::Ipv4Addr;

use thiserror::Error;

/// Why a text is not a port to publish.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} cannot be published: {reason}")]
pub struct PublishError {
    text: String,
    reason: String,
}

/// What carries a published port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// tcp(7).
    Tcp,
    /// udp(7).
    Udp,
}

impl Protocol {
    /// Its number in the IP header.
    pub(crate) fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// One port of the host that leads to one of the container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Publish {
    /// The host's address it is published on; `None` for all IPv4 addresses of the host, and `[::1]`.
    pub host: Option<Ipv4Addr>,
    /// The port on the host; not 0.
    pub host_port: u16,
    /// The port in the container; not 0.
    pub port: u16,
    /// What carries it.
    pub protocol: Protocol,
}

impl Publish {
    /// Reads `[ip:]host[-host]:container[-container][/tcp|/udp]`; a range is as many ports as it says.
    ///
    /// # Errors
    /// With one line that says what is wrong.
    pub fn parse(text: &str) -> Result<Vec<Publish>, PublishError> {
        let wrong = |reason: String| PublishError { text: text.to_owned(), reason };
        let (ports, protocol) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.rsplit_once('/').map_or(text, |(ports, _)| ports), Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some((_, other)) => return Err(wrong(format!("{other:?} is neither tcp nor udp"))),
        };
        let form = || wrong("it is not like [IP:]HOST[-HOST]:CONTAINER[-CONTAINER][/tcp|/udp]".to_owned());
        let parts: Vec<&str> = ports.split(':').collect();
        let (host, outer, inner) = match parts.as_slice() {
            [outer, inner] => (None, outer, inner),
            [host, outer, inner] => {
                let address = host.parse::<Ipv4Addr>();
                (Some(address.map_err(|_| wrong(format!("{host:?} is not an IPv4 address")))?), outer, inner)
            }
            _ => return Err(form()),
        };
        // 0.0.0.0 is all addresses, as it is in bind(2).
        let host = host.filter(|address| !address.is_unspecified());
        let (outer, inner) = (range(outer).map_err(wrong)?, range(inner).map_err(wrong)?);
        if outer.len() != inner.len() {
            return Err(wrong(format!("{} ports of the host for {} of the container", outer.len(), inner.len())));
        }
        Ok(outer.zip(inner).map(|(host_port, port)| Publish { host, host_port, port, protocol }).collect())
    }

    /// Whether the two want the same port of the host.
    pub fn clashes(&self, other: &Publish) -> bool {
        let same_host = self.host.is_none() || other.host.is_none() || self.host == other.host;
        same_host && self.host_port == other.host_port && self.protocol == other.protocol
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.unwrap_or(Ipv4Addr::UNSPECIFIED);
        write!(f, "{host}:{}:{}/{}", self.host_port, self.port, self.protocol)
    }
}

fn range(text: &str) -> Result<std::ops::RangeInclusive<u16>, String> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last { Err(format!("the range {text} goes backwards")) } else { Ok(first..=last) }
}

fn port(text: &str) -> Result<u16, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} is not a port"));
    }
    match text.parse::<u16>() {
        Ok(0) => Err("port 0 is none".to_owned()),
        Ok(port) => Ok(port),
        Err(_) => Err(format!("port {text} is above 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<String> {
        Publish::parse(text).unwrap().iter().map(Publish::to_string).collect()
    }

    #[test]
    fn reads_every_form() {
        assert_eq!(shown("80:8080"), ["0.0.0.0:80:8080/tcp"]);
        assert_eq!(shown("127.0.0.1:80:8080/udp"), ["127.0.0.1:80:8080/udp"]);
        assert_eq!(shown("80-81:90-91/tcp"), ["0.0.0.0:80:90/tcp", "0.0.0.0:81:91/tcp"]);
        assert_eq!(Publish::parse("0.0.0.0:1:1").unwrap()[0].host, None);
        assert_eq!(Publish::parse("1-65535:1-65535").unwrap().len(), 65535);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, reason) in [
            ("80", "it is not like [IP:]HOST[-HOST]:CONTAINER[-CONTAINER][/tcp|/udp]"),
            ("0:80", "port 0 is none"),
            ("70000:80", "port 70000 is above 65535"),
            ("80-81:90", "2 ports of the host for 1 of the container"),
            ("81-80:90-91", "the range 81-80 goes backwards"),
            ("80:90/sctp", "\"sctp\" is neither tcp nor udp"),
            ("host:80:90", "\"host\" is not an IPv4 address"),
            ("a:80", "\"a\" is not a port"),
            ("+1:80", "\"+1\" is not a port"),
            (":80", "\"\" is not a port"),
        ] {
            let error = Publish::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} cannot be published: {reason}"));
        }
    }

    #[test]
    fn all_addresses_clash_with_each() {
        let one = |text| Publish::parse(text).unwrap()[0];
        assert!(one("80:1").clashes(&one("127.0.0.1:80:2")));
        assert!(!one("127.0.0.2:80:1").clashes(&one("127.0.0.1:80:2")));
        assert!(!one("80:1").clashes(&one("80:1/udp")));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9:./\\-a-z+]{0,30}") {
            let _ = Publish::parse(&text);
        }

        #[test]
        fn reads_what_it_writes(host: u32, host_port in 1u16.., port in 1u16.., udp: bool) {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let publish = Publish { host: Some(host.into()).filter(|h: &Ipv4Addr| !h.is_unspecified()), host_port, port, protocol };
            prop_assert_eq!(Publish::parse(&publish.to_string()), Ok(vec![publish]));
        }
    }
}
