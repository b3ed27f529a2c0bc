//! What is different each time, replaced by a word for it.

/// Ids, times, and blanks that only align.
pub(crate) fn normal(text: &str, place: &str) -> String {
    let text = text.replace(place, "PLACE");
    // What the client says of its own pipes when it gives up depends on who is first.
    let lines = text.lines().filter(|line| !line.contains("level=error msg=\"Can't ")).map(|line| {
        let words: Vec<String> = line.split_whitespace().map(word).collect();
        ago(&words.join(" "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A word with its ids and times replaced.
fn word(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let run: usize =
            rest.bytes().take_while(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()).count();
        match run {
            64 => out.push_str("ID64"),
            12 if rest[..run].bytes().any(|byte| byte.is_ascii_digit()) => out.push_str("ID12"),
            0 => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                // Whole words only: not the tail of another.
                if first.is_ascii_alphanumeric() {
                    let tail = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
                    out.push_str(&rest[..tail]);
                    rest = &rest[tail..];
                }
                continue;
            }
            _ => match time(rest) {
                Some(length) => {
                    out.push_str("TIME");
                    rest = &rest[length..];
                    continue;
                }
                None => out.push_str(&rest[..run]),
            },
        }
        rest = &rest[run..];
        let tail = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        out.push_str(&rest[..tail]);
        rest = &rest[tail..];
    }
    out
}

/// The length of the RFC 3339 time that the text begins with.
fn time(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let form = b"dddd-dd-ddTdd:dd:dd";
    let fits = bytes.len() > form.len()
        && form.iter().zip(bytes).all(|(form, byte)| match form {
            b'd' => byte.is_ascii_digit(),
            form => form == byte,
        });
    if !fits {
        return None;
    }
    let tail = bytes[form.len()..].iter().take_while(|byte| byte.is_ascii_digit() || b".Z+:-".contains(byte));
    Some(form.len() + tail.count())
}

/// `2 seconds ago`, `Up 3 seconds`, `About a minute ago` and the like.
fn ago(line: &str) -> String {
    let units = ["second", "seconds", "minute", "minutes", "hour", "hours", "days", "months", "years"];
    let mut words: Vec<&str> = Vec::new();
    for word in line.split(' ') {
        if !units.contains(&word) {
            words.push(word);
            continue;
        }
        // The amount before it, however it is said.
        while let Some(last) = words.last() {
            let amount = last.bytes().all(|byte| byte.is_ascii_digit())
                || ["a", "an", "About", "Less", "than"].contains(last);
            if !amount {
                break;
            }
            words.pop();
        }
        words.push("DURATION");
    }
    words.join(" ")
}

#[test]
fn what_is_replaced() {
    let id = "0123456789abcdef".repeat(4);
    for (text, expected) in [
        (id.as_str(), "ID64"),
        (&format!("sha256:{id}"), "sha256:ID64"),
        ("0123456789ab  box   \"sh\"", "ID12 box \"sh\""),
        ("feedfacecafe", "feedfacecafe"),
        ("at 2006-01-02T15:04:05.123456789Z, later", "at TIME, later"),
        ("Up 3 seconds", "Up DURATION"),
        ("x Less than a second ago y", "x DURATION ago y"),
        ("Exited (0) About a minute ago", "Exited (0) DURATION ago"),
        ("12 files", "12 files"),
    ] {
        assert_eq!(normal(text, "/nowhere"), expected, "{text}");
    }
}
