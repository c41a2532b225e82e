// What a server writes, piece by piece, and where it ends: after the token that completes the last line asked for, before a
// stop token, at the budget. As the reader here ends, though a server sends text, or several tokens at once.
import type { GenerateOptions, Generation } from "../models.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { Piece, RemoteToken } from "./completionWire.ts";

/** Text that cannot be cut further: mostly one token. */
interface Unit {
  readonly text: string;
  readonly tokens: readonly RemoteToken[];
}

export class WrittenText {
  readonly #tokenizer: Tokenizer;
  readonly #options: GenerateOptions;
  readonly #stopNames: readonly string[];
  #text = "";
  #tokens: RemoteToken[] = [];

  constructor(tokenizer: Tokenizer, options: GenerateOptions) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#stopNames = options.stopTokens.map((id) => tokenizer.decode([id]));
  }

  /** Answers the end it brings, if it does. */
  add(piece: Piece): Generation["end"] | undefined {
    const stopAt = piece.tokens.findIndex(({ id }) => id !== undefined && this.#options.stopTokens.includes(id));
    const tokens = stopAt < 0 ? piece.tokens : piece.tokens.slice(0, stopAt);
    for (const unit of this.#unitsOf(piece.text, tokens)) {
      const end = this.#take(unit);
      if (end !== undefined) return end;
    }
    if (stopAt >= 0) return "stop-token";
    if (piece.finish === undefined) return undefined;
    return piece.finish === "length" ? "max-tokens" : "stop-token";
  }

  /** Tokens of the pack, and the certainty of the server's own; none where it does not tell all of it. */
  get result(): Pick<Generation, "tokens" | "logProbs" | "margins" | "runnersUp"> {
    const ids = known(this.#tokens.map(({ id }) => id));
    const isWhole = ids.length > 0 && this.#tokenizer.decode(ids) === this.#text;
    return {
      tokens: isWhole ? ids : this.#tokenizer.encode(this.#text),
      logProbs: known(this.#tokens.map(({ logProb }) => logProb)),
      margins: known(this.#tokens.map(({ margin }) => margin)),
      runnersUp: isWhole ? known(this.#tokens.map(({ runnerUp }) => runnerUp)) : [],
    };
  }

  /** A piece of several tokens is cut where its tokens are, if they are the pack's. */
  #unitsOf(text: string, tokens: readonly RemoteToken[]): Unit[] {
    if (text === "" && tokens.length === 0) return [];
    const units = tokens.map((token) => ({
      text: token.id === undefined ? "" : this.#tokenizer.decode([token.id]),
      tokens: [token],
    }));
    return units.map((unit) => unit.text).join("") === text ? units : [{ text, tokens }];
  }

  #take({ text, tokens }: Unit): Generation["end"] | undefined {
    this.#text += text;
    this.#tokens.push(...tokens);
    const markAt = Math.min(...this.#stopNames.map((name) => indexIn(this.#text, name)));
    if (markAt < this.#text.length) {
      this.#text = this.#text.slice(0, markAt);
      return "stop-token";
    }
    if (fullLines(this.#text) >= this.#options.maxLines) return "lines";
    return this.#tokens.length >= this.#options.maxNewTokens ? "max-tokens" : undefined;
  }
}

function indexIn(text: string, name: string): number {
  const at = text.indexOf(name);
  return at < 0 ? text.length : at;
}

/** Lines that are complete and say something. */
function fullLines(text: string): number {
  return text
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.trim() !== "").length;
}

/** All of them, or none. */
function known(values: readonly (number | undefined)[]): number[] {
  const some = values.filter((value) => value !== undefined);
  return some.length === values.length ? some : [];
}
