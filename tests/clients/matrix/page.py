"""docs/clients.md, made of what a run of the matrix saw."""

import json
import os
import re
import textwrap
import tomllib

from compare import shape, syntax, without_nocache
from table import CLIENTS, HERE, LEFT_OUT, Way

HEAD = """# Clients

<!-- UPDATE_CLIENTS=1 tests/clients/run writes this page. CI runs every client in it and fails where it differs. -->

Each client below ran unmodified, at the version given, through the gateway to a token of the `sandbox` (to none where a
note says so), and once straight to the sandbox. For each of them the run showed:

- nocache arrived for the site that a rule names, at the place given, and nothing else of the request changed;
- a submission for another site, and every poll, arrived as it does straight, except for what belongs to each hop: Host,
  Connection, and how a body's length is said (what a client sends in chunks arrives with Content-Length);
- an error of the API was shown to the user as it is straight.

{counts}

[fixed-addresses.md](fixed-addresses.md) explains these ways. `ca.pem` is the certificate of the local CA; `bundle.pem`
is that and the client's usual roots, and `nocache-gateway ca show` says how it is made. Where a client can go more ways
than one, the simplest is given.
"""

COUNTS = """{real} are the clients themselves, from their registries. The requests of {other} more, whose registries the tests
cannot reach, were sent by their language's own HTTP stack; the line to change in those is from their documentation.
What they need:

"""

WAYS = {
    Way.SETTING: """## A setting

These take another address over plain http.
""",
    Way.TLS: """## A setting and a trusted CA

These take another address, but put `https://` in front of it. They need `[server.tls]`.
""",
    Way.VARIABLE: """## An environment variable

The address of these is fixed, but they obey HTTPS_PROXY, and they need no CA. They need `[server.proxy]`, with the
service's name in `names`.
""",
    Way.PROXY: """## An environment variable and a trusted CA

The address of these is fixed, but they obey HTTPS_PROXY. They need `[server.proxy]`, with the service's name in `names`
if it is not the upstream's.
""",
    Way.HOSTS: """## The hosts file and a trusted CA

The address of these is fixed, and they do not obey HTTPS_PROXY. They need `[server.hosts]`, and the line of the hosts
file that `nocache-gateway hosts` prints.
""",
}

SHOWN = """## What their users see of a failure

What each client raises or returns, shortened to {limit} characters: for the gateway's 502 (no connection to the API), for
its 503 (`max_in_flight` is reached), and for a site that a rule denies. [failures.md](failures.md) says what each means.
Clients whose requests another HTTP stack sent are not in this table: that does not say what they show.
"""

LIMIT = 110


def versions():
    """Every pinned version, by registry and name."""
    found = {}
    for name in ("../requirements.txt", "requirements-more.txt", "requirements-playwright.txt"):
        with open(os.path.join(HERE, name)) as file:
            for line in re.findall("^([^#=\n]+)==(.+)$", file.read(), re.MULTILINE):
                found["PyPI", line[0].lower().replace("_", "-")] = line[1]
    with open(os.path.join(HERE, "../package.json")) as file:
        found |= {("npm", name): version for name, version in json.load(file)["dependencies"].items()}
    with open(os.path.join(HERE, "rust/Cargo.lock"), "rb") as file:
        found |= {("crates.io", package["name"]): package["version"] for package in tomllib.load(file)["package"]}
    return found


def counts():
    real = sum(1 for client in CLIENTS.values() if client.registry)
    need = [f"- {way.value}: {sum(1 for client in CLIENTS.values() if client.way is way)}" for way in Way]
    return COUNTS.format(real=real, other=len(CLIENTS) - real) + "\n".join([*need, "- a patch: none"])


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def named(client):
    return f"`{client.name}`" + (f" ({client.language})" if client.registry else f" ({client.language}'s requests)")


def place(submission):
    """Which text was inserted where."""
    _, text = without_nocache(submission)
    kind = syntax(submission)
    if kind == "multipart":
        return "a last part `nocache`"
    places = {"query": "the target", "form": "the body", "JSON": "the object"}
    inner = kind == "JSON" and "task" in json.loads(submission["body"])
    return f"`{text}` at the end of " + ("`task`" if inner else places[kind])


def row(client, runs, known):
    submission = runs["set"]["requests"][0]
    version = known[client.registry, client.name] if client.registry else f"sent by {client.stack}"
    line = " and ".join(f"`{part}`" for part in client.line.split(" and "))
    return [named(client), version, line, shape(submission), place(submission)]


def shortened(text):
    short = textwrap.shorten(text, LIMIT, placeholder="")
    return f"`{short}`" + ("…" if short != text else "")


def write(seen):
    known = versions()
    parts = [HEAD.format(counts=counts())]
    for way, text in WAYS.items():
        rows = [row(client, seen[name], known) for name, client in CLIENTS.items() if client.way is way]
        head = ["client", "version", "what to change", "what it sends", "how nocache arrives"]
        parts.append(f"{text}\n{table(head, rows)}")
        notes = [
            f"- `{client.name}`: {client.note}" for client in CLIENTS.values() if client.way is way and client.note
        ]
        if notes:
            parts[-1] += "\n" + "\n".join(notes) + "\n"
    parts.append("## Left out\n\n" + table(["client", "why"], LEFT_OUT))
    rows = [
        [named(client), *(shortened(seen[name][case]["text"]) for case in ("502", "503", "denied"))]
        for name, client in CLIENTS.items()
        if client.registry
    ]
    parts.append(SHOWN.format(limit=LIMIT) + "\n" + table(["client", "502", "503", "a denial"], rows))
    return "\n".join(parts)
