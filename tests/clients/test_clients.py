"""Real clients, unmodified from their registries, through the gateway to the sandbox. What is asserted is the bytes that
reached the sandbox, and the token that came back."""

import asyncio
import json
import subprocess
import time
import unittest

import requests
from capmonstercloudclient import CapMonsterClient, ClientOptions
from capmonstercloudclient.requests import ImageToTextRequest, RecaptchaV2Request, RecaptchaV3ProxylessRequest

from stage import Stage

KEY = "0123456789abcdef0123456789abcdef"

# The two examples of the vendor's page on tokens that are not accepted, without their nocache.
JSON_EXAMPLE = (
    '{\n    "clientKey": "API_KEY",\n    "task": {\n        "type": "RecaptchaV2Task",\n'
    '        "websiteURL": "https://lessons.zennolab.com/captchas/recaptcha/v2_simple.php?level=high",\n'
    '        "websiteKey": "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd"\n    }\n}'
)
JSON_ARRIVED = JSON_EXAMPLE.replace('iqRyTwd"\n', 'iqRyTwd","nocache":true\n')
LEGACY_EXAMPLE = (
    "/in.php?key=API_KEY&method=userrecaptcha&googlekey=6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd"
    "&pageurl=https://lessons.zennolab.com/captchas/recaptcha/v2_simple.php?level=high"
)


class Clients:
    kind: str

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(cls.kind)

    @classmethod
    def tearDownClass(cls):
        cls.stage.close()

    def last(self, path):
        return self.stage.requests(path)[-1]

    def test_vendors_python_sdk(self):
        client = CapMonsterClient(ClientOptions(api_key=KEY, service_url=self.stage.url))
        for request, kind in [
            (RecaptchaV2Request(websiteUrl="https://a.example/", websiteKey="6Lc"), "RecaptchaV2Task"),
            (
                RecaptchaV3ProxylessRequest(websiteUrl="https://a.example/", websiteKey="6Lc", minScore=0.5),
                "RecaptchaV3TaskProxyless",
            ),
        ]:
            # The field exists, and is never sent: what this SDK cannot do, the gateway does.
            request.no_cache = True
            solution = asyncio.run(client.solve_captcha(request))
            self.assertRegex(solution["gRecaptchaResponse"], r"^03AGsandbox\.\d+\.nocache-parameter$")
            body = self.last("/createTask")["body"]
            task = json.loads(body)["task"]
            self.assertEqual((task["type"], task["nocache"]), (kind, True))
            sent = body.replace(',"nocache":true', "")
            self.assertEqual(body, sent.replace("}", ',"nocache":true}', 1), "the last member of the task")
            # The client's own serialiser, so that everything beside the insertion is what it sent.
            self.assertEqual(sent, json.dumps(json.loads(sent)))

    def test_vendors_python_sdk_with_an_image(self):
        client = CapMonsterClient(ClientOptions(api_key=KEY, service_url=self.stage.url))
        solution = asyncio.run(client.solve_captcha(ImageToTextRequest(image_bytes=b"\x89PNG" * 50)))
        self.assertEqual(solution["text"], "sandbox")
        body = self.last("/createTask")["body"]
        self.assertEqual(body, json.dumps(json.loads(body)))
        self.assertNotIn("nocache", body)

    def test_requests_with_the_vendors_json_example(self):
        answer = requests.post(self.stage.url + "/createTask", data=JSON_EXAMPLE)
        self.assertEqual(answer.headers["x-nocache-gateway"], "set;action=add;via=parameter;rule=default")
        self.assertEqual(self.last("/createTask")["body"], JSON_ARRIVED)
        self.assertRegex(self.solve(answer.json()["taskId"]), "nocache-parameter$")

    def test_requests_with_the_vendors_legacy_example(self):
        # requests leaves an unencoded pageurl as it is.
        answer = requests.get(self.stage.url + LEGACY_EXAMPLE)
        self.assertEqual(self.last("/in.php")["target"], LEGACY_EXAMPLE + "&nocache=1")
        self.assertRegex(self.solve_legacy(answer.text), "nocache-parameter$")

    def test_requests_with_a_form_and_with_json_to_in_php(self):
        parameters = {"key": KEY, "method": "userrecaptcha", "googlekey": "6Lc", "pageurl": "https://a.example/?b=c"}
        answer = requests.post(self.stage.url + "/in.php", data=parameters)
        self.assertEqual(
            self.last("/in.php")["body"],
            f"key={KEY}&method=userrecaptcha&googlekey=6Lc&pageurl=https%3A%2F%2Fa.example%2F%3Fb%3Dc&nocache=1",
        )
        self.assertRegex(self.solve_legacy(answer.text), "nocache-parameter$")
        requests.post(self.stage.url + "/in.php", json=parameters)
        expected = json.dumps(parameters)[:-1] + ',"nocache":1}'
        self.assertEqual(self.last("/in.php")["body"], expected)
        requests.post(self.stage.url + "/in.php", files={name: (None, value) for name, value in parameters.items()})
        self.assertRegex(
            self.last("/in.php")["body"],
            r'form-data; name="nocache"\r\n\r\n1\r\n--[0-9a-f]+--\r\n$',
        )

    def test_curl_with_the_vendors_examples(self):
        self.curl("--data-raw", JSON_EXAMPLE, self.stage.url + "/createTask")
        self.assertEqual(self.last("/createTask")["body"], JSON_ARRIVED)
        answer = self.curl(self.stage.url + LEGACY_EXAMPLE)
        self.assertEqual(self.last("/in.php")["target"], LEGACY_EXAMPLE + "&nocache=1")
        self.assertRegex(self.solve_legacy(answer), "nocache-parameter$")

    def curl(self, *arguments):
        command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def solve(self, task):
        for _ in range(10):
            result = requests.post(self.stage.url + "/getTaskResult", json={"clientKey": KEY, "taskId": task}).json()
            if result["status"] == "ready":
                return result["solution"]["gRecaptchaResponse"]
            time.sleep(0.01)
        self.fail("no token")

    def solve_legacy(self, answer):
        task = answer.removeprefix("OK|")
        for _ in range(10):
            result = requests.get(f"{self.stage.url}/res.php?key={KEY}&action=get&id={task}").text
            if result.startswith("OK|"):
                return result
            time.sleep(0.01)
        self.fail("no token")


class OverHttp(Clients, unittest.TestCase):
    kind = "http"


class OverHttps(Clients, unittest.TestCase):
    kind = "https"


class OverNginx(Clients, unittest.TestCase):
    """With TLS, before the sandbox."""

    kind = "nginx"


if __name__ == "__main__":
    unittest.main()
