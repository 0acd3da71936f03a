//! What others have named within a line of ours.

use std::fmt::{self, Write};

/// Writes on as one line that leads no terminal astray: whoever made a file has chosen its name, newlines, escape sequences and
/// marks that turn the direction of what follows among it (CVE-2021-42574). Those come as `\n`, `\u{1b}`.
pub struct OneLine<'a, W: ?Sized>(pub &'a mut W);

fn leads_astray(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

impl<W: Write + ?Sized> Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(leads_astray) {
            let (plain, from) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                write!(self.0, "{}", character.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_a_second_line_nor_a_command_to_the_terminal() {
        let mut line = String::new();
        write!(OneLine(&mut line), "a b ü c\nseclude: forged \u{1b}[31m\u{9b}\u{202e}\x07").unwrap();
        assert_eq!(line, r"a b ü c\nseclude: forged \u{1b}[31m\u{9b}\u{202e}\u{7}");
    }
}
