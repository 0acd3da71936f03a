//! What a profile says of a call, what its program answers, and what libseccomp's program for the same rules answers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use seclude_seccomp::{Action, Architecture, Comparison, Condition, Given, Host, Profile, Program, Refused};

/// The order of libseccomp.c.
const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::GreaterOrEqual,
    Comparison::Greater,
];

/// Numbers that are the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Where the halves and their ends matter.
    fn value(&mut self) -> u64 {
        let ends = [0, 1, 2, 5, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX - 1, u64::MAX];
        if self.below(3) == 0 { self.next() } else { self.one_of(&ends) }
    }
}

/// What libseccomp makes of profiles that are written down for it.
fn by_libseccomp(profiles: &str) -> Vec<Option<Program>> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("libseccomp-helper-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let file = std::env::temp_dir().join(name);
    let mut compiler = Command::new("cc")
        .args(["-O1", "-x", "c", "-", "-lseccomp", "-o"])
        .arg(&file)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler is there");
    compiler.stdin.take().unwrap().write_all(include_bytes!("libseccomp.c")).unwrap();
    assert!(compiler.wait().unwrap().success(), "libseccomp's headers are there (libseccomp-dev)");
    let started = Command::new(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    std::fs::remove_file(file).unwrap();
    let mut helper = started.unwrap();
    let mut stdin = helper.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(profiles.as_bytes()).unwrap());
        helper.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{:?}", output.status);
    let digits = |line: &str| -> Vec<u8> {
        (0..line.len() / 2).map(|n| u8::from_str_radix(&line[2 * n..2 * n + 2], 16).unwrap()).collect()
    };
    let program = |line: &str| (line != "-").then(|| Program::from_bytes(&digits(line)).unwrap());
    String::from_utf8(output.stdout).unwrap().lines().map(program).collect()
}

/// For this machine's own calls, or by name for those of `more` kinds too.
fn write_down(profile: &Profile, optimize: u32, more: &[&str], text: &mut String) {
    writeln!(text, "P {} {optimize}", profile.default.number()).unwrap();
    more.iter().for_each(|kind| writeln!(text, "A {kind}").unwrap());
    for (name, rules) in profile.rules() {
        for (place, rule) in rules.iter().enumerate() {
            // It takes nothing twice.
            if rule.action == profile.default || rules[..place].contains(rule) {
                continue;
            }
            let number = Architecture::NATIVE.number_of(name).filter(|_| more.is_empty());
            let name = number.map_or_else(|| name.to_owned(), |number| number.to_string());
            write!(text, "R {name} {} {}", rule.action.number(), rule.conditions.len()).unwrap();
            for condition in &rule.conditions {
                let Condition { argument, mask, comparison, value } = *condition;
                let place = COMPARISONS.iter().position(|known| *known == comparison).unwrap();
                match mask {
                    u64::MAX => write!(text, " {argument} {place} {value} 0").unwrap(),
                    mask => write!(text, " {argument} 6 {mask} {value}").unwrap(),
                }
            }
            text.push('\n');
        }
    }
    text.push_str("X\n");
}

/// Of several rules of one call libseccomp 2.5 makes something else where they compare otherwise: of `3 != 5 and 5 == 2` or `5 != 2` it
/// takes the second alone.
fn is_compared_alike(profile: &Profile) -> bool {
    let equality = |condition: &Condition| condition.comparison == Comparison::Equal;
    profile.rules().all(|(_, rules)| rules.len() < 2 || rules.iter().flat_map(|rule| &rule.conditions).all(equality))
}

fn random_profile(random: &mut Random) -> Profile {
    const ACTIONS: [Action; 7] = [
        Action::Allow,
        Action::Errno(1),
        Action::Errno(38),
        Action::Log,
        Action::Trap,
        Action::KillProcess,
        Action::Trace(7),
    ];
    let kind = Architecture::NATIVE;
    let numbers = kind.numbers();
    let mut profile = Profile::new(random.one_of(&ACTIONS));
    for _ in 0..1 + random.below(12) {
        let name = kind.name_of(random.one_of(&numbers)).unwrap();
        let action = random.one_of(&ACTIONS);
        if action == profile.default || profile.rules().any(|(known, _)| known == name) {
            continue;
        }
        // Several of one call do the same: what libseccomp does with rules that contradict each other is its own.
        let count = random.below(3);
        let comparisons = if count > 1 && random.below(20) > 0 { &COMPARISONS[..1] } else { &COMPARISONS };
        if count == 0 {
            profile.rule(name, action, &[]).unwrap();
        }
        for _ in 0..count {
            let mut arguments = [0u8, 1, 2, 3, 4, 5];
            let mut conditions = Vec::new();
            for left in 0..1 + random.below(2) as usize {
                let place = left + random.below(6 - left as u64) as usize;
                arguments.swap(left, place);
                let (argument, value) = (arguments[left], random.value());
                conditions.push(match random.below(3) {
                    0 => {
                        let mask = random.value();
                        Condition { argument, mask, comparison: Comparison::Equal, value: value & mask }
                    }
                    _ => Condition::new(argument, random.one_of(comparisons), value),
                });
            }
            profile.rule(name, action, &conditions).unwrap();
        }
    }
    profile
}

