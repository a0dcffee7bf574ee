// What a browser meets in these tests: gateways in front of the sandbox, pages of several origins, and Chromium itself; all on
// free ports of the loopback.

import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

const PROGRAM = process.env.NOCACHE_GATEWAY_PROGRAM;
export const folder = mkdtempSync(join(tmpdir(), "nocache-gateway-browser-"));
const ends = [() => rmSync(folder, { recursive: true, force: true })];

/** Ends everything that was started here, the last first. */
export async function end() {
  for (const step of ends.reverse()) await step();
}

/** Starts a verb of the program. Returns its log, and the addresses after the messages that were waited for. */
export async function start(args, ...messages) {
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith("NOCACHE_GATEWAY_"));
  const child = spawn(PROGRAM, args, { env: Object.fromEntries(env), stdio: ["ignore", "ignore", "pipe"] });
  ends.push(async () => {
    const exit = once(child, "exit");
    if (child.exitCode === null && child.kill()) await exit;
  });
  const log = [];
  const addresses = {};
  const lines = createInterface(child.stderr);
  await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const event = JSON.parse(line);
      log.push(event);
      const message = event.message.split(":")[0];
      if (messages.includes(message)) addresses[message] = event.address;
      if (messages.every((message) => message in addresses)) resolve();
    });
    child.once("exit", (code) => reject(new Error(`${args} ended with ${code}: ${JSON.stringify(log)}`)));
  });
  return { log, lines, addresses };
}

async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => (server.closeAllConnections(), server.close()));
  return server.address().port;
}

/** An address where nothing listens. */
async function unused() {
  const server = http.createServer();
  const port = await listen(server);
  server.close();
  return `127.0.0.1:${port}`;
}

const read = async (stream) => Buffer.concat(await stream.toArray());

/** An upstream that lets pages of any origin use it, as an API with a browser SDK must: the sandbox, with the fields for that. */
function withCors(upstream) {
  return http.createServer(async (request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    if (request.method === "OPTIONS") {
      response.setHeader("Access-Control-Allow-Methods", "GET, POST");
      response.setHeader("Access-Control-Allow-Headers", request.headers["access-control-request-headers"] ?? "");
      return response.writeHead(204).end();
    }
    const { method, headers } = request;
    const inner = http.request(`http://${upstream}${request.url}`, { method, headers });
    inner.end(await read(request));
    const [answer] = await once(inner, "response");
    const body = await read(answer);
    response.writeHead(answer.statusCode, { "Content-Type": answer.headers["content-type"] }).end(body);
  });
}

const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });

/** The local CA for `names`, which only a browser with the home of this stage trusts; and a certificate for the pages. */
function certificates(names) {
  writeFileSync(join(folder, "ca.toml"), "");
  const args = ["ca", "init", "--config", "ca.toml", ...names.flatMap((name) => ["--name", name])];
  execFileSync(PROGRAM, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const ca = "nocache-gateway-ca";
  const alternatives = ["localhost", ...names].map((name) => `DNS:${name}`);
  writeFileSync(join(folder, "pages.ext"), `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth\n`);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", ...curve, "-subj", "/CN=pages", "-keyout", "pages-key.pem", "-out", "pages.csr");
  const sign = ["-CA", `${ca}/ca.pem`, "-CAkey", `${ca}/ca-key.pem`, "-CAcreateserial", "-days", "30"];
  openssl("x509", "-req", "-in", "pages.csr", "-out", "pages.pem", "-extfile", "pages.ext", ...sign);
  const store = join(folder, "home/.pki/nssdb");
  mkdirSync(store, { recursive: true });
  const certutil = (...args) => execFileSync("certutil", ["-d", `sql:${store}`, ...args], { stdio: "pipe" });
  certutil("-N", "--empty-password");
  certutil("-A", "-t", "C,,", "-n", "local CA", "-i", join(folder, ca, "ca.pem"));
  return { cert: readFileSync(join(folder, "pages.pem")), key: readFileSync(join(folder, "pages-key.pem")) };
}

/** A gateway: where its listeners are, and its log. */
async function gateway(name, upstream, server, rules = "") {
  const config = join(folder, `${name}.toml`);
  writeFileSync(
    config,
    `[server]\nlisten = "127.0.0.1:0"\n${server}\n[server.tls]\nlisten = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.1:0"
[log]\nlevel = "debug"
[upstream]\nurl = "http://${upstream}"\n${rules}\n`,
  );
  const messages = ["listening", "listening over TLS", "admin listening"];
  const { log, lines, addresses } = await start(["--config", config], ...messages);
  const [plain, tls, admin] = messages.map((message) => addresses[message].split(":").at(-1));
  return { log, lines, plain, tls, admin };
}

/** Gateways and pages. `names` are host names that the browser finds on this machine. */
export async function stage(names, html) {
  const { addresses } = await start(["sandbox", "--listen", "127.0.0.1:0", "--record", "--polls", "0"], "sandbox listening");
  const sandbox = addresses["sandbox listening"];
  const credentials = certificates(names);
  const open = `127.0.0.1:${await listen(withCors(sandbox))}`;
  const page = (_, response) => response.setHeader("Content-Type", "text/html").end(html);
  const ports = {};
  for (const space of ["loopback", "local", "public"]) {
    ports[`https ${space}`] = await listen(https.createServer(credentials, page));
    ports[`http ${space}`] = await listen(http.createServer(page));
  }
  return {
    ports,
    gateways: {
      allow: await gateway("allow", open, ""),
      closed: await gateway("closed", sandbox, ""),
      deny: await gateway("deny", open, 'cross_site = "deny"'),
      rule: await gateway("rule", open, "", '[[rule]]\nid = "no"\nsites = ["denied.example"]\naction = "deny"'),
      lost: await gateway("lost", await unused(), ""),
    },
    /**
     * The requests with `words` that reached the upstream. They are asked for through the gateway, so that its log has said
     * by then what it says of requests before this one.
     */
    arrived: async (gateway, words) => {
      const id = `after-${words}`;
      const url = `http://127.0.0.1:${gateway.plain}/sandbox/requests`;
      const requests = await (await fetch(url, { headers: { "X-Request-Id": id } })).json();
      while (!gateway.log.some((event) => event.client_id === id)) {
        await once(gateway.lines, "line", { signal: AbortSignal.timeout(10_000) });
      }
      return requests.filter((request) => `${request.target} ${request.body}`.includes(words));
    },
  };
}

/** Chromium with an empty profile. Nothing of Playwright's own defaults, which switch some of the browser's checks off. */
export async function browse({ ports, names, extension }) {
  const spaces = Object.entries(ports).filter(([name]) => !name.endsWith("loopback"));
  const overrides = spaces.map(([name, port]) => `127.0.0.1:${port}=${name.split(" ")[1]}`);
  const profile = mkdtempSync(join(folder, "profile-"));
  const args = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    `--user-data-dir=${profile}`,
    `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`)}`,
    `--ip-address-space-overrides=${overrides}`,
  ];
  if (extension) {
    args.push("--disable-features=DisableLoadExtensionCommandLineSwitch", `--load-extension=${extension}`);
  }
  const env = { ...process.env, HOME: join(folder, "home") };
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    ignoreDefaultArgs: true,
    args: [...args, "about:blank"],
    env,
  });
  ends.push(() => context.close());
  return context;
}
