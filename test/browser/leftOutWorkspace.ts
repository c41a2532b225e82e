// The sample with what an index leaves out: too large, a secret, binary, minified, ignored, another encoding.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyOfSample } from "./harness.ts";

export function sampleWithLeftOut(): string {
  const folder = copyOfSample();
  const write = (name: string, content: string | Buffer): void => writeFileSync(join(folder, name), content);
  for (const name of ["build", "keys", "parcels/wire"]) mkdirSync(join(folder, name));
  write(".gitignore", "build/\n*.local.py\n");
  write("build/out.py", "x = 1\n");
  write("desk.local.py", "x = 2\n");
  write(".env", "TOKEN=1\n");
  write("keys/server.pem", "-----BEGIN CERTIFICATE-----\n");
  write("parcels/rates.py", `RATES = {\n${'    "zone": [1, 2, 3],\n'.repeat(70_000)}}\n`);
  write("parcels/wire/frame.py", Buffer.from([0, 1, 2, 3, 0, 0]));
  write("parcels/latin.py", Buffer.from('NAME = "caf\u00e9"\n', "latin1"));
  write("parcels/packed.py", `a=[${"1,".repeat(20_000)}]\n`);
  return folder;
}
