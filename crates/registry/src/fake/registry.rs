//! What a correct registry answers (distribution-spec 1.1).

use base64::{Engine, prelude::BASE64_STANDARD};
use longshore_types::{Digest, oci::media_type::OCI_INDEX};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{
    Door, Shared, State,
    fault::Reply,
    http::{Request, Seen},
};

pub(super) fn answer(shared: &Shared, request: &Request) -> Reply {
    let Ok(url) = Url::parse("http://fake").and_then(|base| base.join(&request.seen.path)) else {
        return Reply::new(400, "");
    };
    let mut state = shared.state();
    if url.path() == "/token" {
        return token(&mut state, request, &url);
    }
    if let Some(refusal) = refusal(shared, &state, &request.seen) {
        return refusal;
    }
    let path = url.path().trim_start_matches("/v2/").to_owned();
    if url.path() == "/v2/" {
        return Reply::new(200, "{}");
    }
    if let Some((repository, rest)) = path.split_once("/blobs/uploads/") {
        return upload(&mut state, request, &url, repository, rest);
    }
    if let Some((_, digest)) = path.split_once("/blobs/") {
        return blob(&state, &request.seen, digest);
    }
    if let Some((repository, version)) = path.split_once("/manifests/") {
        return manifest(&mut state, request, repository, version);
    }
    if let Some(repository) = path.strip_suffix("/tags/list") {
        let names =
            state.manifests.keys().filter(|(known, version)| known == repository && !version.contains(':'));
        let tags: Vec<_> = names.map(|(_, version)| version.clone()).collect();
        return Reply::new(200, json!({"name": repository, "tags": tags}).to_string());
    }
    if let Some((repository, digest)) = path.split_once("/referrers/")
        && state.has_referrers
    {
        return referrers(&state, repository, digest);
    }
    error(404, "UNSUPPORTED", "no such place")
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::new(status, json!({"errors": [{"code": code, "message": message}]}).to_string())
        .with("content-type", "application/json")
}

/// The refusal of somebody who does not have what the door asks for.
fn refusal(shared: &Shared, state: &State, seen: &Seen) -> Option<Reply> {
    let authorization = seen.header("authorization").unwrap_or_default();
    let challenge = match &state.door {
        Door::Open => return None,
        Door::Basic { user, password } => {
            let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
            if authorization == expected {
                return None;
            }
            "Basic realm=\"fake\"".to_owned()
        }
        Door::Token { realm, .. } => {
            let number = authorization.strip_prefix("Bearer token-").and_then(|number| number.parse().ok());
            if number.is_some_and(|number: u64| number > state.revoked && number <= state.tokens) {
                return None;
            }
            let realm = realm.clone().unwrap_or_else(|| format!("{}/token", shared.base));
            format!("Bearer realm=\"{realm}\",service=\"fake\",scope=\"repository:x:pull\"")
        }
    };
    Some(error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge))
}

