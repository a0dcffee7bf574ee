//! A certificate authority of this machine's own. Whoever trusts it trusts it for a few names alone: its certificate is
//! constrained to them (RFC 5280, section 4.2.1.10), so that its key is worth nothing for any other site.

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use std::{net::IpAddr, slice, sync::Arc};
use time::{Duration, OffsetDateTime};

use super::{CertificateError, own_certificate::certified};
use crate::submission::Host;

/// How long clients accept the authority.
const LIFETIME: Duration = Duration::days(3650);

/// How long clients accept a certificate that it issues.
const LEAF_LIFETIME: Duration = Duration::days(90);

/// A clock may be wrong by so much.
const SKEW: Duration = Duration::days(1);

/// The authority.
pub struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    name: String,
    /// How clients judge what it issues.
    verifier: Arc<WebPkiServerVerifier>,
}

/// A new authority as PEM.
pub struct NewCa {
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The reason why PEM texts are not an authority.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    #[error("the certificate cannot be read: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    #[error("the private file cannot be read ({0})")]
    Key(rcgen::Error),
    /// The key is not the certificate's, or the certificate was not made here.
    #[error("the certificate and the private file beside it were not made by nocache-gateway ca init together ({0})")]
    NotOurs(String),
}

impl LocalCa {
    /// Makes an authority for these hosts, all that is below them, and this machine itself.
    pub fn generate(hosts: &[Host]) -> Result<NewCa, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params(&key);
        set_validity(&mut params, LIFETIME);
        // The constraints hold names of servers alone; without this it could issue for a mail address or a program.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let this_machine = [
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::V4([127, 0, 0, 0], [255, 0, 0, 0])),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(1_u128.to_be_bytes(), 128)),
        ];
        let hosts = hosts.iter().filter(|host| !host.is_loopback()).map(subtree);
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: this_machine.into_iter().chain(hosts).collect(),
            excluded_subtrees: Vec::new(),
        });
        let certificate = params.self_signed(&key)?;
        Ok(NewCa {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Takes an authority that [`generate`](Self::generate) made.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, LocalCaError> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(LocalCaError::Certificate)?;
        let key = KeyPair::from_pem(key).map_err(LocalCaError::Key)?;
        let not_ours = |error: rustls::Error| LocalCaError::NotOurs(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).map_err(not_ours)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let ca = Self {
            verifier: verifier.map_err(|error| LocalCaError::NotOurs(error.to_string()))?,
            name: name(&key),
            issuer: Issuer::new(params(&key), key),
            certificate,
        };
        ca.verify(&Host::as_written("localhost")).map(|()| ca).map_err(not_ours)
    }

    /// Its name, under which the stores of systems and browsers list it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Whether clients accept what it issues for a host.
    pub fn permits(&self, host: &Host) -> bool {
        self.verify(host).is_ok()
    }

    fn verify(&self, host: &Host) -> Result<(), rustls::Error> {
        let issued = self
            .issue(slice::from_ref(host))
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let name = match host {
            Host::Name(name) => {
                ServerName::try_from(&**name).map_err(|error| rustls::Error::General(error.to_string()))?
            }
            Host::Address(address) => ServerName::from(*address),
        };
        let now = UnixTime::now();
        let verified = self.verifier.verify_server_cert(&issued.cert[0], &[], &name, &[], now);
        verified.map(drop)
    }

    /// Issues a certificate for some hosts.
    pub fn issue(&self, hosts: &[Host]) -> Result<Arc<CertifiedKey>, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        set_validity(&mut params, LEAF_LIFETIME);
        // Not a common name, which OpenSSL would hold to the constraints as if it were a host.
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "nocache-gateway");
        params.subject_alt_names = hosts.iter().map(alternative).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        // The authority belongs to the chain: clients that trust its certificate may still ask for it.
        Ok(certified(
            vec![certificate.der().clone(), self.certificate.clone()],
            key.into(),
        )?)
    }
}

fn set_validity(params: &mut CertificateParams, lifetime: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - SKEW;
    params.not_after = now + lifetime;
}

/// The name of the authority with a key. Two of one name would be taken for each other.
fn name(key: &KeyPair) -> String {
    let end = key.public_key_raw().last_chunk().unwrap_or(&[0; 4]);
    format!("nocache-gateway CA {:08x}", u32::from_be_bytes(*end))
}

/// What is the same whenever it issues.
fn params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name(key));
    params
}

fn subtree(host: &Host) -> GeneralSubtree {
    match host {
        Host::Name(name) => GeneralSubtree::DnsName(name.to_string()),
        Host::Address(IpAddr::V4(address)) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(address.octets(), 32))
        }
        Host::Address(IpAddr::V6(address)) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(address.octets(), 128))
        }
    }
}

fn alternative(host: &Host) -> Result<SanType, rcgen::Error> {
    Ok(match host {
        Host::Name(name) => SanType::DnsName(name.to_string().try_into()?),
        Host::Address(address) => SanType::IpAddress(*address),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(hosts: &[&str]) -> LocalCa {
        let hosts: Vec<Host> = hosts.iter().map(|host| Host::as_written(host)).collect();
        let new = LocalCa::generate(&hosts).unwrap();
        LocalCa::from_pem(&new.certificate, &new.key).unwrap()
    }

    #[test]
    fn it_is_constrained_to_its_names_and_this_machine() {
        let ca = authority(&["api.capmonster.cloud", "192.0.2.7", "[2001:db8::1]"]);
        for (host, expected) in [
            ("api.capmonster.cloud", true),
            ("ru.api.capmonster.cloud", true),
            ("capmonster.cloud", false),
            ("xapi.capmonster.cloud", false),
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("128.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("[::1]", true),
            ("[::2]", false),
            ("[2001:db8::1]", true),
            ("bank.example", false),
        ] {
            assert_eq!(ca.permits(&Host::as_written(host)), expected, "{host}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (LocalCa::generate(&[]).unwrap(), LocalCa::generate(&[]).unwrap());
        assert!(LocalCa::from_pem(&one.certificate, &one.key).is_ok());
        assert!(LocalCa::from_pem(&one.certificate, &other.key).is_err());
        assert!(LocalCa::from_pem("", &one.key).is_err());
        assert!(LocalCa::from_pem(&one.certificate, "").is_err());
    }
}
