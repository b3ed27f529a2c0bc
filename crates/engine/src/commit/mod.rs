//! An image out of a container.

use longshore_image::{Changed, CommitOptions};
use longshore_types::{ImageId, Kind, container::Config, oci::ContainerConfig};

use crate::{
    container::{self, Container, Phase},
    image::Library,
};

/// What the new image is to be.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Repository and tag; without a repository it gets no name.
    pub repository: String,
    pub tag: String,
    pub author: String,
    pub comment: String,
    /// Lines of a Dockerfile.
    pub changes: Vec<String>,
    /// In place of the container's own configuration, which fills in what this leaves out.
    pub config: Option<Config>,
    /// Whether the container stands still meanwhile.
    pub pause: bool,
    /// The engine's version, which the image says it was made with.
    pub engine: String,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Container(#[from] container::Error),
    #[error(transparent)]
    Image(#[from] longshore_image::Error),
    /// Docker's words.
    #[error("You cannot commit container {id} which is Dead")]
    Dead { id: String },
    #[error("You cannot commit container {id} which is being removed")]
    Removing { id: String },
    #[error("the configuration of container {id}")]
    Config { id: String, source: serde_json::Error },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Container(error) => error.kind(),
            Self::Image(error) => error.kind(),
            Self::Dead { .. } | Self::Removing { .. } => Kind::Conflict,
            Self::Config { .. } => Kind::InvalidInput,
        }
    }
}

impl Library {
    /// Makes an image of what the container wrote. A container that runs goes on; it stands still meanwhile if the
    /// request says so.
    pub async fn commit(&self, word: &str, request: Request) -> Result<ImageId, Error> {
        let container = self.containers().find(word)?;
        let library = self.clone();
        // A task of its own: a caller who leaves must not leave the container standing still.
        let task = tokio::spawn(async move { library.commit_still(&container, request).await });
        joined(task.await)
    }

    async fn commit_still(&self, container: &Container, request: Request) -> Result<ImageId, Error> {
        check(container)?;
        let is_running = container.record().state.phase == Phase::Running;
        // One that ends just now stands still by itself.
        let is_paused = request.pause && is_running && self.containers().stop_still(container).await.is_ok();
        // Nobody removes it, or starts it, while its files are read.
        let turn = container.lock().await;
        let (library, subject) = (self.clone(), container.clone());
        let work = move || {
            let image = library.commit_files(&subject, &request)?;
            library.told(&subject, &request, &image);
            Ok(image)
        };
        let image = joined(tokio::task::spawn_blocking(work).await);
        drop(turn);
        if is_paused && let Err(error) = self.containers().let_go(container).await {
            tracing::warn!(error = error.line(), "a container that was paused for a commit does not go on");
        }
        image
    }

    fn commit_files(&self, container: &Container, request: &Request) -> Result<ImageId, Error> {
        check(container)?;
        let record = container.record();
        let id = record.id.to_string();
        let form = |config: &Config| -> Result<ContainerConfig, Error> {
            let same = serde_json::to_value(config).and_then(serde_json::from_value);
            same.map_err(|source| Error::Config { id: id.clone(), source })
        };
        let store = self.images().store();
        // An image may be gone while its container is there.
        let is_here = store.image(&record.image.id).map_err(longshore_image::Error::from)?.is_some();
        let options = CommitOptions {
            parent: is_here.then(|| record.image.id.clone()),
            container_config: form(&record.config)?,
            config: request.config.as_ref().map(form).transpose()?.unwrap_or_default(),
            changes: request.changes.clone(),
            author: request.author.clone(),
            comment: request.comment.clone(),
            created_by: record.config.cmd.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" "),
            container: id.clone(),
            engine: request.engine.clone(),
            repository: request.repository.clone(),
            tag: request.tag.clone(),
        };
        let upper = store.find_snapshot(record.snapshot).and_then(|snapshot| snapshot.upper());
        let upper = upper.map_err(longshore_image::Error::from)?;
        Ok(self.images().commit(Changed::Upper(upper), &options)?)
    }

    fn told(&self, container: &Container, request: &Request, image: &ImageId) {
        self.tell("create", image, &image.to_string());
        let mut name = String::new();
        if !request.repository.is_empty()
            && let Ok(tag) = longshore_image::new_tag(&request.repository, &request.tag)
        {
            name = tag.familiar();
            self.tell("tag", image, &name);
        }
        let extra =
            [("comment", request.comment.clone()), ("imageID", image.to_string()), ("imageRef", name)];
        container.publish(self.containers().events(), "commit", extra);
    }
}

/// Fails for a container that is on its way out.
fn check(container: &Container) -> Result<(), Error> {
    let id = || container.id().to_string();
    match container.record().state.phase {
        Phase::Dead => Err(Error::Dead { id: id() }),
        Phase::Removing => Err(Error::Removing { id: id() }),
        _ => Ok(()),
    }
}

/// What a task came to; a panic goes on.
fn joined<T>(done: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    done.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(container::Error::ShuttingDown.into()),
    })
}
