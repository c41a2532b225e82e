// Runs the export from the sources: node engine/indexing/exportChunksMain.ts DIR TOKENIZER_JSON MAXTOKENS > out.jsonl
import { once } from "node:events";
import { startChunker } from "./chunker.ts";
import { exportChunks } from "./exportChunks.ts";

const [dir = ".", tokenizerFile = "", maxTokens = "512"] = process.argv.slice(2);
const chunker = await startChunker({
  workerUrl: new URL("./chunkWorker.ts", import.meta.url),
  tokenizerFile,
  maxTokens: Number(maxTokens),
});
for await (const chunk of exportChunks(dir, chunker)) {
  if (!process.stdout.write(`${JSON.stringify(chunk)}\n`)) await once(process.stdout, "drain");
}
await chunker.close();
