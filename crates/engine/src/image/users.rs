use longshore_image::{User, Users};
use longshore_types::ImageId;

use crate::container::{Containers, Phase};

/// Containers use the images that they were made from.
impl Users for Containers {
    fn of(&self, image: &ImageId) -> Vec<User> {
        let records = self.all().into_iter().map(|container| container.record());
        let mut users: Vec<_> = records.filter(|record| record.image.id == *image).collect();
        // Docker names a running one first: it cannot be forced.
        let is_running = |phase: Phase| phase.has_processes() || phase == Phase::Restarting;
        users.sort_by_key(|record| !is_running(record.state.phase));
        users
            .into_iter()
            .map(|record| User {
                id: record.id.to_string(),
                name: record.name.clone(),
                running: is_running(record.state.phase),
                bytes: 0,
                made_from: Some(record.config.image.clone()),
            })
            .collect()
    }

    fn last_used(&self, image: &ImageId) -> Option<i64> {
        let records = self.all().into_iter().map(|container| container.record());
        let of_it = records.filter(|record| record.image.id == *image);
        let last = of_it.map(|record| {
            let state = &record.state;
            record.created.max(state.started_at).max(state.finished_at)
        });
        last.max().map(longshore_types::Timestamp::seconds)
    }
}
