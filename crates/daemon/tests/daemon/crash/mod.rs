//! The daemon killed at each step of each operation. The next one must find the operation done or not begun, nothing
//! left over on the host, and be able to do it (again).
//!
//! A daemon lives in a network namespace of its own, so that everything in it is the test's. The last run of an
//! operation is one that nobody disturbs: then the steps are all.

mod containers;
mod images;
mod networks;
mod place;
mod volumes;

use std::{io, time::Instant};

use serde_json::{Value, json};
use testkit::longshored::{Answer, Exchange};

use crate::streams::bed::Bed;
use place::Place;

/// An operation.
struct Case<'c> {
    /// Makes what it is done to, and says its name.
    prepare: &'c (dyn Fn(&Bed) -> String + Sync),
    /// Does it. An error is the daemon's end.
    act: &'c (dyn Fn(&Bed, &str) -> io::Result<Answer> + Sync),
    /// What an answer may say that has done it.
    done: &'c [u16],
    /// What an answer may say where it was done already.
    again: &'c [u16],
    /// What is to be seen of it: as it was before, or as it is afterwards.
    look: &'c (dyn Fn(&Bed, &str) -> Value + Sync),
    /// Steps that it has at least.
    steps: usize,
    /// The step after which the next daemon goes on with it by itself.
    goes_on_after: &'c str,
}

/// Kills the daemon at each step of an operation.
fn at_every_step(case: &Case<'_>) {
    Place::on_a_host(|place| disturb(place, case, "kill"));
}

/// The same, and then has each step fail: the daemon goes on, and what it has begun is undone.
fn and_fail_at_every_step(case: &Case<'_>) {
    Place::on_a_host(|place| {
        disturb(place, case, "kill");
        disturb(place, case, "error");
    });
}

fn disturb(place: &mut Place, case: &Case<'_>, action: &str) {
    // Whatever is made once for all of them is there from then on.
    let word = (case.prepare)(&place.bed);
    let status = (case.act)(&place.bed, &word).expect("an answer").status;
    assert!(case.done.contains(&status), "{status} without a disturbance");
    place.clear();
    let clean = place.rest();
    for step in 1.. {
        let word = (case.prepare)(&place.bed);
        let before = (case.look)(&place.bed, &word);
        let standing = place.footprint();
        place.arm(action, step);
        let answer = (case.act)(&place.bed, &word);
        let Some((name, passed)) = place.disarm(action, step) else {
            let status = answer.expect("an answer").status;
            assert!(case.done.contains(&status), "{status} without a disturbance");
            assert!(step > case.steps, "{} steps: is the daemon built with failpoints?", step - 1);
            break;
        };
        let context = format!("{action} at step {step}, {name}");
        let mut found = (case.look)(&place.bed, &word);
        if passed.iter().any(|name| name == case.goes_on_after) {
            let end = Instant::now() + testkit::patience();
            while found == before {
                assert!(Instant::now() < end, "{context}: it does not go on\n{}", place.bed.daemon.log());
                found = (case.look)(&place.bed, &word);
            }
        }
        if found == before {
            place.settle(&standing, &context);
        }
        let answer = (case.act)(&place.bed, &word).expect("an answer");
        let status = answer.status;
        let is_fine = case.done.contains(&status) || (found != before && case.again.contains(&status));
        assert!(is_fine, "{context}: {status} the second time: {}", answer.text());
        let after = (case.look)(&place.bed, &word);
        assert!(
            found == before || found == after,
            "{context}: neither\n{before:#}\nnor\n{after:#}\nbut\n{found:#}"
        );
        place.clear();
        place.settle(&clean, &context);
    }
    place.clear();
    place.settle(&clean, "the end");
}

/// Sends a request to a daemon that may end meanwhile.
fn send(bed: &Bed, exchange: &Exchange) -> io::Result<Answer> {
    exchange.send(&bed.daemon.socket())
}

/// What a path shows, null where there is nothing.
fn look(bed: &Bed, path: &str) -> Value {
    let answer = bed.daemon.get(path);
    assert!([200, 404].contains(&answer.status), "{answer:?}");
    if answer.status == 200 { answer.json() } else { Value::Null }
}

/// A panic in a request is that request's end alone.
#[test]
fn a_panic_is_answered_and_the_daemon_goes_on() {
    Place::on_a_host(|place| {
        let id = place.bed.create(&["sleep", "1000"], &Value::Null);
        let clean = place.footprint();
        for request in [
            Exchange::new("POST", &format!("/containers/{id}/rename?name=other")),
            Exchange::new("POST", "/volumes/create").json(&json!({ "Name": "one" })),
        ] {
            place.arm("panic", 1);
            let answer = send(&place.bed, &request).expect("an answer").expect(500);
            assert_eq!(answer.message(), "the daemon has a fault: see its log");
            place.disarm_alive();
            place.settle(&clean, "a panic");
            let status = send(&place.bed, &request).expect("an answer").status;
            assert!([201, 204].contains(&status), "{status}");
            drop(place.bed.daemon.delete("/volumes/one"));
        }
        assert!(place.bed.daemon.is_alive());
        assert!(place.bed.daemon.log().contains("a route panicked"));
    });
}
