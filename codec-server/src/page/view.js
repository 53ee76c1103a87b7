// The list of events with their payloads. Events are drawn when they are opened, so that long histories stay quick.

import { about } from "./codec.js";
import { element as valueElement, textOf } from "./value.js";

const PAGE = 200;
const STATES = {
  decoded: "decoded",
  plaintext: "plaintext",
  reference: "stored elsewhere",
  failed: "not decoded",
  waiting: "not asked",
};

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

const stateOf = (entry) => entry.result?.state ?? "waiting";

function fact(name, value) {
  return make("div", {}, make("dt", { textContent: `${name}:` }), make("dd", { textContent: value }));
}

function payloadElement(entry) {
  const { format, keys, context } = about(entry.payload);
  const state = stateOf(entry);
  const facts = make("dl", {}, fact("format", format));
  for (const { name, version } of keys) facts.append(fact("key", name), fact("key version", version ?? "not in the ciphertext"));
  if (context) facts.append(fact("context", context));
  const heading = make("h3", { textContent: entry.place }, make("span", { className: `badge ${state}`, textContent: STATES[state] }));
  const item = make("div", { className: "payload" }, heading, facts);
  const shown = entry.result?.payload ?? entry.payload;
  if (state === "failed") item.append(make("pre", { className: "failed", textContent: entry.result.reason }));
  else if (state !== "waiting") item.append(valueElement(textOf(shown)));
  return item;
}

function searchText(event) {
  if (event.searchText === undefined) {
    const values = event.payloads.map((entry) => {
      const { format, keys } = about(entry.payload);
      const value = entry.result?.payload ? textOf(entry.result.payload) : (entry.result?.reason ?? "");
      return [entry.place, format, ...keys.flatMap(({ name, version }) => [name, version ?? ""]), STATES[stateOf(entry)], value].join("\n");
    });
    event.searchText = [event.number, event.title, ...values].join("\n").toLowerCase();
  }
  return event.searchText;
}

function eventElement(event, isOpen) {
  const count = event.payloads.length;
  const failed = event.payloads.filter((entry) => stateOf(entry) === "failed").length;
  const summary = make("summary", {}, make("span", { className: "number", textContent: event.number }), ` ${event.title} `);
  if (count > 0) summary.append(make("span", { className: `badge ${failed > 0 ? "failed" : "decoded"}`, textContent: failed > 0 ? `${failed} of ${count} not decoded` : `${count} payload${count === 1 ? "" : "s"}` }));
  if (event.time) summary.append(make("time", { dateTime: event.time, textContent: event.time }));
  const details = make("details", {}, summary);
  const draw = () => {
    if (details.open && details.childElementCount === 1) {
      details.append(...event.payloads.map(payloadElement));
      if (count === 0) details.append(make("p", { className: "payload", textContent: "no payloads" }));
    }
  };
  details.addEventListener("toggle", draw);
  details.open = isOpen && count > 0;
  return make("li", {}, details);
}

/** Draws the events that fit the search, a page at a time. */
export class EventList {
  constructor(list, more) {
    this.list = list;
    this.more = more;
    more.addEventListener("click", () => this.drawNext());
  }

  show(events, { search = "", onlyProblems = false } = {}) {
    const wanted = search.trim().toLowerCase();
    this.left = events.filter((event) => {
      const isProblem = event.payloads.some((entry) => stateOf(entry) === "failed");
      return (!onlyProblems || isProblem) && (wanted === "" || searchText(event).includes(wanted));
    });
    this.found = this.left.length;
    this.list.replaceChildren();
    this.isOpen = wanted !== "" || onlyProblems || events.length <= 3;
    this.drawNext();
    return this.found;
  }

  drawNext() {
    const next = this.left.splice(0, PAGE);
    this.list.append(...next.map((event) => eventElement(event, this.isOpen)));
    this.more.hidden = this.left.length === 0;
    this.more.textContent = `Show more (${this.left.length} left)`;
  }

  openAll() {
    for (const details of this.list.querySelectorAll("details")) details.open = true;
  }
}

/** How many payloads are in each state, in words. */
export function counts(entries) {
  const number = (state) => entries.filter((entry) => stateOf(entry) === state).length;
  const parts = Object.keys(STATES).filter((state) => number(state) > 0).map((state) => `${number(state)} ${STATES[state]}`);
  return `${entries.length} payload${entries.length === 1 ? "" : "s"}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`;
}

/** A table for the state of the server. */
export function table(caption, columns, rows) {
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col", textContent: name })));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", { textContent: cell ?? "" }))));
  return make("table", {}, make("caption", { textContent: caption }), make("thead", {}, head), make("tbody", {}, ...body));
}
