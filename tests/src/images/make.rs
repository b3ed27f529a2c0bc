//! Making the images: trees and Dockerfile here, everything else by tools.

use super::corpus;
use crate::registry::Registry;
use crate::tool::{self, run, skopeo};
use std::fs;
use std::path::Path;
use std::process::Command;

/// When all images were made.
const CREATED: &str = "2024-01-02T03:04:05.678901234Z";

/// A Dockerfile with every setting that an image can have.
const DOCKERFILE: &str = r#"FROM scratch
LABEL org.example.title="built" empty=""
COPY rootfs /
ENV PATH=/bin A="b c"
RUN echo one > /one && ln -s one /link
RUN rm /one && mkdir -p /dir/sub && echo two > /dir/sub/two
EXPOSE 80/tcp
VOLUME /data
WORKDIR /srv
USER 1000:1000
HEALTHCHECK --interval=5s CMD true
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/sh"]
CMD ["-c", "true"]
"#;

/// Makes everything in `dir`, which does not exist.
pub(super) fn all(dir: &Path) {
    for program in ["umoci", "skopeo", "buildah", "docker-registry", "tar"] {
        crate::require!(tool::has(program), "{program} is not installed");
    }
    fs::create_dir_all(dir).expect("a directory");
    let work = dir.join("work");
    fs::create_dir(&work).expect("a directory");
    let mut registry = Registry::start();

    layout(dir, &work);
    forms(dir, &work, &registry);
    corpus(dir, &work, &registry);
    indexes(dir, &work, &registry);
    built(dir, &work, &registry);

    registry.stop();
    run(Command::new("cp").arg("-a").arg(registry.storage()).arg(dir.join("storage")));
    fs::remove_dir_all(&work).expect("what is no longer needed");
}

/// Packs a tree. `format` is one of GNU tar's.
fn pack(tree: &Path, tar: &Path, format: &[&str]) {
    let mut command = Command::new("tar");
    command.args(["--create", "--numeric-owner", "--sort=name"]).args(format);
    run(command.arg("--directory").arg(tree).arg("--file").arg(tar).arg("."));
}

/// Makes an image of layers in the layout.
fn image(layout: &Path, name: &str, layers: &[&Path], settings: &[&str]) {
    let image = format!("{}:{name}", layout.display());
    run(Command::new("umoci").args(["new", "--image", &image]));
    for layer in layers {
        let mut command = Command::new("umoci");
        command.args(["raw", "add-layer", "--image", &image, "--history.created", CREATED]);
        run(command.args(["--history.created_by", name]).arg(layer));
    }
    let mut command = Command::new("umoci");
    command.args(["config", "--no-history", "--image", &image, "--created", CREATED]);
    run(command.args(["--config.env", "PATH=/bin"]).args(settings));
}

/// The layout with its plain image.
fn layout(dir: &Path, work: &Path) {
    let (tree, tar, layout) = (work.join("base"), work.join("base.tar"), dir.join("layout"));
    fs::create_dir_all(tree.join("bin")).expect("a directory");
    fs::copy("/bin/busybox", tree.join("bin/busybox")).expect("a static busybox");
    for name in ["sh", "cat", "true", "echo"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(name)).expect("a link");
    }
    pack(&tree, &tar, &["--format=ustar", "--mtime", CREATED]);
    run(Command::new("umoci").arg("init").arg("--layout").arg(&layout));
    image(&layout, "base", &[&tar], &["--config.cmd", "/bin/sh"]);
}

/// The plain image in all forms.
fn forms(dir: &Path, work: &Path, registry: &Registry) {
    let base = format!("oci:{}:base", dir.join("layout").display());
    let at = |name: &str| format!("docker://{}", registry.image(name));
    copy(work, &[], &base, &at("lib/oci:1"));
    copy(work, &["--format", "v2s2"], &base, &at("lib/docker:1"));
    compressions(work, &base, &at("lib/zstd:1"), Some(&at("lib/plain:1")));
}

/// Pushes an image with zstd, and not compressed at all.
fn compressions(work: &Path, image: &str, zstd: &str, plain: Option<&str>) {
    let unpacked = work.join("unpacked");
    empty(&unpacked);
    let unpacked = format!("dir:{}", unpacked.display());
    copy(work, &["--dest-decompress"], image, &unpacked);
    copy(work, &["--format", "oci", "--dest-compress-format", "zstd"], &unpacked, zstd);
    if let Some(plain) = plain {
        copy(work, &["--preserve-digests"], &unpacked, plain);
    }
}

/// Makes a directory, or empties it.
fn empty(dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).expect("a directory");
    }
    fs::create_dir(dir).expect("a directory");
}

/// `skopeo copy` that remembers nothing of earlier copies.
fn copy(work: &Path, options: &[&str], from: &str, to: &str) {
    let memory = work.join("memory");
    empty(&memory);
    run(skopeo("copy", &memory).args(options).args([from, to]));
}

