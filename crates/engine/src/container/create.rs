//! Making a container: a name, a snapshot on the image's layers, a row. Nothing runs by then.

use std::os::fd::AsFd;

use longshore_runtime::failpoint;
use longshore_store::{Access, Life};
use longshore_types::{
    ContainerId, Platform, Timestamp,
    container::{Config, HostConfig, MountType, NetworkingConfig},
};

use super::{
    Container, Containers, Error, Image, Record, Result, State, blocking, io, make_private, remove::Leftovers,
};
use crate::{
    db::{Durability, Table},
    log, spec, volume,
};

/// What snapshots of containers say of whose they are: this, then the ID.
pub(super) const OWNER: &str = "container:";

/// A container to be made.
#[derive(Clone, Debug, Default)]
pub struct Create {
    /// A new one where absent or empty.
    pub name: Option<String>,
    pub platform: Option<Platform>,
    pub config: Config,
    pub host: HostConfig,
    pub networking: NetworkingConfig,
    /// Whether binds that are read-only leave what is mounted below them as it is, unless they say otherwise.
    pub shallow_read_only: bool,
}

/// A container that was made.
#[derive(Clone, Debug)]
pub struct Created {
    pub container: Container,
    pub warnings: Vec<String>,
}

impl Containers {
    /// Makes a container. It is on the disk when this returns; when it fails nothing of it is.
    pub async fn create(&self, create: Create) -> Result<Created> {
        let containers = self.clone();
        blocking(move || containers.create_blocking(create)).await
    }

    fn create_blocking(&self, create: Create) -> Result<Created> {
        let Create { name, platform, mut config, mut host, networking, shallow_read_only } = create;
        let (settings, machine) = (&*self.defaults(), self.host()?);
        let mut warnings = spec::validate(&mut config, &mut host, &networking, settings, machine)?;
        log::merge(&mut host.log_config, &settings.log);
        log::validate(&host.log_config)?;
        warnings.extend(log::warnings(&host.log_config));
        let images = self.images();
        let image_id = images.find(&config.image, platform.as_ref())?;
        let image = images.store().image(&image_id)?;
        let image =
            image.ok_or_else(|| Error::Start { reason: format!("image {} is gone", config.image) })?;
        spec::defaults(&mut config, &mut host, &images.config(&image_id)?.config, settings, machine)?;
        self.adopt_joins(&mut host)?;
        let id = new_id();
        spec::hostname(&mut config, &host, &id);
        self.settle_links(&mut host)?;
        let networking = self.networks().planned(&host.network_mode, networking);
        let name = self.reserve_name(name.as_deref(), &id)?;
        // What is made from here on goes again unless all of it comes to be.
        let mut made = Leftovers::new(self, &id, &name);
        step("container.create.snapshot")?;
        let owner = format!("{OWNER}{id}");
        let snapshot =
            images.store().snapshot_for(&image.layers, &owner, Life::Persistent, Durability::Kernel)?;
        made.snapshot = Some(snapshot.id());
        step("container.create.volumes")?;
        let mut prepared = self.prepare_volumes(&id, &config, &host)?;
        if shallow_read_only {
            prepared.make_shallow();
        }
        made.volumes = Some(prepared.clone());
        if prepared.points.iter().any(|point| point.kind == MountType::Volume) {
            let root = snapshot.mount(Access::ReadWrite)?;
            self.volumes().populate(&prepared.points, &prepared.asked, root.as_fd())?;
        }
        let record = Record {
            id: id.clone(),
            name: name.clone(),
            created: Timestamp::now(),
            image: Image { id: image_id, platform: image.platform, layers: image.layers },
            config,
            host,
            networking,
            ports: std::collections::BTreeMap::new(),
            mounts: prepared.points,
            asked: prepared.asked,
            snapshot: snapshot.id(),
            state: State::default(),
            health: None,
        };
        let container = Container::new(record, self.settings());
        step("container.create.directory")?;
        make_private(container.data_dir())?;
        made.directory = Some(container.data_dir().to_owned());
        step("container.create.row")?;
        let record = container.record();
        self.db().put(Table::Containers, id.as_str(), &name, &*record, Durability::Kernel)?;
        made.row = true;
        step("container.create.sync")?;
        self.sync_both()?;
        made.keep();
        self.insert(&container);
        container.publish(self.events(), "create", []);
        Ok(Created { container, warnings })
    }

    /// Makes both databases durable, in the time of one. Power that goes away meanwhile leaves the row without the
    /// snapshot, or the other way round: the next start takes that for a creation that did not come to its end.
    fn sync_both(&self) -> Result<()> {
        let store = self.images().store();
        let (snapshot, row) = std::thread::scope(|scope| {
            let snapshot = scope.spawn(|| store.sync());
            let row = self.db().sync();
            (snapshot.join(), row)
        });
        row?;
        match snapshot {
            Ok(synced) => Ok(synced?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Makes the volumes of a container, which uses them from then on.
    fn prepare_volumes(
        &self,
        id: &ContainerId,
        config: &Config,
        host: &HostConfig,
    ) -> Result<volume::Prepared> {
        let find = |word: &str| {
            let record = self.find(word).ok()?.record();
            Some(volume::Other { mounts: record.mounts.clone(), asked: record.asked.clone() })
        };
        Ok(self.volumes().prepare(id, config, host, find)?)
    }
}

/// A place where tests stop the daemon.
pub(super) fn step(name: &'static str) -> Result<()> {
    failpoint::step(name).map_err(io("take the step", name.as_ref()))
}

/// 64 hexadecimal digits, the first twelve of which are not all decimal: those are taken for a number by some tools.
fn new_id() -> ContainerId {
    loop {
        let text = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        if text.bytes().take(12).all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        if let Ok(id) = ContainerId::new(text) {
            return id;
        }
    }
}
