//! Reading JSON by the rules of Go's decoder, which clients of Docker rely on.
//!
//! * Names of fields match in any case; one in the right case wins. Names that nobody knows are ignored.
//! * `null` is the empty value, wherever it stands.
//! * Of a name that comes twice, the last one counts.
//!
//! Numbers are held to their type: `1.5` and what does not fit are errors, as in Go. A document is nested 128 deep at
//! most; Go takes 10,000.

mod value;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use value::Lenient;

/// Why a document was not understood. The words are Docker's, up to what Go's decoder says in its own.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("invalid JSON: got EOF while reading request body")]
    Empty,
    #[error("invalid JSON: {0}")]
    Syntax(String),
    #[error("unexpected content after JSON")]
    Trailing,
    #[error("invalid JSON: {path}: {error}")]
    Field { path: String, error: serde_json::Error },
    #[error("invalid JSON: {0}")]
    Document(serde_json::Error),
}

/// Reads a document.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, ReadError> {
    from_value(value_of(text)?)
}

/// Reads what has been read as any JSON.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ReadError> {
    serde_path_to_error::deserialize(Lenient(value)).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if path == "." { ReadError::Document(error) } else { ReadError::Field { path, error } }
    })
}

/// Reads any JSON.
pub fn value_of(text: &[u8]) -> Result<Value, ReadError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(ReadError::Empty);
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Value::deserialize(&mut reader).map_err(|error| ReadError::Syntax(said(text, &error)))?;
    reader.end().map_err(|_| ReadError::Trailing)?;
    Ok(value)
}

/// What Go's decoder says of the commonest mistakes: clients match on it.
fn said(text: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected EOF".into();
    }
    let message = error.to_string();
    let wanted = if message.starts_with("key must be a string") {
        "object key string"
    } else if message.starts_with("expected value") {
        "value"
    } else {
        return message;
    };
    let line = text.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.get(error.column().saturating_sub(1)).map_or(' ', |byte| char::from(*byte));
    format!("invalid character '{}' looking for beginning of {wanted}", found.escape_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Inner {
        memory: i64,
        nano_cpus: Option<u64>,
        #[serde(rename = "CpusetCpus")]
        cpus: String,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Outer {
        image: String,
        tty: bool,
        env: Vec<String>,
        volumes: BTreeMap<String, Inner>,
        host: Inner,
    }

    fn read(text: &str) -> Outer {
        from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refused(text: &str) -> String {
        from_slice::<Outer>(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn names_match_in_any_case_and_the_right_one_wins() {
        assert_eq!(read(r#"{"iMaGe":"a","HOST":{"memory":5},"nobody":[{}]}"#).host.memory, 5);
        assert_eq!(read(r#"{"Image":"right","image":"wrong"}"#).image, "right");
        assert_eq!(read(r#"{"image":"wrong","Image":"right"}"#).image, "right");
        assert_eq!(read(r#"{"Image":"first","Image":"last"}"#).image, "last");
        assert_eq!(read(r#"{"image":"a","IMAGE":"b"}"#).env.len(), 0);
    }

    #[test]
    fn null_is_the_empty_value_everywhere() {
        let all = r#"{"Image":null,"Tty":null,"Env":null,"Volumes":null,"Host":null}"#;
        assert_eq!(read(all), Outer::default());
        let inside =
            read(r#"{"Env":[null,"a"],"Volumes":{"/x":null},"Host":{"Memory":null,"NanoCpus":null}}"#);
        assert_eq!(inside.env, ["", "a"]);
        assert_eq!(inside.volumes["/x"], Inner::default());
        assert_eq!(read("null"), Outer::default());
        assert_eq!(from_slice::<Option<Outer>>(b"null").expect("nothing"), None);
        assert_eq!(from_slice::<Vec<u8>>(b"null").expect("nothing"), Vec::<u8>::new());
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_go() {
        let wrong = "invalid JSON: invalid character";
        assert_eq!(refused("{invalid"), format!("{wrong} 'i' looking for beginning of object key string"));
        assert_eq!(refused("{\n \"a\": x}"), format!("{wrong} 'x' looking for beginning of value"));
        assert_eq!(refused("{\"a\":"), "invalid JSON: unexpected EOF");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = refused(r#"{"Host":{"Memory":"1g"}}"#);
        assert_eq!(message, "invalid JSON: Host.Memory: invalid type: string \"1g\", expected i64");
        for (field, value) in [
            ("Memory", "1.5"),
            ("Memory", "9223372036854775808"),
            ("NanoCpus", "-1"),
            ("CpusetCpus", "0"),
            ("Memory", "[]"),
            ("Memory", "{}"),
            ("Memory", "true"),
        ] {
            let message = refused(&format!(r#"{{"Host":{{"{field}":{value}}}}}"#));
            assert!(message.starts_with(&format!("invalid JSON: Host.{field}: invalid ")), "{message}");
        }
        assert!(refused("[1]").starts_with("invalid JSON: "));
        assert!(
            refused(r#"{"Memory":1e999,"Host":{"Memory":1e999}}"#).starts_with("invalid JSON: number out of")
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert_eq!(refused(" \n"), "invalid JSON: got EOF while reading request body");
        assert_eq!(refused("{} {}"), "unexpected content after JSON");
        assert_eq!(refused("{}x"), "unexpected content after JSON");
        for text in ["{", "{\"a\":", "x", "{'a':1}", "{\"a\":NaN}", "{\"a\":\"\\ud800\"}", "{\"a\":01}"] {
            assert!(refused(text).starts_with("invalid JSON: "), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(refused(&deep).starts_with("invalid JSON: recursion limit"));
    }
}
