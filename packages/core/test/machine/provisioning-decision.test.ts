import type { Provisioning, Secret } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { decideProvisioning } from "../../src/machine/provisioning-decision.ts";

const CLOUD_INIT = "provisioning.virtualization.deckhouse.io/cloud-init";
const SYSPREP = "provisioning.virtualization.deckhouse.io/sysprep";
const CONFIG = "#cloud-config\npackages: [nginx]\n";

const byUserData: Provisioning = { type: "UserData", userData: CONFIG };
const byRef: Provisioning = { type: "UserDataRef", userDataRef: { kind: "Secret", name: "init" } };
const bySysprep: Provisioning = { type: "SysprepRef", sysprepRef: { kind: "Secret", name: "win" } };

function secret(type: string, key: string, text: string): Pick<Secret, "type" | "data"> {
  return { type, data: { [key]: Buffer.from(text).toString("base64") } };
}

type Found = Pick<Secret, "type" | "data"> | undefined;

function decide(provisioning: Provisioning | undefined, found?: Found) {
  return decideProvisioning(provisioning, "default", () => found);
}

describe("what a guest is set up with", () => {
  it.each<[string, Provisioning | undefined, Found, object]>([
    ["nothing", undefined, undefined, {}],
    ["a document", byUserData, undefined, { userData: CONFIG }],
    ["a secret", byRef, secret(CLOUD_INIT, "userData", CONFIG), { userData: CONFIG }],
    [
      "a secret of the other spelling",
      byRef,
      secret(CLOUD_INIT, "userdata", CONFIG),
      { userData: CONFIG },
    ],
    [
      "answers",
      bySysprep,
      secret(SYSPREP, "autounattend.xml", "<a/>"),
      { answerFiles: { "autounattend.xml": "<a/>" } },
    ],
    [
      "answers of the other name",
      bySysprep,
      secret(SYSPREP, "unattend.xml", "<a/>"),
      { answerFiles: { "unattend.xml": "<a/>" } },
    ],
  ])("is %s", (_, provisioning, found, data) => {
    const { condition, ...rest } = decide(provisioning, found);
    expect(rest).toEqual(data);
    expect(condition).toMatchObject({ status: "True", reason: "ProvisioningReady" });
  });

  it.each<[Provisioning, Found, string]>([
    [byRef, undefined, "spec.provisioning.userDataRef: Secret default/init not found: create it."],
    [
      byRef,
      secret("Opaque", "userData", CONFIG),
      `spec.provisioning.userDataRef: Unexpected secret type: Opaque: it must be ${CLOUD_INIT}.`,
    ],
    [
      byRef,
      secret(CLOUD_INIT, "data", CONFIG),
      "spec.provisioning.userDataRef: Secret default/init has no key userData or userdata: add it.",
    ],
    [
      bySysprep,
      undefined,
      "spec.provisioning.sysprepRef: Secret default/win not found: create it.",
    ],
    [
      bySysprep,
      secret(CLOUD_INIT, "unattend.xml", "<a/>"),
      `spec.provisioning.sysprepRef: Unexpected secret type: ${CLOUD_INIT}: it must be ${SYSPREP}.`,
    ],
    [
      bySysprep,
      secret(SYSPREP, "answers.xml", "<a/>"),
      "spec.provisioning.sysprepRef: Secret default/win has no key autounattend.xml or unattend.xml: add it.",
    ],
  ])("of %j with %j is not there", (provisioning, found, message) => {
    expect(decide(provisioning, found)).toEqual({
      condition: {
        type: "ProvisioningReady",
        status: "False",
        reason: "ProvisioningNotReady",
        message,
      },
    });
  });

  it("that cloud-init will not make sense of is handed over with a warning", () => {
    const odd: Provisioning = { type: "UserData", userData: "hello" };
    expect(decide(odd)).toMatchObject({
      userData: "hello",
      condition: {
        status: "True",
        reason: "ProvisioningReadyWithWarnings",
        message: expect.stringMatching(/^spec\.provisioning\.userData: /),
      },
    });
  });
});
