use longshore_types::Reference;

use super::{FilterError, Filters, matches, reference_matches};

#[test]
fn patterns_are_those_of_go() {
    for (pattern, name, expected) in [
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*", "ab/c", false),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[e-g]", "abc", false),
        ("ab[^c]", "abc", false),
        ("ab[^e-g]", "abc", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "a☺b", true),
        ("a?b", "a/b", false),
        ("a*b", "a/b", false),
        ("[\\]a]", "]", true),
        ("[x\\-]", "-", true),
        ("*x", "xxx", true),
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("a**b", "axxb", true),
    ] {
        assert_eq!(matches(pattern, name), Ok(expected), "{pattern} {name}");
    }
    for bad in ["[", "[^", "[a", "a[", "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]"] {
        assert_eq!(matches(bad, "zzz"), Err(FilterError::Pattern), "{bad}");
    }
}

#[test]
fn a_pattern_of_many_stars_takes_no_time() {
    let name = "a".repeat(4000);
    let pattern = format!("{}b", "*a".repeat(2000));
    assert_eq!(matches(&pattern, &name), Ok(false));
}

#[test]
fn references() {
    let name = |text| Reference::parse(text).unwrap();
    for (pattern, text, expected) in [
        ("base", "base:2", true),
        ("b*", "base:2", true),
        ("*:2", "base:2", true),
        ("*:1", "base:2", false),
        ("*/base", "lib/base:2", true),
        ("base", "lib/base:2", false),
        ("lib/base:2", "lib/base:2", true),
        ("*/*/base", "r.io/lib/base:2", true),
        ("docker.io/library/base", "base:2", true),
        ("docker.io/library/base:*", "base:2", true),
        ("docker.io/*/*:1", "base:2", false),
    ] {
        assert_eq!(reference_matches(pattern, &name(text)), Ok(expected), "{pattern} {text}");
    }
}

#[test]
fn both_wire_forms() {
    let new = Filters::parse(r#"{"dangling":["true"],"label":["a","b=c"]}"#).unwrap();
    let old =
        Filters::parse(r#"{"dangling":{"true":true},"label":{"a":true,"b=c":true,"d":false}}"#).unwrap();
    assert_eq!(new, old);
    assert_eq!(new.get("label"), ["a", "b=c"]);
    assert_eq!(Filters::parse("").unwrap(), Filters::default());
    for bad in ["bogus", "[]", "{\"a\":1}", "{\"a\":[1]}", "{\"a\":{\"b\":1}}"] {
        assert!(matches!(Filters::parse(bad), Err(FilterError::Json { .. })), "{bad}");
    }
}

#[test]
fn speaks_as_docker_does() {
    let parse = |text| Filters::parse(text).unwrap();
    let text = |error: FilterError| error.to_string();
    let filters = parse(r#"{"bogus":["x"]}"#);
    assert_eq!(text(filters.check(&["label"]).unwrap_err()), "Invalid filter 'bogus'");
    let filters = parse(r#"{"dangling":["maybe"]}"#);
    assert_eq!(text(filters.boolean("dangling").unwrap_err()), "Invalid filter 'dangling=[maybe]'");
    assert_eq!(
        text(parse(r#"{"dangling":["1"]}"#).boolean("dangling").unwrap_err()),
        "Invalid filter 'dangling=[1]'"
    );
    assert_eq!(parse(r#"{"dangling":["false","true"]}"#).boolean("dangling"), Ok(Some(true)));
    let filters = parse(r#"{"until":["abc"]}"#);
    assert_eq!(
        text(filters.time("until").unwrap_err()),
        "failed to parse value as time or duration: \"abc\""
    );
    assert_eq!(text(FilterError::Pattern), "syntax error in pattern");
}

#[test]
fn labels() {
    let labels = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())].into();
    for (filters, expected) in [
        (r#"{"label":["a"]}"#, true),
        (r#"{"label":["a=1","b="]}"#, true),
        (r#"{"label":["a=2"]}"#, false),
        (r#"{"label":["a","c"]}"#, false),
        (r#"{"label!":["c","a=2"]}"#, true),
        (r#"{"label!":["a"]}"#, false),
        ("{}", true),
    ] {
        assert_eq!(Filters::parse(filters).unwrap().labels(&labels), expected, "{filters}");
    }
}
