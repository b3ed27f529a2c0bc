//! Names: what they may be, whose they are, and new ones.

use longshore_types::ContainerId;

use super::{Container, Containers, Error, Result};

const MANNERS: [&str; 64] = [
    "able", "agile", "airy", "amber", "apt", "avid", "bold", "brave", "bright", "brisk", "calm", "candid",
    "careful", "cheery", "civil", "clever", "cosy", "crisp", "curious", "deft", "eager", "earnest", "easy",
    "fair", "fearless", "fluent", "fond", "frank", "gentle", "glad", "golden", "handy", "hardy", "hearty",
    "honest", "humble", "ideal", "jolly", "keen", "kind", "lively", "loyal", "lucid", "merry", "modest",
    "neat", "nimble", "noble", "patient", "placid", "polite", "proud", "quick", "quiet", "rapid", "serene",
    "sober", "steady", "sunny", "swift", "tidy", "upbeat", "vivid", "warm",
];

/// Navigators, explorers and those who measured the sea and the sky.
const PEOPLE: [&str; 64] = [
    "amundsen",
    "anning",
    "baffin",
    "baret",
    "bass",
    "beaufort",
    "bellingshausen",
    "bering",
    "bingham",
    "bird",
    "bly",
    "bougainville",
    "bowditch",
    "cabot",
    "cartier",
    "chappe",
    "cook",
    "cousteau",
    "davis",
    "drake",
    "earhart",
    "earle",
    "fitzroy",
    "flinders",
    "fresnel",
    "frobisher",
    "gama",
    "gerlache",
    "hakluyt",
    "halley",
    "harrison",
    "henson",
    "hudson",
    "humboldt",
    "ibnmajid",
    "kingsley",
    "laperouse",
    "lovell",
    "magellan",
    "markham",
    "maury",
    "mercator",
    "nansen",
    "nobile",
    "park",
    "peary",
    "piccard",
    "polo",
    "pytheas",
    "rondon",
    "ross",
    "sacagawea",
    "sabine",
    "scoresby",
    "shackleton",
    "speke",
    "stark",
    "tasman",
    "tereshkova",
    "tupaia",
    "vancouver",
    "wegener",
    "xuhong",
    "zhenghe",
];

impl Containers {
    /// Takes a name for a container: the one asked for, without the slash that clients may put before it, or a new one.
    pub(super) fn reserve_name(&self, wanted: Option<&str>, id: &ContainerId) -> Result<String> {
        let Some(wanted) = wanted.filter(|name| !name.is_empty()) else { return Ok(self.new_name(id)) };
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        if !is_valid(name) {
            return Err(Error::BadName { name: wanted.into() });
        }
        let mut names = self.names();
        if let Some(holder) = names.get(name) {
            return Err(Error::NameTaken { name: name.into(), holder: holder.to_string() });
        }
        names.insert(name.into(), id.clone());
        Ok(name.into())
    }

    fn new_name(&self, id: &ContainerId) -> String {
        let mut names = self.names();
        for attempt in 0_u32.. {
            let pick = |words: &[&'static str]| words.get(fastrand::usize(..words.len())).copied();
            let mut name = [pick(&MANNERS), pick(&PEOPLE)].map(Option::unwrap_or_default).join("_");
            if attempt > 5 {
                name.push_str(&fastrand::u32(..attempt.saturating_mul(attempt)).to_string());
            }
            if !names.contains_key(&name) {
                names.insert(name.clone(), id.clone());
                return name;
            }
        }
        id.to_string()
    }

    /// Gives a name back that this container has taken.
    pub(super) fn release_name(&self, name: &str, id: &ContainerId) {
        let mut names = self.names();
        if names.get(name) == Some(id) {
            names.remove(name);
        }
    }

    /// The container that has a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Container> {
        let id = self.names().get(name).cloned()?;
        self.table().get(id.as_str()).cloned()
    }
}

/// Whether Docker takes it: a letter or digit, then at least one letter, digit, `_`, `.` or `-`.
fn is_valid(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.len() >= 2
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::{MANNERS, PEOPLE, is_valid};

    #[test]
    fn takes_what_docker_takes() {
        for name in ["ab", "a1", "web-1", "a_b.c", "0x"] {
            assert!(is_valid(name), "{name}");
        }
        for name in ["", "a", "-a", "_ab", ".ab", "a/b", "a b", "é1", "a\n"] {
            assert!(!is_valid(name), "{name}");
        }
    }

    #[test]
    fn words_are_names_in_order_and_once() {
        for words in [&MANNERS[..], &PEOPLE[..]] {
            assert!(words.iter().all(|word| is_valid(word) && word.bytes().all(|b| b.is_ascii_lowercase())));
            let mut unique = words.to_vec();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), words.len());
        }
    }
}
