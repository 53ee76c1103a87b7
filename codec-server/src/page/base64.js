// Base64 as Temporal's clients write it: standard or URL-safe, with or without padding.

/** The bytes of a text, or `null` when it is not base64. */
export function toBytes(text) {
  const standard = text.replace(/-/g, "+").replace(/_/g, "/");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(standard)) return null;
  try {
    const binary = atob(standard);
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

/** The text that the bytes of a base64 text are, or `null` when they are not UTF-8. */
export function toText(text) {
  const bytes = toBytes(text);
  if (bytes === null) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
