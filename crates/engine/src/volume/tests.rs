use std::{
    collections::BTreeMap, fs, os::fd::AsFd, os::fd::OwnedFd, os::unix::fs as unix,
    os::unix::fs::MetadataExt, path::Path,
};

use longshore_types::{
    ContainerId, Filters,
    container::{Config, HostConfig, Mount, MountType, VolumeOptions},
};
use tempfile::TempDir;

use super::{ANONYMOUS, Create, Error, ImageSource, Other, Prepared, Volumes};
use crate::{db::Db, event::Events};

/// No image at all.
#[derive(Debug)]
struct Nothing;

impl ImageSource for Nothing {
    fn find(&self, name: &str) -> super::Result<String> {
        Err(Error::NoSuchVolume { name: name.into() })
    }

    fn mount(&self, id: &str) -> super::Result<OwnedFd> {
        Err(Error::NoSuchVolume { name: id.into() })
    }
}

struct Bed {
    dir: TempDir,
    events: Events,
    volumes: Volumes,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::default();
        let volumes = open(dir.path(), &events);
        Self { dir, events, volumes }
    }

    fn again(self) -> Self {
        let Self { dir, events, volumes } = self;
        drop(volumes);
        let volumes = open(dir.path(), &events);
        Self { dir, events, volumes }
    }

    fn actions(&self) -> Vec<String> {
        self.events.subscribe().history.iter().map(|event| event.action.clone()).collect()
    }
}

fn open(dir: &Path, events: &Events) -> Volumes {
    let db = Db::open(&dir.join("engine.db")).unwrap();
    Volumes::open(&dir.join("data"), &dir.join("exec"), db, events.clone(), Nothing).unwrap()
}

fn named(name: &str) -> Create {
    Create { name: name.into(), ..Create::default() }
}

fn id(letter: &str) -> ContainerId {
    ContainerId::new(letter.repeat(64)).unwrap()
}

fn filters(text: &str) -> Filters {
    Filters::parse(text).unwrap()
}

fn names(volumes: &Volumes, text: &str) -> Vec<String> {
    volumes.list(&filters(text)).unwrap().into_iter().map(|volume| volume.name).collect()
}

fn prepare(
    volumes: &Volumes,
    id: &ContainerId,
    config: &Config,
    host: &HostConfig,
) -> super::Result<Prepared> {
    volumes.prepare(id, config, host, |_| None)
}

fn binds(list: &[&str]) -> HostConfig {
    HostConfig { binds: Some(list.iter().map(|text| (*text).to_owned()).collect()), ..HostConfig::default() }
}

#[test]
fn a_volume_lives_from_its_row_to_its_removal() {
    let bed = Bed::new();
    let made = bed.volumes.create(named("v1")).unwrap();
    assert_eq!(bed.volumes.create(named("v1")).unwrap(), made);
    fs::write(bed.volumes.path("v1").join("file"), "12345").unwrap();
    assert_eq!(bed.volumes.size("v1"), 5);
    let bed = bed.again();
    assert_eq!(bed.volumes.inspect("v1").unwrap(), made);
    bed.volumes.remove("v1", false).unwrap();
    let error = bed.volumes.inspect("v1").unwrap_err().to_string();
    assert_eq!(error, "get v1: no such volume");
    assert!(bed.volumes.remove("v1", false).is_err());
    bed.volumes.remove("v1", true).unwrap();
    assert!(!bed.volumes.path("v1").exists());
    assert_eq!(bed.actions(), ["create", "destroy"]);
    // Nothing of the old one is in a new one.
    bed.volumes.create(named("v1")).unwrap();
    assert_eq!(fs::read_dir(bed.volumes.path("v1")).unwrap().count(), 0);
}

