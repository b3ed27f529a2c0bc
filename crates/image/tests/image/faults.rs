//! C5 64–67, C1 12–15: registries that break, lie or refuse.

use std::time::{Duration, Instant};

use longshore_types::{Digest, Kind, oci::media_type};
use serde_json::json;

use crate::{
    bed::{Bed, assert_nothing_visible, partials, pull},
    fake::{Answer, Fake, Image, noise, tar},
};

fn image() -> Image {
    let (one, two) = (noise(1, 30_000), noise(2, 10_000));
    Image::of(&[tar(&[("a", &one), ("dir/b", &two)]), tar(&[("a", b"above")])])
}

/// The first download of the first layer goes wrong; `text` is in the error.
async fn fails(fake: &Fake, image: &Image, text: &str) -> Kind {
    let bed = Bed::new();
    let images = bed.images();
    let name = fake.add("1", image);
    let start = Instant::now();
    let error = pull(&images, &name).await.expect_err("it cannot be pulled");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let line = error.line();
    assert!(line.contains(text) && !line.contains('\n'), "{line}");
    assert_nothing_visible(&images);
    error.kind()
}

#[tokio::test]
async fn c5_64_a_download_cut_anywhere_goes_on_from_there() {
    let image = image();
    let first = image.layer(0).clone();
    let length = image.blobs[1].1.len();
    for cut in (0..length).step_by(length / 40) {
        let blob = first.clone();
        let fake = Fake::start(move |request| {
            if request.is_blob(&blob) && request.before == 0 { Answer::Cut(cut) } else { Answer::Good }
        });
        let bed = Bed::new();
        let images = bed.images();
        let name = fake.add("1", &image);
        let pulled = pull(&images, &name).await.unwrap_or_else(|error| panic!("{cut}: {}", error.line()));
        assert_eq!(pulled.digest, image.digest());
        let downloads = fake.downloads(&first);
        assert_eq!(downloads.len(), 2, "{cut}: {downloads:?}");
        assert_eq!(downloads[1].from, cut, "{downloads:?}");
    }
}

#[tokio::test]
async fn c5_64_what_came_before_it_broke_for_good_is_not_fetched_again() {
    let image = image();
    let first = image.layer(0).clone();
    let bed = Bed::new();
    {
        let blob = first.clone();
        let fake = Fake::start(move |request| {
            if request.is_blob(&blob) {
                if request.from == 0 { Answer::Cut(9000) } else { Answer::Status(503, "") }
            } else {
                Answer::Good
            }
        });
        let images = bed.images();
        let name = fake.add("1", &image);
        let error = pull(&images, &name).await.expect_err("it breaks every time");
        assert!(error.line().contains("gave up after"), "{}", error.line());
        assert_nothing_visible(&images);
        let mut lengths: Vec<_> = partials(&images).into_iter().map(|(_, length)| length).collect();
        lengths.sort_unstable();
        assert_eq!(lengths.last(), Some(&9000));
    }
    // After a restart, from another registry.
    let fake = Fake::good();
    let (images, recovery) = bed.open();
    assert!(recovery.partials > 0);
    let name = fake.add("1", &image);
    pull(&images, &name).await.expect("pulled");
    let from: Vec<_> = fake.downloads(&first).iter().map(|request| request.from).collect();
    assert_eq!(from, [9000]);
    assert_eq!(partials(&images), []);
}

#[tokio::test]
async fn c5_65_wrong_bytes_of_the_right_length_are_thrown_away() {
    let image = image();
    let first = image.layer(0).clone();
    let (good, blob) = (image.blobs[1].1.clone(), first.clone());
    // In the content of a file, where nothing but the digest can tell.
    let mut wrong = good;
    wrong[5000] ^= 1;
    let fake = Fake::start(move |request| {
        if request.is_blob(&blob) && request.before == 0 {
            Answer::Other(wrong.clone())
        } else {
            Answer::Good
        }
    });
    let bed = Bed::new();
    let images = bed.images();
    let name = fake.add("1", &image);
    let error = pull(&images, &name).await.expect_err("the digest is wrong");
    assert!(error.line().contains(&first.to_string()), "{}", error.line());
    assert_nothing_visible(&images);
    assert!(partials(&images).iter().all(|(name, _)| !name.contains(first.hex())));
    pull(&images, &name).await.expect("the second time it is right");
}

#[tokio::test]
async fn c5_65_a_partial_with_wrong_bytes_does_not_stay_in_the_way() {
    let image = image();
    let first = image.layer(0).clone();
    let bed = Bed::new();
    let (images, fake) = (bed.images(), Fake::good());
    let partial = format!("sha256-{}-{}", first.hex(), image.blobs[1].1.len());
    std::fs::write(images.store().layout().join("ingest").join(partial), noise(9, 4000)).expect("a file");
    let name = fake.add("1", &image);
    pull(&images, &name).await.expect("from the start, then");
    let from: Vec<_> = fake.downloads(&first).iter().map(|request| request.from).collect();
    assert_eq!(from, [4000, 0]);
}

