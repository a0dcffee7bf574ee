//! What `doctor` looks at, each as it is here and now.

use std::{
    env, io,
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    admin_client::{self, PATIENCE, reachable},
    finding::Finding,
    hosts, listeners,
    listeners::ShownCertificates,
    output::counted,
    proxy_variables, unknown_variables,
};
use crate::{
    config::{AdminListen, Config, load::PLACES, warnings},
    observe::time::{rfc3339, unix_millis},
    server,
    tls::folder,
    upstream::{Upstream, UpstreamError},
};

/// When this version was written, in seconds since 1970 (2026-11-01): no machine can run it before.
const WRITTEN: u64 = 1_793_491_200;

pub fn version() -> Finding {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Finding::ok(
        "version",
        format!("{name} {version}, {} {}", env::consts::OS, env::consts::ARCH),
    )
}

pub fn configuration(config: &Config) -> Vec<Finding> {
    const ABOUT: &str = "configuration";
    let rules = config.rules.rules().len();
    let elsewhere = config.rules.default_rule().action;
    let rules = match rules {
        0 => format!("no rules, every site: {elsewhere}"),
        rules => format!("{}, other sites: {elsewhere}", counted(rules, "rule")),
    };
    let first = match &config.file {
        Some(file) => Finding::ok(ABOUT, format!("{}: {rules}", file.display())),
        None => Finding::ok(
            ABOUT,
            format!("no file ({} would be read): {rules}", PLACES.join(" or ")),
        ),
    };
    let doubts = warnings::warnings(config).problems.len();
    let doubts = (doubts > 0)
        .then(|| Finding::warning(ABOUT, counted(doubts, "warning")).advise("nocache-gateway check shows them"));
    [Some(first), doubts].into_iter().flatten().collect()
}

pub async fn listeners(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_running = false;
    let api = listeners::addresses(&config.server)
        .into_iter()
        .map(|address| ("listener", address));
    let admin = match config.admin.listen {
        AdminListen::At(address) => Some(("admin", address)),
        AdminListen::Off => None,
    };
    for (about, address) in api.chain(admin).filter(|(_, address)| address.port() != 0) {
        match server::bind(address) {
            Ok(_) => findings.push(Finding::ok(about, format!("{address} is free"))),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let (finding, is_own) = held(about, address);
                is_running |= is_own;
                findings.push(finding);
            }
            Err(error) if listeners::has_no_ipv6(&error) && address.is_ipv6() => {
                findings.push(Finding::ok(
                    about,
                    format!("{address} is left out: this machine has no IPv6"),
                ));
            }
            Err(error) => findings.push(Finding::error(about, listeners::why_not_bound(address, &error))),
        }
    }
    findings.push(running(config, is_running).await);
    if is_running {
        findings.extend(elsewhere(config).await);
    }
    findings
}

/// A warning if the gateway that runs has another upstream than this configuration.
async fn elsewhere(config: &Config) -> Option<Finding> {
    let AdminListen::At(address) = config.admin.listen else {
        return None;
    };
    let running = admin_client::get_from(address, "/config").await.ok()?;
    let settings = running["settings"].as_array()?;
    let url = settings.iter().find(|setting| setting["setting"] == "upstream.url")?["value"].as_str()?;
    let here = config.upstream.url.to_string();
    (url != here).then(|| {
        let message = format!("it forwards to {url}, and this configuration to {here}, which is looked at below");
        Finding::warning("gateway", message)
            .advise("give doctor the flags and the file that the gateway was started with")
    })
}

/// Who holds an address, and whether that is a gateway.
fn held(about: &'static str, address: SocketAddr) -> (Finding, bool) {
    let accepts = TcpStream::connect_timeout(&reachable(address), PATIENCE).is_ok();
    let accepts = if accepts {
        "accepts connections"
    } else {
        "does not accept connections"
    };
    let held_by = ::listeners::get_process_by_port(address.port(), ::listeners::Protocol::TCP);
    match held_by {
        Ok(process) if process.name.starts_with(env!("CARGO_PKG_NAME")) => {
            let message = format!("{address} {accepts}: {} (process {}) has it", process.name, process.pid);
            (Finding::ok(about, message), true)
        }
        Ok(process) => {
            let message = format!("{address} is taken by {} (process {})", process.name, process.pid);
            let advice = "end it, or choose another port for the gateway";
            (Finding::error(about, message).advise(advice), false)
        }
        Err(_) => {
            let message = format!("{address} is taken and {accepts}; whose it is cannot be seen by this user");
            (Finding::warning(about, message), false)
        }
    }
}

/// Whether a gateway runs by this configuration.
async fn running(config: &Config, has_listener: bool) -> Finding {
    const ABOUT: &str = "gateway";
    let AdminListen::At(address) = config.admin.listen else {
        return Finding::ok(
            ABOUT,
            "[admin] listen is off, so it cannot be asked whether it is ready",
        );
    };
    match admin_client::ask(address, "/readyz", PATIENCE).await {
        Ok(response) => {
            let status = response.status();
            let body = response.text().await.unwrap_or_default();
            let said = body.trim_end().replace('\n', "; ");
            match status.is_success() {
                // Whatever else responds there is not repeated.
                _ if !["ready", "stopping", "not ready"]
                    .iter()
                    .any(|word| said.starts_with(word)) =>
                {
                    Finding::warning(
                        ABOUT,
                        format!("what responds at {address} is not the admin listener of a gateway"),
                    )
                }
                true => Finding::ok(ABOUT, format!("it runs: {said}")),
                false => Finding::error(ABOUT, format!("it runs and is not ready: {said}")),
            }
        }
        Err(_) if has_listener => {
            let advice = "was it started with other settings? name its file with --config";
            Finding::warning(
                ABOUT,
                format!("a gateway runs, but its admin listener is not {address}"),
            )
            .advise(advice)
        }
        Err(_) => Finding::ok(ABOUT, "it does not run"),
    }
}

