import { spawn } from "node:child_process";
import { once } from "node:events";
import { stripVTControlCharacters } from "node:util";

import { abortedError, RpcError } from "./rpc-error.ts";
import { ChildProcessStream, type ChildProcessEnd } from "./child-process-stream.ts";
import type { SshTransport, StreamFactory } from "./libvirt-transport.ts";
import { checkSshTransport, sshArguments } from "./ssh-command.ts";

const reportedLines = 5;

/**
 * A factory that runs `ssh` for each connection; see `createStreamFactory` for its errors.
 *
 * @throws RpcError `RPC_INVALID_URI`; see {@link checkSshTransport}.
 */
export function sshStreamFactory(transport: SshTransport): StreamFactory {
  checkSshTransport(transport);
  return async ({ signal }) => {
    if (signal.aborted) throw abortedError("Opening the connection", signal);
    const child = spawn("ssh", sshArguments(transport), { stdio: "pipe" });
    try {
      await once(child, "spawn");
    } catch (error) {
      throw new RpcError(
        "RPC_CONNECT_FAILED",
        `ssh could not be started: ${(error as Error).message}. Install OpenSSH's client.`,
        { cause: error },
      );
    }
    const stream = new ChildProcessStream(child, (end) => explain(transport, end));
    if (!signal.aborted) return stream;
    stream.destroy();
    throw abortedError("Opening the connection", signal);
  };
}

function explain({ host }: SshTransport, end: ChildProcessEnd): RpcError {
  const how =
    end.signal === undefined
      ? `ended with the status ${end.exitCode ?? "unknown"}`
      : `was ended by ${end.signal}`;
  const said = lastLines(end.errorOutput);
  const reason = said === "" ? "and said nothing" : `and said: ${said}`;
  return end.hadData
    ? new RpcError("RPC_CONNECTION_LOST", `The ssh connection to ${host} ${how} ${reason}.`)
    : new RpcError(
        "RPC_CONNECT_FAILED",
        `No libvirt daemon could be reached over ssh: ssh to ${host} ${how} ${reason}. Check that ` +
          `"ssh -o BatchMode=yes" gets there without a question, and that the daemon runs there.`,
      );
}

function lastLines(output: string): string {
  return stripVTControlCharacters(output)
    .split(/\r?\n/)
    .map((line) => line.replaceAll(/\p{Cc}/gu, " ").trim())
    .filter((line) => line !== "")
    .slice(-reportedLines)
    .join("; ")
    .replace(/\.$/, "");
}
