// A real Chromium, with pages of several origins and an extension, against gateways in front of the sandbox.
// docs/evidence/browsers.md holds what is measured here, and each of its rows is asserted; UPDATE_EVIDENCE=1 writes
// it anew. docs/reference.md names the tests, so their names are words for tests/architecture.rs.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { buildSync } from "esbuild";

import { FETCHES, OF_PAGES, doFetch, leaveByForm, post } from "./attempts.mjs";
import { browse, end, stage } from "./stage.mjs";

const EVIDENCE = new URL("../../docs/evidence/browsers.md", import.meta.url);
const EXTENSION = new URL("extension", import.meta.url).pathname;
const NAMES = ["shop.example", "rebound.example"];

/** Where a page is from: its words in the table, its origin, the address space of its server, the permission. */
const PAGES = [
  ["`http://localhost`", "http://localhost", "loopback", "prompt"],
  ["`https://localhost`", "https://localhost", "loopback", "prompt"],
  ["`https://shop.example`, on this machine", "https://shop.example", "loopback", "prompt"],
  ["`https://shop.example`, local network", "https://shop.example", "local", "prompt"],
  ["`https://shop.example`, public, not asked yet", "https://shop.example", "public", "prompt"],
  ["`https://shop.example`, public, allowed", "https://shop.example", "public", "granted"],
  ["`https://shop.example`, public, blocked", "https://shop.example", "public", "denied"],
  // Chromium never asks for a page without TLS, and refuses to be told an answer.
  ["`http://shop.example`, public", "http://shop.example", "public", undefined],
];
const IS_OWN = 2; // The first two are pages of this machine.

const TARGETS = {
  "`http://127.0.0.1`": (gateway) => `http://127.0.0.1:${gateway.plain}`,
  "`http://localhost`": (gateway) => `http://localhost:${gateway.plain}`,
  "`https://localhost`": (gateway) => `https://localhost:${gateway.tls}`,
};

const GATEWAYS = {
  allow: '`cross_site = "allow"`, and an upstream that lets pages of other sites read',
  closed: '`cross_site = "allow"`, and an upstream that does not',
  deny: '`cross_site = "deny"`, and an upstream that lets pages of other sites read',
};

let here;
let context;
let measured = "";

before(async () => {
  const entry = { contents: 'export * from "@zennolab_com/capmonstercloud-client"', resolveDir: import.meta.dirname };
  const settings = { stdin: entry, bundle: true, write: false, format: "iife", globalName: "sdk", platform: "browser" };
  const sdk = buildSync(settings).outputFiles[0].text.replaceAll("</script", "<\\/script");
  here = await stage(NAMES, `<!doctype html><title>page</title><body><script>${sdk}\n${post}</script>`);
  context = await browse({ ports: here.ports, names: NAMES, extension: EXTENSION });
});

after(async () => {
  const version = context?.browser()?.version();
  await end();
  if (!process.env.UPDATE_EVIDENCE) return;
  const [instructions] = readFileSync(EVIDENCE, "utf8").split("\n## Measured\n");
  writeFileSync(EVIDENCE, `${instructions}\n## Measured\n\nWith Chromium ${version}.\n${measured}`);
});

/** A table is what docs/evidence/browsers.md says under its title. */
function assertEvidence(title, titles, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |\n`;
  const table = line(titles) + line(titles.map(() => "---")) + rows.map(line).join("");
  measured += `\n### ${title}\n\n${table}`;
  if (process.env.UPDATE_EVIDENCE) return;
  const [, text] = readFileSync(EVIDENCE, "utf8").split(`\n### ${title}\n\n`);
  assert.ok(text !== undefined, `no table "${title}"`);
  assert.deepEqual(table.split("\n").slice(0, -1), text.split("\n\n")[0].trimEnd().split("\n"));
}

/** Adds a row, or the gateway's address to the last row if that says the same. */
function addRow(rows, from, to, cells) {
  const last = rows.at(-1);
  if (last?.[0] === from && `${last.slice(2)}` === `${cells}`) last[1] += `, ${to}`;
  else rows.push([from, to, ...cells]);
}

async function open([, origin, space, permission]) {
  const page = await context.newPage();
  const url = `${origin}:${here.ports[`${origin.split(":")[0]} ${space}`]}`;
  if (permission) {
    const session = await context.newCDPSession(page);
    const setting = { permission: { name: "loopback-network" }, setting: permission, origin: url };
    await session.send("Browser.setPermission", setting);
  }
  await page.goto(url);
  return page;
}

let attempts = 0;

