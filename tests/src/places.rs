//! The places of a spawn at which a test has it fail, by number; and kills at any moment.

use std::os::unix::process::ExitStatusExt;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use seclude::fault::Place;
use seclude::{Command, Side};

use crate::PATIENCE;

/// What a helper exits with that was to be killed at a place which there is not.
pub const PASSED_BY: i32 = 77;

/// The place of this number: those of the parent, and then the child's ops, of which there is one more than the last.
pub fn place(command: &Command, number: usize) -> (Place, Side) {
    let places = command.plan().unwrap().places();
    let parents = places.iter().filter(|(place, _)| !matches!(place, Place::Op(_))).count();
    match places.get(number) {
        Some((place, _)) if number < parents => (*place, Side::Parent),
        _ => (Place::Op(number - parents), Side::Child),
    }
}

/// How often spawners are killed at random moments: `SECLUDE_TEST_KILLS`, or few enough for every day.
fn kills_wanted() -> u32 {
    std::env::var("SECLUDE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// One of how many places, in a row of them, is tried where tests have to end the same day; `cargo xtask reliability` tries each.
pub fn one_in(few: usize) -> usize {
    if std::env::var_os("SECLUDE_TEST_KILLS").is_some() { 1 } else { few }
}

/// Starts spawners and kills each at some moment before `longest`; answers how many the kill met. They hold no pipe of
/// ours: whoever waited for its end would wait for what they left.
pub fn kill_whenever(spawner: impl Fn() -> Program, longest: Duration) -> usize {
    // Any sequence does; the same each time.
    let mut random = 0x5eed_u64;
    let mut kills = 0;
    for _ in 0..kills_wanted() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let null = std::process::Stdio::null;
        let started = spawner().stdin(null()).stdout(null()).stderr(null()).spawn();
        let mut started = started.expect("the spawner starts");
        std::thread::sleep(longest.mul_f64((random >> 32) as f64 / f64::from(u32::MAX)));
        started.kill().expect("it is ours");
        kills += usize::from(started.wait().expect("it ends").signal() == Some(9));
    }
    assert!(kills as u32 > kills_wanted() / 4, "{kills}: nearly all had ended before");
    kills
}

/// Processes of a spawner that has this in its environment.
pub fn marked(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").expect("/proc is there").flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        if environment.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            found.push(process.path().display().to_string());
        }
    }
    found
}

/// Looks again until it is as before; what was killed goes in its own time.
pub fn comes_back<T: PartialEq + std::fmt::Debug>(before: &T, what: &str, mut look: impl FnMut() -> T) {
    let started = Instant::now();
    loop {
        let now = look();
        if now == *before {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: before {before:?}, now {now:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
