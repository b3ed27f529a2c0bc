use serde::{Deserialize, Deserializer};

/// Reads `null` as the type's default, as Go's decoder does for every producer of specs. A binary
/// encoding (of a plan) has no `null`.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    if !deserializer.is_human_readable() {
        return T::deserialize(deserializer);
    }
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
