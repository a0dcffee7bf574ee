// The ways by which a page or an extension can send something to the gateway. Each runs inside the browser, and resolves with
// the text that it could read, or rejects.

/** The body of a createTask submission for a site. */
const body = (site) =>
  JSON.stringify({ clientKey: "K", task: { type: "RecaptchaV2Task", websiteURL: `https://${site}/`, websiteKey: "s" } });

const legacy = (site) => `in.php?key=K&method=userrecaptcha&googlekey=s&pageurl=https://${site}/`;

/** By fetch, which pages and extensions have: path and options for a site. */
export const FETCHES = {
  "fetch, JSON": (site) => [
    "createTask",
    { method: "POST", headers: { "Content-Type": "application/json" }, body: body(site) },
  ],
  "fetch, text/plain": (site) => ["createTask", { method: "POST", body: body(site) }],
  "fetch, `no-cors`": (site) => ["createTask", { method: "POST", mode: "no-cors", body: body(site) }],
  "`in.php`": (site) => [legacy(site), {}],
  "`in.php`, `header_acao=1`": (site) => [`${legacy(site)}&header_acao=1`, {}],
};

/** Runs in the browser. An opaque response has status 0 and no text. */
export async function doFetch([url, options]) {
  const response = await fetch(url, options);
  const text = await response.text();
  if (response.type === "opaque") throw new Error("opaque");
  return text;
}

/** What only pages can do. Each runs in the browser with the gateway's URL and the site. */
export const OF_PAGES = {
  "vendor's SDK": async ([url, site]) => {
    const options = new sdk.ClientOptions({ clientKey: "K", serviceUrl: url });
    const request = new sdk.RecaptchaV2Request({ websiteURL: `https://${site}/`, websiteKey: "s" });
    const times = { firstRequestDelay: 1, firstRequestNoCacheDelay: 1, requestsInterval: 100, timeout: 10_000 };
    const result = await sdk.CapMonsterCloudClientFactory.Create(options).Solve(request, times);
    if (!result.solution) throw new Error(result.error);
    return result.solution.gRecaptchaResponse;
  },
  "`<img>`": ([url, site]) =>
    new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve("a picture");
      image.onerror = () => reject(new Error("no picture"));
      image.src = `${url}/in.php?key=K&method=userrecaptcha&googlekey=s&pageurl=https://${site}/`;
    }),
  "form in a frame": ([url, site]) =>
    new Promise((resolve, reject) => {
      const frame = document.createElement("iframe");
      frame.name = site;
      document.body.append(frame);
      frame.onload = () => {
        try {
          const text = frame.contentWindow.document.body.innerText;
          if (text) resolve(text);
        } catch (error) {
          reject(error);
        }
      };
      const fields = { key: "K", method: "userrecaptcha", googlekey: "s", pageurl: `https://${site}/` };
      post(`${url}/in.php`, fields, site);
    }),
};

/** Runs in the browser, and leaves the page. */
export function leaveByForm([url, site]) {
  post(`${url}/in.php`, { key: "K", method: "userrecaptcha", googlekey: "s", pageurl: `https://${site}/` }, "_self");
}

/** What the pages of the tests have as a script: a form that is filled in and submitted. */
export function post(action, fields, target) {
  const form = Object.assign(document.createElement("form"), { method: "POST", action, target });
  for (const [name, value] of Object.entries(fields)) {
    form.append(Object.assign(document.createElement("input"), { name, value }));
  }
  document.body.append(form);
  form.submit();
}
