//! Numbers in headers: octal with spaces or NULs around, or GNU's base-256.

use super::error::Problem;

/// A number of a header field.
///
/// Octal digits may have spaces before them and spaces or NULs after them. Base-256 numbers begin with the
/// byte 0x80, negative ones with 0xff; other first bytes with the high bit are read differently by readers.
/// A field of nothing but spaces or NULs is `None`.
pub(super) fn number(field: &[u8], what: &'static str) -> Result<Option<i64>, Problem> {
    match field[0] {
        0x80 => binary(&field[1..], 0).map(Some).ok_or(Problem::TooLarge(what)),
        0xff => binary(&field[1..], -1).map(Some).ok_or(Problem::TooLarge(what)),
        byte if byte & 0x80 != 0 => Err(Problem::Number(what)),
        _ => octal(field).ok_or(Problem::Number(what)),
    }
}

/// A number that cannot be negative.
pub(super) fn unsigned(field: &[u8], what: &'static str) -> Result<Option<u64>, Problem> {
    match number(field, what)? {
        None => Ok(None),
        Some(value) => u64::try_from(value).map(Some).map_err(|_| Problem::Negative(what)),
    }
}

fn binary(digits: &[u8], start: i64) -> Option<i64> {
    let mut value = start;
    for &digit in digits {
        // Leading digits that only repeat the sign change nothing; others must fit.
        value = value.checked_mul(256)?.checked_add(i64::from(digit))?;
    }
    Some(value)
}

/// `None` is junk, `Some(None)` an empty field. Twelve digits always fit.
fn octal(field: &[u8]) -> Option<Option<i64>> {
    let mut at = 0;
    while at < field.len() && field[at] == b' ' {
        at += 1;
    }
    let first = at;
    let mut value = 0i64;
    while at < field.len() && field[at] & 0xf8 == b'0' {
        value = value << 3 | i64::from(field[at] & 7);
        at += 1;
    }
    let found = at > first;
    field[at..].iter().all(|byte| matches!(byte, b' ' | 0)).then_some(found.then_some(value))
}

/// A decimal number without sign, as PAX records have it.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A time of a PAX record: `-?digits[.digits]`, rounded down to nanoseconds.
pub(super) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let point = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    let mut nanos = 0u32;
    let mut rest = false;
    for (place, digit) in fraction.iter().enumerate() {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        if place < 9 {
            nanos = nanos * 10 + digit;
        } else {
            rest |= digit != 0;
        }
    }
    for _ in fraction.len()..9 {
        nanos *= 10;
    }
    if !negative {
        return Some((seconds, nanos));
    }
    // -1.25 is the second -2 and 0.75 of the next; what is cut off counts downwards.
    let nanos = nanos + u32::from(rest);
    Some(if nanos == 0 { (-seconds, 0) } else { (-seconds - 1, 1_000_000_000 - nanos) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"00000644", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", None),
            (b"        ", None),
            (b"7777777 ", Some(0o7_777_777)),
        ] {
            assert_eq!(number(field, "x"), Ok(expected), "{field:?}");
        }
        for field in [
            &b"0000648\0"[..],
            b"0x00064\0",
            b"-000644\0",
            b"\x0000644\0\0",
            b"644\0 644",
            b"64 4\0\0\0\0",
            b"+000644\0",
            b"6_44\0\0\0\0",
        ] {
            assert_eq!(number(field, "x"), Err(Problem::Number("x")), "{field:?}");
        }
    }

    #[test]
    fn binary_numbers() {
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\x02\x03\x04\x05", "x"), Ok(Some(0x0203_0405)));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", "x"), Ok(Some(-2)));
        assert_eq!(number(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", "x"), Ok(Some(i64::MAX)));
        assert_eq!(number(b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", "x"), Ok(Some(i64::MIN)));
        assert_eq!(number(b"\x80\0\0\0\x80\0\0\0\0\0\0\0", "x"), Err(Problem::TooLarge("x")));
        assert_eq!(number(b"\x80\x01\0\0\0\0\0\0\0\0\0\0", "x"), Err(Problem::TooLarge("x")));
        assert_eq!(number(b"\xc0\0\0\0\0\0\0\0\0\0\0\0", "x"), Err(Problem::Number("x")));
        assert_eq!(number(b"\x81\0\0\0\0\0\0\0", "x"), Err(Problem::Number("x")));
        assert_eq!(
            unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", "x"),
            Err(Problem::Negative("x"))
        );
    }

    #[test]
    fn times() {
        for (text, expected) in [
            (&b"0"[..], Some((0, 0))),
            (b"1350244992.023960108", Some((1_350_244_992, 23_960_108))),
            (b"1350244992.02396010899", Some((1_350_244_992, 23_960_108))),
            (b"1.", Some((1, 0))),
            (b"-1.25", Some((-2, 750_000_000))),
            (b"-3", Some((-3, 0))),
            (b"-0.5", Some((-1, 500_000_000))),
            (b"-1.0000000001", Some((-2, 999_999_999))),
            (b".5", None),
            (b"-", None),
            (b"", None),
            (b"1e5", None),
            (b" 1", None),
            (b"1.5x", None),
            (b"99999999999999999999", None),
        ] {
            assert_eq!(time(text), expected, "{}", text.escape_ascii());
        }
    }
}
