// Run as a process of its own, and killed: indexes one version of a workspace after another until it dies.
// node indexForever.ts ROOT STORE
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createIndexer } from "../../engine/indexing/indexer.ts";
import { BRANCHING, countingModels, directChunker, openStoreIn } from "../unit/indexing.ts";
import { FILES, textOf } from "./versions.ts";

const [root = "", storeDir = ""] = process.argv.slice(2);
const { store, problems } = openStoreIn(storeDir);
if (problems.length > 0) throw new Error(JSON.stringify(problems));
const settings = { "index.exclude": [], "index.maxFileKiB": 64, "index.maxDiskMiB": 200, "index.otherText": true };
const options = {
  root,
  store,
  chunker: await directChunker(),
  models: countingModels(),
  branching: BRANCHING,
  settings,
};
const indexer = createIndexer(options);
for (let version = 0; ; version++) {
  for (const file of FILES) writeFileSync(join(root, file), textOf(file, version));
  await indexer.index({ force: version % 5 === 4 });
  process.stdout.write(`${version}\n`);
}
