//! Compression before sealing: one marker byte, then the plaintext as it is or as a zstd frame.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{compress_bound, get_frame_content_size};

use crate::error::SealError;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const LEVEL: i32 = 3;
/// Shorter plaintexts gain nothing: the frame's own bytes eat what is saved.
const WORTH_IT: usize = 64;

thread_local! {
    // A context costs far more to make than to use on a kilobyte, so each thread keeps its own.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::new().ok());
}

/// Room that [`append`] needs at most behind what `out` already holds.
pub(crate) fn bound(plain_len: usize) -> usize {
    1 + if plain_len < WORTH_IT { plain_len } else { compress_bound(plain_len) }
}

/// Appends marker and body to `out`. Falls back to the plaintext as it is whenever compression
/// fails or does not pay, so this cannot fail.
pub(crate) fn append(plain: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if plain.len() >= WORTH_IT {
        out.resize(start + bound(plain.len()), 0);
        out[start] = ZSTD;
        let body = &mut out[start + 1..];
        let written = COMPRESSOR.with_borrow_mut(|compressor| {
            compressor.as_mut().and_then(|c| c.compress_to_buffer(plain, body).ok())
        });
        if let Some(written) = written.filter(|&written| written < plain.len()) {
            out.truncate(start + 1 + written);
            return;
        }
        out.truncate(start);
    }
    out.push(PLAIN);
    out.extend_from_slice(plain);
}

/// What a marked body holds.
pub(crate) enum Body<'a> {
    Plain(&'a mut [u8]),
    Expanded(Vec<u8>),
}

/// The reverse of [`append`]. Errors: `TooLarge` over `limit` plain bytes, before any is
/// allocated; `BadForm` for a marker or frame that [`append`] does not write.
pub(crate) fn expand(marked: &mut [u8], limit: usize) -> Result<Body<'_>, SealError> {
    let (marker, body) = marked.split_first_mut().ok_or(SealError::BadForm)?;
    match *marker {
        PLAIN if body.len() > limit => Err(SealError::TooLarge { limit }),
        PLAIN => Ok(Body::Plain(body)),
        ZSTD => expand_frame(body, limit).map(Body::Expanded),
        _ => Err(SealError::BadForm),
    }
}

fn expand_frame(frame: &[u8], limit: usize) -> Result<Vec<u8>, SealError> {
    // Our own frames always state their size: one that does not is not ours.
    let stated = get_frame_content_size(frame).ok().flatten().ok_or(SealError::BadForm)?;
    let len = usize::try_from(stated).ok().filter(|&len| len <= limit);
    let len = len.ok_or(SealError::TooLarge { limit })?;
    let mut plain = Vec::with_capacity(len);
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = decompressor.as_mut().ok_or(SealError::Unavailable)?;
        let written = decompressor.decompress_to_buffer(frame, &mut plain);
        match written {
            Ok(written) if written == len => Ok(()),
            Ok(_) | Err(_) => Err(SealError::BadForm),
        }
    })?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(plain: &[u8], limit: usize) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::new();
        append(plain, &mut out);
        expand(&mut out, limit).map(|body| match body {
            Body::Plain(bytes) => bytes.to_vec(),
            Body::Expanded(bytes) => bytes,
        })
    }

    #[test]
    fn every_length_comes_back_up_to_its_limit_and_not_beyond() {
        for len in [0, 1, WORTH_IT - 1, WORTH_IT, 1000, 100_000] {
            let plain = vec![b'a'; len];
            assert_eq!(round_trip(&plain, len).as_deref(), Ok(&plain[..]));
            if len > 0 {
                let limit = len - 1;
                assert_eq!(round_trip(&plain, limit), Err(SealError::TooLarge { limit }));
            }
        }
    }

    #[test]
    fn a_body_never_grows_by_more_than_its_marker() {
        let noise: Vec<u8> =
            (0..500_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for plain in [&noise[..], &[b'a'; 500]] {
            let mut out = Vec::new();
            append(plain, &mut out);
            assert!(out.len() <= plain.len() + 1);
        }
    }

    #[test]
    fn an_unknown_marker_or_a_broken_frame_is_a_bad_form() {
        let mut unstated = vec![ZSTD];
        let mut encoder = zstd::Encoder::new(&mut unstated, LEVEL).expect("a new encoder");
        std::io::Write::write_all(&mut encoder, b"a frame without its size").expect("memory");
        encoder.finish().expect("memory");
        for bytes in [vec![], vec![2, 3], vec![ZSTD], vec![ZSTD, 1, 2, 3], unstated] {
            assert!(
                matches!(expand(&mut bytes.clone(), 100), Err(SealError::BadForm)),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_frame_that_says_less_than_it_holds_is_a_bad_form() {
        let mut out = Vec::new();
        append(&[b'a'; 1000], &mut out);
        let cut = out.len() - 2;
        out.truncate(cut);
        assert!(matches!(expand(&mut out, 2000), Err(SealError::BadForm)));
    }
}
