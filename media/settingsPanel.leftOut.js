// The panel's list of what the index left out: a reason a row, opened to a sentence and the paths. Shows what it is given.
// @ts-check

/**
 * @param {{post: (message: object) => void, count: (n: number) => string}} page
 * @param {import("../extension/leftOut.ts").LeftOut} leftOut
 */
function showLeftOut({ post, count }, { sum, reasons }) {
  /** @type {HTMLElement} */ (document.getElementById("leftOutSum")).textContent = sum;
  const list = /** @type {HTMLElement} */ (document.getElementById("leftOutReasons"));
  const opened = new Set([...list.querySelectorAll("details[open]")].map((row) => /** @type {HTMLElement} */ (row).dataset["reason"]));
  list.replaceChildren(...reasons.map((reason) => reasonRow(reason, opened.has(reason.reason))));

  /** @param {import("../extension/leftOut.ts").LeftOutReason} reason @param {boolean} isOpen */
  function reasonRow({ reason, title, sentence, setting, count: n, files }, isOpen) {
    const row = element("details", {}, [
      element("summary", {}, [
        element("span", { textContent: title }),
        element("span", { textContent: count(n), className: "count", ariaLabel: `${count(n)} left out` }),
      ]),
      element("p", { className: "quiet" }, [
        sentence,
        ...(setting === undefined ? [] : [" ", linkTo("Open the setting", { type: "openSettings", setting })]),
      ]),
      element("ul", {}, files.map(pathRow)),
      ...(n > files.length && files.length > 0 ? [element("p", { className: "quiet", textContent: `and ${count(n - files.length)} more` })] : []),
    ]);
    row.dataset["reason"] = reason;
    row.open = isOpen;
    return row;
  }

  /** @param {import("../engine/protocol.ts").SkippedPath} file */
  function pathRow({ root, path, detail }) {
    const name = path === "" ? root : path;
    const link = linkTo(name, { type: "reveal", root, path });
    link.title = "Show in the Explorer";
    return element("li", {}, [link, ...(detail === undefined ? [] : [element("small", { className: "quiet", textContent: detail })])]);
  }

  /** @param {string} textContent @param {object} message */
  function linkTo(textContent, message) {
    const link = element("button", { type: "button", className: "link", textContent });
    link.addEventListener("click", () => post(message));
    return link;
  }

  /**
   * @template {keyof HTMLElementTagNameMap} Name
   * @param {Name} name
   * @param {Partial<HTMLElementTagNameMap[Name]>} properties
   * @param {readonly (Node | string)[]} children
   */
  function element(name, properties, children = []) {
    const made = Object.assign(document.createElement(name), properties);
    if (children.length > 0) made.replaceChildren(...children);
    return made;
  }
}
