// The files of an uncompressed zip, by its directory; each sum is checked. Names lack the first folder.
import { crc32 } from "node:zlib";

export interface ZipFile {
  readonly name: string;
  readonly content: Buffer;
  /** Where its content begins. */
  readonly at: number;
}

export function filesInZip(zip: Buffer): ZipFile[] {
  const end = zip.lastIndexOf("PK\u0005\u0006", undefined, "latin1");
  const count = zip.readUInt16LE(end + 10);
  let entry = zip.readUInt32LE(end + 16);
  return Array.from({ length: count }, () => {
    if (zip.readUInt32LE(entry) !== 0x02014b50) throw new Error("no zip directory");
    if (zip.readUInt16LE(entry + 10) !== 0) throw new Error("compressed");
    const size = zip.readUInt32LE(entry + 20);
    const nameLength = zip.readUInt16LE(entry + 28);
    const path = zip.toString("utf8", entry + 46, entry + 46 + nameLength);
    const local = zip.readUInt32LE(entry + 42);
    const at = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const content = zip.subarray(at, at + size);
    if (crc32(content) !== zip.readUInt32LE(entry + 16)) throw new Error(`${path}: wrong sum`);
    entry += 46 + nameLength + zip.readUInt16LE(entry + 30) + zip.readUInt16LE(entry + 32);
    return { name: path.slice(path.indexOf("/") + 1), content, at };
  });
}
