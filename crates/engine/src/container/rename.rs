use super::{Container, Containers, Error, Result, create::step, to_the_end};
use crate::db::Durability;

impl Containers {
    /// Gives a container another name.
    pub async fn rename(&self, container: &Container, name: &str) -> Result<()> {
        let (containers, container, name) = (self.clone(), container.clone(), name.to_owned());
        to_the_end(async move { containers.rename_to_the_end(&container, &name).await }).await
    }

    async fn rename_to_the_end(&self, container: &Container, name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::EmptyName);
        }
        let turn = container.lock().await;
        let old = container.record().name.clone();
        if name.strip_prefix('/').unwrap_or(name) == old {
            return Err(Error::SameName);
        }
        container.judge(super::Verb::Rename)?;
        let new = self.reserve_name(Some(name), container.id())?;
        // Given back unless all goes well.
        let mut given_up = Taken { containers: self, container, name: new.clone() };
        step("container.rename.row")?;
        let (name, before) = (new.clone(), old.clone());
        self.change(container, Durability::Disk, move |record| {
            let endpoints = record.networking.endpoints_config.iter_mut().flatten();
            for names in endpoints.filter_map(|(_, own)| own.as_mut()?.dns_names.as_mut()) {
                names.iter_mut().filter(|own| **own == before).for_each(|own| own.clone_from(&name));
            }
            record.name = name;
            Ok(())
        })
        .await?;
        given_up.name.clone_from(&old);
        drop(given_up);
        self.networks().renamed(container.id().as_str(), &new);
        drop(turn);
        container.publish(self.events(), "rename", [("oldName", format!("/{old}"))]);
        Ok(())
    }
}

/// A name that a container has no more when this is dropped.
struct Taken<'a> {
    containers: &'a Containers,
    container: &'a Container,
    name: String,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.containers.release_name(&self.name, self.container.id());
    }
}
