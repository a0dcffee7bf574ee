"""One case of the matrix: one client, once, on a stage of its own.

    stage.py CLIENT CASE

is run in a network and mount namespace of its own, where nothing but the loopback exists, so that every address is the
gateway's default one, names are what a hosts file makes of them, and nothing else can be reached. It prints what the
client showed its user, and what arrived at the sandbox, as one line of JSON."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from table import CA, CLIENTS, NAMES, PROGRAM, Way

KEY = "0123456789abcdef0123456789abcdef"
SITE = "https://{}.example/login?next=%2F"
SANDBOX = "127.0.0.1:6624"
# What the gateway says when the listener is there that a client's way needs.
LISTENING = {
    Way.SETTING: [],
    Way.TLS: ["listening over TLS"],
    Way.VARIABLE: ["listening as a proxy"],
    Way.PROXY: ["listening as a proxy"],
    Way.HOSTS: ["listening for the hosts file"],
}
# A gateway without its upstream, and one that cannot take another request.
NOBODY = "127.0.0.1:9"

RULES = """
[default]
action = "keep"

[[rule]]
id = "shop"
sites = ["shop.example"]
action = "add"

[[rule]]
id = "closed"
sites = ["shut.example"]
action = "deny"
"""

# What gateway and sandbox log once they serve, for whoever has to find out why a case failed.
LOG = []

# What each case is: the site that is asked for, the key, and what the gateway is in front of. The names of the sites
# are equally long, so that requests for two of them can be compared to the byte.
CASES = {
    "straight": ("kept", KEY, None),
    "straight-error": ("kept", "wrong-key", None),
    "kept": ("kept", KEY, SANDBOX),
    "set": ("shop", KEY, SANDBOX),
    "error": ("kept", "wrong-key", SANDBOX),
    "denied": ("shut", KEY, SANDBOX),
    "502": ("kept", KEY, NOBODY),
    "503": ("kept", KEY, "127.0.0.1:6630"),
}


def start(arguments, ready):
    """Starts a verb that serves and waits until it has said each of these messages."""
    process = subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.PIPE, text=True)
    missing = list(ready)
    while missing:
        line = process.stderr.readline()
        if not line:
            raise RuntimeError(f"{arguments} ended with {process.wait()}")
        message = json.loads(line).get("message", "").split(":")[0]
        missing = [text for text in missing if text != message]
    threading.Thread(target=LOG.extend, args=[process.stderr], daemon=True).start()
    return process


def wait_for(address):
    host, port = address.split(":")
    for _ in range(200):
        try:
            return socket.create_connection((host, int(port)))
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nobody listens on {address}")


def arrange(with_names):
    """What a new namespace lacks: the loopback, and a hosts file, with the names of the services or without them."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts = tempfile.NamedTemporaryFile("w", suffix=".hosts")
    hosts.write(" ".join(["127.0.0.1 localhost", *(NAMES if with_names else [])]) + "\n")
    hosts.flush()
    subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
    return hosts


class Front:
    """TLS in front of the sandbox, under the names of the services: what a client that goes straight speaks to."""

    def __init__(self, server):
        self.host, self.port = server.split(":")
        self.loop = asyncio.new_event_loop()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f"{CA}/front.pem", f"{CA}/front-key.pem")
        for port in (443, 6626):
            self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", port, ssl=self.context))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def serve(self, reader, writer):
        from_server, to_server = await asyncio.open_connection(self.host, self.port)
        await asyncio.gather(self.copy(reader, to_server), self.copy(from_server, writer))

    async def copy(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def terminate(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


class Relay:
    """Passes connections on to a server, until it is closed: then it resets those that there are, and refuses others."""

    def __init__(self, address, server):
        self.address, self.server = address, server
        self.open()

    def open(self):
        host, port = self.address.split(":")
        self.listener = socket.create_server((host, int(port)))
        self.sockets = []
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = wait_for(self.server)
            self.sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=[source, sink], daemon=True).start()

    def copy(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        # One that accepts holds the port open as long as it waits.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.sockets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def fill(address):
    """Takes the only place: a request to an upstream that never responds."""
    silent = socket.create_server(("127.0.0.1", 6630))
    connection = wait_for(address)
    connection.sendall(b"POST /getBalance HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
    taken, _ = silent.accept()
    return silent, connection, taken


def configure(folder, upstream, way):
    """The gateway's configuration; of its listeners beside the plain one, only that which the client's way needs."""
    names = json.dumps(NAMES)
    proxy = f'[server.proxy]\nlisten = ["127.0.0.1:6625"]\nnames = {names}\n'
    listeners = {
        Way.SETTING: "",
        Way.TLS: '[server.tls]\nlisten = ["127.0.0.1:6626"]\n',
        Way.VARIABLE: proxy,
        Way.PROXY: proxy,
        Way.HOSTS: f'[server.hosts]\nnames = {names}\nhttp = ["127.0.0.1:80"]\nhttps = ["127.0.0.1:443"]\n',
    }
    path = os.path.join(folder, "gateway.toml")
    with open(path, "w") as file:
        file.write(f'[upstream]\nurl = "http://{upstream}"\ntimeout = "600s"\n')
        file.write(f'[server]\nlisten = "127.0.0.1:6622"\nmax_in_flight = {1 if upstream == CASES["503"][2] else 64}\n')
        file.write('[admin]\nlisten = "off"\n')
        file.write(f"{listeners[way]}[ca]\nfolder = '{CA}/made'\n{RULES}")
    return path


def run(client, address, key, site, trusts, is_proxied, folder, timeout=300):
    """Runs the client, without the machine's own proxies and certificates; returns what it says."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    if trusts:
        environment.update(client.trust)
    if is_proxied:
        environment["HTTPS_PROXY"] = "http://127.0.0.1:6625"
    command = [*client.command, address, key, site]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, cwd=folder)
    said = [line for line in run.stdout.splitlines() if line.startswith(("token ", "shown "))]
    if not said:
        raise RuntimeError(f"{command} said nothing and ended with {run.returncode}: {run.stderr}")
    kind, _, text = said[-1].partition(" ")
    return kind, text.replace(KEY, "KEY")


def play(client, case):
    site, key, upstream = CASES[case]
    way = client.way
    straight = upstream is None
    running = []
    with arrange(straight or way is Way.HOSTS), tempfile.TemporaryDirectory() as folder:
        try:
            running.append(start(["sandbox", "--record"], ["sandbox listening"]))
            if straight:
                running.append(Front(SANDBOX))
            else:
                config = configure(folder, upstream, way)
                running.append(start(["--config", config], ["listening", *LISTENING[way]]))
            held = fill("127.0.0.1:6622") if case == "503" else ()
            addresses = {Way.SETTING: f"http://{SANDBOX if straight else '127.0.0.1:6622'}", Way.TLS: "127.0.0.1:6626"}
            address = addresses.get(way, "fixed")
            trusts = straight or way is not Way.VARIABLE
            is_proxied = way in (Way.VARIABLE, Way.PROXY) and not straight
            kind, text = run(client, address, key, SITE.format(site), trusts, is_proxied, folder)
            for connection in held:
                connection.close()
            with urllib.request.urlopen(f"http://{SANDBOX}/sandbox/requests") as response:
                return {"kind": kind, "text": text, "requests": json.load(response), "log": LOG}
        finally:
            for process in reversed(running):
                process.terminate()


if __name__ == "__main__":
    print(json.dumps(play(CLIENTS[sys.argv[1]], sys.argv[2])))
