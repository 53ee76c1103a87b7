// The version of its key that a ciphertext tells, as `codec-server inspect` shows it. Those of Google Cloud KMS and AWS KMS
// do not tell it.

import { toBytes } from "./base64.js";

/** In base64: more than any version takes, and whole groups of four. */
const MOST_CHARACTERS = 512;

/** Tink's prefix: 1, and the id of the key in four bytes. */
function ofTink(bytes) {
  if (bytes.length < 5 || bytes[0] !== 1) return null;
  return String(new DataView(bytes.buffer).getUint32(1));
}

/** 1, the method, the length of the CKA_ID, and the CKA_ID. */
function ofPkcs11([format, method, length, ...rest]) {
  if (format !== 1 || (method !== 1 && method !== 2) || rest.length < length) return null;
  return rest.slice(0, length).map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `vault:vVERSION:` */
function ofVault(bytes) {
  const text = String.fromCharCode(...bytes.slice(0, 64));
  return /^vault:v([^:]+):/.exec(text)?.[1] ?? null;
}

const SERVICES = new Map([["local", ofTink], ["pkcs11", ofPkcs11]]);

/** The version of the key called `key` in a base64 text, or `null` when it does not tell one. */
export function versionIn(key, encoding, text) {
  const bytes = typeof text === "string" ? toBytes(text.slice(0, MOST_CHARACTERS)) : null;
  if (bytes === null) return null;
  // The keys of direct mode are named without their service.
  const service = /^binary\/(local|pkcs11)-kms$/.exec(encoding)?.[1] ?? key.split(":")[0];
  return SERVICES.get(service)?.(bytes) ?? ofVault(bytes);
}
