use super::{parse_duration, parse_rfc3339, parse_timestamp, rfc3339};

#[test]
fn dates_go_there_and_back() {
    for (text, seconds, nanos) in [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2000-02-29T23:59:59.5Z", 951_868_799, 500_000_000),
        ("2026-11-21T11:58:15.000000001Z", 1_795_262_295, 1),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("1969-12-31T23:59:59Z", -1, 0),
    ] {
        assert_eq!(parse_rfc3339(text), Some((seconds, nanos)), "{text}");
        assert_eq!(rfc3339((seconds, nanos)), text);
    }
    assert_eq!(parse_rfc3339("2000-01-01T01:30:00+01:30"), parse_rfc3339("2000-01-01T00:00:00Z"));
    for bad in [
        "",
        "2000",
        "2000-13-01T00:00:00Z",
        "2001-02-29T00:00:00Z",
        "2000-01-01",
        "2000-01-01T00:00:00",
        "2000-01-01T25:00:00Z",
        "2000-01-01T00:00:00.Z",
        "2000-01-01T00:00:00+1:00",
        "2000-01-01T00:00:00Zx",
        "２０００-01-01T00:00:00Z",
    ] {
        assert_eq!(parse_rfc3339(bad), None, "{bad}");
    }
}

#[test]
fn durations_are_those_of_go() {
    for (text, nanos) in [
        ("0", Some(0)),
        ("1s", Some(1_000_000_000)),
        ("1h30m", Some(5_400_000_000_000)),
        ("-1.5s", Some(-1_500_000_000)),
        (".5ms", Some(500_000)),
        ("3µs", Some(3_000)),
        ("1", None),
        ("", None),
        ("s", None),
        ("1d", None),
        ("1..5s", None),
        ("99999999999h", None),
        ("1e3s", None),
    ] {
        assert_eq!(parse_duration(text), nanos, "{text}");
    }
}

#[test]
fn until_takes_all_forms() {
    let now = (1_000_000, 5);
    for (text, expected) in [
        ("10m", Some((999_400, 5))),
        ("0", Some((0, 0))),
        ("0s", Some((1_000_000, 5))),
        ("1136073845", Some((1_136_073_845, 0))),
        ("1136073845.000000001", Some((1_136_073_845, 1))),
        ("2006-01-02", Some((1_136_160_000, 0))),
        ("2006-01-02T15", Some((1_136_214_000, 0))),
        ("2006-01-02T15:04", Some((1_136_214_240, 0))),
        ("2006-01-02T15:04:05", Some((1_136_214_245, 0))),
        ("2006-01-02T15:04:05.5Z", Some((1_136_214_245, 500_000_000))),
        ("2006-01-02T15:04:05+01:00", Some((1_136_210_645, 0))),
        ("abc", None),
        ("", None),
        ("5.x", None),
    ] {
        assert_eq!(parse_timestamp(text, now), expected, "{text}");
    }
}
