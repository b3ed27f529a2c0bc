//! Names with slashes in paths: `/images/registry:5000/team/app/json`.
//!
//! Routes have one segment for a name. Here its slashes become `%2F`, which is what routes see as a slash again.

use std::borrow::Cow;

use axum::http::Method;

/// What may follow a name, by resource and method. The longest comes first.
struct Resource {
    prefix: &'static str,
    get: &'static [&'static str],
    post: &'static [&'static str],
    put: &'static [&'static str],
}

const RESOURCES: &[Resource] = &[
    Resource {
        prefix: "/images/",
        get: &["/attestations", "/get", "/history", "/json"],
        post: &["/push", "/tag"],
        put: &[],
    },
    Resource { prefix: "/distribution/", get: &["/json"], post: &[], put: &[] },
    Resource {
        prefix: "/plugins/",
        get: &["/json"],
        post: &["/disable", "/enable", "/push", "/set", "/upgrade"],
        put: &[],
    },
    Resource {
        prefix: "/containers/",
        get: &["/archive", "/attach/ws", "/changes", "/export", "/json", "/logs", "/stats", "/top"],
        post: &[
            "/attach", "/copy", "/exec", "/kill", "/pause", "/rename", "/resize", "/restart", "/start",
            "/stop", "/unpause", "/update", "/wait",
        ],
        put: &["/archive"],
    },
    Resource { prefix: "/volumes/", get: &[], post: &[], put: &[] },
    Resource { prefix: "/networks/", get: &[], post: &["/connect", "/disconnect"], put: &[] },
];

/// The path with one segment for each name.
pub(super) fn one_segment_per_name<'a>(method: &Method, path: &'a str) -> Cow<'a, str> {
    let Some(resource) = RESOURCES.iter().find(|resource| path.starts_with(resource.prefix)) else {
        return Cow::Borrowed(path);
    };
    let rest = &path[resource.prefix.len()..];
    let verbs = match *method {
        Method::GET | Method::HEAD => resource.get,
        Method::POST => resource.post,
        Method::PUT => resource.put,
        _ => &[],
    };
    let (name, verb) =
        verbs.iter().find_map(|verb| Some((rest.strip_suffix(verb)?, *verb))).unwrap_or((rest, ""));
    if !name.contains('/') {
        return Cow::Borrowed(path);
    }
    Cow::Owned(format!("{}{}{verb}", resource.prefix, name.replace('/', "%2F")))
}

/// Whether a path reads as text without zeroes once its escapes are undone.
pub(super) fn is_text(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        let get = |path| one_segment_per_name(&Method::GET, path).into_owned();
        assert_eq!(get("/images/a:5000/b/c:1/json"), "/images/a:5000%2Fb%2Fc:1/json");
        assert_eq!(get("/images/json"), "/images/json");
        assert_eq!(get("/images/get"), "/images/get");
        assert_eq!(get("/images/a/json"), "/images/a/json");
        assert_eq!(get("/images/json/json/json"), "/images/json%2Fjson/json");
        assert_eq!(get("/distribution/a/b/json"), "/distribution/a%2Fb/json");
        assert_eq!(get("/containers/a/attach/ws"), "/containers/a/attach/ws");
        assert_eq!(get("/containers/a/../b/json"), "/containers/a%2F..%2Fb/json");
        assert_eq!(get("/containers/json"), "/containers/json");
        assert_eq!(get("/exec/a/b/json"), "/exec/a/b/json");
        let delete = one_segment_per_name(&Method::DELETE, "/images/a/b/json");
        assert_eq!(delete, "/images/a%2Fb%2Fjson");
        let post = one_segment_per_name(&Method::POST, "/images/a/b/push");
        assert_eq!(post, "/images/a%2Fb/push");
        assert_eq!(one_segment_per_name(&Method::POST, "/containers/a/attach"), "/containers/a/attach");
    }

    #[test]
    fn escapes_must_be_text() {
        for path in ["/a%20b", "/a", "/%C3%A4", "/..%2f..%2F"] {
            assert!(is_text(path), "{path}");
        }
        for path in ["/%00", "/%zz", "/%1", "/%", "/%ff", "/%C3"] {
            assert!(!is_text(path), "{path}");
        }
    }
}
