// A folder of safetensors files as a checkpoint: headers read and checked at once, numbers when they are asked for. Sharded or
// not (https://huggingface.co/docs/safetensors).
import { createHash } from "node:crypto";
import { type FileHandle, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, errnoOf, messageOf } from "../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** Bytes of a number, and how it becomes a float32. */
const ELEMENTS: Readonly<Record<string, { readonly bytes: number; readonly toFloats: (raw: Buffer) => Float32Array }>> =
  {
    F32: { bytes: 4, toFloats: (raw) => new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4) },
    F16: { bytes: 2, toFloats: floatsOfHalves },
    BF16: { bytes: 2, toFloats: floatsOfBrainHalves },
  };

/** As the format's JSON header has it. */
interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte and the one behind the last, counted from the header's end. */
  readonly data_offsets: readonly [number, number];
}

interface Place extends StoredTensor {
  readonly file: string;
  readonly handle: FileHandle;
  /** First byte in the file. */
  readonly start: number;
}

/** Some writers fill a header's length with spaces; a longer one is no header. */
const MOST_HEADER_BYTES = 100 << 20;

export interface CheckpointFolder extends Checkpoint {
  readonly files: readonly string[];
  /** Throws `CHECKPOINT_INVALID` naming every tensor that is missing or has another shape. */
  check(expected: ReadonlyMap<string, readonly number[]>): void;
  has(name: string): boolean;
  /**
   * sha256 over the tensors by name: `name dtype dims` on a line, then the bytes. The same however they are shared out among
   * files; training writes the same.
   */
  digest(): Promise<string>;
  close(): Promise<void>;
}

