use std::os::fd::OwnedFd;

use longshore_image::Images;

use super::Result;

/// Where images come from that containers mount.
pub trait ImageSource: std::fmt::Debug + Send + Sync {
    /// The ID of the image that is called so.
    fn find(&self, name: &str) -> Result<String>;

    /// Its files, read-only and detached.
    fn mount(&self, id: &str) -> Result<OwnedFd>;
}

impl ImageSource for Images {
    fn find(&self, name: &str) -> Result<String> {
        Ok(Images::find(self, name, None)?.to_string())
    }

    fn mount(&self, id: &str) -> Result<OwnedFd> {
        let image = Images::find(self, id, None)?;
        let layers = self.store().image(&image)?.map(|image| image.layers).unwrap_or_default();
        Ok(self.store().mount_layers(&layers)?)
    }
}
