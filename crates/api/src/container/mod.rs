//! Documents of `/containers`.

mod create;
mod inspect;
mod list;
mod older;
mod update;
mod wait;

pub use create::{CreateError, CreateRequest, CreateResponse};
pub use inspect::{GraphDriver, Inspect, NetworkSettings, State};
pub use list::{HealthSummary, HostSummary, NetworkSummary, Port, Summary};
pub use older::OlderError;
pub use update::{PruneResponse, UpdateResponse, newest_update};
pub use wait::{WaitError, WaitResponse};
