//! Where something listens or is: addresses with ports, and hosts.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};

use serde_json::json;
use toml::de::DeValue;

use super::{
    AdminListen, Code,
    files::Files,
    report::Problem,
    value::{Read, Shape, Value, all_shown, collect, list, of_string, one, string, string_schema, strings_schema},
    warnings::is_public_suffix,
};
use crate::submission::Host;

/// An address with a port.
pub fn address(example: &str) -> Shape<SocketAddr> {
    of_string(example, socket_address)
}

/// An address with a port, or "off".
pub fn admin_listen(example: &str) -> Shape<AdminListen> {
    const OFF: [&str; 6] = ["none", "no", "false", "disabled", "disable", ""];
    of_string(example, |value| match value.get_ref() {
        DeValue::String(text) if text == "off" => Ok(AdminListen::Off),
        DeValue::Boolean(false) => one(meant_off(value)),
        DeValue::String(text) if OFF.contains(&text.as_ref()) => one(meant_off(value)),
        _ => socket_address(value).map(AdminListen::At),
    })
}

fn meant_off(value: &Value<'_>) -> Problem {
    let message = "expected an address with a port such as \"127.0.0.1:6623\", or \"off\"";
    Problem::new(Code::InvalidAddress, value.span(), message).help("write \"off\"")
}

/// One address, or a list of them that is not empty.
pub fn addresses() -> Shape<Vec<SocketAddr>> {
    let some = addresses_or_none("127.0.0.1:6622");
    let read = move |value: &Value<'_>, files: &mut Files<'_>| match (some.read)(value, files)? {
        none if none.is_empty() => {
            one(Problem::new(Code::OutOfRange, value.span(), "expected at least one address").label("empty"))
        }
        addresses => match twice(&addresses) {
            Some(address) => {
                let message = format!("{address} is in this list twice: remove one of them");
                one(Problem::new(Code::InvalidAddress, value.span(), message))
            }
            None => Ok(addresses),
        },
    };
    Shape::new(some.schema, some.example, read, |values| all_shown(values))
}

/// An address that a list has twice; port 0 is another one each time.
fn twice(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let mut seen = HashSet::new();
    let with_port = addresses.iter().filter(|address| address.port() != 0);
    with_port.copied().find(|address| !seen.insert(*address))
}

/// One address, or a list of them.
pub fn addresses_or_none(example: &str) -> Shape<Vec<SocketAddr>> {
    let read = |value: &Value<'_>, _: &mut Files<'_>| match value.get_ref() {
        DeValue::Array(entries) => collect(entries.iter().map(socket_address)),
        _ => socket_address(value).map(|address| vec![address]),
    };
    let schema = json!({ "anyOf": [string_schema(), strings_schema()] });
    Shape::new(schema, vec![example], read, |values| all_shown(values))
}

fn socket_address(value: &Value<'_>) -> Read<SocketAddr> {
    let text = match value.get_ref() {
        // A port by itself.
        DeValue::Integer(port) => port.as_str(),
        _ => string(value)?,
    };
    text.parse().map_err(|_| {
        let problem = |message: &str| Problem::new(Code::InvalidAddress, value.span(), message);
        if let Some(port) = too_large(text) {
            return vec![problem(&format!("the port {port} is too large: the maximum is 65535"))];
        }
        let wrong = problem("expected an address with a port, such as \"127.0.0.1:6622\" or \"[::1]:6622\"")
            .label("not an address with a port");
        vec![match address_help(text) {
            Some(help) => wrong.help(help),
            None => wrong,
        }]
    })
}

/// The number behind the last colon, if it is too large for a port.
fn too_large(text: &str) -> Option<&str> {
    let port = text.rsplit_once(':').map_or(text, |(_, port)| port);
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && port.parse::<u16>().is_err()).then_some(port)
}

/// What to write instead of something that is not an address with a port.
fn address_help(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(format!("write \"{}\"", SocketAddr::new(address, 6622)));
    }
    match (host, port.parse::<u16>()) {
        ("localhost", Ok(port)) => Some(format!("write \"127.0.0.1:{port}\"")),
        ("", Ok(port)) => Some(format!(
            "write \"127.0.0.1:{port}\" for this machine only, or \"0.0.0.0:{port}\" for all interfaces"
        )),
        ("*", Ok(port)) => Some(format!("write \"0.0.0.0:{port}\"")),
        (_, Ok(_)) => Some("a listener has an address of this machine, not a name".to_owned()),
        _ => None,
    }
}

/// A list of hosts, each a name or an address, as they compare.
pub fn hosts(example: &str) -> Shape<Vec<String>> {
    list("a list of host names", example, |value| {
        let text = string(value)?;
        host_name(text).map(|host| host.to_string()).map_err(|message| {
            let label = "a host alone belongs here, such as \"gateway.internal\"";
            let problem = Problem::new(Code::InvalidHost, value.span(), message).label(label);
            let parsed = url::Url::parse(text).or_else(|_| url::Url::parse(&format!("http://{text}")));
            let alone = parsed.ok().and_then(|url| host_name(url.host_str()?).ok());
            vec![match alone {
                Some(host) => problem.help(format!("write \"{host}\"")),
                None => problem,
            }]
        })
    })
}

/// A host that a certificate can be for: neither a pattern nor a whole public suffix.
pub fn host_name(text: &str) -> Result<Host, String> {
    let invalid = || format!("\"{text}\" is not a valid host");
    let parsed = url::Host::parse(text).map_err(|_| invalid())?;
    let host = Host::from_url(parsed).map_err(|error| format!("{}: {error}", invalid()))?;
    let is_plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match host.name() {
        Some(name) if !is_plain(name) => Err(invalid()),
        Some(name) if is_public_suffix(name) => Err(format!("\"{name}\" is a public suffix and not a host")),
        _ => Ok(host),
    }
}
