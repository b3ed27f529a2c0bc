use longshore_types::container::{BindOptions, ImageOptions, Mount, MountType, TmpfsOptions, VolumeOptions};

use super::{check, clean, parse, parse_from, tmpfs_options};

#[test]
fn binds() {
    for (text, kind, source, target, read_only, propagation) in [
        ("/a:/b", MountType::Bind, "/a", "/b", false, ""),
        ("/a:/b:ro", MountType::Bind, "/a", "/b", true, ""),
        ("/a:/b:rw,rshared,z", MountType::Bind, "/a", "/b", false, "rshared"),
        ("/a:/b:ro,cached,slave", MountType::Bind, "/a", "/b", true, "slave"),
        ("name:/b", MountType::Volume, "name", "/b", false, ""),
        ("/b", MountType::Volume, "", "/b", false, ""),
        ("/a/../c:/b/.", MountType::Bind, "/a/../c", "/b/.", false, ""),
    ] {
        let mount = parse(text, "").unwrap().mount;
        let found = mount.bind_options.map(|options| options.propagation).unwrap_or_default();
        assert_eq!(
            (mount.kind, mount.source.as_str(), mount.target.as_str(), mount.read_only, found.as_str()),
            (kind, source, target, read_only, propagation),
            "{text}"
        );
    }
    let point = parse("name:/b:nocopy", "nfs").unwrap();
    let options = point.mount.volume_options.unwrap();
    assert!(options.no_copy && options.driver_config.unwrap().name == "nfs");
}

#[test]
fn binds_that_are_none() {
    for (text, message) in [
        ("", "invalid volume specification: ''"),
        (":/b", "invalid volume specification: ':/b'"),
        ("/a:ro", "invalid volume specification: '/a:ro'"),
        ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
        ("/a:/b:x", "invalid mode: x"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:slave,shared", "invalid mode: slave,shared"),
        (
            "/a:b",
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
        ),
        (
            "/a:/",
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        ),
        (
            "/a:/b/..",
            "invalid volume specification: '/a:/b/..': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        ),
        (
            "name:/b:rshared",
            "invalid volume specification: 'name:/b:rshared': invalid mount config for type \"volume\": field BindOptions must not be specified",
        ),
        (
            "/a:/b:nocopy",
            "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified",
        ),
    ] {
        assert_eq!(parse(text, "").unwrap_err().to_string(), message, "{text}");
    }
}

fn mount(kind: MountType, source: &str, target: &str) -> Mount {
    Mount { kind, source: source.into(), target: target.into(), ..Mount::default() }
}

#[test]
fn mounts_that_are_none() {
    let options =
        |propagation: &str| BindOptions { propagation: propagation.into(), ..BindOptions::default() };
    let subpath = |subpath: &str| VolumeOptions { subpath: subpath.into(), ..VolumeOptions::default() };
    let bind = mount(MountType::Bind, "/", "/x");
    let volume = mount(MountType::Volume, "v1", "/x");
    let tmpfs = mount(MountType::Tmpfs, "", "/x");
    for (mount, message) in [
        (mount(MountType::Bind, "", "/x"), "field Source must not be empty"),
        (mount(MountType::Bind, "/", ""), "field Target must not be empty"),
        (mount(MountType::Bind, "/", "x"), "invalid mount path: 'x' mount path must be absolute"),
        (mount(MountType::Bind, "x", "/x"), "invalid mount path: 'x' mount path must be absolute"),
        (mount(MountType::Bind, "/", "//."), "invalid specification: destination can't be '/'"),
        (mount(MountType::Bind, "/no/such", "/x"), "bind source path does not exist: /no/such"),
        (mount(MountType::Image, "", "/x"), "field Source must not be empty"),
        (mount(MountType::Tmpfs, "/a", "/x"), "field Source must not be specified"),
        (mount(MountType::Npipe, "a", "/x"), "mount type unknown"),
        (mount(MountType::Other("fish".into()), "a", "/x"), "mount type unknown"),
        (mount(MountType::Unset, "a", "/x"), "mount type unknown"),
        (
            mount(MountType::Bind, "/", "/a\nb"),
            "invalid mount path: '/a\\nb' must not have NUL bytes or line breaks",
        ),
        (Mount { bind_options: Some(options("x")), ..bind.clone() }, "invalid propagation mode: x"),
        (
            Mount { bind_options: Some(options("")), ..volume.clone() },
            "field BindOptions must not be specified",
        ),
        (
            Mount { image_options: Some(ImageOptions::default()), ..bind.clone() },
            "field ImageOptions must not be specified",
        ),
        (
            Mount {
                bind_options: Some(BindOptions { read_only_force_recursive: true, ..options("") }),
                ..bind
            },
            "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive",
        ),
        (
            Mount { volume_options: Some(subpath("../x")), ..volume.clone() },
            "subpath must be a relative path within the volume",
        ),
        (
            Mount { volume_options: Some(subpath("/x")), ..volume.clone() },
            "subpath must be a relative path within the volume",
        ),
        (
            Mount { volume_options: Some(subpath("a")), source: String::new(), ..volume },
            "must not set Subpath when using anonymous volumes",
        ),
        (
            Mount {
                tmpfs_options: Some(TmpfsOptions {
                    options: Some(vec![vec!["suid".into()]]),
                    ..TmpfsOptions::default()
                }),
                ..tmpfs
            },
            "invalid option: suid",
        ),
    ] {
        let error = check(&mount, true).unwrap_err().to_string();
        let name = super::name(&mount.kind);
        assert_eq!(error, format!("invalid mount config for type {name:?}: {message}"), "{mount:?}");
    }
}

#[test]
fn sources_are_asked_for_only_where_they_must_be_there() {
    let mut missing = mount(MountType::Bind, "/no/such", "/x");
    check(&missing, false).unwrap();
    missing.bind_options = Some(BindOptions { create_mountpoint: true, ..BindOptions::default() });
    check(&missing, true).unwrap();
}

#[test]
fn options_of_a_tmpfs() {
    let options =
        TmpfsOptions { size_bytes: 3 << 20, mode: 0o1777, options: Some(vec![vec!["exec".into()]]) };
    assert_eq!(tmpfs_options(Some(&options), true).unwrap(), ["ro", "mode=1777", "size=3m", "exec"]);
    let options = TmpfsOptions { size_bytes: 1025, ..TmpfsOptions::default() };
    assert_eq!(tmpfs_options(Some(&options), false).unwrap(), ["size=1025"]);
    assert!(tmpfs_options(None, false).unwrap().is_empty());
}

#[test]
fn volumes_of_others() {
    assert_eq!(parse_from("a"), Ok(("a", true)));
    assert_eq!(parse_from("a:ro,z"), Ok(("a", false)));
    for (text, message) in [
        ("", "volumes-from specification cannot be an empty string"),
        ("a:x", "invalid mode: x"),
        ("a:rshared", "invalid mode: rshared"),
        ("a:nocopy", "invalid mode: nocopy"),
    ] {
        assert_eq!(parse_from(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn clean_paths() {
    for (path, cleaned) in [
        ("/", "/"),
        ("//a/./b/", "/a/b"),
        ("/a/../..", "/"),
        ("a/../..", ".."),
        ("./a", "a"),
        ("", "."),
        ("../../a", "../../a"),
    ] {
        assert_eq!(clean(path), cleaned);
    }
}
