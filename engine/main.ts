// Language-server entry: messages become calls, errors become replies. Node IPC when forked by an editor, else --stdio.
import { createConnection, ProposedFeatures } from "vscode-languageserver/node";
import { installationOf } from "./installation.ts";
import { LanguageServer } from "./languageServer.ts";

const connection = createConnection(ProposedFeatures.all);
const server = new LanguageServer(connection, installationOf(import.meta.url));
// A bug fails what it was doing, not the editor's session.
process.on("unhandledRejection", (error) => server.reportBug(error));
server.listen();
