use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use longshore_runtime::state::{Dir, Presence, Record, Status};
use longshore_types::ContainerId;
use serde::Serialize;

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Syntax},
    global::Global,
    print,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax { command: "state", flags: &[], arguments: Arguments::Exactly(1), flags_first: false },
    arguments: "<container-id>",
    about: "output the state of a container",
    failed: 1,
    enters: false,
    run,
};

/// The OCI state with the fields that runc adds; the element of `list --format json` too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerState {
    pub(super) oci_version: String,
    pub(super) id: ContainerId,
    /// 0 once stopped.
    pub(super) pid: i32,
    pub(super) status: Status,
    pub(super) bundle: PathBuf,
    pub(super) rootfs: PathBuf,
    pub(super) created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    /// The owner's name, where it was looked for.
    pub(super) owner: String,
}

impl ContainerState {
    /// The state of the container that `record` is about.
    pub(super) fn new(record: Record, status: Status) -> Self {
        let init = record.init.filter(|_| status != Status::Stopped);
        Self {
            oci_version: record.oci_version,
            id: record.id,
            pid: init.map_or(0, |init| init.pid),
            status,
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations,
            owner: String::new(),
        }
    }

    /// The state of what is in `dir`. The remains of a killed `create` are a stopped container of
    /// which nothing is known.
    pub(super) fn of(dir: &Dir) -> Result<(Self, Option<u32>), Failure> {
        let remains = |status| {
            let record = Record {
                created: String::new(),
                ..Record::new(dir.id().clone(), Path::new(""), Path::new(""))
            };
            (Self::new(record, status), None)
        };
        Ok(match dir.presence()? {
            Presence::Whole(record) => {
                let (status, owner) = (container::status(dir, &record), record.owner);
                (Self::new(*record, status), Some(owner))
            }
            Presence::Busy => remains(Status::Creating),
            Presence::Broken => remains(Status::Stopped),
        })
    }
}

fn run(global: &Global, matches: &Matches) -> Outcome {
    let dir = container::open(global, matches)?;
    let record = dir.record()?;
    let status = container::status(&dir, &record);
    let state = ContainerState::new(record, status);
    let mut text =
        serde_json::to_vec_pretty(&state).map_err(|error| Failure::Output { source: error.into() })?;
    text.push(b'\n');
    print(&text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use longshore_runtime::state::{Identity, Record, Status};
    use longshore_types::ContainerId;

    use super::ContainerState;

    #[test]
    fn has_runcs_fields_in_runcs_order() {
        let mut record = Record::new(ContainerId::new("c").unwrap(), Path::new("/b"), Path::new("/b/rootfs"));
        record.init = Some(Identity { pid: 42, start_ticks: 1 });
        record.created = "2026-11-21T07:08:13.791829157Z".into();
        let state = ContainerState::new(record.clone(), Status::Running);
        let expected = concat!(
            r#"{"ociVersion":"1.3.0","id":"c","pid":42,"status":"running","bundle":"/b","rootfs":"/b/rootfs","#,
            r#""created":"2026-11-21T07:08:13.791829157Z","owner":""}"#
        );
        assert_eq!(serde_json::to_string(&state).unwrap(), expected);
        assert_eq!(ContainerState::new(record, Status::Stopped).pid, 0);
    }
}
