//! Images, manifests, tags, and what a word means.

use std::fs;

use longshore_store::{Error, ManifestKind, NewManifest, Prepared, State, Target};
use longshore_types::{Digest, Kind};

use crate::bed::{Bed, image, name};

#[test]
fn an_image_is_there_with_all_that_it_needs() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, digest, mut prepared) = image(&store, &["one", "two"]);
    prepared.push(Prepared::Tag(name("app:1"), Target::Manifest(digest.clone())));
    prepared.push(Prepared::RepoDigest(name("app").without_version().with_digest(digest.clone())));
    store.commit_all(prepared).unwrap();
    drop(store);
    let store = bed.store();
    let found = store.image(&id).unwrap().unwrap();
    assert_eq!(found.state, State::Complete);
    assert_eq!(found.layers.len(), 2);
    assert_eq!(found.labels["a"], "b");
    assert_eq!(store.images().unwrap(), [found]);
    let manifest = store.manifest(&digest).unwrap().unwrap();
    assert_eq!(manifest.parts.len(), 3);
    assert_eq!(manifest.image.as_ref(), Some(&id));
    assert_eq!(store.manifests_of(&id).unwrap().len(), 1);
    let tags = store.tags_of(&id).unwrap();
    assert_eq!(tags.len(), 1);
    assert_eq!(tags[0].name, name("app:1"));
    assert_eq!(tags[0].target, Target::Manifest(digest.clone()));
    let repo_digests = store.repo_digests(&id).unwrap();
    assert_eq!(repo_digests[0].to_string(), format!("docker.io/library/app@{digest}"));
}

#[test]
fn an_image_without_one_of_its_layers_is_refused_whole() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, _, prepared) = image(&store, &["one", "two"]);
    let mut is_first = true;
    let without = prepared.into_iter().filter(|one| {
        let dropped = matches!(one, Prepared::Layer(_)) && std::mem::take(&mut is_first);
        !dropped
    });
    let error = store.commit_all(without.collect()).unwrap_err();
    let missing = Digest::of(b"one");
    assert_eq!(error.to_string(), format!("image {id} cannot be stored without its layer {missing}"));
    assert_eq!(store.images().unwrap(), []);
    assert_eq!(store.layers().unwrap(), []);
    let blobs = fs::read_dir(store.layout().join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 0, "blobs of a commit that failed");
}

#[test]
fn words_mean_what_they_mean_to_docker() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, digest, mut prepared) = image(&store, &["one"]);
    prepared.push(Prepared::Tag(name("app"), Target::Manifest(digest.clone())));
    prepared.push(Prepared::RepoDigest(name("app").without_version().with_digest(digest.clone())));
    store.commit_all(prepared).unwrap();
    let words = [
        "app".to_owned(),
        "app:latest".to_owned(),
        "docker.io/library/app".to_owned(),
        format!("app@{digest}"),
        id.to_string(),
        id.0.hex().to_owned(),
        id.0.short().to_owned(),
        id.0.hex()[..3].to_owned(),
        format!("sha256:{}", &id.0.hex()[..20]),
        digest.to_string(),
    ];
    for word in words {
        let found = store.resolve(&word).unwrap_or_else(|error| panic!("{word}: {error}"));
        assert_eq!(found.images, std::slice::from_ref(&id), "{word}");
    }
    for (word, text) in [
        ("app:2", "No such image: app:2"),
        ("other", "No such image: other:latest"),
        ("user/app", "No such image: user/app:latest"),
        ("A", "No such image: A"),
    ] {
        let error = store.resolve(word).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), Kind::NotFound);
    }
    let other = format!("other@{digest}");
    assert!(matches!(store.resolve(&other), Err(Error::NoSuchImage { .. })), "another repository's digest");
}

#[test]
fn the_beginning_of_two_ids_is_ambiguous() {
    let bed = Bed::new();
    let store = bed.store();
    // Among seventeen, two begin with the same digit.
    let mut ids = Vec::new();
    for number in 0..17 {
        let (id, _, prepared) = image(&store, &[&number.to_string()]);
        store.commit_all(prepared).unwrap();
        ids.push(id);
    }
    let first = |id: &longshore_types::ImageId| id.0.hex()[..1].to_owned();
    let twice =
        ids.iter().map(first).find(|digit| ids.iter().filter(|id| first(id) == *digit).count() > 1).unwrap();
    let error = store.resolve(&twice).unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
    assert_eq!(error.kind(), Kind::InvalidInput);
}

#[test]
fn a_tag_moves_and_goes_and_the_image_stays() {
    let bed = Bed::new();
    let store = bed.store();
    let (one, one_digest, prepared) = image(&store, &["one"]);
    store.commit_all(prepared).unwrap();
    let (two, _, prepared) = image(&store, &["two"]);
    store.commit_all(prepared).unwrap();
    store.tag(&name("app"), Target::Manifest(one_digest.clone())).unwrap();
    assert_eq!(store.resolve("app").unwrap().images, [one]);
    store.tag(&name("app"), Target::Image(two.clone())).unwrap();
    assert_eq!(store.resolve("app").unwrap().images, std::slice::from_ref(&two));
    assert_eq!(store.untag(&name("app")).unwrap(), Target::Image(two));
    assert!(matches!(store.untag(&name("app")), Err(Error::NoSuchTag { .. })));
    assert_eq!(store.images().unwrap().len(), 2);
    let missing = Target::Manifest(Digest::of(b"none"));
    assert!(matches!(store.tag(&name("app"), missing), Err(Error::NoSuchImage { .. })));
    let digest = name("app").without_version().with_digest(one_digest.clone());
    assert!(matches!(store.tag(&digest, Target::Manifest(one_digest)), Err(Error::NoTag { .. })));
}

#[test]
fn an_index_names_the_images_that_are_here() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, digest, mut prepared) = image(&store, &["one"]);
    let index = store.prepare_blob(b"{\"manifests\": []}").unwrap();
    let index_digest = index.digest().clone();
    prepared.push(Prepared::Manifest(NewManifest {
        digest: index_digest.clone(),
        kind: ManifestKind::Index,
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        size: index.size(),
        image: None,
        parts: vec![(Digest::of(b"of another platform"), 7), (digest.clone(), 8)],
    }));
    prepared.push(Prepared::Blob(index));
    prepared.push(Prepared::Tag(name("app"), Target::Manifest(index_digest.clone())));
    store.commit_all(prepared).unwrap();
    let found = store.resolve("app").unwrap();
    assert_eq!(found.images, std::slice::from_ref(&id));
    assert_eq!(found.target, Target::Manifest(index_digest.clone()));
    assert_eq!(store.tags_of(&id).unwrap()[0].name, name("app"));
    assert_eq!(store.indexes_of(&digest).unwrap()[0].digest, index_digest);
}

#[test]
fn a_second_open_is_told_who_holds_the_data_root() {
    let bed = Bed::new();
    let store = bed.store();
    let error = longshore_store::Store::open(bed.root(), longshore_store::Options::default()).unwrap_err();
    let pid = std::process::id();
    assert!(error.to_string().contains(&format!("in use by process {pid}")), "{error}");
    assert_eq!(error.kind(), Kind::Conflict);
    drop(store);
    bed.store();
}
