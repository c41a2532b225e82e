// Protocol Buffers, written and read: as much of the wire format as ONNX needs.
import { EngineError } from "../errors.ts";

/** Fields of one message, in the order they are added. */
export class Message {
  readonly #parts: Uint8Array[] = [];

  integer(field: number, value: number | bigint): this {
    this.#parts.push(varint(field << 3), varint(value));
    return this;
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#parts.push(varint((field << 3) | 5), bytes);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    return this.bytes(field, value.encode());
  }

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(varint((field << 3) | 2), varint(value.length), value);
    return this;
  }

  encode(): Uint8Array {
    const all = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  // A number below zero is written as its 64-bit two's complement.
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** One field of a message that was read. */
export interface Field {
  readonly number: number;
  /** Of a text, a message or a packed list. */
  readonly bytes?: Uint8Array;
  readonly integer?: bigint;
  /** The four bytes of a float. */
  readonly float?: number;
}

/** The fields of a message in their order; `bytes` are views of it. */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const varint = () => {
    const { value, length } = readVarint(message, at);
    at += length;
    return value;
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        yield { number, integer: varint() };
        break;
      case 2: {
        const length = Number(varint());
        yield { number, bytes: message.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        yield { number, float: view.getFloat32(at, true) };
        at += 4;
        break;
      default:
        throw new EngineError("PACK_INCOMPATIBLE", `a graph holds a field of wire type ${tag & 7}`);
    }
  }
}

/** Zero where the bytes end, which no field's tag is. */
export function readVarint(bytes: Uint8Array, from: number): { readonly value: bigint; readonly length: number } {
  let value = 0n;
  let at = from;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at] ?? 0;
    at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return { value, length: at - from };
  }
}

export function copyField({ number, bytes, integer, float }: Field, into: Message): void {
  if (bytes !== undefined) into.bytes(number, bytes);
  else if (integer !== undefined) into.integer(number, integer);
  else if (float !== undefined) into.float(number, float);
}

export function textOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

/** All texts of one field. */
export function textsOf(message: Uint8Array, number: number): string[] {
  return [...fieldsOf(message)].filter((field) => field.number === number).map(({ bytes }) => textOf(bytes));
}
