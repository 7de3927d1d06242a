import { PolyvisorError } from "@polyvisor/core";
import { readDuration } from "../time/duration.ts";
import { type CallFault, type Failure, type Fault, type Happening, VERBS } from "./fault.ts";

const FAILURES: readonly Failure[] = [
  "unavailable",
  "refused",
  "failed",
  "lost-request",
  "lost-answer",
];

/** What can happen, and whether it can be undone. */
const HAPPENINGS = {
  cut: true,
  powerOff: true,
  powerOn: false,
  reset: false,
  crash: false,
  shutDown: false,
  reboot: false,
  hang: true,
  breakAgent: true,
  fill: true,
} as const;

/** Which texts a call can be told by, by port. */
const TOLD_BY: Readonly<Record<keyof typeof VERBS, readonly string[]>> = {
  Hypervisor: ["host", "guest"],
  Storage: ["storage", "host"],
  ImageStore: [],
  Fencing: ["host"],
};

const CALL_KEYS = ["on", "nth", "times", "probability", "at", "for", "after", "fail", "message"];

/**
 * Checks a fault as somebody wrote it.
 *
 * @param field How to name it in errors, such as `faults[2]`.
 * @throws `POLYVISOR_INVALID` that names the field and says what can be written.
 */
export function readFault(value: unknown, field: string): Fault {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(field, "is no object");
  }
  const fault = value as Record<string, unknown>;
  return "on" in fault ? readCallFault(fault, field) : readHappening(fault, field);
}

function readCallFault(fault: Record<string, unknown>, field: string): CallFault {
  const port = (Object.keys(VERBS) as (keyof typeof VERBS)[]).find((name) =>
    (VERBS[name] as readonly unknown[]).includes(fault["on"]),
  );
  if (port === undefined) {
    const known = Object.values(VERBS).flat().join(", ");
    throw invalid(`${field}.on`, `${JSON.stringify(fault["on"])} is no call: use one of ${known}`);
  }
  const toldBy = TOLD_BY[port];
  checkKeys(fault, [...CALL_KEYS, ...toldBy], `${field} (a call of ${port})`);
  for (const key of toldBy) checkText(fault, key, field);
  checkText(fault, "message", field);
  checkDurations(fault, ["at", "for", "after"], field);
  for (const key of ["nth", "times"]) {
    const count = fault[key];
    if (count === undefined || (Number.isInteger(count) && Number(count) >= 1)) continue;
    throw invalid(`${field}.${key}`, `${JSON.stringify(count)} is no whole number from 1`);
  }
  const { probability, fail, after } = fault;
  const chance = Number(probability);
  if (probability !== undefined && !(typeof probability === "number" && chance >= 0 && chance <= 1))
    throw invalid(`${field}.probability`, `${JSON.stringify(probability)} is not from 0 to 1`);
  if (fail !== undefined && !FAILURES.includes(fail as Failure)) {
    const known = FAILURES.join(", ");
    throw invalid(`${field}.fail`, `${JSON.stringify(fail)} is not known: use one of ${known}`);
  }
  if (fail === undefined && after === undefined)
    throw invalid(field, "does nothing: write how the call fails, or after how long it is done");
  return fault as unknown as CallFault;
}

function readHappening(fault: Record<string, unknown>, field: string): Happening {
  const known = Object.keys(HAPPENINGS) as (keyof typeof HAPPENINGS)[];
  const [happening, ...others] = known.filter((key) => key in fault);
  if (happening === undefined || others.length > 0) {
    const what = happening === undefined ? "says nothing that happens" : "says several things";
    throw invalid(field, `${what}: write "on" or exactly one of ${known.join(", ")}`);
  }
  checkKeys(fault, ["at", "for", happening], field);
  if (fault["at"] === undefined) throw invalid(`${field}.at`, "is missing: say when it happens");
  checkDurations(fault, ["at", "for"], field);
  if (fault["for"] !== undefined && !HAPPENINGS[happening]) {
    throw invalid(`${field}.for`, `${happening} cannot be undone: leave it out`);
  }
  if (happening === "cut") readCut(fault["cut"], `${field}.cut`);
  else checkText(fault, happening, field);
  return fault as unknown as Happening;
}

function readCut(value: unknown, field: string): void {
  if (typeof value !== "object" || value === null) throw invalid(field, "is no object");
  checkKeys(value as Record<string, unknown>, ["between", "lose"], field);
  const { between, lose } = value as Record<string, unknown>;
  const pair = Array.isArray(between) && between.length === 2;
  if (!pair || !between.every((end) => typeof end === "string")) {
    throw invalid(`${field}.between`, 'is no pair of names: write such as ["manager", "node-1"]');
  }
  if (lose !== undefined && lose !== "everything" && lose !== "answers") {
    throw invalid(`${field}.lose`, `${JSON.stringify(lose)}: use one of everything, answers`);
  }
}

function checkKeys(value: Record<string, unknown>, known: readonly string[], field: string): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    throw invalid(field, `does not know ${JSON.stringify(key)}: use ${known.join(", ")}`);
  }
}

function checkText(value: Record<string, unknown>, key: string, field: string): void {
  if (value[key] === undefined || (typeof value[key] === "string" && value[key] !== "")) return;
  throw invalid(`${field}.${key}`, `${JSON.stringify(value[key])} is no name`);
}

function checkDurations(
  value: Record<string, unknown>,
  keys: readonly string[],
  field: string,
): void {
  for (const key of keys) {
    if (value[key] !== undefined) readDuration(value[key], `${field}.${key}`);
  }
}

function invalid(field: string, message: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_INVALID", `${field}: ${message}`);
}
