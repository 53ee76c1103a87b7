// The page: takes a history or a payload, has it decoded, and shows it.

import { Refused, decodeAll } from "./codec.js";
import { read } from "./history.js";
import { EventList, counts } from "./view.js";
import { showState } from "./state.js";

const part = (id) => document.getElementById(id);
const events = new EventList(part("events"), part("more"));
/** What is shown now. */
let shown = null;
let stopping = null;

function say(text, isBad = false) {
  part("message").textContent = text;
  part("message").classList.toggle("bad", isBad);
}

function draw() {
  if (shown === null) return;
  const found = events.show(shown.events, { search: part("search").value, onlyProblems: part("problems").checked });
  const entries = shown.events.flatMap((event) => event.payloads);
  part("counts").textContent = found === shown.events.length ? counts(entries) : `${counts(entries)}; ${found} of ${shown.events.length} events shown`;
  part("result").hidden = false;
}

async function decode(text) {
  stopping?.abort(new Error("replaced"));
  const stop = new AbortController();
  stopping = stop;
  let history;
  try {
    history = read(text);
  } catch (error) {
    say(`This is not JSON: ${error.message}. Give the whole file, as "temporal workflow show -o json" writes it.`, true);
    return;
  }
  shown = history;
  const entries = history.events.flatMap((event) => event.payloads);
  if (entries.length === 0) {
    draw();
    say("No payload was found in it. A payload has \"metadata\" with an \"encoding\" in base64.", true);
    return;
  }
  const options = { namespace: part("namespace").value, token: part("token").value, signal: stop.signal };
  const progress = part("progress");
  Object.assign(progress, { max: entries.length, value: 0, hidden: false });
  part("stop").hidden = false;
  say(`Decoding ${entries.length} payloads …`);
  try {
    await decodeAll(entries, options, (count) => { progress.value = count; });
    say("Done.");
    part("result").hidden = false;
    part("result").focus();
  } catch (error) {
    if (stop.signal.aborted && stopping !== stop) return;
    if (stop.signal.aborted) say("Stopped. What was decoded until then is shown.", true);
    else if (error instanceof Refused) {
      if (error.status === 401) part("token-field").hidden = false;
      say(error.message, true);
    } else say(`The codec server cannot be reached: ${error.message}. Try again.`, true);
  } finally {
    if (stopping === stop) {
      progress.hidden = true;
      part("stop").hidden = true;
      draw();
    }
  }
}

/** The file with decoded payloads in the places of encrypted ones. Payloads that were not decoded stay as they are. */
function download() {
  for (const entry of shown.events.flatMap((event) => event.payloads)) {
    if (entry.result?.payload) entry.replace(entry.result.payload);
  }
  const file = new Blob([JSON.stringify(shown.decoded(), null, 2)], { type: "application/json" });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: "decoded.json" });
  link.click();
  URL.revokeObjectURL(link.href);
}

async function readFile(file) {
  if (!file) return;
  const text = await file.text();
  part("text").value = "";
  part("text").placeholder = file.name;
  await decode(text);
}

part("question").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = part("text").value;
  if (text.trim() !== "") await decode(text);
  else if (part("file").files.length > 0) await readFile(part("file").files[0]);
  else say("Choose a file, or paste a history or a payload.", true);
});
part("file").addEventListener("change", () => readFile(part("file").files[0]));
part("stop").addEventListener("click", () => stopping?.abort(new Error("stopped")));
part("search").addEventListener("input", draw);
part("problems").addEventListener("change", draw);
part("open-all").addEventListener("click", () => events.openAll());
part("download").addEventListener("click", download);

const drop = part("drop");
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  readFile(event.dataTransfer.files[0]);
});

showState(part);
