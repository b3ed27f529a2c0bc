use super::*;
use crate::limits::Limits;
use std::io::{BufReader, Write};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).expect("write");
    encoder.finish().expect("finish")
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("zstd");
    // As the command does; without it a flipped bit may go unseen.
    encoder.include_checksum(true).expect("checksum");
    encoder.write_all(data).expect("write");
    encoder.finish().expect("finish")
}

fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(data).expect("write");
    encoder.finish().expect("finish")
}

fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 3);
    encoder.write_all(data).expect("write");
    encoder.finish().expect("finish")
}

type Pack = fn(&[u8]) -> Vec<u8>;

const ALL: [(Compression, Pack); 4] = [
    (Compression::Gzip, gzip),
    (Compression::Zstd, zstd),
    (Compression::Bzip2, bzip2),
    (Compression::Xz, xz),
];

fn unpack_limited(
    data: &[u8],
    compression: Compression,
    limits: &Limits,
    buffer: usize,
) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Decoder::new(BufReader::with_capacity(buffer, data), compression, limits)?.read_to_end(&mut out)?;
    Ok(out)
}

fn unpack(data: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    unpack_limited(data, compression, &Limits::default(), 4096)
}

fn refusal(result: io::Result<Vec<u8>>) -> Error {
    let inner = result.expect_err("refused").into_inner().expect("an inner error");
    *inner.downcast().expect("an error of this module")
}

/// Text that compresses, but not to nothing.
fn sample() -> Vec<u8> {
    (0..40_000u32)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 20).to_string().into_bytes())
        .collect()
}

#[test]
fn each_kind_is_detected_and_read() {
    let data = sample();
    for (compression, pack) in ALL {
        let packed = pack(&data);
        assert_eq!(detect(&packed[..MAGIC_BYTES]), compression);
        for buffer in [1, 13, 4096, 1 << 20] {
            let out = unpack_limited(&packed, compression, &Limits::default(), buffer).expect("unpack");
            assert!(out == data, "{compression} with a buffer of {buffer}");
        }
    }
    assert_eq!(detect(b"usr/bin/"), Compression::None);
    assert_eq!(unpack(&data, Compression::None).expect("plain"), data);
    assert_eq!(unpack(b"", Compression::None).expect("empty"), b"");
}

#[test]
fn members_follow_each_other() {
    for (compression, pack) in ALL {
        let packed = [pack(b"first "), pack(b""), pack(b"second")].concat();
        assert_eq!(unpack(&packed, compression).expect("unpack"), b"first second", "{compression}");
    }
}

#[test]
fn c1_10_trailing_garbage_is_refused() {
    for (compression, pack) in ALL {
        for garbage in [&b"garbage"[..], &[0; 7]] {
            let packed = [pack(b"data"), garbage.to_vec()].concat();
            let error = refusal(unpack(&packed, compression));
            let expected = matches!(error, Error::TrailingGarbage { .. } | Error::Truncated { .. });
            assert!(expected, "{compression}: {error}");
        }
    }
}

#[test]
fn c1_12_truncation_is_refused_at_every_byte() {
    for (compression, pack) in ALL {
        let packed = pack(&sample()[..3000]);
        for length in 0..packed.len() {
            let error = refusal(unpack(&packed[..length], compression));
            assert!(matches!(error, Error::Truncated { .. }), "{compression} at {length}: {error}");
        }
    }
}

#[test]
fn c1_12_flipped_bits_never_give_other_data() {
    let data = &sample()[..3000];
    for (compression, pack) in ALL {
        let packed = pack(data);
        for bit in 0..packed.len() * 8 {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(out) = unpack(&flipped, compression) {
                assert!(out == data, "{compression}: bit {bit} went unseen");
            }
        }
    }
}

#[test]
fn c1_14_one_kind_is_not_taken_for_another() {
    for (compression, _) in ALL {
        for (other, pack) in ALL {
            if other != compression {
                let error = refusal(unpack(&pack(b"data"), compression));
                assert!(matches!(error, Error::Magic(_)), "{other} as {compression}: {error}");
            }
        }
    }
}

