//! Answers of other servers: whether they are answers, and for how long they hold.

use super::{HEADER, kind, number, record};

/// An answer of another server, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// What it says of the name: 0 is that all is well, 3 that there is none.
    pub code: u8,
    /// Whether there is more than fits.
    pub is_cut: bool,
    /// Seconds for which it may be remembered.
    pub life: Option<u32>,
    /// Where its times to live are.
    ttls: Vec<u16>,
}

impl Response {
    /// Reads an answer to the query with this number and question. None for what is no such answer.
    #[must_use]
    pub fn parse(bytes: &[u8], id: u16, question: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEADER)?;
        if number(bytes, 0)? != id || head[2] & 0xf8 != 0x80 {
            return None;
        }
        let code = head[3] & 0xf;
        let count = |at| number(bytes, at).map(usize::from);
        let (questions, answers) = (count(4)?, count(6)?);
        let mut response = Self { code, is_cut: head[2] & 2 != 0, life: None, ttls: Vec::new() };
        // Who refuses may leave the question out.
        if questions == 0 && answers == 0 && code != 0 {
            return Some(response);
        }
        let end = HEADER + question.len();
        if questions != 1 || !bytes.get(HEADER..end)?.eq_ignore_ascii_case(question) {
            return None;
        }
        let mut next = end;
        let mut shortest = None;
        let mut negative = None;
        for index in 0..answers + count(8)? + count(10)? {
            let (found, end) = record(bytes, next)?;
            next = end;
            if found.kind == kind::OPT {
                continue;
            }
            response.ttls.push(u16::try_from(found.ttl_at).ok()?);
            shortest = Some(shortest.unwrap_or(u32::MAX).min(found.ttl));
            if found.kind == kind::SOA && index >= answers {
                let minimum = bytes.get(found.data.1.checked_sub(4)?..found.data.1)?;
                negative = Some(found.ttl.min(u32::from_be_bytes(minimum.try_into().ok()?)));
            }
        }
        if !response.is_cut {
            response.life = match (code, answers) {
                (0, 1..) => shortest,
                (0 | 3, _) => negative,
                _ => None,
            };
        }
        Some(response)
    }

    /// Where its times to live are.
    #[must_use]
    pub fn into_ttls(self) -> Vec<u16> {
        self.ttls
    }
}

/// Takes `seconds` from the times to live at these places.
pub fn age(bytes: &mut [u8], ttls: &[u16], seconds: u32) {
    for at in ttls {
        let at = usize::from(*at);
        if let Some(field) = bytes.get_mut(at..at + 4)
            && let Ok(ttl) = <[u8; 4]>::try_from(&*field)
        {
            field.copy_from_slice(&u32::from_be_bytes(ttl).saturating_sub(seconds).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Response, age};

    const QUESTION: &[u8] = b"\x01a\x02de\x00\x00\x01\x00\x01";

    fn answer(flags: [u8; 2], counts: [u8; 3], rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, flags[0], flags[1], 0, 1];
        for count in counts {
            bytes.extend([0, count]);
        }
        bytes.extend(QUESTION);
        bytes.extend(rest);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Response> {
        Response::parse(bytes, 0x1234, QUESTION)
    }

    #[test]
    fn an_answer_lives_as_long_as_its_shortest_record() {
        let mut records = Vec::new();
        for ttl in [300_u32, 60] {
            records.extend(b"\xc0\x0c\x00\x01\x00\x01");
            records.extend(ttl.to_be_bytes());
            records.extend(b"\x00\x04\x01\x02\x03\x04");
        }
        let mut bytes = answer([0x81, 0x80], [2, 0, 0], &records);
        let found = read(&bytes).unwrap();
        assert_eq!((found.code, found.is_cut, found.life), (0, false, Some(60)));
        let ttls = found.into_ttls();
        age(&mut bytes, &ttls, 100);
        assert_eq!(read(&bytes).unwrap().life, Some(0));
        // More than fits is not remembered.
        let cut = answer([0x83, 0x80], [2, 0, 0], &records);
        assert_eq!(read(&cut).unwrap().life, None);
        // Of one record there is a part.
        assert_eq!(read(&answer([0x81, 0x80], [3, 0, 0], &records)), None);
        assert_eq!(read(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn that_there_is_no_such_name_lives_as_its_zone_says() {
        let mut soa = b"\xc0\x0e\x00\x06\x00\x01\x00\x00\x0e\x10\x00\x16\x00\x00".to_vec();
        soa.extend([0; 16]);
        soa.extend(30_u32.to_be_bytes());
        let found = read(&answer([0x81, 0x83], [0, 1, 0], &soa)).unwrap();
        assert_eq!((found.code, found.life), (3, Some(30)));
        assert_eq!(read(&answer([0x81, 0x83], [0, 0, 0], &[])).unwrap().life, None);
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_none() {
        let good = answer([0x81, 0x80], [0, 0, 0], &[]);
        assert!(read(&good).is_some());
        assert!(Response::parse(&good, 0x1235, QUESTION).is_none());
        assert!(Response::parse(&good, 0x1234, b"\x01b\x02de\x00\x00\x01\x00\x01").is_none());
        assert!(read(&answer([0x01, 0x80], [0, 0, 0], &[])).is_none());
        assert!(read(&[]).is_none());
        // The letters may be others.
        assert!(Response::parse(&good, 0x1234, b"\x01A\x02De\x00\x00\x01\x00\x01").is_some());
        let refused = [0x12, 0x34, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&refused).map(|found| found.code), Some(5));
    }
}
