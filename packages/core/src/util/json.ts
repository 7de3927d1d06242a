import { PolyvisorError } from "./errors.ts";

/**
 * A deep copy of plain data that nobody can change: safe to hand to any number of readers. What is deeply frozen
 * already is shared instead of copied.
 *
 * @throws `POLYVISOR_INVALID` for a member named `__proto__`.
 */
export function frozenCopy<T>(value: T): T {
  if (typeof value !== "object" || value === null || isDeeplyFrozen(value)) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(frozenCopy)) as T;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (key === "__proto__") {
      throw new PolyvisorError(
        "POLYVISOR_INVALID",
        'a field cannot be named "__proto__": rename it',
      );
    }
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined) copy[key] = frozenCopy(member);
  }
  return Object.freeze(copy) as T;
}

function isDeeplyFrozen(value: object): boolean {
  if (!Object.isFrozen(value)) return false;
  for (const member of Object.values(value) as unknown[]) {
    if (typeof member === "object" && member !== null && !isDeeplyFrozen(member)) return false;
  }
  return true;
}

/** True when two pieces of plain data are the same; a member that is `undefined` counts as absent. */
export function jsonEquals(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) {
    return false;
  }
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((item, index) => jsonEquals(item, right[index]));
  }
  const a = left as Record<string, unknown>;
  const b = right as Record<string, unknown>;
  // Own members only: a label may be called "constructor".
  const member = (object: Record<string, unknown>, key: string): unknown =>
    Object.hasOwn(object, key) ? object[key] : undefined;
  return (
    Object.keys(a).every((key) => jsonEquals(a[key], member(b, key))) &&
    Object.keys(b).every((key) => b[key] === undefined || member(a, key) !== undefined)
  );
}

/** Applies a JSON merge patch: objects merge, `null` removes, everything else replaces. Source: RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isPlainObject(patch)) return patch;
  const result: Record<string, unknown> = isPlainObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** True for an object that is neither an array nor `null`. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
