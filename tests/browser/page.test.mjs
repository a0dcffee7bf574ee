// The status page in a real Chromium: what it says, live and without JavaScript, by keyboard alone, for axe-core, and with
// what strangers send. docs/reference.md names the tests, so their names are words for tests/architecture.rs.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { end, folder, start } from "./stage.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = `
[default]
action = "keep"
[[rule]]
id = "shop"
sites = ["shop.example"]
action = "add"
[[rule]]
id = "never"
sites = ["never.example"]
action = "add"
`;

let browser;
let gateway;

/** A gateway in front of an upstream: its API and its admin side, as URLs. */
async function serve(name, upstream, rules = RULES) {
  const config = join(folder, `${name}.toml`);
  const listeners = `[server]\nlisten = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.1:0"\n[log]\nlevel = "warn"\n`;
  writeFileSync(config, `${listeners}[upstream]\nurl = "http://${upstream}"\n${rules}`);
  const { addresses } = await start(["--config", config, "--log-level", "info"], "listening", "admin listening");
  return { api: `http://${addresses.listening}`, admin: `http://${addresses["admin listening"]}` };
}

before(async () => {
  const { addresses } = await start(["sandbox", "--listen", "127.0.0.1:0", "--polls", "0"], "sandbox listening");
  gateway = await serve("page", addresses["sandbox listening"]);
  const args = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"];
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args });
});

after(async () => {
  await browser?.close();
  await end();
});

/** Buys a solution for a site. Returns the id of the task. */
async function buy({ api }, websiteURL, more = {}) {
  const task = { type: "RecaptchaV2Task", websiteKey: "6Lc", websiteURL, ...more };
  const body = JSON.stringify({ clientKey: "key-of-the-page-test", task });
  const response = await fetch(`${api}/createTask`, { method: "POST", body });
  return (await response.json()).taskId;
}

/** Opens the page; `said` collects what the console says, and every dialog. */
async function open({ admin }, options = {}, path = "/") {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  page.on("dialog", (dialog) => (said.push(`dialog ${dialog.message()}`), dialog.dismiss()));
  await page.goto(admin + path);
  return { page, said };
}

const titles = (page) => page.locator("h2").allInnerTexts();

test('what_matters_comes_first', async () => {
  const id = await buy(gateway, "https://shop.example/cart");
  const poll = JSON.stringify({ clientKey: "K", taskId: id });
  await fetch(`${gateway.api}/getTaskResult`, { method: "POST", body: poll });
  await buy(gateway, "https://other.example/");
  const { page, said } = await open(gateway);
  await page.getByText("Submissions in the last hour: 2").waitFor();
  const [first, ...rest] = await titles(page);
  assert.equal(first, "Working");
  assert.deepEqual(rest, [
    "Submissions in the last hour: 2",
    "What became of the tasks, last 24 hours",
    "Rules",
    "Sites without a rule",
    "Last decisions",
    "What would happen to a site?",
  ]);
  const text = (id) => page.locator(`.table[aria-labelledby=${id}]`).innerText();
  assert.match(await text("tasks"), /shop\.example\s+on\s+no reports\s+1\s+1\s+0/);
  assert.match(await text("rules"), /shop line \d+\s+1\s+add[\s\S]*never line \d+\s+none yet/);
  assert.match(await text("sites"), /other\.example\s+1\s+\[\[rule\]\]\nid = "site-other\.example"/);
  assert.match(await text("decisions"), /kept\s+other\.example\s+action-keep\s+default\s+recaptcha-v2/);
  assert.deepEqual(said, []);
  await page.context().close();
});

test('what_is_wrong_stands_on_top', async () => {
  const nobody = http.createServer();
  await new Promise((resolve) => nobody.listen(0, "127.0.0.1", resolve));
  const { port } = nobody.address();
  nobody.close();
  const lost = await serve("lost", `127.0.0.1:${port}`, '[[rule]]\nid = "uk"\nsites = ["co.uk"]\naction = "force"\n');
  await buy(lost, "https://shop.example/");
  const { page } = await open(lost);
  await page.locator(".problems li").first().waitFor();
  assert.equal((await titles(page))[0], "Working, but something needs you");
  const problems = await page.locator(".problems li").allInnerTexts();
  assert.match(problems[0], /^The upstream fails: .*\(connect, \d+ s ago\)$/);
  assert.match(problems[1], /public suffix/);
  await page.context().close();
});

