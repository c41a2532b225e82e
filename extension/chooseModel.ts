// “Choose Model”: a list of what is on this machine and what can be got, then, after a person agreed, the download as a
// notification with progress, and the choice written into the settings.
import {
  commands,
  env,
  type LogOutputChannel,
  ProgressLocation,
  type QuickInputButton,
  type QuickPickItem,
  QuickPickItemKind,
  ThemeIcon,
  Uri,
  window,
  workspace,
} from "vscode";
import { ExecuteCommandRequest } from "vscode-languageclient/node";
import {
  type AddModel,
  type AddModelOutcome,
  ENGINE_COMMANDS,
  type InstalledAddOn,
  type InstalledPack,
  MODELS,
  type ModelChoices,
  type OfferedModel,
  type RemoveModel,
  type RemoveModelOutcome,
} from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { runEngineCommand } from "./engineCommand.ts";
import type { HubTokens } from "./hubToken.ts";
import { addOnRow, consentText, installedRow, offeredRow, type Remedy, remediesOf, removalText } from "./modelText.ts";
import { chosenPack, setPack } from "./settings.ts";

export interface ChooseModelParts {
  readonly engine: Engine;
  readonly tokens: HubTokens;
  readonly log: LogOutputChannel;
}

interface Row extends QuickPickItem {
  readonly run?: () => Promise<void>;
  /** Behind its button. */
  readonly remove?: () => Promise<void>;
}

/** What is to be got, and how it is called. */
interface Wanted {
  readonly source: string;
  readonly title: string;
  readonly page?: string;
}

const SEPARATOR = QuickPickItemKind.Separator;
const REMOVE: QuickInputButton = { iconPath: new ThemeIcon("trash"), tooltip: "Remove from this machine" };

export async function chooseModel(parts: ChooseModelParts): Promise<void> {
  const choices = await askChoices(parts);
  if (choices === undefined) return;
  const provider = parts.engine.status().execution?.provider;
  const chosen = chosenPack();
  const [first] = choices.installed;
  const isChosen = (pack: InstalledPack) => pack.name === chosen || (chosen === "auto" && pack === first);
  // One that was chosen a moment ago may not be open yet.
  const asChosen = (pack: InstalledPack) => ({ ...pack, isInUse: pack.isInUse || isChosen(pack) });
  const installedNames = choices.installed.map(({ name }) => name);
  const offered = choices.offered.filter(({ name }) => !installedNames.includes(name));
  const rows: Row[] = [
    { label: "On this machine", kind: SEPARATOR },
    ...choices.installed.map((pack) => ({
      ...installedRow(pack, isChosen(pack)),
      run: () => setPack(pack === first ? "auto" : pack.name),
      ...(pack.isBundled ? {} : removable(() => remove(parts, "pack", asChosen(pack)))),
    })),
    ...choices.addOns.map((addOn) => ({
      ...addOnRow(addOn),
      ...removable(() => remove(parts, "add-on", addOn)),
    })),
    { label: `From ${choices.hub.host}`, kind: SEPARATOR },
    ...offered.map((model) => ({
      ...offeredRow(model, choices.machine, provider),
      run: () => download(parts, model, choices),
    })),
    { label: "Without a network", kind: SEPARATOR },
    {
      label: "$(folder-opened) Folder on this machine…",
      detail: "A checkpoint, an ONNX export, a pack or an add-on, copied here",
      run: () => chooseFolder(parts),
    },
    { label: "", kind: SEPARATOR },
    { label: "$(key) Set hub token…", detail: `For ${choices.hub.origin} alone`, run: () => askToken(parts) },
  ];
  await (await pick(rows))?.();
}

/** What the person wants done; undefined when nothing is. */
function pick(rows: readonly Row[]): Promise<(() => Promise<void>) | undefined> {
  const list = window.createQuickPick<Row>();
  list.title = "Precis: Choose Model";
  list.placeholder = "Nothing is downloaded before you agree";
  list.matchOnDetail = true;
  list.items = rows;
  return new Promise((resolve) => {
    list.onDidAccept(() => {
      const [row] = list.selectedItems;
      // An add-on is taken by itself where it fits: there is nothing to choose.
      if (row?.run === undefined) return;
      resolve(row.run);
      list.hide();
    });
    list.onDidTriggerItemButton(({ item }) => {
      resolve(item.remove);
      list.hide();
    });
    list.onDidHide(() => {
      resolve(undefined);
      list.dispose();
    });
    list.show();
  });
}

function removable(action: () => Promise<void>): Pick<Row, "buttons" | "remove"> {
  return { buttons: [REMOVE], remove: action };
}

/** Asks first. */
async function remove(parts: ChooseModelParts, kind: "pack" | "add-on", unwanted: InstalledAddOn): Promise<void> {
  const { engine } = parts;
  const { question, detail } = removalText(kind, unwanted);
  const agreed = await window.showWarningMessage(question, { modal: true, detail }, "Remove");
  if (agreed !== "Remove") return chooseModel(parts);
  // First, so that the engine that is started in its place has what to start with.
  if (kind === "pack" && chosenPack() === unwanted.name) await setPack("auto");
  const wish: RemoveModel = { name: unwanted.name };
  const params = { command: ENGINE_COMMANDS.removeModel, arguments: [wish] };
  const { end, message }: RemoveModelOutcome = await engine.client.sendRequest(ExecuteCommandRequest.type, params);
  if (end === "failed") void window.showErrorMessage(`Precis: ${message}`);
  else void window.showInformationMessage(`Precis: ${message}.`);
}

