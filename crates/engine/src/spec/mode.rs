//! Namespace modes: `host`, `private`, `container:<id>` …

/// Where a namespace comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode<'a> {
    /// Empty.
    Unset,
    Private,
    Host,
    /// IPC alone: nobody else joins it, and there is no `/dev/shm`.
    None,
    /// IPC alone: others may join it.
    Shareable,
    /// Another container's: its ID or name.
    Container(&'a str),
}

/// The mode of the IPC namespace; `None` for a word that is none.
#[must_use]
pub fn ipc(word: &str) -> Option<Mode<'_>> {
    match word {
        "" => Some(Mode::Unset),
        "none" => Some(Mode::None),
        "private" => Some(Mode::Private),
        "shareable" => Some(Mode::Shareable),
        "host" => Some(Mode::Host),
        word => container(word),
    }
}

/// The mode of the PID namespace.
#[must_use]
pub fn pid(word: &str) -> Option<Mode<'_>> {
    match word {
        "" => Some(Mode::Unset),
        "host" => Some(Mode::Host),
        word => container(word).filter(|mode| *mode != Mode::Container("")),
    }
}

/// The mode of the UTS and of the user namespace.
#[must_use]
pub fn plain(word: &str) -> Option<Mode<'_>> {
    match word {
        "" => Some(Mode::Unset),
        "host" => Some(Mode::Host),
        _ => None,
    }
}

/// The mode of the cgroup namespace.
#[must_use]
pub fn cgroup(word: &str) -> Option<Mode<'_>> {
    match word {
        "" => Some(Mode::Unset),
        "private" => Some(Mode::Private),
        "host" => Some(Mode::Host),
        _ => None,
    }
}

/// The container whose network is shared, from `NetworkMode`.
#[must_use]
pub fn network_of(word: &str) -> Option<&str> {
    word.strip_prefix("container:")
}

fn container(word: &str) -> Option<Mode<'_>> {
    word.strip_prefix("container:").map(Mode::Container)
}