#[test]
fn names_and_drivers_that_are_refused() {
    let bed = Bed::new();
    let refused = |create: Create| bed.volumes.create(create).unwrap_err().to_string();
    let characters = "includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path";
    for name in ["../x", ".removed", "a/b", "-a", "a\nb", "ä1"] {
        assert_eq!(refused(named(name)), format!("create {name}: {name:?} {characters}"));
    }
    assert!(refused(named(&"a".repeat(256))).contains("invalid characters"));
    assert!(refused(named("a")).contains("too short"));
    let driver = Create { driver: "fish".into(), ..named("v1") };
    assert_eq!(refused(driver), "create v1: error looking up volume plugin fish: plugin \"fish\" not found");
    let with = |option: &str| Create { options: [(option.into(), "x".into())].into(), ..named("v1") };
    assert_eq!(refused(with("fish")), "create v1: invalid option: \"fish\"");
    assert_eq!(refused(with("type")), "create v1: missing required option: \"device\"");
    assert_eq!(refused(with("o")), "create v1: missing required option: \"device\"");
    assert_eq!(refused(with("size")), "create v1: quota size requested but no quota support");
    assert!(names(&bed.volumes, "").is_empty());
}

#[test]
fn who_uses_a_volume_keeps_it() {
    let bed = Bed::new();
    let config =
        Config { volumes: Some([("/anonymous".to_owned(), Default::default())].into()), ..Config::default() };
    let prepared = prepare(&bed.volumes, &id("a"), &config, &binds(&["v1:/named:ro"])).unwrap();
    let [anonymous, point] = &prepared.points[..] else { panic!("{prepared:?}") };
    assert_eq!((point.name.as_str(), point.mode.as_str(), point.rw), ("v1", "ro", false));
    assert_eq!(
        (anonymous.destination.as_str(), anonymous.name.len(), anonymous.mode.as_str()),
        ("/anonymous", 64, "")
    );
    assert!(bed.volumes.inspect(&anonymous.name).unwrap().labels.contains_key(ANONYMOUS));
    let error = bed.volumes.remove("v1", true).unwrap_err();
    assert_eq!(error.to_string(), format!("remove v1: volume is in use - [{}]", id("a")));
    assert_eq!(error.kind(), longshore_types::Kind::Conflict);
    assert_eq!(names(&bed.volumes, r#"{"dangling":["true"]}"#), [""; 0]);
    // Another daemon is told who has what.
    let bed = bed.again();
    bed.volumes.hold(&id("a"), &prepared.points, false);
    assert!(bed.volumes.remove("v1", false).is_err());
    bed.volumes.release(&id("a"), &prepared.points, true).unwrap();
    assert_eq!(names(&bed.volumes, r#"{"dangling":["true"]}"#), ["v1"]);
    assert_eq!(names(&bed.volumes, ""), ["v1"], "the anonymous one went with its container");
}

#[test]
fn a_container_that_is_not_made_leaves_nothing() {
    let bed = Bed::new();
    bed.volumes.create(named("old")).unwrap();
    for host in [binds(&["old:/a", "new:/b", "/x:/a"]), binds(&["new:/b", "x:/c:what"])] {
        assert!(prepare(&bed.volumes, &id("a"), &Config::default(), &host).is_err());
        assert_eq!(names(&bed.volumes, ""), ["old"]);
    }
    let host = HostConfig { volumes_from: Some(vec!["gone".into()]), ..HostConfig::default() };
    assert!(prepare(&bed.volumes, &id("a"), &Config::default(), &host).is_err());
    bed.volumes.remove("old", false).unwrap();
}

#[test]
fn filters_and_prune() {
    let bed = Bed::new();
    let labelled =
        |name: &str, label: &str| Create { labels: [(label.into(), "1".into())].into(), ..named(name) };
    bed.volumes.create(labelled("aa", "x")).unwrap();
    bed.volumes.create(labelled("ab", "y")).unwrap();
    let anonymous = bed.volumes.create(Create::default()).unwrap().name;
    assert_eq!(names(&bed.volumes, r#"{"label":["x=1"]}"#), ["aa"]);
    assert_eq!(names(&bed.volumes, r#"{"name":["b"],"label":["y"]}"#), ["ab"]);
    assert_eq!(names(&bed.volumes, r#"{"driver":["fish"]}"#), [""; 0]);
    let error = bed.volumes.list(&filters(r#"{"fish":["1"]}"#)).unwrap_err();
    assert_eq!(error.to_string(), "invalid filter 'fish'");
    fs::write(bed.volumes.path(&anonymous).join("file"), "123").unwrap();
    let pruned = bed.volumes.prune(&filters("")).unwrap();
    assert_eq!((pruned.names, pruned.reclaimed), (vec![anonymous], 3));
    let pruned = bed.volumes.prune(&filters(r#"{"all":["1"],"label!":["x"]}"#)).unwrap();
    assert_eq!(pruned.names, ["ab"]);
    assert_eq!(names(&bed.volumes, ""), ["aa"]);
}

#[test]
fn what_an_image_has_is_copied_into_an_empty_volume() {
    let bed = Bed::new();
    let root = tempfile::tempdir().unwrap();
    let at = root.path().join("data");
    fs::create_dir_all(at.join("sub")).unwrap();
    fs::write(at.join("sub/file"), "hello").unwrap();
    fs::hard_link(at.join("sub/file"), at.join("link")).unwrap();
    unix::symlink("/etc/shadow", at.join("symlink")).unwrap();
    unix::chown(&at, Some(7), Some(8)).unwrap();
    unix::chown(at.join("sub/file"), Some(9), Some(9)).unwrap();
    let config =
        Config { volumes: Some([("/data".to_owned(), Default::default())].into()), ..Config::default() };
    let prepared = prepare(&bed.volumes, &id("a"), &config, &binds(&["no:/data2", "v1:/none"])).unwrap();
    let fd = fs::File::open(root.path()).unwrap();
    let copy = || bed.volumes.populate(&prepared.points, &prepared.asked, fd.as_fd()).unwrap();
    copy();
    let volume = bed.volumes.path(&prepared.points[0].name);
    assert_eq!(fs::read_to_string(volume.join("sub/file")).unwrap(), "hello");
    let (file, link) =
        (fs::metadata(volume.join("sub/file")).unwrap(), fs::metadata(volume.join("link")).unwrap());
    assert_eq!((file.ino(), file.uid(), file.gid()), (link.ino(), 9, 9));
    assert_eq!(fs::metadata(&volume).unwrap().uid(), 7);
    assert_eq!(fs::read_link(volume.join("symlink")).unwrap(), Path::new("/etc/shadow"));
    // What is there stays.
    fs::remove_file(volume.join("link")).unwrap();
    copy();
    assert!(!volume.join("link").exists());
}

#[test]
fn volumes_of_another_container() {
    let bed = Bed::new();
    let first = prepare(&bed.volumes, &id("a"), &Config::default(), &binds(&["v1:/v:rw"])).unwrap();
    let other = Other { mounts: first.points, asked: first.asked };
    let host = HostConfig { volumes_from: Some(vec!["a:ro".into()]), ..HostConfig::default() };
    let second = bed
        .volumes
        .prepare(&id("b"), &Config::default(), &host, |name| (name == "a").then(|| other.clone()))
        .unwrap();
    assert_eq!((second.points[0].name.as_str(), second.points[0].rw), ("v1", false));
    assert_eq!(bed.volumes.users("v1").len(), 2);
}

fn resolved_text(bed: &Bed, prepared: &Prepared) -> super::Result<String> {
    let resolved = bed.volumes.resolve(&id("a"), &prepared.points, &prepared.asked)?;
    let source = &resolved.mounts[0].source;
    Ok(fs::read_to_string(source.join("file")).unwrap_or_default())
}

#[test]
fn a_part_of_a_volume_stays_within_it() {
    let bed = Bed::new();
    bed.volumes.create(named("v1")).unwrap();
    let path = bed.volumes.path("v1");
    fs::create_dir(path.join("sub")).unwrap();
    fs::write(path.join("sub/file"), "inside").unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "outside").unwrap();
    unix::symlink(outside.path(), path.join("out")).unwrap();
    let asked = |subpath: &str| {
        let options = VolumeOptions { subpath: subpath.into(), ..VolumeOptions::default() };
        let mount = Mount {
            kind: MountType::Volume,
            source: "v1".into(),
            target: "/x".into(),
            volume_options: Some(options),
            ..Mount::default()
        };
        let host = HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() };
        prepare(&bed.volumes, &id("a"), &Config::default(), &host)
    };
    let text = |subpath: &str| resolved_text(&bed, &asked(subpath).unwrap());
    assert_eq!(text("sub").unwrap(), "inside");
    assert!(text("out").is_err(), "a link leads to nothing inside");
    assert!(text("gone").is_err());
    assert!(asked("../x").is_err());
    let left = fs::read_dir(bed.dir.path().join("exec/mounts")).unwrap().count();
    assert_eq!(left, 0, "what was held for a start is gone");
}

#[test]
fn the_driver_mounts_while_a_container_runs() {
    let bed = Bed::new();
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=64k,mode=700,noexec")];
    let options: BTreeMap<_, _> = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    bed.volumes.create(Create { options, ..named("v1") }).unwrap();
    let prepared = prepare(&bed.volumes, &id("a"), &Config::default(), &binds(&["v1:/x"])).unwrap();
    let path = bed.volumes.path("v1");
    let device = || fs::metadata(&path).unwrap().dev();
    let before = device();
    drop(bed.volumes.resolve(&id("a"), &prepared.points, &prepared.asked).unwrap());
    assert_ne!(device(), before, "a tmpfs is mounted");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    bed.volumes.ended(&id("a"), &prepared.points).unwrap();
    assert_eq!(device(), before, "and is gone");
    assert_eq!(bed.actions(), ["create", "mount", "unmount"]);
}

#[test]
fn sources_of_binds() {
    let bed = Bed::new();
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("a/b");
    let text = format!("{}:/x", missing.display());
    let prepared = prepare(&bed.volumes, &id("a"), &Config::default(), &binds(&[&text])).unwrap();
    assert_eq!(prepared.points[0].propagation, "rprivate");
    let resolved = bed.volumes.resolve(&id("a"), &prepared.points, &prepared.asked).unwrap();
    assert_eq!(resolved.mounts[0].source, missing);
    assert!(missing.is_dir());
    let mount = Mount {
        kind: MountType::Bind,
        source: missing.display().to_string(),
        target: "/x".into(),
        ..Mount::default()
    };
    let host = HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() };
    let prepared = prepare(&bed.volumes, &id("a"), &Config::default(), &host).unwrap();
    fs::remove_dir(&missing).unwrap();
    let error = bed.volumes.resolve(&id("a"), &prepared.points, &prepared.asked).unwrap_err();
    assert!(error.to_string().contains("bind source path does not exist"), "{error}");
    // What is within our directories is as the daemon's mounts are.
    let text = format!("{}:/x", bed.dir.path().join("data").display());
    let prepared = prepare(&bed.volumes, &id("a"), &Config::default(), &binds(&[&text])).unwrap();
    assert_eq!(prepared.points[0].propagation, "rslave");
}

#[test]
fn what_was_begun_is_ended() {
    let bed = Bed::new();
    bed.volumes.create(named("v1")).unwrap();
    bed.volumes.create(named("v2")).unwrap();
    let root = bed.dir.path().join("data/volumes");
    // A removal that got as far as the rename; a creation that did not get to its row.
    fs::create_dir(root.join(".removed")).unwrap();
    fs::rename(root.join("v1"), root.join(".removed/v1@5")).unwrap();
    fs::create_dir_all(root.join("half/_data")).unwrap();
    let bed = bed.again();
    assert_eq!(names(&bed.volumes, ""), ["v2"]);
    assert!(!root.join("half").exists());
    assert_eq!(fs::read_dir(root.join(".removed")).unwrap().count(), 0);
}
