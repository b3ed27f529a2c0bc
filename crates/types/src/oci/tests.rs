use serde_json::{Value, json};

use super::{
    Compression, Descriptor, Document, DocumentError, ImageConfig, Index, MAX_CONFIG, MAX_MANIFEST, Manifest,
    MediaKind, document_media_type,
    media_type::{
        DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_LAYER_ZSTD,
        OCI_MANIFEST,
    },
};
use crate::{Digest, Matcher, Platform};

fn digest(content: &str) -> String {
    Digest::of(content.as_bytes()).to_string()
}

fn layer(content: &str) -> Value {
    json!({"mediaType": OCI_LAYER_GZIP, "digest": digest(content), "size": 7})
}

fn manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest("config"), "size": 100},
        "layers": [layer("a"), layer("b")],
    })
}

fn config() -> Value {
    json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest("a"), digest("b")]}})
}

fn entry(name: &str, platform: &Value) -> Value {
    json!({"mediaType": OCI_MANIFEST, "digest": digest(name), "size": 5, "platform": platform})
}

fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
}

/// `base` with the value at a JSON pointer replaced, added to an object, or removed by null.
fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = base.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    base
}

fn without(mut base: Value, key: &str) -> Value {
    base.as_object_mut().unwrap().remove(key).unwrap();
    base
}

fn read(value: &Value) -> Result<Manifest, DocumentError> {
    Manifest::read(value.to_string().as_bytes(), OCI_MANIFEST)
}

fn read_index(value: &Value) -> Result<Index, DocumentError> {
    Index::read(value.to_string().as_bytes(), OCI_INDEX)
}

fn read_config(value: &Value) -> Result<ImageConfig, DocumentError> {
    ImageConfig::read(value.to_string().as_bytes())
}

#[test]
fn reads_a_manifest_and_keeps_what_it_does_not_know() {
    let value = with(manifest(), "/future", json!({"a": [1, null]}));
    let value = with(value, "/layers/0/annotations", json!({"k": "v"}));
    let value = with(value, "/layers/0/data", json!("e30="));
    let read = read(&value).unwrap();
    assert_eq!(read.layers.len(), 2);
    assert_eq!(read.layers[0].annotations["k"], "v");
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
    read.check_image().unwrap();
    read.check_config(&read_config(&config()).unwrap()).unwrap();
}

#[test]
fn takes_null_where_go_writes_it() {
    let value = with(manifest(), "/annotations", Value::Null);
    let value = with(value, "/layers/0/urls", Value::Null);
    read(&value).unwrap();
    let value = with(config(), "/config", json!({"Env": null, "Cmd": null, "Labels": null, "Volumes": null}));
    assert_eq!(read_config(&value).unwrap().config.cmd, None);
    read_config(&with(config(), "/history", Value::Null)).unwrap();
    let entry = entry("a", &Value::Null);
    assert_eq!(read_index(&index(&[entry])).unwrap().manifests[0].platform, None);
}

#[test]
fn a3_67_one_digest_has_one_meaning() {
    let ambiguous = Err(DocumentError::Ambiguous { document: Document::Manifest });
    assert_eq!(read(&with(manifest(), "/manifests", json!([]))), ambiguous);
    let both = with(index(&[]), "/layers", json!([layer("a")]));
    assert_eq!(read_index(&both), Err(DocumentError::Ambiguous { document: Document::Index }));

    // Mismatched and missing types.
    let text = manifest().to_string();
    for other in [DOCKER_MANIFEST, "application/json"] {
        assert!(Manifest::read(text.as_bytes(), other).is_err(), "{other}");
    }
    assert!(Index::read(text.as_bytes(), OCI_INDEX).is_err());
    assert!(Manifest::read(text.as_bytes(), &format!("{OCI_MANIFEST}; charset=utf-8")).is_ok());
    let bare = without(manifest(), "mediaType").to_string();
    assert!(Manifest::read(bare.as_bytes(), OCI_MANIFEST).is_ok(), "optional in OCI");
    let error = Manifest::read(bare.as_bytes(), DOCKER_MANIFEST).unwrap_err();
    assert!(matches!(error, DocumentError::NoMediaType { .. }), "{error}");
    assert!(matches!(read(&with(manifest(), "/mediaType", json!(7))), Err(DocumentError::Field { .. })));

    // Keys twice, and keys that only some readers see as twice.
    let duplicate =
        |key: &str| Err(DocumentError::DuplicateKey { document: Document::Manifest, key: key.to_owned() });
    let text = text.replacen("\"layers\"", "\"layers\":[],\"layers\"", 1);
    assert_eq!(Manifest::read(text.as_bytes(), OCI_MANIFEST), duplicate("layers"));
    let text = manifest().to_string().replacen("\"size\"", "\"size\":1,\"size\"", 1);
    assert_eq!(Manifest::read(text.as_bytes(), OCI_MANIFEST), duplicate("size"));
    for key in ["Layers", "MANIFESTS", "layerſ", "MediaType"] {
        assert_eq!(read(&with(manifest(), &format!("/{key}"), json!([]))), duplicate(key));
    }
}

