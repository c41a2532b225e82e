// “Download GPU Libraries”: what the runtime needs for CUDA and no package brings, fetched when a person asks for it.
import { ProgressLocation, window } from "vscode";
import { type AddModelOutcome, ENGINE_COMMANDS, MODELS, type ModelChoices } from "../engine/protocol.ts";
import { type ChooseModelParts, proxyOfEditor } from "./chooseModel.ts";
import { runEngineCommand } from "./engineCommand.ts";

export async function downloadGpuLibraries(parts: ChooseModelParts): Promise<void> {
  const { engine, log } = parts;
  const needed = (await engine.ask<ModelChoices>(MODELS))?.gpuLibraries;
  if (needed === undefined) {
    void window.showWarningMessage("Precis: the engine is not running. Start it, then ask again.");
    return;
  }
  if (needed === null) {
    void window.showInformationMessage("Precis: GPUs of this system are used without further libraries.");
    return;
  }
  const detail = [
    `${needed.name}, a few hundred MB, is downloaded from ${needed.host} and verified.`,
    "It is for NVIDIA GPUs. The driver, CUDA 12 and cuDNN 9 are not in it and must be installed. Without them Precis uses the GPU through WebGPU where its driver brings Vulkan.",
  ].join("\n\n");
  const question = "Download the libraries for CUDA?";
  if ((await window.showInformationMessage(question, { modal: true, detail }, "Download")) !== "Download") return;
  for (;;) {
    const outcome = await run(parts);
    if (outcome.end === "cancelled") return;
    if (outcome.end === "done") {
      await engine.restart();
      const told = `Precis: ${outcome.message}; the engine tries them now. Its doctor says what came of it.`;
      void window.showInformationMessage(told);
      return;
    }
    const remedy = await window.showErrorMessage(`Precis: ${outcome.message}`, "Try Again", "Show Log");
    if (remedy === "Show Log") log.show();
    if (remedy !== "Try Again") return;
  }
}

async function run({ engine }: ChooseModelParts): Promise<AddModelOutcome> {
  const title = "Precis: getting the libraries for CUDA";
  const command = { command: ENGINE_COMMANDS.addGpuLibraries, arguments: [proxyOfEditor()] };
  try {
    const outcome = await window.withProgress(
      { location: ProgressLocation.Notification, title, cancellable: true },
      (progress, cancellation) => runEngineCommand<AddModelOutcome>(engine, command, progress, cancellation),
    );
    return outcome ?? { end: "cancelled", message: "cancelled" };
  } catch (error) {
    return { end: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}
