//! Content codings of request bodies (RFC 9110, section 8.4.1): decoded to be read, within the limit of a body, so that
//! a decompression bomb stops there.

use std::{io::Read, mem};

use bytes::Bytes;
use flate2::{
    bufread::{DeflateDecoder, ZlibDecoder},
    read::MultiGzDecoder,
};
use http::{HeaderMap, header};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder, errors::FrameDecoderError};

use super::{
    budget::{Charge, OverBudget},
    room::Room,
};

/// A coding that is decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`
    Gzip,
    /// `deflate`: zlib, or raw deflate, which some clients send under that name
    Deflate,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

/// What the Content-Encoding field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coded {
    /// Nothing, `identity`, or nothing but the name of a character set, which clients mistake for a coding.
    Plain,
    /// One coding that is known.
    As(Coding),
    /// One that is not known, or several.
    Unknown,
}

/// The reason why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    Broken,
    /// It grows beyond the limit.
    TooLarge,
    /// Too much is held of all bodies together.
    OverBudget,
}

impl Coded {
    /// Reads the field.
    pub fn of(fields: &HeaderMap) -> Self {
        if !fields.contains_key(header::CONTENT_ENCODING) {
            return Self::Plain;
        }
        let values = fields.get_all(header::CONTENT_ENCODING).iter();
        let names = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
        let names: Vec<Vec<u8>> = names
            .map(|name| name.trim_ascii().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != b"identity")
            .collect();
        match &names[..] {
            names if names.iter().all(|name| is_character_set(name)) => Self::Plain,
            [name] => coding(name).map_or(Self::Unknown, Self::As),
            _ => Self::Unknown,
        }
    }
}

fn coding(name: &[u8]) -> Option<Coding> {
    match name {
        b"gzip" | b"x-gzip" => Some(Coding::Gzip),
        b"deflate" => Some(Coding::Deflate),
        b"br" => Some(Coding::Brotli),
        b"zstd" => Some(Coding::Zstd),
        _ => None,
    }
}

fn is_character_set(name: &[u8]) -> bool {
    matches!(name, b"utf-8" | b"utf8" | b"us-ascii" | b"iso-8859-1")
}

/// Decodes a body, to at most `limit` bytes, which use the budget as they come. Bytes after its end make it broken: another
/// reader might read them.
pub fn decode(body: &[u8], coding: Coding, limit: usize, charge: &mut Charge) -> Result<Bytes, DecodeError> {
    let mut rest = body;
    let mut decoded = Room::new(limit);
    match coding {
        // It reads to the end, and knows what may be there.
        Coding::Gzip => read(&mut decoded, MultiGzDecoder::new(mem::take(&mut rest)), charge)?,
        Coding::Deflate => match read(&mut decoded, ZlibDecoder::new(&mut rest), charge) {
            Err(DecodeError::Broken) => {
                rest = body;
                decoded = Room::new(limit);
                read(&mut decoded, DeflateDecoder::new(&mut rest), charge)?;
            }
            result => result?,
        },
        // A buffer of one byte, so that no byte after the end is consumed.
        Coding::Brotli => {
            let decoder = brotli_decompressor::Decompressor::new(&mut rest, 1);
            read(&mut decoded, decoder, charge)?;
        }
        Coding::Zstd => zstd_frames(&mut decoded, &mut rest, limit, charge)?,
    }
    if rest.is_empty() {
        Ok(decoded.into_bytes())
    } else {
        Err(DecodeError::Broken)
    }
}

/// All frames, one after the other (RFC 8878, section 3).
fn zstd_frames(decoded: &mut Room, rest: &mut &[u8], limit: usize, charge: &mut Charge) -> Result<(), DecodeError> {
    // A frame's window is decoded whole before a byte comes out. Every decoder is to support 8 MiB (section 3.1.1.1.2).
    let window = limit.max(8 << 20) as u64;
    loop {
        let before = rest.len();
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(window);
        let frame = StreamingDecoder::new_with_decoder(&mut *rest, decoder).map_err(|error| match error {
            FrameDecoderError::WindowSizeTooBig { .. } => DecodeError::TooLarge,
            _ => DecodeError::Broken,
        })?;
        read(decoded, frame, charge)?;
        if rest.is_empty() || rest.len() == before {
            return Ok(());
        }
    }
}