/** What became of an attempt: whether its sender could read a response, and whether the submission reached the upstream. */
async function outcome(gateway, attempt) {
  const site = `a${++attempts}.example`;
  const refusals = () => gateway.log.filter((event) => event.cause === "cross-site").length;
  const refused = refusals();
  // What waits for longer never ends: a browser that blocks a frame or a form does not say so.
  const text = await Promise.race([attempt(site), setTimeout(15_000, undefined, { ref: false })]).catch(() => undefined);
  const arrived = await here.arrived(gateway, site);
  assert.ok(arrived.length <= 1, "a submission reaches the upstream at most once");
  for (const { target, body } of arrived) assert.match(target + body, /"nocache":true\}|&nocache=1$/);
  if (text?.includes("ERROR_GATEWAY_CROSS_SITE")) return "refused, says so";
  if (text !== undefined) {
    assert.match(text, /"taskId":[1-9]|^OK\|\d+$|^03AGsandbox\.\d+\.nocache-parameter$/);
    assert.equal(arrived.length, 1);
    return "**read**";
  }
  if (arrived.length === 1) return "sent";
  return refusals() > refused ? "refused" : "blocked";
}

/** One cell for each fetch. `realm` is a page, or the background of an extension. */
async function outcomesOfFetches(realm, gateway, url) {
  const cells = [];
  for (const make of Object.values(FETCHES)) {
    const run = (site) => {
      const [path, options] = make(site);
      return realm.evaluate(doFetch, [`${url}/${path}`, options]);
    };
    cells.push(await outcome(gateway, run));
  }
  return cells;
}

async function outcomesOfPage(page, gateway, url) {
  const cells = await outcomesOfFetches(page, gateway, url);
  for (const run of Object.values(OF_PAGES)) {
    cells.push(await outcome(gateway, (site) => page.evaluate(run, [url, site])));
  }
  const leave = async (site) => {
    const home = page.url();
    const left = page.waitForEvent("framenavigated", { timeout: 10_000 });
    left.catch(() => {}); // It may be over before anybody waits for it.
    await page.evaluate(leaveByForm, [url, site]);
    await left;
    await page.goto(home);
    throw new Error("the page is gone, so it reads nothing");
  };
  cells.push(await outcome(gateway, leave));
  return cells;
}

test('pages_meet_what_the_evidence_says', async (outer) => {
  for (const [name, title] of Object.entries(GATEWAYS)) {
    await outer.test(name, async () => {
      const gateway = here.gateways[name];
      const rows = [];
      for (const [number, from] of PAGES.entries()) {
        const page = await open(from);
        for (const [to, url] of Object.entries(TARGETS)) {
          const cells = await outcomesOfPage(page, gateway, url(gateway));
          addRow(rows, from[0], to, cells);
          // Whatever the evidence says: these are promises.
          const ways = [...Object.keys(FETCHES), ...Object.keys(OF_PAGES)];
          const readable = ways.filter((_, at) => cells[at] === "**read**");
          if (name === "closed") assert.ok(readable.every((way) => way.includes("header_acao")), `${from} ${readable}`);
          const passed = cells.filter((cell) => cell === "sent" || cell === "**read**");
          if (name === "deny" && number >= IS_OWN) assert.deepEqual(passed, [], `${from}`);
        }
        await page.close();
      }
      assertEvidence(title, ["page", "address", ...Object.keys(FETCHES), ...Object.keys(OF_PAGES), "form"], rows);
    });
  }
});

test('the_background_of_an_extension_meets_what_the_evidence_says', async () => {
  const [background] = context.serviceWorkers();
  assert.ok(background?.url().startsWith("chrome-extension://"), "the extension was loaded");
  const rows = [];
  for (const name of Object.keys(GATEWAYS)) {
    for (const [to, url] of Object.entries(TARGETS)) {
      const gateway = here.gateways[name];
      addRow(rows, GATEWAYS[name], to, await outcomesOfFetches(background, gateway, url(gateway)));
    }
  }
  assertEvidence("An extension", ["gateway and upstream", "address", ...Object.keys(FETCHES)], rows);
});

/** What responses to a page's requests were on the wire, preflights and those that it may not read included. */
async function watch(page, port) {
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  const urls = new Map();
  const responses = [];
  session.on("Network.requestWillBeSent", ({ requestId, request }) => urls.set(requestId, request.url));
  session.on("Network.responseReceivedExtraInfo", (response) => responses.push(response));
  const seen = () => responses.filter(({ requestId }) => urls.get(requestId)?.includes(`:${port}/`));
  /** Waits for `count` of them, since the browser tells of them when it likes. */
  return async (count) => {
    const end = Date.now() + 5_000;
    while (seen().length < count && Date.now() < end) await setTimeout(10);
    return seen().map(({ statusCode, headers }) => ({
      status: statusCode,
      isOpen: Object.keys(headers).some((name) => name.toLowerCase().startsWith("access-control-")),
    }));
  };
}

