// Shows a decoded value: JSON in colours, other text as it is, other bytes in hexadecimal.

import { toBytes, toText } from "./base64.js";
import { about } from "./codec.js";

const MOST_SHOWN = 200_000;
const MOST_BYTES = 512;
const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

/** A payload's value as text. */
export function textOf(payload) {
  const data = payload.data ?? "";
  const text = toText(data);
  const { encoding } = about(payload);
  if (text === null || encoding === "binary/plain") {
    const bytes = toBytes(data) ?? new Uint8Array();
    const shown = Array.from(bytes.slice(0, MOST_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return `${bytes.length} bytes: ${shown}${bytes.length > MOST_BYTES ? " …" : ""}`;
  }
  if (encoding === "binary/null" || text === "") return "(nothing)";
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function span(kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  return element;
}

/** A `pre` with the value. Only text nodes are made of it, so that no value can become markup. */
export function element(text) {
  const shown = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}\n… (${text.length - MOST_SHOWN} characters more in the decoded file)` : text;
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  let end = 0;
  for (const match of shown.matchAll(TOKENS)) {
    pre.append(shown.slice(end, match.index));
    const [token, string, colon, number] = match;
    if (string !== undefined) pre.append(span(colon === undefined ? "string" : "key", string), colon ?? "");
    else pre.append(span(number === undefined ? "word" : "number-value", token));
    end = match.index + token.length;
  }
  pre.append(shown.slice(end));
  return pre;
}
