// The settings panel's page: shows the state it is sent, sends back what the person chose. Holds no state of its own.
// @ts-check
(() => {
  // @ts-expect-error given by the webview
  const host = acquireVsCodeApi();
  const numbers = new Intl.NumberFormat("en");
  const NONE = "–";

  const STATE_NAMES = { starting: "Starting", indexing: "Indexing", ready: "Ready", off: "Off", error: "Error" };
  const MODE_NAMES = { full: "Full RAG", compressed: "Compressed", none: "Only its file" };

  /** @param {string} id */
  const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
  /** @param {string} id @param {string} text */
  const write = (id, text) => {
    at(id).textContent = text;
  };
  /** @param {number} ms */
  const time = (ms) => `${numbers.format(Math.round(ms))} ms`;
  /** @param {number} bytes */
  const size = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  /** Codes such as FILE_TOO_LARGE and nothing-generated in plain words. @param {string} code */
  const words = (code) => code.replace(/^FILE_/, "").toLowerCase().replace(/[_-]/g, " ");

  const enabled = /** @type {HTMLInputElement} */ (at("enabled"));
  const modes = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=mode]"));

  enabled.addEventListener("change", () => host.postMessage({ type: "setEnabled", enabled: enabled.checked }));
  for (const input of modes) {
    input.addEventListener("change", () => host.postMessage({ type: "setMode", mode: input.value }));
  }
  for (const command of ["reindex", "index", "cancelIndexing", "explain", "chooseModel", "showLog", "restart"]) {
    at(command).addEventListener("click", () => host.postMessage({ type: "run", command }));
  }
  for (const link of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-setting]"))) {
    link.addEventListener("click", () => host.postMessage({ type: "openSettings", setting: link.dataset["setting"] }));
  }
  const page = { post: (/** @type {object} */ message) => host.postMessage(message), count: (/** @type {number} */ n) => numbers.format(n) };

  window.addEventListener("message", (event) => {
    const update = /** @type {import("../extension/panelMessages.ts").PanelUpdate} */ (event.data);
    if (update.type === "state") show(update.state);
    else showLeftOut(page, update.leftOut);
  });
  host.postMessage({ type: "ready" });

  /** @param {import("../extension/panelMessages.ts").PanelState} panel */
  function show(panel) {
    const { status } = panel;
    showState(status);
    showIndexing(status, panel);
    enabled.checked = panel.enabled;
    for (const input of modes) {
      const isKnown = input.value === "auto" || status.pack === null || status.pack.modes.includes(input.value);
      input.checked = input.value === panel.mode;
      input.disabled = !isKnown;
      input.title = isKnown ? "" : "The chosen pack has no models for this.";
    }
    const isAuto = panel.mode === "auto" && status.modeChoice === "auto" && status.pack !== null;
    write("autoMode", isAuto ? `: now ${MODE_NAMES[status.mode]}` : "");
    const fault = status.pack?.compressedFault ?? null;
    at("compressedFault").hidden = fault === null;
    write("compressedFault", fault ?? "");
    showIndex(status, panel);
    showFolders(status.index.folders);
    showLast(status.last);
    write("packTitle", status.pack?.title ?? "none loaded");
    write("packId", status.pack?.id ?? NONE);
    write("packVersion", status.pack?.version ?? NONE);
    write("execution", panel.executionText);
    write("target", panel.target === "workspace" ? "Changes go to this workspace's settings." : "Changes go to your user settings.");
  }

  /** @param {import("../engine/protocol.ts").EngineStatus} status */
  function showState(status) {
    const isIndexing = status.state === "indexing";
    const percent = Math.round(status.percent);
    write("state", isIndexing ? `Indexing ${percent} %` : STATE_NAMES[status.state]);
    at("state").dataset["state"] = status.state;
    // Only what a person may have to wait for or act on is told in words.
    const message = at("message");
    message.hidden = (status.state !== "starting" && status.state !== "error") || status.message === "";
    message.dataset["state"] = status.state;
    message.textContent = status.message;
  }

  /** @param {import("../engine/protocol.ts").EngineStatus} status @param {import("../extension/panelMessages.ts").PanelState} panel */
  function showIndexing(status, { pauseText }) {
    at("indexing").hidden = status.state !== "indexing";
    /** @type {HTMLProgressElement} */ (at("progress")).value = status.percent;
    write("progressText", status.message);
    write("currentPath", status.indexing?.currentPath ?? "");
    at("paused").hidden = pauseText === null;
    write("pauseText", pauseText === null ? "" : `${pauseText}.`);
    at("batterySetting").hidden = status.paused?.reason !== "battery";
  }

  /** A table only where there is more than one, or one in trouble. @param {readonly import("../engine/protocol.ts").FolderIndex[]} folders */
  function showFolders(folders) {
    at("folders").hidden = folders.every(({ error, inner }) => error === null && inner.length === 0) && folders.length < 2;
    at("folderRows").replaceChildren(
      ...folders.map((folder) => {
        const row = document.createElement("tr");
        const name = document.createElement("th");
        name.scope = "row";
        name.append(...folderLines(folder));
        row.append(name);
        for (const text of [numbers.format(folder.files), numbers.format(folder.chunks), size(folder.dbBytes)]) {
          row.insertCell().textContent = text;
        }
        return row;
      }),
    );
  }

  /** @param {import("../engine/protocol.ts").FolderIndex} folder */
  function folderLines({ root, inner, readOnly, error }) {
    const notes = [
      ...inner.map((path) => `with ${path}`),
      ...(readOnly ? ["another window writes it"] : []),
      ...(error === null ? [] : [error]),
    ];
    return [root, ...notes].map((text, line) => {
      const element = document.createElement(line === 0 ? "span" : "small");
      if (line > 0) element.className = text === error ? "wrong" : "quiet";
      element.textContent = text;
      return element;
    });
  }

  /** @param {import("../engine/protocol.ts").EngineStatus} status @param {import("../extension/panelMessages.ts").PanelState} panel */
  function showIndex({ index, state }, { indexedText, diskLimitMiB }) {
    write("files", numbers.format(index.files));
    write("chunks", numbers.format(index.chunks));
    write("nodes", numbers.format(index.nodes));
    write("size", size(index.dbBytes));
    write("limit", `${numbers.format(diskLimitMiB)} MiB${index.folders.length > 1 ? " a folder" : ""}`);
    write("indexed", indexedText);
    at("readOnly").hidden = !index.readOnly;
    const button = /** @type {HTMLButtonElement} */ (at("reindex"));
    button.disabled = state === "indexing" || state === "starting" || index.readOnly;
  }

  /** @param {import("../engine/protocol.ts").LastCompletion | null} last */
  function showLast(last) {
    write("total", last === null ? NONE : time(last.totalMs));
    const isOfEarlier = last !== null && last.ttftMs > last.totalMs;
    write("ttft", last === null ? NONE : isOfEarlier ? "computed before" : time(last.ttftMs));
    write("lastMode", last === null ? NONE : MODE_NAMES[last.mode]);
    write("reason", last === null ? "none yet" : last.reason === undefined ? "offered" : words(last.reason));
    /** @type {HTMLButtonElement} */ (at("explain")).disabled = last === null;
  }
})();
