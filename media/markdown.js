// Shows the text it is sent, and sends back which link was clicked.
const editor = acquireVsCodeApi();
const text = document.getElementById("text");

window.addEventListener("message", ({ data }) => {
  if (typeof data?.html === "string") text.innerHTML = data.html;
});

text.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link === null) return;
  event.preventDefault();
  editor.postMessage({ open: link.dataset.href ?? link.getAttribute("href") });
});

editor.postMessage({ ready: true });
