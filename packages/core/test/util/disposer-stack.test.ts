import { describe, expect, it } from "vitest";
import { DisposerStack } from "../../src/util/disposer-stack.ts";

describe("DisposerStack", () => {
  it("disposes last in first out, once", async () => {
    const order: string[] = [];
    const stack = new DisposerStack();
    const resource = { [Symbol.asyncDispose]: async () => void order.push("resource") };
    expect(stack.use(resource)).toBe(resource);
    stack.defer(() => void order.push("sync"));
    stack.defer(async () => void order.push("async"));
    await stack[Symbol.asyncDispose]();
    await stack[Symbol.asyncDispose]();
    expect(order).toEqual(["async", "sync", "resource"]);
  });

  it("goes on after a failure and throws it at the end", async () => {
    const order: string[] = [];
    const stack = new DisposerStack();
    stack.defer(() => void order.push("first"));
    stack.defer(() => {
      throw new Error("cannot close");
    });
    await expect(stack[Symbol.asyncDispose]()).rejects.toThrow("cannot close");
    expect(order).toEqual(["first"]);
  });

  it("throws several failures together", async () => {
    const stack = new DisposerStack();
    stack.defer(() => Promise.reject(new Error("one")));
    stack.defer(() => Promise.reject(new Error("two")));
    await expect(stack[Symbol.asyncDispose]()).rejects.toMatchObject({
      message: "several resources failed to close",
      errors: [{ message: "two" }, { message: "one" }],
    });
  });
});
