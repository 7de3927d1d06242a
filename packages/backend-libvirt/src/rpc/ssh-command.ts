import type { SshTransport } from "./libvirt-transport.ts";
import { RpcError } from "./rpc-error.ts";

const hostPattern = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+)$/;
const userPattern = /^[A-Za-z0-9_][A-Za-z0-9._@+-]*$/;
const unsafeText = /[\p{Cc}'\\]/u;

/**
 * Refuses values that a shell, ssh or its configuration could take for something else.
 *
 * @throws RpcError `RPC_INVALID_URI` naming the part.
 */
export function checkSshTransport(transport: SshTransport): void {
  const { host, user, keyFile, netcat, socketPaths, driverUri } = transport;
  if (!hostPattern.test(host)) throw unsafe("host");
  if (user !== undefined && !userPattern.test(user)) throw unsafe("user");
  if (keyFile !== undefined && unsafeText.test(keyFile)) throw unsafe("key file");
  if (unsafeText.test(netcat) || !/^[^-]/.test(netcat)) throw unsafe("netcat");
  if (socketPaths.some((path) => !path.startsWith("/") || unsafeText.test(path))) {
    throw unsafe("socket");
  }
  if (unsafeText.test(driverUri) || !/^[a-z]/.test(driverUri)) throw unsafe("path or name");
}

function unsafe(part: string): RpcError {
  return new RpcError(
    "RPC_INVALID_URI",
    `The ${part} of an ssh URI has a form that is not passed on to ssh or to a shell: it is ` +
      "empty, begins with a dash, or has quotes, backslashes, control or other special characters.",
  );
}

/**
 * The arguments of `ssh` for a transport: it never asks anything and has no terminal.
 *
 * @remarks
 * The host stands after `--` and the other values after their options, so none of them can become
 * an option. ssh hands the last argument to the login shell of the other machine, whichever that
 * is; it starts a POSIX shell, which becomes virt-ssh-helper or netcat.
 */
export function sshArguments(transport: SshTransport): readonly string[] {
  const { host, port, user, keyFile, verifiesHost } = transport;
  return [
    ...(port === undefined ? [] : ["-p", `${port}`]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(keyFile === undefined ? [] : ["-i", keyFile]),
    "-T",
    "-e",
    "none",
    "-o",
    "BatchMode=yes",
    ...(verifiesHost ? [] : ["-o", "StrictHostKeyChecking=accept-new"]),
    "--",
    host,
    `sh -c ${quote(remoteScript(transport))}`,
  ];
}

function remoteScript(transport: SshTransport): string {
  const helper = `exec virt-ssh-helper ${transport.readOnly ? "-r " : ""}${quote(transport.driverUri)}`;
  const netcat = netcatScript(transport);
  switch (transport.proxy) {
    case "native":
      return helper;
    case "netcat":
      return netcat;
    case "auto":
      return `if command -v virt-ssh-helper >/dev/null 2>&1; then ${helper}; else ${netcat}; fi`;
  }
}

function netcatScript({ netcat, socketPaths }: SshTransport): string {
  const last = socketPaths.at(-1);
  if (last === undefined) return "echo virt-ssh-helper was not found >&2; exit 127";
  const program = quote(netcat);
  const choices = socketPaths
    .slice(0, -1)
    .map((path) => `if test -S ${quote(path)}; then s=${quote(path)}; el`);
  const choice =
    choices.length === 0 ? `s=${quote(last)};` : `${choices.join("")}se s=${quote(last)}; fi;`;
  // Debian's netcat stays after the end of its input unless told otherwise; others lack the option.
  return (
    `${choice} if ${program} -q 2>&1 </dev/null | grep "requires an argument" >/dev/null; ` +
    `then exec ${program} -q 0 -U "$s"; else exec ${program} -U "$s"; fi`
  );
}

// No value has a backslash or a quote (see checkSshTransport), so that every login shell takes the
// result alike: fish, for one, gives backslashes within single quotes a meaning.
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
