//! Documents of `/containers`.

mod create;
mod inspect;
mod list;
mod update;
mod wait;

pub use create::{CreateError, CreateRequest, CreateResponse};
pub use inspect::{GraphDriver, Inspect, NetworkSettings, State};
pub use list::{HealthSummary, HostSummary, NetworkSummary, Port, Summary};
pub use update::{PruneResponse, UpdateResponse};
pub use wait::{WaitError, WaitResponse};
