//! `/proc/*/mountinfo`, parsed.

use crate::report::Mount;

/// Parses the text of a mountinfo file. Lines that are not its format are left out.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    let mut words = line.split(' ');
    let (root, point, options) = (words.nth(3)?, words.next()?, words.next()?);
    let propagation = words.by_ref().take_while(|word| *word != "-");
    let propagation = propagation.map(|word| word.split(':').next().unwrap_or(word).to_owned()).collect();
    let (kind, source, super_options) = (words.next()?, words.next()?, words.next()?);
    Some(Mount {
        point: unescape(point),
        root: unescape(root),
        kind: kind.to_owned(),
        source: unescape(source),
        options: list(options),
        super_options: list(super_options),
        propagation,
    })
}

fn list(options: &str) -> Vec<String> {
    let mut list: Vec<String> = options.split(',').map(str::to_owned).collect();
    list.sort();
    list
}

/// `\040` and its like.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let Some(code) = code else {
            out.push('\\');
            rest = &rest[at + 1..];
            continue;
        };
        out.push(char::from(code));
        rest = &rest[at + 4..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_with_peers_and_an_escape() {
        let text =
            "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n";
        let mounts = super::parse(text);
        assert_eq!(mounts.len(), 1);
        let mount = &mounts[0];
        assert_eq!((mount.point.as_str(), mount.root.as_str()), ("/mnt 2", "/mnt1"));
        assert_eq!(mount.options, ["noatime", "rw"]);
        assert_eq!(mount.propagation, ["master", "shared"]);
        assert_eq!((mount.kind.as_str(), mount.source.as_str()), ("ext3", "/dev/root"));
    }
}
