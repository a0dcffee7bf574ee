// The JavaScript clients of the matrix, one short function each, as their own documentation has them used.
//
//     node clients.mjs NAME ADDRESS KEY SITE
//
// prints what a user of the client gets: `token ...`, or `shown ...` with what is thrown or returned.

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const SITE_KEY = "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd";

const clients = {
  "@zennolab_com/capmonstercloud-client": async (address, key, site) => {
    const sdk = require("@zennolab_com/capmonstercloud-client");
    const client = sdk.CapMonsterCloudClientFactory.Create(
      new sdk.ClientOptions({ clientKey: key, serviceUrl: address }),
    );
    const result = await client.Solve(new sdk.RecaptchaV2Request({ websiteURL: site, websiteKey: SITE_KEY }));
    if (!result.solution) throw `error: ${result.error}`;
    return result.solution.gRecaptchaResponse;
  },

  "node-capmonster": async (address, key, site) => {
    const { RecaptchaV2Task } = require("node-capmonster");
    const client = new RecaptchaV2Task(key);
    const task = client.task({ websiteURL: site, websiteKey: SITE_KEY });
    const result = await client.joinTaskResult(await client.createWithTask(task));
    return result.gRecaptchaResponse;
  },

  "2captcha": async (address, key, site) => {
    const { Solver } = require("2captcha");
    return (await new Solver(key, 1000).recaptcha(SITE_KEY, site)).data;
  },

  "2captcha-ts": async (address, key, site) => {
    const { Solver } = require("2captcha-ts");
    return (await new Solver(key, 1000).recaptcha({ pageurl: site, googlekey: SITE_KEY })).data;
  },

  "@2captcha/captcha-solver": async (address, key, site) => {
    const { Solver } = require("@2captcha/captcha-solver");
    return (await new Solver(key, 1000).recaptcha({ pageurl: site, googlekey: SITE_KEY })).data;
  },

  "rucaptcha-2captcha": async (address, key, site) => {
    const client = require("rucaptcha-2captcha").default(key, 2);
    const id = await client.send({ method: "userrecaptcha", googlekey: SITE_KEY, pageurl: site });
    return client.get(id);
  },

  anticaptcha: async (address, key, site) => {
    const { AntiCaptcha } = require("anticaptcha");
    const client = new AntiCaptcha(key);
    const id = await client.createTaskRecaptchaV2Proxyless(site, SITE_KEY);
    return (await client.getTaskResult(id)).solution.gRecaptchaResponse;
  },

  "@antiadmin/anticaptchaofficial": async (address, key, site) => {
    const client = require("@antiadmin/anticaptchaofficial");
    client.setAPIKey(key);
    client.shutUp();
    return client.solveRecaptchaV2Proxyless(site, SITE_KEY);
  },

  // Without a browser: what it does between finding a captcha and filling in the token.
  "puppeteer-extra-plugin-recaptcha": async (address, key, site) => {
    const plugin = require("puppeteer-extra-plugin-recaptcha")({ provider: { id: "2captcha", token: key } });
    const captcha = { _vendor: "recaptcha", id: "1", sitekey: SITE_KEY, url: site };
    const { solutions } = await plugin.getRecaptchaSolutions([captcha]);
    if (solutions[0].error) throw solutions[0].error;
    return solutions[0].text;
  },
};

const [name, ...values] = process.argv.slice(2);
try {
  console.log("token", await clients[name](...values));
} catch (error) {
  console.log("shown", String(error).replace(/\s+/g, " "));
}
process.exit();
