//! Escape attempts for the in-container probe: system calls that a confined process must be refused.
//!
//! Owns one table. Every entry is a whole attempt with its arguments fixed here, so callers choose a
//! name and nothing else. Invariants:
//! * arguments are integers, null, or pointers to memory that outlives the call and that the
//!   call may write at most as far as it is long;
//! * no attempt changes memory, descriptors or signal state of the caller when it succeeds: a
//!   descriptor that comes back is closed, a child that comes back leaves at once;
//! * arguments are such that success harms no more than the caller's own namespaces: what would
//!   hurt a host (reboot, swap, accounting, clocks) carries arguments that the kernel rejects
//!   *after* it has checked the privilege.
//!
//! Only with the cargo feature `attempts`; the product does not carry it.

use std::arch::asm;
use std::ffi::CStr;
use std::io;
use std::ptr;

/// One attempt: its name and what makes it. The number is the kernel's result, without meaning
/// beyond "it was not refused".
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Unique name; a prefix `i386:` or `x32:` names the ABI where it is not the native one.
    pub name: &'static str,
    kind: Kind,
}

type Call = fn() -> io::Result<i64>;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Call(Call),
    /// Native call with integer arguments.
    Native(libc::c_long, [i64; 6]),
    /// The i386 table through `int 0x80`, integer arguments.
    I386(i32, [i32; 5]),
    /// The x32 table, integer arguments.
    X32(libc::c_long, [i64; 6]),
}

impl Attempt {
    /// Makes the attempt in the calling process.
    pub fn run(&self) -> io::Result<i64> {
        match self.kind {
            Kind::Call(call) => call(),
            Kind::Native(number, args) => native(number, args),
            Kind::I386(number, args) => i386(number, args),
            Kind::X32(number, args) => native(number | 0x4000_0000, args),
        }
    }
}

/// Every attempt there is.
pub fn all() -> impl Iterator<Item = Attempt> {
    let calls = CALLS.iter().map(|&(name, call)| Attempt { name, kind: Kind::Call(call) });
    let natives = NATIVE.iter().map(|&(name, n, args)| Attempt { name, kind: Kind::Native(n, args) });
    let i386 = I386.iter().map(|&(name, n, args)| Attempt { name, kind: Kind::I386(n, args) });
    let x32 = X32.iter().map(|&(name, n, args)| Attempt { name, kind: Kind::X32(n, args) });
    calls.chain(natives).chain(i386).chain(x32)
}

const NEW_USER: i64 = libc::CLONE_NEWUSER as i64;
const NEW_MOUNT: i64 = libc::CLONE_NEWNS as i64;
const AT_CWD: i64 = libc::AT_FDCWD as i64;
/// An address that is never mapped: what is reached with it has passed the privilege check.
const BAD: i64 = 1;

