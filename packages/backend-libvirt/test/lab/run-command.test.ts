import { expect, test } from "vitest";
import { runChecked, runCommand } from "../../src/lab/run-command.ts";

test("input, both outputs and the exit status", async () => {
  const result = await runCommand("sh", ["-c", "cat; echo oops >&2; exit 3"], { input: "héllo" });
  expect(result).toEqual({ stdout: "héllo", stderr: "oops\n", exitCode: 3 });
});

test("arguments reach the program as they are", async () => {
  const odd = ["a b", "$(id)", "'", ";"];
  const { stdout } = await runCommand("printf", ["%s\n", ...odd]);
  expect(stdout).toBe(odd.map((argument) => `${argument}\n`).join(""));
});

test("the status of a killed program is 128 and the signal's number", async () => {
  expect((await runCommand("sh", ["-c", "kill -TERM $$"])).exitCode).toBe(143);
});

test("an abort kills the program and rejects with its reason", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const running = runCommand("sleep", ["60"], { signal: controller.signal });
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
});

test("errors: unknown program, failed status, too much output", async () => {
  const failed = { code: "LAB_COMMAND_FAILED" };
  await expect(runCommand("/nonexistent/program", [])).rejects.toMatchObject(failed);
  await expect(runChecked("sh", ["-c", "echo why >&2; exit 1"])).rejects.toMatchObject({
    ...failed,
    message: expect.stringContaining("why"),
  });
  await expect(
    runCommand("sh", ["-c", "while :; do echo long; done"], { maximumOutputBytes: 4096 }),
  ).rejects.toMatchObject(failed);
});
