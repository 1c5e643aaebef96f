// The page in Debian's Firefox, over WebDriver BiDi: every view in both themes, on a desk and a phone; a call by keyboard alone, with a
// microphone; watched, listened to, and heard again. Usage: node firefox.mjs OFFHOOK FOLDER FOR SCREENSHOTS
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { createRequire } from "node:module";
import { join } from "node:path";

const [, , offhook = "offhook", shots = tmpdir()] = process.argv;
// Tools are installed apart from their tests.
const puppeteer = createRequire(join(process.env.TOOLS ?? process.cwd(), "node_modules/"))("puppeteer-core").default;
const axe = readFileSync(process.env.AXE ?? "", "utf8");

/** Starts a server; gives its page's address, and what ends it. */
async function serve(agent) {
  const folder = mkdtempSync(join(tmpdir(), "console-firefox-"));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TWILIO_|OFFHOOK_|PORT$)/.test(name)));
  const child = spawn(offhook, ["serve", "--listen", "127.0.0.1:0", "--record", folder, "--agent", agent], { env, cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  const url = await new Promise((found, gone) => {
    child.stdout.on("data", (piece) => {
      text += piece;
      const line = /console +(http\S+)/.exec(text);
      if (line) found(line[1]);
    });
    child.on("exit", () => gone(new Error(`the server ended: ${text}`)));
  });
  return { url, stop: () => (child.kill("SIGKILL"), rmSync(folder, { recursive: true, force: true })) };
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function eventually(what, _page, condition, seconds = 20) {
  for (const until = Date.now() + seconds * 1000; Date.now() < until; await sleep(150)) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`it never came: ${what}`);
}

async function open(browser, url, [width, height] = [1360, 860]) {
  const page = await browser.newPage();
  await page.setViewport({ width, height });
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && page.faults.push(message.text()));
  await page.goto(url);
  await page.waitForSelector("#views a");
  await page.waitForSelector("h1");
  return page;
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(({ id, help, nodes }) => [id, help, nodes.map(({ target }) => target.join(" "))])));
  assert.deepEqual(found, [], what);
}

const transcript = (page) => page.$$eval(".line", (lines) => lines.map((line) => [line.classList.contains("caller") ? "caller" : "agent", line.querySelector(".words").textContent]));
const says = (page, words) => eventually(words, page, async () => (await transcript(page)).some(([who, said]) => who === "agent" && said.includes(words)));

/** Goes there by Tab, or back, as somebody does who has no mouse; not through the browser's own buttons, which take the keys here. */
async function tabTo(page, name, back = false) {
  for (let steps = 0; steps < 60; steps += 1) {
    if (back) await page.keyboard.down("Shift");
    await page.keyboard.press("Tab");
    if (back) await page.keyboard.up("Shift");
    const at = await page.evaluate(() => {
      const { activeElement: element } = document;
      if (element === document.body || !document.hasFocus()) return ["", ""];
      const outline = getComputedStyle(element).outlineStyle;
      return [element.getAttribute("aria-label") || element.labels?.[0]?.textContent || element.textContent.trim(), outline];
    });
    if (at[0].includes(name)) {
      assert.notEqual(at[1], "none", `${name} has no visible focus`);
      return;
    }
  }
  throw new Error(`no Tab leads to ${name}`);
}

async function looks(browser, { url }) {
  for (const [device, size] of [["desk", [1360, 860]], ["phone", [390, 844]]]) {
    const page = await open(browser, url, size);
    for (const theme of ["light", "dark"]) {
      // By the page's own switch, whatever the system has.
      const dark = await page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches);
      await page.evaluate((theme) => document.documentElement.setAttribute("data-theme", theme), theme);
      for (const view of ["talk", "live", "history", "agents"]) {
        await page.evaluate((view) => { location.hash = `#/${view}`; }, view);
        await sleep(600);
        await page.screenshot({ path: join(shots, `firefox-${view}-${theme}-${device}.png`) });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.querySelector("main").scrollWidth > document.querySelector("main").clientWidth + 1);
        assert(!wide, `${view} scrolls sideways on a ${device}`);
        await accessible(page, `${view}, ${theme}, ${device}, dark system: ${dark}`);
      }
    }
    assert.deepEqual(page.faults, []);
    await page.close();
  }
}

