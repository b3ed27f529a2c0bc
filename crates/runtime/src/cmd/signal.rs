/// Signals by name, without `SIG`, on every architecture that we build for but MIPS and SPARC.
const NAMES: [(&str, i32); 35] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
];

pub(super) const KILL: i32 = 9;
pub(super) const CHLD: i32 = 17;
pub(super) const URG: i32 = 23;
pub(super) const WINCH: i32 = 28;
/// The highest number that the kernel knows.
pub(super) const MAX: i32 = 64;

/// The signal that `text` means: a number, or a name with or without `SIG`, in any case;
/// real-time ones also as `RTMIN+n` and `RTMAX-n`.
pub(super) fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number).filter(|number| (0..=MAX).contains(number));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let number = match name.strip_prefix("RTMIN+") {
        Some(above) => 34_i32.checked_add(above.parse().ok().filter(|n| *n >= 0)?)?,
        None => match name.strip_prefix("RTMAX")? {
            "" => MAX,
            below => MAX.checked_sub(below.strip_prefix('-')?.parse().ok().filter(|n| *n >= 0)?)?,
        },
    };
    Some(number).filter(|number| (34..=MAX).contains(number))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_and_names() {
        for (text, number) in [
            ("9", 9),
            ("0", 0),
            ("64", 64),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("Hup", 1),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX", 64),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "SIG", "FOO", "-9", "65", "9x", "RTMIN+31", "RTMAX-31", "RTMIN+-1", "RTMAX+1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
