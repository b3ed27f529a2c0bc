//! The keys by which a user leaves a terminal without ending what runs in it.

use super::Error;

/// What Docker takes when nothing is said: `ctrl-p,ctrl-q`.
const DEFAULT: [u8; 2] = [16, 17];

/// A sequence of keys, and how much of it was typed.
#[derive(Clone, Debug)]
pub struct Keys {
    sequence: Vec<u8>,
    typed: usize,
}

impl Keys {
    /// Reads `ctrl-p,ctrl-q` and the like: a character, or `ctrl-` and one of `a` to `z`, `@`, `[`, `\`, `]`,
    /// `^`, `_`. Empty is the default.
    ///
    /// # Errors
    /// [`Error::DetachKeys`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self { sequence: DEFAULT.to_vec(), typed: 0 });
        }
        let sequence = text.split(',').map(key).collect::<Option<Vec<u8>>>();
        let sequence = sequence.ok_or_else(|| Error::DetachKeys { keys: text.into() })?;
        Ok(Self { sequence, typed: 0 })
    }

    /// Takes what was typed. Returns what of it is for the program, and whether the user leaves. The beginning of
    /// the sequence is kept back until it is clear that it is none.
    pub fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for &byte in typed {
            if byte == self.sequence[self.typed] {
                self.typed += 1;
                if self.typed == self.sequence.len() {
                    self.typed = 0;
                    return (out, true);
                }
                continue;
            }
            out.extend_from_slice(&self.sequence[..self.typed]);
            self.typed = usize::from(byte == self.sequence[0] && self.typed > 0);
            if self.typed == 0 {
                out.push(byte);
            }
        }
        (out, false)
    }
}

fn key(word: &str) -> Option<u8> {
    if let [byte] = word.as_bytes() {
        return Some(*byte);
    }
    match word.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [other @ b'['..=b'_'] => Some(other - b'[' + 27),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn sequences_are_read_as_docker_reads_them() {
        assert_eq!(Keys::parse("").unwrap().sequence, [16, 17]);
        assert_eq!(
            Keys::parse("ctrl-a,a,ctrl-@,ctrl-[,ctrl-\\,ctrl-_").unwrap().sequence,
            [1, 97, 0, 27, 28, 31]
        );
        for wrong in ["ctrl-", "ctrl-A", "ab", "a,", "ctrl-1", ","] {
            let error = Keys::parse(wrong).unwrap_err().to_string();
            assert_eq!(error, format!("Invalid detach keys ({wrong}) provided"));
        }
    }

    #[test]
    fn only_the_whole_sequence_leaves() {
        let mut keys = Keys::parse("ctrl-p,ctrl-q").unwrap();
        assert_eq!(keys.filter(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.filter(&[16]), (vec![], false));
        assert_eq!(keys.filter(b"c"), (vec![16, b'c'], false));
        assert_eq!(keys.filter(&[b'x', 16, 16, 17, b'y']), (vec![b'x', 16], true));
        assert_eq!(keys.filter(&[16]), (vec![], false));
        assert_eq!(keys.filter(&[17]), (vec![], true));
    }
}
