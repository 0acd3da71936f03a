use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use seclude_tests::Bundle;

#[test]
fn sixteen_processes_at_one_id_never_corrupt_it() {
    let mut bundle = Bundle::new("sixteen");
    bundle.script("while :; do sleep 0.1; done").write();
    let (bundle, started) = (&bundle, &AtomicU32::new(0));
    std::thread::scope(|scope| {
        for number in 0..16 {
            scope.spawn(move || {
                for round in 0..6 {
                    let commands: [&[&str]; 4] = [
                        &["create", "one"],
                        &["start", "one"],
                        &["kill", "one", "KILL"],
                        &["delete", "--force", "one"],
                    ];
                    let command = commands[(number + round) % 4];
                    let mut command = bundle.command(command);
                    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
                    started.fetch_add(u32::from(status.success()), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(started.load(Ordering::Relaxed) > 0, "some of them come to something");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
    // And it is as good as new.
    bundle.must(&["create", "one"]);
    bundle.must(&["start", "one"]);
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn of_two_that_create_one_id_one_wins() {
    let bundle = Bundle::new("two");
    bundle.write();
    let created = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut command = bundle.command(&["create", "one"]);
                let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
                created.fetch_add(u32::from(status.success()), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(created.load(Ordering::Relaxed), 1);
    assert_eq!(bundle.status("one"), "created");
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}
