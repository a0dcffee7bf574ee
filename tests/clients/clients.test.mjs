// The vendor's JavaScript SDK, unmodified from its registry, through the gateway to the sandbox.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";

import sdk from "@zennolab_com/capmonstercloud-client";

const KEY = "0123456789abcdef0123456789abcdef";

for (const kind of ["http", "https", "nginx"]) {
  describe(`over ${kind}`, () => {
    let stage;
    let url;

    before(async () => {
      stage = spawn("python3", [new URL("stage.py", import.meta.url).pathname, kind], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const [line] = await once(createInterface(stage.stdout), "line");
      ({ url } = JSON.parse(line));
    });

    after(async () => {
      stage.stdin.end();
      await once(stage, "exit");
    });

    const lastBody = async () => {
      const requests = await (await fetch(`${url}/sandbox/requests`)).json();
      return requests.filter((request) => request.target === "/createTask").at(-1).body;
    };

    const client = () =>
      sdk.CapMonsterCloudClientFactory.Create(new sdk.ClientOptions({ clientKey: KEY, serviceUrl: url }));

    for (const [type, Request] of [
      ["NoCaptchaTask", sdk.RecaptchaV2Request],
      ["RecaptchaV3TaskProxyless", sdk.RecaptchaV3ProxylessRequest],
    ]) {
      test(`${type} gets nocache and comes back with a token`, async () => {
        const request = new Request({ websiteURL: "https://a.example/", websiteKey: "6Lc" });
        const result = await client().Solve(request);
        assert.match(result.solution.gRecaptchaResponse, /^03AGsandbox\.\d+\.nocache-parameter$/);
        const body = await lastBody();
        const parsed = JSON.parse(body);
        assert.match(parsed.task.type, new RegExp(`^${type}`));
        assert.equal(parsed.task.nocache, true);
        assert.equal(Object.keys(parsed.task).at(-1), "nocache");
        // The rest is what JSON.stringify made of it.
        delete parsed.task.nocache;
        assert.equal(body.replace(',"nocache":true', ""), JSON.stringify(parsed));
      });
    }

    test("what the client says itself stays its own", async () => {
      const request = new sdk.RecaptchaV2Request({ websiteURL: "https://a.example/", websiteKey: "6Lc", nocache: false });
      const result = await client().Solve(request);
      assert.match(result.solution.gRecaptchaResponse, /nocache-off$/);
      assert.equal(JSON.parse(await lastBody()).task.nocache, false);
    });

    test("the balance comes through", async () => {
      assert.deepEqual(await client().getBalance(), { errorId: 0, balance: 345.678 });
    });
  });
}
