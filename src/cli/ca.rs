//! `ca`: the local CA, which issues certificates for names that programs have fixed.

use std::path::Path;

use clap::{Args, Subcommand};

use super::{
    args::{OfUpstream, OverrideArgs},
    listeners,
    output::{Failure, load, print},
};
use crate::{
    config::address_value::host_name,
    submission::Host,
    tls::{LocalCa, folder},
};

#[derive(Debug, Subcommand)]
pub enum CaVerb {
    /// Make the local CA, for the upstream's names, those in the configuration, and this machine
    Init {
        #[command(flatten)]
        args: InitArgs,
        #[command(flatten)]
        overrides: OverrideArgs<OfUpstream>,
    },
    /// Show where it is, what it is for, and how programs are made to trust it
    Show(OverrideArgs<OfUpstream>),
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// A further name or address that it is for (several: again)
    #[arg(long = "name", value_name = "NAME", value_parser = host_name)]
    names: Vec<Host>,
}

pub fn run(verb: CaVerb) -> Result<(), Failure> {
    let (CaVerb::Init { overrides, .. } | CaVerb::Show(overrides)) = &verb;
    let config = load(&overrides.0)?;
    let path = &config.server.certificates.ca_folder;
    let mut hosts: Vec<Host> = listeners::named(&config).collect();
    match verb {
        CaVerb::Init { args, .. } => {
            hosts.extend(args.names);
            let ca = folder::create(path, &hosts).map_err(Failure::wrong)?;
            print(&format!(
                "{}\nNothing trusts it yet: nocache-gateway ca show says how programs are made to.",
                about(&ca, path, &hosts)
            ))
        }
        CaVerb::Show(_) => {
            let ca = folder::read(path).map_err(Failure::wrong)?;
            print(&format!("{}\n\n{}", about(&ca, path, &hosts), how_to_trust(&ca, path)))
        }
    }
}

fn about(ca: &LocalCa, folder: &Path, hosts: &[Host]) -> String {
    let list = |hosts: Vec<&Host>| hosts.iter().map(|host| format!("\n  {host}")).collect::<String>();
    let (permitted, others): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(|host| ca.permits(host));
    let mut about = format!(
        "The local CA \"{}\" is in {}: {} for clients to trust, {} to keep secret.\n\
         Whoever trusts it accepts from it localhost, 127.0.0.0/8 and ::1, and these names with what is below them:{}",
        ca.name(),
        folder.display(),
        folder::CERTIFICATE,
        folder::KEY,
        list(permitted),
    );
    if !others.is_empty() {
        about += &format!("\nIt is not for these, which were configured later:{}", list(others));
    }
    about
}

/// How programs are made to trust it. Nothing is done silently: whoever reads this decides whom it concerns.
fn how_to_trust(ca: &LocalCa, path: &Path) -> String {
    let folder = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = folder.join(folder::CERTIFICATE);
    TRUST
        .replace("{file}", &file.display().to_string())
        .replace("{bundle}", &folder.join("bundle.pem").display().to_string())
        .replace("{name}", ca.name())
}

const TRUST: &str = r#"For one program, by its environment (where a bundle is named, it replaces the program's own roots, so that one is made first):
  Node          NODE_EXTRA_CA_CERTS={file}
  curl          CURL_CA_BUNDLE={bundle}      or: curl --cacert {file}
  Python        REQUESTS_CA_BUNDLE={bundle}  for requests
                SSL_CERT_FILE={bundle}       for httpx, aiohttp, urllib
  the bundle    cat "$(python3 -m certifi)" {file} > {bundle}
  Go            SSL_CERT_FILE={bundle}       on Linux; on Windows and macOS the system's store
  PHP           php -d curl.cainfo={bundle} -d openssl.cafile={bundle}
  Java          keytool -importcert -noprompt -alias nocache-gateway -file {file} -keystore trust.p12 -storepass changeit
                java -Djavax.net.ssl.trustStore=trust.p12 -Djavax.net.ssl.trustStorePassword=changeit
  .NET          SSL_CERT_FILE={bundle}       on Linux; on Windows and macOS the system's store; mono: cert-sync --user {bundle}

For every program of this user or machine:
  Debian        sudo cp {file} /usr/local/share/ca-certificates/nocache-gateway.crt && sudo update-ca-certificates
  Windows       certutil -user -addstore Root {file}
  macOS         security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {file}

To take it back: remove the variable, or on
  Debian        sudo rm /usr/local/share/ca-certificates/nocache-gateway.crt && sudo update-ca-certificates --fresh
  Windows       certutil -user -delstore Root "{name}"
  macOS         security delete-certificate -c "{name}""#;
