//! Sites and site patterns.

use crate::{
    rules::SitePattern,
    submission::{Host, Site},
};

/// A `websiteURL`: whatever host is found in it is one that is found in itself, and a plain one is read as every other.
pub fn site(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    assert_eq!(Site::parse(text), Site::parse_any(text));
    let Ok(site) = Site::parse(text) else {
        return;
    };
    let host = site.host();
    let again = Site::parse(&format!("https://{host}/")).expect("a host is a site");
    assert_eq!(again.host(), host);
    if let Host::Name(name) = host {
        assert!(
            name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len())),
            "{name}"
        );
        assert!(
            !name.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' '),
            "{name:?}"
        );
    }
    // The standard's parser, from which it may only differ by refusing.
    let text = text.trim_matches(|c: char| c <= ' ');
    if let Some(scheme) = ["http://", "https://"].iter().find(|scheme| text.starts_with(**scheme)) {
        let url = url::Url::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}, not {host}"));
        assert_eq!(url.scheme(), scheme.trim_end_matches("://"));
        let standard = url.host().map(Host::from_url).expect("it has a host");
        assert_eq!(standard.as_ref(), Ok(host), "{text:?}");
    }
}

/// A site pattern: written as it is shown it is the same, and a proposal to write another is one.
pub fn site_pattern(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match text.parse::<SitePattern>() {
        Ok(pattern) => {
            let shown = pattern.to_string();
            assert_eq!(shown.parse().as_ref(), Ok(&pattern), "{text:?}, shown as {shown:?}");
        }
        Err(error) => {
            if let Some(fix) = error.fix {
                assert!(fix.parse::<SitePattern>().is_ok(), "{text:?}: {fix:?}");
            }
        }
    }
}
