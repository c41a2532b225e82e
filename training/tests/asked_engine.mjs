// What the engine makes of a store: every chunk's pseudo-tokens, and those the reader gets before a prompt in mode compressed.
//
//   node asked_engine.mjs PACKS PACK ROOT STORE
import { join } from "node:path";
import { parseSettings } from "../../engine/config.ts";
import { fingerprintOf, startEngine } from "../../engine/engine.ts";
import { installationOf } from "../../engine/installation.ts";
import { openStore } from "../../engine/store/store.ts";

const [, , packsDir, id, root, storeDir] = process.argv;
const { workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
const settings = { ...parseSettings({}).settings, pack: join(packsDir, id), "execution.providers": ["cpu"] };
const engine = await startEngine({ packsDir, settings, workers });
const { models, pack } = engine;
const asked = [];
const generate = models.generate.bind(models);
models.generate = (input, ...rest) => {
  asked.push([...input.pseudoTokens]);
  return generate(input, ...rest);
};
const workspace = await engine.openWorkspace({ root, storeDir, settings });
const text = "from parcels import tariff\n\n\ndef price(parcel):\n    return ";
const cursor = { path: "new.py", text, offset: text.length };
const { mode, candidates, problems } = await workspace.complete(cursor, { mode: "compressed", maxLines: 1 });
workspace.close();
await engine.close();

const { encoder, projector } = pack.manifest;
const { store } = openStore({
  dir: storeDir,
  fingerprint: fingerprintOf(pack),
  vectorDim: encoder.vectorDim,
  pseudoLength: projector.perNode * projector.readerDim,
});
const ids = [];
for (let node = 1; node < 10_000; node += 1) ids.push(node);
const chunks = store.nodes(ids).filter(({ level }) => level === "chunk");
const rows = store.pseudoTokens(ids);
store.close();
const found = chunks.map((node) => [node.id, { text: node.text, rows: [...(rows.get(node.id) ?? [])] }]);
const used = candidates.map(({ node }) => node.id);
process.stdout.write(JSON.stringify({ mode, problems, used, asked: asked[0], chunks: Object.fromEntries(found) }));
