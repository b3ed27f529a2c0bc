//! What a reply to a request for the rest of a blob really is.

use http::{HeaderMap, StatusCode, header};

/// How the body of a reply continues a blob of which `offset` bytes are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// It begins at the byte that was asked for.
    AtOffset,
    /// It is the whole blob: what is there already must be skipped.
    Whole,
    /// It is neither; ask for the whole blob.
    Useless,
    /// It has more bytes than the blob.
    WrongSize(u64),
}

/// Judges a successful reply to a request for `offset..size`; `offset` is 0 if the request asked for no range.
pub(crate) fn judge(status: StatusCode, headers: &HeaderMap, offset: u64, size: u64) -> Continuation {
    let length = content_length(headers);
    match status {
        StatusCode::PARTIAL_CONTENT => {
            let is_multipart = headers
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.to_ascii_lowercase().starts_with("multipart/"));
            match content_range(headers) {
                Some((start, end, total)) if start == offset && end < size && !is_multipart => {
                    if total.is_some_and(|total| total != size) {
                        return Continuation::WrongSize(total.unwrap_or_default());
                    }
                    // A length that disagrees with the range makes one of them a lie.
                    let lies = length.is_some_and(|length| length != end - start + 1);
                    if lies { Continuation::Useless } else { Continuation::AtOffset }
                }
                _ => Continuation::Useless,
            }
        }
        StatusCode::OK => match length {
            Some(length) if length > size => Continuation::WrongSize(length),
            _ if offset == 0 => Continuation::AtOffset,
            _ => Continuation::Whole,
        },
        _ => Continuation::Useless,
    }
}

/// The length that a reply claims, if it makes sense.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// First and last byte, and the total unless it is `*` (RFC 9110, section 14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, u64, Option<u64>)> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.trim();
    let (unit, rest) = value.split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (start.parse().ok()?, end.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (unit.eq_ignore_ascii_case("bytes") && start <= end).then_some((start, end, total))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::{Continuation, judge};

    #[test]
    fn c5_66_replies_to_a_range() {
        for (status, range, length, expected) in [
            (206, Some("bytes 10-99/100"), Some("90"), Continuation::AtOffset),
            (206, Some("bytes 10-99/100"), None, Continuation::AtOffset),
            (206, Some("Bytes 10-99/*"), None, Continuation::AtOffset),
            (206, Some("bytes 10-19/100"), Some("10"), Continuation::AtOffset),
            (206, Some("bytes 0-99/100"), None, Continuation::Useless),
            (206, Some("bytes 11-99/100"), None, Continuation::Useless),
            (206, Some("bytes 10-100/101"), None, Continuation::Useless),
            (206, Some("bytes 10-99/200"), None, Continuation::WrongSize(200)),
            (206, Some("bytes */0"), None, Continuation::Useless),
            (206, Some("bytes 99-10/100"), None, Continuation::Useless),
            (206, Some("bytes 10-99/100"), Some("91"), Continuation::Useless),
            (206, Some("bytes 10-99/100"), Some("9223372036854775808"), Continuation::Useless),
            (206, Some("rows 10-99/100"), None, Continuation::Useless),
            (206, Some("bytes 10-18446744073709551616/100"), None, Continuation::Useless),
            (206, None, None, Continuation::Useless),
            (200, None, Some("100"), Continuation::Whole),
            (200, None, None, Continuation::Whole),
            (200, None, Some("99"), Continuation::Whole),
            (200, None, Some("101"), Continuation::WrongSize(101)),
            (200, None, Some("9223372036854775808"), Continuation::WrongSize(1 << 63)),
            (204, None, None, Continuation::Useless),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(range) = range {
                headers.insert(header::CONTENT_RANGE, HeaderValue::from_static(range));
            }
            if let Some(length) = length {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status, &headers, 10, 100), expected, "{status} {range:?} {length:?}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(judge(StatusCode::OK, &headers, 0, 100), Continuation::AtOffset);
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_static("bytes 10-19/100"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/byteranges; boundary=x"));
        assert_eq!(judge(StatusCode::PARTIAL_CONTENT, &headers, 10, 100), Continuation::Useless);
    }
}
