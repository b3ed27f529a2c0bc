//! The kernel of this machine takes the programs and obeys them. A filter without `TSYNC` holds for
//! one thread, so each test has its own and needs no process.

use std::thread;

use longshore_sys::seccomp::{Instruction, install};
use rustix::{io::Errno, net, process};

use super::{profile, rule, with_errno};
use crate::{seccomp::compile, spec::Seccomp};

fn under<T: Send + 'static>(profile: &Seccomp, then: impl FnOnce() -> T + Send + 'static) -> T {
    let filter = compile(profile).unwrap().unwrap();
    let program: Vec<Instruction> = filter
        .program
        .iter()
        .map(|insn| Instruction { code: insn.code, jump_true: insn.jt, jump_false: insn.jf, operand: insn.k })
        .collect();
    let thread = thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        install(&program, filter.flags.into()).unwrap();
        then()
    });
    thread.join().unwrap()
}

fn socket(family: u16) -> Result<(), Errno> {
    net::socket(net::AddressFamily::from_raw(family), net::SocketType::SEQPACKET, None).map(drop)
}

#[test]
fn obeys_rules_with_and_without_conditions() {
    let rules = vec![
        with_errno(rule(&["getpriority"], "SCMP_ACT_ERRNO", &[]), 77),
        with_errno(rule(&["socket"], "SCMP_ACT_ERRNO", &[(0, "SCMP_CMP_EQ", 38, 0)]), 78),
    ];
    let (priority, alg, unix) = under(
        &profile("SCMP_ACT_ALLOW", &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], rules),
        || (process::getpriority_process(None), socket(38), socket(1)),
    );
    assert_eq!(priority, Err(Errno::from_raw_os_error(77)));
    assert_eq!(alg, Err(Errno::from_raw_os_error(78)));
    assert_eq!(unix, Ok(()));
}

#[test]
fn takes_a_program_of_almost_any_length() {
    let rule = |value: u64| rule(&["ioctl"], "SCMP_ACT_LOG", &[(1, "SCMP_CMP_EQ", value << 32 | value, 0)]);
    let profile = profile("SCMP_ACT_ALLOW", &[], (0..800).map(rule).collect());
    assert!(compile(&profile).unwrap().unwrap().program.len() > 3000);
    under(&profile, || ());
}
