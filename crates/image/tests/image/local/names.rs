//! Names, lists, details and histories.

use longshore_image::{Filters, ListOptions};
use serde_json::json;

use super::{
    Place,
    archive::{Image, docker, tar},
    loaded, tags,
};

fn images() -> (Place, longshore_image::Images, Vec<Image>) {
    let place = Place::new();
    let images = place.images();
    let base = tar(&[("base", b"1234")]);
    let all = vec![
        Image::new(&["base:1", "base:2"], std::slice::from_ref(&base), 10),
        Image::new(&["lib/app:1", "r.example/lib/app:1"], &[base.clone(), tar(&[("app", b"12")])], 20),
        Image::new(&[], &[base, tar(&[("none", b"1")])], 30),
    ];
    loaded(&images, &docker(&all));
    (place, images, all)
}

fn listed(
    images: &longshore_image::Images,
    filters: &serde_json::Value,
    all: bool,
) -> Result<Vec<Vec<String>>, String> {
    let filters = Filters::parse(&filters.to_string()).map_err(|error| error.to_string())?;
    let found = images.list(&ListOptions { all, filters, manifests: true }).map_err(|error| error.line())?;
    let names = |one: &longshore_image::Summary| one.tags.iter().map(|tag| tag.familiar()).collect();
    Ok(found.iter().map(names).collect())
}

#[test]
fn filters_of_a_list() {
    let (_place, images, all) = images();
    let none = Vec::<String>::new();
    let base = vec!["base:1".to_owned(), "base:2".to_owned()];
    let app = vec!["lib/app:1".to_owned(), "r.example/lib/app:1".to_owned()];
    let list = |filters| listed(&images, &filters, false);
    assert_eq!(list(json!({})), Ok(vec![none.clone(), app.clone(), base.clone()]));
    assert_eq!(list(json!({"dangling": ["true"]})), Ok(vec![none.clone()]));
    assert_eq!(list(json!({"dangling": ["false"]})), Ok(vec![app.clone(), base.clone()]));
    assert_eq!(list(json!({"label": ["n=10"]})), Ok(vec![base.clone()]));
    assert_eq!(list(json!({"before": ["lib/app:1"]})), Ok(vec![base.clone()]));
    assert_eq!(list(json!({"since": [all[0].id()]})), Ok(vec![none.clone(), app.clone()]));
    assert_eq!(list(json!({"reference": ["base"]})), Ok(vec![base.clone()]));
    assert_eq!(
        list(json!({"reference": ["*:2", "*/app"]})),
        Ok(vec![vec!["lib/app:1".into()], vec!["base:2".into()]])
    );
    // Before the moment itself, and before each of several.
    assert_eq!(list(json!({"until": ["2000-01-01T00:00:20.1Z"]})), Ok(vec![app, base.clone()]));
    assert_eq!(list(json!({"until": ["2000-01-01T00:00:20Z", "2010-01-01"]})), Ok(vec![base]));
    for (filters, message) in [
        (json!({"bogus": ["x"]}), "Invalid filter 'bogus'"),
        (json!({"label!": ["x"]}), "Invalid filter 'label!'"),
        (json!({"dangling": ["1"]}), "Invalid filter 'dangling=[1]'"),
        (json!({"before": ["nosuch"]}), "No such image: nosuch:latest"),
        (json!({"reference": ["["]}), "syntax error in pattern"),
        (json!({"until": ["abc"]}), "failed to parse value as time or duration: \"abc\""),
    ] {
        assert_eq!(list(filters.clone()), Err(message.to_owned()), "{filters}");
    }
}

#[test]
fn sizes_of_a_list() {
    let (_place, images, all) = images();
    let found = images.list(&ListOptions::default()).expect("a list");
    let sizes: Vec<_> = found.iter().map(|one| (one.size, one.shared, one.unique())).collect();
    assert_eq!(sizes, [(5, 4, 1), (6, 4, 2), (4, 4, 0)]);
    assert_eq!(found[0].id.to_string(), all[2].id());
}

#[test]
fn what_a_word_means() {
    let (_place, images, all) = images();
    let id = all[1].id();
    let hex = &id["sha256:".len()..];
    for word in [id.as_str(), hex, &hex[..12], &hex[..6], &id[..20], "lib/app:1", "docker.io/lib/app:1"] {
        assert_eq!(
            images.find(word, None).map(|id| id.to_string()).map_err(|error| error.line()),
            Ok(id.clone()),
            "{word}"
        );
    }
    for (word, message) in [
        ("nosuch", "No such image: nosuch:latest"),
        ("lib/app:9", "No such image: lib/app:9"),
        ("sha256:abcdef", "No such image: sha256:abcdef"),
        (
            "lib/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "No such image: lib/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ),
    ] {
        assert_eq!(images.find(word, None).expect_err(word).line(), message);
    }
    let error = images.find("BAD", None).expect_err("it is upper case").line();
    assert!(error.starts_with("invalid reference format: repository name"), "{error}");
    // A tag that is named as the beginning of an ID is the tag.
    images.tag("base:1", &hex[..12], "latest").expect("a tag");
    assert_eq!(images.find(&hex[..12], None).expect("there").to_string(), all[0].id());
}