#[test]
fn schema_1_is_refused_in_plain_words() {
    for value in [
        json!({"schemaVersion": 1, "name": "a", "fsLayers": [], "history": []}),
        json!({"schemaVersion": 2, "fsLayers": []}),
        json!({"schemaVersion": 1, "mediaType": super::media_type::DOCKER_SCHEMA1_SIGNED}),
    ] {
        let error = read(&value).unwrap_err();
        assert!(matches!(error, DocumentError::Schema1 { .. }), "{error}");
        assert!(error.to_string().contains("schema 1, which is obsolete"), "{error}");
    }
}

#[test]
fn c1_14_manifests_beyond_a_limit() {
    let padded = format!("{}{}", manifest(), " ".repeat(MAX_MANIFEST));
    let error = Manifest::read(padded.as_bytes(), OCI_MANIFEST).unwrap_err();
    assert!(matches!(error, DocumentError::TooLong { .. }), "{error}");

    for (count, taken) in [(0, true), (127, true), (128, true), (500, true), (501, false), (10_000, false)] {
        let layers: Vec<Value> = (0..count).map(|number| layer(&number.to_string())).collect();
        let result = read(&with(manifest(), "/layers", json!(layers)));
        assert_eq!(result.is_ok(), taken, "{count}: {result:?}");
    }
    let layers: Vec<Value> = (0..100_000).map(|_| json!({})).collect();
    assert!(read(&with(manifest(), "/layers", json!(layers))).is_err());

    // The same layer twice is fine unless it has two sizes.
    read(&with(manifest(), "/layers/1", layer("a"))).unwrap();
    let other = with(layer("a"), "/size", json!(8));
    assert!(read(&with(manifest(), "/layers/1", other)).is_err());

    let one = with(config(), "/rootfs/diff_ids", json!([digest("a")]));
    let error = read(&manifest()).unwrap().check_config(&read_config(&one).unwrap()).unwrap_err();
    assert_eq!(error, DocumentError::LayerCount { layers: 2, diff_ids: 1 });

    let helm = with(manifest(), "/config/mediaType", json!("application/vnd.cncf.helm.config.v1+json"));
    let error = read(&helm).unwrap().check_image().unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Unsupported);
    let strange = with(manifest(), "/layers/0/mediaType", json!("application/x-layer+encrypted"));
    assert!(read(&strange).unwrap().check_image().is_err());
}

#[test]
fn a6_123_fields_of_a_manifest_that_are_wrong() {
    for (pointer, value) in [
        ("/config", Value::Null),
        ("/config/digest", json!("sha256:../../x")),
        ("/config/digest", json!("sha256:")),
        ("/config/digest", json!(format!("sha256:{}", "a".repeat(1 << 20)))),
        ("/layers/0/digest", json!(digest("a").to_uppercase())),
        ("/layers/0/digest", Value::Null),
        ("/layers/0/size", json!(-1)),
        ("/layers/0/size", json!(1.5)),
        ("/layers/0/size", json!(9_223_372_036_854_775_808_u64)),
        ("/layers/0/size", json!("7")),
        ("/layers/0", Value::Null),
        ("/layers", json!({})),
        ("/schemaVersion", json!(3)),
        ("/schemaVersion", json!("2")),
        ("/mediaType", json!("")),
    ] {
        let error = read(&with(manifest(), pointer, value.clone())).unwrap_err();
        assert!(error.to_string().len() < 500, "{pointer} {error}");
    }
    for key in ["config", "layers"] {
        read(&without(manifest(), key)).unwrap_err();
    }
    // What Go writes for no number; the media type has said what it is.
    read(&without(manifest(), "schemaVersion")).unwrap();
    read(&with(manifest(), "/schemaVersion", json!(0))).unwrap();
    read(&without(without(manifest(), "schemaVersion"), "mediaType")).unwrap_err();
    let error = read(&with(manifest(), "/layers/1/size", json!(-1))).unwrap_err();
    assert_eq!(error.to_string(), "manifest is not valid: layers[1].size: size -1 is negative");
    read(&with(manifest(), "/layers/0/size", json!(i64::MAX))).unwrap();
}