pub fn certificates(config: &Config) -> Vec<Finding> {
    const ABOUT: &str = "certificates";
    let certificates = match ShownCertificates::read(config) {
        Ok(certificates) => certificates,
        Err(error) => return vec![Finding::error(ABOUT, error.to_string())],
    };
    let mut findings: Vec<Finding> = listeners::doubts(config, &certificates)
        .into_iter()
        .map(|doubt| Finding::warning(ABOUT, doubt))
        .collect();
    let folder = &config.server.certificates.ca_folder;
    if certificates.has_local_ca()
        && let Ok(ca) = folder::read(folder)
    {
        let trusted = rustls_native_certs::load_native_certs().certs;
        findings.push(match trusted.contains(ca.certificate()) {
            true => Finding::ok(ABOUT, "this system trusts the local CA"),
            false => Finding::warning(ABOUT, "this system does not trust the local CA").advise(
                "nocache-gateway ca show says how programs are made to trust it; many have a list of their own",
            ),
        });
    }
    findings
}

/// Connects to the upstream, and its fallback. No request is sent.
pub async fn upstream(config: &Config) -> Vec<Finding> {
    const ABOUT: &str = "upstream";
    let upstream = match Upstream::new(config.upstream.clone(), &listeners::addresses(&config.server)) {
        Ok(upstream) => upstream,
        Err(error) => return vec![Finding::error(ABOUT, error.to_string())],
    };
    let mut findings = Vec::new();
    for (origin, result) in upstream.try_connections().await {
        let through = config
            .upstream
            .proxy
            .as_ref()
            .map_or(String::new(), |proxy| format!(" through {proxy}"));
        findings.push(match result {
            Ok(time) => Finding::ok(
                ABOUT,
                format!("{origin}{through}: connected in {} ms", time.as_millis()),
            ),
            Err(error) => {
                let finding = Finding::error(ABOUT, error.to_string());
                match &error {
                    UpstreamError::Tls { error, .. } if is_about_time(&error.to_string()) => {
                        finding.advise("is the clock of this machine right? See below")
                    }
                    _ => finding,
                }
            }
        });
    }
    findings
}

/// Whether a TLS error says that a certificate is not valid at this time.
fn is_about_time(error: &str) -> bool {
    ["expired", "not valid yet", "NotValidYet", "Expired"]
        .iter()
        .any(|word| error.contains(word))
}

/// What the hosts file and the environment have that changes where requests go.
pub fn environment(config: &Config) -> Vec<Finding> {
    const HOSTS: &str = "hosts file";
    let hosts = hosts::look(config);
    let mut findings: Vec<Finding> = hosts
        .looped
        .map(|problem| Finding::error(HOSTS, problem))
        .into_iter()
        .collect();
    findings.extend(hosts.fixed.into_iter().map(|(host, address)| {
        Finding::warning(HOSTS, format!("{host} is fixed at {address}"))
            .advise("remove that line, unless you know that the API is there")
    }));
    if !hosts.missing.is_empty() {
        let message = format!("{} do not lead to the gateway", hosts.missing.join(", "));
        findings.push(Finding::warning(HOSTS, message).advise("nocache-gateway hosts shows the lines"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(HOSTS, "nothing in it leads the upstream's name elsewhere"));
    }
    findings.push(match proxy_variables::warning(config) {
        Some(warning) => Finding::warning("environment", warning),
        None => Finding::ok("environment", "no proxy variable is left unused"),
    });
    let unknown = unknown_variables::warnings().into_iter();
    findings.extend(unknown.map(|warning| Finding::warning("environment", warning)));
    findings
}

pub fn clock() -> Finding {
    let now = SystemTime::now();
    let shown = rfc3339(unix_millis(now));
    match now >= SystemTime::UNIX_EPOCH + Duration::from_secs(WRITTEN) {
        true => Finding::ok("clock", shown),
        false => Finding::error("clock", format!("{shown} is before this version was written"))
            .advise("set the clock of this machine: certificates are judged by it"),
    }
}

pub fn open_files(config: &Config) -> Finding {
    const ABOUT: &str = "open files";
    let wanted = super::serve::wanted_descriptors(&config.server);
    let allowed = match rlimit::Resource::NOFILE.get() {
        Ok((_, allowed)) => allowed,
        Err(error) => return Finding::ok(ABOUT, format!("this system tells no limit ({error})")),
    };
    let message = format!("{allowed} allowed, {wanted} can be needed");
    match allowed >= wanted {
        true => Finding::ok(ABOUT, message),
        false => Finding::warning(ABOUT, message)
            .advise("raise the limit (ulimit -n, LimitNOFILE), or lower [server] max_connections and max_in_flight"),
    }
}

/// Whether the folder of the ledger's file is there.
pub fn ledger(config: &Config) -> Option<Finding> {
    const ABOUT: &str = "ledger";
    let file = config.ledger.file.as_ref()?;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    Some(match folder.is_dir() {
        true => Finding::ok(ABOUT, format!("{} is its file", file.display())),
        false => Finding::error(ABOUT, format!("{} is not there", folder.display()))
            .advise("make the folder of [ledger] file, writable for the gateway's user"),
    })
}
