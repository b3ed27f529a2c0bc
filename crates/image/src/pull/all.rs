use longshore_types::{Progress, ProgressEvent, Reference, Status};

use super::{PullOptions, Pulled};
use crate::{Images, Result};

/// Tags of one repository that are pulled at most.
const TAGS: usize = 10_000;

impl Images {
    /// Pulls every tag of a repository, one after the other; the first that fails ends it.
    pub async fn pull_all(
        &self,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Pulled>> {
        let repository = self.registry().repository(name, options.credentials.clone())?;
        let mut pulled = Vec::new();
        for tag in repository.tags(TAGS).await?.items {
            let name = name.with_tag(&tag)?;
            pulled.push(self.pull_version(&repository, &name, options, progress).await?);
        }
        let image = name.familiar_repository();
        let newer = pulled.iter().any(|one| one.newer);
        progress.report(ProgressEvent::of_all(if newer {
            Status::NewerImage { image }
        } else {
            Status::UpToDate { image }
        }));
        Ok(pulled)
    }
}
