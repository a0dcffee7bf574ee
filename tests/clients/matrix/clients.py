"""The Python clients of the matrix, one short function each, as their own documentation has them used.

    clients.py NAME ADDRESS KEY SITE

prints what a user of the client gets: `token ...`, or `shown ...` with what is raised or returned."""

import asyncio
import json
import os
import subprocess
import sys

SITE_KEY = "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd"


class Shown(Exception):
    """A failure that a client returns instead of raising it."""


def capmonstercloudclient(address, key, site):
    from capmonstercloudclient import CapMonsterClient, ClientOptions
    from capmonstercloudclient.requests import RecaptchaV2Request

    client = CapMonsterClient(ClientOptions(api_key=key, service_url=address))
    request = RecaptchaV2Request(websiteUrl=site, websiteKey=SITE_KEY)
    return asyncio.run(client.solve_captcha(request))["gRecaptchaResponse"]


def capmonster_mcp(address, key, site):
    """Speaks MCP to it over its standard input and output, as an assistant's program does."""
    environment = {**os.environ, "CM_API_KEY": key}
    command = [os.path.join(os.path.dirname(sys.executable), "capmonster-mcp")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as server:

        def send(message):
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            server.stdin.flush()

        def call(number, method, parameters):
            send({"id": number, "method": method, "params": parameters})
            for line in server.stdout:
                message = json.loads(line)
                if message.get("id") == number:
                    return message["result"]
            raise Shown("the server has ended")

        def tool(number, name, arguments):
            result = call(number, "tools/call", {"name": name, "arguments": arguments})
            text = result["content"][0]["text"]
            if result.get("isError"):
                raise Shown(text)
            return text

        try:
            about = {"name": "matrix", "version": "1"}
            call(1, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about})
            send({"method": "notifications/initialized"})
            task = {"type": "RecaptchaV2Task", "websiteURL": site, "websiteKey": SITE_KEY}
            number = int(tool(2, "create_task", {"task": task}))
            result = tool(3, "get_task_result_wait", {"task_id": number})
            return json.loads(result)["solution"]["gRecaptchaResponse"]
        finally:
            server.stdin.close()
            server.terminate()


def capmonster_python(address, key, site):
    from capmonster_python import CapmonsterClient, RecaptchaV2Task

    client = CapmonsterClient(api_key=key)
    return client.solve(RecaptchaV2Task(websiteURL=site, websiteKey=SITE_KEY))["gRecaptchaResponse"]


def twocaptcha(address, key, site):
    from twocaptcha import TwoCaptcha

    solver = TwoCaptcha(key, server=address, pollingInterval=1)
    return solver.recaptcha(sitekey=SITE_KEY, url=site)["code"]


def python_rucaptcha(address, key, site):
    from python_rucaptcha.re_captcha import ReCaptcha

    result = ReCaptcha(rucaptcha_key=key, websiteURL=site, websiteKey=SITE_KEY, sleep_time=1).captcha_handler()
    if result["errorId"]:
        raise Shown(f"{result['errorCode']}: {result['errorDescription']}")
    return result["solution"]["gRecaptchaResponse"]


def unicaps(address, key, site):
    from unicaps import CaptchaSolver, CaptchaSolvingService

    with CaptchaSolver(CaptchaSolvingService.TWOCAPTCHA, key) as solver:
        return solver.solve_recaptcha_v2(site_key=SITE_KEY, page_url=site).solution.token


def anticaptchaofficial(address, key, site):
    from anticaptchaofficial.recaptchav2proxyless import recaptchaV2Proxyless

    solver = recaptchaV2Proxyless()
    solver.set_key(key)
    solver.set_website_url(site)
    solver.set_website_key(SITE_KEY)
    token = solver.solve_and_return_solution()
    if token == 0:
        raise Shown(f"{solver.error_code} / {solver.err_string}")
    return token


def python3_anticaptcha(address, key, site):
    from python3_anticaptcha.core.enum import CaptchaTypeEnm
    from python3_anticaptcha.recaptcha_v2 import ReCaptchaV2

    kind = CaptchaTypeEnm.RecaptchaV2TaskProxyless
    result = ReCaptchaV2(
        api_key=key, captcha_type=kind, websiteURL=site, websiteKey=SITE_KEY, sleep_time=1
    ).captcha_handler()
    if result["errorId"]:
        raise Shown(f"{result['errorCode']}: {result['errorDescription']}")
    return result["solution"]["gRecaptchaResponse"]


def python_anticaptcha(address, key, site):
    from python_anticaptcha import AnticaptchaClient, NoCaptchaTaskProxylessTask

    client = AnticaptchaClient(key, host=address.removeprefix("http://"), use_ssl=False)
    job = client.create_task(NoCaptchaTaskProxylessTask(site, SITE_KEY))
    job.join()
    return job.get_solution_response()


def captchatools(address, key, site):
    import captchatools

    solver = captchatools.new_harvester(
        solving_site="capmonster", api_key=key, captcha_type="v2", sitekey=SITE_KEY, captcha_url=site
    )
    return solver.get_token()


def playwright_captcha(address, key, site):
    """Without a browser: what it does between finding a captcha and filling in the token."""
    from playwright_captcha.captchas.recaptcha_v2.solvers.twocaptcha import solve_recaptcha_v2_twocaptcha
    from twocaptcha import AsyncTwoCaptcha

    client = AsyncTwoCaptcha(key, server=address, pollingInterval=1)
    return asyncio.run(solve_recaptcha_v2_twocaptcha(client, sitekey=SITE_KEY, url=site))["code"]


def requests(address, key, site):
    """A bot's own code, with nothing but requests: the vendor's legacy example."""
    import time

    import requests

    def get(path, **parameters):
        text = requests.get(address + path, params={"key": key, **parameters}).text
        if text.startswith("OK|"):
            return text.removeprefix("OK|")
        if text != "CAPCHA_NOT_READY":
            raise Shown(text)

    number = get("/in.php", method="userrecaptcha", googlekey=SITE_KEY, pageurl=site)
    while not (token := get("/res.php", action="get", id=number)):
        time.sleep(1)
    return token


def main(name, *case):
    try:
        print("token", globals()[name](*case))
    except Shown as shown:
        print("shown", " ".join(str(shown).split()))
    except Exception as error:
        print("shown", f"{type(error).__name__}:", " ".join(str(error).split()))


if __name__ == "__main__":
    main(*sys.argv[1:])
