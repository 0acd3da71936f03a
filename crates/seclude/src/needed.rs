//! What a program needs that is executed with it, by the beginning of its file: execve(2), elf(5).

/// What else is executed.
pub(crate) enum Needed {
    /// What a script's first line names.
    Interpreter(String),
    /// What an ELF program names: PT_INTERP.
    Loader(String),
}

/// What the beginning of a file says that it needs.
pub(crate) fn needed(beginning: &[u8]) -> Option<Needed> {
    if let Some(rest) = beginning.strip_prefix(b"#!") {
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        // As the kernel takes it apart: a carriage return is a part of the name.
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        return Some(Needed::Interpreter(words.next().unwrap_or_default().to_owned()));
    }
    // ELF64, little-endian: the program headers, and among them PT_INTERP, elf(5).
    if !beginning.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |offset: usize, length: usize| -> Option<usize> {
        let bytes = beginning.get(offset..offset.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    let (table, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for index in 0..count.min(64) {
        let header = table.checked_add(index.checked_mul(size)?)?;
        if number(header, 4)? == 3 {
            let start = number(header.checked_add(8)?, 8)?;
            let path = beginning.get(start..)?.split(|byte| *byte == 0).next()?;
            return Some(Needed::Loader(String::from_utf8_lossy(path).into_owned()));
        }
    }
    None
}
