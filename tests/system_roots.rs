//! `[upstream] system_roots`: the certificates that the system trusts.

#![cfg(target_os = "linux")]

mod fixtures;

use fixtures::{Folder, SandboxServer, Server, TASK, exchange, gateway_command, post, program};

/// A company's proxy may end TLS itself, by a certificate that its machines trust.
#[test]
fn the_roots_of_the_system_are_trusted_if_that_is_set() {
    let folder = Folder::new();
    let certificate = folder.path().join("ca.pem");
    let sandbox = SandboxServer::start(&["--tls", certificate.to_str().unwrap()]);
    let url = format!("https://localhost:{}", sandbox.address.port());
    let config = |name: &str, text: &str| folder.write(name, format!("[upstream]\n{text}"));
    let set = config("set.toml", "system_roots = true\n");
    let unset = config("unset.toml", "");
    let empty = folder.write("empty.pem", "");
    for (file, roots, expected) in [(&set, &certificate, 200), (&unset, &certificate, 502)] {
        let mut command = gateway_command(&url, file);
        command.env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
        let server = Server::start(command, Folder::new());
        let response = exchange(server.address("listening"), post("/createTask", TASK));
        assert_eq!(response.status(), expected, "{}", response.text());
        assert!(
            expected == 200 || response.text().contains("system_roots"),
            "{}",
            response.text()
        );
    }
    for roots in [empty, folder.path().join("missing.pem")] {
        let mut command = program();
        command
            .arg("check")
            .arg("--config")
            .arg(&set)
            .args(["--upstream", &url]);
        let output = command
            .env("SSL_CERT_FILE", &roots)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains("[upstream] system_roots: no certificate of this system can be read"),
            "{told}"
        );
    }
}
