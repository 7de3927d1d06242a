import { writeFile } from "node:fs/promises";
import { runTool } from "./run-tool.ts";

/** A block device over a file. */
export interface LoopDevice extends AsyncDisposable {
  /** Such as `/dev/loop0`. */
  readonly path: string;
}

/** Makes a block device of `content` at `file`; needs root. */
export async function loopDevice(file: string, content: Uint8Array): Promise<LoopDevice> {
  await writeFile(file, content);
  const output = await runTool("losetup", "--find", "--show", file);
  const path = output.toString("utf8").trim();
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await runTool("losetup", "--detach", path);
    },
  };
}