/// Calls that come close to what the profile compares with.
fn random_calls(profile: &Profile, random: &mut Random) -> Vec<(u32, [u64; 6])> {
    let kind = Architecture::NATIVE;
    let values: Vec<u64> = profile
        .rules()
        .flat_map(|(_, rules)| rules.iter().flat_map(|rule| rule.conditions.iter().map(|condition| condition.value)))
        .collect();
    let mut calls = Vec::new();
    let mut numbers: Vec<u32> = profile.rules().map(|(name, _)| kind.number_of(name).unwrap()).collect();
    numbers.extend((0..8).map(|_| random.one_of(&kind.numbers())));
    for number in numbers {
        for _ in 0..6 {
            let mut argument = || match (random.below(3), values.as_slice()) {
                (0, _) | (_, []) => random.value(),
                (1, values) => random.one_of(values),
                (_, values) => random.one_of(values).wrapping_add(random.below(3)).wrapping_sub(1),
            };
            let arguments = [argument(), argument(), argument(), argument(), argument(), argument()];
            calls.push((number, arguments));
        }
    }
    calls
}

#[test]
fn profile_program_and_libseccomp_say_the_same_of_every_call() {
    const PROFILES: usize = 10_000;
    let mut random = Random(1);
    let profiles: Vec<Profile> = (0..PROFILES).map(|_| random_profile(&mut random)).collect();
    let mut text = String::new();
    for (number, profile) in profiles.iter().enumerate() {
        write_down(profile, 1 + number as u32 % 2, &[], &mut text);
    }
    let theirs = by_libseccomp(&text);
    assert_eq!(theirs.len(), PROFILES);
    let (mut compared, mut calls) = (0, 0);
    for (profile, theirs) in profiles.iter().zip(&theirs) {
        let own = profile.compile();
        own.check().unwrap();
        let theirs = theirs.as_ref().filter(|_| is_compared_alike(profile));
        compared += usize::from(theirs.is_some());
        for (number, arguments) in random_calls(profile, &mut random) {
            let said = profile.evaluate(Architecture::NATIVE, number, &arguments).number();
            let run = |program: &Program| program.run(Architecture::NATIVE, number, &arguments).unwrap().0;
            assert_eq!(run(&own), said, "{number} {arguments:x?} {profile:?}");
            if let Some(theirs) = theirs {
                assert_eq!(run(theirs), said, "libseccomp: {number} {arguments:x?} {profile:?}");
            }
            calls += 1;
        }
    }
    println!("{compared} of {PROFILES} profiles compared with libseccomp, {calls} calls");
    assert!(compared > PROFILES / 2, "{compared}");
}

/// Where .ci/run unpacks it to, or Debian's package lies.
const DOCKERS: [&str; 2] = [concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/docker"), ""];

fn published(path: &str, capabilities: &[&str]) -> Profile {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}; .ci/run fetches it"));
    Profile::from_oci(&serde_json::from_str(&text).unwrap(), Host { kernel: (6, 1), capabilities }).unwrap()
}

fn podmans() -> Profile {
    published("/usr/share/containers/seccomp.json", &[])
}

fn dockers(capabilities: &[&str]) -> Profile {
    let path = |place| format!("{place}/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json");
    let there = DOCKERS.map(path).into_iter().find(|path| std::path::Path::new(path).exists());
    published(&there.unwrap_or_else(|| path(DOCKERS[0])), capabilities)
}

fn all_calls(kinds: &[Architecture]) -> Vec<(Architecture, u32)> {
    kinds.iter().flat_map(|kind| kind.numbers().into_iter().map(|number| (*kind, number))).collect()
}

fn median(mut counts: Vec<usize>) -> usize {
    counts.sort_unstable();
    counts[counts.len() / 2]
}

#[test]
fn podmans_profile_is_as_libseccomp_has_it_and_costs_less() {
    is_as_libseccomp_has_it_and_costs_less(&podmans());
}

#[test]
fn dockers_profile_is_as_libseccomp_has_it_and_costs_less() {
    let plain = dockers(&[]);
    is_as_libseccomp_has_it_and_costs_less(&plain);
    let admin = dockers(&["SYS_ADMIN"]);
    is_as_libseccomp_has_it_and_costs_less(&admin);
    // What the capability includes, and excludes.
    let answer = |profile: &Profile, name: &str, first: u64| {
        let number = Architecture::NATIVE.number_of(name).unwrap();
        profile.evaluate(Architecture::NATIVE, number, &[first, 0, 0, 0, 0, 0]).allows()
    };
    for (name, first, of_all, of_admin) in [
        ("read", 0, true, true),
        ("mount", 0, false, true),
        ("clone", 0x11, true, true),
        ("clone", 0x1000_0011, false, true),
        ("personality", 8, true, true),
        ("personality", 9, false, false),
        ("kexec_load", 0, false, false),
    ] {
        assert_eq!((answer(&plain, name, first), answer(&admin, name, first)), (of_all, of_admin), "{name} {first:#x}");
    }
}

