// A codec server of express, with the TypeScript SDK's messages and one AES-256-GCM key, as in Temporal's samples.
'use strict';

const crypto = require('node:crypto');
const { METADATA_ENCODING_KEY } = require('@temporalio/common');
const { temporal } = require('@temporalio/proto');
const express = require('express');

const ENCODING = 'binary/encrypted';
const { Payload } = temporal.api.common.v1;
const generated = crypto.webcrypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);

async function encode(payload) {
  const [key, iv] = [await generated, crypto.randomBytes(12)];
  const plain = Payload.encode(payload).finish();
  const sealed = await crypto.webcrypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, plain);
  return {
    metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING), 'encryption-key-id': Buffer.from('bench') },
    data: Buffer.concat([iv, Buffer.from(sealed)]),
  };
}

async function decode(payload) {
  const encoding = payload.metadata?.[METADATA_ENCODING_KEY];
  if (!encoding || Buffer.from(encoding).toString() !== ENCODING) return payload;
  const data = Buffer.from(payload.data);
  const plain = await crypto.webcrypto.subtle.decrypt({ name: 'AES-GCM', iv: data.subarray(0, 12) }, await generated, data.subarray(12));
  return Payload.decode(new Uint8Array(plain));
}

const fromJson = ({ metadata = {}, data = '' }) => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')])),
  data: Buffer.from(data, 'base64'),
});
const toJson = ({ metadata = {}, data = [] }) => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value).toString('base64')])),
  data: Buffer.from(data).toString('base64'),
});

const app = express();
app.use(express.json({ limit: '32mb' }));
for (const [path, transform] of [['/encode', encode], ['/decode', decode]]) {
  app.post(path, async (request, response) => {
    const payloads = await Promise.all(request.body.payloads.map((payload) => transform(fromJson(payload))));
    response.json({ payloads: payloads.map(toJson) });
  });
}
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
