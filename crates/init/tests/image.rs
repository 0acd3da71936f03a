//! The image is what a kernel can start without any help.

use seclude_init::IMAGE;

const ET_EXEC: u64 = 2;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const PT_GNU_STACK: u64 = 0x6474_e551;
const SHT_SYMTAB: u64 = 2;
const SHT_DYNAMIC: u64 = 6;
const SHT_NOTE: u64 = 7;
const SHT_DYNSYM: u64 = 11;
const EXECUTE: u64 = 1;
const WRITE: u64 = 2;

/// The little-endian number of `bytes` bytes at `offset`.
fn number(offset: usize, bytes: usize) -> u64 {
    IMAGE[offset..offset + bytes].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Where each entry of a header table begins: table offset, entry size and count stand in the ELF header.
fn table(offset: usize, size: usize, count: usize) -> impl Iterator<Item = usize> {
    let (start, size) = (number(offset, 8) as usize, number(size, 2) as usize);
    (0..number(count, 2) as usize).map(move |index| start + index * size)
}

/// Type and flags of each segment.
fn segments() -> Vec<(u64, u64)> {
    table(32, 54, 56).map(|at| (number(at, 4), number(at + 4, 4))).collect()
}

/// Type of each section.
fn sections() -> Vec<u64> {
    table(40, 58, 60).map(|at| number(at + 4, 4)).collect()
}

#[test]
fn it_is_a_64_bit_executable_at_fixed_addresses() {
    assert!(IMAGE.starts_with(b"\x7fELF\x02\x01"));
    assert_eq!(number(16, 2), ET_EXEC);
}

#[test]
fn it_is_smaller_than_16_kib() {
    assert!(IMAGE.len() < 16 * 1024, "it has {} bytes", IMAGE.len());
}

#[test]
fn it_needs_no_loader_and_has_nothing_to_resolve() {
    let kinds: Vec<u64> = segments().into_iter().map(|(kind, _)| kind).collect();
    assert!(kinds.contains(&PT_LOAD));
    assert!(!kinds.contains(&PT_INTERP));
    assert!(!kinds.contains(&PT_DYNAMIC));
    assert!(!sections().contains(&SHT_DYNAMIC));
    assert!(!sections().contains(&SHT_DYNSYM));
}

#[test]
fn it_is_stripped_and_has_no_build_id() {
    assert!(!sections().contains(&SHT_SYMTAB));
    assert!(!sections().contains(&SHT_NOTE));
}

#[test]
fn its_stack_is_not_executable_and_no_memory_is_both_writable_and_executable() {
    let segments = segments();
    assert!(segments.iter().any(|(kind, _)| *kind == PT_GNU_STACK), "without it the kernel decides");
    for (kind, flags) in segments {
        assert_ne!(flags & (WRITE | EXECUTE), WRITE | EXECUTE, "segment of type {kind:#x}");
    }
}