#[tokio::test]
async fn c1_12_flipped_bits_are_never_committed() {
    let image = image();
    let (good, first) = (image.blobs[1].1.clone(), image.layer(0).clone());
    for at in (0..good.len()).step_by(good.len() / 25) {
        let (mut wrong, blob) = (good.clone(), first.clone());
        wrong[at] ^= 0x10;
        let fake =
            Fake::start(
                move |request| {
                    if request.is_blob(&blob) { Answer::Other(wrong.clone()) } else { Answer::Good }
                },
            );
        fails(&fake, &image, "hashes to").await;
    }
}

#[tokio::test]
async fn c1_13_sizes_that_are_wrong() {
    for size in [0, 1, 512, 41_000, 1 << 40] {
        let mut image = image();
        image.blobs[1].0.size = size;
        image.describe();
        fails(&Fake::good(), &image, "").await;
    }
}

#[tokio::test]
async fn c1_13_a_diff_id_that_is_wrong() {
    let layer = tar(&[("a", b"content")]);
    let lie = Digest::of(b"something else");
    let image = Image::with(vec![(media_type::OCI_LAYER, layer.clone())], &[lie], &json!({}));
    let (fake, bed) = (Fake::good(), Bed::new());
    let images = bed.images();
    let name = fake.add("1", &image);
    let error = pull(&images, &name).await.expect_err("the configuration lies");
    assert!(error.line().contains("but the image's configuration says"), "{}", error.line());
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert_nothing_visible(&images);
    assert_eq!(partials(&images), []);
    let honest = fake.add("2", &Image::of(&[layer]));
    pull(&images, &honest).await.expect("the layer itself is good");
}

#[tokio::test]
async fn c1_14_documents_that_are_no_image() {
    let layer = || tar(&[("a", b"content")]);
    let id = Digest::of(&layer());
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd][..], &noise(1, 600)].concat();
    let foreign =
        Image::with(vec![(media_type::DOCKER_FOREIGN_LAYER, layer())], std::slice::from_ref(&id), &json!({}));
    for (image, text) in [
        (
            Image::with(vec![(media_type::OCI_LAYER_GZIP, zstd)], std::slice::from_ref(&id), &json!({})),
            "is zstd, but its media type",
        ),
        (
            Image::with(vec![("application/x-tar", layer())], std::slice::from_ref(&id), &json!({})),
            "application/x-tar",
        ),
        (
            Image::with(vec![(media_type::OCI_LAYER, layer())], &[], &json!({})),
            "1 layers but its config names 0",
        ),
        (foreign, "foreign layers are off"),
        (Image::of(&[b"this is no archive, and too short to be one".repeat(20)]), "checksum"),
    ] {
        fails(&Fake::good(), &image, text).await;
    }
    let (fake, bed) = (Fake::good(), Bed::new());
    let schema1 = json!({"schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [], "history": []});
    let name = fake.add_manifest("old", media_type::DOCKER_SCHEMA1_SIGNED, schema1.to_string().as_bytes());
    let error = pull(&bed.images(), &name).await.expect_err("schema 1");
    assert!(error.line().contains("schema 1"), "{}", error.line());
}

#[tokio::test]
async fn c1_15_indexes_that_lead_nowhere() {
    let (fake, bed) = (Fake::good(), Bed::new());
    let images = bed.images();
    let index = |entry: &[u8], kind: &str| {
        let entry = json!({"mediaType": kind, "digest": Digest::of(entry), "size": entry.len()});
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry]}).to_string()
    };
    let mut document = index(&image().manifest, media_type::OCI_MANIFEST);
    for depth in 0..10 {
        fake.add_manifest(&format!("d{depth}"), media_type::OCI_INDEX, document.as_bytes());
        document = index(document.as_bytes(), media_type::OCI_INDEX);
    }
    let deep = fake.add_manifest("deep", media_type::OCI_INDEX, document.as_bytes());
    let error = pull(&images, &deep).await.expect_err("too deep");
    assert!(error.line().contains("deep"), "{}", error.line());
    let empty = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []}).to_string();
    let empty = fake.add_manifest("empty", media_type::OCI_INDEX, empty.as_bytes());
    let error = pull(&images, &empty).await.expect_err("empty");
    assert_eq!(error.line(), "no matching manifest for linux/amd64 in the manifest list entries");
    assert_nothing_visible(&images);
}

#[tokio::test]
async fn c5_67_refusals() {
    let image = image();
    for (status, headers, text) in [
        (429, "Retry-After: 0\r\n", "limits requests"),
        (429, "Retry-After: 86400\r\n", "86400"),
        (500, "", "500"),
        (502, "", "502"),
        (503, "", "503"),
        (418, "", "418"),
        (404, "", "has no blob"),
    ] {
        let first = image.layer(0).clone();
        let fake =
            Fake::start(
                move |request| {
                    if request.is_blob(&first) { Answer::Status(status, headers) } else { Answer::Good }
                },
            );
        fails(&fake, &image, text).await;
        let count = fake.downloads(image.layer(0)).len();
        assert!(count <= 5, "{status}: {count} attempts");
    }
}

#[tokio::test]
async fn c5_64_a_registry_that_stalls() {
    let image = image();
    let first = image.layer(0).clone();
    let fake =
        Fake::start(move |request| if request.is_blob(&first) { Answer::Stall(100) } else { Answer::Good });
    assert_eq!(fails(&fake, &image, "nothing came").await, Kind::Timeout);
}
