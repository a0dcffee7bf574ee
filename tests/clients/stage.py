"""The stage for real clients: the gateway before its sandbox, over http or https, on free ports.

As a program it starts them, prints their addresses as one line of JSON, and ends with its standard input."""

import json
import os
import subprocess
import sys
import tempfile
import threading
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


class Stage:
    """Gateway and sandbox. `url` is what a bot is pointed at."""

    def __init__(self, scheme):
        self.folder = tempfile.TemporaryDirectory()
        certificate = os.path.join(self.folder.name, "ca.pem")
        config = os.path.join(self.folder.name, "gateway.toml")
        tls = ["--tls", certificate] if scheme == "https" else []
        self.sandbox, (sandbox,) = start(["sandbox", "--listen", "127.0.0.1:0", "--record", *tls], "sandbox listening")
        with open(config, "w") as file:
            file.write(f'[upstream]\nurl = "{scheme}://{sandbox}"\n')
            if tls:
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
        self.folder.cleanup()


if __name__ == "__main__":
    stage = Stage(sys.argv[1])
    print(json.dumps({"url": stage.url}), flush=True)
    sys.stdin.read()
    stage.close()
