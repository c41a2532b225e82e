// The completion side of one LSP session: when to answer, with what, and the account of the last request.
import {
  type CancellationToken,
  type InlineCompletionItem,
  type InlineCompletionParams,
  type NotebookDocuments,
  ResponseError,
} from "vscode-languageserver/node";
import type { TextDocument } from "vscode-languageserver-textdocument";
import type { BehaviourSession } from "./behaviourSession.ts";
import { ALTERNATIVES } from "./completion/alternatives.ts";
import { type CompleteOptions, type Completion, silent } from "./completion/complete.ts";
import type { Offer } from "./completion/filters/filter.ts";
import { Flights } from "./completion/flights.ts";
import { afterAcceptance } from "./completion/prefetch.ts";
import type { Cursor } from "./completion/prompt.ts";
import { accepted } from "./completion/surroundings.ts";
import { decide, TRIGGER } from "./completion/trigger.ts";
import { Editing, type Place, triggerOf } from "./editing.ts";
import type { Engine, Workspace } from "./engine.ts";
import { EngineError, type NoCompletionReason } from "./errors.ts";
import { explain } from "./explain.ts";
import type { Located } from "./folders.ts";
import { ACCEPT_COMMAND, type Accepted, type EditorState, type Explanation } from "./protocol.ts";
import { meaningOf } from "./reasons.ts";
import type { Session } from "./session.ts";

/** Asked by hand, several offers come, which the editor's commands show one after another. */
const SUGGESTIONS = { automatic: 1, manual: ALTERNATIVES.most } as const;

/** A prefetch begins when nothing else has been asked for so long: the editor asks by itself after an acceptance. */
const PREFETCH_PAUSE_MS = 150;

/** One of the offers made last, so that its acceptance says where the cursor will be. */
interface Offered {
  readonly id: number;
  readonly asked: Asked;
  readonly offer: Offer;
}

/** A request that is worth computing. */
interface Asked {
  readonly place: Place;
  readonly cursor: Cursor;
  readonly source: Engine | Workspace;
  readonly how: CompleteOptions;
}

/** What is computed ahead, and the texts on the way there: any other ends it. */
interface Prefetch {
  readonly aborter: AbortController;
  readonly expected: readonly string[];
}

/** Where a request was made; the document is unknown where the editor never opened it. */
type Spot = Pick<Place, "uri" | "offset"> & { readonly document: TextDocument | undefined };

const UNKNOWN = { document: undefined, offset: 0 };

export class CompletionSession {
  readonly #session: Session;
  readonly #behaviour: BehaviourSession;
  readonly #editing: Editing;
  readonly #flights = new Flights();
  #current: AbortController | undefined;
  #prefetch: Prefetch | undefined;
  /** Requests that are being answered. */
  #busy = 0;
  #offered: readonly Offered[] = [];
  #completions = 0;

  constructor(session: Session, behaviour: BehaviourSession) {
    this.#session = session;
    this.#behaviour = behaviour;
    this.#editing = new Editing(session.documents);
  }

  get notebooks(): NotebookDocuments<TextDocument> {
    return this.#editing.notebooks;
  }

  /** A request ends the one before it. Throws a `ResponseError` for a named error. */
  async answer(params: InlineCompletionParams, token: CancellationToken): Promise<InlineCompletionItem[]> {
    this.#current?.abort(new Error("superseded"));
    const aborter = new AbortController();
    this.#current = aborter;
    token.onCancellationRequested(() => aborter.abort());
    const place = this.#editing.placeOf(params);
    if (place === undefined)
      return this.#stayedSilent({ ...UNKNOWN, uri: params.textDocument.uri }, "unknown-document");
    const { engine, settings } = this.#session;
    if (!settings.enabled) return this.#stayedSilent(place, "off");
    if (engine === undefined) return this.#stayedSilent(place, "not-ready");
    const asked = this.#asked(place, engine, params);
    if (this.#prefetch?.expected.includes(asked.cursor.text) === false) this.#prefetch.aborter.abort();
    const decision = this.#decide(asked, params, engine);
    if (decision.kind === "silent") return this.#stayedSilent(place, decision.reason);
    const { version } = place.document;
    const askedAt = performance.now();
    this.#busy += 1;
    try {
      await pause(decision.waitMs, aborter.signal);
      if (aborter.signal.aborted) return this.#unwanted(place, aborter);
      // Not every editor asks anew for what has been typed during the pause.
      if (place.document.version !== version) return this.#stayedSilent(place, "stale-document");
      const completion = await this.#flights.answer(
        asked.cursor,
        asked.how.mode,
        (signal) => this.#compute(asked, signal),
        aborter.signal,
        this.#editing.typing.rhythm.latencyMs,
        asked.how.suggestions,
      );
      if (completion === undefined) return this.#unwanted(place, aborter);
      if (isDoubtful(completion)) {
        await pause(askedAt + decision.doubtMs - performance.now(), aborter.signal);
        if (aborter.signal.aborted) return this.#unwanted(place, aborter);
        if (place.document.version !== version) return this.#stayedSilent(place, "stale-document");
      }
      return this.#answered(asked, completion);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#session.connection.console.error(`${error.message}. ${error.action}`);
      throw new ResponseError(-32000, error.message, { code: error.code, action: error.action });
    } finally {
      this.#busy -= 1;
    }
  }

