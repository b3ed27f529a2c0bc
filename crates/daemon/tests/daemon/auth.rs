//! `POST /auth`.

use serde_json::json;
use testkit::{
    longshored::Longshored,
    registry::{Options, PASSWORD, Registry, USER},
};

#[test]
fn accounts_are_checked_with_their_registry() {
    let registry = Registry::with(Options { login: true, ..Options::default() });
    let daemon = Longshored::start();
    let account = |password: &str| {
        daemon.post(
            "/v1.30/auth",
            &json!({"username": USER, "password": password, "serveraddress": registry.host()}),
        )
    };
    assert_eq!(account(PASSWORD).expect(200).json()["Status"], "Login Succeeded");
    let refused = account("a word that is wrong").expect(401);
    assert!(!refused.text().contains("a word that is wrong"));
    assert!(!daemon.log().contains("a word that is wrong"));
    let nobody = json!({"username": "x", "password": "y", "serveraddress": "127.0.0.1:1"});
    let status = daemon.post("/auth", &nobody).status;
    assert!([500, 503].contains(&status), "{status}");
}
