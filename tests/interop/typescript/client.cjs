// A client of Temporal's TypeScript SDK that knows no key: its payload codec asks the codec server.
//
// It sends a parcel to the Rust worker and reads back what comes of it. JSON on stdin and stdout.
"use strict";

const { readFileSync } = require("node:fs");
const { Client, Connection } = require("@temporalio/client");

/** Encrypts and decrypts with a codec server. */
class RemoteCodec {
  constructor(endpoint, namespace, token) {
    this.endpoint = endpoint;
    this.headers = {
      "Content-Type": "application/json",
      "X-Namespace": namespace,
      Authorization: `Bearer ${token}`,
    };
  }

  encode(payloads) {
    return this.call("encode", payloads);
  }

  decode(payloads) {
    return this.call("decode", payloads);
  }

  async call(operation, payloads) {
    const answer = await fetch(`${this.endpoint}/${operation}`, {
      method: "POST",
      headers: this.headers,
      body: JSON.stringify({ payloads: payloads.map(toJson) }),
      signal: AbortSignal.timeout(30_000),
    });
    if (!answer.ok) {
      throw new Error(`the codec server answers ${answer.status}: ${await answer.text()}`);
    }
    return (await answer.json()).payloads.map(fromJson);
  }
}

const toBase64 = (bytes) => Buffer.from(bytes ?? []).toString("base64");
const fromBase64 = (text) => new Uint8Array(Buffer.from(text ?? "", "base64"));
const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object ?? {}).map(([name, value]) => [name, change(value)]));
const toJson = ({ metadata, data }) => ({ metadata: mapValues(metadata, toBase64), data: toBase64(data) });
const fromJson = ({ metadata, data }) => ({ metadata: mapValues(metadata, fromBase64), data: fromBase64(data) });

async function main() {
  const parcel = JSON.parse(readFileSync(0, "utf8"));
  const connection = await Connection.connect({ address: parcel.address });
  try {
    const client = new Client({
      connection,
      namespace: parcel.namespace,
      dataConverter: {
        payloadCodecs: [new RemoteCodec(parcel.codec, parcel.namespace, parcel.token)],
        failureConverterPath: require.resolve("./failures.cjs"),
      },
    });
    const handle = await client.workflow.start("Parcel", {
      args: [parcel.order],
      workflowId: parcel.id,
      taskQueue: parcel.queue,
      memo: parcel.memo,
    });
    await handle.signal("label", parcel.label);
    const labels = await handle.query("labels", parcel.prefix);
    await handle.signal("close");
    const result = await handle.result();
    const { memo } = await handle.describe();
    process.stdout.write(JSON.stringify({ labels, result, memo }));
  } finally {
    await connection.close();
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
