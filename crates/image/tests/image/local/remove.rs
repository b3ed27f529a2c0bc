//! Docker's rules of removal: the table of what its daemon does.

use std::collections::BTreeMap;

use longshore_image::{Images, Keeper, Nobody, RemoveOptions, Removed, User, Users};
use longshore_types::ImageId;

use super::{
    Place,
    archive::{Image, docker, tar},
    loaded, tags,
};

/// Containers by the image that they were made from.
#[derive(Default)]
pub(super) struct Containers(pub(super) BTreeMap<String, Vec<User>>);

impl Containers {
    pub(super) fn one(image: &str, running: bool) -> Self {
        Self([(image.to_owned(), vec![container(running, None)])].into())
    }
}

pub(super) fn container(running: bool, made_from: Option<&str>) -> User {
    User {
        id: "d00d47656dd0".repeat(6)[..64].to_owned(),
        name: "web".into(),
        running,
        bytes: 0,
        made_from: made_from.map(str::to_owned),
    }
}

impl Users for Containers {
    fn of(&self, image: &ImageId) -> Vec<User> {
        self.0.get(&image.to_string()).cloned().unwrap_or_default()
    }
}

const FORCE: RemoveOptions = RemoveOptions { force: true, no_prune: false };

fn plain() -> RemoveOptions {
    RemoveOptions::default()
}

fn image(tags: &[&str]) -> Image {
    Image::new(tags, &[tar(&[("a", b"12345")])], 1)
}

fn shown(removed: &Removed) -> (Vec<String>, Vec<String>) {
    (removed.untagged().collect(), removed.deleted().collect())
}

fn with(all: &[Image]) -> (Place, Images) {
    let place = Place::new();
    let images = place.images();
    loaded(&images, &docker(all));
    (place, images)
}

fn chain(image: &Image) -> Vec<String> {
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| longshore_types::DiffId(longshore_types::Digest::of(layer)))
        .collect();
    let chains = (1..=layers.len()).rev().filter_map(|count| longshore_types::ChainId::of(&layers[..count]));
    chains.map(|chain| chain.to_string()).collect()
}

#[test]
fn a_tag_of_several() {
    let one = image(&["t:1", "t:2"]);
    let (_place, images) = with(std::slice::from_ref(&one));
    let removed = images.remove("t:1", plain(), &Containers::one(&one.id(), true)).expect("removed");
    assert_eq!(shown(&removed), (vec!["t:1".to_owned()], vec![]));
    assert_eq!(images.find("t:2", None).expect("there").to_string(), one.id());
}

#[test]
fn the_last_tag() {
    let one = image(&["t:1"]);
    let (_place, images) = with(std::slice::from_ref(&one));
    let removed = images.remove("t", plain(), &Nobody).expect_err("there is no t:latest");
    assert_eq!(removed.line(), "No such image: t:latest");
    let removed = images.remove("t:1", plain(), &Nobody).expect("removed");
    assert_eq!(shown(&removed), (vec!["t:1".to_owned()], [vec![one.id()], chain(&one)].concat()));
    assert_eq!(removed.freed, 5);
    super::assert_nothing(&images);
    assert_eq!(images.store().ledger(std::time::Duration::ZERO).expect("a ledger").unaccounted, 0);
}

#[test]
fn shared_layers_stay() {
    let one = image(&["a:1"]);
    let two = Image::new(&["b:1"], &[one.layers[0].clone(), tar(&[("b", b"123")])], 2);
    let (_place, images) = with(&[one.clone(), two.clone()]);
    let removed = images.remove("b:1", plain(), &Nobody).expect("removed");
    assert_eq!(shown(&removed).1, [vec![two.id()], chain(&two)[..1].to_vec()].concat());
    assert_eq!(removed.freed, 3);
    assert_eq!(images.store().layers().expect("layers").len(), 1);
}

#[test]
fn by_id() {
    let one = image(&["t:1", "t:2"]);
    let (_place, images) = with(std::slice::from_ref(&one));
    let removed = images.remove(&one.id()[..19], plain(), &Nobody).expect("removed");
    assert_eq!(shown(&removed).0, ["t:1", "t:2"]);
    let one = image(&["t:1", "u:1"]);
    let (_place, images) = with(std::slice::from_ref(&one));
    let short = &one.id()[7..19];
    let error = images.remove(short, plain(), &Nobody).expect_err("two repositories").line();
    assert_eq!(
        error,
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    let running = Containers::one(&one.id(), true);
    let error = images.remove(short, FORCE, &running).expect_err("it runs").line();
    assert_eq!(
        error,
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container d00d47656dd0"
        )
    );
    let removed = images.remove(short, FORCE, &Nobody).expect("removed");
    assert_eq!(shown(&removed).0, ["t:1", "u:1"]);
    super::assert_nothing(&images);
}

