// A server in this process that answers as a NuGet feed does: its index, a registration, a catalog entry with the hash, the package.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { crc32, deflateRawSync } from "node:zlib";

export interface NugetServer {
  /** Address of the feed's index. */
  readonly index: string;
  /** Requests for the package's bytes: what part each asked for. */
  readonly ranges: (string | undefined)[];
  /** Of the next answers with the package: breaks behind so many bytes, or has a byte that is another. */
  readonly faults: ({ readonly afterBytes: number } | { readonly damaged: true })[];
  close(): Promise<void>;
}

export async function startNugetServer(name: string, version: string, zip: Buffer): Promise<NugetServer> {
  const ranges: (string | undefined)[] = [];
  const faults: NugetServer["faults"] = [];
  const file = `/flat/${name.toLowerCase()}.${version}.nupkg`;
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const at = (path: string) => `http://127.0.0.1:${port}${path}`;
    const answers: Record<string, unknown> = {
      "/v3/index.json": {
        version: "3.0.0",
        resources: [
          { "@id": at("/flat/"), "@type": "PackageBaseAddress/3.0.0" },
          { "@id": at("/registration/"), "@type": "RegistrationsBaseUrl" },
        ],
      },
      [`/registration/${name.toLowerCase()}/${version}.json`]: {
        catalogEntry: at("/catalog/package.json"),
        packageContent: at(file),
      },
      "/catalog/package.json": {
        packageHash: createHash("sha512").update(zip).digest("base64"),
        packageHashAlgorithm: "SHA512",
        packageSize: zip.length,
      },
    };
    const path = request.url ?? "";
    if (path !== file) {
      response.writeHead(path in answers ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(answers[path] ?? {}));
      return;
    }
    ranges.push(request.headers.range);
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const body = Buffer.from(zip.subarray(start));
    const fault = faults.shift();
    if (fault !== undefined && "damaged" in fault) body[0] = 255 - (body[0] as number);
    const range = { "content-range": `bytes ${start}-${zip.length - 1}/${zip.length}` };
    response.writeHead(start > 0 ? 206 : 200, start > 0 ? range : {});
    response.end(fault !== undefined && "afterBytes" in fault ? body.subarray(0, fault.afterBytes) : body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    index: `http://127.0.0.1:${port}/v3/index.json`,
    ranges,
    faults,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A compressed zip of these files. */
export function zipOf(files: Readonly<Record<string, Buffer>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const body = deflateRawSync(content);
    const fields = Buffer.alloc(26);
    for (const [value, offset] of [
      [20, 0],
      [8, 4],
      [name.length, 22],
    ] as const)
      fields.writeUInt16LE(value, offset);
    for (const [value, offset] of [
      [crc32(content), 10],
      [body.length, 14],
      [content.length, 18],
    ] as const)
      fields.writeUInt32LE(value, offset);
    const local = Buffer.concat([Buffer.from("PK\u0003\u0004", "latin1"), fields, Buffer.from(name), body]);
    const behind = Buffer.alloc(14);
    behind.writeUInt32LE(at, 10);
    directory.push(
      Buffer.concat([Buffer.from("PK\u0001\u0002\u0014\u0000", "latin1"), fields, behind, Buffer.from(name)]),
    );
    parts.push(local);
    at += local.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\u0005\u0006", "latin1");
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, listed, end]);
}
