//! What a transfer tells whoever watches it. The words of [`Status`] are those that Docker's clients show.

use std::fmt;

/// Takes events of a transfer; called from several tasks at once and must not block.
pub trait Progress: Send + Sync {
    /// Takes one event.
    fn report(&self, event: ProgressEvent);
}

/// Takes events and drops them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _: ProgressEvent) {}
}

impl<F: Fn(ProgressEvent) + Send + Sync> Progress for F {
    fn report(&self, event: ProgressEvent) {
        self(event);
    }
}

/// One step of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressEvent {
    /// What it is about: the first twelve digits of a layer, a tag; empty for the whole.
    pub id: String,
    pub status: Status,
}

impl ProgressEvent {
    /// An event about `id`.
    pub fn new(id: impl Into<String>, status: Status) -> Self {
        Self { id: id.into(), status }
    }

    /// An event about the transfer as a whole.
    #[must_use]
    pub const fn of_all(status: Status) -> Self {
        Self { id: String::new(), status }
    }
}

/// How far a thing is. Amounts are bytes; a total of 0 is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    PullingFrom {
        repository: String,
    },
    PullingFsLayer,
    Waiting,
    Downloading {
        current: u64,
        total: u64,
    },
    VerifyingChecksum,
    DownloadComplete,
    Extracting {
        current: u64,
        total: u64,
    },
    PullComplete,
    AlreadyExists,
    PushRefersTo {
        repository: String,
    },
    Preparing,
    Pushing {
        current: u64,
        total: u64,
    },
    Pushed,
    LayerAlreadyExists,
    MountedFrom {
        repository: String,
    },
    Retrying {
        seconds: u64,
    },
    Digest {
        digest: String,
    },
    PushedAs {
        tag: String,
        digest: String,
        size: u64,
    },
    NewerImage {
        image: String,
    },
    UpToDate {
        image: String,
    },
    Loading {
        current: u64,
        total: u64,
    },
    Loaded {
        image: String,
    },
    Importing {
        current: u64,
        total: u64,
    },
    /// A sentence for the user, for what has no word of its own.
    Note {
        text: String,
    },
}

impl Status {
    /// Bytes done and bytes in all, of a status that has a bar.
    #[must_use]
    pub const fn amounts(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Downloading { current, total }
            | Self::Extracting { current, total }
            | Self::Pushing { current, total }
            | Self::Loading { current, total }
            | Self::Importing { current, total } => Some((current, total)),
            _ => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullingFrom { repository } => write!(f, "Pulling from {repository}"),
            Self::PullingFsLayer => f.write_str("Pulling fs layer"),
            Self::Waiting => f.write_str("Waiting"),
            Self::Downloading { .. } => f.write_str("Downloading"),
            Self::VerifyingChecksum => f.write_str("Verifying Checksum"),
            Self::DownloadComplete => f.write_str("Download complete"),
            Self::Extracting { .. } => f.write_str("Extracting"),
            Self::PullComplete => f.write_str("Pull complete"),
            Self::AlreadyExists => f.write_str("Already exists"),
            Self::PushRefersTo { repository } => {
                write!(f, "The push refers to repository [{repository}]")
            }
            Self::Preparing => f.write_str("Preparing"),
            Self::Pushing { .. } => f.write_str("Pushing"),
            Self::Pushed => f.write_str("Pushed"),
            Self::LayerAlreadyExists => f.write_str("Layer already exists"),
            Self::MountedFrom { repository } => write!(f, "Mounted from {repository}"),
            Self::Retrying { seconds: 1 } => f.write_str("Retrying in 1 second"),
            Self::Retrying { seconds } => write!(f, "Retrying in {seconds} seconds"),
            Self::Digest { digest } => write!(f, "Digest: {digest}"),
            Self::PushedAs { tag, digest, size } => write!(f, "{tag}: digest: {digest} size: {size}"),
            Self::NewerImage { image } => write!(f, "Status: Downloaded newer image for {image}"),
            Self::UpToDate { image } => write!(f, "Status: Image is up to date for {image}"),
            Self::Loading { .. } => f.write_str("Loading layer"),
            Self::Loaded { image } => write!(f, "Loaded image: {image}"),
            Self::Importing { .. } => f.write_str("Importing"),
            Self::Note { text } => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{Progress, ProgressEvent, Status};

    #[test]
    fn speaks_as_docker_does() {
        for (status, text) in [
            (Status::PullingFrom { repository: "library/debian".into() }, "Pulling from library/debian"),
            (Status::PullingFsLayer, "Pulling fs layer"),
            (Status::VerifyingChecksum, "Verifying Checksum"),
            (Status::Retrying { seconds: 1 }, "Retrying in 1 second"),
            (Status::Retrying { seconds: 5 }, "Retrying in 5 seconds"),
            (
                Status::PushedAs { tag: "1".into(), digest: "sha256:0".into(), size: 5 },
                "1: digest: sha256:0 size: 5",
            ),
        ] {
            assert_eq!(status.to_string(), text);
        }
    }

    #[test]
    fn a_closure_is_a_sink() {
        let seen = Mutex::new(Vec::new());
        let sink = |event: ProgressEvent| seen.lock().unwrap().push(event);
        let dynamic: &dyn Progress = &sink;
        dynamic.report(ProgressEvent::new("abc", Status::Extracting { current: 1, total: 2 }));
        assert_eq!(seen.lock().unwrap()[0].status.amounts(), Some((1, 2)));
    }
}
