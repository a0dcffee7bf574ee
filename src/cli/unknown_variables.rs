//! Variables that look like the gateway's own and are none.

use std::env;

use super::args;

/// How many characters may be wrong in a name that is taken for a known one. Kubernetes sets `NOCACHE_GATEWAY_PORT` and others
/// for a Service of that name, which nobody mistyped.
const WRONG: usize = 2;

/// A warning of each variable that is named almost like a known one. Values are not shown.
pub fn warnings() -> Vec<String> {
    let known = args::variables();
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut warnings: Vec<String> = names.filter_map(|name| warning(&name, &known)).collect();
    warnings.sort();
    warnings
}

fn warning(name: &str, known: &[&str]) -> Option<String> {
    if !name.starts_with("NOCACHE_") || known.contains(&name) {
        return None;
    }
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    let meant = known.iter().min_by_key(|known| distance(known))?;
    (distance(meant) <= WRONG).then(|| format!("unknown environment variable {name}, ignored; did you mean {meant}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mistyped_is_told_from_what_others_set() {
        let known = args::variables();
        for (name, meant) in [
            ("NOCACHE_GATEWAY_UPSTRAEM", Some("NOCACHE_GATEWAY_UPSTREAM")),
            ("NOCACHE_GATEWY_LISTEN", Some("NOCACHE_GATEWAY_LISTEN")),
            ("NOCACHE_GATEWAY_LISTEN", None),
            ("NOCACHE_GATEWAY_PORT", None),
            ("NOCACHE_GATEWAY_SERVICE_HOST", None),
            ("UPSTREAM", None),
        ] {
            let warning = warning(name, &known);
            let expected = meant.map(|meant| format!("did you mean {meant}?"));
            assert_eq!(warning.is_some(), expected.is_some(), "{name}");
            assert!(
                warning.is_none_or(|warning| warning.ends_with(&expected.unwrap())),
                "{name}"
            );
        }
    }
}
