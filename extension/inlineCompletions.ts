// Ghost text: the language client asks the engine; this decides when not to ask, and reports what was accepted.
import { commands, type Disposable } from "vscode";
import type { LanguageClient, Middleware } from "vscode-languageclient/node";
import { ACCEPT_COMMAND, ACCEPTED, type Accepted } from "../engine/protocol.ts";
import { isEnabled } from "./settings.ts";

type InlineCompletionMiddleware = NonNullable<Middleware["provideInlineCompletionItems"]>;

/** Off means off: the document never leaves the editor's process for a completion nobody wants. */
export function inlineCompletionMiddleware(isRunning: () => boolean): InlineCompletionMiddleware {
  return (document, position, context, token, next) => {
    if (!isEnabled() || !isRunning()) return undefined;
    return next(document, position, context, token);
  };
}

/** Each item carries `ACCEPT_COMMAND`, which the editor runs when the person takes it. */
export function registerAccepted(client: LanguageClient): Disposable {
  return commands.registerCommand(ACCEPT_COMMAND, async (argument: unknown) => {
    if (!isAccepted(argument) || !client.isRunning()) return;
    await client.sendNotification(ACCEPTED, argument);
  });
}

function isAccepted(value: unknown): value is Accepted {
  return (
    typeof value === "object" && value !== null && "completionId" in value && typeof value.completionId === "number"
  );
}
