//! Security labels of the process: AppArmor and SELinux.

use std::{fs, io};

use super::{At, Step, StepError, proc::Proc};
use crate::plan::ProcessPlan;

/// Asks the kernel to change the profile or label at the next exec.
pub(super) fn apply(plan: &ProcessPlan, proc: &Proc) -> Result<(), StepError> {
    if !plan.apparmor_profile.is_empty() {
        apparmor(&plan.apparmor_profile, proc)
            .on(Step::Label, format_args!("apparmor {}", plan.apparmor_profile))?;
    }
    if !plan.selinux_label.is_empty() {
        if !selinux_enabled() {
            return Err(missing("SELinux")).on(Step::Label, &plan.selinux_label);
        }
        proc.write("thread-self/attr/exec", plan.selinux_label.as_bytes())
            .on(Step::Label, format_args!("selinux {}", plan.selinux_label))?;
    }
    Ok(())
}

/// Whether anything is to be done, which decides whether a procfs is needed.
pub(super) fn wanted(plan: &ProcessPlan) -> bool {
    !plan.apparmor_profile.is_empty() || !plan.selinux_label.is_empty()
}

fn apparmor(profile: &str, proc: &Proc) -> io::Result<()> {
    let command = format!("exec {profile}");
    // The first path is AppArmor's own, since Linux 5.8; the second belongs to the first LSM.
    match proc.write("thread-self/attr/apparmor/exec", command.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !apparmor_enabled() {
                return Err(missing("AppArmor"));
            }
            proc.write("thread-self/attr/exec", command.as_bytes())
        }
        result => result,
    }
}

fn missing(module: &str) -> io::Error {
    io::Error::other(format!("this kernel runs without {module}"))
}

/// Whether the kernel has AppArmor on.
pub(crate) fn apparmor_enabled() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether the kernel has SELinux on.
pub(crate) fn selinux_enabled() -> bool {
    fs::exists("/sys/fs/selinux/enforce").unwrap_or(false)
}