test('it_is_live_and_can_be_paused', async () => {
  const { page, said } = await open(gateway);
  await page.evaluate(() => (window.isTheSamePage = true));
  await buy(gateway, "https://live.example/");
  await page.locator(".table[aria-labelledby=sites]").getByText("live.example", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await buy(gateway, "https://paused.example/");
  await page.waitForTimeout(4_500);
  assert.equal(await page.getByText("paused.example").count(), 0);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.locator(".table[aria-labelledby=sites]").getByText("paused.example", { exact: true }).waitFor();
  assert.ok(await page.evaluate(() => window.isTheSamePage), "it was not loaded again");
  // What has focus keeps it.
  await page.locator(".table[aria-labelledby=rules]").focus();
  await page.waitForResponse(/\/live$/);
  await page.waitForTimeout(200);
  const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-labelledby"));
  assert.equal(focused, "rules");
  assert.deepEqual(said, []);
  await page.context().close();
});

test('a_gateway_that_ended_is_not_shown_as_live', async () => {
  const { page } = await open(gateway);
  await page.route(/\/live$/, (route) => route.abort());
  await page.getByText("The gateway does not respond").waitFor();
  await page.unroute(/\/live$/);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.context().close();
});

test('it_works_without_javascript', async () => {
  const { page } = await open(gateway, { javaScriptEnabled: false });
  assert.equal((await titles(page))[0], "Working");
  assert.ok(!(await page.getByRole("button", { name: "Pause" }).isVisible()));
  await page.getByLabel("Target page").fill("https://shop.example/login");
  await page.getByRole("button", { name: "Explain" }).click();
  assert.match(await page.locator("#outcome").innerText(), /^ ?set: nocache is turned on\s+Decided by the rule shop in line \d+/);
  await page.context().close();
});

test('the_keyboard_alone_is_enough', async () => {
  const { page } = await open(gateway);
  const isAt = (selector) => page.evaluate((selector) => document.activeElement.matches(selector), selector);
  for (let steps = 0; !(await isAt("#site")); steps++) {
    assert.ok(steps < 20, "the box can be reached");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.type("other.example");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator("#outcome strong").waitFor();
  assert.match(await page.locator("#outcome").innerText(), /skipped: .*no rule applies/);
  assert.match(page.url(), /captcha=recaptcha-v2-enterprise/);
  await page.context().close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1200, 360]) {
    test(`axe_finds_nothing_${colorScheme}_${width}`, async () => {
      const { page, said } = await open(gateway, { colorScheme, viewport: { width, height: 800 } }, "/?site=shop.example");
      // The page's policy lets no script in, but that of a debugger.
      const session = await page.context().newCDPSession(page);
      await session.send("Runtime.evaluate", { expression: AXE });
      const run = { expression: "axe.run().then((r) => JSON.stringify(r))", awaitPromise: true, returnByValue: true };
      const { result } = await session.send("Runtime.evaluate", run);
      const { violations, passes } = JSON.parse(result.value);
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
      assert.ok(passes.some(({ id }) => id === "color-contrast"), "it looked");
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.equal(overflow, 0, "nothing but the tables scrolls sideways");
      assert.deepEqual(said, []);
      await page.context().close();
    });
  }
}

test('what_strangers_send_is_text', async () => {
  const image = "<img src=x onerror=alert(1)>";
  for (const site of [`https://${image}.example/`, `https://a.example/${image}`, `${image}`]) {
    await buy(gateway, site);
    await buy(gateway, site, { type: image });
  }
  const query = new URLSearchParams({ site: `"><script>alert(2)</script>${image}`, captcha: image });
  const { page, said } = await open(gateway, {}, `/?${query}`);
  await page.waitForResponse(/\/live$/);
  assert.equal(await page.locator("img, main script").count(), 0);
  assert.equal(await page.getByLabel("Target page").inputValue(), query.get("site"));
  assert.deepEqual(said, []);
  const response = await fetch(gateway.admin);
  assert.match(response.headers.get("content-security-policy"), /^default-src 'none'; style-src 'self'; script-src 'self'/);
  assert.ok(!(await response.text()).includes("key-of-the-page-test"));
  await page.context().close();
});

test('ten_thousand_sites_are_no_longer_a_page', async () => {
  const { addresses } = await start(["sandbox", "--listen", "127.0.0.1:0", "--polls", "0"], "sandbox listening");
  const busy = await serve("busy", addresses["sandbox listening"]);
  const sites = Array.from({ length: 10_000 }, (_, number) => `https://site-${number}.example/`);
  const worker = async () => {
    for (let site; (site = sites.pop()); ) await buy(busy, site);
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  const { page, said } = await open(busy);
  await page.getByText("Submissions in the last hour: 10000").waitFor();
  assert.ok((await page.content()).length < 60_000);
  assert.equal(await page.locator(".table[aria-labelledby=tasks] tbody tr").count(), 20);
  const stats = await (await fetch(`${busy.admin}/api/stats`)).json();
  assert.equal(stats.sites.length, 10_000);
  assert.deepEqual(said, []);
  await page.context().close();
});
