// Opens a page in a real browser and waits for a text on it. Then it may click on buttons, by their names, and wait for
// another text. It prints what the page shows and whom it asked.
// JSON on stdin: { chromium, url, text, clicks, then, seconds }.
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

async function main() {
  const { chromium: program, url, text, clicks, then, seconds } = JSON.parse(readFileSync(0, "utf8"));
  const browser = await chromium.launch({ executablePath: program, headless: true, args: FLAGS });
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 1200 } });
    const answers = [];
    page.on("response", (answer) => {
      answers.push({ method: answer.request().method(), url: answer.url(), status: answer.status() });
    });
    await page.goto(url);
    const limit = { timeout: seconds * 1000 };
    const appears = (text) =>
      page.getByText(text).first().waitFor(limit).then(() => true, () => false);
    let found = await appears(text);
    if (found && clicks.length > 0) {
      for (const name of clicks) {
        await page.getByRole("button", { name, exact: true }).first().click(limit);
      }
      found = await appears(then);
    }
    const shown = await page.locator("body").innerText();
    process.stdout.write(JSON.stringify({ found, shown, answers }));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
