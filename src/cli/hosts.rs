//! `hosts`: the lines of a hosts file that point names at the gateway, and what is there. It never writes one.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::Args;

use super::output::{Failure, load, print, tell};
use crate::{
    config::{Config, Overrides},
    submission::Host,
};

#[derive(Debug, Args)]
pub struct HostsArgs {
    /// The hosts file to look at
    #[arg(long, value_name = "HOSTS-FILE", default_value = HOSTS_FILE)]
    file: PathBuf,
}

#[cfg(windows)]
const HOSTS_FILE: &str = r"C:\Windows\System32\drivers\etc\hosts";
#[cfg(not(windows))]
const HOSTS_FILE: &str = "/etc/hosts";

/// Names of services that the vendor emulates ("hosts file" in its page on external programs), whose requests are in one of
/// the two dialects that the gateway reads.
const READ: [&str; 12] = [
    "2captcha.com",
    "rucaptcha.com",
    "imacros2.2captcha.com",
    "imacros2.rucaptcha.com",
    "anti-captcha.com",
    "api.anti-captcha.com",
    "anti-captcha.net",
    "www.anti-captcha.net",
    "antigate.com",
    "www.antigate.com",
    "anticaptcha.com",
    "www.anticaptcha.com",
];

/// Names of services that the vendor emulates and that have protocols of their own. They pass through unread.
const UNVERIFIED: [&str; 8] = [
    "dc.antigate.com",
    "ripcaptcha.com",
    "bypasscaptcha.com",
    "www.bypasscaptcha.com",
    "api.dbcapi.me",
    "api.deathbycaptcha.com",
    "api.deathbycaptcha.eu",
    "api.dbc.me",
];

pub fn run(args: &HostsArgs, overrides: &Overrides) -> Result<(), Failure> {
    let config = load(overrides)?;
    let names = &config.server.api.hosts_file_names;
    if names.is_empty() {
        return Err(Failure::wrong(format!(
            "no names are configured: list those of the service that your program has fixed, such as\n\n\
             [server.hosts]\nnames = [\"2captcha.com\"]\n\n\
             The vendor emulates these: {}\n\
             and these, which have protocols of their own, pass through unread and are not tested: {}",
            READ.join(", "),
            UNVERIFIED.join(", ")
        )));
    }
    let address = address(&config);
    let lines: String = names.iter().map(|name| format!("{address} {name}\n")).collect();
    print(&format!(
        "Lines for the hosts file ({HOSTS_FILES}):\n\n{lines}\n\
         Then make the system read it anew: ipconfig /flushdns on Windows, sudo killall -HUP mDNSResponder on macOS."
    ))?;
    let bytes = fs::read(&args.file)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", args.file.display())))?;
    // Comments may be in the encoding of the system.
    let text = String::from_utf8_lossy(&bytes)
        .trim_start_matches('\u{feff}')
        .to_owned();
    let missing = report(names, address, &text, &args.file)?;
    if let Some(problem) = loop_ahead(&config, address, &text) {
        tell(&format!("warning: {problem}"));
        return Err(Failure::failed("the gateway would call itself"));
    }
    match missing {
        0 => Ok(()),
        missing => Err(Failure::failed(format!(
            "{missing} of {} names do not point at the gateway",
            names.len()
        ))),
    }
}

const HOSTS_FILES: &str = r"/etc/hosts on Linux and macOS, C:\Windows\System32\drivers\etc\hosts on Windows";

/// The address that the names are to have.
fn address(config: &Config) -> IpAddr {
    let listening = config.server.hosts.https.iter().chain(&config.server.hosts.http);
    let mut addresses = listening.map(|address| address.ip());
    let first = addresses.next().filter(|address| !address.is_unspecified());
    first.unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

/// Says of each name where the hosts file points it. Returns how many do not point at the gateway.
fn report(names: &[String], address: IpAddr, text: &str, file: &Path) -> Result<usize, Failure> {
    let mut missing = 0;
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let mut shown = format!("\nNow in {}:\n", file.display());
    for name in names {
        let pointed = lookup(text, name);
        let state = match pointed {
            Some(found) if found == address => "points at the gateway".to_owned(),
            Some(found) => format!("points to {found}"),
            None => "is not there".to_owned(),
        };
        missing += usize::from(pointed != Some(address));
        let unverified = match UNVERIFIED.contains(&name.to_ascii_lowercase().as_str()) {
            true => " (has a protocol of its own: passes through unread, not tested)",
            false => "",
        };
        shown += &format!("  {name:<width$}  {state}{unverified}\n");
    }
    print(shown.trim_end()).map(|()| missing)
}

/// The address that a hosts file gives a name: that of the first line with it.
fn lookup(text: &str, name: &str) -> Option<IpAddr> {
    let name = Host::as_written(name);
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| Host::as_written(word) == name).then_some(address)
    })
}

