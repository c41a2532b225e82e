// Put in the place of @vscode/native-watchdog in the code-server that scripts/codeServer.ts installs: ends this process when the
// one it belongs to is gone.
"use strict";

const INTERVAL_MS = 1000;

exports.start = (pid) => {
  setInterval(() => {
    try {
      process.kill(pid, 0);
    } catch {
      process.exit(87);
    }
  }, INTERVAL_MS).unref();
};
