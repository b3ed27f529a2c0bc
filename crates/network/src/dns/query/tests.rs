use std::net::IpAddr;

use super::{Answer, Code, Query, QueryError, kind};

/// A query with some records behind the question.
fn query(name: &str, kind: u16, extra: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::try_from(extra.len()).unwrap()];
    bytes.extend(super::wire_name(name));
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(extra.concat());
    bytes
}

const EDNS: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

fn read(name: &str, kind: u16) -> Query {
    Query::parse(&query(name, kind, &[])).unwrap()
}

#[test]
fn a_question_is_read() {
    let plain = read("Web.Shop.", kind::A);
    assert_eq!((plain.name(), plain.kind(), plain.id()), ("web.shop", Some(kind::A), 0xabcd));
    assert_eq!(plain.datagram(), 512);
    let edns = Query::parse(&query("web", kind::AAAA, &[EDNS])).unwrap();
    assert_eq!((edns.kind(), edns.datagram()), (Some(kind::AAAA), 1232));
    assert_eq!(read("", kind::A).name(), "");
    // A point within a label is none between two.
    let mut bytes = query("a-b", kind::A, &[]);
    bytes[14] = b'.';
    assert_eq!(Query::parse(&bytes).unwrap().name(), "a\\046b");
}

#[test]
fn what_is_no_question_is_refused() {
    let good = query("web", kind::A, &[EDNS]);
    for length in 0..12 {
        assert_eq!(Query::parse(&good[..length]), Err(QueryError::NoQuery), "{length}");
    }
    for length in 12..good.len() {
        let error = Query::parse(&good[..length]).unwrap_err();
        assert_eq!(error.reply().unwrap()[..4], [0xab, 0xcd, 0x80, 0x81], "{length}");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Query::parse(&bytes)
    };
    assert_eq!(with(2, 0x81), Err(QueryError::NoQuery));
    assert!(matches!(with(2, 0x28), Err(QueryError::Malformed { code: 4, .. })));
    assert!(with(5, 0).is_err() && with(5, 2).is_err());
    // A name that points, one with a long label, a record too many.
    assert!(with(12, 0xc0).is_err() && with(12, 0x40).is_err() && with(12, 63).is_err());
    assert!(with(11, 2).is_err());
    let long = vec!["a".repeat(60); 5].join(".");
    let mut bytes = query("x", kind::A, &[]);
    let labels: Vec<u8> = long.split('.').flat_map(|label| [&[60], label.as_bytes()].concat()).collect();
    bytes.splice(12..14, labels);
    assert!(Query::parse(&bytes).is_err());
}

#[test]
fn an_answer_has_the_records() {
    let query = read("web", kind::A);
    let addresses = ["10.0.0.2", "10.0.0.3"].map(|text| Answer::Address(text.parse().unwrap()));
    let bytes = query.reply(Code::NoError, &addresses, 512);
    assert_eq!(bytes[..12], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]);
    assert_eq!(bytes[12..21], *b"\x03web\x00\x00\x01\x00\x01");
    assert_eq!(bytes[21..37], [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 2]);
    assert_eq!(bytes.len(), 21 + 2 * 16);
    let none = query.reply(Code::NoSuchName, &[], 512);
    assert_eq!(none[3], 0x83);
    let named = read("2.0.0.10.in-addr.arpa", kind::PTR);
    let bytes = named.reply(Code::NoError, &[Answer::Name("web.shop".into())], 512);
    assert!(bytes.ends_with(b"\x03web\x04shop\x00"));
}

#[test]
fn an_answer_that_is_too_long_is_cut_and_says_so() {
    let query = Query::parse(&query("web", kind::A, &[EDNS])).unwrap();
    let many: Vec<Answer> = (0..100).map(|last| Answer::Address(IpAddr::from([10, 0, 0, last]))).collect();
    let short = query.reply(Code::NoError, &many, 512);
    assert!(short.len() <= 512 && short[2] & 2 == 2);
    assert_eq!(short[6..8], [0, 30]);
    // The OPT record is there, cut or not.
    assert!(short.ends_with(&[0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]) && short[11] == 1);
    let whole = query.reply(Code::NoError, &many, usize::MAX);
    assert!(whole[2] & 2 == 0 && whole[6..8] == [0, 100]);
}

#[test]
fn names_of_addresses() {
    let of = |name: &str| read(name, kind::PTR).reverse();
    assert_eq!(of("4.3.2.10.in-addr.arpa"), Some("10.2.3.4".parse().unwrap()));
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    assert_eq!(of(six), Some("2001:db8::1".parse().unwrap()));
    for name in ["3.2.10.in-addr.arpa", "256.3.2.10.in-addr.arpa", "x.ip6.arpa", "ip6.arpa", "web"] {
        assert_eq!(of(name), None, "{name}");
    }
}
