//! What single requests are answered with.

use serde_json::{Value, json};
use testkit::longshored::{Exchange, Longshored};

use super::{lines, pull, pull_path, registry, tar};

#[test]
fn what_is_wrong_has_dockers_status_and_words() {
    let daemon = Longshored::start();
    let zeros = "0".repeat(64);
    for (method, path, status, message) in [
        ("GET", "/images/nosuch/json".to_owned(), 404, "No such image: nosuch:latest".to_owned()),
        ("GET", "/images/a/b/c:1/history".into(), 404, "No such image: a/b/c:1".into()),
        ("GET", format!("/images/{zeros}/json"), 404, format!("No such image: {zeros}")),
        ("GET", "/images/BAD/json".into(), 400, String::new()),
        ("DELETE", "/images/nosuch".into(), 404, "No such image: nosuch:latest".into()),
        ("POST", "/images/nosuch/tag?repo=a&tag=b".into(), 404, "No such image: nosuch:latest".into()),
        ("POST", "/images/nosuch/tag?repo=a&tag=b!".into(), 400, "invalid tag format".into()),
        ("POST", "/images/nosuch/tag?repo=".into(), 400, "invalid reference format".into()),
        (
            "POST",
            "/images/x/tag?repo=sha256&tag=b".into(),
            400,
            "refusing to create an ambiguous tag using digest algorithm as name".into(),
        ),
        ("GET", "/images/nosuch/get".into(), 404, "No such image: nosuch".into()),
        ("GET", "/images/get?names=nosuch".into(), 404, "No such image: nosuch".into()),
        ("POST", pull_path("scratch", "latest"), 400, "'scratch' is a reserved name".into()),
        ("POST", pull_path("a", "b!"), 400, "invalid tag format".into()),
        ("POST", format!("{}&platform=foo", pull_path("a", "b")), 400, String::new()),
        ("POST", "/images/create?fromSrc=-&repo=A".into(), 400, String::new()),
        (
            "POST",
            "/images/create?fromSrc=-&changes=RUN%20x".into(),
            400,
            "run is not a valid change command".into(),
        ),
        ("GET", "/images/json?filters=%7B%22bogus%22%3A%5B%22x%22%5D%7D".into(), 400, String::new()),
        ("GET", "/images/json?filters=%7B".into(), 400, String::new()),
        ("POST", "/images/prune?filters=%7B%22until%22%3A%5B%22abc%22%5D%7D".into(), 400, String::new()),
        ("GET", "/images/search?term=x&limit=101".into(), 400, String::new()),
        ("GET", "/images/search?term=x&limit=-1".into(), 400, String::new()),
        ("GET", "/images/x/json?platform=%7B".into(), 400, String::new()),
        ("GET", "/images/x/json?manifests=1&platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm%22%7D".into(), 400, String::new()),
        ("GET", "/distribution/A/json".into(), 400, String::new()),
        ("GET", format!("/distribution/{zeros}/json"), 400, "no manifest found for full image ID".into()),
        ("POST", "/commit?container=nosuch".into(), 404, "No such container: nosuch".into()),
        ("GET", "/events?since=abc".into(), 400, String::new()),
        ("GET", "/events?since=20&until=10".into(), 400, String::new()),
        ("GET", "/system/df?type=bogus".into(), 400, "unknown object type: bogus".into()),
    ] {
        let answer = daemon.request(method, &path).expect(status);
        if !message.is_empty() {
            assert_eq!(answer.message(), message, "{method} {path}");
        }
        assert!(!answer.message().is_empty(), "{method} {path}");
    }
    assert!(daemon.is_alive());
}

#[test]
fn credentials_that_are_none_are_refused() {
    let daemon = Longshored::start();
    for wrong in ["!", "bm8"] {
        let request = Exchange::new("POST", &pull_path("127.0.0.1:1/x", "1"));
        let answer = daemon.send(&request.header("X-Registry-Auth", wrong)).expect(400);
        assert!(answer.message().contains("X-Registry-Auth"), "{}", answer.message());
    }
    for none in ["", "e30="] {
        let request = Exchange::new("POST", &pull_path("127.0.0.1:1/x", "1"));
        let answer = daemon.send(&request.header("X-Registry-Auth", none)).expect(500);
        assert!(answer.message().contains("127.0.0.1:1"), "{}", answer.message());
    }
}

