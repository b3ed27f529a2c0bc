//! What starts with the daemon, in the order in which containers need each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Container, Containers, Record};
use crate::spec::mode::{self, Mode};

/// Containers that start at the same time.
const AT_ONCE: usize = 8;

impl Containers {
    /// Starts containers that do not run: those that others need before those.
    pub(super) fn start_all(&self, containers: Vec<Container>) {
        if containers.is_empty() {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            for wave in this.waves(&containers) {
                let mut starts = tokio::task::JoinSet::new();
                for container in wave {
                    if starts.len() == AT_ONCE {
                        starts.join_next().await;
                    }
                    let this = this.clone();
                    starts.spawn(async move {
                        if let Err(error) = this.start(&container).await {
                            tracing::error!(id = %container.id(), error = error.line(), "cannot start it with the daemon");
                        }
                    });
                }
                starts.join_all().await;
            }
        });
    }

    fn waves(&self, containers: &[Container]) -> Vec<Vec<Container>> {
        let id = |word: &str| self.find(word).ok().map(|container| container.id().to_string());
        let needs = containers.iter().map(|container| {
            let words = needs(&container.record());
            (container.id().to_string(), words.iter().filter_map(|word| id(word)).collect())
        });
        let needs: BTreeMap<String, BTreeSet<String>> = needs.collect();
        let waves = order(&needs);
        let named = |id: &String| containers.iter().find(|container| container.id().as_str() == id).cloned();
        waves.iter().map(|wave| wave.iter().filter_map(named).collect()).collect()
    }
}

/// The containers that one cannot start without, as they were named.
fn needs(record: &Record) -> Vec<String> {
    let host = &record.host;
    let of_mode = |mode| if let Some(Mode::Container(other)) = mode { Some(other) } else { None };
    let modes = [
        mode::network_of(&host.network_mode),
        of_mode(mode::pid(&host.pid_mode)),
        of_mode(mode::ipc(&host.ipc_mode)),
    ];
    let first = |text: &String| text.split(':').next().unwrap_or_default().to_owned();
    let mut needs: Vec<String> = modes.into_iter().flatten().map(str::to_owned).collect();
    needs.extend(host.volumes_from.iter().flatten().map(first));
    needs.extend(host.links.iter().flatten().map(first));
    needs
}

/// Who may start at the same time, after those of the wave before. Those that need each other in a circle come last.
fn order(needs: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let mut left: BTreeSet<&String> = needs.keys().collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let is_free = |id: &&String| needs[*id].iter().all(|other| other == *id || !left.contains(other));
        let mut wave: Vec<&String> = left.iter().copied().filter(is_free).collect();
        if wave.is_empty() {
            wave = left.iter().copied().collect();
        }
        left.retain(|id| !wave.contains(id));
        waves.push(wave.into_iter().cloned().collect());
    }
    waves
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::order;

    #[test]
    fn who_is_needed_comes_first() {
        let of = |rows: &[(&str, &[&str])]| {
            let rows = rows
                .iter()
                .map(|(id, needs)| ((*id).to_owned(), needs.iter().map(|need| (*need).to_owned()).collect()));
            order(&rows.collect::<BTreeMap<_, _>>())
        };
        let waves =
            of(&[("web", &["db", "elsewhere"]), ("db", &[]), ("log", &["web", "db"]), ("own", &["own"])]);
        assert_eq!(waves, [vec!["db", "own"], vec!["web"], vec!["log"]]);
        assert_eq!(of(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]), [vec!["c"], vec!["a", "b"]]);
        assert!(of(&[]).is_empty());
    }
}
