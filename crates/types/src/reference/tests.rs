use super::{Reference, ReferenceError};

const F: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

fn parse(text: &str) -> Reference {
    Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn familiar_and_full_names() {
    // Domain, path, familiar name, and other spellings of the same.
    for (domain, path, familiar, others) in [
        ("docker.io", "library/debian", "debian", &["docker.io/debian", "index.docker.io/debian"][..]),
        ("docker.io", "library/debian", "debian", &["library/debian", "index.docker.io/library/debian"]),
        ("docker.io", "user/app", "user/app", &["index.docker.io/user/app", "docker.io/user/app"]),
        ("docker.io", "other/library", "other/library", &[]),
        ("docker.io", "library/a/b", "library/a/b", &["docker.io/library/a/b"]),
        ("docker.io", "library/ubuntu-12.04-base", "ubuntu-12.04-base", &[]),
        ("docker.io", "library/localhost", "localhost", &[]),
        ("docker.io", "library/192.168.0.1", "192.168.0.1", &[]),
        ("localhost", "app", "localhost/app", &[]),
        ("localhost:5000", "app", "localhost:5000/app", &[]),
        ("LOCALDOMAIN", "a/b", "LOCALDOMAIN/a/b", &[]),
        ("Foo", "bar", "Foo/bar", &[]),
        ("127.0.0.1:8000", "private/moonbase", "127.0.0.1:8000/private/moonbase", &[]),
        ("example.com", "app", "example.com/app", &[]),
        ("sub-dom1.foo.com", "bar/baz/quux", "sub-dom1.foo.com/bar/baz/quux", &[]),
        ("xn--n3h.com", "app", "xn--n3h.com/app", &[]),
        ("[::1]:5000", "app", "[::1]:5000/app", &[]),
        ("[2001:db8:1:2:3:4:5:6]", "app", "[2001:db8:1:2:3:4:5:6]/app", &[]),
    ] {
        let full = format!("{domain}/{path}");
        for text in [familiar, full.as_str()].iter().chain(others) {
            let reference = parse(text);
            assert_eq!((reference.domain(), reference.path()), (domain, path), "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(reference.to_string(), full, "{text}");
            assert_eq!(reference.repository(), full, "{text}");
        }
    }
}

#[test]
fn tags_and_digests() {
    for (text, path, tag, digest) in [
        ("test.com:tag", "library/test.com", Some("tag"), None),
        ("test.com:5000", "library/test.com", Some("5000"), None),
        ("foo_bar.com:8080", "library/foo_bar.com", Some("8080"), None),
        ("registry:99999", "library/registry", Some("99999"), None),
        ("lowercase:Uppercase", "library/lowercase", Some("Uppercase"), None),
        ("192.168.1.1:5000/repo:5050", "repo", Some("5050"), None),
        (
            "b.gcr.io/test.example.com/my-app:test.example.com",
            "test.example.com/my-app",
            Some("test.example.com"),
            None,
        ),
        (&format!("test:5000/repo@{F}"), "repo", None, Some(F)),
        (&format!("test:5000/repo:tag@{F}"), "repo", Some("tag"), Some(F)),
        (&format!("[2001:db8::1]:5000/repo:tag@{F}"), "repo", Some("tag"), Some(F)),
        (&format!("xn--7o8h.com/myimage:xn--7o8h.com@{F}"), "myimage", Some("xn--7o8h.com"), Some(F)),
        (&format!("a:{}", "x".repeat(128)), "library/a", Some("x".repeat(128).as_str()), None),
    ] {
        let reference = parse(text);
        assert_eq!(reference.path(), path, "{text}");
        assert_eq!(reference.tag(), tag, "{text}");
        assert_eq!(reference.digest().map(|digest| digest.as_str()), digest, "{text}");
        assert_eq!(parse(&reference.to_string()), reference, "{text}");
        assert_eq!(parse(&reference.familiar()), reference, "{text}");
    }
}

#[test]
fn names_that_are_allowed() {
    let long = "a/".repeat(127) + "a:tag-puts-this-over-max";
    let longest = format!("example.com/{}:tag", "a".repeat(255));
    for text in [
        "docker-rules/docker",
        "docker---rules/docker",
        "d/docker",
        "dock__er/docker",
        "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
        // With a domain there is no doubt whether it is an ID.
        "docker.io/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a",
        "[2001:db8::]:5000/repo",
        "registry:99999/x",
        &long,
        &longest,
    ] {
        parse(text);
    }
}

#[test]
fn c1_18_names_that_are_refused() {
    let id = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a";
    let upper = |name: &str| ReferenceError::Uppercase { name: name.into() };
    for (text, error) in [
        ("", ReferenceError::Empty),
        (":justtag", ReferenceError::Format),
        (&format!("@{F}"), ReferenceError::Format),
        ("https://github.com/docker/docker", ReferenceError::Format),
        ("docker/Docker", upper("docker/Docker")),
        ("Uppercase:tag", upper("library/Uppercase")),
        ("test:5000/Uppercase/lowercase:tag", upper("Uppercase/lowercase")),
        ("docker.io/docker/Docker", upper("docker/Docker")),
        ("-docker", ReferenceError::Format),
        ("docker-/docker", ReferenceError::Format),
        ("-docker.io/docker/docker", ReferenceError::Format),
        ("docker///docker", ReferenceError::Format),
        ("docker/", ReferenceError::Format),
        ("/docker", ReferenceError::Format),
        ("____/____", ReferenceError::Format),
        ("_docker/_docker", ReferenceError::Format),
        ("dock..er/docker", ReferenceError::Format),
        ("dock_.er/docker", ReferenceError::Format),
        ("dock-.er/docker", ReferenceError::Format),
        ("dock___er", ReferenceError::Format),
        ("..", ReferenceError::Format),
        ("../../etc/passwd", ReferenceError::Format),
        ("example.com/../x", ReferenceError::Format),
        ("a/%2e%2e/b", ReferenceError::Format),
        ("aa/asdf$$^/aa", ReferenceError::Format),
        ("bücher", ReferenceError::Format),
        ("a\0b", ReferenceError::Format),
        ("a b", ReferenceError::Format),
        ("a:b:c", ReferenceError::Format),
        ("a:", ReferenceError::Format),
        ("a:-b", ReferenceError::Format),
        (&format!("a:{}", "x".repeat(129)), ReferenceError::Format),
        ("[2001:db8::1]", ReferenceError::Format),
        ("[2001:db8::1]:5000", ReferenceError::Format),
        ("fc00::1:5000/debian", ReferenceError::Format),
        ("[fe80::1%eth0]:5000/debian", ReferenceError::Format),
        ("[2001:db8:3:4::192.0.2.33]:5000/debian", ReferenceError::Format),
        ("[]/x", ReferenceError::Format),
        ("[::1]x/y", ReferenceError::Format),
        ("a.b:/x", ReferenceError::Format),
        ("foo_bar.com/x", ReferenceError::Format),
        ("user@evil.com/x", ReferenceError::Format),
        ("repo@sha256:../../x", ReferenceError::Format),
        (id, ReferenceError::Hexadecimal { name: id.into() }),
        (&format!("domain.org/{}:tag", "a".repeat(256)), ReferenceError::TooLong),
        (&"a".repeat(1 << 20), ReferenceError::TooLong),
    ] {
        assert_eq!(Reference::parse(text), Err(error), "{text}");
    }
    for text in ["repo@sha256:ffff", "repo@md5:ffff", "repo@", "repo@sha256:FF"] {
        let error = Reference::parse(text).unwrap_err();
        assert!(matches!(error, ReferenceError::Digest(_)), "{text}: {error}");
    }
}

#[test]
fn errors_have_the_words_of_docker() {
    let text = |name: &str| Reference::parse(name).unwrap_err().to_string();
    assert_eq!(text("a//b"), "invalid reference format");
    assert_eq!(text("a/B"), "invalid reference format: repository name (a/B) must be lowercase");
    assert_eq!(text(&"ab/".repeat(100)), "invalid reference format");
}

#[test]
fn versions_are_replaced() {
    let reference = parse("app");
    assert_eq!(reference.clone().with_default_tag().to_string(), "docker.io/library/app:latest");
    assert_eq!(parse("app:1").with_default_tag().tag(), Some("1"));
    assert_eq!(parse(&format!("app@{F}")).with_default_tag().tag(), None);
    assert_eq!(parse(&format!("app@{F}")).with_tag("2").unwrap().familiar(), "app:2");
    assert_eq!(parse("app:1").with_digest(F.parse().unwrap()).familiar(), format!("app@{F}"));
    assert_eq!(reference.with_tag("a/b"), Err(ReferenceError::Tag));
    assert_eq!(reference.with_tag(""), Err(ReferenceError::Tag));
}

#[test]
fn what_is_read_is_written_and_read_again() {
    // Every string of up to five characters of an alphabet that has each class of the grammar.
    let alphabet = ['a', 'B', '0', '.', '_', '-', '/', ':', '@', '['];
    let mut accepted = 0;
    for number in 0..100_000_u32 {
        let mut rest = number;
        let text: String = std::iter::from_fn(|| {
            let digit = alphabet[(rest % 10) as usize];
            (rest > 0).then(|| {
                rest /= 10;
                digit
            })
        })
        .collect();
        if let Ok(reference) = Reference::parse(&text) {
            accepted += 1;
            assert_eq!(parse(&reference.to_string()), reference, "{text}");
            assert_eq!(parse(&reference.familiar()), reference, "{text}");
        }
    }
    assert!(accepted > 500, "{accepted}");
}