#[test]
fn what_a_container_uses() {
    let one = image(&["t:1"]);
    let (_place, images) = with(std::slice::from_ref(&one));
    let (running, stopped) = (Containers::one(&one.id(), true), Containers::one(&one.id(), false));
    let short = &one.id()[7..19];
    for users in [&running, &stopped] {
        let error = images.remove("t:1", plain(), users).expect_err("it is used").line();
        assert_eq!(
            error,
            format!(
                "conflict: unable to remove repository reference \"t:1\" (must force) - container d00d47656dd0 is using its referenced image {short}"
            )
        );
    }
    let error = images.remove(short, plain(), &stopped).expect_err("it is used").line();
    assert_eq!(
        error,
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container d00d47656dd0"
        )
    );
    // Forced while it runs: only the name goes, and it is said what stays.
    let removed = images.remove("t:1", FORCE, &running).expect("untagged");
    assert_eq!(shown(&removed), (vec!["t:1".to_owned()], vec![]));
    assert_eq!(removed.kept.len(), 1);
    assert_eq!(removed.kept[0].bytes, 5);
    assert!(
        matches!(&removed.kept[0].by[..], [Keeper::Container { name, running: true, .. }] if name == "web")
    );
    let id = images.find(&one.id(), None).expect("it stays");
    assert_eq!(tags(&images, &id), Vec::<String>::new());
    // Forced when it is stopped: the image goes, its layers stay with the container.
    let removed = images.remove(short, FORCE, &stopped).expect("removed");
    assert_eq!(shown(&removed), (vec![], vec![one.id()]));
    assert_eq!(removed.kept[0].bytes, 5);
}

#[test]
fn families() {
    let base = image(&["base:1"]);
    let child = Image::new(&["child:1"], &[base.layers[0].clone(), tar(&[("b", b"123")])], 2).on(&base);
    let (_place, images) = with(&[base.clone(), child.clone()]);
    let short = &base.id()[7..19];
    let removed = images.remove("base:1", plain(), &Nobody).expect("untagged");
    assert_eq!(shown(&removed), (vec!["base:1".to_owned()], vec![]));
    assert!(matches!(&removed.kept[0].by[..], [Keeper::Image(id)] if id.to_string() == child.id()));
    let error = images.remove(short, FORCE, &Nobody).expect_err("it has a child").line();
    assert_eq!(
        error,
        format!("conflict: unable to delete {short} (cannot be forced) - image has dependent child images")
    );
    // The last child takes its nameless parents along.
    let removed = images.remove("child:1", plain(), &Nobody).expect("removed");
    assert_eq!(
        shown(&removed).1,
        [vec![child.id()], chain(&child)[..1].to_vec(), vec![base.id()], chain(&base)].concat()
    );
    super::assert_nothing(&images);
    let (_place, images) = with(&[base.clone(), child]);
    images.remove("base:1", plain(), &Nobody).expect("untagged");
    images.remove("child:1", RemoveOptions { no_prune: true, force: false }, &Nobody).expect("removed");
    assert_eq!(images.find(&base.id(), None).expect("it stays").to_string(), base.id());
}

#[test]
fn an_index_goes_with_all_its_platforms() {
    let place = Place::new();
    let images = place.images();
    loaded(&images, &std::fs::read(testkit::images::ready().oci_archive()).expect("an archive"));
    assert_eq!(images.list(&longshore_image::ListOptions::default()).expect("a list").len(), 1);
    let all = images.store().images().expect("images");
    assert_eq!(all.len(), 3);
    // One platform by its ID: the name stays for the others.
    let arm = all.iter().find(|image| image.platform.architecture == "arm").expect("an image");
    let removed = images.remove(&arm.id.to_string(), plain(), &Nobody).expect("removed");
    assert_eq!(removed.untagged().count(), 0);
    assert_eq!(images.resolve("multi").expect("there").images.len(), 2);
    let removed = images.remove("multi", plain(), &Nobody).expect("removed");
    assert_eq!(shown(&removed).0, ["multi:latest"]);
    super::assert_nothing(&images);
}
