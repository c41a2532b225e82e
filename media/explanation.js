// Shows the account it is sent, and sends back which link was clicked.
const editor = acquireVsCodeApi();
const account = document.getElementById("account");

window.addEventListener("message", ({ data }) => {
  if (typeof data?.html === "string") account.innerHTML = data.html;
});

account.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link === null) return;
  event.preventDefault();
  editor.postMessage({ open: link.dataset.href ?? link.getAttribute("href") });
});

editor.postMessage({ ready: true });