  /** `uri`: of the document the person looks at, if any. */
  explain(uri?: string): Explanation {
    const { last } = this.#session;
    return { markdown: explain(last, this.#noteOn(uri)), root: last?.root ?? null };
  }

  /** What the account of the last request does not tell of the present. */
  #noteOn(uri: string | undefined): string {
    const { last, settings } = this.#session;
    if (!settings.enabled) return `> ${meaningOf("off")}`;
    if (uri === undefined || last?.uri === uri) return "";
    const scheme = uri.slice(0, uri.indexOf(":"));
    const schemes: readonly string[] = TRIGGER.schemes;
    const reason = !schemes.includes(scheme)
      ? meaningOf(`scheme-not-supported(${scheme})`)
      : this.#editing.editorOf(uri).isReadOnly
        ? meaningOf("read-only-document")
        : "Editors do not ask where a document is read-only or too large, and not while they are told to be quiet.";
    const rest = last === undefined ? "" : " What follows is the account of another document's last request.";
    return `> For \`${nameOf(uri)}\` nothing has been asked. ${reason}${rest}`;
  }

  editorState(state: EditorState): void {
    this.#editing.editorState(state);
  }

  accepted({ completionId }: Accepted): void {
    this.#session.connection.console.debug(`completion ${completionId} accepted`);
    this.#behaviour.accepted(completionId);
    const offered = this.#offered.find(({ id }) => id === completionId);
    if (offered !== undefined) void this.#prefetchAfter(offered);
  }

  /** Ends what is being computed. */
  cancel(): void {
    this.#current?.abort();
    this.#prefetch?.aborter.abort();
    this.#flights.cancel();
  }

  #asked(place: Place, engine: Engine, params: InlineCompletionParams): Asked {
    const { settings } = this.#session;
    const located = this.#locate(place.uri, place.document.languageId);
    const cursor = { path: located?.path ?? nameOf(place.uri), ...place.cursor };
    const trigger = triggerOf(params);
    const signals = this.#editing.signalsOf(place, trigger, performance.now());
    const how = {
      mode: this.#session.mode,
      maxLines: settings["completion.maxLines"],
      gate: settings["completion.gate"],
      signals,
      suggestions: SUGGESTIONS[trigger],
    };
    return { place, cursor, source: located?.workspace ?? engine, how };
  }

