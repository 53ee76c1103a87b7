// Runs a task and prints its events as they come.
//   SERVICE_URL        the URL of the service
//   ID_TOKEN           the caller's token; without it, google-auth-library makes an identity token if it is installed
//   ANTHROPIC_API_KEY  the credential of the task
// Usage: node client.mjs PROMPT
const service = process.env.SERVICE_URL.replace(/\/$/, "");

async function authorization() {
  if (process.env.ID_TOKEN) return { Authorization: `Bearer ${process.env.ID_TOKEN}` };
  try {
    const { GoogleAuth } = await import("google-auth-library");
    const client = await new GoogleAuth().getIdTokenClient(service);
    return { Authorization: `Bearer ${await client.idTokenProvider.fetchIdToken(service)}` };
  } catch {
    return {};
  }
}

const answer = await fetch(`${service}/run`, {
  method: "POST",
  headers: { "Content-Type": "application/json", ...(await authorization()) },
  body: JSON.stringify({ prompt: process.argv[2], anthropicApiKey: process.env.ANTHROPIC_API_KEY }),
});
if (!answer.ok) {
  console.error(answer.status, (await answer.json()).error);
  process.exit(1);
}
const decoder = new TextDecoder();
let rest = "";
let name = "message";
for await (const bytes of answer.body) {
  const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line === "") name = "message";
    if (!line.startsWith("data: ")) continue;
    const event = JSON.parse(line.slice(6));
    if (name === "error" || name === "cancelled") {
      console.error(name, event.error ?? event.message);
      process.exitCode = 1;
    } else {
      console.log(JSON.stringify(event));
    }
  }
}
