"""A real nginx with TLS closes, reloads and restarts under a stream of submissions. Each carries a mark, and what the sandbox
behind it got is counted: none twice, and none that was answered with an error."""

import collections
import http.client
import itertools
import json
import random
import re
import signal
import threading
import time
import unittest

from stage import Stage


class Nginx(unittest.TestCase):
    def setUp(self):
        self.stage = Stage("nginx")
        self.addCleanup(self.stage.close)
        self.marks = itertools.count()
        self.statuses = {}

    def submit(self):
        """A submission over a connection of its own, as a client without a gateway has one."""
        mark = str(next(self.marks))
        connection = http.client.HTTPConnection(self.stage.url.removeprefix("http://"), timeout=20)
        task = {"type": "RecaptchaV2Task", "websiteURL": "https://a.example/", "websiteKey": f"mark-{mark}-"}
        connection.request("POST", "/createTask", json.dumps({"clientKey": "K", "task": task}))
        self.statuses[mark] = connection.getresponse().status
        connection.close()

    def stream(self, seconds, pause):
        """Submissions from eight clients for so long."""
        end = time.monotonic() + seconds

        def client():
            while time.monotonic() < end:
                self.submit()
                time.sleep(pause())

        clients = [threading.Thread(target=client) for _ in range(8)]
        for client in clients:
            client.start()
        return clients

    def count(self):
        """How many submissions were answered with which status. None of them arrived twice."""
        arrived = collections.Counter(
            re.search("mark-([0-9]+)-", request["body"]).group(1) for request in self.stage.requests("/createTask")
        )
        self.assertEqual([mark for mark, times in arrived.items() if times > 1], [], "sent twice")
        answered = {mark for mark, status in self.statuses.items() if status == 200}
        self.assertLessEqual(answered, set(arrived), "what was answered has arrived")
        counts = collections.Counter(self.statuses.values())
        print(f"{self.id()}: {dict(counts)}, {len(arrived)} arrived")
        return counts

    def test_it_closes_connections_at_rest(self):
        # keepalive_timeout is 1 s: these pauses meet the close.
        clients = self.stream(8, lambda: random.uniform(0.97, 1.01))
        for client in clients:
            client.join()
        counts = self.count()
        self.assertEqual(set(counts), {200})
        self.assertGreater(counts[200], 50)

    def test_it_reloads(self):
        clients = self.stream(6, lambda: random.uniform(0, 0.01))
        for _ in range(15):
            time.sleep(0.3)
            self.stage.nginx.signal(signal.SIGHUP)
        for client in clients:
            client.join()
        counts = self.count()
        self.assertGreater(counts[200], 1000)
        # A reload closes what rests without a word: at the most what each client was just writing to.
        self.assertLessEqual(set(counts), {200, 502})
        self.assertLessEqual(counts[502], 15 * 8)

    def test_it_restarts(self):
        clients = self.stream(6, lambda: random.uniform(0, 0.01))
        for _ in range(4):
            time.sleep(1)
            self.stage.nginx.close()
            self.stage.nginx.start()
        for client in clients:
            client.join()
        counts = self.count()
        self.assertGreater(counts[200], 1000)
        # What it cut off, and what found nobody listening.
        self.assertLessEqual(set(counts), {200, 502})


if __name__ == "__main__":
    unittest.main()