test('a_page_reads_nothing_that_the_gateway_says_itself_unless_it_asked_with_header_acao', async () => {
  const { rule, deny, lost } = here.gateways;
  for (const [gateway, site, status, code] of [
    [rule, "denied.example", 200, "ERROR_DOMAIN_NOT_ALLOWED"],
    [deny, "a.example", 403, "ERROR_GATEWAY_CROSS_SITE"],
    [lost, "a.example", 502, "ERROR_SERVICE_NOT_AVAILABLE"],
  ]) {
    for (const [way, make] of Object.entries(FETCHES)) {
      const page = await open(PAGES[IS_OWN]);
      const seen = await watch(page, gateway.plain);
      const [path, options] = make(site);
      const url = `http://127.0.0.1:${gateway.plain}/${path}`;
      const text = await page.evaluate(doFetch, [url, options]).catch(() => undefined);
      const asked = way.includes("header_acao");
      assert.equal(text, asked ? code : undefined, `${code} ${way}`);
      const expected = [{ status, isOpen: asked }];
      // A preflight names no site, so the upstream gets it, and this one allows everything.
      if (gateway === rule && way === "fetch, JSON") expected.unshift({ status: 204, isOpen: true });
      assert.deepEqual(await seen(expected.length), expected, `${code} ${way}`);
      await page.close();
    }
  }
});

test('the_admin_listener_refuses_every_page_but_its_own', async () => {
  const { admin } = here.gateways.allow;
  const probe = async (url) => {
    const frame = Object.assign(document.createElement("iframe"), { src: url });
    const loaded = new Promise((resolve) => (frame.onload = resolve));
    document.body.append(frame);
    await loaded;
    await fetch(url, { mode: "no-cors" });
    const text = await fetch(url).then((response) => response.text(), () => undefined);
    location = url;
    return text;
  };
  const allowed = PAGES.filter(([, , space, permission]) => space !== "public" || permission === "granted");
  for (const from of allowed) {
    for (const host of ["127.0.0.1", "localhost"]) {
      const page = await open(from);
      const url = `http://${host}:${admin}/readyz`;
      const statuses = [];
      page.on("response", (response) => response.url() === url && statuses.push(response.status()));
      const seen = await watch(page, admin);
      const left = page.waitForEvent("framenavigated", (frame) => frame === page.mainFrame());
      assert.equal(await page.evaluate(probe, url), undefined, `${from} ${host}`);
      await left;
      assert.ok(statuses.length >= 3 && statuses.every((status) => status === 403), `${from} ${host} ${statuses}`);
      for (const response of await seen(3)) assert.deepEqual(response, { status: 403, isOpen: false }, `${from} ${host}`);
      await page.close();
    }
  }
});

test('the_admin_listener_tells_its_user_and_no_name_that_leads_to_it', async () => {
  const { admin } = here.gateways.allow;
  const page = await context.newPage();
  for (const [host, status] of [
    ["127.0.0.1", 200],
    ["localhost", 200],
    ["rebound.example", 403],
    ["shop.example", 403],
  ]) {
    const response = await page.goto(`http://${host}:${admin}/readyz`);
    assert.equal(response.status(), status, host);
  }
  await page.close();
});

test('a_gateway_of_another_machine_without_TLS_meets_what_the_evidence_says', async () => {
  const rows = [];
  for (const [name, scheme] of [
    ["allow", "https"],
    ["allow", "http"],
    ["deny", "http"],
  ]) {
    const gateway = here.gateways[name];
    const origin = `${scheme}://shop.example`;
    const page = await open([origin, origin, "loopback"]);
    const url = `http://rebound.example:${gateway.plain}`;
    rows.push([GATEWAYS[name], `\`${origin}\``, ...(await outcomesOfPage(page, gateway, url))]);
    await page.close();
  }
  const titles = ["gateway and upstream", "page", ...Object.keys(FETCHES), ...Object.keys(OF_PAGES), "form"];
  assertEvidence("A gateway at another name, without TLS", titles, rows);
});

test('a_page_whose_own_name_leads_to_the_gateway_meets_what_the_evidence_says', async () => {
  const rows = [];
  for (const name of ["allow", "deny"]) {
    const gateway = here.gateways[name];
    const url = `http://rebound.example:${gateway.plain}`;
    const page = await context.newPage();
    await page.goto(url);
    addRow(rows, GATEWAYS[name], `\`${url.replace(/:\d+/, "")}\``, await outcomesOfFetches(page, gateway, url));
    await page.close();
  }
  assertEvidence("DNS rebinding that has succeeded", ["gateway and upstream", "address", ...Object.keys(FETCHES)], rows);
});
