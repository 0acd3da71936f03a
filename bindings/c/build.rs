//! The name that programs linked with the library look for; its number is `SECLUDE_ABI_VERSION`.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libseclude.so.1");
    println!("cargo::rerun-if-changed=build.rs");
}
