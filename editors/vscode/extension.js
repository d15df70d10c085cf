// Starts `stark lsp` and hands it to the editor.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

/** @type {LanguageClient | undefined} */
let client;

async function start() {
  const settings = vscode.workspace.getConfiguration("stark");
  const command = settings.get("path") || "stark";
  const server = { command, args: ["lsp", ...settings.get("arguments", [])] };
  const options = {
    documentSelector: [{ language: "stark" }],
    // Modules and models that change outside of the editor change what is known of a program.
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.{stark,pt,pt2,onnx}") },
  };
  client = new LanguageClient("stark", "STARK", server, options);
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const choice = await vscode.window.showErrorMessage(
      `STARK: \`${command} lsp\` could not be started (${error.message}). Set "stark.path" to the \`stark\` command.`,
      "Open settings",
    );
    if (choice) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "stark.path");
    }
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.stop();
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("stark.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("stark.path") || change.affectsConfiguration("stark.arguments")) {
        return restart();
      }
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
