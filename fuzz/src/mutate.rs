//! Changes to an input: bits, bytes, numbers, pieces moved, cut out and taken from others.

use fastrand::Rng;

/// Inputs past this many bytes are cut.
const LONGEST: usize = 64 << 10;
/// Bytes that mean something in one format or another.
const TELLING: &[u8] = b"\0\n\r\t \"#%+,-./0159:;=@AZ[\\]_az{}\x7f\x80\xff";

/// Changes `input` in one to eight places.
pub fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut Rng) {
    for _ in 0..rng.usize(1..=8) {
        step(input, others, rng);
    }
    input.truncate(LONGEST);
}

fn step(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut Rng) {
    let length = input.len();
    let at = rng.usize(..length.max(1));
    match rng.u8(..9) {
        0 if length > 0 => input[at] ^= 1 << rng.u8(..8),
        1 if length > 0 => input[at] = rng.u8(..),
        2 if length > 0 => input[at] = TELLING[rng.usize(..TELLING.len())],
        3 if length > 0 => {
            let end = (at + rng.usize(1..32)).min(length);
            input.drain(at..end);
        }
        4 => {
            let count = rng.usize(1..16);
            let byte = TELLING[rng.usize(..TELLING.len())];
            input.splice(at..at, std::iter::repeat_n(byte, count));
        }
        5 if length > 0 => {
            let end = (at + rng.usize(1..600)).min(length);
            let piece = input[at..end].to_vec();
            let to = rng.usize(..=length);
            input.splice(to..to, piece);
        }
        6 if length > 0 => input.truncate(at),
        7 if !others.is_empty() => {
            let other = &others[rng.usize(..others.len())];
            let from = rng.usize(..=other.len());
            let end = (from + rng.usize(..600)).min(other.len());
            input.splice(at..at, other[from..end].iter().copied());
        }
        _ => number(input, rng),
    }
}

/// Replaces a run of digits by a number that is a limit somewhere.
fn number(input: &mut Vec<u8>, rng: &mut Rng) {
    const NUMBERS: &[&str] =
        &["0", "1", "511", "512", "4294967296", "9223372036854775808", "-1", "00", "1e9"];
    let starts: Vec<usize> = (0..input.len())
        .filter(|&at| input[at].is_ascii_digit() && (at == 0 || !input[at - 1].is_ascii_digit()))
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = starts[rng.usize(..starts.len())];
    let digits = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let new = NUMBERS[rng.usize(..NUMBERS.len())].bytes();
    input.splice(start..start + digits, new);
}

/// Gives each header of an archive the right checksum, so that changes get past it.
pub fn reseal(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if block.get(257..262) != Some(b"ustar") {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Changes fields of headers only: what readers of tar may disagree on.
pub fn fields(archive: &mut [u8], rng: &mut Rng) {
    let blocks = archive.len() / 512;
    for _ in 0..rng.usize(1..=3) {
        let start = rng.usize(..blocks.max(1)) * 512;
        let Some(block) = archive.get_mut(start..start + 512) else { return };
        if &block[257..262] != b"ustar" {
            // An extended header's records, or content: as good a place for a digit.
            let digits: Vec<usize> = (0..512).filter(|&at| block[at].is_ascii_digit()).collect();
            if !digits.is_empty() {
                block[digits[rng.usize(..digits.len())]] = b'0' + rng.u8(..10);
            }
            continue;
        }
        match rng.u8(..7) {
            0 => block[156] = b"\x000123456777xgLKSAVMNDZ"[rng.usize(..22)],
            1 => block[124..136].copy_from_slice(format!("{:011o}\0", rng.u64(..1600)).as_bytes()),
            2 => block[257..265]
                .copy_from_slice([b"ustar\x0000", b"ustar  \0", b"ustar\0\0\0"][rng.usize(..3)]),
            3 => block[345 + rng.usize(..155)] = TELLING[rng.usize(..TELLING.len())],
            4 => block[rng.usize(..100)] = b"/.a\0"[rng.usize(..4)],
            5 => block[124 + rng.usize(..12)] = TELLING[rng.usize(..TELLING.len())],
            _ => block[100 + rng.usize(..157)] = TELLING[rng.usize(..TELLING.len())],
        }
    }
}