async function byKeyboard(browser, { url }) {
  const page = await open(browser, url);
  await tabTo(page, "Call, with the microphone");
  await page.keyboard.press("Enter");
  await says(page, "Tony's Pizza");
  // Firefox's own false microphone hums: so does the caller, who is seen to.
  await eventually("the microphone's sound", page, () => page.$eval(".meter.caller .fill", (bar) => Number(/[\d.]+/.exec(bar.style.transform)?.[0]) > 0.1));
  await tabTo(page, "Mute", true);
  await page.keyboard.press(" ");
  await sleep(4500);
  await tabTo(page, "Type what the caller says");
  await page.keyboard.type("what are your opening hours");
  await page.keyboard.press("Enter");
  await says(page, "eleven in the morning");
  await tabTo(page, "Keypad", true);
  await page.keyboard.press("Enter");
  await page.keyboard.press("5");
  await eventually("the key", page, () => page.$$eval(".note", (notes) => notes.some((note) => note.textContent.includes("keyed"))));
  await accessible(page, "a call");
  await page.screenshot({ path: join(shots, "firefox-call.png") });

  const other = await open(browser, url.replace("#key", "?2#key"));
  await other.evaluate(() => { location.hash = "#/live"; });
  await other.waitForSelector(".rows a");
  await tabTo(other, "with pizza");
  await other.keyboard.press("Enter");
  // The key has cut the answer short.
  await eventually("what was said before", other, async () => (await transcript(other)).some(([, said]) => said.includes("opening hours")));
  await tabTo(other, "Listen in");
  await other.keyboard.press("Enter");
  await eventually("the call's sound", other, () => other.$eval(".watch .wave", (wave) => wave.clientHeight > 0));
  await tabTo(other, "Have the agent say");
  await other.keyboard.type("This call is listened to.");
  await other.keyboard.press("Enter");
  await says(page, "listened to");
  await accessible(other, "one call");
  await page.bringToFront();
  await tabTo(page, "Hang up");
  await page.keyboard.press("Enter");
  await eventually("the end", page, () => page.$$eval("button", (buttons) => buttons.some((button) => button.textContent.includes("Call again"))));

  await tabTo(page, "History", true);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".calls tbody tr:not(.room)");
  await tabTo(page, ":");
  await page.keyboard.press("Enter");
  await eventually("what was said", page, async () => (await transcript(page)).length > 2);
  await eventually("its sound", page, () => page.$eval("button[aria-label=Play]", (button) => !button.disabled));
  await tabTo(page, "Play");
  await page.keyboard.press("Enter");
  await eventually("the sound runs", page, () => page.$eval(".controls .clock", (clock) => /0:0[1-9] \//.test(clock.textContent)));
  await accessible(page, "a kept call");
  await page.screenshot({ path: join(shots, "firefox-kept.png") });
  assert.deepEqual([...page.faults, ...other.faults], []);
}

mkdirSync(shots, { recursive: true });
// Firefox has no clock of sound without a loudspeaker: PulseAudio has one that nobody hears.
const pulse = mkdtempSync(join(tmpdir(), "console-pulse-"));
const loudspeaker = spawn("pulseaudio", ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", "module-null-sink", "-L", `module-native-protocol-unix auth-anonymous=1 socket=${pulse}/socket`], { stdio: "ignore", env: { ...process.env, HOME: pulse, XDG_RUNTIME_DIR: pulse } });
const server = await serve("pizza");
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
  headless: true,
  env: { ...process.env, PULSE_SERVER: `unix:${pulse}/socket` },
  extraPrefsFirefox: { "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true, "media.autoplay.default": 0, "accessibility.tabfocus": 7 },
});
try {
  for (const test of [looks, byKeyboard]) {
    const began = Date.now();
    await test(browser, server);
    console.log(`ok firefox: ${test.name} (${Math.round((Date.now() - began) / 1000)} s, ${await browser.version()})`);
  }
} catch (error) {
  // What was to be seen is left as pictures.
  for (const [number, page] of (await browser.pages()).entries()) await page.screenshot({ path: join(shots, `firefox-failed-${number}.png`) }).catch(() => undefined);
  throw error;
} finally {
  await browser.close();
  server.stop();
  loudspeaker.kill();
  rmSync(pulse, { recursive: true, force: true });
}
