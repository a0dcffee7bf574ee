//! The fuzz targets for a while on a stable toolchain: changed at random from the seeds in `fuzz/seeds`, for as many seconds
//! as the variable FUZZ_SECONDS says, else one.

use std::{
    cell::Cell,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{TestError, TestRunner},
};

/// Words that a change at random would not find.
#[rustfmt::skip]
const WORDS: &[&[u8]] = &[
    b"nocache", b"\"nocache\":true", b"&nocache=1", b"\"task\":{", b"\"type\":\"RecaptchaV2Task\"", b"\"websiteURL\":\"", b"clientKey",
    b"__nocache", b"method=userrecaptcha", b"pageurl=", b"&", b";", b"=", b"%", b"%00", b"%2E", b"\\u0000", b"\\\"", b"\\", b"{", b"}", b"[", b"]", b",", b":",
    b"\"", b"null", b"true", b"false", b"1", b"0", b"-", b"e9", b"\r\n", b"\n", b"\0", b"--b", b"--b--", b"boundary=", b"; name=\"", b"filename=", b"\xef\xbb\xbf",
    b"\xff", "\u{ad}".as_bytes(), "ß".as_bytes(), "。".as_bytes(), b"xn--", b"https://", b"//", b"/../", b"@", b"#", b"?", b"*.", b"*", b"::1", b"1.2.3.4", b"0x7f", b"[[rule]]",
    b"evil.example", b"good.example", b"websiteURL", b"evil.example", b"good.example", b"sites = [", b"action = \"deny\"", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"0\r\n\r\n",
];

/// A change to some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, u8),
    Word(Index, Index),
    Remove(Index, Index),
    Repeat(Index, Index, Index),
    /// A part of another seed.
    Part(Index, Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (index(), index()).prop_map(|(at, word)| Change::Word(at, word)),
        (index(), index()).prop_map(|(a, b)| Change::Remove(a, b)),
        (index(), index(), index()).prop_map(|(a, b, to)| Change::Repeat(a, b, to)),
        (index(), index(), index(), index()).prop_map(|(seed, a, b, to)| Change::Part(seed, a, b, to)),
    ]
}

/// A part of some bytes, short ones more often.
fn part<'b>(bytes: &'b [u8], from: &Index, length: &Index) -> &'b [u8] {
    let from = from.index(bytes.len() + 1);
    let longest = (bytes.len() - from).min(1 << length.index(10));
    &bytes[from..from + length.index(longest + 1)]
}

fn insert(bytes: &mut Vec<u8>, to: &Index, new: &[u8]) {
    let at = to.index(bytes.len() + 1);
    bytes.splice(at..at, new.iter().copied());
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        match self {
            Self::Set(at, byte) if !bytes.is_empty() => *at.get_mut(bytes) = *byte,
            Self::Set(at, byte) | Self::Insert(at, byte) => insert(bytes, at, &[*byte]),
            Self::Word(at, word) => insert(bytes, at, WORDS[word.index(WORDS.len())]),
            Self::Remove(from, length) => {
                let length = part(bytes, from, length).len();
                let from = from.index(bytes.len() + 1);
                bytes.drain(from..from + length);
            }
            Self::Repeat(from, length, to) => {
                let new = part(bytes, from, length).to_vec();
                insert(bytes, to, &new);
            }
            Self::Part(seed, from, length, to) => {
                insert(bytes, to, part(&seeds[seed.index(seeds.len())], from, length))
            }
        }
    }
}

/// Runs a target on its seeds, and on what becomes of them by changes at random.
fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for (file, seed) in files.iter().zip(&seeds) {
        println!("{}", file.display());
        target(seed);
    }
    let seconds = std::env::var("FUZZ_SECONDS").map_or(1, |seconds| seconds.parse().expect("a number of seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let changed = (any::<Index>(), prop::collection::vec(change(), 1..12));
    let input = |(seed, changes): &(Index, Vec<Change>)| {
        let mut bytes = seeds[seed.index(seeds.len())].clone();
        changes.iter().for_each(|change| change.apply(&mut bytes, &seeds));
        bytes
    };
    let count = Cell::new(0);
    while Instant::now() < end {
        let config = ProptestConfig {
            cases: 256,
            failure_persistence: None,
            max_shrink_iters: 20_000,
            ..ProptestConfig::default()
        };
        let result = TestRunner::new(config).run(&changed, |changed| {
            count.set(count.get() + 1);
            target(&input(&changed));
            Ok(())
        });
        if let Err(TestError::Fail(reason, changed)) = result {
            panic!("{reason}\non \"{}\"", input(&changed).escape_ascii());
        }
    }
    println!(
        "{name}: {} inputs from {} seeds in {seconds} s",
        count.get(),
        seeds.len()
    );
    assert!(count.get() > 0);
}

#[test]
fn create_task() {
    run("create_task", super::create_task);
}

#[test]
fn legacy() {
    run("legacy", super::legacy);
}

#[test]
fn site() {
    run("site", super::site);
}

#[test]
fn site_pattern() {
    run("site_pattern", super::site_pattern);
}

#[test]
fn configuration() {
    run("configuration", super::configuration);
}

#[test]
fn response() {
    run("response", super::response);
}

#[test]
fn content_coding() {
    run("content_coding", super::content_coding);
}

#[test]
fn deny() {
    run("deny", super::deny);
}

#[test]
fn task() {
    run("task", super::task);
}
