//! One line of an id map.

use std::fmt;
use std::str::FromStr;

use crate::{ExtentError, Field, Range};

/// `count` consecutive ids from `inside` on are the ids from `outside` on in the parent namespace:
/// one line of `/proc/PID/uid_map` or `gid_map` (`user_namespaces(7)`).
///
/// As text it is `IN:OUT:LEN`, decimal, the form `podman --uidmap` takes. The fields are open, so a
/// value built by hand can be invalid; [`IdMap::new`](crate::IdMap::new) refuses it then.
///
/// ```
/// use seclude_idmap::Extent;
///
/// let extent: Extent = "0:100000:65536".parse()?;
/// assert_eq!(extent, Extent { inside: 0, outside: 100_000, count: 65_536 });
/// # Ok::<(), seclude_idmap::ExtentError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extent {
    /// The first id inside the namespace.
    pub inside: u32,
    /// The first id outside: what the parent namespace calls it.
    pub outside: u32,
    /// How many ids, at least 1.
    pub count: u32,
}

impl Extent {
    /// An extent that is valid by itself.
    ///
    /// # Errors
    /// [`ExtentError::Zero`] for no ids, [`ExtentError::PastLast`] when a side passes 4294967294.
    pub fn new(inside: u32, outside: u32, count: u32) -> Result<Extent, ExtentError> {
        let extent = Extent { inside, outside, count };
        extent.check()?;
        Ok(extent)
    }

    pub(crate) fn check(self) -> Result<(), ExtentError> {
        let Extent { inside, outside, count } = self;
        if count == 0 {
            return Err(ExtentError::Zero);
        }
        for (field, start) in [(Field::Inside, inside), (Field::Outside, outside)] {
            if start.checked_add(count).is_none() {
                return Err(ExtentError::PastLast { field, start, count });
            }
        }
        Ok(())
    }

    pub(crate) fn inside_range(self) -> Range {
        Range { start: self.inside, count: self.count }
    }

    pub(crate) fn outside_range(self) -> Range {
        Range { start: self.outside, count: self.count }
    }

    pub(crate) fn from_fields(fields: &[&str]) -> Result<Extent, ExtentError> {
        let &[inside, outside, count] = fields else {
            return Err(ExtentError::Shape { found: fields.len() });
        };
        Extent::new(number(Field::Inside, inside)?, number(Field::Outside, outside)?, number(Field::Count, count)?)
    }
}

/// Digits only: `u32::from_str` would also take the `+5` that the kernel refuses.
fn number(field: Field, text: &str) -> Result<u32, ExtentError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(ExtentError::Number { field, value: text.chars().take(32).collect() }),
    }
}

impl FromStr for Extent {
    type Err = ExtentError;

    fn from_str(text: &str) -> Result<Extent, ExtentError> {
        Extent::from_fields(&text.split(':').collect::<Vec<_>>())
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.inside, self.outside, self.count)
    }
}
