use longshore_archive::limits::Limits;
use longshore_types::Platform;

/// How the service behaves. The defaults are what a daemon without a configuration does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The platform that is chosen from an index when nobody asks for another.
    pub platform: Platform,
    /// Layers of one pull that are fetched and unpacked at the same time; the others wait.
    pub max_concurrent_downloads: usize,
    /// Layers of one push that are sent at the same time.
    pub max_concurrent_uploads: usize,
    /// What a layer may ask for at most.
    pub limits: Limits,
    /// The level of gzip for layers that have no compressed form when they are pushed or saved.
    pub gzip_level: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            platform: Platform::host(),
            max_concurrent_downloads: 6,
            max_concurrent_uploads: 5,
            limits: Limits::default(),
            gzip_level: 6,
        }
    }
}
