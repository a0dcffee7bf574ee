//! Reads what the vendor says about a task from a response that passes through.

use std::borrow::Cow;

use http::HeaderMap;

use super::{
    budget::{Budget, SMALL},
    content_coding::{self, Coded},
};
use crate::task::{Call, VendorResult, response};

/// How much of a response is read, decoded or not. A solution with cookies has a few KiB.
const LIMIT: usize = SMALL;

/// Reads a response as it passes. One that arrives at once is not copied.
pub struct ResponseReader {
    call: Option<Call>,
    coded: Coded,
    held: Vec<u8>,
    is_over: bool,
    is_whole: bool,
    result: Option<VendorResult>,
}

impl ResponseReader {
    /// A reader of the response, with these fields, to a submission (`call` is `None`), a poll or a report.
    pub fn new(call: Option<Call>, fields: &HeaderMap) -> Self {
        Self {
            call,
            coded: Coded::of(fields),
            held: Vec::new(),
            is_over: false,
            is_whole: false,
            result: None,
        }
    }

    /// Takes the next bytes; `is_last` if none follow.
    pub fn pass(&mut self, data: &[u8], is_last: bool) {
        self.is_whole |= is_last;
        self.is_over |= self.held.len() + data.len() > LIMIT;
        if self.is_over {
            self.held = Vec::new();
        } else if is_last && self.held.is_empty() {
            self.result = self.read(data);
        } else {
            self.held.extend_from_slice(data);
        }
    }

    /// Ends a response whose last bytes were not known to be the last.
    pub fn end(&mut self) {
        self.is_whole = true;
    }

    /// What the vendor said; `None` if it cannot be read, or did not arrive whole: a number that is cut off is another one.
    pub fn result(&self) -> Option<VendorResult> {
        let held = self.is_whole.then_some(&self.held);
        self.result.or_else(|| self.read(held?))
    }

    fn read(&self, body: &[u8]) -> Option<VendorResult> {
        response::read(self.call, &plain(body, self.coded)?)
    }
}

/// A small body without its content coding; `None` if it is too large or cannot be decoded.
pub fn plain(body: &[u8], coded: Coded) -> Option<Cow<'_, [u8]>> {
    match coded {
        Coded::Plain => Some(Cow::Borrowed(body)),
        Coded::Unknown => None,
        Coded::As(coding) => {
            let decoded = content_coding::decode(body, coding, LIMIT, &mut Budget::new(2 * LIMIT).charge());
            Some(Cow::Owned(decoded.ok()?.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use http::{HeaderValue, header};

    use super::*;
    use crate::task::TaskId;

    const CREATED: &[u8] = br#"{"errorId":0,"taskId":7}"#;

    fn read(fields: &HeaderMap, parts: &[&[u8]], ends_with_data: bool) -> Option<VendorResult> {
        let mut reader = ResponseReader::new(None, fields);
        for (number, part) in parts.iter().enumerate() {
            reader.pass(part, ends_with_data && number + 1 == parts.len());
        }
        reader.end();
        reader.result()
    }

    #[test]
    fn a_response_is_read_however_it_arrives() {
        let created = Some(VendorResult::Created(TaskId::of("7").unwrap()));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(CREATED).unwrap();
        let gzip = gzip.finish().unwrap();
        let coded = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        for (fields, body) in [(&HeaderMap::new(), CREATED), (&coded, &gzip)] {
            let (begin, end) = body.split_at(9);
            for ends_with_data in [true, false] {
                assert_eq!(read(fields, &[body], ends_with_data), created);
                assert_eq!(read(fields, &[begin, end], ends_with_data), created);
                assert_eq!(read(fields, &[begin], ends_with_data), None);
            }
        }
        assert_eq!(read(&coded, &[CREATED], true), None);
    }

    #[test]
    fn a_response_that_is_cut_off_is_not_read() {
        let mut reader = ResponseReader::new(None, &HeaderMap::new());
        reader.pass(b"OK|765", false);
        assert_eq!(reader.result(), None);
        reader.pass(b"4321", true);
        assert_eq!(
            reader.result(),
            Some(VendorResult::Created(TaskId::of("7654321").unwrap()))
        );
    }

    #[test]
    fn a_large_response_is_not_held() {
        let mut large = CREATED.to_vec();
        large.extend(std::iter::repeat_n(b' ', LIMIT));
        assert_eq!(read(&HeaderMap::new(), &[&large], true), None);
        assert_eq!(read(&HeaderMap::new(), &[CREATED, &large], true), None);
        // It grows to 1 MiB.
        let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
        bomb.write_all(CREATED).unwrap();
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
        let coded = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        assert_eq!(read(&coded, &[&bomb.finish().unwrap()], true), None);
    }
}
