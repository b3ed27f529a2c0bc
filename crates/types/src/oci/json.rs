//! Strict JSON: bounded depth and number of values, no key twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::error::{Document, DocumentError, shown};

/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most values: numbers, strings, objects and so on, of any depth.
const MAX_VALUES: usize = 1 << 18;
/// Marks a duplicate key in an error of serde, which knows no errors of others.
const DUPLICATE: &str = "\u{1}duplicate key\u{1}";

/// Reads `bytes`, of at most `limit`.
pub(crate) fn parse(
    bytes: &[u8],
    document: Document,
    limit: usize,
) -> Result<Map<String, Value>, DocumentError> {
    if bytes.len() > limit {
        return Err(DocumentError::TooLong { document, len: bytes.len(), limit });
    }
    let fail = |error: &serde_json::Error| {
        let text = error.to_string();
        match text.strip_prefix(DUPLICATE).and_then(|rest| rest.split(DUPLICATE).next()) {
            Some(key) => DocumentError::DuplicateKey { document, key: shown(key) },
            None => DocumentError::Json { document, message: shown(&text) },
        }
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut values = 0;
    let seed = Strict { depth: 0, values: &mut values };
    let value = seed.deserialize(&mut reader).map_err(|error| fail(&error))?;
    reader.end().map_err(|error| fail(&error))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(DocumentError::Json { document, message: "expected an object".to_owned() }),
    }
}

/// Makes the type of a document that was read.
pub(crate) fn typed<T: DeserializeOwned>(
    map: Map<String, Value>,
    document: Document,
) -> Result<T, DocumentError> {
    serde_path_to_error::deserialize(Value::Object(map)).map_err(|error| {
        let field = shown(&error.path().to_string());
        let message = shown(&error.inner().to_string());
        match field.as_str() {
            "." => DocumentError::Json { document, message },
            _ => DocumentError::Field { document, field, message },
        }
    })
}

/// Whether two keys are one to a reader that folds case, as Go's does.
fn folded(key: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).collect()
}

/// The first key of `map` that another equals but for its case, or that equals one of `known` but for its case.
///
/// Go's reader takes `Layers` for `layers`; a document that has it would mean something else there.
pub(crate) fn look_alike(map: &Map<String, Value>, known: &[&str]) -> Option<String> {
    let mut seen = std::collections::HashSet::with_capacity(map.len());
    map.keys()
        .find(|key| {
            let folded = folded(key);
            let imitates = known.iter().any(|known| self::folded(known) == folded && known != key);
            imitates || !seen.insert(folded)
        })
        .cloned()
}

/// What Go writes for an empty list or map is `null`; takes it as that.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    reader: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

/// Builds a value and counts.
struct Strict<'a> {
    depth: usize,
    values: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        *self.values += 1;
        if self.depth > MAX_DEPTH {
            return Err(D::Error::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        if *self.values > MAX_VALUES {
            return Err(D::Error::custom(format_args!("more than {MAX_VALUES} values")));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(Strict { depth: self.depth + 1, values: &mut *self.values })?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{DUPLICATE}{}{DUPLICATE}", shown(&key))));
            }
            let value =
                entries.next_value_seed(Strict { depth: self.depth + 1, values: &mut *self.values })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
