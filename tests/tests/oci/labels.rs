//! AppArmor and SELinux labels: applied where the kernel has them, refused where it has not.

use std::fs;
use std::path::Path;
use std::process::Command;
use testkit::{Bed, require};

fn has_apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y")
}

/// A loaded profile, taken out when dropped.
struct Profile(std::path::PathBuf);

impl Profile {
    fn new(bed: &Bed, name: &str) -> Profile {
        let file = bed.dir().join("profile");
        let text = format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n  file,\n  capability,\n  network,\n  \
             signal,\n  unix,\n  mount,\n  umount,\n  pivot_root,\n  ptrace,\n  deny /tmp/denied w,\n}}\n"
        );
        fs::write(&file, text).expect("a profile");
        parser(&["--replace", file.to_str().expect("a path of ours")]);
        Profile(file)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        parser(&["--remove", self.0.to_str().expect("a path of ours")]);
    }
}

fn parser(args: &[&str]) {
    let output = Command::new("apparmor_parser").args(args).output();
    require!(output.is_ok(), "AppArmor without apparmor_parser: install the package apparmor");
    let output = output.expect("required");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_apparmor_profile_confines() {
    let bed = Bed::new("aa");
    let name = format!("{}-profile", bed.id());
    let mut bundle = bed.bundle();
    if !has_apparmor() {
        // Without the module the profile could not hold.
        bundle.set("/process/apparmorProfile", name.as_str().into()).args(&["/bin/true"]);
        let error = bed.run(&bundle).refused();
        assert!(error.to_lowercase().contains("apparmor"), "{error}");
        return;
    }
    let _profile = Profile::new(&bed, &name);
    bundle.set("/process/apparmorProfile", name.as_str().into());
    assert_eq!(bed.run(&bundle).report().label, format!("{name} (enforce)"));
    bundle.sh("touch /tmp/denied; touch /tmp/allowed && echo allowed; echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "allowed");
    assert_eq!(container.line(), "ready");
    assert!(!bundle.rootfs("tmp/denied").exists());
    assert_eq!(container.exec(&["/probe"]).report().label, format!("{name} (enforce)"));
    container.delete_force().ok();
}

#[test]
fn an_apparmor_profile_that_is_not_loaded_is_refused() {
    let bed = Bed::new("aano");
    let mut bundle = bed.bundle();
    bundle.set("/process/apparmorProfile", "no-such-profile".into()).args(&["/bin/true"]);
    let error = bed.run(&bundle).refused();
    assert!(error.to_lowercase().contains("apparmor"), "{error}");
}

#[test]
fn an_selinux_label_without_selinux_is_refused() {
    let bed = Bed::new("selinux");
    require!(
        !Path::new("/sys/fs/selinux/enforce").exists(),
        "SELinux is on and this test is about its absence"
    );
    let mut bundle = bed.bundle();
    bundle.set("/process/selinuxLabel", "system_u:system_r:container_t:s0".into()).args(&["/bin/true"]);
    let error = bed.run(&bundle).refused();
    assert!(error.to_lowercase().contains("selinux"), "{error}");
}