#[test]
fn tags_move_silently() {
    let (_place, images, all) = images();
    let base = images.find("base:1", None).expect("there");
    let app = images.find("lib/app:1", None).expect("there");
    images.tag("lib/app:1", "base", "1").expect("a tag");
    assert_eq!(tags(&images, &base), ["base:2"]);
    assert_eq!(tags(&images, &app), ["lib/app:1", "base:1", "r.example/lib/app:1"]);
    images.tag(&all[2].id(), "r.example/x", "").expect("a tag");
    assert_eq!(images.find("r.example/x:latest", None).expect("there").to_string(), all[2].id());
    let digest = format!("x@{}", all[0].id());
    let hex = "0".repeat(64);
    for (source, repository, tag, message) in [
        ("nosuch", "x", "1", "No such image: nosuch:latest"),
        ("base:2", "x", "a b", "invalid tag format"),
        ("base:2", "", "1", "invalid reference format"),
        ("base:2", &digest, "", "refusing to create a tag with a digest reference"),
        (
            "base:2",
            &hex,
            "1",
            &format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings"),
        ),
    ] {
        assert_eq!(images.tag(source, repository, tag).expect_err(repository).line(), message);
    }
}

#[test]
fn details() {
    let (_place, images, all) = images();
    let details = images.inspect("lib/app:1", None).expect("details");
    assert_eq!(details.id.to_string(), all[1].id());
    assert_eq!(details.layers.len(), 2);
    assert_eq!(details.layers[1].bytes, 2);
    assert_eq!(details.sizes.total, 6);
    assert!(details.last_tagged.is_some());
    assert_eq!(details.config.created.as_deref(), Some("2000-01-01T00:00:20Z"));
    assert_eq!((details.comment(), details.container(), details.docker_version()), ("", "", ""));
    let untagged = images.inspect(&all[2].id(), None).expect("details");
    assert_eq!((untagged.tags, untagged.last_tagged), (Vec::new(), None));
}

#[test]
fn a2_47_histories_that_say_too_little_or_too_much() {
    let place = Place::new();
    let images = place.images();
    let layer = |text: &[u8]| tar(&[("f", text)]);
    let image = |history| {
        let mut image = Image::new(&["a:1"], &[layer(b"1"), layer(b"22")], 1);
        image.config["history"] = history;
        image
    };
    let empty = json!({"created_by": "nothing", "empty_layer": true});
    for (history, expected) in [
        (json!([]), vec![("", 2), ("", 1)]),
        (json!(null), vec![("", 2), ("", 1)]),
        (json!([{"created_by": "a"}]), vec![("", 2), ("a", 1)]),
        (json!([{"created_by": "a"}, empty, {"created_by": "b"}]), vec![("b", 2), ("nothing", 0), ("a", 1)]),
        (
            json!([{"created_by": "a"}, {"created_by": "b"}, {"created_by": "c"}, {}]),
            vec![("", 0), ("c", 0), ("b", 2), ("a", 1)],
        ),
    ] {
        let image = image(history);
        loaded(&images, &docker(std::slice::from_ref(&image)));
        let steps = images.history("a:1", None).expect("a history");
        let found: Vec<_> = steps.iter().map(|step| (step.created_by.as_str(), step.size)).collect();
        assert_eq!(found, expected);
        let ids: Vec<_> = steps.iter().map(|step| step.id.is_some()).collect();
        assert!(ids[0]);
        assert!(!ids[1..].contains(&true));
        assert_eq!(steps[0].tags.len(), 1);
    }
    // No layers at all.
    let mut image = Image::new(&["empty:1"], &[], 1);
    image.config["rootfs"]["diff_ids"] = json!(null);
    loaded(&images, &docker(&[image]));
    assert_eq!(images.history("empty:1", None).expect("a history"), []);
}

#[test]
fn parents_are_in_the_history() {
    let place = Place::new();
    let images = place.images();
    let base = Image::new(&["base:1"], &[tar(&[("a", b"1")])], 1);
    let child = Image::new(&["child:1"], &[base.layers[0].clone(), tar(&[("b", b"2")])], 2).on(&base);
    loaded(&images, &docker(&[base.clone(), child.clone()]));
    let steps = images.history("child:1", None).expect("a history");
    let ids: Vec<_> = steps.iter().map(|step| step.id.as_ref().map(ToString::to_string)).collect();
    assert_eq!(ids, [Some(child.id()), Some(base.id())]);
    assert_eq!(steps[1].tags[0].familiar(), "base:1");
}
