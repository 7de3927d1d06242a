import { cloudInitWarnings } from "../api/cloud-init-warnings.ts";
import type { ConditionInput } from "../api/conditions.ts";
import { GROUP } from "../api/meta.ts";
import type { Secret } from "../api/secret.ts";
import type { Provisioning } from "../api/virtual-machine.ts";
import { condition } from "./machine-conditions.ts";

/** What a guest finds at its first start. */
export interface ProvisioningData {
  readonly userData?: string;
  /** Files by name. */
  readonly answerFiles?: Readonly<Record<string, string>>;
}

/** What was found for a VM's `spec.provisioning`. */
export interface ProvisioningDecision extends ProvisioningData {
  readonly condition: ConditionInput;
}

const TYPE = "ProvisioningReady";

/** What Secrets of a reference must be. Source: DVP, "Provisioning". */
const SECRETS = {
  userDataRef: {
    type: `provisioning.${GROUP}/cloud-init`,
    keys: ["userData", "userdata"],
  },
  sysprepRef: {
    type: `provisioning.${GROUP}/sysprep`,
    keys: ["autounattend.xml", "unattend.xml"],
  },
} as const;

/** Decides what a guest is set up with. `findSecret` looks in the VM's namespace. */
export function decideProvisioning(
  provisioning: Provisioning | undefined,
  namespace: string,
  findSecret: (name: string) => Pick<Secret, "type" | "data"> | undefined,
): ProvisioningDecision {
  if (provisioning === undefined) return { condition: condition(TYPE, "True", TYPE) };
  if (provisioning.userData !== undefined) return withUserData("userData", provisioning.userData);
  const field = provisioning.type === "SysprepRef" ? "sysprepRef" : "userDataRef";
  const notReady = (message: string): ProvisioningDecision => ({
    condition: condition(
      TYPE,
      "False",
      "ProvisioningNotReady",
      `spec.provisioning.${field}: ${message}`,
    ),
  });
  const { type, keys } = SECRETS[field];
  const name = provisioning[field]?.name ?? "";
  const secret = findSecret(name);
  if (secret === undefined) return notReady(`Secret ${namespace}/${name} not found: create it.`);
  if (secret.type !== type)
    return notReady(`Unexpected secret type: ${secret.type}: it must be ${type}.`);
  const key = keys.find((candidate) => secret.data[candidate] !== undefined);
  const encoded = key === undefined ? undefined : secret.data[key];
  if (key === undefined || encoded === undefined)
    return notReady(`Secret ${namespace}/${name} has no key ${keys.join(" or ")}: add it.`);
  const content = Buffer.from(encoded, "base64").toString();
  return field === "userDataRef"
    ? withUserData(field, content)
    : { answerFiles: { [key]: content }, condition: condition(TYPE, "True", TYPE) };
}

function withUserData(field: string, userData: string): ProvisioningDecision {
  const [warning] = cloudInitWarnings(userData);
  return {
    userData,
    condition:
      warning === undefined
        ? condition(TYPE, "True", TYPE)
        : condition(
            TYPE,
            "True",
            "ProvisioningReadyWithWarnings",
            `spec.provisioning.${field}: ${warning}.`,
          ),
  };
}
