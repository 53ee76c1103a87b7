// Opens a page in a real browser and takes steps on it, one after another. It prints what the page shows at the end and
// whom it asked.
// JSON on stdin: { chromium, url, seconds, steps }. A step is one of
//   { open: URL }  { wait: TEXT }  { click: BUTTON }  { follow: LINK }  { fill: LABEL, with: TEXT }  { code: TEXT }
//   { upload: LABEL, file: PATH }
//   { download: BUTTON, file: PATH }  { press: KEY }  { dark: BOOLEAN }
//   { resize: [WIDTH, HEIGHT] }  { scroll: TEXT }  { screenshot: PATH }
// The first text that does not appear ends the steps: `found` is false then.
"use strict";

const { readFileSync } = require("node:fs");
const { chromium } = require("playwright-core");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

async function take(page, step, limit) {
  if (step.wait !== undefined) {
    // A page may hold the same text in a part that it does not show.
    return page.getByText(step.wait).filter({ visible: true }).first().waitFor(limit).then(() => true, () => false);
  }
  if (step.open !== undefined) {
    await page.goto(step.open, limit);
    return true;
  }
  if (step.click !== undefined) {
    await page.getByRole("button", { name: step.click, exact: true }).first().click(limit);
  } else if (step.follow !== undefined) {
    await page.getByRole("link", { name: step.follow, exact: true }).first().click(limit);
  } else if (step.fill !== undefined) {
    await page.getByLabel(step.fill).first().fill(step.with, limit);
  } else if (step.code !== undefined) {
    const editor = page.locator(".cm-content").filter({ visible: true }).first();
    await editor.fill(step.code, limit);
    // As a person does who goes on to the next field. The Web UI moves its buttons then.
    await editor.blur();
  } else if (step.upload !== undefined) {
    await page.getByLabel(step.upload).first().setInputFiles(step.file, limit);
  } else if (step.download !== undefined) {
    const download = page.waitForEvent("download", limit);
    await page.getByRole("button", { name: step.download, exact: true }).first().click(limit);
    await (await download).saveAs(step.file);
  } else if (step.press !== undefined) {
    await page.keyboard.press(step.press);
  } else if (step.dark !== undefined) {
    await page.emulateMedia({ colorScheme: step.dark ? "dark" : "light" });
  } else if (step.resize !== undefined) {
    const [width, height] = step.resize;
    await page.setViewportSize({ width, height });
  } else if (step.scroll !== undefined) {
    const text = page.getByText(step.scroll).filter({ visible: true }).first();
    await text.evaluate((element) => element.scrollIntoView({ block: "start" }), undefined, limit);
  } else if (step.screenshot !== undefined) {
    await page.screenshot({ path: step.screenshot });
  } else {
    throw new Error(`unknown step ${JSON.stringify(step)}`);
  }
  return true;
}

// The headers of a request that prove who asks.
async function proofs(request) {
  const headers = await request.allHeaders().catch(() => request.headers());
  return ["authorization", "authorization-extras", "cookie"].filter((name) => name in headers);
}

async function main() {
  const { chromium: program, url, seconds, steps } = JSON.parse(readFileSync(0, "utf8"));
  const browser = await chromium.launch({ executablePath: program, headless: true, args: FLAGS });
  try {
    const context = await browser.newContext({ viewport: { width: 1400, height: 1200 }, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    const answers = [];
    page.on("response", (answer) => {
      const request = answer.request();
      answers.push({ method: request.method(), url: answer.url(), status: answer.status(), request });
    });
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (line) => {
      if (line.type() === "error") complaints.push(line.text());
    });
    await page.goto(url);
    let found = true;
    for (const step of steps) {
      found = await take(page, step, { timeout: seconds * 1000 });
      if (!found) break;
    }
    // The Web UI begins each page with a link for the keyboard, "Skip to Main Content", which is above the window until
    // it has the focus. A page that shows only this text was still loading.
    const shown = await page.locator("body").innerText();
    for (const answer of answers) {
      answer.proofs = await proofs(answer.request);
      delete answer.request;
    }
    process.stdout.write(JSON.stringify({ found, shown, answers, complaints }));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