/// What this system's hosts file says of names that matter: those that it points elsewhere than they should be.
#[derive(Debug, Default)]
pub struct Pointed {
    /// What is wrong, if the upstream's own name leads to this machine.
    pub looped: Option<String>,
    /// Names of upstreams with the address that they are fixed at.
    pub fixed: Vec<(String, IpAddr)>,
    /// Names of `[server.hosts]` that do not lead to the gateway.
    pub missing: Vec<String>,
}

/// Reads this system's hosts file. One that cannot be read says nothing.
pub fn look(config: &Config) -> Pointed {
    let bytes = fs::read(HOSTS_FILE).unwrap_or_default();
    of_text(config, &String::from_utf8_lossy(&bytes))
}

fn of_text(config: &Config, text: &str) -> Pointed {
    let address = address(config);
    let origins = config.upstream.origins().map(|origin| origin.host().to_string());
    let fixed = origins.filter_map(|host| lookup(text, &host).map(|address| (host, address)));
    let names = config.server.api.hosts_file_names.iter();
    Pointed {
        fixed: fixed.filter(|(_, address)| !address.is_loopback()).collect(),
        missing: names
            .filter(|name| lookup(text, name) != Some(address))
            .cloned()
            .collect(),
        looped: loop_ahead(config, address, text),
    }
}

/// What is wrong if the hosts file points the upstream's own name at this machine.
fn loop_ahead(config: &Config, address: IpAddr, text: &str) -> Option<String> {
    let upstream = &config.upstream;
    let host = upstream.url.host().to_string();
    let is_here = lookup(text, &host).is_some_and(|found| found == address || found.is_loopback());
    // Whoever else dials it looks it up elsewhere.
    let is_dialled_here = upstream.connect_to.is_none() && upstream.proxy.is_none();
    (is_here && is_dialled_here).then(|| {
        format!(
            "the hosts file points the upstream's own name {host} at this machine; [upstream] connect_to must \
             name its real address (ask another resolver: nslookup {host} 1.1.1.1)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_told() {
        let mut config = Config::default();
        config.server.api.hosts_file_names = vec!["2captcha.com".to_owned(), "rucaptcha.com".to_owned()];
        let pointed = of_text(&config, "203.0.113.5 api.capmonster.cloud\n127.0.0.1 2captcha.com\n");
        assert_eq!(
            pointed.fixed,
            [("api.capmonster.cloud".to_owned(), "203.0.113.5".parse().unwrap())]
        );
        assert_eq!(
            (pointed.missing, pointed.looped),
            (vec!["rucaptcha.com".to_owned()], None)
        );
        let pointed = of_text(&config, "127.0.0.1 api.capmonster.cloud\n");
        assert!(pointed.looped.is_some() && pointed.fixed.is_empty());
    }

    #[test]
    fn the_first_line_with_a_name_counts() {
        let text = "# none\n127.0.0.1 localhost\n 10.0.0.1\tA.example b.example # c.example\n127.0.0.1 a.example\nbad c\n::1 d\n";
        for (name, address) in [
            ("a.example", Some("10.0.0.1")),
            ("B.Example.", Some("10.0.0.1")),
            ("c.example", None),
            ("c", None),
            ("d", Some("::1")),
            ("localhost", Some("127.0.0.1")),
            ("host", None),
        ] {
            assert_eq!(
                lookup(text, name),
                address.map(|address| address.parse().unwrap()),
                "{name}"
            );
        }
    }
}
