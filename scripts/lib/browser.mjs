// Looks at the test server's page with Chromium, over the DevTools protocol, and says what is not right. For scripts/page-check:
//
//   node browser.mjs URL PICTURES none|THUMBPRINT|no-backend
//
// PICTURES is where pictures go: PICTURES-desktop-light.png and so on. THUMBPRINT is that of the certificate which the browser has.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [url, pictures, certificate] = process.argv.slice(2);
const views = [
  ["desktop-light", 1120, 800, "light"], ["desktop-dark", 1120, 800, "dark"],
  ["phone-light", 360, 740, "light"], ["phone-dark", 360, 740, "dark"],
];
const bare = ["none", "no-backend"].includes(certificate);
const faults = [];
const expect = (what, holds) => { if (!holds) faults.push(what); };

// Chromium, told what to do by messages that end with a zero octet, through its file descriptors 3 and 4.
class Browser {
  #process; #profile; #next = 1; #waiting = new Map(); #rest = "";
  events = [];

  constructor() {
    this.#profile = mkdtempSync(join(tmpdir(), "page-check-"));
    // As root there is no sandbox for Chromium to build; the only page is our own.
    this.#process = spawn("chromium", ["--headless", "--no-sandbox", "--remote-debugging-pipe", "--ignore-certificate-errors",
      "--disable-gpu", "--hide-scrollbars", "--no-first-run", `--user-data-dir=${this.#profile}`, "about:blank"],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.#process.stdio[4].setEncoding("utf8").on("data", (text) => this.#read(text));
    this.#process.on("exit", () => { for (const { reject } of this.#waiting.values()) reject(new Error("chromium has ended")); });
  }

  #read(text) {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop();
    for (const message of messages.map((text) => JSON.parse(text))) {
      if (!message.id) { this.events.push(message); continue; }
      const { resolve, reject } = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message)); else resolve(message.result);
    }
  }

  call(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.#process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  async end() {
    const ended = new Promise((resolve) => this.#process.on("exit", resolve));
    await this.call("Browser.close").catch(() => {});
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

// A tab with the page, in one of the views, when all its questions have been answered.
async function open(browser, [, width, height, scheme]) {
  const { targetId } = await browser.call("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await browser.call("Target.attachToTarget", { targetId, flatten: true });
  const call = (method, params) => browser.call(method, params, sessionId);
  await Promise.all(["Page.enable", "Runtime.enable", "Log.enable"].map((method) => call(method)));
  await call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  await call("Page.navigate", { url: `${url}/` });
  const see = async (expression) => (await call("Runtime.evaluate", { expression, returnByValue: true })).result.value;
  const settled = "document.readyState == 'complete' && document.querySelector('#again')?.hidden == false && !document.querySelector('#received-tag').hidden && !(document.querySelector('#theft')?.childElementCount < 5)";
  for (let waited = 0; !await see(settled); waited += 100) {
    if (waited > 20000) throw new Error(`the page does not settle: ${await see("document.body.innerText")}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { call, see };
}

// In the page: the text with the least contrast to what is behind it (WCAG 2.1, 1.4.3 asks for 4.5).
function palest() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => channels(color).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [.2126, .7152, .0722][at], 0);
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return channels(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  const texts = [...document.body.querySelectorAll("*")].filter((element) => !["SCRIPT", "STYLE"].includes(element.tagName)
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const measured = texts.map((element) => {
    const [one, other] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => b - a);
    return { ratio: (one + .05) / (other + .05), text: element.textContent.trim().slice(0, 60) };
  });
  return measured.reduce((least, each) => each.ratio < least.ratio ? each : least);
}

async function judge({ see }, name) {
  const text = await see("document.body.innerText");
  const says = (what) => expect(`${name}: the page does not say ${JSON.stringify(what)}`, text.includes(what));
  says("not-negotiated");
  says("HTTP/2.0");
  says("TLSv1.3");
  says("400 Bad Request");
  says("Token_Binding_Status=verified");
  if (certificate === "no-backend") says("this server says 503");
  else for (const what of ["Sec-Provided-Token-Binding-ID\nnot sent", "other header fields"]) says(what);
  says(bare ? "This connection is bound to nothing" : "This connection is bound to your certificate");
  if (certificate === "none") says("Client-Cert\nnot sent");
  if (!bare) for (const what of [certificate, "Client-Cert\n:MII", "200 OK, REMOTE_USER=alice", "401 Unauthorized"]) says(what);
  const wide = await see("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  expect(`${name}: ${wide} pixels wider than the window`, wide <= 0);
  const foreign = await see("performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith(location.origin)).map((entry) => entry.name).join()");
  expect(`${name}: loads from elsewhere: ${foreign}`, foreign === "");
  const styled = await see("getComputedStyle(document.querySelector('section')).borderRadius");
  expect(`${name}: its style is not applied`, styled !== "0px");
  const pale = await see(`(${palest})()`);
  expect(`${name}: contrast of ${pale.ratio.toFixed(2)}: ${pale.text}`, pale.ratio >= 4.5);
  return text;
}

const browser = new Browser();
try {
  for (const view of views) {
    const page = await open(browser, view);
    const text = await judge(page, view[0]);
    if (view === views[0]) writeFileSync(`${pictures}.txt`, text);
    const { cssContentSize: { width, height } } = await page.call("Page.getLayoutMetrics");
    const clip = { x: 0, y: 0, width, height, scale: 1 };
    const { data } = await page.call("Page.captureScreenshot", { format: "png", captureBeyondViewport: true, clip });
    writeFileSync(`${pictures}-${view[0]}.png`, Buffer.from(data, "base64"));
    if (view === views[0]) {
      const end = await page.see("document.querySelector('#replay').closest('section').getBoundingClientRect().bottom + scrollY");
      const top = await page.call("Page.captureScreenshot", { format: "png", captureBeyondViewport: true, clip: { ...clip, height: end + 14 } });
      writeFileSync(`${pictures}-top.png`, Buffer.from(top.data, "base64"));
    }
  }
  for (const { method, params } of browser.events) {
    // That the backend does not answer is said in the console as well.
    if (method === "Log.entryAdded" && params.entry.source !== "network") expect(`the browser says: ${params.entry.text} ${params.entry.url ?? ""}`, params.entry.level === "info");
    if (method === "Runtime.exceptionThrown") expect(`the script fails: ${params.exceptionDetails.exception?.description}`, false);
  }
} finally {
  await browser.end();
}
for (const fault of faults) console.error(`page-check: ${fault}`);
process.exit(faults.length === 0 ? 0 : 1);
