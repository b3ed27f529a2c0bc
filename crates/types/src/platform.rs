//! What an image was built for, normalised as containerd does it, and which of an index' platforms fits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Kind;

/// An operating system and a processor, as image-spec `image-index.md` has it. Fields may be as somebody wrote them;
/// [`Platform::normalized`] makes them comparable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    #[serde(rename = "os.version", default, skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::oci::or_default"
    )]
    pub os_features: Vec<String>,
}

/// Why a string names no platform. The words are containerd's up to the colon; clients match on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    #[error("{part:?} is an invalid OS component of {text:?}: it is like linux, or windows(10.0)")]
    System { part: String, text: String },
    #[error("{part:?} is an invalid component of {text:?}: letters, digits, '_', '.' and '-' are allowed")]
    Component { part: String, text: String },
    #[error("{text:?}: cannot parse platform specifier: it is like linux/arm64, or linux/arm/v7")]
    Shape { text: String },
    #[error("{text:?}: unknown operating system or architecture")]
    Unknown { text: String },
}

impl PlatformError {
    /// Always the caller's input.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
    "macos",
];
const PROCESSORS: &[&str] = &[
    "386", "amd64", "arm", "arm64", "armhf", "armel", "aarch64", "i386", "loong64", "mips", "mips64",
    "mips64le", "mipsle", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64",
    "wasm", "x86_64", "x86-64",
];
/// How much of bad input an error repeats, in characters.
const SHOWN: usize = 100;

impl Platform {
    /// A platform without a variant, normalised.
    #[must_use]
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), ..Self::default() }.normalized()
    }

    /// What this program was built for.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            "mips64" if cfg!(target_endian = "little") => "mips64le",
            other => other,
        };
        Self::new("linux", architecture)
    }

    /// Reads `os`, `architecture`, `os/architecture` or `os/architecture/variant`; what is left out is the host's.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let shown = || self::shown(text);
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        if !is_part(parts[0], true) {
            return Err(PlatformError::System { part: self::shown(parts[0]), text: shown() });
        }
        if let Some(part) = parts[1..].iter().find(|part| !is_part(part, false)) {
            return Err(PlatformError::Component { part: self::shown(part), text: shown() });
        }
        if parts.len() > 3 {
            return Err(PlatformError::Shape { text: shown() });
        }
        let (os, os_version) = match parts[0].split_once('(') {
            Some((os, version)) => (os, version.trim_end_matches(')')),
            None => (parts[0], ""),
        };
        let mut platform = match parts[..] {
            [_, architecture] => Self::new(os, architecture),
            [_, architecture, variant] => Self {
                variant: variant.to_owned(),
                ..Self { os: os.to_owned(), architecture: architecture.to_owned(), ..Self::default() }
            }
            .normalized(),
            _ => {
                let lower = os.to_ascii_lowercase();
                if SYSTEMS.contains(&lower.as_str()) {
                    Self { os: lower, ..Self::host() }.normalized()
                } else if PROCESSORS.contains(&lower.as_str()) {
                    Self::new("linux", &lower)
                } else {
                    return Err(PlatformError::Unknown { text: shown() });
                }
            }
        };
        os_version.clone_into(&mut platform.os_version);
        Ok(platform)
    }

    /// The same platform in the words that comparing needs: `x86_64` is `amd64`, `arm` is `arm/v7`, `arm64/v8` is
    /// `arm64`.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let os = match self.os.to_ascii_lowercase() {
            os if os == "macos" => "darwin".to_owned(),
            os => os,
        };
        let (architecture, variant) =
            (self.architecture.to_ascii_lowercase(), self.variant.to_ascii_lowercase());
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Self {
            os,
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
        }
    }

    /// Whether this says nothing a program could run on: what builders write for attestations.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os.is_empty() || self.os == "unknown" || self.architecture == "unknown"
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn is_part(text: &str, may_have_version: bool) -> bool {
    let is_word = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    let word = match text.split_once('(') {
        Some((word, rest)) if may_have_version => {
            if !rest.strip_suffix(')').is_some_and(|version| version.bytes().all(is_word)) {
                return false;
            }
            word
        }
        _ => text,
    };
    !word.is_empty() && word.bytes().all(is_word)
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse(text)
    }
}

/// Which platforms will do for a wanted one, best first.
#[derive(Clone, Debug)]
pub struct Matcher {
    wanted: Platform,
    /// Architecture and variant.
    accepted: Vec<(String, String)>,
}

impl Matcher {
    /// Takes what runs on `wanted`: lower variants of the same processor, and 386 on amd64.
    #[must_use]
    pub fn new(wanted: &Platform) -> Self {
        let wanted = wanted.normalized();
        let accepted = accepted(&wanted.architecture, &wanted.variant);
        Self { wanted, accepted }
    }

    /// Also takes 32-bit arm on arm64; only some arm64 processors run it.
    #[must_use]
    pub fn with_arm_on_arm64(mut self) -> Self {
        if self.wanted.architecture == "arm64" {
            self.accepted.extend(self::accepted("arm", "v8"));
        }
        self
    }

    /// What was asked for.
    #[must_use]
    pub const fn wanted(&self) -> &Platform {
        &self.wanted
    }

    /// How well `platform` fits: 0 is best, `None` is not at all.
    #[must_use]
    pub fn rank(&self, platform: &Platform) -> Option<usize> {
        let platform = platform.normalized();
        let version = self.wanted.os_version.as_str();
        if platform.os != self.wanted.os || !(version.is_empty() || version == platform.os_version) {
            return None;
        }
        self.accepted.iter().position(|(architecture, variant)| {
            *architecture == platform.architecture && *variant == platform.variant
        })
    }
}

