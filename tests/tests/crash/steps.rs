//! Every step of create, start, exec and delete.

use super::{count_steps, rich};
use std::fs;
use testkit::{Bed, beyond_reference};

fn at(action: &str, step: usize) -> String {
    format!("{action}@{step}")
}

/// Nothing in the state directory.
#[track_caller]
fn assert_no_state(bed: &Bed, step: usize) {
    let left: Vec<_> =
        fs::read_dir(bed.root()).expect("state directory").flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "step {step}: {left:?}");
}

#[test]
fn create_killed_at_every_step_is_healed_by_delete_force() {
    let bed = Bed::new("kcreate");
    beyond_reference!(bed, "failpoints");
    let bundle = rich(&bed);
    let id = bed.container_id();
    let create = || bed.runtime(&["create", "--bundle"]).arg(bundle.dir()).arg(&id);
    let steps = count_steps(&bed, &bundle, create());
    bed.runtime(&["delete", "--force", &id]).output().ok();
    assert!(steps > 3, "{steps} steps");
    for step in 1..=steps {
        create().env("LONGSHORE_FAILPOINT", at("kill", step)).output();
        bed.runtime(&["delete", "--force", &id]).output().ok();
        bed.settle();
        assert_no_state(&bed, step);
        // The id is free again.
        create().output().ok();
        bed.runtime(&["delete", "--force", &id]).output().ok();
        bed.settle();
    }
}

#[test]
fn create_failing_at_every_step_leaves_nothing() {
    let bed = Bed::new("ecreate");
    beyond_reference!(bed, "failpoints");
    let bundle = rich(&bed);
    let id = bed.container_id();
    let create = || bed.runtime(&["create", "--bundle"]).arg(bundle.dir()).arg(&id);
    let steps = count_steps(&bed, &bundle, create());
    bed.runtime(&["delete", "--force", &id]).output().ok();
    for step in 1..=steps {
        let output = create().env("LONGSHORE_FAILPOINT", at("error", step)).output();
        if output.code == 0 {
            // A step after the last that may fail it.
            bed.runtime(&["delete", "--force", &id]).output().ok();
        }
        bed.settle();
        assert_no_state(&bed, step);
    }
}

#[test]
fn start_killed_at_every_step_is_healed_by_delete_force() {
    let bed = Bed::new("kstart");
    beyond_reference!(bed, "failpoints");
    let bundle = rich(&bed);
    let container = bed.create(&bundle);
    let steps = count_steps(&bed, &bundle, container.call("start", &[]));
    drop(container);
    for step in 1..=steps {
        let container = bed.create(&bundle);
        container.call("start", &[]).env("LONGSHORE_FAILPOINT", at("kill", step)).output();
        container.delete_force().ok();
        drop(container);
        bed.settle();
        assert_no_state(&bed, step);
    }
}

#[test]
fn delete_killed_at_every_step_is_finished_by_delete_force() {
    let bed = Bed::new("kdelete");
    beyond_reference!(bed, "failpoints");
    let bundle = rich(&bed);
    let container = bed.start(&bundle);
    let steps = count_steps(&bed, &bundle, container.call("delete", &["--force"]));
    drop(container);
    for step in 1..=steps {
        let container = bed.start(&bundle);
        container.call("delete", &["--force"]).env("LONGSHORE_FAILPOINT", at("kill", step)).output();
        container.delete_force().ok();
        drop(container);
        bed.settle();
        assert_no_state(&bed, step);
    }
}

#[test]
fn exec_killed_at_every_step_does_not_hurt_the_container() {
    let bed = Bed::new("kexec");
    beyond_reference!(bed, "failpoints");
    let mut bundle = rich(&bed);
    bundle.sh("echo ready; exec sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let exec = || container.call("exec", &[]).arg("/bin/true");
    let steps = count_steps(&bed, &bundle, exec());
    for step in 1..=steps {
        exec().env("LONGSHORE_FAILPOINT", at("kill", step)).output();
        bed.settle();
        assert_eq!(container.status(), "running", "step {step}");
        container.exec(&["/bin/true"]).ok();
    }
    container.delete_force().ok();
}

#[test]
fn run_failing_at_every_step_leaves_nothing() {
    let bed = Bed::new("erun");
    beyond_reference!(bed, "failpoints");
    let mut bundle = rich(&bed);
    bundle.args(&["/bin/true"]);
    let id = bed.container_id();
    let run = || bed.runtime(&["run", "--bundle"]).arg(bundle.dir()).arg(&id);
    let steps = count_steps(&bed, &bundle, run());
    for step in 1..=steps {
        run().env("LONGSHORE_FAILPOINT", at("error", step)).output();
        bed.runtime(&["delete", "--force", &id]).output().ok();
        bed.settle();
        assert_no_state(&bed, step);
    }
}
