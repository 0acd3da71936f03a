//! What is allowed, as one text: `NAME[:PORTS]`, with `udp/` before a port that is not TCP's.

use std::fmt;
use std::str::FromStr;

use crate::{Name, NameError, PortError, Ports};

/// What stands before a port that is not TCP's.
const UDP: &str = "udp/";
/// What a name without ports has.
const HTTPS: u16 = 443;

/// Which names a rule is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// This one.
    Exact(Name),
    /// Those below it, not itself: `*.example.org`.
    Below(Name),
}

/// One rule: names, and their ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The names.
    pub pattern: Pattern,
    /// The ports, by TCP.
    pub ports: Ports,
    /// The ports by UDP.
    pub datagrams: Ports,
}

/// Why a text is no rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// What stands before the ports.
    #[error("{0}")]
    Name(#[from] NameError),
    /// The ports.
    #[error("{0}")]
    Ports(#[from] PortError),
    /// All names below one that everybody may have names below.
    #[error("`*.{0}` would be nearly every name: it needs at least two labels behind the `*`")]
    TooWide(String),
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        if has_misplaced_protocol(text) {
            return Err(PortError::Protocol.into());
        }
        let (name, ports) = match text.split_once(':') {
            // A scheme, or more than one: an address of IPv6.
            Some((_, rest)) if rest.starts_with("//") => return Err(NameError::Url.into()),
            Some((_, rest)) if rest.contains(':') || text.starts_with('[') => return Err(NameError::Address.into()),
            Some((name, ports)) => (name, Some(ports)),
            None => (text, None),
        };
        let pattern = match name.strip_prefix("*.") {
            Some(above) => {
                let name: Name = above.parse()?;
                if !name.as_str().contains('.') {
                    return Err(RuleError::TooWide(name.to_string()));
                }
                Pattern::Below(name)
            }
            None => Pattern::Exact(name.parse()?),
        };
        let Some(ports) = ports else {
            return Ok(Rule { pattern, ports: Ports::one(HTTPS), datagrams: Ports::default() });
        };
        let (datagrams, streams): (Vec<&str>, Vec<&str>) = ports.split(',').partition(|part| part.starts_with(UDP));
        let datagrams: Vec<&str> = datagrams.iter().filter_map(|part| part.strip_prefix(UDP)).collect();
        let parsed = |parts: &[&str]| if parts.is_empty() { Ok(Ports::default()) } else { parts.join(",").parse() };
        Ok(Rule { pattern, ports: parsed(&streams)?, datagrams: parsed(&datagrams)? })
    }
}

/// Whether a text has a protocol beside a name, or behind a port, or one that is not said.
fn has_misplaced_protocol(text: &str) -> bool {
    // A URL is told as one.
    if !text.contains('/') || text.contains("//") {
        return false;
    }
    let (name, ports) = text.split_once(':').unwrap_or((text, ""));
    let is_protocol = |word: &str| ["tcp", "udp"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let names = |text: &str| text.contains('/') && text.split('/').any(is_protocol);
    names(name) || ports.split(',').any(|port| !port.starts_with(UDP) && names(port))
}

impl Rule {
    /// Its ports, as a text has them.
    pub fn listed(&self) -> String {
        listed(&self.ports, &self.datagrams)
    }
}

/// Ports of both protocols in one list.
pub(crate) fn listed(ports: &Ports, datagrams: &Ports) -> String {
    let datagrams = datagrams.to_string();
    let datagrams = datagrams.split(',').filter(|part| !part.is_empty()).map(|part| format!("{UDP}{part}"));
    let ports = Some(ports.to_string()).filter(|ports| !ports.is_empty());
    ports.into_iter().chain(datagrams).collect::<Vec<_>>().join(",")
}

impl Pattern {
    /// Whether a name is one of them.
    pub fn is_of(&self, name: &Name) -> bool {
        match self {
            Pattern::Exact(own) => own == name,
            Pattern::Below(above) => name.is_below(above),
        }
    }

    /// Whether all names of another are among them.
    pub fn covers(&self, other: &Pattern) -> bool {
        match (self, other) {
            (_, Pattern::Exact(name)) => self.is_of(name),
            (Pattern::Below(above), Pattern::Below(name)) => above == name || name.is_below(above),
            (Pattern::Exact(_), Pattern::Below(_)) => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(name) => write!(f, "{name}"),
            Pattern::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pattern, self.listed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_name_and_its_ports() {
        for (text, shown) in [
            ("github.com", "github.com:443"),
            ("GitHub.com.:22,443", "github.com:22,443"),
            ("db:5432", "db:5432"),
            ("*.example.org:80", "*.example.org:80"),
            ("ntp.example.org:udp/123", "ntp.example.org:udp/123"),
            ("a.org:udp/443,443,udp/8000-8010,22", "a.org:22,443,udp/443,udp/8000-8010"),
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_none_is_refused_in_one_line() {
        for (text, said) in [
            ("", "empty"),
            (":443", "empty"),
            ("*", "first label"),
            ("*.*.org", "first label"),
            ("*.org", "two labels"),
            ("*.", "empty"),
            ("a.org:0", "no port"),
            ("a.org:70000", "no port"),
            ("a.org:", "no port"),
            ("udp/a.org:53", "before a port"),
            ("udp/53:a.org", "before a port"),
            ("UDP/53:*.a.org", "before a port"),
            ("53/udp:a.org", "before a port"),
            ("a.org:53/udp", "before a port"),
            ("a.org:443/tcp", "before a port"),
            ("a.org:tcp/443", "before a port"),
            ("a.org:UDP/443", "before a port"),
            ("a.org:sctp/53", "no port"),
            ("a.org:443/path", "no port"),
            ("a.org:udp/", "no port"),
            ("a.org:udp/0", "no port"),
            ("a.org:udp/udp/5", "no port"),
            ("https://a.org", "URL"),
            ("https://a.org:443/", "URL"),
            ("a.org/x", "URL"),
            ("1.2.3.4:443", "address"),
            ("[::1]:443", "address"),
            ("::1", "address"),
            ("0x7f.1:80", "address"),
        ] {
            let error = text.parse::<Rule>().unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
