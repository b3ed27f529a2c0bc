//! What the tests with the fake registry have in common.

use std::time::Duration;

use longshore_registry::{Client, Config, Credentials, Error, Patience, Repository};
use longshore_types::{
    Reference,
    oci::{Descriptor, media_type},
};

use crate::{fake::Fake, image::noise};

/// Settings under which failures are quick.
pub(crate) fn config() -> Config {
    let patience = Patience {
        connect: Duration::from_secs(5),
        stall: Duration::from_secs(5),
        finish: Duration::from_secs(5),
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(20),
        ..Patience::default()
    };
    Config { patience, ..Config::bare() }
}

/// The same, and what does not move is given up soon.
pub(crate) fn impatient() -> Config {
    let mut config = config();
    config.patience.stall = Duration::from_millis(200);
    config
}

pub(crate) fn client(config: Config) -> Client {
    Client::new(config).unwrap()
}

/// `app` at a fake registry, for a client that knows nothing.
pub(crate) fn app(fake: &Fake) -> Repository {
    app_of(&client(config()), fake, Credentials::Anonymous)
}

pub(crate) fn app_of(client: &Client, fake: &Fake, credentials: Credentials) -> Repository {
    let reference = Reference::parse(&format!("{}/app", fake.host())).unwrap();
    client.repository(&reference, credentials).unwrap()
}

/// A blob of noise in the fake.
pub(crate) fn blob(fake: &Fake, length: usize) -> (Descriptor, Vec<u8>) {
    let content = noise(7, length);
    fake.add_blob(&content);
    (Descriptor::of(media_type::OCI_LAYER_GZIP, &content), content)
}

/// A manifest of nothing in the fake, tagged `latest`.
pub(crate) fn manifest(fake: &Fake) -> Vec<u8> {
    let config = Descriptor::of(media_type::OCI_CONFIG, b"{}");
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [],
    });
    let bytes = manifest.to_string().into_bytes();
    fake.add_manifest("app", "latest", media_type::OCI_MANIFEST, &bytes);
    bytes
}

/// A whole download, from an offset on.
pub(crate) async fn download(
    repository: &Repository,
    descriptor: &Descriptor,
    offset: u64,
) -> Result<Vec<u8>, Error> {
    let mut blob = repository.blob(descriptor, offset)?;
    let mut bytes = Vec::new();
    while let Some(piece) = blob.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Every header of every request that came, as one text: to look for what must not be there.
pub(crate) fn everything(fake: &Fake) -> String {
    format!("{:?}", fake.seen())
}

/// Fails if an error has more than one line, is long, or shows a secret.
pub(crate) fn is_clean(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 600, "{text}");
    assert!(!format!("{text} {error:?}").contains("secret"), "{error:?}");
}
