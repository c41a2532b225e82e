// Text <-> token ids with the pack's tokenizer.json. Pure JavaScript, so any thread may hold one.
import { readFile } from "node:fs/promises";
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { EngineError, messageOf } from "../errors.ts";

export interface Tokenizer {
  /** Special tokens written in `text` become their ids only when `special` is true; user text must never pass true. */
  encode(text: string, special?: boolean): readonly number[];
  decode(ids: readonly number[]): string;
  /** Id of one special token. Throws `PACK_INCOMPATIBLE` when the vocabulary has none of that name. */
  idOf(token: string): number;
  /** Name of a special token; undefined for any other. */
  specialOf(id: number): string | undefined;
}

export async function loadTokenizer(file: string): Promise<Tokenizer> {
  let hub: HubTokenizer;
  try {
    hub = new HubTokenizer(JSON.parse(await readFile(file, "utf8")), {});
  } catch (error) {
    throw new EngineError("PACK_CORRUPT", `${file} is not a tokenizer: ${messageOf(error)}`, { cause: error });
  }
  const added = hub.get_added_tokens_decoder();
  const specials = [...added.values()].map((token) => token.content);
  const specialPattern = new RegExp(specials.map(escapePattern).join("|"), "g");
  return {
    encode: (text, special = false) => {
      if (special || specials.length === 0) return hub.encode(text, { add_special_tokens: false }).ids;
      // A user's file may hold "<|fim_middle|>" as text: cut inside the marker so that it stays text.
      return splitSpecials(text, specialPattern).flatMap((part) => hub.encode(part, { add_special_tokens: false }).ids);
    },
    // The library throws on nothing, and a reader that stops at once generates nothing.
    decode: (ids) =>
      ids.length === 0 ? "" : hub.decode([...ids], { skip_special_tokens: false, clean_up_tokenization_spaces: false }),
    idOf: (token) => {
      const id = hub.token_to_id(token);
      if (id === undefined) throw new EngineError("PACK_INCOMPATIBLE", `the tokenizer has no token ${token}`);
      return id;
    },
    specialOf: (id) => added.get(id)?.content,
  };
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Cuts `text` after the first character of every special marker, so that no part contains a whole marker. */
function splitSpecials(text: string, pattern: RegExp): string[] {
  const parts: string[] = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(text.slice(from, match.index + 1));
    from = match.index + 1;
  }
  parts.push(text.slice(from));
  return parts;
}
