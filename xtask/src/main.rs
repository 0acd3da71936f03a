//! Tasks of this repository that a build alone cannot do: `cargo xtask …`.
#![forbid(unsafe_code)]

mod apt;
mod architecture;
mod binaries;
mod c;
mod check_attacks;
mod check_child;
mod check_imports;
mod check_words;
mod ci;
mod dist;
mod engines;
mod node;
mod ordinary_user;
mod own_process;
mod presets;
mod progress;
mod python;
mod reliability;
mod request;
mod rootfs;
mod rootless;
mod soak;
mod versus;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this repository
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Tasks {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all that `.ci/run` does, or all that there is
    Ci(ci::Options),
    /// Make the roots that tests run in, below target/rootfs, once; prints where they are
    Rootfs {
        /// Which
        #[arg(value_enum, default_value = "all")]
        which: rootfs::Which,
    },
    /// Measure a spawn, from the call to the reaping, beside others; writes target/versus.json
    Versus(versus::Options),
    /// Spawn thousands of containers of every kind from one process, and look whether anything grows
    Soak(soak::Options),
    /// Run all that is to fail without a trace, many times, and write docs/reliability.md
    Reliability(reliability::Options),
    /// Build the command as it is given out, with manual page and completions, below target/dist
    Dist(dist::Options),
    /// Check that the child's code calls nothing outside itself: no libc, no allocator, no panic
    CheckChild(check_child::Options),
    /// Check that docs/attacks.md names the tests of attacks, and none that is not there
    CheckAttacks,
    /// Make docs/request.md and docs/request.schema.json from the texts of crates/request, or check them
    Request(request::Options),
    /// Check that the imports of the library run one way
    CheckImports,
    /// Check that no code decides by the words of an error
    CheckWords,
    /// Try what each preset lets through, beside bubblewrap and podman, and write docs/presets.md
    Presets(presets::Options),
    /// Run container engines with the OCI runtime below them, each in namespaces of its own
    Engines(engines::Options),
    /// Run the tests as an ordinary user with subordinate ids
    Rootless(rootless::Options),
    /// Build and test the JavaScript binding in Node.js and Bun, as root and as an ordinary user
    Node(node::Options),
    /// Build and test the C binding from C and Go, as root and as an ordinary user
    C(c::Options),
    /// Build and test the Python binding, as root and as an ordinary user, and by CPython's own tests
    Python(python::Options),
    /// Run the tests on other kernels, in virtual machines; prints which went how on which
    Vm(vm::Options),
    #[command(hide = true, subcommand)]
    VersusHelper(versus::helper::Task),
}

fn main() -> ExitCode {
    let done = match Tasks::parse().task {
        Task::Ci(options) => ci::run_all(&options),
        Task::Rootfs { which } => rootfs::make(which),
        Task::Versus(options) => versus::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Reliability(options) => reliability::run(&options),
        Task::Dist(options) => dist::run_task(&options),
        Task::CheckChild(options) => check_child::check(&options),
        Task::CheckAttacks => check_attacks::check(),
        Task::CheckImports => check_imports::check(),
        Task::Request(options) => request::run(&options),
        Task::CheckWords => check_words::check(),
        Task::Presets(options) => presets::run(&options),
        Task::Engines(options) => engines::run_engines(&options),
        Task::Rootless(options) => rootless::run_tests(&options),
        Task::Node(options) => node::run_task(&options),
        Task::C(options) => c::run_task(&options),
        Task::Python(options) => python::run_task(&options),
        Task::Vm(options) => vm::run(&options),
        Task::VersusHelper(task) => versus::helper::run(&task),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
