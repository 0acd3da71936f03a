//! Hardware addresses.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Why a text is not the hardware address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} cannot be a hardware address: {reason}")]
pub struct MacError {
    text: String,
    reason: &'static str,
}

/// An Ethernet address that an interface can have: not a multicast one, not all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mac([u8; 6]);

impl Mac {
    /// # Errors
    /// It is a multicast address (the lowest bit of the first byte), or all zeros.
    pub fn new(bytes: [u8; 6]) -> Result<Mac, MacError> {
        let wrong = |reason| Err(MacError { text: Mac(bytes).to_string(), reason });
        match bytes {
            [0, 0, 0, 0, 0, 0] => wrong("all zeros"),
            [first, ..] if first & 1 == 1 => wrong("a multicast address, its first byte is odd"),
            _ => Ok(Mac(bytes)),
        }
    }

    /// The six bytes.
    pub fn bytes(&self) -> [u8; 6] {
        self.0
    }

    /// The address that goes with an IPv4 address: whoever gets that again is no stranger to its neighbours.
    pub(crate) fn of(address: Ipv4Addr) -> Mac {
        let [a, b, c, d] = address.octets();
        Mac([0x02, 0x73, a, b, c, d])
    }

    /// The link-local address that an interface makes of it (RFC 4291, appendix A).
    pub(crate) fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let pair = |high, low| u16::from_be_bytes([high, low]);
        Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
    }

    /// The address of the host's end. It is high, because a bridge without an address of its own takes its lowest
    /// port's, and would change it with our coming and going.
    pub(crate) fn of_host_end(address: Ipv4Addr) -> Mac {
        let [a, b, c, d] = address.octets();
        Mac([0xfe, 0x73, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Mac, MacError> {
        let wrong = || MacError { text: text.to_owned(), reason: "it is not like 02:00:0a:53:00:02" };
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Mac::new(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_no_interface_can_have() {
        for (text, said) in [
            ("01:00:00:00:00:01", "a multicast address, its first byte is odd"),
            ("00:00:00:00:00:00", "all zeros"),
            ("02:00:00:00:00", "it is not like 02:00:0a:53:00:02"),
            ("02:00:00:00:00:00:00", "it is not like 02:00:0a:53:00:02"),
            ("02:00:00:00:00:+1", "it is not like 02:00:0a:53:00:02"),
        ] {
            let error = text.parse::<Mac>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} cannot be a hardware address: {said}"));
        }
    }

    #[test]
    fn a_link_local_address_is_as_the_kernel_makes_it() {
        let mac: Mac = "02:73:0a:53:00:02".parse().unwrap();
        assert_eq!(mac.link_local().to_string(), "fe80::73:aff:fe53:2");
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(bytes: [u8; 6]) {
            if let Ok(mac) = Mac::new(bytes) {
                prop_assert_eq!(mac.to_string().parse::<Mac>(), Ok(mac));
            }
        }

        #[test]
        fn derived_ones_are_good(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert!(Mac::new(Mac::of(address).bytes()).is_ok());
            prop_assert!(Mac::new(Mac::of_host_end(address).bytes()).is_ok());
        }
    }
}
