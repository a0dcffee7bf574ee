"""What bench/compare and bench/growth share: processes and what they cost, the stub upstream, the load, the gateway, reports.

The load is wrk. It keeps its connections for a whole cell and is stopped (SIGSTOP) while others are measured. CPU time is that of all
processes of a contestant, the number of requests is the stub's own count, and both are read while the load runs."""

import datetime
import functools
import hashlib
import http.client
import json
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
CONFIGS = BENCH / "contestants"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
MITMPROXY = TARGET / "bench-mitmproxy" / "bin" / "mitmdump"
LUA_MODULES = [Path("/usr/lib/nginx/modules") / f"{name}_module.so" for name in ("ndk_http", "ngx_http_lua")]
GIVEN = os.environ.get("GATEWAY_BIN")
# More than any run opens at once, on either side of a contestant.
MANY = 16384


def fail(message):
    raise SystemExit(f"{Path(sys.argv[0]).name}: {message}")


def require_tools():
    missing = [tool for tool in ("nginx", "wrk") if not shutil.which(tool)]
    missing += [module.name for module in LUA_MODULES if not module.exists()]
    if missing:
        fail(f"{', '.join(missing)} not found: the stub upstream and the load need it; run bench/packages")


def raise_file_limit():
    """Raises the limit of open files, for this process and all that it starts, as far as the system allows; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(hard, 4 * MANY), hard):  # root may raise the hard limit, too
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
        except (PermissionError, ValueError):
            pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """All processes of a run. Leaving the context stops each by its pid, also on an error, Ctrl-C and SIGTERM."""

    def __enter__(self):
        self.running = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        return self

    def __exit__(self, *_):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for process in self.running[::-1]:
            self.stop(process)

    def start(self, argv, **options):
        # In a session of its own: Ctrl-C reaches the bench alone, which then stops everything in order.
        process = subprocess.Popen([str(word) for word in argv], start_new_session=True, **options)
        self.running.append(process)
        return process

    def stop(self, process):
        for number in (signal.SIGCONT, signal.SIGTERM):
            process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.running.remove(process)


def tree(pid):
    """A process and its descendants."""
    pids = [pid]
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            children = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        except FileNotFoundError:  # the thread has ended
            continue
        for child in children:
            pids += tree(int(child))
    return pids


def cpu(pid):
    """CPU seconds of a process and its descendants, by the kernel's CPU clock of each (clock_getcpuclockid(3)): exact to the
    nanosecond, and ended threads are in it."""
    return sum(time.clock_gettime(~one << 3 | 2) for one in tree(pid))


def resident(pid):
    """Resident set of a process and its descendants, MiB."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in tree(pid))
    return pages * resource.getpagesize() / 2**20


def sockets(pid):
    """Open sockets of a process and its descendants."""
    count = 0
    for one in tree(pid):
        for file in os.listdir(f"/proc/{one}/fd"):
            try:
                count += os.readlink(f"/proc/{one}/fd/{file}").startswith("socket:")
            except FileNotFoundError:  # closed meanwhile
                pass
    return count


def connected(process, connections):
    """Waits until that many sockets are open."""
    deadline = time.monotonic() + 60
    while sockets(process.pid) < connections:
        if time.monotonic() > deadline:
            fail(f"{connections} connections were not there within a minute")
        time.sleep(0.05)


def exchange(port, request, connection=None):
    """Sends the bytes of a request on a connection, a new one if there is none; returns the connection, the status and the body."""
    connection = connection or socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(request)
    response = http.client.HTTPResponse(connection)
    response.begin()
    return connection, response.status, response.read()


class Workload:
    """A request that wrk repeats."""

    def __init__(self, folder, name, method, target, body=b"", kind="application/json"):
        self.name, self.method, self.target, self.body, self.kind = name, method, target, body, kind
        self.file = Path(folder) / f"body-{name.replace(' ', '-').replace('.', '-')}"
        self.file.write_bytes(body)

    def bytes(self, field=""):
        head = f"{self.method} {self.target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{field}"
        if self.body:
            head += f"Content-Type: {self.kind}\r\nContent-Length: {len(self.body)}\r\n"
        return head.encode() + b"\r\n" + self.body


def task(size, **members):
    """A createTask of some size: its long member, and that alone, grows."""
    document = {"clientKey": "0" * 32, "task": members}
    body = json.dumps(document)
    members["body"] = "a" * (size - len(body) - len(', "body": ""'))
    return json.dumps(document).encode()


def recaptcha(folder, size):
    members = {"type": "RecaptchaV2Task", "websiteURL": "https://shop.example/login", "websiteKey": "6Lc" + "X" * 37}
    return Workload(folder, f"createTask {size} B", "POST", "/createTask", task(size, **members))