fn is_as_libseccomp_has_it_and_costs_less(profile: &Profile) {
    let own = profile.compile();
    let mut text = String::new();
    let more: &[&str] = if cfg!(target_arch = "x86_64") { &["x86", "x32"] } else { &["arm"] };
    write_down(profile, 2, more, &mut text);
    let theirs = by_libseccomp(&text).remove(0).unwrap_or_else(|| panic!("libseccomp takes it: {text}"));
    let (mut own_counts, mut their_counts) = (Vec::new(), Vec::new());
    for (kind, number) in all_calls(Architecture::OF_THIS_MACHINE) {
        for arguments in [[0; 6], [2, 1, 0, 0, 0, 0], [16, 3, 9, 0, 0, 0], [8, 0, 0, 0, 0, 0], [u64::MAX; 6]] {
            let (answer, count) = own.run(kind, number, &arguments).unwrap();
            assert_eq!(answer, profile.evaluate(kind, number, &arguments).number(), "{kind:?} {number} {arguments:?}");
            let (their_answer, their_count) = theirs.run(kind, number, &arguments).unwrap();
            // Of 32-bit kinds libseccomp compares 32 bits, and it knows fewer calls than we do.
            if kind == Architecture::NATIVE && number < 440 {
                let name = kind.name_of(number);
                assert_eq!(their_answer, answer, "{name:?} {arguments:?}");
                own_counts.push(count);
                their_counts.push(their_count);
            }
        }
    }
    let (length, their_length) = (own.instructions().len(), theirs.instructions().len());
    let (median, their_median) = (median(own_counts), median(their_counts));
    println!("instructions: {length}, libseccomp {their_length}; executed: {median}, libseccomp {their_median}");
    assert!(length * 10 <= their_length * 12, "{length} {their_length}");
    assert!(median < their_median, "{median} {their_median}");
}

#[test]
fn the_sandbox_allows_what_podman_does_but_for_what_is_named_here() {
    let (own, podmans) = (Profile::sandbox(Given::default()), podmans());
    let kind = Architecture::NATIVE;
    let allows = |profile: &Profile, number: u32| profile.evaluate(kind, number, &[0; 6]).allows();
    let differs = |mine: bool| {
        let numbers = kind.numbers().into_iter();
        let names = numbers.filter(|number| allows(&own, *number) == mine && allows(&podmans, *number) != mine);
        names.filter_map(|number| kind.name_of(number)).collect::<Vec<_>>().join(" ")
    };
    println!("allowed here alone: {}", differs(true));
    let left_out = differs(false);
    println!("allowed by podman alone: {left_out}");
    for name in
        ["mount", "unshare", "setns", "ptrace", "keyctl", "clone3", "open_tree", "pidfd_getfd", "process_vm_readv"]
    {
        assert!(left_out.split(' ').any(|left| left == name), "{name}");
    }
}

#[test]
fn the_sandboxs_program_says_what_its_profile_says() {
    let all = Refused {
        leases: true,
        set_id: true,
        creation: true,
        attributes: true,
        user_namespaces: true,
        nested: true,
        beside_tcp: true,
        datagrams: true,
        unix_sockets: true,
        listening: true,
        metadata: true,
        limits_of_others: true,
        watches: true,
        beyond_files: true,
        core_limit: true,
        signals_of_terminals: true,
    };
    let mut random = Random(2);
    for nested in [false, true] {
        for capabilities in [0, u64::MAX, 1 << 21, 1 << 19, 1 << 12] {
            for refused in [Refused::default(), all, Refused { set_id: true, ..Refused::default() }] {
                let mut profile = Profile::sandbox(Given {
                    nested,
                    capabilities,
                    init: !nested,
                    siblings: !nested,
                    huge_pages: false,
                });
                profile.refuse(refused);
                let program = profile.compile();
                program.check().unwrap();
                for (kind, number) in all_calls(&Architecture::ALL).into_iter().chain([
                    (Architecture::NATIVE, 500),
                    (Architecture::NATIVE, 0x3fff_ffff),
                    (Architecture::NATIVE, u32::MAX),
                ]) {
                    // The bit makes another kind of it.
                    let kind =
                        if number >> 30 & 1 == 1 && kind == Architecture::X86_64 { Architecture::X32 } else { kind };
                    for _ in 0..3 {
                        let mut argument =
                            || [random.value(), 0o4755, 0x5412, 0x1000_0011, 16, 2][random.below(6) as usize];
                        let arguments = [argument(), argument(), argument(), argument(), argument(), argument()];
                        let said = profile.evaluate(kind, number, &arguments).number();
                        let (answer, _) = program.run(kind, number, &arguments).unwrap();
                        assert_eq!(
                            answer, said,
                            "{kind:?} {number} {arguments:x?} {nested} {capabilities:x} {refused:?}"
                        );
                    }
                }
            }
        }
    }
}
