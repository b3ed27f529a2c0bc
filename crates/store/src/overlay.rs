//! Overlay mounts of a stack of layers.
//!
//! Made with `fsopen(2)`, detached, one `lowerdir+` per layer: no limit but the kernel's own number of layers.
//! Kernels before 6.8 lack `lowerdir+`; there, a thread in a mount namespace of its own mounts with `mount(2)`, from
//! inside `layers/` so that the names are short (the options must fit one page), and takes the mount out by
//! `open_tree(2)`.
//!
//! Options, and why:
//! * `index=off`, as Docker: with it on, an upper directory that is still mounted in a forgotten namespace cannot
//!   be mounted again.
//! * `metacopy=off`: a layer must hold its content, or it could not become an image.
//! * `redirect_dir=nofollow`: renaming a directory of a lower layer copies, as with Docker; and an attribute in an
//!   image that says "look over there instead" means nothing.
//! * no `userxattr`: that is for mounts made inside a user namespace.

use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use longshore_sys::{
    clone,
    mount::{Change, attr, set_attributes},
    namespace,
};
use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
        fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, mount_change,
        open_tree,
    },
};

use crate::{
    dir::Dir,
    error::{At, Error, Result},
};

/// How many lower layers an overlay mount takes (`OVL_MAX_STACK` of the kernel).
pub const MAX_LAYERS: usize = 500;

/// The longest value that `fsconfig(2)` takes, with its end.
const MAX_VALUE: usize = 256;

/// What `mount(2)` copies of its options: a page, of the smallest size.
const PAGE: usize = 4096;

/// How a mount may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
    /// Written to, and not synced when unmounted; the snapshot cannot be mounted again. For what is thrown away.
    Volatile,
}

/// What is to be mounted. Paths are relative to `layers/`.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Topmost first, at least one.
    pub(crate) lower: Vec<String>,
    /// Upper and work directory.
    pub(crate) upper: Option<(String, String)>,
    pub(crate) volatile: bool,
}

const OPTIONS: [(&str, &str); 3] = [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow")];

/// Set once the kernel has refused `lowerdir+`.
static OLD_KERNEL: AtomicBool = AtomicBool::new(false);

/// Mounts the stack; detached, to be attached with `move_mount(2)` or used by descriptor.
pub(crate) fn make(layers: &Dir, stack: &Stack, legacy: bool) -> Result<OwnedFd> {
    let count = stack.lower.len();
    if count > MAX_LAYERS {
        return Err(Error::TooManyLayers { count, limit: MAX_LAYERS });
    }
    if legacy || OLD_KERNEL.load(Ordering::Relaxed) {
        return in_own_namespace(layers, stack);
    }
    match new_api(layers, stack) {
        Err(Failure::NoLowerAdd) => {
            OLD_KERNEL.store(true, Ordering::Relaxed);
            in_own_namespace(layers, stack)
        }
        Err(Failure::At(what, source)) => Err(Error::Mount { what, layers: count, source: source.into() }),
        Ok(mount) => Ok(mount),
    }
}

/// Mounts an empty directory read-only: a stack of no layers.
pub(crate) fn nothing(layers: &Dir) -> Result<OwnedFd> {
    let failed = |what| move |source| Error::Mount { what, layers: 0, source };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(layers, "../empty", flags).map_err(|errno| failed("an empty root")(errno.into()))?;
    let change = Change { set: attr::RDONLY, ..Change::default() };
    set_attributes(tree.as_fd(), false, change, None).map_err(failed("an empty root, read-only"))?;
    Ok(tree)
}

/// Why the new mount API could not.
enum Failure {
    NoLowerAdd,
    At(&'static str, Errno),
}

fn new_api(layers: &Dir, stack: &Stack) -> Result<OwnedFd, Failure> {
    let at = |what| move |errno| Failure::At(what, errno);
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("open an overlay"))?;
    fsconfig_set_string(&context, "source", "overlay").map_err(at("name an overlay"))?;
    // A long path of the data root goes through a short one, which the kernel resolves to the same directory.
    let longest = stack.lower.iter().map(String::len).max().unwrap_or(0) + 32;
    let short;
    let base = if layers.path().as_os_str().len() + longest < MAX_VALUE {
        layers.path()
    } else {
        short = format!("/proc/self/fd/{}", layers.as_fd().as_raw_fd());
        Path::new(&short)
    };
    for (number, lower) in stack.lower.iter().enumerate() {
        match fsconfig_set_string(&context, "lowerdir+", base.join(lower)) {
            Err(Errno::INVAL) if number == 0 => return Err(Failure::NoLowerAdd),
            done => done.map_err(at("add a lower layer to an overlay"))?,
        }
    }
    if let Some((upper, work)) = &stack.upper {
        fsconfig_set_string(&context, "upperdir", base.join(upper))
            .map_err(at("set the upper layer of an overlay"))?;
        fsconfig_set_string(&context, "workdir", base.join(work))
            .map_err(at("set the work directory of an overlay"))?;
        if stack.volatile {
            fsconfig_set_flag(&context, "volatile").map_err(at("set an overlay to volatile"))?;
        }
    }
    for (key, value) in OPTIONS {
        fsconfig_set_string(&context, key, value).map_err(at("set an option of an overlay"))?;
    }
    fsconfig_create(&context).map_err(at("create an overlay"))?;
    let attributes =
        if stack.upper.is_some() { MountAttrFlags::empty() } else { MountAttrFlags::MOUNT_ATTR_RDONLY };
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(at("mount an overlay"))
}

/// Mounts with `mount(2)`, on a thread that sees the mount alone.
fn in_own_namespace(layers: &Dir, stack: &Stack) -> Result<OwnedFd> {
    let count = stack.lower.len();
    let mut options = format!("lowerdir={}", stack.lower.join(":"));
    if let Some((upper, work)) = &stack.upper {
        options.push_str(&format!(",upperdir={upper},workdir={work}"));
        if stack.volatile {
            options.push_str(",volatile");
        }
    }
    for (key, value) in OPTIONS {
        options.push_str(&format!(",{key}={value}"));
    }
    if options.len() >= PAGE {
        let limit = count * PAGE / options.len();
        return Err(Error::TooManyLayers { count, limit });
    }
    let options = CString::new(options).unwrap_or_default();
    let flags = if stack.upper.is_some() { MountFlags::empty() } else { MountFlags::RDONLY };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("store-mount".to_owned());
        let work = move || -> std::io::Result<OwnedFd> {
            namespace::unshare(clone::flags::NEWNS)?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            // By path: the descriptor is of the namespace that was left, where nothing may be mounted from here.
            rustix::process::chdir(layers.path())?;
            mount("overlay", "../empty", "overlay", flags, Some(options.as_c_str()))?;
            let tree = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok(open_tree(CWD, "../empty", tree)?)
        };
        let thread = thread.spawn_scoped(scope, work).at("start a thread for", layers.path())?;
        let done = thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread died")));
        done.map_err(|source| Error::Mount { what: "an overlay with mount(2)", layers: count, source })
    })
}
