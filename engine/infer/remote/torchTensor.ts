// Rows -> the bytes `torch.save` writes of a bfloat16 tensor: a zip of stored entries, of which `data.pkl` says how the
// numbers in `data/0` are a tensor. Nothing in it is compressed, and its data begins at a multiple of 64 as torch's own does.
import { crc32 } from "node:zlib";

const ALIGNMENT = 64;
const LOCAL_HEADER = 30;
/** An extra field of torch's own, "FB", whose content is padding. */
const PADDING_FIELD = 0x4246;
const PADDING_BYTE = 0x5a;
/** Names are UTF-8. */
const FLAGS = 0x0800;

/** bfloat16 has float32's range and 8 bits of precision: what checkpoints of this kind are published and served in. */
export function torchTensor(rows: Float32Array, width: number): Buffer {
  const count = rows.length / width;
  const entries: [name: string, content: Uint8Array][] = [
    ["data.pkl", pickleOf(count, width)],
    [".format_version", Buffer.from("1")],
    [".storage_alignment", Buffer.from(String(ALIGNMENT))],
    ["byteorder", Buffer.from("little")],
    ["data/0", bfloat16(rows)],
    ["version", Buffer.from("3\n")],
  ];
  return zipOf(entries.map(([name, content]) => [`archive/${name}`, content]));
}

/** Rounded to the nearest, halves to even, as torch rounds. */
function bfloat16(rows: Float32Array): Uint8Array {
  const bits = new Uint32Array(rows.buffer, rows.byteOffset, rows.length);
  const halves = new Uint16Array(rows.length);
  for (let n = 0; n < bits.length; n += 1) {
    const word = bits[n] ?? 0;
    const isNoNumber = (word & 0x7fffffff) > 0x7f800000;
    halves[n] = isNoNumber ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(halves.buffer);
}

/** Protocol 2, byte for byte as torch's pickler writes it: `_rebuild_tensor_v2(storage, 0, (rows, width), (width, 1), …)`. */
function pickleOf(rows: number, width: number): Buffer {
  let kept = 0;
  /** Everything but numbers is numbered for later use, though nothing comes twice here. */
  const memo = () => {
    kept += 1;
    return Buffer.from([PUT, kept - 1]);
  };
  const global = (module: string, name: string) => [Buffer.from(`c${module}\n${name}\n`), memo()];
  const unicode = (text: string) => [Buffer.from("X"), uint32(text.length), Buffer.from(text), memo()];
  const pair = (first: number, second: number) => [integer(first), integer(second), Buffer.from([PAIR]), memo()];
  return Buffer.concat([
    Buffer.from([PROTOCOL, 2]),
    ...global("torch._utils", "_rebuild_tensor_v2"),
    Buffer.from("(("),
    ...unicode("storage"),
    ...global("torch", "BFloat16Storage"),
    ...unicode("0"),
    ...unicode("cpu"),
    integer(rows * width),
    Buffer.from("t"),
    memo(),
    Buffer.from("Q"),
    integer(0),
    ...pair(rows, width),
    ...pair(width, 1),
    Buffer.from([FALSE]),
    ...global("collections", "OrderedDict"),
    Buffer.from(")R"),
    memo(),
    Buffer.from("t"),
    memo(),
    Buffer.from("R"),
    memo(),
    Buffer.from("."),
  ]);
}

const PROTOCOL = 0x80;
const PUT = "q".charCodeAt(0);
const PAIR = 0x86;
const FALSE = 0x89;

/** The shortest of the three ways to write a whole number that is not negative. */
function integer(value: number): Buffer {
  if (value < 0x100) return Buffer.from(["K".charCodeAt(0), value]);
  if (value < 0x10000) return Buffer.from(["M".charCodeAt(0), value & 0xff, value >>> 8]);
  return Buffer.concat([Buffer.from("J"), uint32(value)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function zipOf(entries: readonly (readonly [name: string, content: Uint8Array])[]): Buffer {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, content] of entries) {
    const path = Buffer.from(name);
    const facts = headerFacts(path, content);
    const padding = paddingField(at + LOCAL_HEADER + path.length);
    const local = Buffer.alloc(LOCAL_HEADER);
    local.writeUInt32LE(0x04034b50, 0);
    facts.copy(local, 4);
    local.writeUInt16LE(padding.length, 28);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    facts.copy(central, 6);
    central.writeUInt32LE(at, 42);
    directory.push(central, path);
    parts.push(local, path, padding, content);
    at += LOCAL_HEADER + path.length + padding.length + content.length;
  }
  const listed = directory.reduce((sum, part) => sum + part.length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listed, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** What both headers of an entry hold, in the same order: version, flags, method, time, date, sum, sizes, name's length. */
function headerFacts(path: Buffer, content: Uint8Array): Buffer {
  const facts = Buffer.alloc(24);
  facts.writeUInt16LE(FLAGS, 2);
  facts.writeUInt32LE(crc32(content), 10);
  facts.writeUInt32LE(content.length, 14);
  facts.writeUInt32LE(content.length, 18);
  facts.writeUInt16LE(path.length, 22);
  return facts;
}

/** So long that what follows it begins at a multiple of the alignment. */
function paddingField(at: number): Buffer {
  const free = (ALIGNMENT - ((at + 4) % ALIGNMENT)) % ALIGNMENT;
  const field = Buffer.alloc(4 + free, PADDING_BYTE);
  field.writeUInt16LE(PADDING_FIELD, 0);
  field.writeUInt16LE(free, 2);
  return field;
}
