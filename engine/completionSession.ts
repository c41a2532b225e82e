// The completion side of one LSP session: when to answer, with what, and the account of the last request.
import {
  type CancellationToken,
  type InlineCompletionItem,
  type InlineCompletionParams,
  InlineCompletionTriggerKind,
  ResponseError,
} from "vscode-languageserver/node";
import type { TextDocument } from "vscode-languageserver-textdocument";
import type { BehaviourSession } from "./behaviourSession.ts";
import type { Completion } from "./completion/complete.ts";
import { EngineError } from "./errors.ts";
import { explain } from "./explain.ts";
import { ACCEPT_COMMAND, type Accepted, type Explanation } from "./protocol.ts";
import type { Session } from "./session.ts";

export class CompletionSession {
  readonly #session: Session;
  readonly #behaviour: BehaviourSession;
  #current: AbortController | undefined;
  #completions = 0;

  constructor(session: Session, behaviour: BehaviourSession) {
    this.#session = session;
    this.#behaviour = behaviour;
  }

  /** A request ends the one before it. Throws a `ResponseError` for a named error. */
  async answer(params: InlineCompletionParams, token: CancellationToken): Promise<InlineCompletionItem[]> {
    this.#current?.abort(new Error("superseded"));
    const aborter = new AbortController();
    this.#current = aborter;
    token.onCancellationRequested(() => aborter.abort());
    const { documents, engine, folders, settings } = this.#session;
    const document = documents.get(params.textDocument.uri);
    if (document === undefined || engine === undefined || !settings.enabled) return [];
    if (params.context.triggerKind === InlineCompletionTriggerKind.Automatic) {
      await pause(settings["completion.debounceMs"], aborter.signal);
      if (aborter.signal.aborted) return [];
    }
    const signal = AbortSignal.any([aborter.signal, AbortSignal.timeout(settings["completion.deadlineMs"])]);
    const located = folders.locate(document.uri);
    const cursor = {
      path: located?.path ?? nameOf(document.uri),
      text: document.getText(),
      offset: document.offsetAt(params.position),
    };
    const how = {
      mode: settings.mode,
      maxLines: settings["completion.maxLines"],
      gate: settings["completion.gate"],
    };
    try {
      const completion = await (located?.workspace ?? engine).complete(cursor, how, signal);
      const { line, character } = params.position;
      const root = located === undefined ? {} : { root: located.workspace.root };
      this.#session.last = { ...root, path: cursor.path, line: line + 1, column: character + 1, completion };
      this.#session.log(completion.problems);
      this.#session.show();
      return completion.reason === undefined ? [this.#item(document, cursor.offset, completion)] : [];
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#session.connection.console.error(`${error.message}. ${error.action}`);
      throw new ResponseError(-32000, error.message, { code: error.code, action: error.action });
    }
  }

  explain(): Explanation {
    const { last } = this.#session;
    return { markdown: explain(last), root: last?.root ?? null };
  }

  accepted({ completionId }: Accepted): void {
    this.#session.connection.console.debug(`completion ${completionId} accepted`);
    this.#behaviour.accepted(completionId);
  }

  /** Ends what is being computed. */
  cancel(): void {
    this.#current?.abort();
  }

  #item(document: TextDocument, offset: number, completion: Completion): InlineCompletionItem {
    this.#completions += 1;
    this.#behaviour.shown({
      id: this.#completions,
      uri: document.uri,
      language: document.languageId,
      text: document.getText(),
      offset,
      offer: completion,
      features: completion.verdict?.features,
    });
    const range = { start: document.positionAt(offset), end: document.positionAt(offset + completion.replaceRight) };
    const accept = {
      title: "Accepted",
      command: ACCEPT_COMMAND,
      arguments: [{ completionId: this.#completions } satisfies Accepted],
    };
    return { insertText: completion.text, range, command: accept };
  }
}

/** Resolves after `ms`, or at once when aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
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
