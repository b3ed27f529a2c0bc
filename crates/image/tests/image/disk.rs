//! Images on a small, real disk that has no room, no inodes, or turns read-only: an ext4 in a file.
//!
//! Whatever is asked then ends in one line that says so; what was there before stays, nothing is left over, and when
//! the disk is well again the same works.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use longshore_image::{Changed, CommitOptions, Error, Images, Nobody, RemoveOptions};
use longshore_store::{Life, Options, State, Store};
use longshore_types::Kind;
use tempfile::TempDir;

use crate::{
    bed::{assert_accounted, pull, service},
    fake::{Fake, Image, noise, tar},
    local::{
        archive::{self, docker},
        load, loaded,
    },
};

/// A mounted ext4; goes with the value.
struct Disk {
    dir: TempDir,
    device: String,
}

const SIZE: u64 = 24 << 20;

impl Disk {
    /// With so many inodes. What the kernel finds wrong makes it read-only. With blocks as large as pages: where they are
    /// smaller, what SQLite shares between its connections can lack part of a page on a full disk (SIGBUS).
    fn new(inodes: u32) -> Self {
        let dir = TempDir::new().expect("a directory");
        let image = dir.path().join("image");
        File::create(&image).expect("a file").set_len(SIZE).expect("its length");
        let inodes = inodes.to_string();
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-b", "4096", "-N", &inodes, "-E", "lazy_itable_init=0"])
            .arg(&image));
        let mount = dir.path().join("mount");
        fs::create_dir(&mount).expect("a directory");
        run(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(&image).arg(&mount));
        let source =
            Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(&mount).output().expect("findmnt");
        let device = String::from_utf8(source.stdout).expect("text").trim().to_owned();
        Self { dir, device }
    }

    fn mount(&self) -> PathBuf {
        self.dir.path().join("mount")
    }

    fn root(&self) -> PathBuf {
        self.mount().join("data")
    }

    fn open(&self) -> (Images, longshore_store::Recovery) {
        let options = Options { reserve: 256 << 10, ..Options::default() };
        let (store, recovery) = Store::open(self.root(), options).expect("it opens");
        (service(store), recovery)
    }

    /// Turns it read-only, as the kernel does when it finds something wrong.
    fn fail(&self) {
        let name = Path::new(&self.device).file_name().expect("a name");
        let trigger = Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error");
        fs::write(trigger, "test").expect("an error of the file system");
    }

    /// Takes it out, checks it and puts it in again.
    fn heal(&self) {
        run(Command::new("umount").arg(self.mount()));
        let image = self.dir.path().join("image");
        // Says 1 where it mended something.
        let status = Command::new("fsck.ext4").args(["-f", "-p"]).arg(&image).output().expect("fsck").status;
        assert!(status.code().is_some_and(|code| code <= 1), "fsck: {status}");
        run(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(image).arg(self.mount()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.mount()).output().ok();
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Files beside the data root that take the room, or the inodes.
fn fill(disk: &Disk, leave: u64) {
    use std::io::Write;
    let mut file = File::create(disk.mount().join("filling")).expect("a file");
    let block = vec![1; 64 << 10];
    while file.write_all(&block).is_ok() {}
    let full = file.metadata().expect("a file").len();
    file.set_len(full.saturating_sub(leave)).expect("room");
    file.sync_all().expect("on the disk");
}

fn take_inodes(disk: &Disk, leave: usize) {
    let dir = disk.mount().join("filling");
    fs::create_dir(&dir).expect("a directory");
    let mut made = 0;
    while File::create(dir.join(made.to_string())).is_ok() {
        made += 1;
    }
    for name in 0..leave.min(made) {
        fs::remove_file(dir.join(name.to_string())).expect("a file");
    }
}

fn give_back(disk: &Disk) {
    let filling = disk.mount().join("filling");
    fs::remove_file(&filling).or_else(|_| fs::remove_dir_all(&filling)).expect("the filling");
    // Blocks can be had again once the journal says that they were given back.
    run(Command::new("sync").arg("-f").arg(disk.mount()));
}

/// What is asked.
const VERBS: [&str; 5] = ["pull", "load", "commit", "tag", "remove"];

/// Two images for everything that is asked: one that is there, one that comes.
struct Scene {
    fake: Fake,
    coming: Image,
    archive: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let files: Vec<(String, Vec<u8>)> =
            (0..60).map(|number| (format!("d/{number}"), noise(number, 20_000))).collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (&**name, &**content)).collect();
        let coming = Image::of(&[tar(&files), tar(&[("top", b"top")])]);
        let archive = docker(&[archive::Image::new(&["loaded:1"], &[archive::tar(&files)], 2)]);
        Self { fake: Fake::good(), coming, archive }
    }

    /// A disk with an image on it.
    fn prepare(&self, disk: &Disk) {
        let (images, _) = disk.open();
        let base = archive::tar(&[("base", &noise(99, 300_000))]);
        loaded(&images, &docker(&[archive::Image::new(&["base:1"], &[base], 1)]));
    }

    async fn act(&self, verb: &str, images: &Images) -> Result<(), Error> {
        match verb {
            "pull" => pull(images, &self.fake.add("1", &self.coming)).await.map(drop),
            "load" => load(images, &self.archive).0.map(drop),
            "commit" => {
                let parent = images.find("base:1", None)?;
                let layers = images.store().image(&parent)?.expect("there").layers;
                let snapshot = images.store().snapshot(&layers, "build", Life::Process)?;
                let written = fs::write(snapshot.upper_path().join("new"), noise(5, 900_000));
                // A container that cannot write is not the store's failure.
                if written.is_err() {
                    return Err(longshore_store::Error::NoSuchSnapshot { id: snapshot.id() }.into());
                }
                let options = CommitOptions {
                    parent: Some(parent),
                    repository: "made".into(),
                    ..CommitOptions::default()
                };
                images.commit(Changed::Snapshot(snapshot), &options).map(drop)
            }
            "tag" => {
                let target = images.store().resolve("base:1")?.target;
                Ok(images.store().tag(&crate::bed::name("other:1"), target)?)
            }
            _ => images.remove("base:1", RemoveOptions::default(), &Nobody).map(drop),
        }
    }
}

