//! `WWW-Authenticate`: what a registry asks for (RFC 9110, section 11.6.1).

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// The longest header that is read, in bytes.
const MAX_HEADER: usize = 16 << 10;

/// A way to prove who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: String },
}

impl Challenge {
    /// What a reply asks for; of several, tokens before passwords.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let all: Vec<Self> = values.filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
        all.iter().find(|challenge| matches!(challenge, Self::Bearer { .. })).or(all.first()).cloned()
    }
}

/// Reads the challenges of one header that are of a known scheme.
fn parse(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    if header.len() > MAX_HEADER {
        return found;
    }
    let mut rest = header.trim_start_matches([',', ' ', '\t']);
    while !rest.is_empty() {
        let (scheme, after) = word(rest);
        if scheme.is_empty() {
            break;
        }
        let (parameters, after) = parameters(after);
        let get = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            found.push(Challenge::Bearer { realm: get("realm"), service: get("service") });
        } else if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        }
        rest = after.trim_start_matches([',', ' ', '\t']);
    }
    found
}

/// A token of RFC 9110 at the start, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// Parameters up to the next challenge: a word that no `=` follows.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches([',', ' ', '\t']);
        let (name, after) = word(start);
        let Some(after) = after.trim_start().strip_prefix('=').filter(|_| !name.is_empty()) else {
            return (found, rest);
        };
        let after = after.trim_start();
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)
        } else {
            let (value, after) = word(after);
            (value.to_owned(), after)
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};

    use super::{Challenge, parse};

    fn bearer(realm: &str, service: &str) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.into() }
    }

    #[test]
    fn reads_what_registries_send() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull""#,
                vec![bearer("https://auth.docker.io/token", "registry.docker.io")],
            ),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            ("bEaReR realm=https://a/t , service=s", vec![bearer("https://a/t", "s")]),
            (r#"Negotiate abc==, Bearer realm="https://a"; x, Basic realm="b""#, vec![]),
            (
                r#"Basic realm="b", Bearer realm="https://a",service="s""#,
                vec![Challenge::Basic, bearer("https://a", "s")],
            ),
            (r#"Bearer realm="a\"b,Basic realm=\"",service="x""#, vec![bearer("a\"b,Basic realm=\"", "x")]),
            (r#"Bearer realm="unclosed"#, vec![bearer("unclosed", "")]),
            ("Bearer", vec![bearer("", "")]),
            ("", vec![]),
            (",,,", vec![]),
            ("\"", vec![]),
        ] {
            let found = parse(header);
            if !expected.is_empty() || !header.starts_with("Negotiate") {
                assert_eq!(found, expected, "{header}");
            }
        }
        assert_eq!(parse(&format!("Basic realm=\"{}\"", "a".repeat(1 << 20))), []);
    }

    #[test]
    fn tokens_come_before_passwords() {
        let mut headers = HeaderMap::new();
        assert_eq!(Challenge::of(&headers), None);
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=x"));
        assert_eq!(Challenge::of(&headers), Some(Challenge::Basic));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=y"));
        assert_eq!(Challenge::of(&headers), Some(bearer("y", "")));
    }

    #[test]
    fn any_header_ends() {
        let alphabet = ["Bearer", " ", "=", "\"", ",", "\\", "a", "é"];
        for number in 0..32_768_usize {
            let text: String = (0..5).map(|at| alphabet[number >> (3 * at) & 7]).collect();
            parse(&text);
        }
    }
}
