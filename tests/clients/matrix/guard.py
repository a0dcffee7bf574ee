"""The clients of the matrix with their own polling loops, where the vendor would lock their key, and through an outage.
Prints the tables of docs/evidence/guard.md.

    guard.py                  every client, every round
    guard.py CLIENT ROUND     one of them, in a namespace of its own: what became of it, as one line of JSON
"""

import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass

import authority
from stage import KEY, LISTENING, SANDBOX, SITE, Relay, arrange, configure, run, start
from table import CLIENTS, HERE, Way

# They all wait for most of the time.
AT_ONCE = 40
RELAY = "127.0.0.1:6631"


@dataclass(frozen=True)
class Round:
    """How long a task takes, what the guard does, whether the sandbox locks keys, how long it cannot be reached."""

    seconds: int
    guard: str
    ban: bool = True
    outage: int = 0


MODES = ("off", "warn", "pace")
QUICK, SLOW = 20, 150
ROUNDS = {
    **{f"{mode}-{seconds}": Round(seconds, f'polls = "{mode}"') for mode in MODES for seconds in (QUICK, SLOW)},
    **{f"unlocked-{seconds}": Round(seconds, 'polls = "off"', ban=False) for seconds in (QUICK, SLOW)},
    "outage-503": Round(QUICK, 'outage = "503"', ban=False, outage=10),
    "outage-processing": Round(QUICK, 'outage = "processing"', ban=False, outage=10),
}
# The sandbox's first task takes so much of its mean delay.
FIRST = 1.378


def ask(path):
    with urllib.request.urlopen(f"http://{SANDBOX}/sandbox/{path}") as response:
        return json.load(response)


def interrupt(relay, seconds):
    """Takes the upstream away shortly after the first task was created, and gives it back."""
    while not ask("tasks"):
        time.sleep(0.05)
    time.sleep(1.5)
    relay.close()
    time.sleep(seconds)
    relay.open()


def play(client, chosen):
    """One client, one round."""
    running = []
    with arrange(client.way is Way.HOSTS), tempfile.TemporaryDirectory() as folder:
        try:
            arguments = ["sandbox", "--polls", "0", "--delay", f"{round(1000 * chosen.seconds / FIRST)}ms", *(["--ban"] if chosen.ban else [])]
            running.append(start(arguments, ["sandbox listening"]))
            relay = Relay(RELAY, SANDBOX)
            config = configure(folder, RELAY, client.way)
            with open(config, "a") as file:
                file.write(f"[guard]\n{chosen.guard}\n")
            running.append(start(["--config", config], ["listening", *LISTENING[client.way]]))
            if chosen.outage:
                threading.Thread(target=interrupt, args=[relay, chosen.outage], daemon=True).start()
            addresses = {Way.SETTING: "http://127.0.0.1:6622", Way.TLS: "127.0.0.1:6626"}
            is_proxied = client.way in (Way.VARIABLE, Way.PROXY)
            trusts = client.way is not Way.VARIABLE
            address = addresses.get(client.way, "fixed")
            kind, text = run(client, address, KEY, SITE.format("shop"), trusts, is_proxied, folder, timeout=600)
            return {"kind": kind, "text": text, "at": time.time(), "tasks": ask("tasks"), "bans": ask("bans")}
        finally:
            for process in reversed(running):
                process.terminate()


def play_apart(name, chosen):
    """The same in namespaces of its own; what went wrong there is an outcome, too."""
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    done = subprocess.run([*command, sys.executable, __file__, name, chosen], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{name}, {chosen}: {done.stderr}")
    return json.loads(done.stdout)


def seen_after(outcome):
    """How many seconds after its creation a task's token was seen; `None` without one."""
    if outcome["kind"] != "token":
        return None
    return outcome["at"] - outcome["tasks"][0]["created"]


def of_polls(name, outcomes, seconds):
    """A row: what became of a client that the guard leaves alone, warns of, and paces."""
    cells = []
    for mode in MODES:
        outcome = outcomes[name, f"{mode}-{seconds}"]
        polls = sum(task["polls"] for task in outcome["tasks"])
        result = "token" if outcome["kind"] == "token" else "none"
        banned = f", locked: {outcome['bans'][0]}" if outcome["bans"] else ""
        cells.append(f"{result}, {polls} polls{banned}")
    straight = seen_after(outcomes[name, f"unlocked-{seconds}"])
    paced = seen_after(outcomes[name, f"pace-{seconds}"])
    # Never -0.0.
    later = None if straight is None or paced is None else round(paced - straight, 1) + 0.0
    cells.append("" if later is None else f"{later:+.1f} s")
    return cells, later


def report(outcomes, names):
    for seconds in (QUICK, SLOW):
        rows = {name: of_polls(name, outcomes, seconds) for name in names}
        print(f"\n### A task that takes {seconds} s\n")
        print("| client | `off` | `warn` | `pace` | token later by pacing |\n|---|---|---|---|---|")
        for name, (cells, _) in rows.items():
            print(f"| {name} | {' | '.join(cells)} |")
        for mode in MODES:
            banned = sum(bool(outcomes[name, f"{mode}-{seconds}"]["bans"]) for name in names)
            tokens = sum(outcomes[name, f"{mode}-{seconds}"]["kind"] == "token" for name in names)
            print(f"\n`{mode}`: {banned} of {len(names)} keys locked, {tokens} tokens.")
        late = [later for _, later in rows.values() if later is not None]
        print(f"\nBy pacing a token is seen {statistics.median(late):.1f} s later in the median, {max(late):.1f} s at most.")
    print("\n### An outage of 10 s that begins 1.5 s after the task was created\n")
    print('| client | `outage = "503"` | `outage = "processing"` |\n|---|---|---|')
    rounds = ("outage-503", "outage-processing")
    for name in names:
        cells = [shown(outcomes[name, chosen]) for chosen in rounds]
        print(f"| {name} | {' | '.join(cells)} |")
    for chosen in rounds:
        tokens = sum(outcomes[name, chosen]["kind"] == "token" for name in names)
        print(f"\n`{chosen}`: {tokens} of {len(names)} tokens.")


def shown(outcome):
    return "token" if outcome["kind"] == "token" else outcome["text"][:80].replace("|", "\\|")


def main():
    authority.make()
    names = [name for name, client in CLIENTS.items() if not client.is_broken]
    outcomes = {}
    # A round is played by all clients at once, and the rounds one after another.
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for chosen in ROUNDS:
            runs = {name: pool.submit(play_apart, name, chosen) for name in names}
            outcomes.update({(name, chosen): run.result() for name, run in runs.items()})
            print(f"{chosen}: {sum(run.result()['kind'] == 'token' for run in runs.values())} tokens", file=sys.stderr)
    report(outcomes, names)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(play(CLIENTS[sys.argv[1]], ROUNDS[sys.argv[2]])))
    else:
        main()