class Stub:
    """The upstream of all contestants: nginx that reads each request to its end and responds with a small JSON document."""

    def __init__(self, processes, folder):
        self.port, self.status_port = free_port(), free_port()
        values = {"PORT": self.port, "STATUS_PORT": self.status_port}
        self.process = nginx(processes, folder, "stub", values)
        wait_until_served(self.process, self.port, b"GET /stub HTTP/1.1\r\nHost: stub\r\n\r\n")
        self.status = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=30)
        self.asked = 0

    def requests(self):
        """How many requests have reached the stub so far, those for this count apart."""
        self.status.request("GET", "/")
        text = self.status.getresponse().read().decode()
        self.asked += 1
        return int(text.splitlines()[2].split()[2]) - self.asked

    def wait_until_quiet(self, seconds=0.3):
        """Waits until no request has come for so long: those that a load has left behind in a contestant, which may be slow."""
        before = -1
        while (count := self.requests()) != before:
            before = count
            time.sleep(seconds)


def configured(folder, name, file, values):
    """A copy of a contestant's configuration with its values filled in."""
    text = (CONFIGS / file).read_text()
    for key, value in {"DIR": folder, "CONFIGS": CONFIGS, "MANY": MANY, "NAME": name, **values}.items():
        text = text.replace(f"@{key}@", str(value))
    path = Path(folder) / f"{name}.conf"
    path.write_text(text)
    return path


def nginx(processes, folder, name, values):
    path = configured(folder, name, "stub.conf" if name == "stub" else "nginx.conf", values)
    return processes.start(["nginx", "-e", f"{folder}/{name}.error", "-c", path])


def gateway(processes, folder, name, stub, level, port, more="", program=None):
    """Starts a program (by default GATEWAY_BIN, or the binary built of this tree) with its stderr in a file, as a service manager would."""
    # Its places in flight are beyond all clients of a run: no request of the bench may get its 503.
    text = (
        f'[server]\nlisten = "127.0.0.1:{port}"\nmax_connections = {MANY}\nmax_in_flight = {MANY}\n'
        f'[upstream]\nurl = "http://127.0.0.1:{stub.port}"\n[admin]\nlisten = "127.0.0.1:{free_port()}"\n'
        f'[log]\nlevel = "{level}"\n{more}'
    )
    path = Path(folder) / f"{name}.toml"
    path.write_text(text)
    with open(f"{folder}/{name}.log", "ab") as log:
        return processes.start([program or gateway_binary(), "--config", path], stderr=log)


@functools.cache
def gateway_binary():
    """The binary to measure; built as it ships if GATEWAY_BIN names none."""
    path = Path(GIVEN or subprocess.check_output([ROOT / "deploy" / "build"], text=True).strip()).resolve()
    if not os.access(path, os.X_OK):
        fail(f"{path} is not a program")
    return path


def wait_until_served(process, port, request, seconds=60):
    """Repeats a request, each half millisecond, until its response is 200; returns the seconds that passed."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if process.poll() is not None:
            fail(f"{process.args[0]} ended with {process.returncode} at its start")
        try:
            connection, status, _ = exchange(port, request)
            connection.close()
            if status == 200:
                return time.monotonic() - start
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.0005)
    fail(f"{process.args[0]} gave no 200 within {seconds} s")


class Load:
    """A wrk with its connections, stopped as soon as it is made; `window` lets it run and measures."""

    def __init__(self, processes, stub, port, workloads, connections, pause=0):
        self.processes, self.stub, self.connections = processes, stub, connections
        argv = ["wrk", "-t1", f"-c{connections}", "-d36000s", "--timeout", "60s", "-s", BENCH / "wrk.lua"]
        argv += [f"http://127.0.0.1:{port}", "--", pause]
        for one in workloads:
            argv += [one.method, one.target, one.file, one.kind]
        self.what = f"{', '.join(one.name for one in workloads)} on port {port}"
        self.before = stub.requests()
        self.wrk = processes.start(argv, stdout=subprocess.PIPE, text=True)

    def pause(self):
        self.wrk.send_signal(signal.SIGSTOP)

    def window(self, pid, warm, seconds):
        """Runs for `warm` seconds unmeasured, then measures: CPU seconds of the contestant, requests, seconds."""
        self.wrk.send_signal(signal.SIGCONT)
        time.sleep(warm)
        before = cpu(pid), self.stub.requests(), time.monotonic()
        while True:
            time.sleep(seconds)
            after = cpu(pid), self.stub.requests(), time.monotonic()
            used, count, passed = (end - begin for begin, end in zip(before, after))
            if count:
                break
            if passed > 20 or self.wrk.poll() is not None:
                fail(f"{self.what}: no request reached the upstream in {passed:.1f} s")
        self.pause()
        return used, count, passed

    def end(self):
        """Ends the load. Every request must have had its 200; returns wrk's report."""
        self.wrk.send_signal(signal.SIGCONT)
        # One more than can be in flight, of this load and of what a proxy still sends of the one before: then a response has
        # arrived.
        deadline = time.monotonic() + 60
        while self.stub.requests() - self.before <= 2 * self.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        # Repeated, because the thread that waits for it misses it while it is still stopped.
        for _ in range(100):
            time.sleep(0.01)
            self.wrk.send_signal(signal.SIGINT)
            try:
                text = self.wrk.communicate(timeout=0.3)[0]
                break
            except subprocess.TimeoutExpired:
                pass
        else:
            fail(f"{self.what}: wrk does not end")
        self.processes.running.remove(self.wrk)
        if self.wrk.returncode:
            fail(f"{self.what}: wrk ended with {self.wrk.returncode}")
        report = json.loads(text.splitlines()[-1])
        if any(report["errors"].values()) or not report["requests"]:
            fail(f"{self.what}: requests failed: {report}")
        return report


