//! Content codings of request bodies (RFC 9110, section 8.4.1): decoded to be read, within the limit of a body, so that
//! a bomb stops there.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

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
    /// Nothing, or `identity`.
    Plain,
    /// One coding that is known.
    As(Coding),
    /// One that is not known, or several.
    Unknown,
}

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is broken.
    Broken,
    /// It grows beyond the limit.
    TooLarge,
}

impl Coded {
    /// Reads the field.
    pub fn of(fields: &HeaderMap) -> Self {
        let values = fields.get_all(header::CONTENT_ENCODING).iter();
        let names = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
        let mut coded = Self::Plain;
        for name in names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()) {
            let name = name.to_ascii_lowercase();
            coded = match (coded, name.as_slice()) {
                (coded, b"identity") => coded,
                (Self::Plain, b"gzip" | b"x-gzip") => Self::As(Coding::Gzip),
                (Self::Plain, b"deflate") => Self::As(Coding::Deflate),
                (Self::Plain, b"br") => Self::As(Coding::Brotli),
                (Self::Plain, b"zstd") => Self::As(Coding::Zstd),
                _ => Self::Unknown,
            };
        }
        coded
    }
}

/// Decodes a body, to at most `limit` bytes.
pub fn decode(body: &[u8], coding: Coding, limit: usize) -> Result<Bytes, DecodeError> {
    match coding {
        Coding::Gzip => read(MultiGzDecoder::new(body), limit),
        Coding::Deflate => match read(ZlibDecoder::new(body), limit) {
            Err(DecodeError::Broken) => read(DeflateDecoder::new(body), limit),
            result => result,
        },
        Coding::Brotli => read(brotli_decompressor::Decompressor::new(body, 4096), limit),
        Coding::Zstd => match ruzstd::decoding::StreamingDecoder::new(body) {
            Ok(decoder) => read(decoder, limit),
            Err(_) => Err(DecodeError::Broken),
        },
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Bytes, DecodeError> {
    let mut decoded = Vec::new();
    let one_more = limit as u64 + 1;
    let result: io::Result<usize> = decoder.take(one_more).read_to_end(&mut decoded);
    match result {
        Ok(_) if decoded.len() > limit => Err(DecodeError::TooLarge),
        Ok(_) => Ok(Bytes::from(decoded)),
        Err(_) => Err(DecodeError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write};
    use http::HeaderValue;

    use super::*;

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
}