/// The corpus, and what umoci makes of it.
fn corpus(dir: &Path, work: &Path, registry: &Registry) {
    let layout = dir.join("layout");
    let pax: &[&str] = &["--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", PAX];
    let tree = |number: usize| work.join(format!("corpus-{number}"));
    let layers = [1, 2, 3].map(|number| dir.join(format!("corpus-{number}.tar")));
    corpus::first(&tree(1));
    corpus::second(&tree(2));
    corpus::third(&tree(3));
    pack(&tree(1), &layers[0], pax);
    pack(&tree(2), &layers[1], &["--format=gnu"]);
    pack(&tree(3), &layers[2], pax);
    let layers: Vec<&Path> = layers.iter().map(AsRef::as_ref).collect();
    image(&layout, "corpus", &layers, &["--config.cmd", "/bin/sh"]);
    let name = format!("{}:corpus", layout.display());
    run(Command::new("umoci").args(["unpack", "--image", &name]).arg(dir.join("corpus")));
    let name = format!("oci:{name}");
    let at = |name: &str| format!("docker://{}", registry.image(name));
    copy(work, &[], &name, &at("lib/corpus:1"));
    compressions(work, &name, &at("lib/corpus-zstd:1"), None);
}

/// Times with nanoseconds, and no times that change from run to run.
const PAX: &str = "--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f";

/// The images of several platforms.
fn indexes(dir: &Path, work: &Path, registry: &Registry) {
    let layout = dir.join("layout");
    let buildah = Buildah::new(work);
    let platforms = [("arm64", Some("v8")), ("arm", Some("v7")), ("amd64", None)];
    for list in ["multi", "foreign"] {
        buildah.run(&["manifest", "create", list]);
    }
    for (architecture, variant) in platforms {
        let (tree, tar) = (work.join(architecture), work.join(format!("{architecture}.tar")));
        fs::create_dir(&tree).expect("a directory");
        fs::write(tree.join("platform"), format!("{architecture}\n")).expect("a file");
        pack(&tree, &tar, &["--format=ustar", "--mtime", CREATED]);
        let cmd = ["--config.cmd", "/platform", "--architecture", architecture];
        image(&layout, architecture, &[&tar], &cmd);
        for list in ["multi", "foreign"] {
            if (list, architecture) == ("foreign", "amd64") {
                continue;
            }
            let mut args = vec!["manifest", "add", "--os", "linux", "--arch", architecture];
            args.extend(variant.iter().flat_map(|variant| ["--variant", variant]));
            let image = format!("oci:{}:{architecture}", layout.display());
            buildah.run(&[&args[..], &[list, &image]].concat());
        }
    }
    for (list, format, name) in [
        ("multi", "oci", "lib/multi:1"),
        ("multi", "v2s2", "lib/list:1"),
        ("foreign", "oci", "lib/foreign:1"),
    ] {
        let to = format!("docker://{}", registry.image(name));
        buildah.push(&["manifest", "push", "--all", "--format", format], list, &to);
    }
    let from = format!("docker://{}", registry.image("lib/multi:1"));
    let archive = format!("oci-archive:{}:multi", dir.join("oci-archive.tar").display());
    copy(work, &["--all"], &from, &archive);
}

/// The image of the Dockerfile.
fn built(dir: &Path, work: &Path, registry: &Registry) {
    let context = work.join("context");
    fs::create_dir(&context).expect("a directory");
    fs::write(context.join("Dockerfile"), DOCKERFILE).expect("a Dockerfile");
    fs::rename(work.join("base"), context.join("rootfs")).expect("the tree of the plain image");
    let buildah = Buildah::new(work);
    let policy = buildah.policy();
    let context = context.display().to_string();
    // Nothing that it runs needs a container: a chroot will do.
    buildah.run(&[
        "bud",
        "--quiet",
        "--signature-policy",
        &policy,
        "--isolation",
        "chroot",
        "--network",
        "host",
        "--layers",
        "--format",
        "docker",
        "--timestamp",
        "1704164645",
        "--tag",
        "built",
        &context,
    ]);
    let name = format!("docker://{}", registry.image("lib/built:1"));
    buildah.push(&["push"], "built", &name);
    let archive = format!("docker-archive:{}:fixture/built:1", dir.join("docker-archive.tar").display());
    copy(work, &[], &name, &archive);
}

/// Buildah with storage of its own.
struct Buildah<'d> {
    work: &'d Path,
}

impl Buildah<'_> {
    fn new(work: &Path) -> Buildah<'_> {
        let buildah = Buildah { work };
        let policy = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
        fs::write(buildah.policy(), policy).expect("a policy");
        buildah
    }

    fn policy(&self) -> String {
        self.work.join("policy.json").display().to_string()
    }

    fn run(&self, args: &[&str]) {
        let mut command = Command::new("buildah");
        command
            .arg("--root")
            .arg(self.work.join("buildah"))
            .arg("--runroot")
            .arg(self.work.join("buildah-run"));
        // The plain driver: nothing is mounted.
        run(command.args(["--storage-driver", "vfs"]).args(args));
    }

    fn push(&self, command: &[&str], from: &str, to: &str) {
        let policy = self.policy();
        let options = ["--quiet", "--tls-verify=false", "--signature-policy", &policy, from, to];
        self.run(&[command, &options].concat());
    }
}