  /** Files by their address; what has not been saved yet stands in the workspace all the same. */
  #locate(uri: string, languageId: string): Located | undefined {
    const { engine, folders } = this.#session;
    if (!uri.startsWith("untitled:")) return folders.locate(uri);
    return folders.locateUnsaved(uri, engine?.extensionOf(languageId) ?? "");
  }

  #decide({ place, cursor, source, how }: Asked, params: InlineCompletionParams, engine: Engine) {
    const { settings } = this.#session;
    const situation = this.#editing.situationOf(place, triggerOf(params), {
      isLanguageOn: isLanguageOn(place.document.languageId, settings.languages, engine.pack.manifest.languages),
      isAnswered: source.remembers(cursor, how.mode) || this.#flights.mayAnswer(cursor, how.mode, how.suggestions),
    });
    return decide(situation, this.#editing.typing.rhythm, settings["completion.debounceMs"], performance.now());
  }

  #compute({ cursor, source, how }: Asked, signal: AbortSignal): Promise<Completion> {
    const deadline = AbortSignal.timeout(this.#session.settings["completion.deadlineMs"]);
    return source.complete(cursor, how, AbortSignal.any([signal, deadline]));
  }

  #answered(asked: Asked, completion: Completion): InlineCompletionItem[] {
    const { place } = asked;
    this.#record(place, completion);
    this.#session.log(completion.problems);
    this.#session.show();
    if (completion.timings.tokens > 0) this.#editing.typing.answered(completion.timings.totalMs);
    if (completion.reason !== undefined) return [];
    const { document, offset } = place;
    const { verdict, others = [] } = completion;
    const features = verdict?.features;
    const [first, ...rest] = [{ ...completion, features }, ...others].map((offer) => ({
      id: this.#nextId(),
      offer: { text: offer.text, replaceRight: offer.replaceRight },
      features: offer.features,
    }));
    if (first === undefined) return [];
    const offers = [first, ...rest];
    this.#offered = offers.map(({ id, offer }) => ({ id, asked, offer }));
    const { uri, languageId: language } = document;
    this.#behaviour.shown({ ...first, others: rest, uri, language, text: document.getText(), offset });
    if (place.listed === undefined) this.#editing.typing.shown(uri, offset, completion, others);
    return offers.map(({ id, offer }) => itemOf(place, offer, id));
  }

  #nextId(): number {
    this.#completions += 1;
    return this.#completions;
  }

  /** Nobody waits for the answer any more. The request that took its place, if any, has an account of its own. */
  #unwanted(place: Place, aborter: AbortController): InlineCompletionItem[] {
    return this.#current === aborter ? this.#stayedSilent(place, "cancelled") : [];
  }

  #stayedSilent(place: Spot, reason: NoCompletionReason): InlineCompletionItem[] {
    const isNews = this.#session.last?.completion.reason !== reason;
    this.#record(place, silent(this.#session.mode, reason));
    // One for every keystroke would cost more than it tells.
    if (isNews) this.#session.show();
    return [];
  }

  #record({ document, offset, uri }: Spot, completion: Completion): void {
    const { line, character } = document?.positionAt(offset) ?? { line: 0, character: 0 };
    const located = this.#locate(uri, document?.languageId ?? "");
    const root = located === undefined ? {} : { root: located.workspace.root };
    const path = located?.path ?? nameOf(uri);
    this.#session.last = {
      ...root,
      uri: document?.uri ?? uri,
      path,
      line: line + 1,
      column: character + 1,
      isModeLeftToPack: this.#session.settings.mode === "auto",
      completion,
    };
  }

  /** Computes what will be wanted on the next line, when nothing else is; text that leads elsewhere ends it. */
  async #prefetchAfter({ asked, offer }: Offered): Promise<void> {
    const cursor = afterAcceptance(asked.cursor, offer);
    if (cursor === undefined) return;
    const { mode } = asked.how;
    const aborter = new AbortController();
    this.#prefetch?.aborter.abort();
    this.#prefetch = { aborter, expected: [accepted(asked.cursor, offer), cursor.text] };
    do await pause(PREFETCH_PAUSE_MS, aborter.signal);
    while (this.#busy > 0 && !aborter.signal.aborted);
    if (aborter.signal.aborted || asked.source.remembers(cursor, mode)) return;
    const ahead: Asked = {
      ...asked,
      cursor,
      how: { ...asked.how, origin: "prefetched after an acceptance", suggestions: 1 },
    };
    try {
      const ready = await this.#flights.answer(cursor, mode, (signal) => this.#compute(ahead, signal), aborter.signal);
      if (ready !== undefined) this.#session.connection.console.debug(`prefetched: ${ready.reason ?? ready.text}`);
    } catch (error) {
      // Nobody asked for it; whoever asks next hears of it.
      this.#session.connection.console.debug(`prefetch: ${String(error)}`);
    }
  }
}

/** Offered, but a strict gate would not have: it is shown in a pause of typing only. */
function isDoubtful({ reason, verdict }: Completion): boolean {
  return reason === undefined && verdict?.isSure === false;
}

/** The setting's word on the language, else on all others, else whether the pack was trained on it. */
export function isLanguageOn(
  languageId: string,
  setting: Readonly<Record<string, boolean>>,
  trained: readonly string[],
): boolean {
  // React's dialects are the languages they extend.
  const isTrained = trained.includes(languageId) || trained.includes(languageId.replace(/react$/, ""));
  return setting[languageId] ?? setting["*"] ?? isTrained;
}

function itemOf({ document, offset, listed }: Place, { text, replaceRight }: Offer, id: number): InlineCompletionItem {
  // Beside an open list the offer begins with the selected item and replaces what the item would.
  const start = offset - (listed?.typed.length ?? 0);
  const range = { start: document.positionAt(start), end: document.positionAt(offset + replaceRight) };
  const accept = {
    title: "Accepted",
    command: ACCEPT_COMMAND,
    arguments: [{ completionId: id } satisfies Accepted],
  };
  return { insertText: (listed?.text ?? "") + text, range, command: accept };
}

/** Resolves after `ms`, or at once when aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || ms <= 0) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Last part of an address that is no file, for the prompt's path line. */
function nameOf(uri: string): string {
  return decodeURIComponent(uri.slice(uri.lastIndexOf("/") + 1)) || "untitled.py";
}
