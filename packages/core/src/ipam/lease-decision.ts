/** Who a lease names. Without a name it is kept for its namespace after its holder is gone. */
export interface LeaseHolder {
  readonly namespace: string;
  readonly name?: string;
}

/** The sorts of addresses, and what their kinds are called. */
export type AddressKind = "VirtualMachineIPAddress" | "VirtualMachineMACAddress";

/** What is known when a claim asks for an address. */
export interface LeaseInputs {
  readonly kind: AddressKind;
  readonly claim: { readonly namespace: string; readonly name: string };
  readonly address: string;
  readonly leaseName: string;
  /** True when the claim had this address before. */
  readonly wasBound: boolean;
  /** The lease of that name: who holds it. `undefined` when there is none. */
  readonly lease: { readonly holder: LeaseHolder | undefined } | undefined;
}

/**
 * What becomes of a claim: it has the lease, makes it, takes over one that is kept for its namespace, or does not get it.
 */
export type LeaseDecision =
  | { readonly action: "hold" | "create" | "retake" }
  | { readonly action: "refuse"; readonly reason: string; readonly message: string };

/** Decides whether a claim gets an address. A lease that is lost is an error, never an occasion to make another. */
export function decideLease(inputs: LeaseInputs): LeaseDecision {
  const { kind, claim, address, leaseName, wasBound, lease } = inputs;
  const refuse = (suffix: string, message: string): LeaseDecision => ({
    action: "refuse",
    reason: `${kind}${suffix}`,
    message,
  });
  const quoted = `The ${kind}Lease ${JSON.stringify(leaseName)}`;
  if (lease === undefined) {
    if (!wasBound) return { action: "create" };
    return refuse("LeaseLost", `${quoted} doesn't exist: delete this ${kind} and create it anew.`);
  }
  const { holder } = lease;
  if (holder?.namespace === claim.namespace) {
    if (holder.name === claim.name) return { action: "hold" };
    if (holder.name === undefined) return { action: "retake" };
  }
  if (wasBound) {
    return refuse(
      "LeaseAlreadyExists",
      `${quoted} already has a reference to another ${kind}: delete this ${kind} and create it anew.`,
    );
  }
  if (holder?.name === undefined) {
    return refuse("LeaseNotReady", `${quoted} belongs to a different namespace.`);
  }
  const noun = kind === "VirtualMachineIPAddress" ? "IP" : "MAC";
  return refuse(
    "LeaseAlreadyExists",
    `The ${noun} address ${JSON.stringify(address)} belongs to existing ${kind}Lease and cannot be taken.`,
  );
}
