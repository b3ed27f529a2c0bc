//! Which events a client wants, by Docker's rules.

use longshore_engine::event::{Event, Object};
use longshore_types::{Filters, Reference};

/// Actions that have something behind a colon: filters name what is before it.
const OPEN_ENDED: [&str; 3] = ["exec_create", "exec_start", "health_status"];
/// Filters that find what an event is about by the beginning of its ID or name.
const NAMED: [&str; 9] =
    ["config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume"];

/// Whether an event is wanted.
pub(super) fn wants(filters: &Filters, event: &Event) -> bool {
    if filters.is_empty() {
        return true;
    }
    has_action(filters, &event.action)
        && filters.exactly("type", event.object.name())
        && filters.exactly("scope", "local")
        && NAMED.iter().all(|key| has_name(filters, key, event))
        && is_of_image(filters, event)
        && filters.labels("label", &event.attributes)
}

fn has_action(filters: &Filters, action: &str) -> bool {
    if filters.exactly("event", action) {
        return true;
    }
    let is_open = filters.values("event").any(|wanted| OPEN_ENDED.contains(&wanted));
    is_open && filters.values("event").any(|wanted| action.starts_with(wanted))
}

/// As Docker does, whatever the event is about: it must be so called, or its name must begin so.
fn has_name(filters: &Filters, key: &str, event: &Event) -> bool {
    if filters.exactly(key, &event.id) {
        return true;
    }
    let name = event.attributes.get("name").map_or("", String::as_str);
    filters.values(key).any(|wanted| event.id.starts_with(wanted) || name.starts_with(wanted))
}

fn is_of_image(filters: &Filters, event: &Event) -> bool {
    let key = if event.object == Object::Image { "name" } else { "image" };
    let name = event.attributes.get(key).map_or("", String::as_str);
    [event.id.as_str(), name]
        .into_iter()
        .any(|word| filters.exactly("image", word) || filters.exactly("image", &without_tag(word)))
}

fn without_tag(word: &str) -> String {
    Reference::parse(word).map_or_else(|_| word.to_owned(), |name| name.familiar_repository())
}

#[cfg(test)]
mod tests {
    use longshore_types::Timestamp;

    use super::*;

    fn event(object: Object, action: &str, id: &str, attributes: &[(&str, &str)]) -> Event {
        let attributes =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Event { object, action: action.into(), id: id.into(), attributes, time: Timestamp(1) }
    }

    #[test]
    fn filters_are_dockers() {
        let start = event(
            Object::Container,
            "start",
            "c0ffee",
            &[("name", "web-1"), ("image", "busybox:1"), ("tier", "front")],
        );
        let exec = event(Object::Container, "exec_start: sh", "c0ffee", &[("name", "web-1")]);
        let pull = event(Object::Image, "pull", "busybox:1", &[("name", "busybox")]);
        for (filters, wanted) in [
            ("", [true, true, true]),
            (r#"{"type":["container"]}"#, [true, true, false]),
            (r#"{"type":["container","image"]}"#, [true, true, true]),
            (r#"{"event":["start"]}"#, [true, false, false]),
            (r#"{"event":["exec_start"]}"#, [false, true, false]),
            (r#"{"container":["web-1"]}"#, [true, true, false]),
            (r#"{"container":["c0f"]}"#, [true, true, false]),
            (r#"{"container":["other"]}"#, [false, false, false]),
            (r#"{"image":["busybox"]}"#, [true, false, true]),
            (r#"{"image":["busybox:1"]}"#, [true, false, true]),
            (r#"{"image":["busybox:2"]}"#, [false, false, false]),
            (r#"{"label":["tier=front"]}"#, [true, false, false]),
            (r#"{"label":["tier"],"type":["image"]}"#, [false, false, false]),
            (r#"{"scope":["swarm"]}"#, [false, false, false]),
            (r#"{"scope":["local"]}"#, [true, true, true]),
        ] {
            let filters = Filters::parse(filters).unwrap();
            let found = [&start, &exec, &pull].map(|event| wants(&filters, event));
            assert_eq!(found, wanted, "{filters:?}");
        }
    }
}