#[test]
fn what_is_no_json_is_refused() {
    for text in ["", "null", "[]", "7", "{", "{}}", "{\"a\":\u{0}}", "\u{feff}{}", "<html>"] {
        assert!(Manifest::read(text.as_bytes(), OCI_MANIFEST).is_err(), "{text}");
        assert!(Index::read(text.as_bytes(), OCI_INDEX).is_err(), "{text}");
        assert!(ImageConfig::read(text.as_bytes()).is_err(), "{text}");
        assert!(document_media_type(text.as_bytes()).is_err(), "{text}");
    }
    assert!(ImageConfig::read(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn c1_15_indexes() {
    let linux = |architecture: &str| json!({"os": "linux", "architecture": architecture});
    let entries = [
        entry("arm", &json!({"os": "linux", "architecture": "arm", "variant": "v7"})),
        entry("unknown", &json!({"os": "unknown", "architecture": "unknown"})),
        entry("arm64", &json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
        entry("amd64", &linux("amd64")),
        entry("again", &linux("amd64")),
        with(entry("none", &Value::Null), "/future", json!(1)),
    ];
    let value = index(&entries);
    let read = read_index(&value).unwrap();
    let select = |platform: &str| {
        let matcher = Matcher::new(&Platform::parse(platform).unwrap());
        read.select(&matcher).map(|entry| entry.digest.to_string())
    };
    assert_eq!(select("linux/amd64"), Some(digest("amd64")));
    assert_eq!(select("linux/arm64"), Some(digest("arm64")));
    assert_eq!(
        select("linux/arm/v6"),
        Some(digest("none")),
        "an entry without a platform is the last resort"
    );
    assert_eq!(read.platforms().count(), 4);

    let many =
        |count: usize| index(&(0..count).map(|n| entry(&n.to_string(), &linux("amd64"))).collect::<Vec<_>>());
    read_index(&many(1000)).unwrap();
    let error = read_index(&many(1001)).unwrap_err();
    assert_eq!(error.to_string(), "image index has 1001 entries, more than 1000");
    assert!(read_index(&many(10_000)).is_err());
    assert_eq!(read_index(&index(&[])).unwrap().select(&Matcher::new(&Platform::host())), None);
    for size in [json!(-1), json!(9_223_372_036_854_775_808_u64)] {
        assert!(read_index(&index(&[with(entry("a", &linux("amd64")), "/size", size)])).is_err());
    }
    let foreign = with(entry("a", &linux("amd64")), "/urls", json!(["http://evil.example/x"]));
    assert_eq!(read_index(&index(&[foreign])).unwrap().manifests[0].urls.len(), 1);
}

#[test]
fn attestations_are_not_selected() {
    let attestation = with(
        entry("a", &Value::Null),
        "/annotations",
        json!({"vnd.docker.reference.type": "attestation-manifest"}),
    );
    let read = read_index(&index(&[attestation])).unwrap();
    assert_eq!(read.select(&Matcher::new(&Platform::host())), None);
}

#[test]
fn c1_16_configs() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let error = ImageConfig::read(nested(5000).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("nested deeper than 64"), "{error}");
    let error = ImageConfig::read(nested(63).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("rootfs"), "{error}");

    let values = format!("{{\"a\":[{}0]}}", "0,".repeat(1 << 19));
    let error = ImageConfig::read(values.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("more than 262144 values"), "{error}");

    let text = config().to_string().replacen("\"os\"", "\"os\":\"x\",\"os\"", 1);
    let error = ImageConfig::read(text.as_bytes()).unwrap_err();
    assert_eq!(error, DocumentError::DuplicateKey { document: Document::Config, key: "os".into() });
    assert!(read_config(&with(config(), "/RootFS", json!({}))).is_err());

    let label = |bytes: usize| with(config(), "/config", json!({"Labels": {"a": "x".repeat(bytes)}}));
    read_config(&label(1 << 20)).unwrap();
    let error = read_config(&label(5 << 20)).unwrap_err();
    assert!(matches!(error, DocumentError::TooMany { what: "bytes of labels", .. }), "{error}");
    let error = read_config(&label(MAX_CONFIG)).unwrap_err();
    assert!(matches!(error, DocumentError::TooLong { .. }), "{error}");

    // Labels that differ by case are two labels; what containers make of odd values is theirs to check.
    let odd = json!({
        "Labels": {"a": "1", "A": "2"}, "Env": ["NOVALUE", "A=\n"], "Cmd": "one", "StopSignal": "SIGFOO",
        "ExposedPorts": {"99999/tcp": {}}, "Volumes": {"/../x": {}}, "User": "4294967296",
        "Healthcheck": {"Interval": -1},
    });
    let read = read_config(&with(config(), "/config", odd.clone())).unwrap();
    assert_eq!(read.config.labels.len(), 2);
    assert_eq!(read.config.cmd.as_deref(), Some(&["one".to_owned()][..]));
    assert_eq!(read.config.healthcheck.unwrap().interval, -1);
}

#[test]
fn a2_42_configs_that_are_malformed() {
    for (pointer, value) in [
        ("/rootfs", Value::Null),
        ("/rootfs", json!({})),
        ("/rootfs/type", json!("layers+base")),
        ("/rootfs/diff_ids", json!(["sha256:xyz"])),
        ("/rootfs/diff_ids", json!([null])),
        ("/rootfs/diff_ids", json!(-1)),
        ("/config", json!([])),
        ("/config", json!({"Env": "A=1"})),
        ("/history", json!({})),
        ("/os", json!(7)),
    ] {
        read_config(&with(config(), pointer, value)).unwrap_err();
    }
    read_config(&without(config(), "rootfs")).unwrap_err();
    let many: Vec<Value> = (0..501).map(|number| json!(digest(&number.to_string()))).collect();
    read_config(&with(config(), "/rootfs/diff_ids", json!(many))).unwrap_err();
}

#[test]
fn a_config_is_written_as_it_was() {
    let value = json!({
        "architecture": "arm64", "os": "linux", "variant": "v8", "created": "2024-01-01T00:00:00Z", "author": "a",
        "config": {
            "User": "0", "Env": ["A=1"], "Entrypoint": ["/e"], "Cmd": ["c"], "WorkingDir": "/w", "Labels": {"a": "b"},
            "Volumes": {"/v": {}}, "ExposedPorts": {"80/tcp": {}}, "OnBuild": ["RUN x"], "Hostname": "h",
            "StopSignal": "SIGTERM", "StopTimeout": 3, "Shell": ["sh"], "Healthcheck": {"Test": ["NONE"]},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest("a")]},
        "history": [{"created_by": "x", "empty_layer": true}, {"comment": "c", "extra": 1}],
        "container_config": {"Cmd": ["x"]},
    });
    let read = read_config(&value).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
    assert_eq!(read.platform().to_string(), "linux/arm64/v8");
    assert_eq!(read.chain_id().unwrap().to_string(), digest("a"));
}

#[test]
fn media_types_have_a_kind() {
    for (text, kind) in [
        (OCI_MANIFEST, MediaKind::OciManifest),
        (DOCKER_LIST, MediaKind::DockerList),
        (DOCKER_CONFIG, MediaKind::DockerConfig),
        (OCI_LAYER_ZSTD, MediaKind::Layer { compression: Compression::Zstd, foreign: false }),
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            MediaKind::Layer { compression: Compression::Gzip, foreign: true },
        ),
        ("APPLICATION/vnd.OCI.image.manifest.v1+json ; charset=utf-8", MediaKind::OciManifest),
        ("text/html", MediaKind::Unknown),
        ("", MediaKind::Unknown),
    ] {
        assert_eq!(MediaKind::of(text), kind, "{text}");
    }
    let bytes = |value: &Value| value.to_string().into_bytes();
    assert_eq!(document_media_type(&bytes(&without(manifest(), "mediaType"))).unwrap(), OCI_MANIFEST);
    assert_eq!(document_media_type(&bytes(&without(index(&[]), "mediaType"))).unwrap(), OCI_INDEX);
    let descriptor = Descriptor::of(OCI_LAYER_GZIP, b"abc");
    assert!(descriptor.kind().is_layer() && descriptor.size == 3);
}

#[test]
fn bytes_cut_or_changed_anywhere_never_panic() {
    let value = with(config(), "/config", json!({"Labels": {"a": "b"}, "Cmd": ["x"]}));
    for (text, read) in [
        (
            manifest().to_string(),
            &(|bytes: &[u8]| Manifest::read(bytes, OCI_MANIFEST).is_ok()) as &dyn Fn(&[u8]) -> bool,
        ),
        (value.to_string(), &|bytes: &[u8]| ImageConfig::read(bytes).is_ok()),
    ] {
        assert!(read(text.as_bytes()));
        for at in 0..text.len() {
            assert!(!read(&text.as_bytes()[..at]), "cut at {at}");
            for byte in [0, b'"', b'{', b'-', 0xff] {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                read(&changed);
            }
        }
    }
}
