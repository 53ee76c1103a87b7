// Finds events and payloads in what a person gave: a history, a payload, or any JSON that holds payloads.

import { toText } from "./base64.js";

const PARTS = new Set(["metadata", "data", "externalPayloads", "external_payloads"]);

/** Whether a value has the shape of a payload: metadata with an encoding, in base64. */
function isPayload(value) {
  const { metadata } = value;
  if (typeof metadata !== "object" || metadata === null || typeof metadata.encoding !== "string") return false;
  if (typeof (value.data ?? "") !== "string" || !Object.keys(value).every((key) => PARTS.has(key))) return false;
  const encoding = toText(metadata.encoding);
  // In the Web UI's "Human Readable" download, the encoding is not base64, and the value is readable already.
  return encoding !== null && /^[\x21-\x7e]+$/.test(encoding) && encoding.includes("/");
}

/**
 * Every payload below `root`, in the order of the text, with its place and the object that holds it.
 * It keeps its own stack, so that deep nesting is harmless.
 */
function payloadsIn(root, place) {
  const found = [];
  const next = [{ holder: { root }, key: "root", place }];
  while (next.length > 0) {
    const { holder, key, place: here } = next.pop();
    const value = holder[key];
    if (typeof value !== "object" || value === null) continue;
    if (!Array.isArray(value) && isPayload(value)) {
      found.push({ payload: value, place: here || "payload", replace: (other) => { holder[key] = other; } });
      continue;
    }
    const inner = Object.keys(value).map((name) => ({
      holder: value,
      key: name,
      place: Array.isArray(value) ? `${here}[${name}]` : here ? `${here}.${name}` : name,
    }));
    next.push(...inner.reverse());
  }
  return found;
}

function listOfEvents(document) {
  for (const list of [document?.events, document?.history?.events, document]) {
    if (Array.isArray(list) && list.some((event) => event?.eventId !== undefined || event?.eventType !== undefined)) return list;
  }
  return null;
}

/** `EVENT_TYPE_WORKFLOW_EXECUTION_STARTED` and `WorkflowExecutionStarted` as words. */
function words(type) {
  return String(type ?? "event")
    .replace(/^EVENT_TYPE_/, "")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/_/g, " ")
    .toLowerCase();
}

/**
 * Reads the text of a history or payload. Returns the document, and its events, each with its payloads. What is
 * outside of events is one more entry. Throws when the text is not JSON.
 */
export function read(text) {
  const document = JSON.parse(text);
  const list = listOfEvents(document);
  const events = (list ?? []).map((event, index) => ({
    number: String(event?.eventId ?? index + 1),
    title: words(event?.eventType),
    time: typeof event?.eventTime === "string" ? event.eventTime : "",
    payloads: payloadsIn(event, ""),
  }));
  if (list === null) {
    // The root can be a payload itself, which then is replaced in its holder.
    const holder = { document };
    const payloads = payloadsIn(holder, "").map((entry) => ({ ...entry, place: entry.place.replace(/^document\.?/, "") || "payload" }));
    return { events: [{ number: "", title: "payloads", time: "", payloads }], decoded: () => holder.document };
  }
  return { events, decoded: () => document };
}