#[test]
fn c1_10_bombs_stop_at_the_limit() {
    let zeros = vec![0; 8 << 20];
    let ratio = Limits { ratio: 20, ratio_free_bytes: 1 << 20, ..Limits::default() };
    let length = Limits { archive_bytes: 1 << 20, ..Limits::default() };
    for (compression, pack) in ALL {
        let packed = pack(&zeros);
        let error = refusal(unpack_limited(&packed, compression, &ratio, 4096));
        assert!(matches!(error, Error::Ratio { ratio: 20, .. }), "{compression}: {error}");
        let error = refusal(unpack_limited(&packed, compression, &length, 4096));
        assert!(matches!(error, Error::TooLong(_)), "{compression}: {error}");
    }
}

#[test]
fn c1_10_large_windows_are_refused() {
    // A frame header that asks for 2 GiB.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0, (31 - 10) << 3, 1, 0, 0];
    let error = refusal(unpack(&window, Compression::Zstd));
    assert!(matches!(error, Error::Window { limit: 134_217_728, .. }), "{error}");
    let little = Limits { window_bytes: 1 << 20, ..Limits::default() };
    let error = refusal(unpack_limited(&xz(b"data"), Compression::Xz, &little, 4096));
    assert!(matches!(error, Error::Window { .. }), "{error}");
}

/// A source of zeros behind a start.
fn endless(start: &[u8]) -> impl Read + use<> {
    io::Cursor::new(start.to_vec()).chain(io::repeat(0))
}

#[test]
fn c1_10_frames_without_data_are_bounded() {
    let frame = |length: u32| [&[0x5a, 0x2a, 0x4d, 0x18][..], &length.to_le_bytes()].concat();
    let packed = [frame(3), b"abc".to_vec(), zstd(b"data"), frame(0)].concat();
    assert_eq!(unpack(&packed, Compression::Zstd).expect("skipped"), b"data");
    let source = BufReader::new(endless(&frame(u32::MAX)));
    let mut decoder = Decoder::new(source, Compression::Zstd, &Limits::default()).expect("decoder");
    let error = refusal(decoder.read_to_end(&mut Vec::new()).map(|_| Vec::new()));
    assert!(matches!(error, Error::Skippable(_)), "{error}");
    assert!(decoder.read_compressed() < 1000);
}

#[test]
fn a_gzip_header_may_have_every_field() {
    let packed = gzip(b"data");
    let mut header = packed[..10].to_vec();
    header[3] = 2 | 4 | 8 | 16;
    header.extend_from_slice(b"\x03\0abcname\0comment\0");
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let crc = crc.sum().to_le_bytes();
    let good = [&header[..], &crc[..2], &packed[10..]].concat();
    assert_eq!(unpack(&good, Compression::Gzip).expect("unpack"), b"data");
    let bad = [&header[..], &[crc[0] ^ 1, crc[1]], &packed[10..]].concat();
    assert!(matches!(refusal(unpack(&bad, Compression::Gzip)), Error::Damaged { .. }));
}

#[test]
fn what_is_encoded_is_read_back() {
    // Nothing, one block, a full block, several with a rest.
    let noise: Vec<u8> =
        (0..1_200_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for length in [0, 1, 1 << 20, (1 << 20) + 1, noise.len()] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut encoder = Encoder::new(Vec::new(), compression, None).expect("encoder");
            encoder.write_all(&noise[..length]).expect("write");
            let packed = encoder.finish().expect("finish");
            let out = unpack(&packed, compression).expect("unpack");
            assert!(out == noise[..length], "{length} bytes as {compression}");
        }
    }
    let error = Encoder::new(Vec::new(), Compression::Xz, None).expect_err("not written");
    assert_eq!(error.to_string(), "layers are not written as xz: choose gzip or zstd");
}

#[test]
fn gzip_reads_what_is_encoded() {
    let mut encoder = Encoder::new(Vec::new(), Compression::Gzip, None).expect("encoder");
    for _ in 0..30 {
        encoder.write_all(&sample()).expect("write");
    }
    let packed = encoder.finish().expect("finish");
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut out).expect("another reader");
    assert!(out == sample().repeat(30));
}
