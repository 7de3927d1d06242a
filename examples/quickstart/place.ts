import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";

/** Where the guest is to run. */
export interface Place extends AsyncDisposable {
  /** The libvirt URI of the daemon. */
  readonly uri: string;
  /** True when the guest at this address answers, as its host sees it; `undefined` when the host cannot be asked. */
  answers(address: string, signal: AbortSignal): Promise<boolean | undefined>;
  /** Commands for a person: to reach the guest `domain`, and to remove everything. */
  instructions(domain: string, network: string): readonly string[];
}

const PING = ["-c", "1", "-W", "5"];

/** A private libvirt daemon in namespaces of its own; with `keep` it goes on after this program. */
export async function embeddedPlace(options: {
  readonly keep: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}): Promise<Place> {
  const { keep, signal, onProgress } = options;
  const host = await startEmbeddedHost({ name: "node-1", detached: keep, signal, onProgress });
  return {
    uri: host.uri,
    answers: async (address) =>
      (await host.run("ping", [...PING, address], { signal })).exitCode === 0,
    instructions: (domain) => embeddedInstructions(host, domain),
    [Symbol.asyncDispose]: () => (keep ? Promise.resolve() : host[Symbol.asyncDispose]()),
  };
}

function embeddedInstructions(host: EmbeddedHost, domain: string): string[] {
  const { removeCommand, shellCommand } = host.describe();
  return [
    `Console:        virsh -c '${host.uri}' console ${domain}     (leave it with Ctrl+])`,
    `Inside the host: ${shellCommand.join(" ")}`,
    `Remove it all:  ${removeCommand.join(" ")}`,
  ];
}

/** A daemon that is there already. */
export function existingPlace(uri: string): Place {
  return {
    uri,
    async answers(address, signal) {
      // Guests are behind the address translation of their host, and that is another machine.
      if (new URL(uri).host !== "") return undefined;
      try {
        await promisify(execFile)("ping", [...PING, address], { signal });
        return true;
      } catch (error) {
        // The program ran and says no; that it could not be run is another matter.
        if (typeof (error as { code?: unknown }).code === "number") return false;
        throw error;
      }
    },
    instructions: (domain, network) => [
      `Console:       virsh -c '${uri}' console ${domain}     (leave it with Ctrl+])`,
      `Remove it all: virsh -c '${uri}' destroy ${domain}`,
      `               virsh -c '${uri}' undefine ${domain}`,
      `               virsh -c '${uri}' net-destroy ${network}`,
      `               virsh -c '${uri}' net-undefine ${network}`,
      `               for v in $(virsh -c '${uri}' vol-list polyvisor | awk 'NR>2 {print $1}'); do virsh -c '${uri}' vol-delete $v polyvisor; done`,
      `               virsh -c '${uri}' pool-destroy polyvisor`,
      `               virsh -c '${uri}' pool-delete polyvisor`,
      `               virsh -c '${uri}' pool-undefine polyvisor`,
    ],
    [Symbol.asyncDispose]: async () => {},
  };
}
