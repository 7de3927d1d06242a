import { spawn } from "node:child_process";

/** How long a program took, and what it printed. */
export interface FinishedProcess {
  readonly milliseconds: number;
  readonly output: string;
}

/** Runs a program to its end. Fails when it does. */
export async function runProcess(
  program: string,
  ...args: readonly string[]
): Promise<FinishedProcess> {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const milliseconds = performance.now() - started;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with status ${status}`);
  return { milliseconds, output: Buffer.concat(chunks).toString("utf8") };
}
