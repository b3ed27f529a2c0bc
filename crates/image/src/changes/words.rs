//! Words of a Dockerfile's line: quotes, escapes and variables.

use super::Problem;

/// Splits at white space outside of quotes. Quotes and escapes stay.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        if quote.is_none() && c.is_whitespace() {
            words.extend(start.take().map(|start| &text[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match (quote, c) {
            (Some('\''), '\\') => {}
            (_, '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    words.extend(start.map(|start| &text[start..]));
    words
}

/// Takes quotes and escapes off, and puts variables in: `$a`, `${a}`, `${a:-else}`, `${a:+instead}`, `${a:?}`.
pub(super) fn process(text: &str, env: &[String]) -> Result<String, Problem> {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match c {
            '\'' if !quoted => loop {
                match rest.next() {
                    Some('\'') => break,
                    Some(c) => out.push(c),
                    None => return Err(Problem::Quote { text: text.to_owned() }),
                }
            },
            '"' => quoted = !quoted,
            '\\' => match rest.next() {
                Some(c) if !quoted || matches!(c, '"' | '$' | '\\') => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            '$' => variable(&mut rest, env, text, &mut out)?,
            c => out.push(c),
        }
    }
    if quoted { Err(Problem::Quote { text: text.to_owned() }) } else { Ok(out) }
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows a `$`.
fn variable(rest: &mut Rest<'_>, env: &[String], text: &str, out: &mut String) -> Result<(), Problem> {
    let bad = || Problem::Substitution { text: text.to_owned() };
    if rest.next_if_eq(&'{').is_none() {
        let name = name(rest);
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(value(env, &name).unwrap_or_default());
        }
        return Ok(());
    }
    let name = name(rest);
    if name.is_empty() {
        return Err(bad());
    }
    let found = value(env, &name);
    match rest.next() {
        Some('}') => {
            out.push_str(found.unwrap_or_default());
            return Ok(());
        }
        Some(':') => {}
        _ => return Err(bad()),
    }
    let modifier = rest.next().ok_or_else(bad)?;
    let mut word = String::new();
    let mut depth = 1;
    loop {
        let c = rest.next().ok_or_else(bad)?;
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        word.push(c);
    }
    let found = found.filter(|found| !found.is_empty());
    match (modifier, found) {
        ('-' | '?', Some(found)) => out.push_str(found),
        ('-', None) | ('+', Some(_)) => out.push_str(&process(&word, env)?),
        ('+', None) => {}
        _ => return Err(bad()),
    }
    Ok(())
}

fn name(rest: &mut Rest<'_>) -> String {
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    name
}

/// The value of a variable in a list of `name=value`.
pub(super) fn value<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter().rev().find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
}
