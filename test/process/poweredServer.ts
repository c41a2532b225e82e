// The language server on a machine whose power state is a file, `{"isOnBattery":…,"percent":…}`: its path is the argument.
import { readFileSync } from "node:fs";
import { createConnection, ProposedFeatures } from "vscode-languageserver/node";
import { installationOf } from "../../engine/installation.ts";
import { LanguageServer } from "../../engine/languageServer.ts";
import type { Power } from "../../engine/power.ts";

const [file = ""] = process.argv.slice(2);
const installation = installationOf(new URL("../../engine/main.ts", import.meta.url).href);
const read = async () => JSON.parse(readFileSync(file, "utf8")) as Power;
new LanguageServer(createConnection(ProposedFeatures.all), installation, { read, everyMs: 200 }).listen();
