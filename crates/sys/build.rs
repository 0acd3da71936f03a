//! Tells dependents where the files of `src/arch` are (`DEP_SECLUDE_SYS_ARCH`): the static init is compiled from them too.

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR for build scripts");
    println!("cargo::metadata=arch={root}/src/arch");
    println!("cargo::rerun-if-changed=build.rs");
}