/** Throws `CHECKPOINT_INVALID` for a missing shard, one cut short, or a file that is none. */
export async function openCheckpoint(dir: string): Promise<CheckpointFolder> {
  const files = await filesOf(dir);
  const handles: FileHandle[] = [];
  const places = new Map<string, Place>();
  const close = async () => {
    await Promise.all(handles.map((handle) => handle.close()));
  };
  try {
    for (const file of files) {
      const handle = await openShard(dir, file);
      handles.push(handle);
      for (const place of await readHeader(handle, file)) places.set(place[0], place[1]);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    files,
    has: (name) => places.has(name),
    check: (expected) => checkTensors(dir, places, expected),
    read: (name, from, count) => readNumbers(places, name, from, count),
    digest: () => digestOf(places),
    close,
  };
}

/** Bytes held at a time. */
const HELD = 4 << 20;

async function digestOf(places: ReadonlyMap<string, Place>): Promise<string> {
  const hash = createHash("sha256");
  for (const [name, { dtype, shape, data_offsets, handle, start }] of [...places].sort(byName)) {
    hash.update(`${name} ${dtype} ${shape.join(",")}\n`);
    const end = start + data_offsets[1] - data_offsets[0];
    for (let at = start; at < end; ) {
      const piece = Buffer.allocUnsafe(Math.min(HELD, end - at));
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      if (bytesRead === 0) throw invalid(`the file ends inside ${name}`);
      hash.update(piece.subarray(0, bytesRead));
      at += bytesRead;
    }
  }
  return hash.digest("hex");
}

/** By code unit, as Python sorts names of ASCII. */
function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function filesOf(dir: string): Promise<string[]> {
  const index = join(dir, "model.safetensors.index.json");
  let text: string;
  try {
    text = await readFile(index, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return ["model.safetensors"];
    throw invalid(`${index} cannot be read: ${messageOf(error)}`, error);
  }
  let shards: unknown;
  try {
    shards = JSON.parse(text).weight_map;
  } catch (error) {
    throw invalid(`${index} is not JSON: ${messageOf(error)}`, error);
  }
  if (typeof shards !== "object" || shards === null) throw invalid(`${index} has no weight_map`);
  const names = [...new Set(Object.values(shards).map(String))].sort();
  const outside = names.find((name) => !/^[\w.-]+\.safetensors$/.test(name));
  if (outside !== undefined) throw invalid(`${index} names ${outside}, which is no safetensors file of the folder`);
  return names;
}

async function openShard(dir: string, file: string): Promise<FileHandle> {
  try {
    return await open(join(dir, file), "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw invalid(`${join(dir, file)} is missing`, error);
    throw invalid(`${join(dir, file)} cannot be read: ${messageOf(error)}`, error);
  }
}

async function readHeader(handle: FileHandle, file: string): Promise<[string, Place][]> {
  const { size } = await handle.stat();
  const prefix = Buffer.alloc(8);
  const { bytesRead } = await handle.read(prefix, 0, 8, 0);
  const length = bytesRead === 8 ? Number(prefix.readBigUInt64LE()) : Number.NaN;
  if (!(length <= MOST_HEADER_BYTES)) throw invalid(`${file} is not a safetensors file`);
  if (8 + length > size) throw cutShort(file, size, 8 + length);
  const text = Buffer.alloc(length);
  await handle.read(text, 0, length, 8);
  let header: Record<string, StoredTensor>;
  try {
    header = JSON.parse(text.toString("utf8"));
  } catch (error) {
    throw invalid(`${file} is not a safetensors file: ${messageOf(error)}`, error);
  }
  const { __metadata__: _, ...tensors } = header;
  const end = Object.values(tensors).reduce((most, { data_offsets }) => Math.max(most, data_offsets[1]), 0);
  if (8 + length + end > size) throw cutShort(file, size, 8 + length + end);
  return Object.entries(tensors).map(([name, tensor]) => [
    name,
    { ...tensor, file, handle, start: 8 + length + tensor.data_offsets[0] },
  ]);
}

function checkTensors(
  dir: string,
  places: ReadonlyMap<string, Place>,
  expected: ReadonlyMap<string, readonly number[]>,
): void {
  const wrong: string[] = [];
  for (const [name, shape] of expected) {
    const place = places.get(name);
    if (place === undefined) wrong.push(`${name} is missing`);
    else if (ELEMENTS[place.dtype] === undefined) wrong.push(`${name} is ${place.dtype}`);
    else if (place.shape.join() !== shape.join()) wrong.push(`${name} is [${place.shape}], not [${shape}]`);
  }
  if (wrong.length === 0) return;
  const more = wrong.length > 3 ? ` and ${wrong.length - 3} more` : "";
  throw invalid(`${dir}: ${wrong.slice(0, 3).join("; ")}${more}`);
}

async function readNumbers(
  places: ReadonlyMap<string, Place>,
  name: string,
  from: number,
  count: number,
): Promise<Float32Array> {
  const place = places.get(name);
  const element = ELEMENTS[place?.dtype ?? ""];
  if (place === undefined || element === undefined) throw invalid(`${name} is missing`);
  // Of its own, so that float32 numbers stand at a multiple of four.
  const raw = Buffer.from(new ArrayBuffer(count * element.bytes));
  for (let done = 0; done < raw.length; ) {
    const at = place.start + from * element.bytes + done;
    const { bytesRead } = await place.handle.read(raw, done, raw.length - done, at);
    if (bytesRead === 0) throw invalid(`${place.file} ends inside ${name}`);
    done += bytesRead;
  }
  return element.toFloats(raw);
}

/** bfloat16 is the upper half of a float32. */
function floatsOfBrainHalves(raw: Buffer): Float32Array {
  const halves = new Uint16Array(raw.buffer, raw.byteOffset, raw.length / 2);
  const bits = new Uint32Array(halves.length);
  for (let n = 0; n < halves.length; n += 1) bits[n] = (halves[n] as number) << 16;
  return new Float32Array(bits.buffer);
}

function floatsOfHalves(raw: Buffer): Float32Array {
  const halves = new Uint16Array(raw.buffer, raw.byteOffset, raw.length / 2);
  const values = new Float32Array(halves.length);
  for (let n = 0; n < halves.length; n += 1) {
    const half = halves[n] as number;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    // Without an exponent the fraction counts in steps of 2^-24; the highest exponent is no finite number.
    const size =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Number.POSITIVE_INFINITY
            : Number.NaN
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    values[n] = half & 0x8000 ? -size : size;
  }
  return values;
}

function cutShort(file: string, size: number, needed: number): EngineError {
  return invalid(`${file} has ${size} bytes and should have ${needed}: it was cut short`);
}

function invalid(detail: string, cause?: unknown): EngineError {
  return new EngineError("CHECKPOINT_INVALID", detail, { cause });
}
