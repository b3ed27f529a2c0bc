//! Pruning: Docker's rules and our own.

use longshore_image::{Filters, Images, Nobody, PruneOptions, Why};

use super::{
    Place,
    archive::{Image, docker, tar},
    loaded,
    remove::{Containers, container},
    tags,
};

/// Five images of 1 to 5 kilobytes: `a:1` to `a:4`, and one without a name.
fn five() -> (Place, Images, Vec<Image>) {
    let place = Place::new();
    let images = place.images();
    let layer = |size: usize| tar(&[("f", &vec![u8::try_from(size).expect("small"); size * 1000])]);
    let mut all: Vec<_> = (1..5)
        .map(|at| Image::new(&[&format!("a:{at}")], &[layer(at)], u32::try_from(at).expect("small")))
        .collect();
    all.push(Image::new(&[], &[layer(5)], 5));
    loaded(&images, &docker(&all));
    (place, images, all)
}

fn filters(text: &str) -> Filters {
    Filters::parse(text).expect("filters")
}

fn left(images: &Images) -> Vec<String> {
    images.store().tags().expect("tags").iter().map(|tag| tag.name.familiar()).collect()
}

#[test]
fn dangling_ones() {
    let (_place, images, all) = five();
    let dry =
        images.prune(&PruneOptions { dry_run: true, ..PruneOptions::default() }, &Nobody).expect("a plan");
    assert_eq!(images.store().images().expect("images").len(), 5);
    let pruned = images.prune(&PruneOptions::default(), &Nobody).expect("pruned");
    assert_eq!(dry, pruned);
    assert_eq!(pruned.freed, 5000);
    assert_eq!(pruned.stayed.len(), 4);
    assert!(pruned.stayed.iter().all(|one| one.why == Why::Tagged));
    assert!(images.find(&all[4].id(), None).is_err());
    let again = images.prune(&PruneOptions::default(), &Nobody).expect("pruned");
    assert_eq!((again.freed, again.steps), (0, vec![]));
}

#[test]
fn all_that_nobody_uses() {
    let (_place, images, all) = five();
    images.tag("a:2", "a", "second").expect("a tag");
    let users = Containers([(all[1].id(), vec![container(false, Some("a:second"))])].into());
    let options = PruneOptions { filters: filters(r#"{"dangling":["false"]}"#), ..PruneOptions::default() };
    let pruned = images.prune(&options, &users).expect("pruned");
    // The name that the container was made from is the one to stay.
    assert_eq!(left(&images), ["a:second"]);
    assert_eq!(pruned.freed, 13_000);
    assert!(matches!(&pruned.stayed[..], [one] if matches!(one.why, Why::Used(_))));
    images.store().collect().expect("collected");
    assert_eq!(images.store().ledger(std::time::Duration::ZERO).expect("a ledger").unaccounted, 0);
}

#[test]
fn by_label_and_age() {
    let (_place, images, _) = five();
    let options = PruneOptions {
        filters: filters(r#"{"dangling":["false"],"until":["2000-01-01T00:00:02Z"],"label!":["n=1"]}"#),
        ..PruneOptions::default()
    };
    let pruned = images.prune(&options, &Nobody).expect("pruned");
    assert_eq!(left(&images), ["a:1", "a:3", "a:4"]);
    assert!(pruned.stayed.iter().all(|one| one.why == Why::Filtered));
    for (text, message) in [
        (r#"{"bogus":["x"]}"#, "Invalid filter 'bogus'"),
        (r#"{"dangling":["maybe"]}"#, "Invalid filter 'dangling=[maybe]'"),
        (r#"{"until":["abc"]}"#, "failed to parse value as time or duration: \"abc\""),
    ] {
        let options = PruneOptions { filters: filters(text), ..PruneOptions::default() };
        assert_eq!(images.prune(&options, &Nobody).expect_err(text).line(), message);
    }
}

#[test]
fn down_to_a_size_and_a_number() {
    let (_place, images, all) = five();
    let every = filters(r#"{"dangling":["false"]}"#);
    let options = PruneOptions { filters: every.clone(), keep_last: Some(2), ..PruneOptions::default() };
    let pruned = images.prune(&options, &Nobody).expect("pruned");
    assert_eq!(left(&images), ["a:3", "a:4"]);
    assert!(pruned.stayed.iter().all(|one| one.why == Why::KeepLast));
    // The least recently used goes first, until the rest fits.
    struct Used(String);
    impl longshore_image::Users for Used {
        fn of(&self, _: &longshore_types::ImageId) -> Vec<longshore_image::User> {
            Vec::new()
        }
        fn last_used(&self, image: &longshore_types::ImageId) -> Option<i64> {
            (image.to_string() == self.0).then_some(i64::MAX)
        }
    }
    let options = PruneOptions { filters: every, keep_bytes: Some(3500), ..PruneOptions::default() };
    let pruned = images.prune(&options, &Used(all[2].id())).expect("pruned");
    assert_eq!(left(&images), ["a:3"]);
    assert_eq!(pruned.stayed[0].why, Why::Fits);
    let id = images.find("a:3", None).expect("there");
    assert_eq!(tags(&images, &id), ["a:3"]);
}
