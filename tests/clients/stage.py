"""The stage for real clients: the gateway before its sandbox, on free ports; over http, over https, or over https with a real
nginx in between.

As a program it starts them, prints their addresses as one line of JSON, and ends with its standard input."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

PROGRAM = os.environ["NOCACHE_GATEWAY_PROGRAM"]


def start(arguments, *messages):
    """Starts a verb that serves; returns the process and the addresses from its log lines."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NOCACHE_GATEWAY_")}
    process = subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.PIPE, text=True, env=environment)
    addresses = []
    for message in messages:
        for line in process.stderr:
            event = json.loads(line)
            if event["message"].startswith(message):
                addresses.append(event["address"])
                break
        else:
            raise RuntimeError(f"{arguments} ended with {process.wait()}")
    # What it logs from here on nobody reads, but it must not fill the pipe.
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, addresses


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """A real nginx with TLS before a server, as vendors put one before theirs."""

    def __init__(self, folder, server):
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        name = "/CN=localhost"
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        # Marked as no CA: what rustls wants of a server's own certificate.
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-subj", name, "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
            + ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/ca.pem"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        temporary = "".join(
            f"    {kind}_temp_path {folder}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        with open(f"{folder}/nginx.conf", "w") as file:
            file.write(
                f"""user root;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
{temporary}    keepalive_timeout 1s;
    client_max_body_size 0;
    server {{
        listen {self.address} ssl;
        ssl_certificate {folder}/ca.pem;
        ssl_certificate_key {folder}/key.pem;
        location / {{ proxy_pass http://{server}; proxy_http_version 1.1; }}
    }}
}}
"""
            )
        self.start()

    def start(self):
        self.process = subprocess.Popen(["nginx", "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf"])
        host, port = self.address.split(":")
        for _ in range(200):
            try:
                return socket.create_connection((host, int(port))).close()
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(open(f"{self.folder}/error.log").read())

    def signal(self, name):
        """HUP is a reload, QUIT lets what runs finish, TERM does not."""
        self.process.send_signal(name)

    def close(self):
        self.process.terminate()
        self.process.wait()


class Stage:
    """Gateway and sandbox. `url` is what a bot is pointed at."""

    def __init__(self, kind):
        self.folder = tempfile.TemporaryDirectory()
        certificate = os.path.join(self.folder.name, "ca.pem")
        config = os.path.join(self.folder.name, "gateway.toml")
        tls = ["--tls", certificate] if kind == "https" else []
        self.sandbox, (upstream,) = start(["sandbox", "--listen", "127.0.0.1:0", "--record", *tls], "sandbox listening")
        self.nginx = None
        if kind == "nginx":
            self.nginx = Nginx(self.folder.name, upstream)
            upstream = self.nginx.address
        scheme = "http" if kind == "http" else "https"
        with open(config, "w") as file:
            file.write(f'[upstream]\nurl = "{scheme}://{upstream}"\n')
            if scheme == "https":
                file.write('ca_file = "ca.pem"\n')
        self.gateway, (gateway,) = start(
            ["--config", config, "--listen", "127.0.0.1:0", "--admin-listen", "off"], "listening"
        )
        self.url = f"http://{gateway}"

    def requests(self, path):
        """The requests for a path that reached the sandbox, as they arrived."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url + "/sandbox/requests") as answer:
            return [request for request in json.load(answer) if request["target"].startswith(path)]

    def close(self):
        for process in (self.gateway, self.sandbox):
            process.terminate()
            process.wait()
            process.stderr.close()
        if self.nginx:
            self.nginx.close()
        self.folder.cleanup()


if __name__ == "__main__":
    stage = Stage(sys.argv[1])
    print(json.dumps({"url": stage.url}), flush=True)
    sys.stdin.read()
    stage.close()