/// All that is there is whole, and nothing else is.
fn assert_whole(images: &Images, context: &str) {
    let store = images.store();
    store.wait_for_trash().ok();
    for image in store.images().expect("images") {
        assert_eq!(image.state, State::Complete, "{context}");
    }
    let report = store.check().expect("checked");
    assert!(report.damaged.is_empty(), "{context}: {report:?}");
    assert_accounted(images);
}

fn assert_clear(error: &Error, words: &[&str], context: &str) {
    let line = error.line();
    assert!(!line.contains('\n') && line.len() < 400, "{context}: {line}");
    assert!(words.iter().any(|word| line.to_lowercase().contains(word)), "{context}: {line}");
}

/// The disk has less and less of something: each verb fails clearly or succeeds, and works when there is more.
async fn with_less(take: impl Fn(&Disk, u64), steps: &[u64], inodes: u32) {
    let scene = Scene::new();
    for verb in VERBS {
        let mut failed = 0;
        for &left in steps {
            let disk = Disk::new(inodes);
            scene.prepare(&disk);
            let context = format!("{verb} with {left} left");
            let (images, _) = disk.open();
            take(&disk, left);
            let done = scene.act(verb, &images).await;
            if let Err(error) = &done {
                failed += 1;
                let is_container = verb == "commit" && error.kind() == Kind::NotFound;
                if !is_container {
                    assert_eq!(error.kind(), Kind::ResourceExhausted, "{context}: {error:?}");
                    assert_clear(error, &["no space left", "disk is full"], &context);
                }
            }
            let known = images.store().resolve("base:1");
            assert_eq!(known.is_ok(), verb != "remove" || done.is_err(), "{context}");
            give_back(&disk);
            assert_whole(&images, &context);
            if done.is_err() {
                scene.act(verb, &images).await.unwrap_or_else(|error| panic!("{context}: {}", error.line()));
            }
            drop(images);
            let (images, recovery) = disk.open();
            assert!(recovery.damaged.is_empty(), "{context}: {recovery:?}");
            assert_whole(&images, &context);
        }
        assert!(failed > 0 || ["tag", "remove"].contains(&verb), "{verb} never failed");
        // What frees room is possible without any.
        assert!(verb != "remove" || failed == 0, "{verb} failed {failed} times");
    }
}

#[tokio::test]
async fn without_room() {
    with_less(fill, &[0, 64 << 10, 512 << 10, 1 << 20, 2 << 20], 2048).await;
}

#[tokio::test]
async fn without_inodes() {
    with_less(|disk, left| take_inodes(disk, usize::try_from(left).expect("few")), &[0, 1, 5, 20, 60], 256)
        .await;
}

#[tokio::test]
async fn on_a_disk_that_turned_read_only() {
    let scene = Scene::new();
    for verb in VERBS {
        let disk = Disk::new(2048);
        scene.prepare(&disk);
        let (images, _) = disk.open();
        disk.fail();
        let error = scene.act(verb, &images).await.expect_err(verb);
        let is_container = verb == "commit" && error.kind() == Kind::NotFound;
        if !is_container {
            assert_clear(&error, &["read-only file system", "is mounted read-only"], verb);
        }
        // Reading goes on.
        assert!(images.store().resolve("base:1").is_ok(), "{verb}");
        drop(images);
        disk.heal();
        let (images, recovery) = disk.open();
        assert!(recovery.damaged.is_empty(), "{verb}: {recovery:?}");
        assert!(images.store().resolve("base:1").is_ok(), "{verb}");
        assert_whole(&images, verb);
        scene.act(verb, &images).await.unwrap_or_else(|error| panic!("{verb}: {}", error.line()));
        assert_whole(&images, verb);
    }
}