#[test]
fn each_version_has_its_form_of_an_image() {
    let (daemon, registry) = (Longshored::start(), registry());
    let name = registry.image("lib/multi");
    pull(&daemon, &name, "1");
    let get = |path: &str| daemon.get(path).expect(200).json();
    let list = get("/v1.55/images/json?manifests=1&shared-size=1");
    let image = &list[0];
    assert_eq!(image["RepoTags"], json!([format!("{name}:1")]));
    assert_eq!(image["Containers"], 0);
    assert_eq!(image["SharedSize"], 0);
    assert_eq!(image["Descriptor"]["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(image["Manifests"].as_array().unwrap().len(), 3, "{image:#}");
    assert_eq!(image["Manifests"][2]["Available"], true, "{image:#}");
    assert_eq!(image["Manifests"][0]["Available"], false, "{image:#}");
    let old = get("/v1.41/images/json");
    for gone in ["Descriptor", "Manifests"] {
        assert_eq!(old[0].get(gone), None);
    }
    assert_eq!(old[0]["VirtualSize"], old[0]["Size"]);
    assert_eq!(old[0]["Containers"], -1);
    let inspect = get(&format!("/v1.55/images/{name}:1/json"));
    assert_eq!(inspect["Id"], image["Id"]);
    assert_eq!(inspect.get("VirtualSize"), None);
    let old = get(&format!("/v1.41/images/{name}:1/json"));
    assert_eq!(old["Config"]["AttachStdin"], false, "{old:#}");
    assert_eq!(old["VirtualSize"], old["Size"]);
    let distribution = get(&format!("/distribution/{name}:1/json"));
    assert_eq!(distribution["Descriptor"], image["Descriptor"]);
    assert_eq!(distribution["Platforms"].as_array().unwrap().len(), 3);
    assert_eq!(get(&format!("/images/{name}:1/attestations")), json!([]));
}

#[test]
fn what_takes_space_is_counted() {
    let daemon = Longshored::start();
    let empty = daemon.get("/v1.55/system/df").expect(200).json();
    assert_eq!(empty["ImageUsage"], json!({}));
    assert_eq!(empty["Images"], json!([]));
    let content = vec![b'x'; 100_000];
    let request = Exchange::new("POST", "/images/create?fromSrc=-&repo=big").body(tar(&[("x", &content)]));
    let id = lines(&daemon.send(&request).expect(200).text())[0]["status"].as_str().unwrap().to_owned();
    let usage = daemon.get("/v1.55/system/df?verbose=1").expect(200).json();
    assert_eq!(usage["ImageUsage"]["TotalCount"], 1);
    assert_eq!(usage["ImageUsage"]["TotalSize"], 100_000);
    assert_eq!(usage["ImageUsage"]["Reclaimable"], 100_000);
    assert_eq!(usage["ImageUsage"]["Items"][0]["Id"], id);
    assert_eq!(usage.get("Images"), None);
    assert_eq!(usage["Ledger"]["Unaccounted"], 0);
    let old = daemon.get("/v1.41/system/df").expect(200).json();
    assert_eq!(old["LayersSize"], 100_000);
    assert_eq!(old["Images"][0]["Containers"], 0);
    assert_eq!(old.get("ImageUsage"), None);
    let some = daemon.get("/v1.55/system/df?type=volume").expect(200).json();
    assert_eq!(some.get("ImageUsage"), None);
    assert!(some.get("VolumeUsage").is_some());
    daemon.delete("/images/big").expect(200);
    let gone = daemon.get("/v1.41/system/df").expect(200).json();
    assert_eq!((&gone["LayersSize"], &gone["Images"]), (&json!(0), &json!([])));
    assert_eq!(gone["Ledger"]["Unaccounted"], 0);
    assert_eq!(gone["Volumes"], Value::Array(Vec::new()));
}
