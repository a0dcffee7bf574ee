"""The matrix: every client of the table, unmodified, straight and through the gateway. docs/clients.md is made of it."""

import concurrent.futures
import difflib
import functools
import json
import os
import subprocess
import sys
import unittest

import authority
import page
from compare import comparable, fields_of, is_submission, without_nocache
from stage import CASES
from table import CLIENTS, HERE

# Most of the time is the clients' own, between two polls.
AT_ONCE = 12
PAGE = os.path.join(HERE, "../../../docs/clients.md")


def play(client, case):
    """One case in namespaces of its own."""
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    run = subprocess.run([*command, sys.executable, f"{HERE}/stage.py", client, case], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"{client}, {case}: {run.stderr}")
    return json.loads(run.stdout)


def of_each_client(*cases):
    """Makes a test of one client, and of what was seen of it in these cases, a test of all of them."""

    def decorate(test):
        @functools.wraps(test)
        def every(self):
            for name, client in CLIENTS.items():
                runs = [self.seen[name][case] for case in cases]
                with self.subTest(name):
                    try:
                        test(self, client, *runs)
                    except AssertionError as failure:
                        logs = "".join(line for run in runs for line in run["log"])
                        raise AssertionError(f"{failure}\nWhat was logged:\n{logs}") from None

        return every

    return decorate


class Matrix(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        authority.make()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            runs = {(client, case): pool.submit(play, client, case) for case in CASES for client in CLIENTS}
        cls.seen = {name: {case: runs[name, case].result() for case in CASES} for name in CLIENTS}

    def comparable(self, client, run):
        return [comparable(request, client.is_shuffled) for request in run["requests"]]

    def test_there_are_at_least_twenty_real_clients(self):
        self.assertGreaterEqual(sum(1 for client in CLIENTS.values() if client.registry and not client.is_broken), 20)

    @of_each_client("straight", "kept", "set")
    def test_every_client_comes_to_a_token(self, client, straight, kept, shop):
        if client.is_broken:
            self.assertEqual({run["kind"] for run in (straight, kept, shop)}, {"shown"}, "it works now")
            return
        self.assertRegex(straight["text"], r"^03AGsandbox\.\d+\.nocache-off$")
        self.assertEqual((kept["kind"], kept["text"]), ("token", straight["text"]))
        self.assertEqual(shop["text"], straight["text"].replace("nocache-off", "nocache-parameter"))

    @of_each_client("straight", "kept")
    def test_a_kept_submission_and_its_polls_arrive_as_they_do_straight(self, client, straight, kept):
        self.assertEqual(self.comparable(client, kept), self.comparable(client, straight))
        self.assertEqual([is_submission(request) for request in kept["requests"]].count(True), 1)

    @of_each_client("straight", "set")
    def test_nocache_is_inserted_where_the_rule_says_so_and_nothing_else_changes(self, client, straight, shop):
        submission, *polls = shop["requests"]
        if "content-length" in fields_of(submission):
            self.assertEqual(fields_of(submission)["content-length"], str(len(submission["body"].encode())))
        undone, _ = without_nocache(submission)
        arrived = self.comparable(client, {"requests": [undone, *polls]})
        sent = json.loads(json.dumps(self.comparable(client, straight)).replace("kept.example", "shop.example"))
        self.assertEqual(arrived, sent)

    @of_each_client("straight-error", "error")
    def test_an_error_of_the_api_is_shown_as_it_is_straight(self, client, straight, error):
        self.assertEqual((error["kind"], error["text"]), ("shown", straight["text"]))
        self.assertEqual(self.comparable(client, error), self.comparable(client, straight))

    @of_each_client("502", "503", "denied")
    def test_a_failure_or_denial_is_shown_and_no_submission_arrives(self, _client, *runs):
        for run in runs:
            self.assertEqual(run["kind"], "shown")
            self.assertNotIn("KEY", run["text"].replace("KEY_DOES_NOT_EXIST", ""))
            self.assertFalse(any(is_submission(request) for request in run["requests"]))

    def test_the_page_says_what_was_seen(self):
        new = page.write(self.seen)
        if os.environ.get("UPDATE_CLIENTS"):
            with open(PAGE, "w") as file:
                file.write(new)
        with open(PAGE) as file:
            old = file.read()
        diff = "\n".join(
            difflib.unified_diff(old.splitlines(), new.splitlines(), "docs/clients.md", "this run", lineterm="")
        )
        self.assertEqual(old, new, f"UPDATE_CLIENTS=1 tests/clients/run writes it anew\n{diff}")


if __name__ == "__main__":
    unittest.main()
