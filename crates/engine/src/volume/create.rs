//! Making a volume: a directory, then a row.

use std::collections::{BTreeMap, BTreeSet};

use longshore_types::Timestamp;
use rustix::fs::{CWD, Mode};

use super::{ANONYMOUS, Entry, Error, LOCAL, Result, Volume, Volumes, driver, io, private, step};
use crate::db::{Durability, Table};

/// A volume to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    /// A new one where empty.
    pub name: String,
    /// Empty for the local one.
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

impl Volumes {
    /// Makes a volume; one that has this name already is returned as it is. Blocks.
    pub fn create(&self, create: Create) -> Result<Volume> {
        self.create_for(create, None)
    }

    /// The same, and has a container use it.
    pub(super) fn create_for(&self, create: Create, user: Option<&str>) -> Result<Volume> {
        let Create { mut name, driver, mut labels, options } = create;
        if name.is_empty() {
            name = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
            labels.insert(ANONYMOUS.into(), String::new());
        }
        if !matches!(driver.as_str(), "" | LOCAL) {
            return Err(Error::NoDriver { name, driver });
        }
        let mut table = self.table();
        if let Some(entry) = table.iter_mut().find(|entry| entry.volume.name == name) {
            entry.users.extend(user.map(str::to_owned));
            // It is somebody else's too, and stays whatever becomes of the container that it was made with.
            if entry.volume.made_for.as_deref() != user && entry.volume.made_for.take().is_some() {
                self.0.db.put(Table::Volumes, &name, &name, &entry.volume, Durability::Kernel)?;
            }
            return Ok(entry.volume.clone());
        }
        check_name(&name)?;
        driver::check(&name, &options)?;
        step("volume.create.directory")?;
        private(&self.0.root.join(&name))?;
        let data = self.path(&name);
        let mode = Mode::from_raw_mode(0o755);
        match rustix::fs::mkdir(&data, mode) {
            // The umask does not count.
            Ok(()) => rustix::fs::chmodat(CWD, &data, mode, rustix::fs::AtFlags::empty())
                .map_err(io("make", &data))?,
            // Left by one that was never finished.
            Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(io("make", &data)(errno)),
        }
        let made_for = user.map(str::to_owned);
        let volume = Volume { name, created: Timestamp::now(), labels, options, made_for };
        let kept = step("volume.create.row").and_then(|()| {
            Ok(self.0.db.put(Table::Volumes, &volume.name, &volume.name, &volume, Durability::Disk)?)
        });
        if let Err(error) = kept {
            // One with files in it was somebody's before.
            if std::fs::remove_dir(&data).is_ok() {
                std::fs::remove_dir(self.0.root.join(&volume.name)).ok();
            }
            return Err(error);
        }
        let users = user.map(str::to_owned).into_iter().collect();
        table.push(Entry { volume: volume.clone(), users, running: BTreeSet::new() });
        drop(table);
        self.publish("create", &volume.name, &[("driver", LOCAL)]);
        Ok(volume)
    }
}

/// Letters, digits and `_.-`, the first one a letter or a digit; at least two, and not more than a file name has.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::ShortName { name: name.into() });
    }
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= 255 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    {
        Ok(())
    } else {
        Err(Error::Name { name: name.into() })
    }
}
