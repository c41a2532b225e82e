// Work-done progress of one long command, over a token the client gave or one made here; cancel arrives by that token.
import {
  type CancellationToken,
  type Connection,
  type ProgressToken,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
  WorkDoneProgressCreateRequest,
} from "vscode-languageserver/node";

export interface Progress {
  /** `percent` 0–100. */
  report(percent: number, message: string): void;
  end(message: string): void;
  /** Aborted when the client cancels the progress or the request. */
  readonly signal: AbortSignal;
}

export type StartProgress = (
  title: string,
  from: { token?: ProgressToken | undefined; cancellation?: CancellationToken },
) => Promise<Progress>;

/** `canCreate`: the client said it shows progress the server starts. */
export function progressOn(connection: Connection, canCreate: () => boolean): StartProgress {
  const running = new Map<ProgressToken, AbortController>();
  let made = 0;
  let isListening = false;
  return async (title, from) => {
    // The library takes this notification for its own tokens during the handshake; ours must come after.
    if (!isListening)
      connection.onNotification(WorkDoneProgressCancelNotification.type, ({ token }) => running.get(token)?.abort());
    isListening = true;
    const aborter = new AbortController();
    from.cancellation?.onCancellationRequested(() => aborter.abort());
    const token = from.token ?? (canCreate() ? `precis-${++made}` : undefined);
    if (token === undefined) return { report: () => {}, end: () => {}, signal: aborter.signal };
    if (from.token === undefined) await connection.sendRequest(WorkDoneProgressCreateRequest.type, { token });
    running.set(token, aborter);
    connection.sendProgress(WorkDoneProgress.type, token, { kind: "begin", title, cancellable: true, percentage: 0 });
    return {
      report: (percent, message) => {
        connection.sendProgress(WorkDoneProgress.type, token, {
          kind: "report",
          percentage: Math.round(percent),
          message,
          cancellable: true,
        });
      },
      end: (message) => {
        running.delete(token);
        connection.sendProgress(WorkDoneProgress.type, token, { kind: "end", message });
      },
      signal: aborter.signal,
    };
  };
}