/// Attempts whose arguments are integers: privilege is checked before any of them is used.
const NATIVE: &[(&str, libc::c_long, [i64; 6])] = &[
    ("unshare-user", libc::SYS_unshare, [NEW_USER, 0, 0, 0, 0, 0]),
    ("unshare-mount", libc::SYS_unshare, [NEW_MOUNT, 0, 0, 0, 0, 0]),
    ("unshare-cgroup", libc::SYS_unshare, [0x0200_0000, 0, 0, 0, 0, 0]),
    ("unshare-all", libc::SYS_unshare, [0x7e02_0000, 0, 0, 0, 0, 0]),
    ("setns-bad-fd", libc::SYS_setns, [-1, 0, 0, 0, 0, 0]),
    ("fsconfig", libc::SYS_fsconfig, [-1, 6, 0, 0, 0, 0]),
    ("fsmount", libc::SYS_fsmount, [-1, 0, 0, 0, 0, 0]),
    ("fspick", libc::SYS_fspick, [AT_CWD, BAD, 0, 0, 0, 0]),
    ("move-mount", libc::SYS_move_mount, [-1, BAD, -1, BAD, 0, 0]),
    ("mount-setattr", libc::SYS_mount_setattr, [AT_CWD, BAD, 0, BAD, 32, 0]),
    ("open-tree-attr", 467, [AT_CWD, BAD, 1, 0, 0, 0]),
    ("pidfd-getfd", libc::SYS_pidfd_getfd, [-1, 0, 0, 0, 0, 0]),
    ("kcmp", libc::SYS_kcmp, [1, 1, 0, 0, 0, 0]),
    ("bpf-prog-load", libc::SYS_bpf, [5, BAD, 0, 0, 0, 0]),
    ("bpf-map-create", libc::SYS_bpf, [0, BAD, 72, 0, 0, 0]),
    ("perf-event-open", libc::SYS_perf_event_open, [BAD, 0, -1, -1, 0, 0]),
    ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0, 0]),
    ("io-uring-setup", libc::SYS_io_uring_setup, [1, BAD, 0, 0, 0, 0]),
    ("io-uring-enter", libc::SYS_io_uring_enter, [-1, 0, 0, 0, 0, 0]),
    ("io-uring-register", libc::SYS_io_uring_register, [-1, 0, 0, 0, 0, 0]),
    ("keyctl-get-session", libc::SYS_keyctl, [0, -3, 0, 0, 0, 0]),
    ("keyctl-new-session", libc::SYS_keyctl, [1, 0, 0, 0, 0, 0]),
    ("add-key", libc::SYS_add_key, [BAD, BAD, 0, 0, -3, 0]),
    ("request-key", libc::SYS_request_key, [BAD, BAD, 0, 0, 0, 0]),
    ("kexec-load", libc::SYS_kexec_load, [0, 0, 0, 0xffff, 0, 0]),
    ("kexec-file-load", libc::SYS_kexec_file_load, [-1, -1, 0, 0, 0xffff, 0]),
    ("init-module", libc::SYS_init_module, [BAD, 0, BAD, 0, 0, 0]),
    ("finit-module", libc::SYS_finit_module, [-1, BAD, 0, 0, 0, 0]),
    ("delete-module", libc::SYS_delete_module, [BAD, 0, 0, 0, 0, 0]),
    ("iopl", libc::SYS_iopl, [3, 0, 0, 0, 0, 0]),
    ("ioperm", libc::SYS_ioperm, [0x80, 1, 1, 0, 0, 0]),
    ("quotactl", libc::SYS_quotactl, [0, 0, 0, 0, 0, 0]),
    ("quotactl-fd", libc::SYS_quotactl_fd, [-1, 0, 0, 0, 0, 0]),
    ("fanotify-init", libc::SYS_fanotify_init, [0x4, 0, 0, 0, 0, 0]),
    ("sethostname", libc::SYS_sethostname, [BAD, 1, 0, 0, 0, 0]),
    ("setdomainname", libc::SYS_setdomainname, [BAD, 1, 0, 0, 0, 0]),
    ("syslog-read", libc::SYS_syslog, [3, BAD, 1, 0, 0, 0]),
    ("clock-settime", libc::SYS_clock_settime, [0, BAD, 0, 0, 0, 0]),
    ("settimeofday", libc::SYS_settimeofday, [BAD, 0, 0, 0, 0, 0]),
    ("reboot-bad-magic", libc::SYS_reboot, [0, 0, 0, 0, 0, 0]),
    ("acct", libc::SYS_acct, [BAD, 0, 0, 0, 0, 0]),
    ("vhangup", libc::SYS_vhangup, [0, 0, 0, 0, 0, 0]),
    ("swapon", libc::SYS_swapon, [BAD, 0, 0, 0, 0, 0]),
    ("swapoff", libc::SYS_swapoff, [BAD, 0, 0, 0, 0, 0]),
    ("nfsservctl", libc::SYS_nfsservctl, [0, 0, 0, 0, 0, 0]),
    ("lookup-dcookie", libc::SYS_lookup_dcookie, [0, BAD, 1, 0, 0, 0]),
    ("mbind", libc::SYS_mbind, [0, 0, 0, 0, 0, 0]),
    ("move-pages", libc::SYS_move_pages, [1, 1, 0, 0, 0, 0]),
    ("process-madvise", libc::SYS_process_madvise, [-1, 0, 0, 0, 0, 0]),
    ("personality-no-randomize", libc::SYS_personality, [0x0004_0000, 0, 0, 0, 0, 0]),
    ("socket-alg", libc::SYS_socket, [38, 5, 0, 0, 0, 0]),
    ("socket-vsock", libc::SYS_socket, [40, 1, 0, 0, 0, 0]),
    ("socket-nfc", libc::SYS_socket, [39, 1, 0, 0, 0, 0]),
    ("socket-kcm", libc::SYS_socket, [41, 2, 0, 0, 0, 0]),
    ("socket-alg-truncated", libc::SYS_socket, [0x1_0000_0026, 5, 0, 0, 0, 0]),
    ("tiocsti", libc::SYS_ioctl, [0, 0x5412, BAD, 0, 0, 0]),
    ("tiocsti-high-bits", libc::SYS_ioctl, [0, 0x1_0000_5412, BAD, 0, 0, 0]),
    ("tioclinux", libc::SYS_ioctl, [0, 0x541c, BAD, 0, 0, 0]),
];

