// Who is logged in, and, for those who may see it, the state of namespaces and keys.

import { table } from "./view.js";

async function ask(path) {
  const answer = await fetch(path, { credentials: "same-origin" });
  const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  return { status: answer.status, body: isJson ? await answer.json() : null };
}

function showPerson(part, { status, body }, settings) {
  part("login").hidden = !(status === 401 && settings.login);
  part("token-field").hidden = status !== 401;
  if (status !== 200 || body === null) return;
  part("person").textContent = body.subject ?? "";
  part("logout").hidden = body.method !== "session";
  const namespaces = Object.keys(body.roles ?? {});
  for (const name of namespaces) {
    const option = document.createElement("option");
    option.value = name;
    part("namespaces").append(option);
  }
  if (namespaces.length > 0 && !namespaces.includes(part("namespace").value)) part("namespace").value = namespaces[0];
}

/** Asks who is logged in, and what the state of the server is. */
export async function showState(part) {
  try {
    const settings = await ask("page/settings");
    showPerson(part, await ask("whoami"), settings.body ?? {});
    const state = await ask("status");
    if (state.status !== 200 || state.body === null) return;
    part("state-tables").replaceChildren(...state.body.tables.map(({ title, columns, rows }) => table(title, columns, rows)));
    part("state").hidden = false;
  } catch {
    // The page works without it: decoding says itself what is wrong.
  }
}
