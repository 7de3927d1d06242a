import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frozenCopy, jsonEquals, mergePatch } from "../../src/util/json.ts";

/** Names that every object inherits, besides whatever fast-check comes up with. */
const key = fc
  .oneof(fc.constantFrom("a", "b", "constructor", "toString", "valueOf"), fc.string())
  .filter((name) => name !== "__proto__");
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, 1, "", "x"),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(key, tie("json"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

function isFrozenThroughout(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozenThroughout);
}

describe("frozenCopy", () => {
  it("is equal, frozen throughout, and leaves the original alone", () => {
    fc.assert(
      fc.property(json, (value) => {
        const before = JSON.stringify(value);
        const copy = frozenCopy(value);
        expect(JSON.stringify(copy)).toBe(before);
        expect(isFrozenThroughout(copy)).toBe(true);
        expect(frozenCopy(copy)).toBe(copy);
      }),
    );
  });

  it("does not share what the owner can still change", () => {
    const original = { labels: { a: "1" }, list: [{ n: 1 }] };
    const copy = frozenCopy(original);
    original.labels.a = "2";
    original.list[0] = { n: 2 };
    expect(copy).toEqual({ labels: { a: "1" }, list: [{ n: 1 }] });
    expect(Object.isFrozen(original.labels)).toBe(false);
  });

  it("leaves out what is undefined", () => {
    expect(Object.keys(frozenCopy({ a: undefined, b: 1 }))).toEqual(["b"]);
  });

  it("copies what is frozen only on the outside", () => {
    const inner = { n: 1 };
    const copy = frozenCopy(Object.freeze({ inner }));
    inner.n = 2;
    expect(copy.inner.n).toBe(1);
  });

  it("refuses a member named __proto__", () => {
    expect(() => frozenCopy(JSON.parse('{"a":{"__proto__":{"x":1}}}'))).toThrow(
      'a field cannot be named "__proto__": rename it',
    );
  });
});

describe("jsonEquals", () => {
  it("agrees with the text of JSON with sorted members", () => {
    fc.assert(
      fc.property(json, json, (left, right) => {
        expect(jsonEquals(left, right)).toBe(sorted(left) === sorted(right));
        expect(jsonEquals(left, structuredClone(left))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    [{ a: 1, b: undefined }, { a: 1 }, true],
    [{ a: 1 }, { a: 1, b: undefined }, true],
    [{}, { constructor: "x" }, false],
    [{ toString: "x" }, {}, false],
    [[], {}, false],
    [null, {}, false],
    [[1, 2], [2, 1], false],
    [{ a: [{ b: 1 }] }, { a: [{ b: 1 }] }, true],
  ])("compares %j and %j", (left, right, equal) => {
    expect(jsonEquals(left, right)).toBe(equal);
  });
});

function sorted(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? { members: Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)) }
      : member,
  );
}

describe("mergePatch", () => {
  // Source: RFC 7396, appendix A.
  it.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("merges %j and %j", (target, patch, result) => {
    const before = structuredClone(target);
    expect(mergePatch(target, patch)).toEqual(result);
    expect(target).toEqual(before);
  });

  it("leaves out what is undefined", () => {
    expect(mergePatch({ a: 1 }, { a: undefined, b: 2 })).toEqual({ a: 1, b: 2 });
  });
});
