//! Health checks.

use serde_json::{Value, json};

use super::bed::Bed;

fn until(bed: &Bed, id: &str, status: &str) -> Value {
    let end = std::time::Instant::now() + testkit::patience();
    loop {
        let health = bed.inspect(id)["State"]["Health"].clone();
        if health["Status"] == status {
            return health;
        }
        assert!(std::time::Instant::now() < end, "{health}\n{}", bed.daemon.log());
        std::thread::yield_now();
    }
}

/// A check that may take so many milliseconds.
fn check(script: &str, timeout: u64) -> Value {
    json!({ "Healthcheck": {
        "Test": ["CMD-SHELL", script], "Interval": 100_000_000, "Timeout": timeout * 1_000_000, "Retries": 2,
    }})
}

#[test]
fn a_container_gets_well_and_ill() {
    let mut bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &check("echo asked; test -e /tmp/well || exit 4", 30_000));
    assert_eq!(bed.inspect(&id)["State"]["Health"]["Status"], "starting");
    let health = until(&bed, &id, "unhealthy");
    assert!(health["FailingStreak"].as_i64().unwrap() >= 2, "{health}");
    assert_eq!((&health["Log"][0]["ExitCode"], &health["Log"][0]["Output"]), (&json!(4), &json!("asked\n")));
    let exec = bed.exec(&id, &["touch", "/tmp/well"], &json!({}));
    bed.exec_start(&exec);
    let health = until(&bed, &id, "healthy");
    assert_eq!(health["FailingStreak"], 0);
    assert!(health["Log"].as_array().unwrap().len() <= 5);
    // Another daemon goes on with it.
    bed.daemon.kill();
    bed.daemon.start_again();
    let exec = bed.exec(&id, &["rm", "/tmp/well"], &json!({}));
    bed.exec_start(&exec);
    until(&bed, &id, "unhealthy");
}

#[test]
fn a_check_that_takes_too_long_is_killed() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &check("echo begun; exec sleep 1000", 400));
    let health = until(&bed, &id, "unhealthy");
    let last = &health["Log"][0];
    assert_eq!(last["ExitCode"], -1);
    assert_eq!(last["Output"], "Health check exceeded timeout (400ms): begun\n");
}