/// i386 numbers, through `int 0x80`.
const I386: &[(&str, i32, [i32; 5])] = &[
    ("i386:mount", 21, [1, 1, 1, 0, 0]),
    ("i386:umount2", 52, [1, 2, 0, 0, 0]),
    ("i386:pivot-root", 217, [1, 1, 0, 0, 0]),
    ("i386:unshare-user", 310, [libc::CLONE_NEWUSER, 0, 0, 0, 0]),
    ("i386:setns", 346, [-1, 0, 0, 0, 0]),
    ("i386:clone3", 435, [1, 88, 0, 0, 0]),
    ("i386:open-tree", 428, [-100, 1, 1, 0, 0]),
    ("i386:fsopen", 430, [1, 0, 0, 0, 0]),
    ("i386:mount-setattr", 442, [-100, 1, 0, 1, 32]),
    ("i386:open-by-handle-at", 342, [-100, 1, 0, 0, 0]),
    ("i386:bpf", 357, [5, 1, 0, 0, 0]),
    ("i386:perf-event-open", 336, [1, 0, -1, -1, 0]),
    ("i386:userfaultfd", 374, [0, 0, 0, 0, 0]),
    ("i386:io-uring-setup", 425, [1, 1, 0, 0, 0]),
    ("i386:keyctl", 288, [0, -3, 0, 0, 0]),
    ("i386:add-key", 286, [1, 1, 0, 0, -3]),
    ("i386:request-key", 287, [1, 1, 0, 0, 0]),
    ("i386:kexec-load", 283, [0, 0, 0, 0xffff, 0]),
    ("i386:init-module", 128, [1, 0, 1, 0, 0]),
    ("i386:iopl", 110, [3, 0, 0, 0, 0]),
    ("i386:socket-alg", 359, [38, 5, 0, 0, 0]),
    ("i386:socket-vsock", 359, [40, 1, 0, 0, 0]),
    ("i386:personality-no-randomize", 136, [0x0004_0000, 0, 0, 0, 0]),
];