fn read(decoded: &mut Room, mut decoder: impl Read, charge: &mut Charge) -> Result<(), DecodeError> {
    loop {
        let read = decoded.fill(&mut decoder).map_err(|_| DecodeError::Broken)?;
        if decoded.is_over() {
            return Err(DecodeError::TooLarge);
        }
        match read {
            0 => return Ok(()),
            length => charge.add(length).map_err(|OverBudget| DecodeError::OverBudget)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write};
    use http::HeaderValue;

    use super::*;
    use crate::api::budget::Budget;

    fn decode(body: &[u8], coding: Coding, limit: usize) -> Result<Bytes, DecodeError> {
        super::decode(body, coding, limit, &mut Budget::new(1 << 30).charge())
    }

    #[test]
    fn what_the_field_says() {
        for (values, expected) in [
            (&[][..], Coded::Plain),
            (&["identity"], Coded::Plain),
            (&["GZIP"], Coded::As(Coding::Gzip)),
            (&["identity, br"], Coded::As(Coding::Brotli)),
            (&["gzip, gzip"], Coded::Unknown),
            (&["gzip", "br"], Coded::Unknown),
            (&["lzma"], Coded::Unknown),
            (&["UTF-8"], Coded::Plain),
            (&["utf8"], Coded::Plain),
            (&["us-ascii"], Coded::Plain),
            (&["iso-8859-1"], Coded::Plain),
            (&["utf-8, gzip"], Coded::Unknown),
            (&["utf-16"], Coded::Unknown),
        ] {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(Coded::of(&fields), expected, "{values:?}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = vec![0; 1 << 20];
        let mut gzip = write::GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bomb).unwrap();
        let gzip = gzip.finish().unwrap();
        assert!(gzip.len() < 2000);
        assert_eq!(decode(&gzip, Coding::Gzip, (1 << 20) - 1), Err(DecodeError::TooLarge));
        assert_eq!(decode(&gzip, Coding::Gzip, 1 << 20).unwrap(), bomb);
        assert_eq!(decode(b"nonsense", Coding::Gzip, 100), Err(DecodeError::Broken));
        assert_eq!(decode(b"nonsense", Coding::Zstd, 100), Err(DecodeError::Broken));
        assert_eq!(
            decode(&gzip[..gzip.len() / 2], Coding::Gzip, 1 << 20),
            Err(DecodeError::Broken)
        );
    }

    #[test]
    fn deflate_is_zlib_or_raw() {
        let mut raw = write::DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(b"hello").unwrap();
        let mut zlib = write::ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"hello").unwrap();
        for coded in [raw.finish().unwrap(), zlib.finish().unwrap()] {
            assert_eq!(decode(&coded, Coding::Deflate, 100).unwrap(), "hello");
        }
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        let zlib = |text: &[u8]| {
            let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let frame = |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
        let twice = [frame(b"a=1"), frame(b"&b=2")].concat();
        assert_eq!(decode(&twice, Coding::Zstd, 100).unwrap(), "a=1&b=2");
        assert_eq!(decode(&twice, Coding::Zstd, 5), Err(DecodeError::TooLarge));
        // As an uncompressed meta-block (RFC 7932, section 9.2).
        let brotli = [&[0x20, 0x00, 0x10][..], b"a=1", &[3]].concat();
        assert_eq!(decode(&brotli, Coding::Brotli, 100).unwrap(), "a=1");
        for (coding, whole) in [
            (Coding::Gzip, {
                let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(b"a=1").unwrap();
                encoder.finish().unwrap()
            }),
            (Coding::Deflate, zlib(b"a=1")),
            (Coding::Brotli, brotli),
            (Coding::Zstd, frame(b"a=1")),
        ] {
            assert_eq!(decode(&whole, coding, 100).unwrap(), "a=1", "{coding:?}");
            let more = [&whole[..], b"&b=2"].concat();
            assert_eq!(decode(&more, coding, 100), Err(DecodeError::Broken), "{coding:?}");
        }
        assert_eq!(
            decode(&[zlib(b"a"), zlib(b"b")].concat(), Coding::Deflate, 100),
            Err(DecodeError::Broken)
        );
    }
}
