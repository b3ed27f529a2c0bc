//! Sizes as Docker's users write them.

/// `10m` is 10,000,000.
pub(super) fn decimal(text: &str) -> Option<u64> {
    size(text, 1000)
}

/// `10m` is 10 MiB.
pub(super) fn binary(text: &str) -> Option<u64> {
    size(text, 1024)
}

/// A number that may have a fraction, and a unit: `k`, `m`, `g`, `t`, `p` with or without `b` or `ib`.
fn size(text: &str, base: u64) -> Option<u64> {
    let length = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(length);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let factor = base.pow(power);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let fraction = match fraction {
        "" => 0,
        digits => {
            let digits = digits.get(..digits.len().min(9))?;
            let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
            u64::try_from(digits.parse::<u128>().ok()? * u128::from(factor) / scale).ok()?
        }
    };
    whole.checked_mul(factor)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::{binary, decimal};

    #[test]
    fn sizes() {
        assert_eq!(decimal("10m"), Some(10_000_000));
        assert_eq!(decimal("1.5k"), Some(1500));
        assert_eq!(decimal("512"), Some(512));
        assert_eq!(binary("10MB"), Some(10 << 20));
        assert_eq!(binary("4 KiB"), Some(4096));
        for wrong in ["", "m", "1x", "-1", "1.2.3k", ".5k", "99999999p"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }
}
