//! Images as the engine has them: what uses them is known, and what happens to them is told.
//!
//! The work is `longshore_image`'s. Methods that are not `async` block.

mod told;
mod users;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use longshore_image::{
    Images, ImportOptions, LoadOptions, Loaded, PruneOptions, Pruned, PullOptions, Pulled, PushOptions,
    Pushed, RemoveOptions, Removed, Result, SaveOptions,
};
use longshore_types::{ImageId, Progress, Reference};

use crate::{
    container::Containers,
    event::{Events, Object},
};

/// The images, with whom it concerns.
#[derive(Clone, Debug)]
pub struct Library {
    images: Images,
    containers: Containers,
    events: Events,
}

impl Library {
    /// The library of these images. Events go where those of the containers go.
    #[must_use]
    pub fn new(images: Images, containers: Containers) -> Self {
        let events = containers.events().clone();
        Self { images, containers, events }
    }

    /// The images themselves.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The containers that may use them.
    #[must_use]
    pub fn containers(&self) -> &Containers {
        &self.containers
    }

    /// Pulls one tag or digest; see [`Images::pull`].
    pub async fn pull(
        &self,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Pulled> {
        let pulled = self.images.pull(name, options, progress).await?;
        self.told_of_pull(&pulled).await;
        Ok(pulled)
    }

    /// Pulls every tag of a repository; see [`Images::pull_all`].
    pub async fn pull_all(
        &self,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Pulled>> {
        let pulled = self.images.pull_all(name, options, progress).await?;
        for one in &pulled {
            self.told_of_pull(one).await;
        }
        Ok(pulled)
    }

    async fn told_of_pull(&self, pulled: &Pulled) {
        let (library, pulled) = (self.clone(), pulled.clone());
        // What an image's labels are is read from the disk. That it fails is no failure of the pull.
        let tell = move || library.tell_name("pull", &pulled.name, &pulled.image);
        tokio::task::spawn_blocking(tell).await.ok();
    }

    /// Pushes one tag; see [`Images::push`].
    pub async fn push(
        &self,
        name: &Reference,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        let pushed = self.images.push(name, options, progress).await?;
        self.told_of_push(&pushed.name);
        Ok(pushed)
    }

    /// Pushes all tags of a repository; see [`Images::push_all`].
    pub async fn push_all(
        &self,
        name: &Reference,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Pushed>> {
        let pushed = self.images.push_all(name, options, progress).await?;
        for one in &pushed {
            self.told_of_push(&one.name);
        }
        Ok(pushed)
    }

    fn told_of_push(&self, name: &Reference) {
        let attributes = BTreeMap::from([("name".to_owned(), name.familiar_repository())]);
        self.events.publish(Object::Image, "push", name.familiar(), attributes);
    }

    /// Gives an image another name; see [`Images::tag`].
    pub fn tag(&self, source: &str, repository: &str, tag: &str) -> Result<Reference> {
        let name = self.images.tag(source, repository, tag)?;
        if let Ok(image) = self.images.find(&name.familiar(), None) {
            self.tell("tag", &image, &name.familiar());
        }
        Ok(name)
    }

    /// Removes a name, or an image; see [`Images::remove`].
    pub fn remove(&self, word: &str, options: RemoveOptions) -> Result<Removed> {
        let known = self.known();
        let image = self.images.find(word, None)?;
        let removed = self.images.remove(word, options, &self.containers)?;
        self.tell_steps(&removed.steps, &known, Some(&image));
        Ok(removed)
    }

    /// Removes images that nobody needs; see [`Images::prune`].
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned> {
        let known = self.known();
        let pruned = self.images.prune(options, &self.containers)?;
        if !options.dry_run {
            self.tell_steps(&pruned.steps, &known, None);
            let attributes = BTreeMap::from([("reclaimed".to_owned(), pruned.freed.to_string())]);
            self.events.publish(Object::Image, "prune", "", attributes);
        }
        Ok(pruned)
    }

    /// Loads an archive of images; see [`Images::load`].
    pub fn load(
        &self,
        archive: impl Read,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        let loaded = self.images.load(archive, options, progress)?;
        for one in &loaded {
            self.tell("load", &one.image, &one.image.to_string());
        }
        Ok(loaded)
    }

    /// Writes an archive of images; see [`Images::save`].
    pub fn save(&self, words: &[String], options: &SaveOptions, out: impl Write) -> Result<()> {
        self.images.save(words, options, out)?;
        for word in words {
            if let Ok(image) = self.images.find(word, options.platform.as_ref()) {
                self.tell("save", &image, &image.to_string());
            }
        }
        Ok(())
    }

    /// Makes an image of a file system's archive; see [`Images::import`].
    pub fn import(
        &self,
        archive: impl Read,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImageId> {
        let image = self.images.import(archive, options, progress)?;
        let name = if options.repository.is_empty() {
            image.to_string()
        } else {
            longshore_image::new_tag(&options.repository, &options.tag)?.familiar()
        };
        self.tell("import", &image, &name);
        Ok(image)
    }
}