/// x32 numbers: the native ones with bit 30, and a few of its own from 512.
const X32: &[(&str, libc::c_long, [i64; 6])] = &[
    ("x32:mount", libc::SYS_mount, [BAD, BAD, BAD, 0, 0, 0]),
    ("x32:umount2", libc::SYS_umount2, [BAD, 2, 0, 0, 0, 0]),
    ("x32:pivot-root", libc::SYS_pivot_root, [BAD, BAD, 0, 0, 0, 0]),
    ("x32:unshare-user", libc::SYS_unshare, [NEW_USER, 0, 0, 0, 0, 0]),
    ("x32:setns", libc::SYS_setns, [-1, 0, 0, 0, 0, 0]),
    ("x32:clone3", libc::SYS_clone3, [BAD, 88, 0, 0, 0, 0]),
    ("x32:open-tree", libc::SYS_open_tree, [AT_CWD, BAD, 1, 0, 0, 0]),
    ("x32:fsopen", libc::SYS_fsopen, [BAD, 0, 0, 0, 0, 0]),
    ("x32:open-by-handle-at", libc::SYS_open_by_handle_at, [AT_CWD, BAD, 0, 0, 0, 0]),
    ("x32:bpf", libc::SYS_bpf, [5, BAD, 0, 0, 0, 0]),
    ("x32:perf-event-open", libc::SYS_perf_event_open, [BAD, 0, -1, -1, 0, 0]),
    ("x32:userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0, 0]),
    ("x32:io-uring-setup", libc::SYS_io_uring_setup, [1, BAD, 0, 0, 0, 0]),
    ("x32:keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0, 0]),
    ("x32:kexec-load", 528, [0, 0, 0, 0xffff, 0, 0]),
    ("x32:iopl", libc::SYS_iopl, [3, 0, 0, 0, 0, 0]),
    ("x32:socket-alg", libc::SYS_socket, [38, 5, 0, 0, 0, 0]),
    ("x32:socket-vsock", libc::SYS_socket, [40, 1, 0, 0, 0, 0]),
];

/// Attempts that need memory.
const CALLS: &[(&str, Call)] = &[
    ("mount-tmpfs", || mount(c"none", c"/tmp", c"tmpfs", 0)),
    ("mount-cgroup-v1", || mount(c"cgroup", c"/tmp", c"cgroup", 0)),
    ("mount-proc", || mount(c"proc", c"/tmp", c"proc", 0)),
    ("mount-bind-over-mask", || mount(c"/etc", c"/proc/acpi", c"", libc::MS_BIND)),
    ("mount-remount-sys-rw", || mount(c"none", c"/sys", c"", libc::MS_REMOUNT | libc::MS_BIND)),
    ("mount-remount-proc-sys-rw", || mount(c"none", c"/proc/sys", c"", libc::MS_REMOUNT | libc::MS_BIND)),
    ("umount-proc", || umount(c"/proc")),
    ("umount-mask", || umount(c"/proc/kcore")),
    ("umount-read-only", || umount(c"/proc/sys")),
    ("pivot-root", || path_pair(libc::SYS_pivot_root, c"/", c"/")),
    ("fsopen-tmpfs", || one_path(libc::SYS_fsopen, c"tmpfs", 0)),
    ("open-tree-clone", || at_path(libc::SYS_open_tree, c"/", 1)),
    ("open-tree-clone-recursive", || at_path(libc::SYS_open_tree, c"/", 0x8001)),
    ("setns-own-mount", || setns(c"/proc/self/ns/mnt", libc::CLONE_NEWNS)),
    ("setns-init-mount", || setns(c"/proc/1/ns/mnt", libc::CLONE_NEWNS)),
    ("setns-init-pid", || setns(c"/proc/1/ns/pid", libc::CLONE_NEWPID)),
    ("setns-init-net", || setns(c"/proc/1/ns/net", libc::CLONE_NEWNET)),
    ("clone-new-user", || clone(libc::CLONE_NEWUSER)),
    ("clone-new-mount", || clone(libc::CLONE_NEWNS)),
    ("clone-new-pid", || clone(libc::CLONE_NEWPID)),
    ("clone3", clone3),
    ("open-by-handle-at", open_by_handle_at),
    ("ptrace-host-pid", || native(libc::SYS_ptrace, [0x4206, i64::from(i32::MAX), 0, 0, 0, 0])),
    ("process-vm-readv-host-pid", process_vm_readv),
    ("i386:socketcall-alg", || socketcall(38, 5)),
    ("i386:socketcall-vsock", || socketcall(40, 1)),
];

fn native(number: libc::c_long, args: [i64; 6]) -> io::Result<i64> {
    // SAFETY: private to this module, whose tables pass integers, null, an address that is never
    // mapped, or pointers to memory that outlives the call; see the module's invariants.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(close_if_descriptor(number, result)) }
}

/// Closes what the calls that return a descriptor return.
fn close_if_descriptor(number: libc::c_long, result: libc::c_long) -> i64 {
    const DESCRIPTOR: &[libc::c_long] = &[
        libc::SYS_fsopen,
        libc::SYS_open_tree,
        libc::SYS_open_by_handle_at,
        libc::SYS_socket,
        libc::SYS_userfaultfd,
        libc::SYS_fanotify_init,
    ];
    if DESCRIPTOR.contains(&(number & !0x4000_0000)) {
        // SAFETY: the kernel has just handed out this descriptor and nobody else knows its number.
        unsafe { libc::syscall(libc::SYS_close, result) };
    }
    result
}

fn i386(number: i32, args: [i32; 5]) -> io::Result<i64> {
    let mut result = i64::from(number);
    // SAFETY: as for `native`; `int 0x80` returns to the next instruction, clobbers rax and, as
    // kernels before 4.17 did, r8 to r11. rbx belongs to LLVM, so it is exchanged and put back.
    unsafe {
        asm!(
            "xchg {first}, rbx",
            "int 0x80",
            "xchg {first}, rbx",
            first = inout(reg) i64::from(args[0]) => _,
            inout("rax") result,
            in("rcx") i64::from(args[1]),
            in("rdx") i64::from(args[2]),
            in("rsi") i64::from(args[3]),
            in("rdi") i64::from(args[4]),
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    // The i386 result is 32 bits wide and zero-extended.
    #[expect(clippy::cast_possible_truncation, reason = "the upper half carries nothing")]
    let result = result as i32;
    if (-4095..0).contains(&result) {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(i64::from(result))
    }
}

/// `socketcall(SYS_SOCKET, [family, kind, 0])` of i386, which no filter can look into.
fn socketcall(family: u32, kind: u32) -> io::Result<i64> {
    // i386 pointers reach 4 GiB: a page of its own is mapped there.
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches nothing of ours.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page is ours alone, aligned, and has room for three words.
    unsafe { page.cast::<[u32; 3]>().write([family, kind, 0]) };
    let address = i32::try_from(page as usize).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let result = i386(102, [1, address, 0, 0, 0]);
    // SAFETY: the mapping made above, to which no reference is left.
    unsafe { libc::munmap(page, 4096) };
    result
}

fn pointer(text: &'static CStr) -> i64 {
    text.as_ptr() as i64
}

#[expect(clippy::cast_possible_wrap, reason = "mount flags fit")]
fn mount(source: &'static CStr, target: &'static CStr, kind: &'static CStr, flags: u64) -> io::Result<i64> {
    native(libc::SYS_mount, [pointer(source), pointer(target), pointer(kind), flags as i64, 0, 0])
}

fn umount(target: &'static CStr) -> io::Result<i64> {
    native(libc::SYS_umount2, [pointer(target), i64::from(libc::MNT_DETACH), 0, 0, 0, 0])
}

fn one_path(number: libc::c_long, path: &'static CStr, flags: i64) -> io::Result<i64> {
    native(number, [pointer(path), flags, 0, 0, 0, 0])
}

fn path_pair(number: libc::c_long, first: &'static CStr, second: &'static CStr) -> io::Result<i64> {
    native(number, [pointer(first), pointer(second), 0, 0, 0, 0])
}

fn at_path(number: libc::c_long, path: &'static CStr, flags: i64) -> io::Result<i64> {
    native(number, [AT_CWD, pointer(path), flags, 0, 0, 0])
}

fn setns(path: &'static CStr, kind: libc::c_int) -> io::Result<i64> {
    let flags = i64::from(libc::O_RDONLY | libc::O_CLOEXEC);
    let fd = native(libc::SYS_openat, [AT_CWD, pointer(path), flags, 0, 0, 0])?;
    let result = native(libc::SYS_setns, [fd, i64::from(kind), 0, 0, 0, 0]);
    // SAFETY: opened above and known to nobody else.
    unsafe { libc::syscall(libc::SYS_close, fd) };
    result
}

fn clone(kind: libc::c_int) -> io::Result<i64> {
    let child = native(libc::SYS_clone, [i64::from(kind | libc::SIGCHLD), 0, 0, 0, 0, 0])?;
    leave_if_child(child)
}

fn clone3() -> io::Result<i64> {
    let mut args = [0_u64; 11];
    args[0] = libc::CLONE_NEWUSER as u64;
    args[4] = libc::SIGCHLD as u64;
    let child = native(libc::SYS_clone3, [args.as_ptr() as i64, 88, 0, 0, 0, 0])?;
    leave_if_child(child)
}

fn leave_if_child(child: i64) -> io::Result<i64> {
    if child == 0 {
        // SAFETY: ends the child of a raw clone before it runs any code that a fork forbids.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: waits for the child made above; a null status pointer is allowed.
    unsafe { libc::syscall(libc::SYS_wait4, child, 0, 0, 0) };
    Ok(child)
}

/// The handle of inode 2, the root directory of most file systems.
fn open_by_handle_at() -> io::Result<i64> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        inode: [u32; 2],
    }
    let handle = Handle { bytes: 8, kind: 1, inode: [2, 0] };
    native(libc::SYS_open_by_handle_at, [AT_CWD, ptr::from_ref(&handle) as i64, 0, 0, 0, 0])
}

fn process_vm_readv() -> io::Result<i64> {
    let mut buffer = [0_u8; 8];
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: 0x40_0000 as *mut _, iov_len: buffer.len() };
    let (local, remote) = (ptr::from_ref(&local) as i64, ptr::from_ref(&remote) as i64);
    native(libc::SYS_process_vm_readv, [i64::from(i32::MAX), local, 1, remote, 1, 0])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        for attempt in super::all() {
            assert!(seen.insert(attempt.name), "{} twice", attempt.name);
        }
        assert!(seen.len() > 100, "{} attempts", seen.len());
    }

    #[test]
    fn the_i386_gate_calls_the_i386_table() {
        // 20 is getpid there and writev here.
        let pid = super::i386(20, [0; 5]).unwrap();
        assert_eq!(u32::try_from(pid).unwrap(), std::process::id());
    }
}
