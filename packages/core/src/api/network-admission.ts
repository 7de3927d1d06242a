import type { AdmissionIssue } from "./kind.ts";
import type { NetworkRef } from "./virtual-machine.ts";

/** The highest id of a network interface. Source: DVP, network rules. */
const HIGHEST_ID = 16_383;

/** The broken rules of a list of networks, as far as the list itself tells. */
export function admitNetworks(networks: readonly NetworkRef[], field: string): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  const seen = new Set<string>();
  const ids = new Set<number>();
  networks.forEach(({ id, type, name }, index) => {
    const refuse = (broken: boolean, message: string): void => {
      if (broken) issues.push({ field: `${field}[${index}]`, message });
    };
    const main = type === "Main";
    refuse(main && index > 0 && !seen.has("Main:"), "network Main must be the first in the list");
    refuse(main && name !== undefined, "network Main has no name: leave it out");
    refuse(!main && name === undefined, `a network of type ${type} needs a name`);
    const key = `${type}:${name ?? ""}`;
    refuse(seen.has(key), `network ${key} is duplicated`);
    seen.add(key);
    if (id === undefined) return;
    refuse(id < 1 || id > HIGHEST_ID, `network id must be between 1 and ${HIGHEST_ID}, got ${id}`);
    refuse(main && id !== 1, "network id for network Main must be 1");
    refuse(!main && id === 1, "network id 1 is for network Main");
    refuse(ids.has(id), `network id ${id} is used twice`);
    ids.add(id);
  });
  return issues;
}

/** Interfaces of a VM that is not stopped keep their ids. */
export function admitChangeOfNetworkIds(
  before: readonly NetworkRef[],
  after: readonly NetworkRef[],
  field: string,
): AdmissionIssue[] {
  return after.flatMap(({ id, type, name }, index) => {
    const same = before.find((network) => network.type === type && network.name === name);
    if (same?.id === undefined || same.id === id) return [];
    return [
      {
        field: `${field}[${index}].id`,
        message: `network id can be changed only while the VirtualMachine is Stopped: it is ${same.id}`,
      },
    ];
  });
}
