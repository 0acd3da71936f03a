//! Whose program it is that the kernel does not take for one: what the beginning of a file says of it, elf(5).

use seclude_seccomp::Architecture;

/// As elf.h numbers them; those of which somebody may have a program.
const MACHINES: [(u16, &str); 14] = [
    (2, "sparc"),
    (3, "i386"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (42, "sh4"),
    (43, "sparc64"),
    (50, "ia64"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv"),
    (258, "loongarch"),
];

/// Why execve(2) answered ENOEXEC to a file that begins so.
pub(crate) fn why_not_executable(beginning: &[u8]) -> String {
    let own = Architecture::NATIVE.name();
    match architecture(beginning) {
        Some(its) if its == own => {
            format!(
                "a program for {own}, as this machine is, but one that the kernel cannot take: cut short, or broken"
            )
        }
        Some(its) => {
            format!(
                "a program for {its}, and this machine is {own}: take the command, or the root that it is in, as built for {own}"
            )
        }
        None if beginning.starts_with(b"#!") => {
            format!("a script whose interpreter is no program for this machine, which is {own}")
        }
        None => "neither a program for this machine nor a script with a #! line".to_owned(),
    }
}

/// Whether it is a whole program of this machine, as far as that can be seen.
pub(crate) fn is_native(beginning: &[u8]) -> bool {
    architecture(beginning).is_some_and(|its| its == Architecture::NATIVE.name())
}

/// That of an ELF file, by the `e_machine` of its header; one of 32 bits on a 64-bit machine has its class said with it.
fn architecture(beginning: &[u8]) -> Option<String> {
    let (head, rest) = beginning.split_first_chunk::<18>()?;
    let machine = rest.first_chunk::<2>()?;
    let [0x7f, b'E', b'L', b'F', class, order, ..] = *head else { return None };
    let (machine, big) = match order {
        1 => (u16::from_le_bytes(*machine), ""),
        2 => (u16::from_be_bytes(*machine), ", big-endian"),
        _ => return None,
    };
    let name = MACHINES.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name);
    let name = name.map_or_else(|| format!("machine {machine} of elf.h"), str::to_owned);
    // x32 has x86-64's number, and the other class.
    let narrow = if class == 1 && [62, 183, 243].contains(&machine) { ", 32 bits" } else { "" };
    let big = if [2, 20, 22, 43].contains(&machine) { "" } else { big };
    Some(format!("{name}{narrow}{big}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of a header that says it.
    fn header(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
        [&b"\x7fELF"[..], &[class, order, 1], &[0; 9], &[2, 0], &machine].concat()
    }

    #[test]
    fn a_header_tells_its_architecture_and_nothing_else_does() {
        let of = |class, order, machine| architecture(&header(class, order, machine));
        assert_eq!(of(2, 1, [183, 0]).as_deref(), Some("aarch64"));
        assert_eq!(of(2, 1, [62, 0]).as_deref(), Some("x86_64"));
        assert_eq!(of(1, 1, [62, 0]).as_deref(), Some("x86_64, 32 bits"));
        assert_eq!(of(1, 1, [40, 0]).as_deref(), Some("arm"));
        assert_eq!(of(2, 2, [0, 183]).as_deref(), Some("aarch64, big-endian"));
        assert_eq!(of(2, 2, [0, 22]).as_deref(), Some("s390x"));
        assert_eq!(of(2, 1, [9, 9]).as_deref(), Some("machine 2313 of elf.h"));
        assert_eq!(of(2, 3, [62, 0]), None);
        for cut in 0..20 {
            assert_eq!(architecture(&header(2, 1, [62, 0])[..cut]), None, "{cut}");
        }
        assert_eq!(architecture(b"#!/bin/sh of some length"), None);
    }

    #[test]
    fn what_is_for_this_machine_and_not_taken_is_not_called_foreign() {
        let own: u8 = if Architecture::NATIVE == Architecture::X86_64 { 62 } else { 183 };
        assert!(why_not_executable(&header(2, 1, [own, 0])).contains("broken"));
        assert!(why_not_executable(b"#!/bin/sh").contains("interpreter"));
        assert!(why_not_executable(b"").contains("neither"));
    }
}
