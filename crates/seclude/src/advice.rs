//! What can be done about an error.

use seclude_request::Remedy;

/// What can be done: in a sentence, which names no flag and no key, and as data for those who have flags or keys.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    pub(crate) text: String,
    pub(crate) remedies: Vec<Remedy>,
}

impl Hint {
    pub(crate) fn with(mut self, remedies: impl IntoIterator<Item = Remedy>) -> Hint {
        self.remedies.extend(remedies);
        self
    }
}

impl<T: Into<String>> From<T> for Hint {
    fn from(text: T) -> Hint {
        Hint { text: text.into(), remedies: Vec::new() }
    }
}