/** For the hub that the settings name. */
export async function askToken(parts: ChooseModelParts): Promise<void> {
  const choices = await askChoices(parts);
  if (choices !== undefined) await parts.tokens.ask(choices.hub.origin);
}

async function askChoices({ engine }: ChooseModelParts): Promise<ModelChoices | undefined> {
  const choices = await engine.ask<ModelChoices>(MODELS);
  if (choices !== undefined) return choices;
  const choice = await window.showWarningMessage(
    "Precis: the engine is not running, so it has no models yet.",
    "Restart",
  );
  if (choice === "Restart") await engine.restart();
  return undefined;
}

async function download(parts: ChooseModelParts, model: OfferedModel, choices: ModelChoices): Promise<void> {
  const { question, detail } = consentText(model, choices);
  const agreed = await window.showInformationMessage(question, { modal: true, detail }, "Download", "Read Licence");
  if (agreed === "Read Licence") {
    await env.openExternal(Uri.parse(model.page));
    return download(parts, model, choices);
  }
  if (agreed === "Download") await get(parts, { source: model.source, title: model.title, page: model.page });
}

async function chooseFolder(parts: ChooseModelParts): Promise<void> {
  const [folder] =
    (await window.showOpenDialog({
      title: "Folder with a checkpoint, an ONNX export or a pack",
      openLabel: "Use Folder",
      canSelectFiles: false,
      canSelectFolders: true,
    })) ?? [];
  if (folder === undefined) return;
  const name = folder.path.split("/").at(-1) ?? folder.fsPath;
  await get(parts, { source: folder.fsPath, title: name });
}

/** Until it is here, the person ends it, or there is nothing more to try. */
async function get(parts: ChooseModelParts, wanted: Wanted): Promise<void> {
  for (;;) {
    const outcome = await run(parts, wanted);
    if (outcome.end === "cancelled") {
      const again = await window.showInformationMessage(
        `Precis: ${wanted.title} was not finished. What was downloaded is kept.`,
        "Go On",
      );
      if (again === undefined) return;
      continue;
    }
    if (outcome.end === "done") {
      const { pack } = outcome;
      await (pack === undefined ? parts.engine.restart() : setPack(pack));
      void window.showInformationMessage(`Precis: ${outcome.message}${pack === undefined ? "" : ", and chosen"}.`);
      return;
    }
    const remedies = remediesOf(outcome.code).filter((remedy) => remedy !== "Open Page" || wanted.page !== undefined);
    const remedy = await window.showErrorMessage(`Precis: ${wanted.title}: ${outcome.message}`, ...remedies);
    if (remedy === undefined || !(await apply(remedy, parts, wanted))) return;
  }
}

/** True when it is to be tried again. */
async function apply(remedy: Remedy, parts: ChooseModelParts, { page }: Wanted): Promise<boolean> {
  switch (remedy) {
    case "Try Again":
      return true;
    case "Set Token": {
      const choices = await askChoices(parts);
      return choices !== undefined && (await parts.tokens.ask(choices.hub.origin));
    }
    case "Open Page":
      if (page !== undefined) await env.openExternal(Uri.parse(page));
      return false;
    case "Choose Folder":
      await chooseFolder(parts);
      return false;
    case "Open Settings":
      await commands.executeCommand("workbench.action.openSettings", "precis.hub");
      return false;
    case "Show Log":
      parts.log.show();
      return false;
  }
}

async function run({ engine, tokens }: ChooseModelParts, { source, title }: Wanted): Promise<AddModelOutcome> {
  try {
    const origin = (await engine.ask<ModelChoices>(MODELS))?.hub.origin;
    if (origin === undefined) return { end: "failed", message: "the engine is not running" };
    const token = await tokens.of(origin);
    const wish: AddModel = { source, ...(token === undefined ? {} : { token }), ...proxyOfEditor() };
    const outcome = await window.withProgress(
      { location: ProgressLocation.Notification, title: `Precis: getting ${title}`, cancellable: true },
      (progress, cancellation) =>
        runEngineCommand<AddModelOutcome>(
          engine,
          { command: ENGINE_COMMANDS.addModel, arguments: [wish] },
          progress,
          cancellation,
        ),
    );
    return outcome ?? { end: "cancelled", message: "cancelled" };
  } catch (error) {
    return { end: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}

/** What the settings say of a proxy; what they leave open is the environment's. */
export function proxyOfEditor(): Pick<AddModel, "proxy"> {
  const http = workspace.getConfiguration("http");
  if (http.get<string>("proxySupport") === "off") return {};
  const address = http.get<string>("proxy") ?? "";
  const except = (http.get<string[]>("noProxy") ?? []).join(",");
  return address === "" && except === "" ? {} : { proxy: { address, except } };
}
