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
        let renamed = match step("container.rename.row") {
            Ok(()) => {
                let (name, before) = (new.clone(), old.clone());
                self.change(container, Durability::Disk, move |record| {
                    let endpoints = record.networking.endpoints_config.iter_mut().flatten();
                    for names in endpoints.filter_map(|(_, own)| own.as_mut()?.dns_names.as_mut()) {
                        names.iter_mut().filter(|own| **own == before).for_each(|own| own.clone_from(&name));
                    }
                    record.name = name;
                    Ok(())
                })
                .await
            }
            Err(error) => Err(error),
        };
        self.release_name(if renamed.is_ok() { &old } else { &new }, container.id());
        renamed?;
        self.networks().renamed(container.id().as_str(), &new);
        drop(turn);
        container.publish(self.events(), "rename", [("oldName", format!("/{old}"))]);
        Ok(())
    }
}
