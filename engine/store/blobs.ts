// Numbers as SQLite keeps them.

export function toBlob(numbers: Float32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Copies, since SQLite's bytes may start anywhere and a Float32Array may not. */
export function fromBlob(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