fn accepted(architecture: &str, variant: &str) -> Vec<(String, String)> {
    let all = |architecture: &str, variants: &[&str]| -> Vec<(String, String)> {
        variants.iter().map(|variant| (architecture.to_owned(), (*variant).to_owned())).collect()
    };
    let number = variant.trim_start_matches('v').parse::<u32>().unwrap_or(0).min(32);
    match architecture {
        "amd64" => {
            let mut list: Vec<_> =
                (2..=number).rev().map(|n| (architecture.to_owned(), format!("v{n}"))).collect();
            if number < 2 && !variant.is_empty() {
                list.push((architecture.to_owned(), variant.to_owned()));
            }
            list.extend(all("amd64", &[""]));
            list.extend(all("386", &[""]));
            list
        }
        "arm" if (5..=8).contains(&number) => {
            (5..=number).rev().map(|n| (architecture.to_owned(), format!("v{n}"))).collect()
        }
        "arm64" if !variant.is_empty() => {
            // v9.2 runs v9.1, v9 and, as every v9 does, v8.5 and what is below.
            let (major, minor) = variant
                .trim_start_matches('v')
                .split_once('.')
                .unwrap_or((variant.trim_start_matches('v'), "0"));
            let minor = minor.parse::<u32>().unwrap_or(0).min(32);
            let version = |major: u32, minor: u32| match (major, minor) {
                (8, 0) => String::new(),
                (major, 0) => format!("v{major}"),
                (major, minor) => format!("v{major}.{minor}"),
            };
            let mut list: Vec<String> = Vec::new();
            match major {
                "9" => {
                    list.extend((0..=minor).rev().map(|minor| version(9, minor)));
                    list.extend((0..=minor.saturating_add(5)).rev().map(|minor| version(8, minor)));
                }
                "8" => list.extend((0..=minor).rev().map(|minor| version(8, minor))),
                _ => list.extend([variant.to_owned(), String::new()]),
            }
            list.into_iter().map(|variant| (architecture.to_owned(), variant)).collect()
        }
        _ => vec![(architecture.to_owned(), variant.to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::{Matcher, Platform};

    fn parse(text: &str) -> Platform {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn normalises_as_containerd_does() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/x86-64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/i386", "linux/386"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/arm64/v9.0", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/arm/5", "linux/arm/v5"),
            ("macos/arm64", "darwin/arm64"),
            ("s390x", "linux/s390x"),
            ("armhf", "linux/arm/v7"),
            ("windows(10.0.17763)/amd64", "windows/amd64"),
        ] {
            let platform = parse(text);
            assert_eq!(platform.to_string(), expected, "{text}");
            assert_eq!(platform.normalized(), platform, "{text}");
        }
        assert_eq!(parse("windows(10.0.17763)/amd64").os_version, "10.0.17763");
        assert_eq!(parse("linux"), Platform::host());
        assert!(Platform::new("unknown", "unknown").is_unknown());
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for (text, words) in [
            ("", "\"\" is an invalid OS component of \"\""),
            ("   ", "\"   \" is an invalid OS component of \"   \""),
            ("/", "\"\" is an invalid OS component of \"/\""),
            ("linux(1/amd64", "\"linux(1\" is an invalid OS component of \"linux(1/amd64\""),
            ("a\0/b", "\"a\\0\" is an invalid OS component of \"a\\0/b\""),
            ("linux/", "\"\" is an invalid component of \"linux/\""),
            ("linux/am d64", "\"am d64\" is an invalid component of \"linux/am d64\""),
            ("linux/amd64(1)", "\"amd64(1)\" is an invalid component of \"linux/amd64(1)\""),
            ("linux/a/b/c", "\"linux/a/b/c\": cannot parse platform specifier"),
            ("toaster", "\"toaster\": unknown operating system or architecture"),
        ] {
            let error = text.parse::<Platform>().unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        let long = "x/".repeat(1 << 16);
        assert!(long.parse::<Platform>().unwrap_err().to_string().len() < 400);
    }

    #[test]
    fn ranks_what_runs() {
        let rank = |wanted: &str, offered: &str| Matcher::new(&parse(wanted)).rank(&parse(offered));
        assert_eq!(rank("linux/amd64", "linux/amd64"), Some(0));
        assert_eq!(rank("linux/amd64", "linux/amd64/v2"), None);
        assert_eq!(rank("linux/amd64/v3", "linux/amd64/v3"), Some(0));
        assert_eq!(rank("linux/amd64/v3", "linux/amd64/v2"), Some(1));
        assert_eq!(rank("linux/amd64/v3", "linux/amd64"), Some(2));
        assert_eq!(rank("linux/amd64", "linux/386"), Some(1));
        assert_eq!(rank("linux/386", "linux/amd64"), None);
        assert_eq!(rank("linux/arm/v8", "linux/arm"), Some(1));
        assert_eq!(rank("linux/arm", "linux/arm/v5"), Some(2));
        assert_eq!(rank("linux/arm/v6", "linux/arm/v7"), None);
        assert_eq!(rank("linux/arm64", "linux/arm64/v8"), Some(0));
        assert_eq!(rank("linux/arm64", "linux/arm/v7"), None);
        assert_eq!(rank("linux/arm64/v9", "linux/arm64"), Some(6));
        assert_eq!(rank("linux/amd64", "windows/amd64"), None);
        let asked = Matcher::new(&parse("linux/arm64")).with_arm_on_arm64();
        assert_eq!(asked.rank(&parse("linux/arm/v7")), Some(2));
    }
}
