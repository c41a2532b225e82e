// Several offers for a manual trigger, and offers taken in part, with the built engine over the protocol.
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type InlineCompletionItem,
  InlineCompletionRequest,
  InlineCompletionTriggerKind,
} from "vscode-languageserver-protocol/node";
import { ACCEPTED, STATISTICS, type Statistics } from "../../engine/protocol.ts";
import { startClient, type TestClient } from "./client.ts";
import { copyWorkspace, type TestWorkspace, UNFINISHED } from "./workspace.ts";

let workspace: TestWorkspace;
let client: TestClient;

beforeEach(async () => {
  workspace = await copyWorkspace();
  client = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir });
  await client.status(({ state }) => state === "ready");
});
afterEach(async () => {
  await client.kill();
  await workspace.remove();
});

/** At the end of `text`, which the document becomes. */
async function ask(
  uri: string,
  text: string,
  triggerKind: InlineCompletionTriggerKind,
): Promise<InlineCompletionItem[]> {
  await client.change(uri, text);
  const lines = text.split("\n");
  const answer = await client.connection.sendRequest(InlineCompletionRequest.type, {
    textDocument: { uri },
    position: { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 },
    context: { triggerKind },
  });
  return Array.isArray(answer) ? answer : (answer?.items ?? []);
}

const { Automatic, Invoked } = InlineCompletionTriggerKind;
const textsOf = (items: readonly InlineCompletionItem[]) => items.map(({ insertText }) => String(insertText));
const totals = async () => (await client.connection.sendRequest<Statistics>(STATISTICS, null)).total;

it("a manual trigger brings several, typing brings one, and whichever is taken counts", async () => {
  const uri = await client.open(join(workspace.dir, "shop/exchange.py"), "");
  expect(textsOf(await ask(uri, UNFINISHED, Automatic)).length).toBeLessThanOrEqual(1);
  const items = await ask(uri, UNFINISHED, Invoked);
  const texts = textsOf(items);
  expect(texts.length).toBeGreaterThan(1);
  expect(texts.length).toBeLessThanOrEqual(3);
  expect(new Set(texts).size).toBe(texts.length);
  const ids = items.map(({ command }) => command?.arguments?.[0]?.completionId);
  expect(new Set(ids).size).toBe(items.length);
  const account = await client.explain();
  expect(account).toContain("## Also offered");
  for (const text of texts) expect(account).toContain(text);

  const [, second = ""] = texts;
  await client.change(uri, UNFINISHED + second);
  await client.connection.sendNotification(ACCEPTED, { completionId: ids[1] });
  expect(await totals()).toMatchObject({ accepted: 1, rejected: 0, characters: second.length });
});

it("what is left behind an accepted word is given from memory, and the word counts as a part", async () => {
  const uri = await client.open(join(workspace.dir, "shop/exchange.py"), "");
  const texts = textsOf(await ask(uri, UNFINISHED, Invoked));
  const whole = texts.find((text) => /^\w{2,}\W/.test(text)) ?? "";
  const word = /^\w+/.exec(whole)?.[0] ?? "";
  expect(word).not.toBe("");
  const [rest] = textsOf(await ask(uri, UNFINISHED + word, Automatic));
  expect([whole.slice(word.length), ...texts.map((text) => text.slice(word.length))]).toContain(rest);
  const account = await client.explain();
  expect(account).toContain(`**Reused**: typed along the last completion, ${word.length} characters further.`);
  // The account is the one of the request that computed it.
  expect(account).toContain("## What the reader read");
  expect(account).toContain("| generate |");
  await client.change(uri, `${UNFINISHED}${word} # something else`);
  expect(await totals()).toMatchObject({ accepted: 0, acceptedPart: 1, rejected: 0, characters: word.length });
});

it("says of the document looked at when it was another that was asked about", async () => {
  const uri = await client.open(join(workspace.dir, "shop/exchange.py"), "");
  await ask(uri, UNFINISHED, Invoked);
  const explain = async (of: string) =>
    ((await client.connection.sendRequest("precis/explain", { uri: of })) as { markdown: string }).markdown;
  expect(await explain(uri)).not.toContain("nothing has been asked");
  const old = await explain("git:/shop/exchange.py?ref");
  expect(old).toContain("For `exchange.py?ref` nothing has been asked. Documents of the kind `git:`");
  expect(old).toContain("## What the reader read");
  await client.connection.sendRequest(InlineCompletionRequest.type, {
    textDocument: { uri: "file:///nowhere/unopened.py" },
    position: { line: 0, character: 0 },
    context: { triggerKind: Automatic },
  });
  expect(await client.explain()).toContain("`unknown-document`");
});