fn token(state: &mut State, request: &Request, url: &Url) -> Reply {
    let form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
    let get = |name: &str| {
        let pairs = url.query_pairs().into_owned().chain(form.clone());
        pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    if let Door::Token { account: Some((user, password)), .. } = &state.door {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let by_password = request.seen.header("authorization") == Some(basic.as_str());
        let by_identity = get("refresh_token").is_some_and(|token| token == format!("identity-{user}"));
        if !by_password && !by_identity {
            return Reply::new(401, r#"{"details":"incorrect username or password"}"#);
        }
    }
    state.tokens += 1;
    let mut answer = json!({"token": format!("token-{}", state.tokens), "expires_in": 300});
    if let (Some(_), Some(user)) = (get("offline_token"), get("account")) {
        answer["refresh_token"] = Value::from(format!("identity-{user}"));
    }
    Reply::new(200, answer.to_string()).with("content-type", "application/json")
}

fn blob(state: &State, seen: &Seen, digest: &str) -> Reply {
    let found = digest.parse::<Digest>().ok().and_then(|digest| state.blobs.get(&digest));
    let Some(content) = found else { return error(404, "BLOB_UNKNOWN", "blob unknown to registry") };
    let reply = Reply::new(200, content.clone())
        .with("docker-content-digest", digest)
        .with("etag", format!("\"{digest}\""))
        .with("accept-ranges", "bytes");
    let from =
        seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(from) = from.filter(|from: &usize| *from > 0) else { return reply };
    if from >= content.len() {
        return Reply::new(416, "").with("content-range", format!("bytes */{}", content.len()));
    }
    let mut reply =
        reply.with("content-range", format!("bytes {from}-{}/{}", content.len() - 1, content.len()));
    reply.status = 206;
    reply.body.drain(..from);
    reply
}

fn manifest(state: &mut State, request: &Request, repository: &str, version: &str) -> Reply {
    let key = |version: &str| (repository.to_owned(), version.to_owned());
    if request.seen.method == "PUT" {
        let digest = Digest::of(&request.body);
        let media_type = request.seen.header("content-type").unwrap_or_default().to_owned();
        for version in [version.to_owned(), digest.to_string()] {
            state.manifests.insert(key(&version), (media_type.clone(), request.body.clone()));
        }
        let mut reply = Reply::new(201, "")
            .with("location", format!("/v2/{repository}/manifests/{digest}"))
            .with("docker-content-digest", digest.to_string());
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if let Some(subject) = body["subject"]["digest"].as_str().filter(|_| state.has_referrers) {
            reply.set("oci-subject", subject);
        }
        return reply;
    }
    let Some((media_type, bytes)) = state.manifests.get(&key(version)) else {
        return error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    };
    Reply::new(200, bytes.clone())
        .with("content-type", media_type)
        .with("docker-content-digest", Digest::of(bytes).to_string())
}

fn referrers(state: &State, repository: &str, digest: &str) -> Reply {
    let of = state.manifests.iter().filter(|((known, version), (_, bytes))| {
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        known == repository && version.contains(':') && body["subject"]["digest"] == digest
    });
    let entries: Vec<_> = of
        .map(|((_, version), (media_type, bytes))| {
            let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
            let artifact_type = body.get("artifactType").cloned().unwrap_or(body["config"]["mediaType"].clone());
            json!({"mediaType": media_type, "digest": version, "size": bytes.len(), "artifactType": artifact_type})
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    Reply::new(200, index.to_string()).with("content-type", OCI_INDEX)
}

fn upload(state: &mut State, request: &Request, url: &Url, repository: &str, rest: &str) -> Reply {
    let query =
        |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    if request.seen.method == "POST" {
        let mount = query("mount").and_then(|digest| digest.parse::<Digest>().ok());
        if mount.is_some_and(|digest| state.blobs.contains_key(&digest)) {
            return Reply::new(201, "");
        }
        state.counter += 1;
        let number = state.counter;
        state.uploads.insert(number, Vec::new());
        return at(202, repository, number, 0);
    }
    let number = rest.parse().unwrap_or_default();
    let Some(content) = state.uploads.get_mut(&number) else {
        return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    let start = request.seen.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
    if start.is_some_and(|start: usize| start != content.len()) {
        return at(416, repository, number, content.len());
    }
    content.extend_from_slice(&request.body);
    let length = content.len();
    match request.seen.method.as_str() {
        "GET" => at(204, repository, number, length),
        "DELETE" => {
            state.uploads.remove(&number);
            Reply::new(204, "")
        }
        // What was cut off stays, as it does in registries that resume.
        _ if request.cut => Reply::new(500, ""),
        "PATCH" => at(202, repository, number, length),
        _ => {
            let content = state.uploads.remove(&number).unwrap_or_default();
            let digest = Digest::of(&content);
            if query("digest") != Some(digest.to_string()) {
                return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
            }
            state.blobs.insert(digest.clone(), content);
            Reply::new(201, "").with("docker-content-digest", digest.to_string())
        }
    }
}

fn at(status: u16, repository: &str, number: u64, length: usize) -> Reply {
    Reply::new(status, "")
        .with("location", format!("/v2/{repository}/blobs/uploads/{number}"))
        .with("range", format!("0-{}", length.saturating_sub(1)))
}