def latency(processes, stub, port, workload, seconds):
    """p50 and p99 of a closed loop on one connection, microseconds."""
    load = Load(processes, stub, port, [workload], 1)
    time.sleep(seconds)
    report = load.end()
    stub.wait_until_quiet()
    reached = stub.requests() - load.before
    # The last request may have been cut off by the end of the load.
    if not 0 <= reached - report["requests"] <= 1:
        fail(f"{load.what}: {report['requests']} responses, but {reached} requests reached the upstream")
    return report["p50"], report["p99"]


def first_line(*argv):
    run = subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.stdout.splitlines()[0]


def run_facts(options):
    """When, of what, by which command and on what kind of machine: the list that heads a report. No names, no paths."""
    commit = first_line("git", "-C", ROOT, "rev-parse", "--short", "HEAD")
    changed = subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", "src", "Cargo.toml", "Cargo.lock"]).returncode
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    binary = gateway_binary().read_bytes()
    has_profile = "profiled" in gateway_binary().parts
    origin = "given by `GATEWAY_BIN`" if GIVEN else "of this commit, " + ("as it ships" if has_profile else "without a profile")
    given = {name: value for name, value in vars(options).items() if value not in (None, False) and name not in ("out", "check")}
    words = [f"--{name}" if value is True else f"--{name} {value}" for name, value in given.items()]
    return [
        f"Date: {datetime.date.today()}",
        f"Command: `bench/{' '.join([Path(sys.argv[0]).name, *words])}`",
        f"Commit: {commit}{', with changes of the source' if changed else ''}",
        f"Binary: {origin}, {len(binary) / 2**20:.1f} MiB, "
        f"SHA-256 {hashlib.sha256(binary).hexdigest()[:12]}…",
        f"Machine: {len(os.sched_getaffinity(0))} cores, {model}, {memory:.0f} GiB, Linux {platform.release()}, {system}",
    ]


# Colours for a light page, and for a dark one.
STYLE = """<style>
text { font: 12px sans-serif; fill: #24292f } .page { fill: #fff } .small { font-size: 11px; fill: #57606a }
.title { font-weight: bold } .line { stroke: #8c959f; fill: none } .other { fill: #afb8c1 } .own { fill: #0969da }
.curve { stroke: #0969da; stroke-width: 2; fill: none } .dashed { stroke-dasharray: 5 4 } .range { stroke: #24292f; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117 } .small { fill: #8d96a0 } .line { stroke: #6e7681 } .other { fill: #484f58 }
.own { fill: #58a6ff } .curve { stroke: #58a6ff } .range { stroke: #e6edf3 }
}
</style>"""


def svg(width, height, title, parts):
    size = f'width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} role="img"><title>{title}</title>'
    return "\n".join([head, STYLE, f'<rect class="page" {size}/>', *parts, "</svg>", ""])


def text(x, y, words, kind="", anchor="start"):
    words = str(words).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def line(x1, y1, x2, y2, kind="line"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def prose(*sentences):
    """A paragraph of a document, wrapped as documents are."""
    return textwrap.fill(" ".join(sentences), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def listed(facts):
    return "".join(textwrap.fill(f"- {fact}", 120, subsequent_indent="  ", break_on_hyphens=False) + "\n" for fact in facts)


def table(head, rows):
    """A Markdown table whose columns but the first are figures."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"
