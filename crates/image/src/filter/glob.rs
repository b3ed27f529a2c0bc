//! Patterns as Go's `path.Match` knows them: `*` and `?` stop at `/`, `[a-c]`, `[^x]`, `\` quotes.

use super::FilterError;

/// One part of a pattern.
#[derive(Debug)]
enum Piece {
    Literal(char),
    Any,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(wanted) => *wanted == c,
            Self::Any => c != '/',
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(from, to)| (from..=to).contains(&&c)) != *negated
            }
        }
    }
}

/// Whether all of `name` matches. Takes time of the product of both lengths at most.
pub(crate) fn matches(pattern: &str, name: &str) -> Result<bool, FilterError> {
    let segments = segments(pattern)?;
    let name: Vec<char> = name.chars().collect();
    let fits = |segment: &[Piece], at: usize| {
        let there = name.get(at..at + segment.len());
        there.is_some_and(|there| segment.iter().zip(there).all(|(piece, c)| piece.takes(*c)))
    };
    let Some((first, rest)) = segments.split_first() else { return Ok(name.is_empty()) };
    if !fits(first, 0) {
        return Ok(false);
    }
    let mut at = first.len();
    let Some((last, middle)) = rest.split_last() else { return Ok(at == name.len()) };
    // The leftmost place for each segment leaves the most for those that follow.
    for segment in middle {
        let stop = name[at..].iter().position(|c| *c == '/').map_or(name.len(), |length| at + length);
        let Some(found) = (at..=stop).find(|&at| fits(segment, at)) else { return Ok(false) };
        at = found + segment.len();
    }
    let Some(end) = name.len().checked_sub(last.len()) else { return Ok(false) };
    Ok(end >= at && fits(last, end) && !name[at..end].contains(&'/'))
}

/// What is between the stars.
fn segments(pattern: &str) -> Result<Vec<Vec<Piece>>, FilterError> {
    let mut segments = vec![Vec::new()];
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        let piece = match c {
            '*' => {
                segments.push(Vec::new());
                continue;
            }
            '?' => Piece::Any,
            '\\' => Piece::Literal(rest.next().ok_or(FilterError::Pattern)?),
            '[' => {
                let negated = rest.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
                    let from = class_char(&mut rest)?;
                    let to = if rest.next_if_eq(&'-').is_some() { class_char(&mut rest)? } else { from };
                    ranges.push((from, to));
                }
                Piece::Class { negated, ranges }
            }
            c => Piece::Literal(c),
        };
        if let Some(segment) = segments.last_mut() {
            segment.push(piece);
        }
    }
    Ok(segments)
}

fn class_char(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, FilterError> {
    match rest.next() {
        Some('\\') => rest.next().ok_or(FilterError::Pattern),
        None | Some('-' | ']') => Err(FilterError::Pattern),
        Some(c) => Ok(c),
    }
}
