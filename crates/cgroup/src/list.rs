//! Lists of CPUs and memory nodes, the list format of `cpuset(7)`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// One more than the highest number taken; more CPUs than any kernel is built for.
const END: u32 = 65_536;

/// A list of CPUs or memory nodes: `0-3,5`. Never empty; sorted, and no number twice, whatever
/// the text's order.
///
/// ```
/// let list: seclude_cgroup::List = "5,0-2,1-3".parse()?;
/// assert_eq!(list.to_string(), "0-3,5");
/// assert_eq!(list.iter().count(), 5);
/// # Ok::<(), seclude_cgroup::ListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct List {
    /// First and last, sorted, neither touching nor overlapping.
    ranges: Vec<(u32, u32)>,
}

/// Why a text is not a [`List`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListError {
    /// There is nothing between two commas, or nothing at all.
    #[error("the list {text:?} has an empty element, expected numbers and ranges such as 0-3,5")]
    Empty {
        /// The text.
        text: String,
    },
    /// An element is no number.
    #[error("{element:?} is not a number from 0 to 65535, nor a range of two such as 0-3")]
    Number {
        /// The element.
        element: String,
    },
    /// A range ends before it starts.
    #[error("the range {first}-{last} ends before it starts")]
    Backwards {
        /// Its first number.
        first: u32,
        /// Its last number.
        last: u32,
    },
}

impl List {
    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Whether it has this number.
    pub fn contains(&self, number: u32) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&number))
    }

    /// How many numbers, at least 1.
    pub fn count(&self) -> u32 {
        self.ranges.iter().map(|&(first, last)| last - first + 1).sum()
    }

    /// The lowest number that the other list does not have.
    pub fn first_outside(&self, other: &List) -> Option<u32> {
        self.iter().find(|&number| !other.contains(number))
    }
}

impl From<u32> for List {
    /// This number alone.
    fn from(number: u32) -> List {
        List { ranges: vec![(number, number)] }
    }
}

impl FromStr for List {
    type Err = ListError;

    fn from_str(text: &str) -> Result<List, ListError> {
        let mut ranges = text.split(',').map(|element| range(element, text)).collect::<Result<Vec<_>, _>>()?;
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ok(List { ranges: merged })
    }
}

fn range(element: &str, text: &str) -> Result<(u32, u32), ListError> {
    if element.is_empty() {
        return Err(ListError::Empty { text: text.chars().take(32).collect() });
    }
    let number = |digits: &str| -> Result<u32, ListError> {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits
            .parse()
            .ok()
            .filter(|&number| plain && number < END)
            .ok_or_else(|| ListError::Number { element: element.chars().take(32).collect() })
    };
    let (first, last) = match element.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(element)?, number(element)?),
    };
    if last < first {
        return Err(ListError::Backwards { first, last });
    }
    Ok((first, last))
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &(first, last)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match first == last {
                true => write!(f, "{first}")?,
                false => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_sorted_and_merged() {
        for (text, shown) in [("0", "0"), ("3,1,2", "1-3"), ("0-3,2-8,10", "0-8,10"), ("0-65535", "0-65535")] {
            assert_eq!(text.parse::<List>().map(|l| l.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for text in
            ["", ",", "0,", "a", "0-", "-1", "+1", "3-1", "65536", "0-65536", " 0", "0 ", "0-1-2", "99999999999"]
        {
            assert!(text.parse::<List>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_first_number_outside_is_told() {
        let online: List = "0-1".parse().unwrap();
        assert_eq!("0-3".parse::<List>().unwrap().first_outside(&online), Some(2));
        assert_eq!("1".parse::<List>().unwrap().first_outside(&online), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error(text in "[0-9,\\- a]{0,12}") {
            let _ = text.parse::<List>();
        }

        #[test]
        fn a_list_has_its_numbers_and_survives_its_text(numbers in prop::collection::btree_set(0u32..200, 1..20)) {
            let text = numbers.iter().rev().map(u32::to_string).collect::<Vec<_>>().join(",");
            let list: List = text.parse().unwrap();
            prop_assert_eq!(list.iter().collect::<BTreeSet<_>>(), numbers.clone());
            prop_assert_eq!(list.count() as usize, numbers.len());
            prop_assert_eq!(list.to_string().parse::<List>(), Ok(list));
        }
    }
}
