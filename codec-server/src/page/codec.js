// Asks /decode, and says of each payload what became of it. It uses the same endpoint as the Web UI.

import { toText } from "./base64.js";
import { versionIn } from "./version.js";

const MOST_PAYLOADS = 100;
const MOST_CHARACTERS = 1 << 20;
const MOST_TRIES = 5;
const LONGEST_PAUSE_SECONDS = 10;
const ENCRYPTED = /^binary\/(encrypted|[a-z0-9-]+-kms|zlib|gzip|snappy)$/;

/** The server refused the whole request: who asks, or where, must change. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** What a payload says of itself. It is not authenticated before the payload is decoded. */
export function about(payload) {
  const text = (name) => (typeof payload.metadata[name] === "string" ? toText(payload.metadata[name]) : null);
  const encoding = text("encoding") ?? "";
  const keys = Object.keys(payload.metadata)
    .map((name) => /^kms-key(\.[1-9])?$/.exec(name))
    .filter((found) => found && text(found[0]))
    .map(([name, place = ""]) => ({
      name: text(name),
      version: versionIn(text(name), encoding, payload.metadata[`encrypted-dek${place}`] ?? payload.data),
    }));
  const foreign = text("encryption-key-id");
  if (foreign) keys.push({ name: foreign, version: versionIn(foreign, encoding, payload.data) ?? text("encryption-key-version") });
  const version = text("envelope-version");
  return {
    encoding,
    format: version ? `${encoding} version ${version}` : encoding,
    keys,
    context: text("encryption-context"),
    isEncrypted: ENCRYPTED.test(encoding),
  };
}

function places(header) {
  const found = new Set();
  for (const entry of (header ?? "").split(",").filter((part) => part)) {
    const [first, last = first] = entry.split("-").map(Number);
    for (let place = first; place <= last && place < MOST_PAYLOADS; place += 1) found.add(place);
  }
  return found;
}

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

async function post(payloads, { namespace, token, signal }) {
  const headers = { "Content-Type": "application/json", "X-Namespace": namespace };
  if (token) headers.Authorization = `Bearer ${token}`;
  const body = JSON.stringify({ payloads });
  for (let tries = 1; ; tries += 1) {
    const answer = await fetch("decode?preserveStorageRefs=true", { method: "POST", headers, body, signal, credentials: "same-origin" });
    const again = (answer.status === 429 || answer.status === 503) && tries < MOST_TRIES;
    if (!again) return answer;
    const pause = Number(answer.headers.get("retry-after")) || 1;
    await sleep(Math.min(pause, LONGEST_PAUSE_SECONDS), signal);
  }
}

/** The results of one batch. A payload that cannot be decoded fails its batch, so the batch is halved until it is alone. */
async function decodeBatch(entries, options) {
  const answer = await post(entries.map((entry) => entry.payload), options);
  if (answer.ok) {
    const { payloads } = await answer.json();
    if (!Array.isArray(payloads) || payloads.length !== entries.length) throw new Refused(answer.status, "the server answered another number of payloads than it was asked for; report this");
    const failed = places(answer.headers.get("codec-server-placeholders"));
    const references = places(answer.headers.get("codec-server-references"));
    entries.forEach((entry, index) => {
      const payload = payloads[index];
      if (failed.has(index)) entry.result = { state: "failed", reason: placeholderText(payload) };
      else if (references.has(index)) entry.result = { state: "reference", payload };
      else entry.result = { state: about(entry.payload).isEncrypted ? "decoded" : "plaintext", payload };
    });
    return;
  }
  const text = (await answer.text()).trim() || `the server answered ${answer.status}`;
  if (answer.status !== 400 && answer.status !== 413 && answer.status !== 503) throw new Refused(answer.status, text);
  if (entries.length === 1) {
    entries[0].result = { state: "failed", reason: text };
    return;
  }
  const middle = entries.length >> 1;
  await decodeBatch(entries.slice(0, middle), options);
  await decodeBatch(entries.slice(middle), options);
}

function placeholderText(payload) {
  try {
    return JSON.parse(toText(payload.data))["codec-server error"];
  } catch {
    return "the server could not decode it";
  }
}

function* batches(entries) {
  let batch = [];
  let characters = 0;
  for (const entry of entries) {
    const size = (entry.payload.data ?? "").length + JSON.stringify(entry.payload.metadata).length;
    if (batch.length > 0 && (batch.length === MOST_PAYLOADS || characters + size > MOST_CHARACTERS)) {
      yield batch;
      [batch, characters] = [[], 0];
    }
    batch.push(entry);
    characters += size;
  }
  if (batch.length > 0) yield batch;
}

/**
 * Gives each of `entries` a `result`: its state, and its decoded payload or the reason. `done` hears how many have one.
 * Throws `Refused` when the server refuses the caller.
 */
export async function decodeAll(entries, options, done) {
  let count = 0;
  for (const batch of batches(entries)) {
    await decodeBatch(batch, options);
    count += batch.length;
    done(count);
  }
}
