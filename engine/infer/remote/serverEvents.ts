// Server-sent events: bytes of an answer -> the data of one event after another, whatever way the bytes are cut.
import { EngineError } from "../../errors.ts";

/** An event longer than this is no completion. */
const LONGEST_EVENT = 4 * 2 ** 20;

/** Comments, names and identifiers of events are passed over. Throws `ENDPOINT_FAILED` for what can be no such stream. */
export async function* serverEvents(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const part of bytes) {
    rest += decoder.decode(part, { stream: true });
    if (rest.length > LONGEST_EVENT) throw new EngineError("ENDPOINT_FAILED", "an event of the answer has no end");
    // A line break may be cut in two: one that ends the part waits for the next.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      else if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      }
    }
  }
  // The last event may lack the empty line behind it.
  const last = rest.replace(/\r$/, "");
  if (last.startsWith("data:")) data.push(last.slice(5).replace(/^ /, ""));
  if (data.length > 0) yield data.join("\n");
}
