// `npm run lab -w packages/backend-libvirt`: makes a lab, takes commands, and removes it when it is left.
import process from "node:process";
import { createInterface } from "node:readline";
import { isLabError } from "./lab-error.ts";
import type { Lab, LabHost } from "./lab.ts";
import { startLab } from "./start-lab.ts";

const COMMANDS: Readonly<Record<string, (host: LabHost) => Promise<void>>> = {
  cut: (host) => host.cutOff(),
  join: (host) => host.rejoin(),
  pause: (host) => host.pause(),
  resume: (host) => host.resume(),
  kill: (host) => host.kill(),
};

function describe({ hosts, sharedDirectory }: Lab): string {
  const lines = hosts.flatMap(({ name, address, uri, networkUri, shellCommand }) => [
    `${name} at ${address}`,
    `  virsh -c '${networkUri}'`,
    `  beside the network: virsh -c '${uri}'`,
    `  shell: ${shellCommand.join(" ")}`,
  ]);
  return [
    ...lines,
    `Folder that all hosts see: ${sharedDirectory}`,
    `Commands: ${Object.keys(COMMANDS).join(", ")}, each with the name of a host. Ctrl-D removes everything.`,
  ].join("\n");
}

async function obey(lab: Lab, line: string): Promise<string> {
  const [verb = "", name = ""] = line.trim().split(/\s+/);
  const command = COMMANDS[verb];
  const host = lab.hosts.find((each) => each.name === name);
  if (command === undefined || host === undefined) {
    return `Say one of ${Object.keys(COMMANDS).join(", ")} and one of ${lab.hosts.map((each) => each.name).join(", ")}.`;
  }
  await command(host);
  return `${verb} ${name}: done`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(names: readonly string[]): Promise<void> {
  await using lab = await startLab({
    hosts: names.length > 0 ? names : undefined,
    onProgress: (message) => say(message),
  });
  say(describe(lab));
  const lines = createInterface({ input: process.stdin, terminal: false });
  const leave = (): void => lines.close();
  process.once("SIGINT", leave).once("SIGTERM", leave);
  for await (const line of lines) {
    if (line.trim() === "") continue;
    say(await obey(lab, line));
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!isLabError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
